# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""``oslo-tracing top``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import contextlib
from typing import Any
from typing import Final

from oslo_tracing.cmd import common
from oslo_tracing.report import top

_COLUMNS: Final = (
    'Kind',
    'Service',
    'Name',
    'Count',
    'Total ms',
    'Mean ms',
    'p50 ms',
    'p95 ms',
    'p99 ms',
    'Errors',
)
_ORDERS: Final[dict[str, Callable[[top.Entry], float]]] = {
    'total': lambda each: each.durations.total,
    'count': lambda each: each.durations.count,
    'p95': lambda each: each.durations.percentile(0.95),
    'errors': lambda each: each.errors,
}


class Top(common.Rows):
    """Tell what all traces together spend their time in.

    Routes are what services answer over HTTP, calls what they ask there;
    rpc is both sides of RPC. Times of one name are of its spans from start
    to end, so what a span waits for counts in both. Percentiles are at
    most 5 % too high.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--kind',
            choices=top.KINDS,
            action='append',
            help='count only these; may be given several times',
        )
        parser.add_argument(
            '--sort',
            choices=sorted(_ORDERS),
            default='total',
            help='what comes first: the largest total time (the default), '
            'number, 95th percentile or number of errors',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
        """Read the source and make the rows."""
        with contextlib.closing(self.open_source(parsed_args)) as source:
            found = top.count(source.spans())
            common.tell_problems(source, self.app.stderr)
        if parsed_args.kind:
            found = [each for each in found if each.kind in parsed_args.kind]
        common.tell_without_start(
            sum(each.durations.unknown for each in found), self.app.stderr
        )
        found.sort(key=_ORDERS[parsed_args.sort], reverse=True)
        return _COLUMNS, self.cells(parsed_args, [_row(e) for e in found])


def _row(each: top.Entry) -> tuple[Any, ...]:
    times = each.durations
    return (
        each.kind,
        common.shown(each.service),
        common.shown(each.name),
        times.count,
        common.milliseconds(times.total),
        common.milliseconds(times.mean),
        common.milliseconds(times.percentile(0.5)),
        common.milliseconds(times.percentile(0.95)),
        common.milliseconds(times.percentile(0.99)),
        each.errors,
    )

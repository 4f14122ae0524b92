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

"""``oslo-tracing map``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import contextlib
from typing import Any
from typing import Final

from oslo_tracing.cmd import common
from oslo_tracing.report import callers
from oslo_tracing.report.render import dot

_COLUMNS: Final = (
    'Caller',
    'Asks',
    'By',
    'Recorded',
    'Count',
    'p50 ms',
    'p95 ms',
    'Errors',
)


class Map(common.Rows):
    """Tell which service asks which, over HTTP, RPC, messages and SQL.

    What recorded nothing is named by what its callers know of it: a
    service type, a topic, a database, an address.
    """

    nothing = 'no calls'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--dot',
            action='store_true',
            help='print a graph for Graphviz instead: '
            'oslo-tracing map --dot | dot -Tsvg > map.svg',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
        """Read the source and make the rows."""
        with contextlib.closing(self.open_source(parsed_args)) as source:
            self._calls = callers.calls(source.traces())
            common.tell_problems(source, self.app.stderr)
        common.tell_without_start(
            sum(each.durations.unknown for each in self._calls),
            self.app.stderr,
        )
        rows = [_row(each) for each in self._calls]
        return _COLUMNS, self.cells(parsed_args, rows)

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Any,
    ) -> int:
        """Print the rows, or the graph that was asked for instead."""
        if not parsed_args.dot:
            super().produce_output(parsed_args, column_names, data)
            return 0
        for line in dot.render(self._calls[: parsed_args.limit]):
            self.app.stdout.write(line + '\n')
        return 0


def _row(each: callers.Calls) -> tuple[Any, ...]:
    return (
        common.shown(each.caller),
        common.shown(each.callee),
        each.how,
        each.recorded,
        each.durations.count,
        common.milliseconds(each.durations.percentile(0.5)),
        common.milliseconds(each.durations.percentile(0.95)),
        each.errors,
    )

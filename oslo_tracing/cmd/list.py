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

"""``oslo-tracing list``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import contextlib
from typing import Any
from typing import Final

from oslo_tracing.cmd import common
from oslo_tracing.cmd import filters
from oslo_tracing.report.render import text
from oslo_tracing.report import summary

_COLUMNS: Final = (
    'Trace ID',
    'Start',
    'Root',
    'Services',
    'Spans',
    'Duration ms',
    'Errors',
    'Request ID',
)
_ORDERS: Final[dict[str, Callable[[summary.Summary], int]]] = {
    'start': lambda each: each.start,
    'duration': lambda each: each.duration,
    'spans': lambda each: each.spans,
    'errors': lambda each: each.errors,
}
#: How many services a table names; other formats name all.
_MOST_SERVICES: Final = 3


class List(common.Rows):
    """List the traces of a source, the newest first.

    Root is the name of the span that started the trace; "(no root)" stands
    before the name of the first span where that one is not in the data.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser of this command."""
        parser = super().get_parser(prog_name)
        filters.add(parser)
        parser.add_argument(
            '--sort',
            choices=sorted(_ORDERS),
            default='start',
            help='what comes first: the newest (start, the default), the '
            'longest, the one with most spans or with most errors',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
        """Read the source and make the rows."""
        with contextlib.closing(self.open_source(parsed_args)) as source:
            found = source.summaries(filters.query(parsed_args))
            common.tell_problems(source, self.app.stderr)
        common.tell_without_start(
            sum(each.without_start for each in found), self.app.stderr
        )
        found.sort(key=_ORDERS[parsed_args.sort], reverse=True)
        make = _ROWS.get(parsed_args.formatter, _row)
        rows = [make(each) for each in found[: parsed_args.limit]]
        return _COLUMNS, self.cells(parsed_args, rows)


class _TwoDecimals(float):
    """A number that a table shows as text, but sorts as what it is."""

    def __str__(self) -> str:
        """Return what the cell shows."""
        return f'{self:.2f}'


def _row(each: summary.Summary) -> tuple[Any, ...]:
    return (
        each.trace_id,
        text.moment(each.start),
        common.shown(each.name if each.has_root else f'(no root) {each.name}'),
        common.shown(', '.join(sorted(each.services))),
        each.spans,
        round(each.duration / 1e6, 2),
        each.errors,
        common.shown(each.request_id or ''),
    )


def _table_row(each: summary.Summary) -> tuple[Any, ...]:
    row = list(_row(each))
    row[5] = _TwoDecimals(row[5])
    services = sorted(each.services)
    if len(services) > _MOST_SERVICES:
        some = ', '.join(services[:_MOST_SERVICES])
        row[3] = common.shown(f'{some} +{len(services) - _MOST_SERVICES}')
    return tuple(row)


def _structured_row(each: summary.Summary) -> tuple[Any, ...]:
    row = list(_row(each))
    row[3] = [common.shown(service) for service in sorted(each.services)]
    row[7] = row[7] or None
    return tuple(row)


_ROWS: Final = {
    'json': _structured_row,
    'yaml': _structured_row,
    'table': _table_row,
}

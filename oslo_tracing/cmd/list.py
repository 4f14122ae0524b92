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

from cliff import lister

from oslo_tracing import _printable
from oslo_tracing.cmd import common
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
_MAX_TEXT: Final = 128
#: How many services a table names; other formats name all.
_MOST_SERVICES: Final = 3


class List(lister.Lister):
    """List the traces of a source, the newest first.

    Root is the name of the span that started the trace; "(no root)" stands
    before the name of the first span where that one is not in the data.
    """

    def get_epilog(self) -> str:
        """Return what help ends with."""
        return common.EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser of this command."""
        parser = super().get_parser(prog_name)
        common.add_source(parser)
        parser.add_argument(
            '--sort',
            choices=sorted(_ORDERS),
            default='start',
            help='what comes first: the newest (start, the default), the '
            'longest, the one with most spans or with most errors',
        )
        parser.add_argument(
            '--limit',
            metavar='COUNT',
            type=_count,
            help='how many traces to list at most; default: all',
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; the code tells whether there was something."""
        self._found = False
        result = super().run(parsed_args)
        return result or (common.FOUND if self._found else common.NOT_FOUND)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
        """Read the source and make the rows."""
        with contextlib.closing(common.open_source(parsed_args)) as source:
            found = source.summaries()
            common.tell_problems(source, self.app.stderr)
            if not found:
                self.app.stderr.write(f'no traces in {_shown(source.name)}\n')
        self._found = bool(found)
        found.sort(key=_ORDERS[parsed_args.sort], reverse=True)
        make = _ROWS.get(parsed_args.formatter, _row)
        return _COLUMNS, [make(each) for each in found[: parsed_args.limit]]


def _row(each: summary.Summary) -> tuple[Any, ...]:
    return (
        each.trace_id,
        text.moment(each.start),
        _shown(each.name if each.has_root else f'(no root) {each.name}'),
        _shown(', '.join(sorted(each.services))),
        each.spans,
        round(each.duration / 1e6, 2),
        each.errors,
        _shown(each.request_id or ''),
    )


def _table_row(each: summary.Summary) -> tuple[Any, ...]:
    row = list(_row(each))
    row[5] = f'{row[5]:.2f}'
    services = sorted(each.services)
    if len(services) > _MOST_SERVICES:
        some = ', '.join(services[:_MOST_SERVICES])
        row[3] = _shown(f'{some} +{len(services) - _MOST_SERVICES}')
    return tuple(row)


def _structured_row(each: summary.Summary) -> tuple[Any, ...]:
    row = list(_row(each))
    row[3] = [_shown(service) for service in sorted(each.services)]
    row[7] = row[7] or None
    return tuple(row)


def _csv_row(each: summary.Summary) -> tuple[Any, ...]:
    # A spreadsheet would run such a cell as a formula.
    return tuple(
        f"'{cell}"
        if isinstance(cell, str) and cell.startswith(('=', '+', '-', '@'))
        else cell
        for cell in _row(each)
    )


_ROWS: Final = {
    'json': _structured_row,
    'yaml': _structured_row,
    'csv': _csv_row,
    'table': _table_row,
}


def _shown(value: str) -> str:
    return _printable.printable(value, _MAX_TEXT)


def _count(value: str) -> int:
    number = int(value) if value.isascii() and len(value) < 10 else 0
    if number < 1:
        raise argparse.ArgumentTypeError('give a number from 1 up')
    return number

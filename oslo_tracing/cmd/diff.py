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

"""``oslo-tracing diff``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
from typing import Any
from typing import Final

from oslo_tracing.cmd import common
from oslo_tracing.report import compare
from oslo_tracing.report import model
from oslo_tracing.report import sources

_COLUMNS: Final = (
    'Change ms',
    'Kind',
    'Service',
    'Name',
    'Count before',
    'Count after',
    'ms before',
    'ms after',
    'Errors before',
    'Errors after',
)


class Diff(common.Rows):
    """Compare two traces, or two sets of traces: what got slower, what is new.

    Counts and times are for each trace, so sets of different sizes can be
    compared. What changed most comes first; a count of 0 says that the
    name is new, or gone.
    """

    nothing = 'no difference to find: no traces'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'before',
            metavar='BEFORE',
            help='a trace or request id of the source; with --with, an id '
            'or "all"',
        )
        parser.add_argument(
            'after', metavar='AFTER', help='likewise, what to compare it to'
        )
        parser.add_argument(
            '--with',
            dest='other',
            metavar='SOURCE',
            help='where AFTER is read; default: the same source',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
        """Read both sides and make the rows."""
        with contextlib.ExitStack() as stack:
            before = self.open_source(parsed_args)
            stack.callback(before.close)
            after = before
            if parsed_args.other:
                after = common.open_named(parsed_args.other, self.app.stderr)
                stack.callback(after.close)
            found = compare.compare(
                self._side(before, parsed_args.before),
                self._side(after, parsed_args.after),
            )
        return _COLUMNS, self.cells(parsed_args, [_row(e) for e in found])

    def _side(
        self, source: sources.Source, text: str
    ) -> Iterable[model.Trace]:
        found = 0
        traces: Iterable[model.Trace]
        traces = source.traces() if text == 'all' else source.find(text)
        for trace in traces:
            found += 1
            yield trace
        common.tell_problems(source, self.app.stderr)
        if not found:
            raise sources.SourceError(
                f'no trace for {common.shown(text)} in '
                f'{common.shown(source.name)}'
            )


def _row(each: compare.Difference) -> tuple[Any, ...]:
    before, after = each.before, each.after
    return (
        common.milliseconds(each.change),
        each.kind,
        common.shown(each.service),
        common.shown(each.name),
        round(before.count, 2) if before else 0,
        round(after.count, 2) if after else 0,
        common.milliseconds(before.time if before else 0),
        common.milliseconds(after.time if after else 0),
        round(before.errors, 2) if before else 0,
        round(after.errors, 2) if after else 0,
    )

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

"""``oslo-tracing show``."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
from typing import TextIO

from oslo_tracing import _printable
from oslo_tracing.cmd import common
from oslo_tracing.report.analysis import clock
from oslo_tracing.report import model
from oslo_tracing.report.render import text
from oslo_tracing.report.render import tree
from oslo_tracing.report import sources


class Show(common.Reader):
    """Show a trace as a tree, with where its time went and what failed.

    Each line tells when a span started (ms after the first one), how long
    it took (ms), its share of the whole, its service and name; then its
    kind, HTTP status, events, links and error. Like spans in a row that
    have no children share one line, which adds up their time. Spans whose
    parent is named but not in the data stand below the tree as orphans.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'id',
            metavar='ID',
            nargs='?',
            help='a trace id, its first 4 or more digits, or a request id '
            '(req-...): then all traces that share a global request id with '
            'it are shown too; default: the newest trace',
        )
        parser.add_argument(
            '--all',
            action='store_true',
            help='give every span a line of its own, also like ones in a row',
        )
        parser.add_argument(
            '--attributes',
            action='store_true',
            help='tell the attributes of each span below its line; implies '
            '--all',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Find what was asked for and print it."""
        with contextlib.closing(self.open_source(parsed_args)) as source:
            if parsed_args.id is None:
                traces = self._newest(source)
            else:
                traces = source.find(parsed_args.id)
            common.tell_problems(source, self.app.stderr)
            if not traces:
                what = _printable.printable(parsed_args.id or 'no traces', 64)
                if parsed_args.id is not None:
                    what = f'no trace for {what}'
                name = _printable.printable(source.name)
                self.app.stderr.write(f'{what} in {name}\n')
                return common.NOT_FOUND
        self._print(traces, parsed_args.all, parsed_args.attributes)
        return common.FOUND

    def _newest(self, source: sources.Source) -> list[model.Trace]:
        found = source.summaries()
        if not found:
            return []
        if len(found) > 1:
            self.app.stderr.write(
                f'{len(found)} traces; this is the newest, '
                f'{found[0].trace_id} ("list" tells the others)\n'
            )
        return source.find(found[0].trace_id)

    def _print(
        self, traces: list[model.Trace], expand: bool, attributes: bool
    ) -> None:
        out = self.app.stdout
        style = _style(out)
        first = None
        if len(traces) > 1:
            out.write(f'{len(traces)} traces belong to this request.\n\n')
            # Sources know no order but that of the clocks as they are.
            traces = sorted(traces, key=_start)
            first = _start(traces[0])
        for number, trace in enumerate(traces):
            if number:
                out.write('\n')
            for line in tree.render(
                trace,
                style,
                expand=expand,
                attributes=attributes,
                since=first if number else None,
            ):
                out.write(line + '\n')


def _start(trace: model.Trace) -> int:
    start, _end = clock.extent(trace, clock.of(trace))
    return start


def _style(out: TextIO) -> text.Style:
    terminal = out.isatty()
    plain = os.environ.get('NO_COLOR') or os.environ.get('TERM') == 'dumb'
    return text.Style(
        width=shutil.get_terminal_size().columns if terminal else None,
        unicode=text.drawable(getattr(out, 'encoding', None) or 'utf-8'),
        colour=terminal and not plain,
    )

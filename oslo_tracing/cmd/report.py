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

"""``oslo-tracing report``."""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
from typing import Final

from oslo_tracing.cmd import common
from oslo_tracing.cmd import filters
from oslo_tracing.report import model
from oslo_tracing.report import query
from oslo_tracing.report.render import html
from oslo_tracing.report.render import otlp
from oslo_tracing.report import results
from oslo_tracing.report import sources
from oslo_tracing.report import summary

_INDEX: Final = 'index.html'


class Report(common.Reader):
    """Write traces as HTML pages: one file each, to mail or to keep with logs.

    A page needs no server and loads nothing. One trace is one file; for
    more than one, with --all or --tests, a directory with an index is
    written.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser of this command."""
        parser = super().get_parser(prog_name)
        filters.add(parser)
        parser.add_argument(
            'ids',
            metavar='ID',
            nargs='*',
            help='a trace id, its first 4 or more digits, or a request id '
            '(req-...); default: the newest trace that the options above '
            'ask for',
        )
        parser.add_argument(
            '--all',
            action='store_true',
            help='all traces of the source, or those that the options above '
            'ask for, the newest first',
        )
        parser.add_argument(
            '--tests',
            metavar='FILE',
            help='the results of a run of tests, a subunit stream: the index '
            'lists the tests, those that failed first, then the slowest, each '
            'with the page of its trace and its spans as OTLP',
        )
        parser.add_argument(
            '--limit',
            metavar='COUNT',
            type=common.count,
            default=1000,
            help='how many traces --all and --tests write at most; default: '
            '1000',
        )
        parser.add_argument(
            '--output',
            metavar='PATH',
            help='the file, or the directory where there are more; default: '
            'trace-<id>.html, or traces, in the working directory',
        )
        parser.add_argument(
            '--title',
            default='Traces',
            help='heading of the index; default: Traces',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Find what was asked for and write it."""
        if parsed_args.ids and _asks_for_others(parsed_args):
            self.app.stderr.write(
                'ids say which traces: give them without --all, --tests and '
                'the options that ask for traces\n'
            )
            return common.FAILED
        with contextlib.closing(self.open_source(parsed_args)) as source:
            if parsed_args.tests:
                written = self._tests(source, parsed_args)
            elif parsed_args.all:
                written = self._all(source, parsed_args)
            else:
                written = self._some(source, parsed_args)
            common.tell_problems(source, self.app.stderr)
        if not written:
            return common.NOT_FOUND
        self.app.stdout.write(f'{common.shown(written)}\n')
        return common.FOUND

    def _all(
        self, source: sources.Source, parsed_args: argparse.Namespace
    ) -> str:
        found = source.summaries(filters.query(parsed_args))
        found = found[: parsed_args.limit]
        if not found:
            self.missing('no traces', source)
            return ''
        wanted = {each.trace_id for each in found}
        directory = parsed_args.output or 'traces'
        os.makedirs(directory, exist_ok=True)
        for trace in source.traces(lambda each: each.trace_id in wanted):
            _write(os.path.join(directory, _page(trace.trace_id)), trace)
        return _index(directory, parsed_args.title, found)

    def _tests(
        self, source: sources.Source, parsed_args: argparse.Namespace
    ) -> str:
        tests = results.read(parsed_args.tests)
        if not tests:
            self.app.stderr.write('no tests in the results\n')
            return ''
        asked = {each.trace_id for each in tests if each.trace_id}
        found = {
            each.trace_id: each
            for each in source.summaries(filters.query(parsed_args))
            if each.trace_id in asked
        }
        # In the order of the index, so that those on top have their pages.
        listed = dict.fromkeys(each.trace_id for each in tests)
        wanted = [each for each in listed if each in found]
        wanted = wanted[: parsed_args.limit]
        directory = parsed_args.output or 'traces'
        os.makedirs(directory, exist_ok=True)
        files = {
            each: (_page(each), f'trace-{each}.jsonl.gz') for each in wanted
        }
        changed = 0
        for trace in source.traces(lambda each: each.trace_id in files):
            page, raw = (
                os.path.join(directory, name) for name in files[trace.trace_id]
            )
            changed += _put(page, html.page(trace).encode())
            changed += _put(raw, _packed(trace))
        path = os.path.join(directory, _INDEX)
        index = html.tests(parsed_args.title, tests, found, files)
        changed += _put(path, index.encode())
        # For those who run it again and again, and want to know.
        self.app.stderr.write(
            f'{2 * len(files) + 1} files, {changed} changed\n'
        )
        return path

    def _some(
        self, source: sources.Source, parsed_args: argparse.Namespace
    ) -> str:
        traces: dict[str, model.Trace] = {}
        ids = parsed_args.ids
        if not ids:
            newest = source.summaries(filters.query(parsed_args))[:1]
            ids = [each.trace_id for each in newest]
        if not ids:
            self.missing('no traces', source)
        for text in ids:
            found = source.find(text)
            if not found:
                self.missing(f'no trace for {common.shown(text)}', source)
            traces.update((trace.trace_id, trace) for trace in found)
        if not traces:
            return ''
        if len(traces) == 1:
            (trace,) = traces.values()
            path = parsed_args.output or _page(trace.trace_id)
            _write(path, trace)
            return path
        directory = parsed_args.output or 'traces'
        os.makedirs(directory, exist_ok=True)
        for trace in traces.values():
            _write(os.path.join(directory, _page(trace.trace_id)), trace)
        spans = (span for each in traces.values() for span in each.spans)
        summaries = summary.summarize(spans).values()
        return _index(directory, parsed_args.title, list(summaries))


def _asks_for_others(parsed_args: argparse.Namespace) -> bool:
    return bool(
        parsed_args.all
        or parsed_args.tests
        or filters.query(parsed_args) != query.Query()
    )


def _page(trace_id: str) -> str:
    # Ids were checked when they were read: hexadecimal digits, no path.
    return f'trace-{trace_id}.html'


def _write(path: str, trace: model.Trace) -> None:
    with open(path, 'w', encoding='utf-8') as stream:
        stream.write(html.page(trace))


def _put(path: str, data: bytes) -> bool:
    """Write a file unless it is the same already; whether it was not."""
    with contextlib.suppress(OSError), open(path, 'rb') as stream:
        if stream.read() == data:
            return False
    with open(path, 'wb') as stream:
        stream.write(data)
    return True


def _packed(trace: model.Trace) -> bytes:
    lines = (line.encode() + b'\n' for line in otlp.render(trace.spans))
    # Without a time, which would make other bytes each time.
    return gzip.compress(b''.join(lines), mtime=0)


def _index(directory: str, title: str, found: list[summary.Summary]) -> str:
    path = os.path.join(directory, _INDEX)
    pages = {each.trace_id: _page(each.trace_id) for each in found}
    with open(path, 'w', encoding='utf-8') as stream:
        stream.write(html.index(title, found, pages))
    return path

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
"""The bar that a terminal shows while files are read."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import pty
import re
import threading

import fixtures

from oslo_tracing.cmd import main
from oslo_tracing.cmd import progress
from oslo_tracing.report import sources
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import data


class BarTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(base.LogOfACommand())
        self.useFixture(fixtures.EnvironmentVariable('TERM', 'xterm'))
        self.directory = self.useFixture(fixtures.TempDir()).path
        line = data.line('nova', data.span(1))
        with open(os.path.join(self.directory, 'a.jsonl'), 'w') as stream:
            stream.writelines(line for _ in range(3000))
        with gzip.open(
            os.path.join(self.directory, 'b.jsonl.gz'), 'wt'
        ) as stream:
            stream.writelines(line for _ in range(3000))

    @contextlib.contextmanager
    def terminal(self):
        """A stream to a terminal, and what that has got once it is closed."""
        master, slave = pty.openpty()
        got = bytearray()

        def collect():
            # The master of a closed terminal fails to read on Linux.
            with contextlib.suppress(OSError):
                while more := os.read(master, 65536):
                    got.extend(more)

        reader = threading.Thread(target=collect)
        reader.start()
        try:
            with os.fdopen(slave, 'w') as stream:
                yield stream, got
        finally:
            reader.join(60)
            os.close(master)

    def read(self, watch):
        source = sources.open_source(self.directory)
        self.addCleanup(source.close)
        source.watch = watch
        for _ in source.spans():
            pass

    def test_a_terminal_shows_how_far_it_is_and_is_clean_again(self):
        with self.terminal() as (stream, got):
            self.read(progress.Bar(stream, patience=0))
        shown = got.decode()
        self.assertRegex(shown, r'reading \[#* *\] +\d+% of \d\.\d MiB')
        self.assertTrue(shown.endswith('\r\x1b[K'), shown)
        self.assertLessEqual(
            {int(each) for each in re.findall(r'(\d+)%', shown)},
            set(range(101)),
        )

    def test_short_readings_show_none(self):
        with self.terminal() as (stream, got):
            self.read(progress.Bar(stream, patience=3600))
        self.assertEqual(b'', bytes(got))

    def test_nothing_in_pipes_and_on_dumb_terminals(self):
        pipe = io.StringIO()
        self.read(progress.Bar(pipe, patience=0))
        self.assertEqual('', pipe.getvalue())
        self.useFixture(fixtures.EnvironmentVariable('TERM', 'dumb'))
        with self.terminal() as (stream, got):
            self.read(progress.Bar(stream, patience=0))
        self.assertEqual(b'', bytes(got))

    def test_a_terminal_that_is_gone_ends_no_reading(self):
        with self.terminal() as (stream, _got):
            bar = progress.Bar(stream, patience=0)
            stream.write = _gone
            self.read(bar)

    def test_it_counts_the_bytes_of_all_files_up_to_the_end(self):
        told = []
        self.read(lambda done, size: told.append((done, size)))
        [size] = {size for _done, size in told}
        self.assertEqual(
            sum(entry.stat().st_size for entry in os.scandir(self.directory)),
            size,
        )
        done = [done for done, _size in told]
        self.assertEqual(sorted(done), done)
        self.assertEqual(size, done[-1])

    def test_a_reading_that_is_left_is_over_too(self):
        told = []
        source = sources.open_source(self.directory)
        self.addCleanup(source.close)
        source.watch = lambda done, size: told.append((done, size))
        spans = source.spans()
        next(spans)
        spans.close()
        self.assertEqual(told[-1][0], told[-1][1])

    def test_commands_have_it(self):
        self.useFixture(
            fixtures.MonkeyPatch('oslo_tracing.cmd.progress._PATIENCE', 0)
        )
        self.useFixture(fixtures.FakeLogger())
        directory = self.useFixture(fixtures.TempDir()).path
        for argv in (
            ('list',),
            ('show',),
            ('top',),
            ('map',),
            ('diff', 'all', 'all', '--with', self.directory),
            ('export', data.TRACE),
            ('report', '--output', os.path.join(directory, 'page.html')),
        ):
            out = io.StringIO()
            with self.terminal() as (stream, got):
                with (
                    contextlib.redirect_stdout(out),
                    contextlib.redirect_stderr(stream),
                ):
                    code = main.main([*argv, '--source', self.directory])
            # These traces have no calls for a map.
            self.assertEqual(2 if argv == ('map',) else 0, code, argv)
            self.assertIn(b'reading [', bytes(got), argv)
            self.assertNotIn('reading [', out.getvalue())


def _gone(text):
    raise OSError('gone')

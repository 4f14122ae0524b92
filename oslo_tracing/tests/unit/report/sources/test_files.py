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

import contextlib
import errno
import gzip
import io
import json
import os
import tracemalloc

import fixtures

from oslo_tracing.report import sources
from oslo_tracing.report.sources import _lines
from oslo_tracing.report.sources import base as sources_base
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import data

_OTHER = 'b' * 32


class _BadDisk(io.RawIOBase):
    """A file that opens and cannot be read."""

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=0):
        return offset

    def readinto(self, buffer):
        raise OSError(errno.EIO, 'Input/output error')


class FilesTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path

    def write(self, name, *content):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        opened = gzip.open if name.endswith('.gz') else open
        with opened(path, 'wb') as stream:
            for each in content:
                each = each if isinstance(each, bytes) else each.encode()
                stream.write(each)
        return path

    def read(self, name=None):
        """Names of spans, and problems without their place."""
        source = sources.open_source(name or self.directory)
        self.addCleanup(source.close)
        found = [span.name for span in source.spans()]
        return found, [str(problem) for problem in source.problems]


class ReadingTest(FilesTestCase):
    def test_lines_of_many_processes_below_a_directory(self):
        self.write('a/nova.jsonl', data.line('nova', data.span(1, name='a')))
        self.write('a/b/x.json.gz', data.line('x', data.span(2, name='b')))
        self.write('z.jsonl.gz', data.line('z', data.span(3, name='c')))
        self.write('notes.txt', 'not looked at')

        found, problems = self.read()

        self.assertEqual(['c', 'a', 'b'], found)
        self.assertEqual([], problems)

    def test_a_file_that_is_named_may_be_called_anything(self):
        path = self.write('spans', data.line('nova', data.span(1)))
        packed = self.write('x.gz', data.line('nova', data.span(1)))
        os.rename(packed, packed + '.old')

        self.assertEqual((['work'], []), self.read(path))
        self.assertEqual((['work'], []), self.read(packed + '.old'))

    def test_reading_again_reads_anew(self):
        path = self.write('x', data.line('nova', data.span(1)), 'bad\n')
        source = sources.open_source(path)

        for _ in range(2):
            self.assertEqual(1, len(list(source.spans())))
            self.assertEqual([1], [p.count for p in source.problems])

    def test_a_document_printed_over_many_lines(self):
        text = json.dumps(
            data.document(
                'nova', data.span(1, name='{[ "x" \\'), data.span(2)
            ),
            indent=2,
        )
        path = self.write('x.json', text, '\n', text.replace('"1"', '"2"'))

        found, problems = self.read(path)

        self.assertEqual(4, len(found))
        self.assertEqual('{[ "x" \\', found[0])
        self.assertEqual([], problems)

    def test_standard_input_is_read_more_than_once(self):
        packed = gzip.compress(
            (
                data.line('nova', data.span(1))
                + data.line('nova', data.span(2, trace_id=_OTHER))
            ).encode()
        )
        for content in (packed, gzip.decompress(packed)):
            self.useFixture(
                fixtures.MonkeyPatch(
                    'sys.stdin', io.TextIOWrapper(io.BytesIO(content))
                )
            )
            source = sources.open_source('-')
            self.addCleanup(source.close)
            self.assertEqual(2, len(source.summaries()))
            self.assertEqual(1, len(source.find(_OTHER)))
            self.assertEqual('standard input', source.name)

    def test_a_directory_without_traces_says_what_it_looked_for(self):
        found, (problem,) = self.read()

        self.assertEqual([], found)
        self.assertIn('no file named *.jsonl', problem)

    def test_a_document_over_16_mib_is_passed_over(self):
        line = json.dumps({'x': 'y' * 1_000_000}) + ',\n'
        path = self.write('x', '[\n', line * 17, '{}]\n')
        with open(path, 'a') as stream:
            stream.write(data.line('nova', data.span(1)))

        found, problems = self.read(path)

        self.assertEqual(['work'], found)
        self.assertIn('a document over 16 MiB passed over', problems[0])

    def test_memory_is_bounded_by_the_line_not_by_the_file(self):
        line = data.line('nova', *[data.span(n) for n in range(1, 101)])
        path = self.write('big.jsonl.gz', line * 200)
        source = sources.open_source(path)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)

        (found,) = source.summaries()

        _, peak = tracemalloc.get_traced_memory()
        self.assertEqual(20_000, found.spans)
        # The file holds 6 MB of text.
        self.assertLess(peak, 2 * 1024 * 1024)


class BrokenTest(FilesTestCase):
    def _around(self, broken):
        path = self.write(
            'x.jsonl',
            data.line('nova', data.span(1, name='before')),
            broken,
            data.line('nova', data.span(2, name='after')),
        )
        found, problems = self.read(path)
        self.assertEqual(['before', 'after'], found)
        return [p.removeprefix(path) for p in problems]

    def test_a_corrupted_line_costs_only_itself(self):
        self.assertEqual(
            [', line 2: not JSON; passed over (2 times)'],
            self._around('{"resourceSpans": [oops]}\n\x00\x01\xff\n'),
        )

    def test_what_nests_too_deep_is_refused(self):
        self.assertEqual(
            [', line 2: nested deeper than 64 levels; passed over'],
            self._around(
                '{"resourceSpans": ' + '[' * 100_000 + ']' * 100_000 + '}\n'
            ),
        )

    def test_a_line_over_16_mib_is_passed_over(self):
        self.assertEqual(
            [', line 2: a line over 16 MiB passed over'],
            self._around(b'x' * (17 * 1024 * 1024) + b'\n'),
        )

    def test_a_process_killed_in_the_middle_of_a_line(self):
        half = data.line('nova', data.span(3, name='half'))
        for cut in (30, len(half) // 2, len(half) - 5):
            self.assertEqual(1, len(self._around(half[:cut] + '\n')))
        # Cut where a document printed over many lines would go on.
        for cut in (half.index(',') + 1, half.index('[') + 1):
            self.assertEqual(
                [', line 2: a document cut short passed over'],
                self._around(half[:cut] + '\n'),
            )

    def test_a_half_written_last_line_is_told_as_such(self):
        half = data.line('nova', data.span(3))
        for cut in range(1, len(half) - 1, 37):
            path = self.write('x', data.line('nova', data.span(1)), half[:cut])
            found, (problem,) = self.read(path)
            self.assertEqual(['work'], found)
            self.assertIn('cut short', problem)

    def test_a_last_line_without_its_newline_is_whole(self):
        path = self.write('x', data.line('nova', data.span(1)).rstrip())

        self.assertEqual((['work'], []), self.read(path))

    def test_bad_utf8_is_shown_as_such_and_told(self):
        self.assertEqual(
            [', line 2: text that is not UTF-8'],
            [
                p
                for p in self._around(b'{"resourceSpans": [], "": "\xff"}\n')
                if 'UTF-8' in p
            ],
        )

    def test_a_packed_file_that_ends_early_gives_what_it_has(self):
        lines = [data.line('nova', data.span(n)) for n in range(1, 2000)]
        path = self.write('x.gz', *lines)
        with open(path, 'rb+') as stream:
            stream.truncate(os.path.getsize(path) // 2)

        found, (problem,) = self.read(path)

        self.assertGreater(len(found), 100)
        self.assertIn('the compressed file is cut short', problem)

    def test_a_damaged_packed_file_gives_what_it_has(self):
        path = self.write('x.gz', data.line('nova', data.span(1)))
        with open(path, 'ab') as stream:
            stream.write(b'\x1f\x8b garbage')

        found, problems = self.read(path)

        self.assertEqual(['work'], found)
        self.assertEqual(1, len(problems))

    def test_a_gzip_bomb_of_one_line_is_given_up(self):
        path = os.path.join(self.directory, 'bomb.gz')
        with gzip.open(path, 'wb') as stream:
            for _ in range(300):
                stream.write(b' ' * 1024 * 1024)

        found, problems = self.read(path)

        self.assertEqual([], found)
        self.assertEqual(2, len(problems))
        self.assertIn('is over 256 MiB', problems[1])

    def test_a_gzip_bomb_of_many_lines_is_given_up(self):
        path = os.path.join(self.directory, 'bomb.gz')
        line = b' ' * (1024 * 1024 - 1) + b'\n'
        with gzip.open(path, 'wb') as stream:
            for _ in range(100):
                stream.write(line)
            stream.write(data.line('nova', data.span(1)).encode())

        found, (problem,) = self.read(path)

        self.assertEqual([], found)
        self.assertIn('packed more than 200 times', problem)

    def test_problems_are_bounded_and_printable(self):
        spans = [data.span(n, **{f'\x1b[2J{n}': 1}) for n in range(1, 300)]
        path = self.write('x', data.line('nova', *spans))
        source = sources.open_source(path)

        found = list(source.spans())

        self.assertEqual(299, len(found))
        self.assertEqual(100, len(source.problems))
        self.assertEqual(199, source.problems.untold)
        self.assertNotIn('\x1b', ''.join(map(str, source.problems)))


class NotRegularTest(FilesTestCase):
    def _refused(self, path, why):
        refused = self.assertRaises(
            sources.SourceError, sources.open_source, path
        )
        self.assertIn(why, str(refused))

    def test_a_fifo_is_refused_and_not_waited_for(self):
        path = os.path.join(self.directory, 'x.jsonl')
        os.mkfifo(path)

        self._refused(path, 'not a regular file')
        found, (problem,) = self.read()
        self.assertEqual([], found)
        self.assertIn('not a regular file', problem)

    def test_a_device_is_refused(self):
        self._refused('/dev/zero', 'not a regular file')

    def test_what_is_not_there_is_refused(self):
        self._refused(os.path.join(self.directory, 'x'), 'No such file')
        self._refused('a\x00b', 'null')

    def test_a_link_is_followed_only_where_the_user_named_it(self):
        path = self.write('real.jsonl', data.line('nova', data.span(1)))
        link = os.path.join(self.directory, 'link.jsonl')
        os.symlink(path, link)

        self.assertEqual((['work'], []), self.read(link))
        found, (problem,) = self.read()
        self.assertEqual(['work'], found)
        self.assertIn('link.jsonl: not a regular file', problem)

    def test_a_directory_that_is_not_for_us_to_read_is_refused(self):
        real = os.scandir

        def scandir(path):
            if path == self.directory:
                raise PermissionError(errno.EACCES, 'Permission denied')
            return real(path)

        self.useFixture(fixtures.MonkeyPatch('os.scandir', scandir))
        self._refused(self.directory, 'Permission denied')

    def test_a_file_that_goes_away_meanwhile_costs_only_itself(self):
        self.write('a.jsonl', data.line('nova', data.span(1, name='a')))
        gone = self.write('b.jsonl', data.line('nova', data.span(2)))
        source = sources.open_source(self.directory)

        spans = source.spans()
        self.assertEqual('a', next(spans).name)
        os.unlink(gone)

        self.assertEqual([], list(spans))
        self.assertIn('No such file', str(next(iter(source.problems))))


class BadDiskTest(FilesTestCase):
    def _bad(self, path):
        real = _lines.open_regular

        def opened(name, follow):
            if name == path:
                return io.BufferedReader(_BadDisk())
            return real(name, follow)

        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing.report.sources._lines.open_regular', opened
            )
        )

    def test_a_file_that_cannot_be_read_costs_only_itself(self):
        self.write('a.jsonl', data.line('nova', data.span(1, name='a')))
        path = self.write('b.jsonl', data.line('nova', data.span(2)))
        self.write('c.jsonl.gz', data.line('nova', data.span(3, name='c')))
        self._bad(path)

        found, problems = self.read()

        self.assertEqual(['a', 'c'], found)
        self.assertEqual([f'{path}: Input/output error'], problems)

    def test_a_file_that_is_named_and_cannot_be_read_is_refused(self):
        path = self.write('b.jsonl', data.line('nova', data.span(2)))
        self._bad(path)

        refused = self.assertRaises(sources_base.CannotRead, self.read, path)

        self.assertEqual(
            f'cannot read {path}: Input/output error', str(refused)
        )

    def test_what_cannot_be_told_from_a_directory_costs_only_itself(self):
        class Entry:
            name = 'a.jsonl'
            path = os.path.join(self.directory, name)

            def is_dir(self, follow_symlinks=True):
                raise OSError(errno.ESTALE, 'Stale file handle')

        self.write('b.jsonl', data.line('nova', data.span(1)))
        real = os.scandir

        @contextlib.contextmanager
        def scandir(path):
            with real(path) as entries:
                yield [Entry(), *entries]

        self.useFixture(fixtures.MonkeyPatch('os.scandir', scandir))
        found, problems = self.read()

        self.assertEqual(['work'], found)
        self.assertEqual([f'{Entry.path}: Stale file handle'], problems)

    def test_a_standard_input_that_cannot_be_read_is_named(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'sys.stdin',
                io.TextIOWrapper(io.BufferedReader(_BadDisk())),
            )
        )
        refused = self.assertRaises(sources_base.CannotRead, self.read, '-')
        self.assertEqual(
            'cannot read standard input: Input/output error', str(refused)
        )

    def test_no_standard_input_is_refused(self):
        self.useFixture(fixtures.MonkeyPatch('sys.stdin', None))
        refused = self.assertRaises(sources_base.CannotRead, self.read, '-')
        self.assertEqual(
            'cannot read standard input: it is closed', str(refused)
        )


class FindingTest(FilesTestCase):
    def _open(self, *lines):
        return sources.open_source(self.write('x', *lines))

    def _found(self, source, text):
        return [trace.trace_id for trace in source.find(text)]

    def test_by_trace_id_in_any_writing(self):
        source = self._open(data.line('nova', data.span(1)))

        for text in (
            data.TRACE,
            data.TRACE.upper(),
            f' {data.TRACE}\n',
            '3a48e358-a750-c64d-3f31-a49afa54bba1',
            '3a48',
            data.TRACE[:-1],
        ):
            self.assertEqual([data.TRACE], self._found(source, text))
        self.assertEqual([], self._found(source, '3a49'))
        self.assertEqual([], self._found(source, _OTHER))

    def test_a_prefix_of_several_is_refused_with_their_ids(self):
        ids = [f'abcd{n:028x}' for n in range(8)]
        source = self._open(
            data.line('nova', *[data.span(1, trace_id=t) for t in ids])
        )

        refused = self.assertRaises(
            sources_base.AmbiguousId, source.find, 'abcd'
        )

        self.assertIn(f'8 traces start with abcd: {ids[0]}, ', str(refused))
        self.assertNotIn(ids[7], str(refused))

    def test_what_is_no_id_is_refused(self):
        source = self._open()

        for text in (
            '',
            'abc',
            'xyzw',
            'a' * 33,
            'req-1',
            'req-' + data.TRACE,
            'req-{3a48e358-a750-c64d-3f31-a49afa54bba1}',
            '\x1b[2J',
        ):
            refused = self.assertRaises(sources_base.BadId, source.find, text)
            self.assertNotIn('\x1b', str(refused))

    def test_a_request_id_that_is_the_trace_id(self):
        source = self._open(data.line('nova', data.span(1)))

        self.assertEqual(
            [data.TRACE],
            self._found(source, 'req-3a48e358-a750-c64d-3f31-a49afa54bba1'),
        )

    def test_a_request_id_in_a_span_and_all_that_shares_a_global_one(self):
        def request(n):
            return f'req-00000000-0000-4000-8000-{n:012d}'

        def span(n, start, **ids):
            return data.span(
                1,
                trace_id=f'{n:032x}',
                start=start,
                attributes={
                    f'openstack.{name}': request(value)
                    for name, value in ids.items()
                },
            )

        source = self._open(
            data.line(
                'nova',
                span(1, 50, request_id=1, global_request_id=9),
                span(2, 40, request_id=2, global_request_id=9),
                span(3, 30, request_id=9),
                span(4, 20, request_id=4),
                span(5, 10, request_id=5, global_request_id=4),
            )
        )

        def found(n):
            return [int(t, 16) for t in self._found(source, request(n))]

        self.assertEqual([2, 1], found(1))
        self.assertEqual([3, 2, 1], found(9))
        self.assertEqual([5, 4], found(4))
        self.assertEqual([5], found(5))
        self.assertEqual([], found(7))

    def test_whole_traces_the_newest_first_and_only_those_wanted(self):
        ids = [f'{n:032x}' for n in range(1, 5)]
        source = self._open(
            data.line(
                'nova',
                *[
                    data.span(1, trace_id=t, start=n)
                    for n, t in enumerate(ids)
                ],
                *[data.span(2, 1, trace_id=t, start=9) for t in ids],
            )
        )

        everything = list(source.traces())
        some = list(source.traces(lambda each: each.trace_id != ids[1]))

        self.assertEqual({2}, {len(trace.spans) for trace in everything})
        self.assertEqual(ids[::-1], [t.trace_id for t in everything])
        self.assertEqual([ids[3], ids[2], ids[0]], [t.trace_id for t in some])
        # However few are in memory at once.
        for most in (1, 4, 5):
            self.useFixture(
                fixtures.MonkeyPatch(
                    'oslo_tracing.report.sources.base._MOST_SPANS', most
                )
            )
            self.assertEqual(ids[::-1], [t.trace_id for t in source.traces()])

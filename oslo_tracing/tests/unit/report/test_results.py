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

"""Tests and their traces, out of a stream and onto a page."""

import contextlib
import datetime
import gzip
import html
import io
import json
import os
import re

import fixtures
import subunit
import testtools
from testtools import content

from oslo_tracing.cmd import main
from oslo_tracing.report import results
from oslo_tracing.report import sources
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import data

_BEGUN = datetime.datetime(2026, 11, 21, 9, tzinfo=datetime.timezone.utc)


def _after(seconds):
    return _BEGUN + datetime.timedelta(seconds=seconds)


class Run(fixtures.Fixture):
    """Writes a stream as a test runner does."""

    def _setUp(self):
        directory = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(directory, 'testrepository.subunit')
        self._stream = open(self.path, 'wb')
        self.addCleanup(self._stream.close)
        self._result = subunit.StreamResultToBytes(self._stream)
        self._at = 0

    def test(self, name, status='success', took=1.0, **details):
        told = self._result.status
        told(
            test_id=name, test_status='inprogress', timestamp=_after(self._at)
        )
        self._at += took
        for key, value in details.items():
            told(
                test_id=name,
                file_name=key.replace('_', '.'),
                file_bytes=value.encode(),
                mime_type='text/plain; charset=utf8',
                eof=True,
                timestamp=_after(self._at),
            )
        if status:
            told(test_id=name, test_status=status, timestamp=_after(self._at))
        self._stream.flush()

    def noise(self, text):
        self._stream.write(text)
        self._stream.flush()


class ResultsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.run_ = self.useFixture(Run())

    def _read(self):
        return results.read(self.run_.path)

    def test_each_test_has_its_trace_its_time_and_how_it_went(self):
        self.run_.test('a.B.test_c[id-1,smoke]', took=2, oslo_tracing='1' * 32)
        (found,) = self._read()
        self.assertEqual('a.B.test_c', found.test_id)
        self.assertEqual('success', found.status)
        self.assertEqual('1' * 32, found.trace_id)
        self.assertEqual(2 * 10**9, found.duration)
        self.assertEqual(int(_BEGUN.timestamp()) * 10**9, found.start)
        self.assertFalse(found.failed)

    def test_failures_are_on_top_and_then_what_took_longest(self):
        self.run_.test('quick', took=1)
        self.run_.test('slow', took=5)
        self.run_.test('broken', 'fail', took=0.5)
        self.run_.test('skipped', 'skip', took=0)
        self.run_.test('hung', None, took=0.1)
        self.assertEqual(
            ['broken', 'hung', 'slow', 'quick', 'skipped'],
            [each.test_id for each in self._read()],
        )

    def test_a_class_is_named_by_its_tests(self):
        for name in ('x.Y.test_a', 'x.Y.test_b'):
            self.run_.test(name, oslo_tracing_class='2' * 32)
        self.assertEqual(
            ('setUpClass (x.Y)', 'success', '2' * 32),
            [
                (each.test_id, each.status, each.trace_id)
                for each in self._read()
            ][-1],
        )

    def test_a_class_that_failed_says_so_in_its_traceback(self):
        self.run_.test(
            'setUpClass (x.Y)',
            'fail',
            traceback='Traceback:\n  ...\nNotFound\n'
            f'{results.NOTE}{"3" * 32}\n',
        )
        (found,) = self._read()
        self.assertEqual('3' * 32, found.trace_id)
        self.assertTrue(found.failed)

    def test_what_is_no_trace_id_is_none(self):
        self.run_.test('a', oslo_tracing='../../etc/passwd')
        self.assertEqual('', self._read()[0].trace_id)

    def test_what_is_no_stream_does_no_harm(self):
        self.run_.noise(b'hello\n\xb3\xb3\x00\xff not a packet\n')
        self.run_.test('after')
        self.assertIn('after', [each.test_id for each in self._read()])

    def test_a_stream_cut_short_leaves_what_was_there(self):
        self.run_.test('whole')
        with open(self.run_.path, 'rb') as stream:
            some = stream.read()
        self.run_.noise(some[: len(some) // 2 + 3])
        self.assertIn('whole', [each.test_id for each in self._read()])

    def test_a_file_that_there_is_not(self):
        for path in ('/nonexistent', '/dev/zero', '/'):
            self.assertRaises(results.CannotReadResults, results.read, path)

    def test_a_real_runner_writes_what_is_read(self):
        class Real(testtools.TestCase):
            def test_it(self):
                self.addDetail(results.DETAIL, content.text_content('4' * 32))

        stream = io.BytesIO()
        result = testtools.ExtendedToStreamDecorator(
            subunit.StreamResultToBytes(stream)
        )
        result.startTestRun()
        Real('test_it').run(result)
        result.stopTestRun()
        with open(self.run_.path, 'wb') as out:
            out.write(stream.getvalue())
        (found,) = self._read()
        self.assertEqual('4' * 32, found.trace_id)


class StrangeDetailsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'run.subunit'
        )

    def read(self, **detail):
        with open(self.path, 'wb') as stream:
            told = subunit.StreamResultToBytes(stream).status
            told(test_id='a', eof=True, **detail)
            told(test_id='a', test_status='fail')
        (found,) = results.read(self.path)
        return found

    def test_a_traceback_of_whatever_bytes_is_read(self):
        noted = f'{results.NOTE}{"3" * 32}\n'.encode()
        utf8 = 'text/x-traceback; charset="utf8"; language="python"'
        for text, mime_type in (
            (b'boom \xff\xfe caf\xe9\n' + noted, utf8),
            (noted + 'caf\xe9'.encode()[:-1], utf8),
            (noted, None),
            (noted, 'application/octet-stream'),
            (noted, 'text/plain; charset=nope'),
            (noted, 'text/plain; charset=hex'),
            (noted, 'text/plain'),
        ):
            found = self.read(
                file_name='traceback', file_bytes=text, mime_type=mime_type
            )
            self.assertEqual('3' * 32, found.trace_id, (text, mime_type))

    def test_so_is_a_trace_id(self):
        for text, trace_id in (
            (b'\xff' * 32, ''),
            (b'4' * 32 + b'\n', '4' * 32),
        ):
            for mime_type in (None, 'text/plain; charset=nope'):
                found = self.read(
                    file_name=results.DETAIL,
                    file_bytes=text,
                    mime_type=mime_type,
                )
                self.assertEqual(trace_id, found.trace_id)


class ReportTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(base.LogOfACommand())
        self.run_ = self.useFixture(Run())
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.output = os.path.join(self.directory, 'report')
        self.source = os.path.join(self.directory, 'a.jsonl')
        with open(self.source, 'w') as stream:
            stream.writelines(data.boot())
            for number in (5, 6, 7):
                stream.write(
                    data.line(
                        'glance',
                        data.span(1, trace_id=str(number) * 32, took=number),
                    )
                )

    def report(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main.main(
                [
                    'report',
                    '--source',
                    self.source,
                    '--tests',
                    self.run_.path,
                    '--output',
                    self.output,
                    *words,
                ]
            )
        return code, out.getvalue(), err.getvalue()

    def listed(self):
        with open(os.path.join(self.output, 'index.html')) as stream:
            text = stream.read()
        found = re.search('id="data">(.*?)</script>', text, re.DOTALL)
        return json.loads(html.unescape(found[1]))['tests']

    def test_an_index_by_test_with_pages_and_raw_spans(self):
        self.run_.test('broken', 'fail', oslo_tracing=data.TRACE)
        self.run_.test('fine', took=3, oslo_tracing='5' * 32)
        self.run_.test('asked for nothing', took=2)
        self.run_.test('asked and not recorded', oslo_tracing='9' * 32)
        code, out, err = self.report('--title', 'Tests of glance')
        self.assertEqual((0, '5 files, 5 changed\n'), (code, err))
        self.assertEqual(f'{self.output}/index.html\n', out)
        tests = self.listed()
        self.assertEqual(
            [
                ('broken', True, data.TRACE, 10),
                ('fine', False, '5' * 32, 1),
                ('asked for nothing', False, '', 0),
                ('asked and not recorded', False, '', 0),
            ],
            [
                (each['test'], each['failed'], each['trace'], each['spans'])
                for each in tests
            ],
        )
        self.assertEqual(
            {
                'index.html',
                f'trace-{data.TRACE}.html',
                f'trace-{data.TRACE}.jsonl.gz',
                f'trace-{"5" * 32}.html',
                f'trace-{"5" * 32}.jsonl.gz',
            },
            set(os.listdir(self.output)),
        )
        raw = os.path.join(self.output, tests[0]['raw'])
        self.assertEqual(
            {data.TRACE},
            {span.trace_id for span in sources.open_source(raw).spans()},
        )
        with gzip.open(raw) as stream:
            self.assertTrue(stream.readline().startswith(b'{"resourceSpans"'))

    def test_the_top_of_the_index_has_its_pages_where_not_all_may(self):
        self.run_.test('slow', took=9, oslo_tracing='5' * 32)
        self.run_.test('quick', took=1, oslo_tracing='6' * 32)
        self.run_.test('broken', 'fail', took=0, oslo_tracing='7' * 32)
        self.report('--limit', '2')
        self.assertEqual(
            [True, True, False],
            [bool(each['page']) for each in self.listed()],
        )
        # It was recorded all the same, and is counted.
        self.assertEqual(1, self.listed()[2]['spans'])

    def test_a_second_time_makes_the_same_files(self):
        self.run_.test('broken', 'fail', oslo_tracing=data.TRACE)
        made = []
        for changed in (3, 0):
            _code, _out, err = self.report()
            self.assertEqual(f'3 files, {changed} changed\n', err)
            files = {}
            for name in os.listdir(self.output):
                with open(os.path.join(self.output, name), 'rb') as stream:
                    files[name] = stream.read()
            made.append(files)
        self.assertEqual(*made)

    def test_names_of_tests_are_text(self):
        self.run_.test('</script><b>x', 'fail')
        self.report()
        with open(os.path.join(self.output, 'index.html')) as stream:
            self.assertNotIn('</script><b>', stream.read())

    def test_results_that_there_are_not(self):
        os.unlink(self.run_.path)
        code, _out, err = self.report()
        self.assertEqual(1, code)
        self.assertIn('No such file', err)

    def test_a_run_without_tests(self):
        code, _out, err = self.report()
        self.assertEqual(2, code)
        self.assertIn('no tests', err)

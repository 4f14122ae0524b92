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

"""What is kept of trace files: no secret, no more than asked for."""

import gzip
import hashlib
import json
import os
import stat

import fixtures

from oslo_tracing.report import collect
from oslo_tracing.report.render import otlp
from oslo_tracing.report import secrets
from oslo_tracing.report import sources
from oslo_tracing.report.sources import base as sources_base
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import data

_TOKEN = 'gAAAAABnT0k3nLongEnoughToBeAToken0123456789abcdefABCDEF'
_ROW = 'IntegrityError: (1062, "x") [parameters: (\'S3CRETHASH\',)]'
#: Key, value, and what must not be found any more.
_SECRETS = (
    ('url.full', f'https://user:S3CRET@host/v3?token={_TOKEN}', 'S3CRET'),
    ('http.url', 'http://swift/v1/a?temp_url_sig=S3CRET&x=1', 'S3CRET'),
    ('http.target', '/v3?password=S3CRET', 'S3CRET'),
    ('url.path', f'/v2/tokens/{_TOKEN}/endpoints', _TOKEN),
    ('db.statement', "INSERT INTO t VALUES (1, 'S3CRET')", 'S3CRET'),
    ('db.query.text', "UPDATE t SET p = 'S3CRET'", 'S3CRET'),
    ('http.request.header.x-auth-token', ['S3CRET'], 'S3CRET'),
    ('admin_password', 'S3CRET', 'S3CRET'),
    ('note', f'took {_TOKEN} to log in', _TOKEN),
    ('process.command_line', 'mysql --password S3CRET -h x', 'S3CRET'),
    ('process.command_args', ['mysql', '--password', 'S3CRET'], 'S3CRET'),
    ('nested', {'a': [{'secret': 'S3CRET'}]}, 'S3CRET'),
)


#: The system, what it is asked, and what is kept of that.
_STATEMENTS = (
    (
        'sqlite',
        'SELECT a FROM t WHERE p = "S3CRET"',
        'SELECT a FROM t WHERE p = ?',
    ),
    ('redis', 'AUTH default S3CRET', 'AUTH ?'),
    ('redis', 'PING', 'PING'),
    ('memcached', 'set token 0 0 6 S3CRET', 'set ?'),
    ('etcd', 'put /a/key S3CRET', 'put ?'),
    ('mongodb', '{"find":"S3CRET"}', '?'),
    ('', 'lookup S3CRET', 'lookup ?'),
)


def _line(scope='', events=(), status=None, **attributes):
    made = data.document('nova', data.span(1))
    scoped = made['resourceSpans'][0]['scopeSpans'][0]
    scoped['spans'][0]['attributes'] = otlp._attributes(attributes)
    scoped['scope'] = {'name': scope}
    scoped['spans'][0]['events'] = list(events)
    scoped['spans'][0]['status'] = status or {}
    return json.dumps(made) + '\n'


class CollectTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.source = self.useFixture(fixtures.TempDir()).path
        self.output = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'kept'
        )

    def write(self, name, *lines):
        path = os.path.join(self.source, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as stream:
            stream.writelines(lines)

    def collect(self, max_bytes=10**9):
        return collect.collect(self.source, self.output, max_bytes)

    def kept(self):
        found = {}
        for name in os.listdir(self.output):
            with open(os.path.join(self.output, name), 'rb') as stream:
                found[name] = stream.read()
        return found

    def text(self):
        return b''.join(map(gzip.decompress, self.kept().values())).decode()


class SecretsTest(CollectTestCase):
    def test_no_secret_of_whoever_recorded_it_is_kept(self):
        for number, (key, value, _secret) in enumerate(_SECRETS):
            self.write(f'{number}.jsonl', _line('foreign', **{key: value}))
        self.collect()
        text = self.text()
        for key, _value, secret in _SECRETS:
            self.assertNotIn(secret, text, key)
            self.assertIn(key, text)

    def test_what_an_exception_said_is_not_kept(self):
        event = {
            'name': 'exception',
            'timeUnixNano': '5',
            'attributes': data.attributes(
                {
                    'exception.type': 'IntegrityError',
                    'exception.message': _ROW,
                    'exception.stacktrace': _ROW,
                }
            ),
        }
        status = {'code': 2, 'message': _ROW}
        self.write('a.jsonl', _line('foreign', [event], status))
        self.collect()
        self.assertNotIn('S3CRETHASH', self.text())
        self.assertIn('IntegrityError', self.text())

    def test_no_value_of_a_statement_is_kept(self):
        for number, (key, value) in enumerate(
            (
                # Of osprofiler, and of the conventions.
                ('db.params', '["admin", "S3CRET"]'),
                ('db.query.parameter.name', 'S3CRET'),
                ('db.operation.parameter.0', 'S3CRET'),
                ('db.statement.parameters', "('S3CRET',)"),
            )
        ):
            self.write(f'{number}.jsonl', _line('foreign', **{key: value}))
        self.collect()
        self.assertNotIn('S3CRET', self.text())
        self.assertIn('db.query.parameter.name', self.text())

    def test_no_value_is_kept_of_what_others_ask_a_store(self):
        for number, (system, statement, _kept) in enumerate(_STATEMENTS):
            self.write(
                f'{number}.jsonl',
                _line(
                    'foreign',
                    **{'db.system': system, 'db.statement': statement},
                ),
            )
        self.collect()
        self.assertNotIn('S3CRET', self.text())
        for _system, _statement, kept in _STATEMENTS:
            self.assertIn(json.dumps(kept), self.text())

    def test_nor_is_a_driver_s_sentence_wherever_it_stands(self):
        said = 'IntegrityError: (1062, "Duplicate entry \'S3CRET\' for key")'
        event = {
            'name': 'log',
            'timeUnixNano': '5',
            'attributes': data.attributes(
                {
                    'message': f'No. {said} [SQL: x] [parameters: (S3CRET,)]',
                    'exception.stacktrace': f'File "x.py", line 1\n{said}',
                    'error': 'x: DETAIL:  Key (a)=(S3CRET) already exists.',
                    'level': 'ERROR',
                }
            ),
        }
        status = {'code': 2, 'message': said}
        self.write('a.jsonl', _line('foreign', [event], status, note=said))
        self.collect()
        self.assertNotIn('S3CRET', self.text())
        self.assertIn('"IntegrityError"', self.text())
        self.assertIn('"ERROR"', self.text())

    def test_nor_are_cookies_and_what_a_query_alone_says(self):
        for number, (key, value) in enumerate(
            (
                ('http.request.header.cookie', ['a=S3CRET']),
                ('http.response.header.set-cookie', ['a=S3CRET; Path=/']),
                ('url.query', 'limit=10&sig=S3CRET'),
                ('hmac_key', 'S3CRET'),
                ('passwords', ['S3CRET']),
                ('user_data', 'S3CRET'),
            )
        ):
            self.write(f'{number}.jsonl', _line('foreign', **{key: value}))
        self.collect()
        self.assertNotIn('S3CRET', self.text())
        self.assertIn('limit=10', self.text())

    def test_what_has_no_secret_is_as_it_was(self):
        self.write('a.jsonl', *data.boot())
        cleaner = secrets.Cleaner()
        for span in sources.open_source(self.source).spans():
            self.assertIs(span, cleaner.clean(span))

    def test_what_is_clean_stays_as_it_is(self):
        for number, (key, value, _secret) in enumerate(_SECRETS):
            self.write(f'{number}.jsonl', _line('foreign', **{key: value}))
        self.collect()
        cleaner = secrets.Cleaner()
        for span in sources.open_source(self.output).spans():
            self.assertEqual(span.attributes, cleaner.clean(span).attributes)

    def test_spans_of_a_process_still_share_it(self):
        made = data.document('nova', data.span(1), data.span(2, 1))
        made['resourceSpans'][0]['resource']['attributes'] += otlp._attributes(
            {'process.command_args': ['x', '--password', 'S3CRET']}
        )
        self.write('a.jsonl', json.dumps(made))
        self.collect()
        self.assertEqual(1, self.text().count('"resource"'))
        self.assertNotIn('S3CRET', self.text())

    def test_spans_of_a_scope_still_share_it(self):
        made = data.document('nova', data.span(1), data.span(2, 1))
        made['resourceSpans'][0]['scopeSpans'][0]['scope'] = {
            'name': 'foreign',
            'attributes': otlp._attributes({'password': 'S3CRET', 'a': 'b'}),
        }
        self.write('a.jsonl', json.dumps(made))
        self.collect()
        self.assertEqual(1, self.text().count('"scope"'))
        self.assertIn('"stringValue":"b"', self.text().replace(' ', ''))
        self.assertNotIn('S3CRET', self.text())


class FilesTest(CollectTestCase):
    def test_every_span_is_there_and_may_be_read_by_the_group(self):
        self.write('one/a.jsonl', *data.boot())
        self.write('two/a.jsonl', *data.boot())
        self.write('two/notes.txt', 'not a trace')
        made = self.collect()
        spans = list(sources.open_source(self.output).spans())
        before = list(sources.open_source(self.source).spans())
        self.assertEqual(len(before), len(spans))
        self.assertEqual(made.spans, len(spans))
        self.assertEqual(
            {'one-a.jsonl.gz', 'two-a.jsonl.gz'}, set(self.kept())
        )
        for name in self.kept():
            mode = os.stat(os.path.join(self.output, name)).st_mode
            self.assertEqual(0o640, stat.S_IMODE(mode))

    def test_a_second_time_nothing_is_written(self):
        self.write('a.jsonl', *data.boot())
        self.write('b.jsonl', *data.boot())
        first = self.collect()
        kept = self.kept()
        second = self.collect()
        self.assertEqual((2, 0), (first.changed, second.changed))
        self.assertEqual(kept, self.kept())
        self.assertEqual(first.bytes, second.bytes)

    def test_copies_below_the_directory_are_not_copied_again(self):
        self.write('a.jsonl', *data.boot())
        below = os.path.join(self.source, 'copies')
        first = collect.collect(self.source, below, 2**20)
        second = collect.collect(self.source, below, 2**20)
        self.assertEqual((1, 0), (first.changed, second.changed))
        self.assertEqual(first.spans, second.spans)
        self.assertEqual(['a.jsonl.gz'], os.listdir(below))

    def test_only_what_is_new_is_written(self):
        self.write('a.jsonl', *data.boot())
        self.collect()
        self.write('b.jsonl', *data.boot())
        self.assertEqual(1, self.collect().changed)

    def test_files_of_one_name_do_not_replace_each_other(self):
        self.write('a.jsonl', *data.boot())
        self.write('a.json', *data.boot())
        self.assertEqual(2, self.collect().files)
        self.assertEqual({'a.jsonl.gz', 'a-2.jsonl.gz'}, set(self.kept()))

    def test_no_more_is_written_than_there_is_room_for(self):
        noise = [
            data.line(
                'noisy',
                *(
                    data.span(n, attributes={'n': f'{n * 7919 % 104729}'})
                    for n in range(first, first + 500)
                ),
            )
            for first in range(1, 20000, 500)
        ]
        self.write('noisy.jsonl', *noise)
        self.write('small.jsonl', *data.boot())
        made = self.collect(30000)
        kept = self.kept()
        self.assertLessEqual(sum(map(len, kept.values())), 30000)
        self.assertEqual(made.bytes, sum(map(len, kept.values())))
        # The small service is there, whole, and the noisy one in part.
        self.assertEqual(['noisy.jsonl.gz'], made.cut)
        self.assertIn('small.jsonl.gz', kept)
        spans = list(sources.open_source(self.output).spans())
        self.assertEqual(made.spans, len(spans))
        self.assertGreater(len(spans), 256)

    def test_what_is_broken_is_told_and_the_rest_kept(self):
        self.write('a.jsonl', '{"broken\n', *data.boot())
        made = self.collect()
        self.assertEqual(1, len(made.problems))
        self.assertEqual(1, made.files)

    def test_a_directory_that_there_is_not(self):
        self.assertRaises(
            sources_base.CannotRead,
            collect.collect,
            '/nonexistent',
            self.output,
            10,
        )


class PassedOverTest(CollectTestCase):
    def setUp(self):
        super().setUp()
        self.write('z.jsonl', *data.boot())

    def path(self, name):
        return os.path.join(self.source, name)

    def told(self, made):
        return {problem.where: problem.what for problem in made.problems}

    def test_what_is_no_regular_file_is_told_and_the_rest_kept(self):
        other = os.path.join(self.useFixture(fixtures.TempDir()).path, 'a')
        with open(other, 'w') as stream:
            stream.writelines(data.boot())
        os.symlink('nowhere', self.path('a.jsonl'))
        os.symlink(other, self.path('b.jsonl'))
        os.mkfifo(self.path('c.jsonl'))
        made = self.collect()
        self.assertEqual(
            dict.fromkeys(
                map(self.path, ('a.jsonl', 'b.jsonl', 'c.jsonl')),
                'not a regular file',
            ),
            self.told(made),
        )
        self.assertEqual({'z.jsonl.gz'}, set(self.kept()))
        self.assertEqual(1, made.files)

    def test_so_is_a_file_that_is_gone_or_not_for_us_to_read(self):
        self.write('a.jsonl', *data.boot())
        for what, error in (
            ('No such file or directory', FileNotFoundError),
            ('Permission denied', PermissionError),
        ):
            real = os.open

            def fails(path, *args, what=what, error=error, **kwargs):
                if path == self.path('a.jsonl'):
                    raise error(1, what)
                return real(path, *args, **kwargs)

            with fixtures.MockPatch('os.open', fails):
                made = self.collect()
            self.assertEqual({self.path('a.jsonl'): what}, self.told(made))
            self.assertEqual({'z.jsonl.gz'}, set(self.kept()))

    def test_a_name_may_be_as_long_as_the_way_to_it(self):
        names = [
            os.path.join(letters, letters, name)
            for letters in ('d' * 200, '\xe9' * 100)
            for name in ('a.jsonl', 'a.json', 'b.jsonl')
        ]
        # The second of these has room, and none for a number.
        names += [f'{"e" * 246}.json', f'{"e" * 246}.jsonl']
        for name in names:
            self.write(name, *data.boot())
        made = self.collect()
        self.assertEqual(9, made.files)
        kept = self.kept()
        self.assertEqual(9, len(kept))
        self.assertEqual(0, self.collect().changed)
        self.assertEqual(kept, self.kept())


class CutTest(CollectTestCase):
    def spans(self, first, words=1):
        # No two are alike, for packing to make less of.
        return [
            data.span(
                n,
                attributes={
                    'x': ' '.join(
                        hashlib.sha256(f'{n} {word}'.encode()).hexdigest()[:4]
                        for word in range(words)
                    )
                },
            )
            for n in range(first, first + 20)
        ]

    def test_what_is_told_is_what_there_is(self):
        # All are written together, and the last has no room.
        self.write(
            'a.jsonl',
            data.line('first', *self.spans(1)),
            data.line('second', *self.spans(21)),
            data.line('noisy', *self.spans(41, words=200)),
        )
        made = self.collect(12000)
        self.assertEqual(['a.jsonl.gz'], made.cut)
        self.assertLessEqual(made.bytes, 12000)
        self.assertEqual((1, 40), (made.files, made.spans))
        self.assertEqual(
            40, len(list(sources.open_source(self.output).spans()))
        )


class OutputTest(CollectTestCase):
    def setUp(self):
        super().setUp()
        self.write('in/a.jsonl', *data.boot())

    def collect_in(self, below, output):
        return collect.collect(
            os.path.join(self.source, below),
            os.path.join(self.source, output),
            10**9,
        )

    def test_it_may_be_above_the_directory(self):
        for changed in (1, 0):
            made = self.collect_in('in', '')
            self.assertEqual((1, changed), (made.files, made.changed))
        self.assertEqual({'in', 'a.jsonl.gz'}, set(os.listdir(self.source)))

    def test_only_copies_in_it_are_passed_over(self):
        self.write('logs/b.jsonl', *data.boot())
        self.write('logs/below/c.jsonl.gz', *data.boot())
        for changed in (3, 0):
            made = self.collect_in('', 'logs')
            self.assertEqual((3, changed), (made.files, made.changed))
        self.assertEqual(
            {
                'b.jsonl',
                'below',
                'in-a.jsonl.gz',
                'logs-b.jsonl.gz',
                'logs-below-c.jsonl.gz',
            },
            set(os.listdir(os.path.join(self.source, 'logs'))),
        )

    def test_it_is_not_the_directory_itself(self):
        os.symlink('in', os.path.join(self.source, 'link'))
        for output in ('in', 'in/', 'link'):
            error = self.assertRaises(
                sources_base.SourceError, self.collect_in, 'in', output
            )
            self.assertIn('another directory', str(error))
        self.assertEqual(
            ['a.jsonl'], os.listdir(os.path.join(self.source, 'in'))
        )

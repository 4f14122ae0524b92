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
import csv
import io
import json
import logging
import os
import subprocess
import sys

import fixtures
import yaml

from oslo_tracing.cmd import main
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import data
from oslo_tracing.tests.unit.report.render import test_tree

_REQUEST = 'req-3a48e358-a750-c64d-3f31-a49afa54bba1'


class _Terminal(io.StringIO):
    encoding = 'utf-8'

    def isatty(self):
        return True


class CommandTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(self.directory, 'spans.jsonl')
        self.useFixture(fixtures.EnvironmentVariable('OSLO_TRACING_SOURCE'))
        self.useFixture(base.LogOfACommand())

    def write(self, *lines):
        with open(self.path, 'w') as stream:
            stream.writelines(lines)
        return self.path

    def run_main(self, *argv, out=None):
        """Exit code, standard output and standard error of the command."""
        out = io.StringIO() if out is None else out
        err = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main.main(list(argv))
        return code, out.getvalue(), err.getvalue()


class ShowTest(CommandTestCase):
    def test_the_trace_of_a_request_as_a_tree(self):
        self.write(*data.boot())

        for asked in (_REQUEST, data.TRACE, '3a48'):
            self.assertEqual(
                (0, '\n'.join(test_tree.BOOT) + '\n', ''),
                self.run_main('show', '--source', self.path, asked),
            )

    def test_the_source_may_be_in_the_environment(self):
        self.write(*data.boot())
        self.useFixture(
            fixtures.EnvironmentVariable('OSLO_TRACING_SOURCE', self.directory)
        )

        code, out, _ = self.run_main('show', data.TRACE)

        self.assertEqual(0, code)
        self.assertIn('nova-conductor', out)

    def test_all_spans_on_request(self):
        self.write(*data.boot())

        _, out, _ = self.run_main(
            'show', '--source', self.path, '--all', data.TRACE
        )

        self.assertEqual(5, out.count('SELECT instances (client)'))

    def test_attributes_on_request(self):
        hostile = '\x1b[2J\n' + 'x' * 10**6
        self.write(
            data.line(
                'nova',
                data.span(1, attributes={'b': 2, 'a': 'one', 'c': hostile}),
                *(data.span(n, 1, attributes={'n': n}) for n in range(2, 6)),
            )
        )

        _, out, _ = self.run_main(
            'show', '--source', self.path, '--attributes', data.TRACE
        )

        told = [line.strip() for line in out.splitlines() if ' = ' in line]
        self.assertEqual(['a = one', 'b = 2'], told[:2])
        self.assertTrue(told[2].startswith(r'c = \x1b[2J\nxxx'), told[2][:99])
        self.assertEqual(['n = 2', 'n = 3', 'n = 4', 'n = 5'], told[3:])
        self.assertLess(len(out), 5000)
        _, out, _ = self.run_main('show', '--source', self.path, data.TRACE)
        self.assertNotIn(' = ', out)

    def test_without_an_id_the_newest_is_shown_and_named(self):
        self.write(
            data.line('nova', data.span(1, name='older')),
            data.line(
                'nova',
                data.span(1, name='newer', start=5, trace_id='b' * 32),
            ),
        )

        code, out, err = self.run_main('show', '--source', self.path)

        self.assertEqual(0, code)
        self.assertIn('nova: newer', out)
        self.assertNotIn('older', out)
        self.assertIn(f'2 traces; this is the newest, {"b" * 32}', err)

    def test_the_only_trace_needs_no_explanation(self):
        self.write(*data.boot())

        code, _, err = self.run_main('show', '--source', self.path)

        self.assertEqual((0, ''), (code, err))

    def test_the_oldest_is_first_by_corrected_clocks(self):
        asked = 'req-00000000-0000-4000-8000-000000000001'
        ids = {'openstack.global_request_id': asked}
        elsewhere = data.document(
            'glance',
            data.span(
                2, 1, 'answer', -3_600_000, 60, kind=2, trace_id='b' * 32
            ),
        )
        elsewhere['resourceSpans'][0]['resource']['attributes'].append(
            data.attribute('host.name', 'two')
        )
        self.write(
            data.line(
                'nova',
                data.span(1, None, 'first', attributes=ids),
                data.span(
                    1,
                    None,
                    'second',
                    1500,
                    100,
                    kind=3,
                    trace_id='b' * 32,
                    attributes=ids,
                ),
            ),
            json.dumps(elsewhere) + '\n',
        )

        _, out, _ = self.run_main('show', '--source', self.path, asked)

        self.assertIn(', 1.50 s after the first\n', out)
        self.assertLess(out.index('nova: first'), out.index('nova: second'))

    def test_traces_of_one_global_request_id_are_shown_together(self):
        asked = 'req-00000000-0000-4000-8000-000000000001'
        ids = {'openstack.global_request_id': asked}
        self.write(
            data.line(
                'nova',
                data.span(
                    1,
                    None,
                    'second',
                    1500,
                    trace_id='b' * 32,
                    attributes=ids,
                ),
                data.span(1, None, 'first', attributes=ids),
                data.span(1, None, 'stranger', trace_id='c' * 32),
            )
        )

        code, out, _ = self.run_main('show', '--source', self.path, asked)

        self.assertEqual(0, code)
        self.assertIn('2 traces belong to this request.', out)
        self.assertLess(out.index('nova: first'), out.index('nova: second'))
        self.assertIn('1.50 s after the first', out)
        self.assertNotIn('stranger', out)

    def test_what_is_not_there_ends_with_2(self):
        self.write(*data.boot())

        code, out, err = self.run_main('show', '--source', self.path, 'f' * 32)

        self.assertEqual((2, ''), (code, out))
        self.assertEqual(f'no trace for {"f" * 32} in {self.path}\n', err)
        self.write('')
        code, _, err = self.run_main('show', '--source', self.path)
        self.assertEqual(2, code)
        self.assertEqual(f'no traces in {self.path}\n', err)

    def test_wrong_usage_ends_with_1_and_one_sentence(self):
        self.write(
            data.line('nova', data.span(1)),
            data.line('nova', data.span(1, trace_id='3a48' + 'b' * 28)),
        )
        for argv, said in (
            (['show'], 'no source: give --source SOURCE'),
            (['show', '--source', '/no/such'], 'cannot read /no/such'),
            (['show', '--source', self.path, 'zz'], 'zz is no id'),
            (['show', '--source', self.path, '3a48'], '2 traces start with'),
        ):
            logging.getLogger().handlers.clear()
            code, out, err = self.run_main(*argv)
            self.assertEqual((1, ''), (code, out))
            self.assertIn(said, err)
            self.assertEqual(1, err.count('\n'), err)
        for argv in (
            ['show', 'a', 'b'],
            ['show', '--sauce'],
            ['--sauce'],
            ['shew'],
            ['xyzzy', 'y'],
        ):
            self.assertEqual(1, self.run_main(*argv)[0], argv)

    def test_what_was_passed_over_is_told_and_the_rest_shown(self):
        self.write(*data.boot(), 'broken\n' * 3, '{"resourceSpans": [{')

        code, out, err = self.run_main(
            'show', '--source', self.path, data.TRACE
        )

        self.assertEqual(0, code)
        self.assertEqual('\n'.join(test_tree.BOOT) + '\n', out)
        self.assertEqual(
            f'warning: {self.path}, line 3: not JSON; passed over (3 times)\n'
            f'warning: {self.path}, line 6: a document cut short passed '
            'over\n',
            err,
        )

    def test_many_problems_are_told_in_a_few_lines(self):
        self.write(
            *data.boot(),
            data.line('x', *[{f'f{n}': 1} for n in range(500)]),
        )

        _, _, err = self.run_main('show', '--source', self.path, data.TRACE)

        self.assertEqual(21, err.count('\n'))
        self.assertIn('more like these', err)

    def test_a_terminal_has_colours_and_its_width(self):
        self.write(*data.boot())
        for name, value in (
            ('COLUMNS', '60'),
            ('NO_COLOR', None),
            ('TERM', 'xterm'),
        ):
            self.useFixture(fixtures.EnvironmentVariable(name, value))

        _, out, _ = self.run_main(
            'show', '--source', self.path, out=_Terminal()
        )

        self.assertIn('\x1b[36mnova-api: \x1b[0m', out)
        self.useFixture(fixtures.EnvironmentVariable('NO_COLOR', '1'))
        _, out, _ = self.run_main(
            'show', '--source', self.path, out=_Terminal()
        )
        self.assertNotIn('\x1b', out)
        self.assertEqual(60, max(len(x) for x in out.splitlines()[:-1]))
        self.useFixture(fixtures.EnvironmentVariable('NO_COLOR'))
        self.useFixture(fixtures.EnvironmentVariable('TERM', 'dumb'))
        _, out, _ = self.run_main(
            'show', '--source', self.path, out=_Terminal()
        )
        self.assertNotIn('\x1b', out)


class ListTest(CommandTestCase):
    def _write_three(self):
        self.write(
            *data.boot(),
            data.line(
                'glance',
                data.span(1, None, 'long', -9000, 9000, trace_id='b' * 32),
            ),
            data.line(
                'nova',
                data.span(2, 1, 'rest', 5, 1, trace_id='c' * 32),
            ),
        )

    def _rows(self, *argv):
        code, out, err = self.run_main(
            'list', '--source', self.path, '-f', 'json', *argv
        )
        self.assertEqual((0, ''), (code, err))
        return json.loads(out)

    def test_every_column(self):
        self.write(*data.boot())

        self.assertEqual(
            [
                {
                    'Trace ID': data.TRACE,
                    'Start': '2026-11-20T16:40:00.000Z',
                    'Root': 'POST /v2.1/servers',
                    'Services': ['nova-api', 'nova-conductor'],
                    'Spans': 10,
                    'Duration ms': 200.0,
                    'Errors': 1,
                    'Request ID': _REQUEST,
                }
            ],
            self._rows(),
        )

    def test_the_newest_first_unless_sorted_otherwise(self):
        self._write_three()

        def roots(*argv):
            return [row['Root'] for row in self._rows(*argv)]

        rest, boot = '(no root) rest', 'POST /v2.1/servers'
        self.assertEqual([rest, boot, 'long'], roots())
        self.assertEqual(['long', boot, rest], roots('--sort', 'duration'))
        self.assertEqual([boot], roots('--sort', 'spans', '--limit', '1'))
        self.assertEqual(boot, roots('--sort', 'errors')[0])
        self.assertEqual(
            [rest, boot, 'long'],
            roots('--sort-column', 'Root', '--sort-ascending'),
        )

    def test_durations_are_sorted_as_numbers_in_every_format(self):
        self.write(
            *[
                data.line(
                    'x', data.span(1, took=took, trace_id=f'{took:032x}')
                )
                for took in (9, 100, 20, 3)
            ]
        )

        def durations(formatter):
            _, out, _ = self.run_main(
                *('list', '--source', self.path, '-f', formatter),
                *('--sort-column', 'Duration ms', '-c', 'Duration ms'),
            )
            return out

        self.assertEqual(
            '+-------------+\n'
            '| Duration ms |\n'
            '+-------------+\n'
            '| 3.00        |\n'
            '| 9.00        |\n'
            '| 20.00       |\n'
            '| 100.00      |\n'
            '+-------------+\n',
            durations('table'),
        )
        self.assertEqual('3.0\n9.0\n20.0\n100.0\n', durations('value'))
        self.assertEqual(
            ['3.0', '9.0', '20.0', '100.0'], durations('csv').split()[2:]
        )
        self.assertEqual(
            [3.0, 9.0, 20.0, 100.0],
            [row['Duration ms'] for row in json.loads(durations('json'))],
        )

    def test_the_table_names_three_services(self):
        self.write(
            *[
                data.line(f'service-{n}', data.span(n, n - 1 or None))
                for n in range(1, 7)
            ]
        )

        code, out, _ = self.run_main('list', '--source', self.path)

        self.assertEqual(0, code)
        self.assertIn('| service-1, service-2, service-3 +3 |     6 |', out)

    def test_yaml(self):
        self.write(*data.boot())

        _, out, _ = self.run_main('list', '--source', self.path, '-f', 'yaml')

        (row,) = yaml.safe_load(out)
        self.assertEqual(10, row['Spans'])
        self.assertEqual(['nova-api', 'nova-conductor'], row['Services'])

    def test_csv_cells_that_a_spreadsheet_would_run_are_quoted(self):
        names = ['=1+1', '+1', '-1', '@SUM(1)', '\t=1', 'plain']
        self.write(
            *[
                data.line(
                    name,
                    data.span(1, None, name, -n, trace_id=f'{n + 1:032x}'),
                )
                for n, name in enumerate(names)
            ]
        )

        _, out, _ = self.run_main('list', '--source', self.path, '-f', 'csv')

        rows = list(csv.DictReader(io.StringIO(out), escapechar='\\'))
        expected = ["'=1+1", "'+1", "'-1", "'@SUM(1)", '\\t=1', 'plain']
        self.assertEqual(expected, [row['Root'] for row in rows])
        self.assertEqual(expected, [row['Services'] for row in rows])

    def test_hostile_text_is_harmless_in_every_format(self):
        hostile = '\x1b[2J\n\u202e\ud800' + 'x' * 10**6
        self.write(
            data.line(
                hostile,
                data.span(
                    1,
                    None,
                    hostile,
                    attributes={'openstack.request_id': hostile},
                ),
            )
        )

        for formatter in ('table', 'json', 'yaml', 'csv', 'value'):
            code, out, _ = self.run_main(
                'list', '--source', self.path, '-f', formatter
            )
            self.assertEqual(0, code)
            self.assertTrue(out.replace('\n', '').isprintable(), ascii(out))
            self.assertLess(len(out), 5000)
            out.encode('utf-8')

    def test_nothing_to_list_ends_with_2(self):
        self.write('{"resourceSpans": []}\n')

        code, out, err = self.run_main(
            'list', '--source', self.path, '-f', 'json'
        )

        self.assertEqual(2, code)
        self.assertEqual([], json.loads(out))
        self.assertEqual(f'no traces in {self.path}\n', err)

    def test_a_limit_that_is_none_is_refused(self):
        self.write(*data.boot())

        for limit in ('0', '-1', 'many', '9' * 5000, '٣'):
            code, _, err = self.run_main(
                'list', '--source', self.path, f'--limit={limit}'
            )
            self.assertEqual(1, code)
            self.assertIn('--limit', err)


class MainTest(CommandTestCase):
    def test_help_tells_the_exit_codes(self):
        for argv in (
            ['--help'],
            ['list', '--help'],
            ['help', 'show'],
            ['show', '-h'],
        ):
            code, out, _ = self.run_main(*argv)
            self.assertEqual(0, code)
            self.assertIn('exit codes: 0 found; 1 wrong usage', out)

    def test_without_a_command_the_help_is_shown(self):
        code, out, _ = self.run_main()

        self.assertEqual(1, code)
        self.assertIn('usage: oslo-tracing ', out)

    def test_the_version_names_the_program(self):
        code, out, _ = self.run_main('--version')

        self.assertEqual(0, code)
        self.assertRegex(out, r'^oslo-tracing \S+\n$')


class ProcessTest(CommandTestCase):
    """The same through a process of its own, as scripts run it."""

    def _run(self, *argv, stdin='', **environ):
        return subprocess.run(
            [sys.executable, '-m', 'oslo_tracing.cmd.main', *argv],
            input=stdin.encode(),
            capture_output=True,
            env={**os.environ, **environ},
            check=False,
        )

    def test_a_trace_on_standard_input(self):
        ended = self._run(
            'show',
            '--source',
            '-',
            _REQUEST,
            stdin=''.join(data.boot()),
            PYTHONIOENCODING='utf-8',
        )

        self.assertEqual(b'', ended.stderr)
        self.assertEqual(0, ended.returncode)
        self.assertEqual(
            '\n'.join(test_tree.BOOT) + '\n', ended.stdout.decode()
        )

    def test_an_encoding_without_boxes_gets_ascii(self):
        line = data.line('nová', data.span(1), data.span(2, 1, '服务'))

        ended = self._run(
            'show', '--source', '-', stdin=line, PYTHONIOENCODING='iso-8859-1'
        )

        self.assertEqual(0, ended.returncode)
        self.assertIn(
            b'`- nov\xe1: \\u670d\\u52a1\n', ended.stdout, ended.stderr
        )

    def test_exit_codes(self):
        path = self.write(*data.boot())

        for code, argv in (
            (0, ['list', '--source', path]),
            (0, ['show', '--source', path]),
            (1, ['show', '--source', path, '--sauce']),
            (1, ['show', '--source', path + '.none']),
            (1, ['shew']),
            (1, []),
            (2, ['show', '--source', path, 'f' * 32]),
        ):
            ended = self._run(*argv)
            self.assertEqual(code, ended.returncode, (argv, ended.stderr))
            self.assertNotIn(b'Traceback', ended.stderr)

    def test_streams_that_are_closed_cost_only_what_is_told(self):
        path = self.write(*data.boot())
        page = os.path.join(self.directory, 'page.html')

        for code, argv in (
            (0, ['list', '--source', path]),
            (0, ['show', '--source', path]),
            (0, ['report', '--source', path, '--output', page]),
            (1, ['show', '--source', path + '.none']),
            (127, ['run', '--', path + '.none']),
        ):
            for streams in ('>&-', '2>&-', '<&- >&- 2>&-'):
                ended = subprocess.run(
                    [
                        *('sh', '-c', f'exec "$@" {streams}', 'sh'),
                        *(sys.executable, '-m', 'oslo_tracing.cmd.main'),
                        *argv,
                    ],
                    capture_output=True,
                    check=False,
                )
                self.assertEqual(code, ended.returncode, (argv, streams))
                self.assertNotIn(b'Traceback', ended.stderr)
        self.assertTrue(os.path.exists(page))

    def test_a_reader_that_has_seen_enough_is_no_error(self):
        spans = [data.span(n, n - 1 or None) for n in range(1, 5000)]
        path = self.write(data.line('nova', *spans))
        read, written = os.pipe()
        os.close(read)

        with os.fdopen(written, 'wb') as pipe:
            command = ['-m', 'oslo_tracing.cmd.main', 'show', '--source', path]
            ended = subprocess.run(
                [sys.executable, *command],
                stdout=pipe,
                stderr=subprocess.PIPE,
                check=False,
            )

        self.assertEqual(b'', ended.stderr)


class WithoutStartTest(CommandTestCase):
    def setUp(self):
        super().setUp()
        lost = data.span(2, 1, 'lost', 10, 80, kind=3)
        lost['startTimeUnixNano'] = '0'
        none = data.span(4, 1, 'none')
        del none['startTimeUnixNano'], none['endTimeUnixNano']
        self.write(
            data.line('nova', data.span(1, None, 'root', 0, 100), lost, none)
        )

    def _rows(self, *options):
        code, out, err = self.run_main(
            'list', '--source', self.path, '-f', 'json', *options
        )
        return code, json.loads(out or '[]'), err

    def test_a_list_has_the_times_of_the_others(self):
        code, (row,), err = self._rows('--since', '2026-01-01')

        self.assertEqual(0, code)
        self.assertEqual('2026-11-20T16:40:00.000Z', row['Start'])
        self.assertEqual((100.0, 3), (row['Duration ms'], row['Spans']))
        self.assertEqual(
            '2 spans have no start: times are of what is known\n', err
        )

    def test_a_trace_of_no_time_started_at_none(self):
        span = data.span(1)
        del span['startTimeUnixNano'], span['endTimeUnixNano']
        self.write(data.line('nova', span))

        code, (row,), err = self._rows()

        self.assertEqual(('unknown', 0.0), (row['Start'], row['Duration ms']))
        self.assertIn('1 span has no start', err)
        for option in ('--since', '--until'):
            code, rows, _ = self._rows(option, '2026-01-01')
            self.assertEqual((2, []), (code, rows))

    def test_a_sum_has_the_times_of_the_others(self):
        lost = data.span(5, 1, 'root', 0, 100)
        lost['startTimeUnixNano'] = '0'
        self.write(data.line('nova', data.span(1, None, 'root', 0, 50), lost))

        code, out, err = self.run_main(
            'top', '--source', self.path, '-f', 'json'
        )

        (row,) = json.loads(out)
        self.assertEqual((0, 2), (code, row['Count']))
        columns = ('Total ms', 'Mean ms', 'p50 ms', 'p95 ms')
        self.assertEqual([50.0] * 4, [row[column] for column in columns])
        self.assertEqual(
            '1 span has no start: times are of what is known\n', err
        )

    def test_calls_have_the_times_of_the_others(self):
        spans = [data.span(n, None, 'GET', 0, 50, kind=3) for n in range(1, 4)]
        for span in spans:
            span['attributes'] = data.attributes({'server.address': 'glance'})
        spans[0]['startTimeUnixNano'] = '0'
        self.write(data.line('nova', *spans))

        code, out, err = self.run_main(
            'map', '--source', self.path, '-f', 'json'
        )

        (row,) = json.loads(out)
        self.assertEqual((0, 3), (code, row['Count']))
        self.assertEqual(50.0, row['p50 ms'])
        self.assertIn('1 span has no start', err)

    def test_the_tree_tells_once_and_where(self):
        _, out, _ = self.run_main('show', '--source', self.path)

        self.assertIn('Duration  100.00 ms\n', out)
        self.assertIn(
            'No start  2 spans, which took more than is shown\n', out
        )
        (lost,) = [each for each in out.splitlines() if 'nova: lost' in each]
        self.assertTrue(lost.startswith('    unknown       0.00'), lost)

    def test_an_export_has_it_as_it_was_recorded(self):
        _, out, _ = self.run_main('export', '--source', self.path, data.TRACE)

        (batch,) = json.loads(out)['resourceSpans']
        found = {
            span['name']: (span['startTimeUnixNano'], span['endTimeUnixNano'])
            for span in batch['scopeSpans'][0]['spans']
        }
        self.assertEqual(('0', '0'), found['none'])
        self.assertEqual(('0', str(data.NOON + 90 * data.MS)), found['lost'])


class WithoutServiceTest(CommandTestCase):
    def setUp(self):
        super().setUp()
        lines = []
        for number, name in enumerate(('', ' \t', None)):
            first = 2 * number + 1
            batch = data.batch(
                name,
                data.span(first, None, 'root', 0, 100, kind=2),
                data.span(
                    first + 1,
                    first,
                    'call',
                    10,
                    80,
                    kind=3,
                    attributes={'db.system.name': 'mysql'},
                ),
            )
            if name is None:
                batch['resource']['attributes'] = []
            lines.append(json.dumps({'resourceSpans': [batch]}) + '\n')
        self.write(*lines)

    def _rows(self, *command):
        _, out, _ = self.run_main(
            *command, '--source', self.path, '-f', 'json'
        )
        return json.loads(out)

    def test_rows_say_so_in_one_way(self):
        for command, column, expected in (
            (('list',), 'Services', [['(no service)']]),
            (('top',), 'Service', ['(no service)'] * 2),
            (('map',), 'Caller', ['(no service)']),
            (('diff', '3a48', '3a48'), 'Service', ['(no service)'] * 2),
        ):
            rows = self._rows(*command)
            self.assertEqual(expected, [row[column] for row in rows], command)

    def test_so_does_a_tree(self):
        _, out, _ = self.run_main('show', '--source', self.path)

        self.assertIn('Services  (no service) 6\n', out)
        self.assertEqual(3, out.count('(no service): root'))

    def test_so_do_graphs_and_pages(self):
        _, out, _ = self.run_main('map', '--dot', '--source', self.path)
        self.assertEqual(1, out.count('"(no service)" [shape=box]'))
        _, out, _ = self.run_main(
            'export', '--as', 'chrome', '--source', self.path, '3a48'
        )
        self.assertEqual(1, out.count('"(no service)"'))
        self.run_main(
            'report',
            '--all',
            '--source',
            self.path,
            '--output',
            self.directory,
        )
        for name in ('index', f'trace-{data.TRACE}'):
            with open(f'{self.directory}/{name}.html') as stream:
                self.assertIn('"(no service)"', stream.read())

    def test_what_it_says_can_be_asked_for(self):
        (row,) = self._rows('list', '--service', '(no*')

        self.assertEqual(6, row['Spans'])

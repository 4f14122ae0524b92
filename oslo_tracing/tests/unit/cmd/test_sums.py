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

"""The commands that add traces up, and those that hand them on."""

import csv
import io
import json
import pathlib

from oslo_tracing.tests.unit.cmd import test_commands
from oslo_tracing.tests.unit.report import data


class SumsTest(test_commands.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.write(*data.boot())

    def _run(self, *argv):
        return self.run_main(argv[0], '--source', self.path, *argv[1:])

    def _rows(self, *argv):
        code, out, err = self._run(*argv, '-f', 'json')
        self.assertEqual((0, ''), (code, err))
        return json.loads(out)

    def test_top(self):
        rows = self._rows('top')

        self.assertEqual(
            ['conductor/build', 'POST /v2.1/servers', 'API.create'],
            [row['Name'] for row in rows[:3]],
        )
        statements = self._rows('top', '--kind', 'call')
        self.assertEqual(
            [('SELECT instances', 5, 3.5), ('INSERT instances', 1, 12.25)],
            sorted(
                ((r['Name'], r['Count'], r['Total ms']) for r in statements),
                reverse=True,
            ),
        )
        (failed,) = self._rows('top', '--sort', 'errors', '--limit', '1')
        self.assertEqual(
            ('INSERT instances', 1), (failed['Name'], failed['Errors'])
        )

    def test_map(self):
        rows = self._rows('map')

        self.assertIn(
            ('nova-api', 'nova-conductor', True),
            [(row['Caller'], row['Asks'], row['Recorded']) for row in rows],
        )
        code, out, _ = self._run('map', '--dot')
        self.assertEqual(0, code)
        self.assertIn('"nova-api" -> "nova-conductor"', out)

    def test_diff_of_two_traces(self):
        self.write(
            *data.boot(),
            data.line(
                'nova-api',
                data.span(1, name='API.create', took=90, trace_id='b' * 32),
            ),
        )

        rows = {row['Name']: row for row in self._rows('diff', '3a48', 'bbbb')}

        self.assertEqual(50, rows['API.create']['Change ms'])
        self.assertEqual(0, rows['SELECT instances']['Count after'])

    def test_diff_with_another_source(self):
        rows = self._rows('diff', '--with', self.path, 'all', 'all')

        self.assertEqual({0}, {row['Change ms'] for row in rows})

    def test_diff_with_a_trace_that_is_not_there(self):
        code, out, err = self._run('diff', '3a48', 'd' * 32)

        self.assertEqual((1, ''), (code, out))
        self.assertIn(f'no trace for {"d" * 32}', err)

    def test_export_reads_back(self):
        code, out, err = self._run('export', '3a48')
        self.assertEqual((0, ''), (code, err))
        with open(self.path, 'w') as stream:
            stream.write(out)

        _, again, _ = self._run('show', '3a48')

        self.assertIn('INSERT instances', again)
        self.assertIn('Spans     10', again)

    def test_export_for_chrome(self):
        code, out, _ = self._run('export', '--as', 'chrome', '3a48')

        self.assertEqual(0, code)
        events = json.loads(out)['traceEvents']
        self.assertEqual(10, sum(event['ph'] == 'X' for event in events))

    def test_export_of_nothing(self):
        code, out, err = self._run('export', 'd' * 32)

        self.assertEqual((2, ''), (code, out))
        self.assertIn('no trace for', err)

    def test_where_there_is_nothing(self):
        self.write()
        for command, said in (
            ('top', 'no traces in'),
            ('map', 'no calls in'),
        ):
            code, _, err = self._run(command)
            self.assertEqual(2, code, command)
            self.assertIn(said, err)

    def test_no_cell_is_a_formula(self):
        self.write(
            data.line('=cmd()', data.span(1, name='@SUM(1)', kind=2)),
            data.line(
                '=cmd()',
                data.span(
                    2,
                    1,
                    name='-2+3',
                    kind=3,
                    attributes={'server.address': '+1'},
                ),
            ),
        )
        for command in ('top', 'map', 'list'):
            _, out, _ = self._run(command, '-f', 'csv')
            for row in list(csv.reader(io.StringIO(out)))[1:]:
                for cell in row:
                    self.assertNotIn(cell[:1], ('=', '@', '+', '-'), row)


class ReportTest(test_commands.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.write(
            *data.boot(),
            data.line('nova', data.span(1, name='other', trace_id='b' * 32)),
        )
        self.pages = pathlib.Path(self.directory, 'pages')

    def _run(self, *argv):
        return self.run_main(
            'report', '--source', self.path, '--output', str(self.pages), *argv
        )

    def test_one_trace_is_one_file(self):
        self.assertEqual((0, f'{self.pages}\n', ''), self._run('3a48'))

        page = self.pages.read_text()
        self.assertIn('INSERT instances', page)
        self.assertNotIn('other', page.partition('id="data"')[2][:2000])

    def test_all_with_an_index(self):
        code, out, err = self._run('--all', '--title', 'A run')

        self.assertEqual(
            (0, f'{self.pages}/index.html\n', ''), (code, out, err)
        )
        self.assertEqual(
            {
                'index.html',
                f'trace-{data.TRACE}.html',
                f'trace-{"b" * 32}.html',
            },
            {path.name for path in self.pages.iterdir()},
        )
        self.assertIn(
            '<title>A run</title>', (self.pages / 'index.html').read_text()
        )

    def test_two_traces_are_a_directory(self):
        code, out, _ = self._run('3a48', 'bbbb')

        self.assertEqual((0, f'{self.pages}/index.html\n'), (code, out))

    def test_a_trace_that_is_not_there(self):
        code, out, err = self._run('d' * 32)

        self.assertEqual((2, ''), (code, out))
        self.assertIn('no trace for', err)
        self.assertFalse(self.pages.exists())

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

"""What is told where the system says no."""

import itertools
import os
import subprocess
import sys

from oslo_tracing.tests.unit.cmd import test_commands
from oslo_tracing.tests.unit.report import data

_MAIN = 'oslo_tracing.cmd.main'


class CannotWriteTest(test_commands.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.write(*data.boot())

    def assert_told(self, path, why, *argv):
        self.assertEqual(
            (1, '', f'cannot write {path}: {why}\n'), self.run_main(*argv)
        )

    def test_a_page_in_no_directory(self):
        path = os.path.join(self.directory, 'none', 'page.html')
        self.assert_told(
            path,
            'No such file or directory',
            *('report', '--source', self.path, '--output', path),
        )

    def test_a_page_where_a_directory_is(self):
        self.assert_told(
            self.directory,
            'Is a directory',
            *('report', '--source', self.path, '--output', self.directory),
        )

    def test_pages_where_a_file_is(self):
        self.assert_told(
            self.path,
            'File exists',
            *('report', '--all', '--source', self.path),
            *('--output', self.path),
        )

    def test_copies_where_a_file_is(self):
        self.assert_told(
            self.path,
            'File exists',
            *('collect', self.directory, '--output', self.path),
        )

    def test_a_name_cannot_draw_on_the_terminal(self):
        path = os.path.join(self.directory, '\x1b[2J', 'page.html')
        _code, _out, err = self.run_main(
            'report', '--source', self.path, '--output', path
        )
        self.assertIn(r'\x1b[2J', err)
        self.assertNotIn('\x1b', err)

    def test_a_full_disk(self):
        for command, unbuffered in itertools.product(
            (
                'list',
                'show',
                'map',
                'top',
                'check',
                '--version',
                f'export {data.TRACE}',
                f'collect {self.directory} --output {self.directory}/copies',
            ),
            ('', '1'),
        ):
            if command == '--version' and unbuffered:
                # Of which argparse tells nothing.
                continue
            environment = {
                **os.environ,
                'OSLO_TRACING_SOURCE': self.path,
                'PYTHONUNBUFFERED': unbuffered,
            }
            with open('/dev/full', 'w') as full:
                done = subprocess.run(
                    [sys.executable, '-m', _MAIN, *command.split()],
                    env=environment,
                    stdout=full,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            # The newest of several traces is named there, too.
            told = done.stderr.splitlines()[-1]
            self.assertEqual(
                (1, 'cannot write the output: No space left on device'),
                (done.returncode, told),
                command,
            )


class CannotReadTest(test_commands.CommandTestCase):
    def assert_told(self, out, *argv):
        code, told, _err = self.run_main('check', '--no-span', *argv)
        self.assertEqual((1, f'error: {out}\n'), (code, told))

    def test_files_of_a_configuration(self):
        missing = os.path.join(self.directory, 'none.ini')
        self.assert_told(
            f'cannot read {missing}: No such file or directory',
            *('--uwsgi', missing),
        )
        for option in ('--uwsgi', '--config-file'):
            self.assert_told(
                f'cannot read {self.directory}: Is a directory',
                *(option, self.directory),
            )

    def test_a_server_that_nobody_can_ask(self):
        for source in (
            'jaeger+ftp://host:1',
            'ftp://user:secret@host/traces',
            'JAEGER+HTTP://host:16686',
        ):
            code, _out, err = self.run_main('list', '--source', source)
            self.assertEqual(1, code)
            self.assertTrue(err.startswith('say what the server is,'), err)
            self.assertNotIn('secret', err)

    def test_a_file_may_have_such_a_name(self):
        os.makedirs(os.path.join(self.directory, 'a:'))
        self.path = os.path.join(self.directory, 'a:', 'b.jsonl')
        self.write(*data.boot())
        code, out, _err = self.run_main('list', '--source', self.path)
        self.assertEqual(0, code)
        self.assertIn(data.TRACE, out)

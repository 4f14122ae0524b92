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

"""Settings of plugin and roles, and what the documentation says of them."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import fixtures

from oslo_tracing.tests import base

_ROOT = pathlib.Path(__file__).parents[3]


def _variables():
    path = _ROOT / 'doc/ext/variables.py'
    spec = importlib.util.spec_from_file_location('variables', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class VariablesTest(base.TestCase):
    def _tree(self):
        """Copy what the check reads."""
        top = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name in ('devstack', 'roles', 'doc/source/contributor'):
            shutil.copytree(_ROOT / name, top / name)
        return top

    def test_each_is_documented_once(self):
        found = _variables()
        self.assertEqual([], found.complaints(_ROOT))
        # It has seen those of the plugin and of both roles.
        there = found.public(_ROOT)
        for name in (
            'TRACING_BACKEND',
            'collect_traces_max_bytes',
            'report_traces_limit',
        ):
            self.assertIn(name, there)

    def test_one_that_is_missing_is_told(self):
        top = self._tree()
        with open(top / 'devstack/settings', 'a') as stream:
            stream.write('TRACING_NEW=${TRACING_NEW:-}\n')
        with open(top / 'roles/report-traces/defaults/main.yaml', 'a') as role:
            role.write('report_traces_new: 1\n')
        self.assertEqual(
            [
                'TRACING_NEW is not documented',
                'report_traces_new is not documented',
            ],
            _variables().complaints(top),
        )

    def test_one_that_is_gone_or_told_twice_is_told(self):
        top = self._tree()
        with open(top / 'doc/source/contributor/ci.rst', 'a') as stream:
            stream.write('\n.. envvar:: TRACING_OLD\n')
            stream.write('\n.. envvar:: TRACING_DIR\n')
        self.assertEqual(
            [
                'TRACING_OLD does not exist',
                'TRACING_DIR is documented 2 times',
            ],
            _variables().complaints(top),
        )


class SizingTest(base.TestCase):
    def _sheet(self, *words):
        return subprocess.run(
            [sys.executable, _ROOT / 'tools/sizing/sheet', *words],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, 'COLUMNS': '79'},
        ).stdout

    def test_the_documentation_has_what_the_script_says(self):
        path = _ROOT / 'doc/source/admin/large-cloud-sheet.inc'
        self.assertEqual(path.read_text(), self._sheet())

    def test_twice_the_requests_are_twice_the_spans(self):
        def everything(sheet):
            lines = sheet.split('\n')
            place = lines.index('   * - everything (the default)')
            return int(lines[place + 1].strip(' -').replace(' ', ''))

        once = self._sheet()
        twice = self._sheet(
            *('--boots', '4', '--volumes', '2', '--lists', '200'),
            *('--volume-lists', '100', '--tokens', '40'),
        )
        self.assertAlmostEqual(2 * everything(once), everything(twice), -1)

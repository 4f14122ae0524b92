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

"""Our provider passes the tests of the SDK's."""

from __future__ import annotations

import glob
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tarfile

import fixtures
import testtools
from testtools import content

from oslo_tracing.tests.conformance import different

#: Tests that pass on the SDK's own provider; fewer were not the whole suite.
_AT_LEAST = 200
_MINUTES = 5

Results = dict[str, dict[str, str]]


class SdkTest(testtools.TestCase):
    def _source(self) -> str:
        """Download and unpack the source of the SDK that is installed."""
        missing = [
            name
            for name in ('pytest', 'opentelemetry.test')
            if importlib.util.find_spec(name) is None
        ]
        if missing:
            self._lacks(', '.join(missing))
        version = importlib.metadata.version('opentelemetry-sdk')
        path = self.useFixture(fixtures.TempDir()).path
        fetched = subprocess.run(
            [
                *(sys.executable, '-m', 'pip', 'download', '--quiet'),
                *('--no-deps', '--no-binary', 'opentelemetry-sdk'),
                *('--dest', path, f'opentelemetry-sdk=={version}'),
            ],
            capture_output=True,
            text=True,
            timeout=60 * _MINUTES,
        )
        archives = glob.glob(os.path.join(path, '*.tar.gz'))
        if fetched.returncode or not archives:
            self._lacks(f'its source\n{fetched.stderr}')
        with tarfile.open(archives[0]) as archive:
            archive.extractall(path, filter='data')
        (root,) = glob.glob(os.path.join(path, '*', 'tests', 'trace'))
        return os.path.dirname(os.path.dirname(root))

    def _lacks(self, what: str) -> None:
        why = f'the tests of the SDK need {what}'
        if os.environ.get('OSLO_TRACING_NO_SKIP'):
            self.fail(why)
        self.skipTest(why)

    def _run(self, source: str, *options: str) -> Results:
        results = os.path.join(source, f'results{len(options)}')
        ended = subprocess.run(
            [
                *(sys.executable, '-m', 'oslo_tracing.tests.conformance.run'),
                *(source, results, *options),
            ],
            capture_output=True,
            text=True,
            timeout=60 * _MINUTES,
        )
        self.addDetail(
            f'output {options}', content.text_content(ended.stdout[-8000:])
        )
        self.assertEqual(0, ended.returncode, ended.stderr)
        with open(results) as lines:
            return {found['test']: found for found in map(json.loads, lines)}

    def test_what_passes_on_theirs_passes_on_ours(self) -> None:
        source = self._source()

        theirs = self._run(source)
        ours = self._run(source, '--ours')

        passed = [
            test
            for test, found in theirs.items()
            if found['outcome'] == 'passed'
        ]
        self.assertLess(_AT_LEAST, len(passed))
        wrong = []
        differing = set()
        for test in passed:
            found = ours.get(test, {'outcome': 'missing', 'text': ''})
            why = different.reason(test)
            if found['outcome'] != 'passed':
                differing.add(why)
                if why is None:
                    wrong.append(f'{test}: {found["text"]}')
        self.assertEqual('', '\n'.join(wrong))
        # A reason that is none any more is to be taken out.
        known = {different.reason(test) for test in passed} - {None}
        self.assertEqual(set(), known - differing)

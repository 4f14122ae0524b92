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

"""The entry point that ``opentelemetry-instrument`` loads, loaded as it does.

With the real one: ``tests/neighbours/test_instrument.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import fixtures

from oslo_tracing.tests import base

#: What a sitecustomize does, then what a service does.
SERVICE = """
import importlib.metadata, json, sys
(point,) = importlib.metadata.entry_points(
    group='opentelemetry_instrumentor', name='oslo_tracing')
Instrumentor = point.load()
Instrumentor().instrument(skip_dep_check=True)
EARLY = sorted(name for name in (
    'socket', 'ssl', 'requests', 'eventlet', 'logging', 'oslo_config',
    'oslo_log', 'opentelemetry') if name in sys.modules)
from oslo_config import cfg
from oslo_tracing import _runtime, opts
def on():
    tracing = _runtime.RUNTIME.tracing
    return tracing.settings.service_name if tracing else None
def parse():
    conf = cfg.ConfigOpts()
    conf(sys.argv[1:], project='shelf', default_config_files=[])
    return on()
"""


class InstrumentorTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(self.folder, 'shelf-api')
        self.file = os.path.join(self.folder, 'shelf.conf')

    def told(self, text, config='', **environment):
        with open(self.path, 'w') as file:
            file.write(f'{SERVICE}\n{text}\n')
        with open(self.file, 'w') as file:
            file.write(config)
        done = subprocess.run(
            [sys.executable, self.path, '--config-file', self.file],
            env={
                **os.environ,
                'OS_TRACING__EXPORTERS': 'log',
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=100,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def test_nothing_is_loaded_before_the_service_loads_it(self):
        # What looks for entry points is not ours.
        before = subprocess.check_output(
            [
                sys.executable,
                '-c',
                'import importlib.metadata, sys\n'
                'importlib.metadata.entry_points(group="x")\n'
                'print(*sys.modules)',
            ],
            text=True,
        ).split()
        early = self.told('print(json.dumps(EARLY))')
        self.assertEqual([], [name for name in early if name not in before])

    def test_it_is_on_where_nothing_is_said(self):
        self.assertEqual('shelf-api', self.told('print(json.dumps(parse()))'))

    def test_what_is_said_decides(self):
        said = '[tracing]\nenabled = {}\n'
        for value, expected in (('False', None), ('True', 'shelf-api')):
            told = self.told('print(json.dumps(parse()))', said.format(value))
            self.assertEqual(expected, told)

    def test_the_variables_of_opentelemetry_decide(self):
        told = self.told(
            'print(json.dumps(parse()))', OTEL_SDK_DISABLED='true'
        )
        self.assertIsNone(told)
        told = self.told(
            'print(json.dumps(parse()))', OTEL_SERVICE_NAME='theirs'
        )
        self.assertEqual('theirs', told)

    def test_off_again_and_on_again(self):
        told = self.told(
            'told = [parse()]\n'
            'Instrumentor().uninstrument()\n'
            'told += [on(), parse(), Instrumentor()'
            '.is_instrumented_by_opentelemetry]\n'
            # Neither matters twice.
            'Instrumentor().uninstrument()\n'
            'Instrumentor().instrument()\n'
            'Instrumentor().instrument()\n'
            'told += [parse()]\n'
            'print(json.dumps(told))'
        )
        self.assertEqual(['shelf-api', None, None, False, 'shelf-api'], told)

    def test_a_service_that_sets_tracing_up_itself(self):
        told = self.told(
            'import oslo_tracing\n'
            'told = [parse()]\n'
            'tracing = _runtime.RUNTIME.tracing\n'
            'again = oslo_tracing.setup(service_name="own")\n'
            'print(json.dumps([*told, again is tracing]))'
        )
        self.assertEqual(['shelf-api', True], told)

    def test_it_asks_for_no_library(self):
        told = self.told(
            'print(json.dumps(Instrumentor().instrumentation_dependencies()))'
        )
        self.assertEqual([], told)

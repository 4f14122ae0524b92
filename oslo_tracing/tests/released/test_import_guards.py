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
"""nova's own guard against eventlet, and what it patches, with us in front.

In threading mode nova makes each import of eventlet fail; where eventlet was
imported before, it refuses to start.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import unittest

import fixtures

from oslo_tracing.tests import base

#: Notes what is loaded when somebody begins to look for eventlet, then is
#: nova-conductor up to the moment at which it would connect to its bus.
CONDUCTOR = """
import json, sys
before = []
class Look:
    def find_spec(self, name, path, target=None):
        if name == 'eventlet' and not before:
            before.extend(sorted(sys.modules))
sys.meta_path.insert(0, Look())
{first}
import nova.monkey_patch
from nova.cmd import conductor
from nova import config
from nova import objects
config.parse_args(sys.argv)
from oslo_config import cfg
from oslo_log import log as logging
logging.setup(cfg.CONF, 'nova')
objects.register_all()
import nova.rpc, nova.service, nova.db.main.api
runtime = sys.modules.get('oslo_tracing._runtime')
tracing = runtime and runtime.RUNTIME.tracing
told = {{
    'on': tracing and tracing.settings.service_name,
    'conf': bool(runtime) and runtime.RUNTIME.conf is cfg.CONF,
    'green': nova.monkey_patch.is_patched(),
    'eventlet': 'eventlet' in sys.modules,
    'before': before,
}}
if tracing:
    import oslo_tracing
    with oslo_tracing.span('something', root=True):
        pass
    tracing.processor.force_flush(10000)
    told['exported'] = tracing.stats.snapshot()['exported']
    told['eventlet'] = 'eventlet' in sys.modules
print('TOLD ' + json.dumps(told))
"""
INSTRUMENTED = (
    'from oslo_tracing import instrumentor\n'
    'instrumentor.OsloTracingInstrumentor().instrument()'
)
FORBIDDEN = {'ssl', 'requests', 'urllib3', 'oslo_context', 'grpc', 'asyncio'}


class NovaTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        if importlib.util.find_spec('nova') is None:
            raise unittest.SkipTest('nova is not installed')
        # It imports what is not there otherwise.
        from oslo_tracing.tests.released import nova

        if not nova.does_without_eventlet():
            raise unittest.SkipTest('this nova guards against nothing')

    def told(self, backend, *before, first='', program=CONDUCTOR, **environ):
        path = os.path.join(self.folder, 'nova-conductor')
        with open(path, 'w') as file:
            file.write(program.format(first=first))
        conf = os.path.join(self.folder, 'nova.conf')
        with open(conf, 'w') as file:
            file.write(
                f'[DEFAULT]\nconcurrency_backend = {backend}\n'
                f'state_path = {self.folder}\nlog_dir = {self.folder}\n'
                'transport_url = fake://\n'
                '[database]\nconnection = sqlite://\n'
                '[api_database]\nconnection = sqlite://\n'
                '[tracing]\nenabled = True\nexporters = file\n'
                f'file_directory = {self.folder}/spans\n'
            )
        environment = {**os.environ, **environ}
        environment.pop('OS_NOVA_DISABLE_EVENTLET_PATCHING', None)
        done = subprocess.run(
            [sys.executable, *before, path, '--config-file', conf],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        lines = [
            line.partition(' ')[2]
            for line in done.stdout.splitlines()
            if line.startswith('TOLD ')
        ]
        self.assertEqual(1, len(lines), done.stdout + done.stderr)
        return json.loads(lines[0])

    def each(self, backend):
        """Yield what is told of nova, in each way in."""
        run = ('-m', 'oslo_tracing.cmd.main', 'run', '--', sys.executable)
        yield self.told(backend, *run)
        yield self.told(backend, first=INSTRUMENTED)

    def test_in_threading_mode_eventlet_is_never_imported(self):
        for told in self.each('threading'):
            self.assertFalse(told['green'])
            self.assertEqual({'file': 1}, told['exported'])
            self.assertTrue(told['conf'])
            self.assertFalse(told['eventlet'])

    def test_in_eventlet_mode_nothing_comes_before_the_patching(self):
        without = self.told('eventlet')
        self.assertTrue(without['green'])
        self.assertIsNone(without['on'])
        for told in self.each('eventlet'):
            self.assertTrue(told['green'])
            self.assertEqual({'file': 1}, told['exported'])
            self.assertTrue(told['conf'])
            ours = set(told['before']) - set(without['before'])
            for name in ours:
                self.assertNotIn(name.partition('.')[0], FORBIDDEN)
                self.assertFalse(name.startswith('opentelemetry'), name)

    def test_the_api_in_threading_mode(self):
        told = self.told(
            'threading',
            program=(
                'import sys\n'
                'try:\n'
                '    import oslo_tracing.wsgi\n'
                'except Exception as error:\n'
                # A database without a schema: nova got as far as that.
                '    import json\n'
                '    from oslo_tracing import _runtime\n'
                '    print("TOLD " + json.dumps(dict(\n'
                '        error=repr(error),\n'
                '        on=_runtime.RUNTIME.tracing is not None,\n'
                '        eventlet="eventlet" in sys.modules)))\n'
            ),
            OSLO_TRACING_WSGI_APP='nova.wsgi.osapi_compute:application',
            OS_NOVA_CONFIG_DIR=self.folder,
        )
        self.assertTrue(told['on'], told)
        self.assertFalse(told['eventlet'])

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
"""What a service that patches itself must not find loaded, and by whom.

A program that is told of eventlet in its configuration reads that first, as
nova does, with a configuration of its own: whatever comes of ours then comes
before it has patched. With the real nova: ``tests/released``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import fixtures

from oslo_tracing.tests import base

#: Reads how to run while it is imported, and then patches, or forbids to.
PATCHING = """
import sys
from oslo_config import cfg
conf = cfg.ConfigOpts()
conf.register_opt(cfg.BoolOpt('green'))
conf(sys.argv[1:], project='shelf', default_config_files=[])
BEFORE = sorted(sys.modules)
if conf.green:
    import eventlet
    eventlet.monkey_patch()
else:
    class Poison:
        def find_spec(self, name, path, target=None):
            if name.startswith('eventlet'):
                raise ImportError('not in threading mode')
    sys.meta_path.insert(0, Poison())
    from oslo_service import backend
    backend.init_backend(backend.BackendType.THREADING)
"""
API = """
import json, sys
import patching
from oslo_config import cfg
from oslo_log import log as logging
CONF = cfg.CONF
logging.register_options(CONF)
CONF(sys.argv[1:], project='shelf', default_config_files=[])
logging.setup(CONF, 'shelf')
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'']
"""
TELL = """
import json, sys
runtime = sys.modules.get('oslo_tracing._runtime')
import oslo_messaging, sqlalchemy, requests, oslo_concurrency.processutils
tracing = runtime and runtime.RUNTIME.tracing
import oslo_tracing
with oslo_tracing.span('something', root=True):
    pass
if tracing:
    tracing.processor.force_flush(10000)
print(json.dumps({
    'before': api.patching.BEFORE,
    'on': tracing and tracing.settings.service_name,
    'conf': bool(runtime) and runtime.RUNTIME.conf is api.CONF,
    'eventlet': 'eventlet' in sys.modules,
}))
"""
PLAIN = f'import api{TELL}'
INSTRUMENTED = (
    'from oslo_tracing import instrumentor\n'
    'instrumentor.OsloTracingInstrumentor().instrument()\n' + PLAIN
)
WRAPPED = f'import oslo_tracing.wsgi, api{TELL}'

FORBIDDEN = ('requests', 'ssl', 'urllib3', 'oslo_context', 'grpc', 'asyncio')


class GuardsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        for name, text in (
            ('patching.py', PATCHING),
            ('api.py', API),
            ('plain', PLAIN),
            ('instrumented', INSTRUMENTED),
            ('wrapped', WRAPPED),
        ):
            with open(os.path.join(self.folder, name), 'w') as file:
                file.write(text)

    def told(self, program, green, *before, **environment):
        path = os.path.join(self.folder, 'shelf.conf')
        with open(path, 'w') as file:
            file.write(
                f'[DEFAULT]\ngreen = {green}\n[tracing]\nenabled = True\n'
                f'exporters = file\nfile_directory = {self.folder}/spans\n'
            )
        done = subprocess.run(
            [
                sys.executable,
                *before,
                os.path.join(self.folder, program),
                *('--config-file', path),
            ],
            env={**os.environ, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=100,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def each(self, green):
        """Yield what is told of the service, in each way in."""
        run = ('-m', 'oslo_tracing.cmd.main', 'run', '--', sys.executable)
        yield self.told('plain', green, *run)
        yield self.told('instrumented', green)
        yield self.told('wrapped', green, OSLO_TRACING_WSGI_APP='api')

    def test_in_eventlet_mode_nothing_comes_before_the_patching(self):
        without = self.told('plain', True)
        self.assertIsNone(without['on'])
        for told in self.each(True):
            self.assertIsNotNone(told['on'])
            # And the one that is reloaded later is the one that counts.
            self.assertTrue(told['conf'])
            ours = set(told['before']) - set(without['before'])
            for name in ours:
                self.assertNotIn(name.partition('.')[0], FORBIDDEN)
                self.assertFalse(name.startswith('opentelemetry'), name)

    def test_in_threading_mode_eventlet_is_never_imported(self):
        for told in self.each(False):
            self.assertIsNotNone(told['on'])
            self.assertFalse(told['eventlet'])

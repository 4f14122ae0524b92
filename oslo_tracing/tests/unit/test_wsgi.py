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

"""A WSGI server that is pointed at us in place of the service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import fixtures

from oslo_tracing.tests import base

SERVICE = """
import sys
EARLY = [name for name in ('socket', 'ssl', 'requests', 'eventlet',
                           'oslo_config', 'oslo_context', 'logging')
         if name in sys.modules]
from oslo_config import cfg
CONF = cfg.ConfigOpts()
def parse():
    CONF([], project='shelf', default_config_files=sys.argv[2:])
LATE = len(sys.argv) > 1 and sys.argv[1] == 'late'
if not LATE:
    parse()
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '0')])
    return []
class Holder:
    inner = staticmethod(application)
from oslo_tracing import middleware
filtered = middleware.TracingMiddleware(application, CONF)
number = 7
"""

SERVER = """
import sys
def early():
    return [name for name in ('socket', 'eventlet') if name in sys.modules]
import oslo_tracing.wsgi
import shelf
from wsgiref import util
import json
def ask():
    environ = {'PATH_INFO': '/v1/books'}
    util.setup_testing_defaults(environ)
    got = []
    body = oslo_tracing.wsgi.application(
        environ, lambda status, headers, info=None: got.append(status))
    b''.join(body)
    getattr(body, 'close', bool)()
    return got[0]
if shelf.LATE:
    shelf.parse()
told = {'status': ask(), 'early': shelf.EARLY,
        'bare': oslo_tracing.wsgi.application is shelf.application}
import oslo_tracing
oslo_tracing.shutdown()
print(json.dumps(told))
"""


class WsgiTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.spans = os.path.join(self.folder, 'spans')
        os.mkdir(self.spans)
        self.write('shelf.py', SERVICE)
        self.write('broken.py', 'import not_there_at_all\n')

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as file:
            file.write(text)
        return path

    def serve(self, target, how='at once', enabled=True, **options):
        path = self.write(
            'shelf.conf',
            textwrap.dedent(f"""\
                [tracing]
                enabled = {enabled}
                exporters = file
                file_directory = {self.spans}
                """),
        )
        environment = {**os.environ, 'PYTHONPATH': self.folder}
        environment.pop('OSLO_TRACING_WSGI_APP', None)
        if target is not None:
            environment['OSLO_TRACING_WSGI_APP'] = target
        return subprocess.run(
            [sys.executable, '-c', SERVER, how, path],
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
        )

    def told(self, *args, **options):
        done = self.serve(*args, **options)
        self.assertEqual(0, done.returncode, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def recorded(self):
        found = []
        for name in os.listdir(self.spans):
            with open(os.path.join(self.spans, name)) as file:
                for line in file:
                    for of_resource in json.loads(line)['resourceSpans']:
                        (name,) = (
                            one['value']['stringValue']
                            for one in of_resource['resource']['attributes']
                            if one['key'] == 'service.name'
                        )
                        found += [
                            (name, span['name'])
                            for of_scope in of_resource['scopeSpans']
                            for span in of_scope['spans']
                        ]
        return found

    def test_requests_are_recorded(self):
        self.assertEqual('200 OK', self.told('shelf:application')['status'])
        self.assertEqual([('shelf', 'GET /v1/books')], self.recorded())

    def test_the_attribute_has_a_default(self):
        self.told('shelf')
        self.assertEqual(1, len(self.recorded()))

    def test_the_attribute_may_be_a_path(self):
        self.told('shelf:Holder.inner')
        self.assertEqual(1, len(self.recorded()))

    def test_a_configuration_that_is_parsed_late(self):
        self.told('shelf', 'late')
        self.assertEqual(1, len(self.recorded()))

    def test_a_pipeline_that_has_the_filter(self):
        self.told('shelf:filtered')
        self.assertEqual(1, len(self.recorded()))

    def test_the_service_is_loaded_first(self):
        self.assertEqual([], self.told('shelf')['early'])

    def test_off_is_off(self):
        self.assertTrue(self.told('shelf', enabled=False)['bare'])
        self.assertEqual([], self.recorded())

    def refused(self, target):
        done = self.serve(target)
        self.assertNotEqual(0, done.returncode)
        return done.stderr.splitlines()[-1]

    def test_what_is_wrong_is_said(self):
        for target, said in (
            (None, 'is not set'),
            ('', 'is not set'),
            ('elsewhere.wsgi:application', "No module named 'elsewhere'"),
            ('shelf.wsgi', "No module named 'shelf.wsgi'"),
            ('shelf:app', "no attribute 'app'"),
            ('shelf:number', 'it cannot be called'),
            (':application', 'not the name of a module'),
        ):
            last = self.refused(target)
            self.assertIn('NoApplication: OSLO_TRACING_WSGI_APP', last)
            self.assertIn(said, last)

    def test_errors_of_the_service_are_its_own(self):
        self.assertEqual(
            "ModuleNotFoundError: No module named 'not_there_at_all'",
            self.refused('broken'),
        )

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

"""Servers that are pointed at us in place of the service."""

from __future__ import annotations

import http.client
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from oslo_tracing.tests import base
from oslo_tracing.tests.functional import collector
from oslo_tracing.tests.functional import servers

PATIENCE = 120


class WsgiTest(base.TestCase):
    def setUp(self):
        super().setUp()
        # The path of a socket has at most 107 bytes.
        self.short = tempfile.mkdtemp(prefix='books-', dir='/tmp')
        self.addCleanup(shutil.rmtree, self.short, ignore_errors=True)
        self.path = os.path.join(self.short, 'socket')
        self.sink = self.useFixture(collector.Collector())

    def serve(self, *command):
        conf = os.path.join(self.short, 'books.conf')
        with open(conf, 'w') as file:
            file.write(
                '[tracing]\nenabled = True\nschedule_delay = 0.1\n'
                f'otlp_endpoint = {self.sink.http_url}\n'
            )
        environment = {
            **os.environ,
            'BOOKS_CONF': conf,
            'OSLO_TRACING_WSGI_APP': (
                'oslo_tracing.tests.functional.books_wsgi:application'
            ),
        }
        log = os.path.join(self.short, 'log')
        with open(log, 'w') as file:
            server = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        until = time.monotonic() + PATIENCE
        while not self.ask():
            with open(log) as file:
                said = file.read()
            self.assertIsNone(server.poll(), said)
            self.assertLess(time.monotonic(), until, said)
            time.sleep(0.05)
        self.sink.wait_for(
            lambda totals: totals['names'] == {'GET /v1/books': 1}
        )
        server.terminate()
        server.wait(PATIENCE)

    def ask(self):
        asked = http.client.HTTPConnection('localhost', timeout=PATIENCE)
        asked.sock = socket.socket(socket.AF_UNIX)
        asked.sock.settimeout(PATIENCE)
        try:
            asked.sock.connect(self.path)
            asked.request('GET', '/v1/books')
            return asked.getresponse().status == 200
        except (ConnectionError, FileNotFoundError):
            return False
        finally:
            asked.close()

    def test_gunicorn(self):
        servers.must_be_there(
            self, importlib.util.find_spec('gunicorn'), 'gunicorn'
        )
        self.serve(
            *(sys.executable, '-m', 'gunicorn', '--workers', '1'),
            *('--bind', f'unix:{self.path}'),
            'oslo_tracing.wsgi:application',
        )

    def test_uwsgi(self):
        path = os.path.dirname(sys.executable) + os.pathsep
        program = shutil.which('uwsgi', path=path + os.environ['PATH'])
        servers.must_be_there(self, program, 'uWSGI')
        self.serve(
            *(program, '--master', '--need-app', '--die-on-term'),
            *('--enable-threads', '--virtualenv', sys.prefix),
            *('--http-socket', self.path),
            *('--module', 'oslo_tracing.wsgi:application'),
        )

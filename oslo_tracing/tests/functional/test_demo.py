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

"""The demo, through real processes, brokers and databases."""

from __future__ import annotations

import gzip
import http.server
import os
import subprocess
import sys
import threading

import fixtures
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from oslo_tracing.demo import checks
from oslo_tracing.tests import base
from oslo_tracing.tests.functional import servers


class _Collector(http.server.BaseHTTPRequestHandler):
    """Speaks OTLP over HTTP, as far as exporters see it."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        self.server.received.append((self.path, body))
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *args):
        pass


class DemoTest(base.TestCase):
    def _run(self, *arguments):
        directory = self.useFixture(fixtures.TempDir()).path
        done = subprocess.run(
            [
                sys.executable,
                '-W',
                'ignore',
                '-m',
                'oslo_tracing.demo',
                '--directory',
                os.path.join(directory, 'traces'),
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=300,
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertIn('Each of 3 requests is one trace', done.stdout)
        self.assertNotIn('orphan', done.stdout)
        for named in checks.EXPECTED.values():
            for name in named:
                self.assertIn(name, done.stdout)
        return done.stdout

    def test_without_any_server(self):
        self._run()

    def test_rabbitmq_and_mariadb(self):
        printed = self._run(
            '--transport-url',
            servers.rabbitmq_url(self),
            '--database',
            servers.mariadb_url(self),
        )
        self.assertIn('demo-conductor', printed)

    def test_rabbitmq_and_postgresql(self):
        printed = self._run(
            '--transport-url',
            servers.rabbitmq_url(self),
            '--database',
            servers.postgresql_url(self),
        )
        self.assertIn('demo-conductor', printed)

    def test_the_spans_go_to_a_collector_as_well(self):
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Collector)
        server.received = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        self._run('--otlp-endpoint', f'http://127.0.0.1:{server.server_port}')

        services = set()
        for path, body in server.received:
            self.assertEqual('/v1/traces', path)
            sent = trace_service_pb2.ExportTraceServiceRequest.FromString(
                gzip.decompress(body)
            )
            for spans in sent.resource_spans:
                for attribute in spans.resource.attributes:
                    if attribute.key == 'service.name':
                        services.add(attribute.value.string_value)
        self.assertEqual(
            {'demo-client', 'demo-compute', 'demo-block-storage'}, services
        )

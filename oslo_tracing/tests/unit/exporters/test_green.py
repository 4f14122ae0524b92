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

from __future__ import annotations

import json
import socket
import subprocess
import sys

from oslo_tracing.exporters import _green
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import sinks
from oslo_tracing.tests.unit.exporters import support

#: What may be called of eventlet: what it patched, what TLS
#: contexts are made with, and the locks that each ended span has of its own.
_HARMLESS = (
    'patcher.py:original for oslo_tracing._real.',
    'patcher.py:is_monkey_patched for oslo_tracing._real.',
    'green/ssl.py:green_create_default_context for oslo_tracing._tls.',
    'green/ssl.py:verify_mode for ssl.',
    'green/ssl.py:verify_flags for ssl.',
)
_OF_A_SPAN = (' for opentelemetry.sdk.util.', ' for opentelemetry.attributes.')


class GreenTest(base.TestCase):
    def _run(self, protocol, endpoint, ca_file='', timeout='10', seconds='60'):
        done = subprocess.run(
            [
                sys.executable, '-W', 'ignore', '-m',
                'oslo_tracing.tests.unit.exporters.green',
                protocol, endpoint, ca_file, timeout, seconds,
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )  # fmt: skip
        self.assertEqual(0, done.returncode, done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual(
            [],
            [
                call
                for call in found['called']
                if not call.startswith(_HARMLESS)
                and not any(lock in call for lock in _OF_A_SPAN)
            ],
        )
        # The names tell what was looked at.
        self.assertIn('patcher.py:original', ' '.join(found['called']))
        return found, done.stderr

    def test_http_uses_nothing_of_the_hub(self):
        sink = self.useFixture(sinks.HttpSink())
        # A name: looked up by the system, not by the hub.
        endpoint = sink.endpoint.replace('127.0.0.1', 'localhost')
        found, _said = self._run('http/protobuf', endpoint)
        self.assertGreaterEqual(found['exported']['otlp'], 20)
        self.assertEqual({}, found['dropped'])

    def test_nor_does_https(self):
        files = self.useFixture(support.Certificates())
        sink = self.useFixture(sinks.HttpSink(files))
        found, _said = self._run('http/protobuf', sink.endpoint, files.ca)
        self.assertGreaterEqual(found['exported']['otlp'], 20)

    def test_nor_does_waiting_for_an_answer(self):
        hole = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(hole.close)
        endpoint = f'http://127.0.0.1:{hole.getsockname()[1]}'
        found, _said = self._run(
            'http/protobuf', endpoint, timeout='0.5', seconds='2'
        )
        self.assertEqual({}, found['exported'])
        # Were the hub to wait with it there would be four.
        self.assertGreater(found['beats'], 30)

    def test_grpc_is_refused_and_http_used(self):
        sink = self.useFixture(sinks.HttpSink())
        found, said = self._run('grpc', sink.endpoint)
        self.assertGreaterEqual(found['exported']['otlp'], 20)
        # A receiver that answers late, on a busy machine, has lines as well.
        (line,) = [
            line
            for line in said.splitlines()
            if 'otlp_protocol = grpc is not used' in line
        ]
        self.assertIn(sink.endpoint, line)

    def test_the_same_receiver_over_http(self):
        for endpoint, insecure, expected in (
            ('http://c:4317', False, 'http://c:4318'),
            ('http://c:4317/', False, 'http://c:4318'),
            ('https://c', False, 'https://c:4318'),
            ('http://[::1]:4317', False, 'http://[::1]:4318'),
            ('c:4317', False, 'https://c:4318'),
            ('c:4317', True, 'http://c:4318'),
            ('c:9999', True, 'http://c:9999'),
        ):
            settings = support.settings(
                otlp_protocol='grpc',
                otlp_endpoint=endpoint,
                otlp_insecure=insecure,
            )
            changed = _green.without_grpc(settings)
            self.assertEqual(expected, changed.otlp_endpoint)
            self.assertEqual('http/protobuf', changed.otlp_protocol)
            self.assertEqual('grpc', settings.otlp_protocol)

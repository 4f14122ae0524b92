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

"""The plugin of tempest, in tempest."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import os
import subprocess
import sys
import threading
import urllib.parse
import uuid

import fixtures
from tempest.test_discover import plugins

from oslo_tracing.report import results
from oslo_tracing.tests import base

_KEY = 'the-key-of-these-tests'
_ASKING = 'oslo_tracing.tests.gate.asking'


class _Asked(fixtures.Fixture):
    """A service that notes who asks for which trace."""

    def _setUp(self):
        self.requests = []
        noted = self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                who = urllib.parse.unquote(self.path[1:])
                info = self.headers.get('X-Trace-Info')
                signed = self.headers.get('X-Trace-HMAC')
                noted.append((who, info, signed))
                self.send_response(200)
                self.send_header('Content-Length', '2')
                self.end_headers()
                self.wfile.write(b'{}')

            def log_message(self, *_arguments):
                pass

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f'http://127.0.0.1:{server.server_address[1]}'

    def traces(self):
        """Who has asked for which traces, with a valid signature."""
        found = {}
        for who, info, signed in self.requests:
            expected = hmac.new(
                _KEY.encode(), info.encode(), hashlib.sha1
            ).hexdigest()
            assert signed == expected, who
            told = json.loads(base64.urlsafe_b64decode(info))
            trace_id = uuid.UUID(told['base_id']).hex
            found.setdefault(who, set()).add(trace_id)
        return found


class TempestPluginTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.asked = self.useFixture(_Asked())
        self.directory = self.useFixture(fixtures.TempDir()).path

    def run_tests(self, key=_KEY):
        config = os.path.join(self.directory, 'tempest.conf')
        with open(config, 'w') as stream:
            stream.write(
                f'[oslo_concurrency]\nlock_path = {self.directory}\n'
                f'[profiler]\nkey = {key}\n'
            )
        stream_path = os.path.join(self.directory, 'run.subunit')
        with open(stream_path, 'wb') as stream:
            done = subprocess.run(
                [sys.executable, '-m', 'subunit.run', _ASKING],
                stdout=stream,
                stderr=subprocess.PIPE,
                timeout=280,
                cwd=self.directory,
                env={
                    'PATH': os.environ['PATH'],
                    'HOME': self.directory,
                    'ASKED': self.asked.url,
                    'TEMPEST_CONFIG_DIR': self.directory,
                    'TEMPEST_CONFIG': 'tempest.conf',
                },
            )
        found = results.read(stream_path)
        self.assertNotEqual([], found, done.stderr.decode())
        return {
            each.test_id.replace(f'{_ASKING}.', ''): each for each in found
        }

    def test_tempest_finds_it(self):
        manager = plugins.TempestTestPluginManager()
        self.assertIn('oslo_tracing', manager.get_plugin_load_tests_tuple())

    def test_each_test_has_a_trace_and_says_which(self):
        told = self.run_tests()
        asked = self.asked.traces()
        self.assertEqual(
            {
                'First.test_one',
                'First.test_that_fails',
                'First.test_that_asks_nothing_more',
                'Heir.test_heir',
                'setUpClass (First)',
                'setUpClass (Heir)',
                'setUpClass (Broken)',
            },
            set(asked),
        )
        for who, traces in asked.items():
            if who == 'setUpClass (Broken)' and sys.version_info < (3, 11):
                continue
            # From its first line to its last clean-up, one and the same.
            self.assertEqual({told[who].trace_id}, traces, who)
        ids = [trace_id for traces in asked.values() for trace_id in traces]
        self.assertEqual(len(asked), len(set(ids)))

    def test_results_are_as_without_it(self):
        told = self.run_tests()
        self.assertEqual(
            {
                'First.test_one': 'success',
                'First.test_that_fails': 'fail',
                'First.test_that_asks_nothing_more': 'success',
                'Heir.test_heir': 'success',
                'setUpClass (Broken)': 'fail',
                'setUpClass (First)': 'success',
                'setUpClass (Heir)': 'success',
            },
            {name: each.status for name, each in told.items()},
        )

    def test_without_a_key_nothing_is_asked_for(self):
        told = self.run_tests(key='')
        self.assertNotEqual([], self.asked.requests)
        for who, info, signed in self.asked.requests:
            self.assertEqual((None, None), (info, signed), who)
        for each in told.values():
            self.assertEqual('', each.trace_id)

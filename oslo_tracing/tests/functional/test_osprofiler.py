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

"""A cloud of which some services have only osprofiler: one trace."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys

import fixtures
from osprofiler import _utils
from osprofiler import profiler
from osprofiler import web
import requests

from oslo_tracing.tests import base
from oslo_tracing.tests.functional import profiled
from oslo_tracing.tests.functional import servers

KEY = 'a key of osprofiler'

#: Seconds after which something is wrong, on however busy a machine.
DEADLINE = 120


def low(element_id):
    return int(element_id.replace('-', ''), 16) & 0xFFFFFFFFFFFFFFFF


class Cloud(fixtures.Fixture):
    """Services, each a process.

    :param transport_url: of RPC, None without.
    :param names: of the services, and whether oslo.tracing is there.
    """

    def __init__(self, transport_url=None, **names):
        super().__init__()
        self._transport_url = transport_url
        self._names = names

    def _setUp(self):
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        sockets = {}
        for name in self._names:
            sockets[name] = socket.create_server(('127.0.0.1', 0))
            self.addCleanup(sockets[name].close)
        self.urls = {
            name: f'http://127.0.0.1:{one.getsockname()[1]}'
            for name, one in sockets.items()
        }
        self._processes = []
        self.addCleanup(self._kill)
        for name, listening in sockets.items():
            self._start(name, listening)
        for process in self._processes:
            said = process.stdout.readline()
            assert said == 'ready\n', (said, self.log())

    def _start(self, name, listening):
        path = self.directory / f'{name}.conf'
        lines = [
            '[profiler]',
            'enabled = True',
            f'hmac_keys = {KEY}',
            f'connection_string = {profiled.DRIVER}://{self.stored(name)}',
        ]
        if self._names[name]:
            spans = self.directory / name
            spans.mkdir()
            lines += [
                '[tracing]',
                'enabled = True',
                # Not what starts here: who has a key has asked for it.
                'sample_ratio = 0',
                'incoming = link',
                'exporters = file',
                f'file_directory = {spans}',
            ]
        path.write_text('\n'.join(lines))
        number = listening.fileno()
        environ = {
            key: value
            for key, value in os.environ.items()
            if 'proxy' not in key.lower()
        }
        with open(self.directory / 'log', 'a') as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    '-m',
                    profiled.__name__,
                    name,
                    str(number),
                    str(path),
                    json.dumps(
                        {**self.urls, profiled.RPC: self._transport_url}
                    ),
                ],
                pass_fds=(number,),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environ,
            )
        self._processes.append(process)

    def stored(self, name):
        """Return where the driver of a service writes to."""
        return self.directory / f'{name}.lines'

    def log(self):
        return (self.directory / 'log').read_text()[-4000:]

    def finish(self):
        """Let all of them end what they have begun."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            code = process.wait(DEADLINE)
            assert code == 0, (code, self.log())

    def _kill(self):
        for process in self._processes:
            process.kill()
            process.wait()
            process.stdout.close()

    def ask(self, name, path, headers):
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(
                f'{self.urls[name]}{path}', headers=headers, timeout=DEADLINE
            )
        assert answer.status_code == 200, (answer.text, self.log())
        return answer.json()

    def points(self):
        """Return what services with osprofiler alone have stored.

        Each as service, name, trace, its own id and its parent's.
        """
        found = []
        for name in self._names:
            if not self.stored(name).exists():
                continue
            for line in self.stored(name).read_text().splitlines():
                told = json.loads(line)
                if told['name'].endswith('-start'):
                    found.append(
                        (
                            name,
                            told['name'].removesuffix('-start'),
                            told['base_id'].replace('-', ''),
                            low(told['trace_id']),
                            low(told['parent_id']),
                        )
                    )
        return found

    def spans(self):
        """Return what services with oslo.tracing have, in the same form."""
        found = []
        for name, has_it in self._names.items():
            if not has_it:
                continue
            for path in (self.directory / name).glob('*.jsonl'):
                for line in path.read_text().splitlines():
                    for resource in json.loads(line)['resourceSpans']:
                        for scope in resource['scopeSpans']:
                            found.extend(
                                (
                                    name,
                                    span['name'],
                                    span['traceId'],
                                    int(span['spanId'], 16),
                                    int(span.get('parentSpanId') or '0', 16),
                                )
                                for span in scope['spans']
                            )
        return found


class CloudTest(base.TestCase):
    def setUp(self):
        super().setUp()
        profiler.clean()
        self.addCleanup(profiler.clean)

    def pair(self):
        """Return the headers of a client and the id that it prints."""
        client = profiler._Profiler(KEY)
        packed, signature = _utils.signed_pack(
            {'base_id': client.get_base_id(), 'parent_id': client.get_id()},
            KEY,
        )
        headers = {
            web.X_TRACE_INFO: packed.decode(),
            web.X_TRACE_HMAC: signature,
        }
        return headers, client.get_base_id()

    def check(self, cloud, base_id, counts):
        """All that was stored is one tree under the client.

        :param counts: of each service, how many elements.
        """
        cloud.finish()
        # The driver is not opened where the points are spans.
        for name, has_it in cloud._names.items():
            self.assertEqual(has_it, not cloud.stored(name).exists(), name)
        elements = [*cloud.points(), *cloud.spans()]
        told = '\n'.join(map(str, elements))
        self.assertEqual(
            {base_id.replace('-', '')}, {one[2] for one in elements}, told
        )
        found = {name: 0 for name in cloud._names}
        for one in elements:
            found[one[0]] += 1
        self.assertEqual(counts, found, told)
        known = {one[3] for one in elements}
        self.assertEqual(len(elements), len(known))
        client = low(base_id)
        above = [one for one in elements if one[4] not in known]
        # Of a client that is the parent a span of ours is the root.
        self.assertEqual(1, len(above), told)
        self.assertIn(above[0][4], (0, client))

    def test_over_http(self):
        cloud = self.useFixture(Cloud(ours=True, theirs=False))
        headers, base_id = self.pair()
        self.assertEqual(
            ['theirs', 'ours', 'theirs', 'the end'],
            cloud.ask('ours', '/http.theirs/http.ours/http.theirs', headers),
        )
        # Each time: ours the request, the point, and the request that it
        # makes; theirs the request and the point.
        self.check(cloud, base_id, {'ours': 6, 'theirs': 4})

    def test_over_http_the_other_way_round(self):
        cloud = self.useFixture(Cloud(ours=True, theirs=False))
        headers, base_id = self.pair()
        self.assertEqual(
            ['ours', 'theirs', 'ours', 'the end'],
            cloud.ask('theirs', '/http.ours/http.theirs/http.ours', headers),
        )
        self.check(cloud, base_id, {'ours': 5, 'theirs': 4})

    def test_over_rpc(self):
        cloud = self.useFixture(
            Cloud(servers.rabbitmq_url(self), ours=True, theirs=False)
        )
        headers, base_id = self.pair()
        self.assertEqual(
            ['ours', 'theirs', 'ours', 'theirs', 'the end'],
            cloud.ask(
                'theirs', '/rpc.ours/rpc.theirs/rpc.ours/http.theirs', headers
            ),
        )
        # Ours: what is asked, the point, and what it asks, both times;
        # theirs: two requests of HTTP with their points, and a point of RPC.
        self.check(cloud, base_id, {'ours': 6, 'theirs': 5})

    def test_what_nobody_asks_for_is_in_no_trace(self):
        cloud = self.useFixture(Cloud(ours=True, theirs=False))
        cloud.ask('ours', '/http.theirs/http.ours', {})
        cloud.ask('theirs', '/http.ours/http.theirs', {})
        cloud.finish()
        self.assertEqual([], [*cloud.points(), *cloud.spans()])

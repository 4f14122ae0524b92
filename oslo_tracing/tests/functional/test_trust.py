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

"""Services of a cloud stay in one trace, and strangers out of it."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import fixtures
import requests

from oslo_tracing.tests import base
from oslo_tracing.tests.functional import chained

OLD = 'the old key that has more than thirty-two bytes'
NEW = 'the new key that has more than thirty-two bytes'

STRANGER = '0af7651916cd43dd8448eb211c80319c'

#: Seconds after which something is wrong, on however busy a machine.
DEADLINE = 120


class Chain(fixtures.Fixture):
    """Three services, each a process, on sockets that outlive these.

    :param options: of ``[tracing]``.
    """

    def __init__(self, **options):
        super().__init__()
        self._options = options

    def _setUp(self):
        self._directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path
        )
        self._sockets = {}
        self._processes = {}
        self.urls = {}
        for name in chained.TYPES:
            listening = socket.create_server(('127.0.0.1', 0), backlog=128)
            self.addCleanup(listening.close)
            self._sockets[name] = listening
            port = listening.getsockname()[1]
            self.urls[name] = f'http://127.0.0.1:{port}'
        self.addCleanup(self._stop_all)

    def restart(self, name, *keys):
        """Let a process with these keys take over from the last one."""
        path = self._directory / f'{name}.conf'
        lines = {'enabled': True, 'exporters': 'none', **self._options}
        lines['signing_keys'] = ','.join(keys)
        path.write_text(
            '[tracing]\n'
            + ''.join(f'{key} = {value}\n' for key, value in lines.items())
        )
        number = self._sockets[name].fileno()
        environ = {
            key: value
            for key, value in os.environ.items()
            if 'proxy' not in key.lower()
        }
        process = subprocess.Popen(
            [
                sys.executable,
                '-m',
                chained.__name__,
                name,
                str(number),
                str(path),
                json.dumps(self.urls),
            ],
            pass_fds=(number,),
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        before = self._processes.get(name)
        self._processes[name] = process
        try:
            said = process.stdout.readline()
            assert said == 'ready\n', said
        finally:
            if before is not None:
                self._stop(before)

    def _stop(self, process):
        process.terminate()
        try:
            process.wait(DEADLINE)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def _stop_all(self):
        for process in self._processes.values():
            self._stop(process)

    def ask(self, name='nova', **headers):
        """Return which traces each service has been in for a request."""
        with requests.Session() as session:
            session.trust_env = False
            response = session.get(
                f'{self.urls[name]}/servers', headers=headers, timeout=DEADLINE
            )
        response.raise_for_status()
        return response.json()


class Load:
    """Users, until they are told to stop.

    :param chain: whom they ask.
    """

    def __init__(self, chain):
        self._chain = chain
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self.answers = []
        self.errors = []
        self._threads = [
            threading.Thread(target=self._run, daemon=True) for _ in range(2)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info):
        self._stop.set()
        for thread in self._threads:
            thread.join(DEADLINE)

    def _run(self):
        while not self._stop.is_set():
            try:
                answer = self._chain.ask(
                    traceparent=f'00-{STRANGER}-b7ad6b7169203331-01'
                )
            except Exception as error:
                self.errors.append(repr(error))
                self._stop.set()
                answer = None
            with self._changed:
                if answer is not None:
                    self.answers.append(answer)
                self._changed.notify_all()

    def wait_for_more(self, count=4):
        """Return when as many requests more have been answered."""
        deadline = time.monotonic() + DEADLINE
        with self._changed:
            wanted = len(self.answers) + count
            while len(self.answers) < wanted and not self.errors:
                left = deadline - time.monotonic()
                assert left > 0, 'nobody is answered any more'
                self._changed.wait(left)


class SignedChainTest(base.TestCase):
    def _traces(self, answer):
        self.assertEqual(set(chained.TYPES), set(answer))
        # Nova's token and glance's are both validated.
        self.assertEqual(2, len(answer['keystone']))
        return {trace for ids in answer.values() for trace in ids}

    def test_one_trace_while_keys_are_rotated_under_load(self):
        chain = self.useFixture(Chain())
        for name in chained.TYPES:
            chain.restart(name, OLD)
        chain.ask()
        phases = []
        with Load(chain) as load:
            load.wait_for_more()
            for keys in ((OLD, NEW), (NEW, OLD), (NEW,)):
                for name in chained.TYPES:
                    chain.restart(name, *keys)
                    load.wait_for_more()
                phases.append(len(load.answers))
        self.assertEqual([], load.errors)
        self.assertEqual(3, len(phases))
        seen = set()
        for answer in load.answers:
            traces = self._traces(answer)
            self.assertEqual(1, len(traces), answer)
            self.assertNotIn(STRANGER, traces)
            seen |= traces
        self.assertEqual(len(load.answers), len(seen))

    def test_a_service_with_another_key_is_in_another_trace(self):
        chain = self.useFixture(Chain())
        for name, key in zip(chained.TYPES, (OLD, NEW, OLD), strict=True):
            chain.restart(name, key)
        answer = chain.ask()
        (nova,) = answer['nova']
        (glance,) = answer['glance']
        self.assertNotEqual(nova, glance)
        self.assertIn(nova, answer['keystone'])

    def test_who_believes_nobody_is_not_part_of_a_chain(self):
        chain = self.useFixture(Chain(incoming='link'))
        for name in chained.TYPES:
            chain.restart(name, OLD)
        self.assertEqual(4, len(self._traces(chain.ask())))

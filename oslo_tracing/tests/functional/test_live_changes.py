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

"""What is traced changes while services answer requests."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import fixtures
from testtools import content

from oslo_tracing.tests import base
from oslo_tracing.tests.functional import live
from oslo_tracing.tests.functional import servers
from oslo_tracing import watch

#: Seconds within which a change must show: a look at the files is rare, and
#: the machine may be busy.
PATIENCE = 12 * watch.INTERVAL
#: Answers in a row that are taken for those of all workers.
IN_A_ROW = 40
#: As devstack has it, with threads besides.
UWSGI = (
    '--master --processes 2 --threads 2 --enable-threads --lazy-apps '
    '--need-app --die-on-term --listen 100 --disable-logging'
)
WRONG = (
    "Kept the previous value: [tracing] sampling_rules = 'server /x': rule 1 "
    'of 1: server must be followed by a glob'
)


def _ask(port, path):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    try:
        connection.request('GET', path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Callers(fixtures.Fixture):
    """Ask all the time, and keep what is no answer."""

    def __init__(self, port):
        self._port = port
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._call) for _number in range(3)
        ]
        self.answered = []
        self.lost = []

    def _setUp(self):
        for thread in self._threads:
            thread.start()
        self.addCleanup(self.stop)

    def _call(self):
        while not self._over.wait(0.002):
            try:
                status, body = _ask(self._port, '/always')
            except Exception as error:
                self.lost.append(repr(error))
            else:
                kept = self.answered if status == 200 else self.lost
                kept.append((status, body))

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join()


class LiveChangesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(self.directory, 'live.conf')
        self.log = os.path.join(self.directory, 'log')
        self._write('sample_ratio = 0.0')

    def _write(self, *lines):
        text = '\n'.join(
            ['[tracing]', 'enabled = true', 'exporters = none', *lines, '']
        )
        # As an editor or a deployment tool does it: all or nothing.
        with open(f'{self.path}.new', 'w') as stream:
            stream.write(text)
        os.replace(f'{self.path}.new', self.path)

    def _start(self, command, **environment):
        with open(self.log, 'wb') as log:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                # A signal to its group must not reach the tests.
                start_new_session=True,
                env={
                    **os.environ,
                    # uWSGI has an interpreter of its own.
                    'PYTHONPATH': os.pathsep.join(filter(None, sys.path)),
                    **environment,
                },
                text=True,
            )
        self.addCleanup(self._stop, process)
        return process

    def _stop(self, process):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        process.stdout.close()
        with open(self.log, errors='replace') as log:
            self.addDetail('log', content.text_content(log.read()[-10000:]))

    def _logged(self):
        with open(self.log, errors='replace') as log:
            return log.read()

    def _until(self, what, found, told=None):
        """Wait.

        :param told: called now and then: cotyledon is deaf to SIGHUP for a
            moment while it passes one on.
        """
        began = said = time.monotonic()
        while not found():
            now = time.monotonic()
            if now - began > PATIENCE:
                self.fail(f'{what}: not within {PATIENCE} seconds')
            if told is not None and now - said > watch.INTERVAL:
                said = now
                told()
            time.sleep(0.02)

    def _answers(self, port, path, wanted, told=None):
        """Wait until all workers say the same."""
        self._until(
            f'{path} is {wanted}',
            lambda: all(
                _ask(port, path) == (200, wanted)
                for _number in range(IN_A_ROW)
            ),
            told,
        )

    def _change_all(self, port, told):
        """Change everything, with requests all the time.

        :param told: called after each change of the file.
        """
        self._answers(port, '/x', b'0')
        callers = self.useFixture(Callers(port))
        self._write('sample_ratio = 1.0')
        told()
        self._answers(port, '/x', b'1', told)
        self._write('sampling_rules = server "GET /x" 0')
        told()
        self._answers(port, '/x', b'0', told)
        self._answers(port, '/y', b'1', told)
        # One a day, to each of the workers.
        self._write('max_traces_per_second = 0.00001')
        told()
        self._answers(port, '/y', b'0', told)
        self._write('max_traces_per_second = 0', 'sampling_rules = server /x')
        told()
        self._until('the error', lambda: WRONG in self._logged(), told)
        self._answers(port, '/y', b'0')
        self._write('max_traces_per_second = 0')
        told()
        self._answers(port, '/y', b'1', told)
        callers.stop()
        self.assertEqual([], callers.lost)
        self.assertGreater(len(callers.answered), 0)

    def _on_sighup(self, backend):
        program = [sys.executable, '-W', 'ignore', '-m', live.__name__]
        process = self._start([*program, backend, self.path])
        port = process.stdout.readline()
        self.assertTrue(port, self._logged())
        self._change_all(
            int(port), lambda: os.kill(process.pid, signal.SIGHUP)
        )

    def test_sighup_to_a_service_with_threads(self):
        self._on_sighup('threading')

    def test_sighup_to_a_service_under_eventlet(self):
        self._on_sighup('eventlet')

    def test_a_changed_file_under_uwsgi(self):
        path = os.pathsep.join(
            [os.path.dirname(sys.executable), os.environ.get('PATH', '')]
        )
        uwsgi = shutil.which('uwsgi', path=path)
        servers.must_be_there(self, uwsgi, 'uwsgi')
        port = servers.free_port()
        self._start(
            [
                uwsgi,
                *UWSGI.split(),
                *('--http-socket', f'127.0.0.1:{port}'),
                *('--module', f'{live.__name__}:application'),
            ],
            **{live.FILE: self.path},
        )
        self._until('the port is open', lambda: _is_open(port))
        self._change_all(port, lambda: None)


def _is_open(port):
    try:
        _ask(port, '/')
    except OSError:
        return False
    return True

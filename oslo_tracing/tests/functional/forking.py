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

"""Processes that fork, and what came of the spans of each."""

from __future__ import annotations

import collections
from concurrent import futures
import contextlib
import glob
from http import client
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import fixtures

from oslo_tracing.tests import base
from oslo_tracing.tests.functional import collector
from oslo_tracing.tests.functional import forks
from oslo_tracing.tests.functional import servers

SPANS = 3000
#: Seconds until anything that is waited for must have happened.
PATIENCE = 120

#: As devstack runs its APIs.
UWSGI = (
    '--master',
    '--die-on-term',
    '--need-app',
    '--hook-master-start',
    'unix_signal:15 gracefully_kill_them_all',
)


class _Http(client.HTTPConnection):
    """Speaks to a server on a socket that has a path."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


class Forking(fixtures.Fixture):
    """A process that forks, and what came of its spans.

    :param command: what to run.
    :param endpoint: where it sends them.
    :param spans: how many each worker ends.
    :param environment: more variables.
    :param options: of ``[tracing]``.
    """

    def __init__(
        self, command, endpoint, spans=SPANS, environment=(), **options
    ):
        self._command = command
        self._options = {
            'enabled': True,
            'otlp_endpoint': endpoint,
            # What is ended faster than it is sent has to be kept, and
            # sent at the end even if this machine is busy.
            'max_queue_size': 10 * SPANS,
            'otlp_timeout': 60,
            'shutdown_timeout': 60,
            **options,
        }
        self._spans = spans
        self._environment = dict(environment)

    def _setUp(self):
        self.directory = self.useFixture(fixtures.TempDir()).path
        self._log = self.useFixture(fixtures.TempDir()).join('log')
        environment = {
            **os.environ,
            **self._environment,
            'FORKS_DIRECTORY': self.directory,
            'FORKS_SPANS': str(self._spans),
            'PYTHONWARNINGS': 'ignore',
            **{
                f'OS_TRACING__{name}'.upper(): str(value)
                for name, value in self._options.items()
            },
        }
        with open(self._log, 'w') as log:
            self.process = subprocess.Popen(
                self._command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.addCleanup(self._kill)

    def _kill(self):
        # Its own session: whoever is left.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def said(self):
        """Return what it wrote."""
        with open(self._log) as log:
            return log.read()

    def ended(self):
        """Return how many spans each process has ended, by pid."""
        found = {}
        for path in glob.glob(os.path.join(self.directory, '*')):
            if os.path.basename(path).isdigit():
                with open(path) as file:
                    found[int(os.path.basename(path))] = int(file.read())
        return found

    def workers(self):
        """Return the pids of those that have done their work."""
        return {
            pid for pid, count in self.ended().items() if count >= self._spans
        }

    def wait_until(self, happened, what):
        """Wait until something has happened, or fail."""
        until = time.monotonic() + PATIENCE
        while not happened():
            if self.process.poll() is not None:
                raise AssertionError(f'it ended before {what}: {self.said()}')
            if time.monotonic() > until:
                raise AssertionError(f'never {what}: {self.said()}')
            time.sleep(0.05)

    def wait_for_workers(self, count=forks.CHILDREN):
        """Wait until as many workers have done their work."""
        self.wait_until(
            lambda: len(self.workers()) >= count, f'{count} workers'
        )

    def wait_for_end(self):
        """Wait until the process and all its children have ended."""
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'does not end: {self.said()}') from None

    def terminate(self):
        """End it as a supervisor does, and return how long it took."""
        began = time.monotonic()
        self.process.terminate()
        self.wait_for_end()
        return time.monotonic() - began


class Served(Forking):
    """A WSGI server with our application."""

    def __init__(self, command, path, *args, **kwargs):
        super().__init__(command, *args, **kwargs)
        self._path = path

    def _ask(self, count):
        while len(self.workers()) < count:
            if self.process.poll() is not None:
                raise AssertionError(f'it ended: {self.said()}')
            try:
                asked = _Http(self._path, timeout=PATIENCE)
                asked.request('GET', '/', headers={'Host': 'localhost'})
                asked.getresponse().read()
                asked.close()
            except (ConnectionError, FileNotFoundError):
                time.sleep(0.05)

    def wait_for_workers(self, count=forks.CHILDREN):
        with futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(self._ask, [count] * 16))


class TestCase(base.TestCase):
    """Has a collector, and programs that send their spans there."""

    def setUp(self):
        super().setUp()
        # The path of a socket has at most 107 bytes.
        self.short = tempfile.mkdtemp(prefix='forks-', dir='/tmp')
        self.addCleanup(shutil.rmtree, self.short, ignore_errors=True)
        self.new_sink()

    def new_sink(self):
        """Begin with a collector that has received nothing."""
        self.sink = self.useFixture(collector.Collector())

    def forking(self, kind, **options):
        """Return what forks as ``kind`` says, or skip the test."""
        if kind.startswith(('uwsgi', 'gunicorn')):
            return self.served(kind, **options)
        library = kind.split()[0].replace('.', '_')
        if library in ('oslo_service', 'cotyledon'):
            servers.must_be_there(
                self, importlib.util.find_spec(library), library
            )
        return Forking(
            [sys.executable, '-m', forks.__name__, kind],
            self._endpoint(options),
            **options,
        )

    def served(self, kind, **options):
        path = os.path.join(self.short, 'socket')
        if kind.startswith('uwsgi'):
            program = shutil.which(
                'uwsgi',
                path=os.pathsep.join(
                    [os.path.dirname(sys.executable), os.environ['PATH']]
                ),
            )
            servers.must_be_there(self, program, 'uWSGI')
            command = [
                program,
                *UWSGI,
                '--virtualenv',
                sys.prefix,
                '--processes',
                str(forks.CHILDREN),
                '--module',
                'oslo_tracing.tests.functional.forks_wsgi',
                '--http-socket',
                path,
            ]
            if 'lazy' in kind:
                command.append('--lazy-apps')
            if 'threads' in kind:
                command += ['--enable-threads', '--threads', '4']
        else:
            servers.must_be_there(
                self, importlib.util.find_spec('gunicorn'), 'gunicorn'
            )
            command = [
                sys.executable,
                '-m',
                'gunicorn',
                '--workers',
                str(forks.CHILDREN),
                '--bind',
                f'unix:{path}',
            ]
            if 'preload' in kind:
                command.append('--preload')
            command.append('oslo_tracing.tests.functional.forks_wsgi')
        return Served(command, path, self._endpoint(options), **options)

    def _endpoint(self, options):
        if options.get('otlp_protocol') == 'grpc':
            return self.sink.grpc_url
        return self.sink.http_url

    def check(self, forking, executed_anew=0, lost=()):
        """Every span that was ended is at the sink, once, as its own.

        :param executed_anew: how many processes have begun anew under
            their old pid.
        :param lost: spans that cannot be sent, by pid.
        """
        ended = forking.ended()
        for pid, count in dict(lost).items():
            ended[pid] -= count
        totals = self.sink.totals()
        found = collections.Counter()
        for pid, _instance, count in totals['processes']:
            found[pid] += count
        self.assertEqual(ended, dict(found), forking.said())
        self.assertEqual(
            {f'of {pid}': count for pid, count in ended.items()},
            totals['names'],
        )
        self.assertEqual(0, totals['doubled'])
        self.assertEqual(0, totals['undecodable'])
        instances = {instance for _pid, instance, _n in totals['processes']}
        self.assertEqual(len(totals['processes']), len(instances))
        self.assertEqual(len(ended) + executed_anew, len(totals['processes']))
        self.assertNotIn('Traceback', forking.said())

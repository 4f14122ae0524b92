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

"""One pipeline a process: no span is lost or doubled by a fork."""

from __future__ import annotations

import os

from oslo_tracing.tests.functional import forking
from oslo_tracing.tests.functional import forks

FULL = bool(os.environ.get('OSLO_TRACING_FULL'))
#: How often the ways are tried that OpenStack's services use.
OFTEN = 20 if FULL else 3
#: How often the others are.
ONCE = 20 if FULL else 1


class ForkTest(forking.TestCase):
    def _run(self, kind, times=ONCE, **options):
        for _ in range(times):
            self.new_sink()
            self._run_once(kind, **options)

    def _run_once(self, kind, **options):
        if kind.startswith('uwsgi'):
            # What its master has pending is waited for.
            options.setdefault('schedule_delay', 2)
        program = self.useFixture(self.forking(kind, **options))
        lost = {}
        if kind.startswith(('fork', 'multiprocessing')):
            program.wait_for_end()
            self.assertEqual(0, program.process.returncode, program.said())
        else:
            program.wait_for_workers()
            if kind.startswith('uwsgi'):
                lost = self._wait_for_master(program)
            program.terminate()
        self.assertEqual(forks.CHILDREN, len(program.workers()))
        self.check(program, lost=lost)

    def _wait_for_master(self, program):
        """Wait for what Python cannot send when the process ends, in C."""
        master = program.process.pid
        expected = program.ended().get(master, 0)
        lost = {}
        if 'threads support is disabled' in program.said():
            # No longer so by itself since 2.0.27.
            self.assertEqual(1, program.said().count('without threads: '))
            if expected:
                expected = forks.SENT
                lost[master] = forks.PENDING
        self.sink.wait_for(
            lambda totals: (
                expected
                == sum(
                    n for pid, _i, n in totals['processes'] if pid == master
                )
            )
        )
        return lost

    def test_a_bare_fork(self):
        self._run('fork', OFTEN)

    def test_oslo_service_with_eventlet(self):
        self._run('oslo.service eventlet', OFTEN)

    def test_oslo_service_with_threads(self):
        self._run('oslo.service threading', OFTEN)

    def test_uwsgi(self):
        self._run('uwsgi', OFTEN)

    def test_uwsgi_with_an_application_each(self):
        self._run('uwsgi lazy', OFTEN)

    def test_uwsgi_with_threads(self):
        self._run('uwsgi threads', OFTEN)

    def test_uwsgi_with_an_application_each_and_threads(self):
        self._run('uwsgi lazy threads', OFTEN)

    def test_gunicorn(self):
        self._run('gunicorn')

    def test_gunicorn_with_one_application(self):
        self._run('gunicorn preload')

    def test_cotyledon(self):
        self._run('cotyledon fork')

    def test_cotyledon_that_spawns(self):
        self._run('cotyledon spawn')

    def test_multiprocessing(self):
        self._run('multiprocessing fork')

    def test_multiprocessing_that_spawns(self):
        self._run('multiprocessing spawn')

    def test_multiprocessing_with_a_server_that_forks(self):
        self._run('multiprocessing forkserver')

    def test_grpc(self):
        self._run('fork', otlp_protocol='grpc')

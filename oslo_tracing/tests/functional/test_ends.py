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

"""How workers end: told to, on their own, killed, with nobody to send to."""

from __future__ import annotations

import os
import signal

from oslo_tracing.tests.functional import forking
from oslo_tracing.tests.functional import forks

SPANS = 400
#: Seconds that the end of a process may be delayed by what it has left.
SHUTDOWN = 2.0
#: Seconds that a busy machine may need for the rest of it. OpenTelemetry's
#: own exporter and processor take half a minute.
MARGIN = 8.0

EVENTLET = 'oslo.service eventlet'
THREADING = 'oslo.service threading'


class EndsTest(forking.TestCase):
    def _started(self, kind, **options):
        program = self.useFixture(
            self.forking(kind, **{'spans': SPANS, **options})
        )
        program.wait_for_workers()
        return program

    def _reloaded(self, kind, executed_anew=0, **options):
        program = self._started(kind, schedule_delay=1, **options)
        os.kill(program.process.pid, signal.SIGHUP)
        program.wait_for_workers(2 * forks.CHILDREN)
        if kind.startswith('uwsgi'):
            # Its master ends in C, and Python has no say in it.
            self.sink.wait_for(
                lambda totals: totals['spans'] == sum(program.ended().values())
            )
        program.terminate()
        self.check(program, executed_anew)

    def test_reload_of_oslo_service_with_eventlet(self):
        self._reloaded(EVENTLET)

    def test_reload_of_oslo_service_with_threads(self):
        self._reloaded(THREADING)

    def test_reload_of_cotyledon(self):
        self._reloaded('cotyledon fork')

    def test_reload_of_gunicorn(self):
        self._reloaded('gunicorn')

    def test_reload_of_uwsgi(self):
        self._reloaded('uwsgi', executed_anew=1)

    def test_reload_of_uwsgi_with_an_application_each(self):
        self._reloaded('uwsgi lazy')

    def test_new_options_for_the_same_workers(self):
        program = self._started(
            EVENTLET, environment={'FORKS_RESTART': 'mutate'}
        )
        os.kill(program.process.pid, signal.SIGHUP)
        program.wait_until(
            lambda: (
                forks.CHILDREN
                == list(program.ended().values()).count(SPANS + 1)
            ),
            'told the workers',
        )
        program.terminate()
        self.check(program)

    def _exiting(self, kind):
        program = self._started(kind, environment={'FORKS_EXIT': '1'})
        program.wait_for_workers(2 * forks.CHILDREN)
        program.terminate()
        self.check(program)

    def test_exit_of_workers_of_oslo_service_with_eventlet(self):
        self._exiting(EVENTLET)

    def test_exit_of_workers_of_oslo_service_with_threads(self):
        self._exiting(THREADING)

    def test_exit_of_workers_of_cotyledon(self):
        self._exiting('cotyledon fork')

    def _killed(self, kind):
        program = self._started(kind, schedule_delay=0.2)
        self.sink.wait_for(
            lambda totals: totals['spans'] == sum(program.ended().values())
        )
        killed = min(program.workers())
        os.kill(killed, signal.SIGKILL)
        program.wait_for_workers(forks.CHILDREN + 1)
        program.terminate()
        self.check(program)

    def test_kill_of_a_worker_of_oslo_service_with_eventlet(self):
        self._killed(EVENTLET)

    def test_kill_of_a_worker_of_oslo_service_with_threads(self):
        self._killed(THREADING)

    def test_kill_of_a_worker_of_cotyledon(self):
        self._killed('cotyledon fork')

    def test_kill_of_a_worker_of_gunicorn(self):
        self._killed('gunicorn preload')

    def test_kill_of_a_worker_of_uwsgi(self):
        self._killed('uwsgi')

    def _nobody_to_send_to(self, kind):
        program = self._started(
            kind, schedule_delay=60, shutdown_timeout=SHUTDOWN
        )
        self.sink.behave('black hole')
        took = program.terminate()
        # First the workers, then the one who waited for them.
        self.assertLess(took, 2 * SHUTDOWN + MARGIN, program.said())

    def test_nobody_to_send_to_for_oslo_service_with_eventlet(self):
        self._nobody_to_send_to(EVENTLET)

    def test_nobody_to_send_to_for_oslo_service_with_threads(self):
        self._nobody_to_send_to(THREADING)

    def test_nobody_to_send_to_for_cotyledon(self):
        self._nobody_to_send_to('cotyledon fork')

    def test_nobody_to_send_to_for_gunicorn(self):
        self._nobody_to_send_to('gunicorn preload')

    def test_nobody_to_send_to_for_uwsgi(self):
        self._nobody_to_send_to('uwsgi')

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

import subprocess
import sys
import threading

from oslo_tracing import _real
from oslo_tracing.tests import base

# In a process of its own: monkey patching cannot be taken back.
_UNDER_EVENTLET = '''
import eventlet
eventlet.monkey_patch()
import threading
import time
from oslo_tracing import _real, counters
from oslo_tracing.exporters import _pipeline
from oslo_tracing.tests.unit.exporters import support
from opentelemetry.sdk.trace import export

real = _real.threading_module()
assert real is not threading
assert type(real.Lock()).__module__ == '_thread', type(real.Lock())

go_on = real.Event()
idents = set()


class Hanging(export.SpanExporter):
    def export(self, spans):
        idents.add(real.get_ident())
        go_on.wait(20)
        return export.SpanExportResult.SUCCESS


pipeline = _pipeline.Pipeline(
    support.settings(schedule_delay=0.01),
    {'one': lambda resource: Hanging()},
    support.resource,
    counters.Counters(),
)
tracing = support.Tracer(pipeline)
tracing.setUp()
tracing.end(5)
while not idents:
    eventlet.sleep(0.01)
# The exporter hangs, the hub goes on.
turns = []


def work():
    for _ in range(50):
        tracing.end()
        eventlet.sleep(0)
    turns.append(1)


began = time.monotonic()
threads = [eventlet.spawn(work) for _ in range(3)]
for thread in threads:
    thread.wait()
assert len(turns) == 3 and time.monotonic() - began < 5
assert real.get_ident() not in idents
go_on.set()
assert pipeline.force_flush(5000)
assert pipeline.stats.snapshot()['exported'] == {'one': 155}
tracing.cleanUp()
'''

_PATCHED_LATE = '''
import threading
from oslo_tracing import _real

wake = _real.Wake()


def wait():
    wake.wait(60)
    print('woken', wake.is_set())


thread = threading.Thread(target=wait, daemon=True)
thread.start()
join = thread.join
import eventlet
eventlet.monkey_patch()
wake.set()
join(30)
'''


class RealTest(base.TestCase):
    def test_without_eventlet_it_is_the_module_of_all(self):
        program = (
            'import sys, threading\n'
            'from oslo_tracing import _real\n'
            'assert _real.threading_module() is threading\n'
            'assert "eventlet" not in sys.modules\n'
        )
        done = subprocess.run(
            [sys.executable, '-c', program], capture_output=True, text=True
        )
        self.assertEqual((0, ''), (done.returncode, done.stderr))

    def test_under_eventlet_the_exporter_thread_is_beside_the_hub(self):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _UNDER_EVENTLET],
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(0, done.returncode, done.stderr)


class WakeTest(base.TestCase):
    def test_it_can_be_set_while_it_is_being_set(self):
        # As by a span that the garbage collector ends within set().
        wake = _real.Wake()

        def nested():
            with wake._condition:
                wake.set()

        thread = threading.Thread(target=nested, daemon=True)
        thread.start()
        thread.join(10)
        self.assertFalse(thread.is_alive())
        self.assertTrue(wake.is_set())

    def test_who_waits_is_woken(self):
        wake = _real.Wake()
        woken = threading.Event()

        def wait():
            wake.wait(60)
            woken.set()

        threading.Thread(target=wait, daemon=True).start()
        wake.set()
        self.assertTrue(woken.wait(10))
        wake.clear()
        self.assertFalse(wake.is_set())
        wake.wait(0.001)
        self.assertFalse(wake.is_set())

    def test_eventlet_leaves_it_as_it_is(self):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _PATCHED_LATE],
            capture_output=True,
            text=True,
            timeout=60,
        )

        self.assertEqual('woken True\n', done.stdout, done.stderr)

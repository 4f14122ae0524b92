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

"""tooz and a real etcd, by which cinder's processes exclude each other."""

from __future__ import annotations

import threading
import time

from tooz import coordination

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing.tests import base
from oslo_tracing.tests.functional import servers

#: Seconds after which a lock is lost; it is renewed more often.
_TIMEOUT = 6
_DEADLINE = 60


class EtcdTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.address = servers.etcd_address(self)

    def _coordinator(self, member):
        found = coordination.get_coordinator(
            f'etcd3+http://{self.address}?timeout={_TIMEOUT}', member
        )
        beaten = threading.Event()
        heartbeat = found.heartbeat

        def noted():
            try:
                return heartbeat()
            finally:
                beaten.set()

        found.heartbeat = noted
        found.start(start_heart=True)
        self.addCleanup(found.stop)
        return found, beaten

    def _beat(self, spans):
        """Return the spans of what a heart does while it keeps a lock."""
        found, beaten = self._coordinator(b'one')
        with found.get_lock(b'volume'):
            # The lock came in the middle of the first one, perhaps.
            for _ in range(2):
                before = len(spans.finished)
                beaten.clear()
                self.assertTrue(beaten.wait(_DEADLINE))
            return spans.finished[before:]

    def test_by_default_no_heartbeat_makes_a_trace(self):
        spans = self.useFixture(fixture.SpanRecorder('tooz', 'http_client'))
        self.assertEqual([], self._beat(spans))

    def test_a_heartbeat_is_one_trace(self):
        spans = self.useFixture(
            fixture.SpanRecorder('tooz', 'http_client', sampling_rules=[])
        )
        *asked, beat = self._beat(spans)
        self.assertEqual('periodic heartbeat', beat.name)
        self.assertIsNone(beat.parent)
        self.assertEqual(
            'tooz.drivers.etcd3gw.Etcd3Driver.heartbeat',
            beat.attributes['code.function.name'],
        )
        # For its membership, and for the lock.
        url = f'http://{self.address}/v3/lease/keepalive'
        self.assertEqual(
            [('POST', url, beat.context.span_id)] * 2,
            [
                (span.name, span.attributes['url.full'], span.parent.span_id)
                for span in asked
            ],
        )

    def test_a_lock_is_waited_for(self):
        spans = self.useFixture(fixture.SpanRecorder('tooz', 'http_client'))
        holder, _beaten = self._coordinator(b'one')
        waiter, _beaten = self._coordinator(b'two')
        held = holder.get_lock(b'volume-1')
        held.acquire()
        failed = []

        def wait():
            try:
                with oslo_tracing.span('delete', root=True):
                    with waiter.get_lock(b'volume-1'):
                        pass
            except BaseException as error:
                failed.append(error)

        def of_it(name):
            return [
                span
                for span in spans.finished
                if span.name == name and span.parent is not None
            ]

        thread = threading.Thread(target=wait)
        thread.start()
        until = time.monotonic() + _DEADLINE
        # A lease, and that somebody else has the lock.
        while len(of_it('POST')) < 2:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.005)
        held.release()
        thread.join(_DEADLINE)
        self.assertEqual([], failed)
        (request,) = [s for s in spans.finished if s.name == 'delete']
        (lock,) = of_it('lock volume-{n}')
        self.assertGreater(lock.attributes['openstack.lock.wait'], 0.01)
        for span in (lock, *of_it('POST')):
            self.assertEqual(request.context.span_id, span.parent.span_id)

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

"""Beside opentelemetry-instrumentation-oslo-messaging."""

from __future__ import annotations

from opentelemetry.instrumentation import oslo_messaging as their_messaging
import oslo_messaging

import oslo_tracing
from oslo_tracing.tests import bus
from oslo_tracing.tests.unit.integrations import messaging_neighbours

OURS = 'oslo_tracing.oslo_messaging'
INSTRUMENTOR = 'opentelemetry.instrumentation.oslo_messaging'


class InstrumentorTest(messaging_neighbours.NeighboursTestCase):
    scope = f'{INSTRUMENTOR}.instrument'

    def instrument(self):
        self.instrumentor = their_messaging.OsloMessagingInstrumentor()
        self.instrumentor.instrument()
        self.addCleanup(self.instrumentor.uninstrument)

    def test_who_came_first_is_left_alone(self):
        self.instrument()
        self.record()
        # Whoever was there is there again when all is over.
        self.addCleanup(oslo_tracing.shutdown)

        self.call_and_cast()
        self.notify()

        self.assertEqual(
            [(self.scope, 'CONSUMER')] * 3 + [(self.scope, 'PRODUCER')] * 3,
            self.told(),
        )
        self.assertPairs()
        for what in ('RPC', 'notifications'):
            self.assertSaidOnce(f'{INSTRUMENTOR}.decorators', what)

    def test_who_comes_later_is_left_alone(self):
        self.record()
        self.instrument()

        self.call_and_cast()
        self.notify()

        self.assertEqual(
            [(self.scope, 'CONSUMER')] * 3 + [(self.scope, 'PRODUCER')] * 3,
            self.told(),
        )
        self.assertPairs()
        for what in ('RPC', 'notifications'):
            self.assertSaidOnce(self.scope, what)

    def test_messages_are_ours_again_when_it_leaves(self):
        self.record()
        self.instrument()
        self.instrumentor.uninstrument()

        self.call_and_cast()

        self.assertEqual(
            [
                (OURS, 'CLIENT'),
                (OURS, 'CONSUMER'),
                (OURS, 'PRODUCER'),
                (OURS, 'SERVER'),
            ],
            self.told(),
        )

    def test_batches_which_it_does_not_trace_are_ours(self):
        class Batches(messaging_neighbours.Listener):
            def info(self, messages):
                self.seen.put(messages)

        self.instrument()
        self.record()
        listener = Batches()
        oslo_messaging.Notifier(
            self.bus, 'p', driver='messagingv2', topics=['notifications']
        ).info({}, 'e', {})
        self.start(
            oslo_messaging.get_batch_notification_listener(
                self.bus,
                [oslo_messaging.Target(topic='notifications')],
                [listener],
                batch_size=1,
            )
        )
        listener.seen.get(timeout=bus.PATIENCE)
        self.finish()

        self.assertEqual(
            [(self.scope, 'PRODUCER'), (OURS, 'CONSUMER')], self.told()
        )
        (link,) = self.one(bus.CONSUMER).links
        self.assertEqual(
            self.one(bus.PRODUCER).context.span_id, link.context.span_id
        )

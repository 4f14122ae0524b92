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

"""What tests of others who trace the same messages start from."""

from __future__ import annotations

import fixtures
import oslo_messaging

from oslo_tracing.tests import bus


class NeighboursTestCase(bus.TestCase):
    def setUp(self):
        super().setUp()
        self.logger = self.useFixture(
            fixtures.FakeLogger('oslo_tracing', level=20)
        )
        self.bus = oslo_messaging.get_rpc_transport(self.conf)
        self.addCleanup(self.bus.cleanup)
        self.endpoint = bus.Endpoint()

    def call_and_cast(self):
        self.serve(self.bus, self.endpoint)
        rpc = self.client(self.bus)
        rpc.call({'user': 'u'}, 'note')
        rpc.cast({'user': 'u'}, 'note')
        for _ in range(2):
            self.endpoint.seen.get(timeout=bus.PATIENCE)
        self.finish()

    def notify(self):
        notifier = oslo_messaging.Notifier(
            self.bus, 'p', driver='messagingv2', topics=['notifications']
        )
        target = oslo_messaging.Target(topic='notifications')
        listener = Listener()
        self.start(
            oslo_messaging.get_notification_listener(
                self.bus, [target], [listener]
            )
        )
        notifier.info({}, 'e', {})
        listener.seen.get(timeout=bus.PATIENCE)
        self.finish()

    def told(self):
        """Return the scope and the kind of each span, in no order."""
        return sorted(
            (span.instrumentation_scope.name, span.kind.name)
            for span in self.spans.finished
        )

    def assertSaidOnce(self, who, what):
        line = f'{who} traces {what} already: oslo.tracing steps back.'
        self.assertEqual(1, self.logger.output.count(line))

    def assertPairs(self):
        """Assert that each received message is below the one sent."""
        sent = {
            span.context.span_id
            for span in self.spans.finished
            if span.kind in (bus.CLIENT, bus.PRODUCER)
        }
        received = [
            span.parent.span_id
            for span in self.spans.finished
            if span.kind in (bus.SERVER, bus.CONSUMER)
        ]
        self.assertEqual(sent, set(received))
        self.assertEqual(len(sent), len(received))


class Listener(bus.Endpoint):
    def info(self, *args):
        self.seen.put(args)

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

"""Others who trace the same messages: nothing is seen twice."""

from __future__ import annotations

from oslo_messaging import transport as messaging_transport
import wrapt

import oslo_tracing
from oslo_tracing.tests import bus
from oslo_tracing.tests.unit.integrations import messaging_neighbours

OURS = 'oslo_tracing.oslo_messaging'
BUILT_IN = 'oslo.messaging'
INSTRUMENTOR = 'opentelemetry.instrumentation.oslo_messaging'


class BuiltInTest(messaging_neighbours.NeighboursTestCase):
    def setUp(self):
        super().setUp()
        if 'oslo_messaging_tracing' not in self.conf:
            self.skipTest('this oslo.messaging has no tracing of its own')
        self.conf.set_override(
            'tracing_enabled', True, 'oslo_messaging_tracing'
        )

    def test_where_it_is_on_rpc_is_left_to_it(self):
        before = vars(messaging_transport.Transport)['_send']
        self.record()
        self.assertIs(before, vars(messaging_transport.Transport)['_send'])

        self.call_and_cast()

        self.assertEqual(
            [(BUILT_IN, 'CONSUMER')] * 2 + [(BUILT_IN, 'PRODUCER')] * 2,
            self.told(),
        )
        self.assertSaidOnce("oslo.messaging's own tracing", 'RPC')

    def test_notifications_are_still_ours(self):
        self.record()
        self.notify()
        self.assertEqual([(OURS, 'CONSUMER'), (OURS, 'PRODUCER')], self.told())
        self.assertPairs()

    def test_where_it_comes_on_later_no_message_is_traced_twice(self):
        self.conf.set_override(
            'tracing_enabled', False, 'oslo_messaging_tracing'
        )
        self.record()
        self.conf.set_override(
            'tracing_enabled', True, 'oslo_messaging_tracing'
        )

        self.call_and_cast()

        self.assertEqual(
            [(BUILT_IN, 'CONSUMER')] * 2 + [(BUILT_IN, 'PRODUCER')] * 2,
            self.told(),
        )
        self.assertPairs()
        self.assertSaidOnce("oslo.messaging's own tracing", 'RPC')


class LookAlikeTest(messaging_neighbours.NeighboursTestCase):
    """What the instrumentor does, without the package."""

    def test_a_message_that_has_their_sender_gets_none_of_ours(self):
        self.record()
        tracer = self.spans.tracing.provider.get_tracer(INSTRUMENTOR)
        rpc = self.client(self.bus)
        for _ in range(2):
            with tracer.start_as_current_span('theirs', kind=bus.PRODUCER):
                rpc.cast({}, 'note')
        self.assertEqual([(INSTRUMENTOR, 'PRODUCER')] * 2, self.told())
        self.assertSaidOnce(INSTRUMENTOR, 'RPC')

    def test_who_wrapped_a_function_before_us_is_left_alone(self):
        def theirs(wrapped, instance, args, kwargs):
            return wrapped(*args, **kwargs)

        theirs.__module__ = f'{INSTRUMENTOR}.decorators'
        transport = messaging_transport.Transport
        original = vars(transport)['_send']
        before = wrapt.FunctionWrapper(original, theirs)
        self.addCleanup(setattr, transport, '_send', original)
        self.addCleanup(oslo_tracing.shutdown)
        transport._send = before
        self.record()
        self.client(self.bus).cast({}, 'note')
        self.assertIs(before, vars(transport)['_send'])
        self.assertEqual([], self.told())
        self.assertSaidOnce(f'{INSTRUMENTOR}.decorators', 'RPC')

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

"""RPC, both ends, through oslo.messaging itself."""

from __future__ import annotations

import fixtures
import oslo_messaging
from oslo_messaging._drivers import impl_fake
from oslo_messaging.rpc import dispatcher as rpc_dispatcher

from oslo_tracing.tests import bus
from oslo_tracing.tests.unit.integrations import amqp_rpc_cases
from oslo_tracing.tests.unit.integrations import rpc_cases


class FakeRpcTest(rpc_cases.RpcCases, bus.TestCase):
    url = 'fake://'
    system = 'fake'

    def test_no_context_is_as_good_as_any(self):
        self.serve_one()
        self.assertEqual(1, self.rpc.call(None, 'note', value=1))
        seen, _current = self.endpoint.seen.get(timeout=bus.PATIENCE)
        self.assertIsNone(seen)
        self.finish()
        self.assertEqual(2, len(self.spans.finished))

    def test_the_driver_is_called_once_and_its_exception_passes(self):
        error = Refused('once')
        calls = []

        def send(driver, target, ctxt, message, **kwargs):
            calls.append((ctxt, kwargs))
            raise error

        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_messaging._drivers.impl_fake.FakeDriver.send', send
            )
        )
        raised = self.assertRaises(
            Refused, self.rpc.prepare(retry=3).cast, {}, 'note'
        )
        self.assertIs(error, raised)
        ((ctxt, kwargs),) = calls
        self.assertEqual(3, kwargs['retry'])
        self.assertIn('traceparent', ctxt)
        self.assertEqual(1, len(self.one(bus.PRODUCER).events))

    def test_a_target_without_a_topic_is_refused_as_before(self):
        self.assertRaises(
            oslo_messaging.InvalidTarget,
            self.bus._send,
            oslo_messaging.Target(),
            {},
            {'method': 'note', 'args': {}},
        )


class Refused(Exception):
    pass


class MemoryRpcTest(amqp_rpc_cases.AmqpRpcCases, bus.TestCase):
    url = 'kombu+memory://'
    system = 'memory'


class FakeDispatchTest(bus.TestCase):
    """What arrives at a dispatcher that no server feeds."""

    def dispatch(self, dispatcher, message, ctxt=None, reply_q=None):
        incoming = impl_fake.FakeIncomingMessage(
            ctxt or {}, message, reply_q, None
        )
        return dispatcher.dispatch(incoming)

    def test_the_method_alone_names_the_span(self):
        self.record()
        dispatcher = rpc_dispatcher.RPCDispatcher([bus.Endpoint()], None)
        self.dispatch(dispatcher, {'method': 'note', 'args': {}})
        self.assertEqual('note', self.one(bus.CONSUMER).name)

    def test_what_is_no_method_is_an_unknown_one(self):
        self.record()
        dispatcher = rpc_dispatcher.RPCDispatcher([bus.Endpoint()], None)
        for method in ('x' * 10**6, 'a\nb', '', '\ud800'):
            self.spans.clear()
            self.assertRaises(
                rpc_dispatcher.NoSuchMethod,
                self.dispatch,
                dispatcher,
                {'method': method},
            )
            self.assertEqual('_OTHER', self.one(bus.CONSUMER).name)
        for method in (None, 7, ['note']):
            self.spans.clear()
            self.assertRaises(
                TypeError, self.dispatch, dispatcher, {'method': method}
            )
            self.assertEqual('_OTHER', self.one(bus.CONSUMER).name)

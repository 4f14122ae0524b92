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

"""What RPC looks like where messages are serialized."""

from __future__ import annotations

import fixtures
import oslo_messaging
from oslo_messaging._drivers import amqpdriver

from oslo_tracing import attributes as names
from oslo_tracing.tests import bus
from oslo_tracing.tests.unit.integrations import rpc_cases


class AmqpRpcCases(rpc_cases.RpcCases):
    """What is so where messages are serialized."""

    refused = oslo_messaging.RemoteError

    def test_a_fanout_is_told_from_a_cast_by_who_gets_it(self):
        self.serve_one()
        self.rpc.prepare(fanout=True).cast({}, 'note')
        self.endpoint.seen.get(timeout=bus.PATIENCE)
        self.finish()
        self.assertEqual(
            ('fanout', 'process', 'process'),
            rpc_cases.messaging_attributes(self.one(bus.CONSUMER)),
        )

    def test_the_message_id_is_the_one_on_the_wire(self):
        self.serve_one()
        ids = []

        def reply(incoming, *args, **kwargs):
            ids.append(incoming.msg_id)
            return answer(incoming, *args, **kwargs)

        answer = amqpdriver.AMQPIncomingMessage.reply
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_messaging._drivers.amqpdriver.AMQPIncomingMessage.reply',
                reply,
            )
        )
        self.rpc.call({}, 'note')
        self.finish()
        self.assertEqual(
            ids, [self.one(bus.SERVER).attributes[names.MESSAGING_MESSAGE_ID]]
        )

    def test_a_remote_exception_is_told_by_the_class_it_had(self):
        bus_ = oslo_messaging.get_rpc_transport(
            self.conf, allowed_remote_exmods=[bus.__name__]
        )
        self.addCleanup(bus_.cleanup)
        self.serve_one()

        error = self.assertRaises(
            bus.Refused, self.client(bus_).call, {}, 'fail'
        )

        self.assertEqual('Refused_Remote', type(error).__name__)
        asking = self.one(bus.CLIENT)
        self.assertEqual(
            rpc_cases.REFUSED, asking.attributes[names.ERROR_TYPE]
        )
        self.assertEqual(rpc_cases.REFUSED, asking.status.description)
        (event,) = asking.events
        self.assertEqual(
            rpc_cases.REFUSED, event.attributes[names.EXCEPTION_TYPE]
        )

    def test_so_is_one_of_a_module_that_is_not_allowed(self):
        self.serve_one()
        for method in ('fail', 'made_up'):
            self.assertRaises(self.refused, self.rpc.call, {}, method)
        self.finish()
        self.assertEqual(
            [
                rpc_cases.REFUSED,
                'oslo_messaging.rpc.dispatcher.NoSuchMethod',
            ],
            [
                span.attributes[names.ERROR_TYPE]
                for span in self.of_kind(bus.CLIENT)
            ],
        )

    def test_a_monitored_call_lasts_longer_than_its_patience(self):
        heartbeat = amqpdriver.AMQPIncomingMessage.heartbeat

        def beat(incoming):
            heartbeat(incoming)
            self.endpoint.release.set()

        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_messaging._drivers.amqpdriver'
                '.AMQPIncomingMessage.heartbeat',
                beat,
            )
        )
        self.serve_one()

        self.rpc.prepare(timeout=30, call_monitor_timeout=2).call({}, 'slow')

        self.finish()
        self.assertTrue(self.endpoint.release.is_set())
        self.assertEqual('compute/slow', self.one(bus.CLIENT).name)
        self.assertEqual('compute/slow', self.one(bus.SERVER).name)

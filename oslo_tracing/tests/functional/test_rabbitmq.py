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

"""RPC and notifications over a real broker."""

from __future__ import annotations

import json
from urllib import parse

import kombu
import oslo_messaging

import oslo_tracing
from oslo_tracing import attributes as names
from oslo_tracing.tests import base
from oslo_tracing.tests import bus
from oslo_tracing.tests.functional import servers
from oslo_tracing.tests.unit.integrations import amqp_rpc_cases
from oslo_tracing.tests.unit.integrations import notification_cases

QUEUES = (
    'compute',
    'compute.host1',
    'compute.host2',
    'notifications.error',
    'notifications.info',
    'on_the_wire',
    'one',
    'other',
)


class OnRabbit:
    """Runs on a broker whose queues no other test has filled."""

    system = 'rabbitmq'
    address: str | None = '127.0.0.1'

    def setUp(self):
        self.url = servers.rabbitmq_url(self)
        address = parse.urlsplit(self.url)
        self.connection = kombu.Connection(
            hostname=address.hostname,
            port=address.port,
            userid=address.username,
            password=address.password,
        )
        self.addCleanup(self.connection.release)
        channel = self.connection.channel()
        for queue in QUEUES:
            channel.queue_delete(queue)
        super().setUp()

    def raw(self, name):
        """Return a queue of which the test itself is the reader."""
        queue = kombu.Queue(
            name,
            kombu.Exchange('openstack', 'topic', durable=False),
            routing_key=name,
            durable=False,
        )(self.connection)
        queue.declare()
        return queue


class RabbitRpcTest(OnRabbit, amqp_rpc_cases.AmqpRpcCases, bus.TestCase):
    def test_the_trace_is_on_the_wire_and_no_password_is_in_a_span(self):
        queue = self.raw('on_the_wire')
        self.client(self.bus, topic='on_the_wire').cast({'user': 'u'}, 'note')
        envelope = json.loads(queue.get(no_ack=True).body)
        body = json.loads(envelope['oslo.message'])
        span = self.one(bus.PRODUCER)
        self.assertEqual(
            base.traceparent(span),
            body['_context_traceparent'],
        )
        self.assertEqual('u', body['_context_user'])
        password = parse.urlsplit(self.url).password
        self.assertNotIn(password, span.to_json())


class RabbitNotificationTest(
    OnRabbit,
    notification_cases.NotificationCases,
    notification_cases.NotificationTestCase,
):
    def test_the_trace_is_on_the_wire_in_both_formats(self):
        queue = self.raw('notifications.info')
        for driver in ('messaging', 'messagingv2'):
            self.spans.clear()
            self.notifier(driver).info({}, 'e', {})
            body = json.loads(queue.get(no_ack=True).body)
            if 'oslo.message' in body:
                body = json.loads(body['oslo.message'])
            self.assertEqual(
                base.traceparent(self.one(bus.PRODUCER)),
                body['_context_traceparent'],
            )

    def test_several_topics_are_told_apart_by_the_broker(self):
        listener = notification_cases.Listener()
        self.start(
            oslo_messaging.get_notification_listener(
                self.bus,
                [self.target, oslo_messaging.Target(topic='versioned')],
                [listener],
            )
        )
        with oslo_tracing.span('work', root=True):
            self.notifier(topics=['versioned']).info({}, 'e', {})
        listener.get()
        self.finish()
        self.assertEqual(
            'versioned.info',
            self.one(bus.CONSUMER).attributes[
                names.MESSAGING_DESTINATION_NAME
            ],
        )

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

"""What RPC tracing never does to a service, and what it believes."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from unittest import mock

import fixtures
import kombu
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace
import oslo_messaging
from oslo_messaging.notify import dispatcher as notify_dispatcher
from oslo_messaging.notify import listener as notify_listener
from oslo_messaging.rpc import dispatcher as rpc_dispatcher
from oslo_messaging.rpc import server as rpc_server
from oslo_messaging import transport as messaging_transport

import oslo_tracing
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import fixture
from oslo_tracing.integrations.oslo_messaging import places
from oslo_tracing import propagation
from oslo_tracing.tests import base
from oslo_tracing.tests import bus

RPC_SEAMS = [
    (messaging_transport.Transport, '_send'),
    (rpc_dispatcher.RPCDispatcher, 'dispatch'),
    (rpc_server.RPCServer, '_process_incoming'),
]
NOTIFICATION_SEAMS = [
    (messaging_transport.Transport, '_send_notification'),
    (notify_dispatcher.NotificationDispatcher, 'dispatch'),
    (notify_dispatcher.NotificationDispatcher, '_exec_callback'),
    (notify_dispatcher.BatchNotificationDispatcher, 'dispatch'),
    (notify_dispatcher.BatchNotificationDispatcher, '_exec_callback'),
    (notify_listener.NotificationServer, '_process_incoming'),
    (notify_listener.BatchNotificationServer, '_process_incoming'),
]


class SeamsTest(base.TestCase):
    def current(self, seams):
        return [vars(owner)[name] for owner, name in seams]

    def assertReplaced(self, seams, before, replaced):
        for original, now in zip(before, self.current(seams), strict=True):
            (self.assertIsNot if replaced else self.assertIs)(original, now)

    def test_the_very_same_functions_are_back_after_shutdown(self):
        seams = RPC_SEAMS + NOTIFICATION_SEAMS
        before = self.current(seams)

        self.useFixture(fixture.SpanRecorder('oslo_messaging'))
        self.assertReplaced(seams, before, True)
        oslo_tracing.shutdown()

        self.assertReplaced(seams, before, False)

    def test_each_half_is_attached_on_its_own(self):
        for rpc, notifications in ((True, False), (False, True)):
            rpc_before = self.current(RPC_SEAMS)
            notifications_before = self.current(NOTIFICATION_SEAMS)
            self.useFixture(
                fixture.SpanRecorder(
                    'oslo_messaging',
                    trace_rpc=rpc,
                    trace_notifications=notifications,
                )
            )
            self.assertReplaced(RPC_SEAMS, rpc_before, rpc)
            self.assertReplaced(
                NOTIFICATION_SEAMS, notifications_before, notifications
            )
            oslo_tracing.shutdown()

    def test_the_library_is_left_for_the_service_to_import(self):
        program = (
            'import sys, warnings\n'
            'warnings.simplefilter("ignore")\n'
            'from oslo_config import cfg\n'
            'import oslo_tracing\n'
            'from oslo_tracing import opts\n'
            'cfg.CONF([], project="t", default_config_files=[])\n'
            'opts.register_opts(cfg.CONF)\n'
            'cfg.CONF.set_override("enabled", True, "tracing")\n'
            'cfg.CONF.set_override("exporters", ["log"], "tracing")\n'
            'assert oslo_tracing.setup() is not None\n'
            'assert "oslo_messaging" not in sys.modules\n'
            'assert "kombu" not in sys.modules\n'
            'if sys.argv[1] == "off":\n'
            '    oslo_tracing.shutdown()\n'
            'import oslo_messaging\n'
            'print(hasattr(oslo_messaging.Transport._send, "__wrapped__"))\n'
        )
        for when, wrapped in (('on', 'True'), ('off', 'False')):
            done = subprocess.run(
                [sys.executable, '-c', program, when],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            self.assertEqual(wrapped, done.stdout.strip(), done.stderr)

    def test_a_missing_seam_is_told_once_and_costs_no_more(self):
        logger = self.useFixture(fixtures.FakeLogger('oslo_tracing'))
        dispatch = rpc_dispatcher.RPCDispatcher.dispatch
        before = self.current(NOTIFICATION_SEAMS)
        del rpc_dispatcher.RPCDispatcher.dispatch
        try:
            self.useFixture(fixture.SpanRecorder('oslo_messaging'))
        finally:
            rpc_dispatcher.RPCDispatcher.dispatch = dispatch
        self.assertEqual(
            1, logger.output.count('oslo.messaging '), logger.output
        )
        self.assertIn('the RPC server is not traced', logger.output)
        self.assertReplaced(NOTIFICATION_SEAMS, before, True)


class WhatIsSentTest(bus.TestCase):
    """What the driver gets, told by one that only listens."""

    def setUp(self):
        super().setUp()
        self.bus = self.transport()
        self.rpc = self.client(self.bus)
        self.sent = []

        def send(driver, target, ctxt, message, *args, **kwargs):
            self.sent.append(ctxt)

        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_messaging._drivers.impl_fake.FakeDriver._send', send
            )
        )

    def test_an_unsampled_trace_is_carried_with_its_flag(self):
        self.record(sample_ratio=0.0)
        self.rpc.cast({'user': 'u'}, 'note')
        self.assertEqual([], self.spans.finished)
        self.assertRegex(self.sent[0]['traceparent'], '^00-.{32}-.{16}-0[02]$')

    def test_nothing_is_sent_while_suppressed(self):
        self.record()
        ctxt = {'user': 'u'}
        token = context.suppress()
        self.addCleanup(context.detach, token)
        self.rpc.cast(ctxt, 'note')
        self.assertIs(ctxt, self.sent[0])
        self.assertEqual([], self.spans.finished)

    def test_baggage_goes_with_rpc(self):
        self.record(propagators=['tracecontext', 'baggage'])
        token = otel_context.attach(baggage.set_baggage('tenant', 'blue'))
        self.addCleanup(otel_context.detach, token)
        self.rpc.cast({}, 'note')
        self.assertEqual('tenant=blue', self.sent[0]['baggage'])

    def test_a_mapping_that_cannot_be_changed_is_carried(self):
        self.record()
        ctxt = types.MappingProxyType({'user': 'u'})
        self.rpc.cast(ctxt, 'note')
        self.assertEqual({'user', 'traceparent'}, set(self.sent[0]))
        self.assertEqual({'user': 'u'}, dict(ctxt))

    def test_the_address_is_the_one_host_without_its_password(self):
        self.record()
        for url, address in (
            ('fake://user:s3cret@broker:5672/vhost', 'broker'),
            ('fake://a:s3cret@one:5672,b:s3cret@two:5672/', None),
        ):
            self.spans.clear()
            transport = oslo_messaging.get_rpc_transport(self.conf, url)
            self.client(transport).cast({}, 'note')
            span = self.one(bus.PRODUCER)
            self.assertEqual(
                address, span.attributes.get(names.SERVER_ADDRESS)
            )
            self.assertNotIn('s3cret', span.to_json())

    def test_the_system_is_the_one_behind_the_driver(self):
        for scheme, system in (
            ('rabbit', 'rabbitmq'),
            ('rabbit+ssl', 'rabbitmq'),
            ('kombu+pyamqp', 'rabbitmq'),
            ('kombu+redis', 'redis'),
            ('kombu+memory', 'memory'),
            ('kafka', 'kafka'),
            ('fake', 'fake'),
            ('amqp', 'amqp'),
            ('', 'oslo.messaging'),
            (None, 'oslo.messaging'),
        ):
            self.assertEqual(system, places._system(scheme), scheme)

    def test_made_up_names_do_not_grow_what_is_kept(self):
        self.record(sample_ratio=0.0)
        for number in range(3000):
            self.rpc.cast({}, f'method_{number}')
        kept = [len(place.kept) for place in base.instances_of(places.Place)]
        self.assertIn(max(kept), range(1, places.MAX_KEPT + 1))

    def test_a_client_has_no_more_names_than_it_may(self):
        self.record()
        for number in range(1010):
            self.rpc.cast({}, f'method_{number}')
        spans = self.spans.finished
        self.assertEqual('compute/method_999', spans[999].name)
        self.assertEqual(
            [('compute/_OTHER', '_OTHER')] * 10,
            [
                (span.name, span.attributes[names.RPC_METHOD])
                for span in spans[1000:]
            ],
        )

    def test_our_own_failure_is_not_the_service_s(self):
        for target in (
            'oslo_tracing.tracer._tracer.Tracer._started',
            'oslo_tracing.propagation.Propagation.into_message',
            'oslo_tracing.integrations.oslo_messaging.places'
            '.Places.of_transport',
        ):
            self.record()
            self.sent.clear()
            with mock.patch(target, side_effect=RuntimeError('ours')):
                self.rpc.cast({'user': 'u'}, 'note')
            self.assertEqual([{'user': 'u'}], self.sent)
            self.assertFalse(
                trace.get_current_span().get_span_context().is_valid
            )


class OnTheWireTest(bus.TestCase):
    url = 'kombu+memory://'

    def test_the_keys_are_those_of_the_context(self):
        self.record()
        transport = self.transport()
        connection = kombu.Connection('memory://')
        self.addCleanup(connection.close)
        queue = kombu.Queue(
            'on_the_wire',
            kombu.Exchange('openstack', 'topic', durable=False),
            routing_key='on_the_wire',
        )(connection)
        queue.declare()

        self.client(transport, topic='on_the_wire').cast({'user': 'u'}, 'note')

        envelope = json.loads(queue.get(no_ack=True).body)
        body = json.loads(envelope['oslo.message'])
        self.assertEqual('u', body['_context_user'])
        self.assertEqual(
            base.traceparent(self.one(bus.PRODUCER)),
            body['_context_traceparent'],
        )
        self.assertEqual(
            {'_context_user', '_context_traceparent'},
            {key for key in body if key.startswith('_context_')},
        )
        self.assertEqual(
            {'traceparent', 'tracestate', 'baggage'}, propagation.KEYS
        )

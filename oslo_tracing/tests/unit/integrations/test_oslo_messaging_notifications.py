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

"""Notifications, both ends, through oslo.messaging itself."""

from __future__ import annotations

import fixtures
from opentelemetry import baggage
from opentelemetry import context as otel_context
import oslo_messaging
from oslo_messaging._drivers import impl_fake
from oslo_messaging.notify import _impl_routing
from oslo_messaging.notify import dispatcher as notify_dispatcher
from stevedore import dispatch
import yaml

import oslo_tracing
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing.tests import bus
from oslo_tracing.tests.unit.integrations import notification_cases

SAMPLED = f'00-{"a" * 32}-{"b" * 16}-01'


class FakeNotificationTest(
    notification_cases.NotificationCases,
    notification_cases.NotificationTestCase,
):
    url = 'fake://'
    system = 'fake'

    def test_every_topic_is_a_message(self):
        self.notifier(topics=['notifications', 'versioned']).info({}, 'e', {})
        self.assertEqual(
            ['notifications.info', 'versioned.info'],
            [
                span.attributes[names.MESSAGING_DESTINATION_NAME]
                for span in self.of_kind(bus.PRODUCER)
            ],
        )

    def test_a_routed_notification_is_a_message(self):
        rules = self.useFixture(fixtures.TempDir()).join('routing.yaml')
        with open(rules, 'w') as routing:
            routing.write('group:\n  messagingv2:\n    accepted_events: [e]\n')
        self.conf.set_override(
            'routing_config', rules, 'oslo_messaging_notifications'
        )
        # It makes its drivers without configuration, topics and transport,
        # which those of today do not take.
        self.useFixture(
            fixtures.MockPatchObject(
                _impl_routing.RoutingDriver,
                '_load_notifiers',
                autospec=True,
                side_effect=self._load,
            )
        )
        self.notifier('routing').info({}, 'e', {})
        self.assertEqual('send e', self.one(bus.PRODUCER).name)

    def _load(self, driver):
        with open(
            self.conf.oslo_messaging_notifications.routing_config
        ) as rules:
            driver.routing_groups = yaml.safe_load(rules)
        driver.used_drivers = {'messagingv2'}
        driver.plugin_manager = dispatch.DispatchExtensionManager(
            namespace=driver.NOTIFIER_PLUGIN_NAMESPACE,
            check_func=driver._should_load_plugin,
            invoke_on_load=True,
            invoke_args=(self.conf,),
            invoke_kwds={'topics': ['routed'], 'transport': self.bus},
        )

    def test_drivers_that_send_nothing_work_and_have_no_span(self):
        logger = self.useFixture(
            fixtures.FakeLogger('oslo.messaging.notification')
        )
        for driver in ('log', 'noop'):
            self.notifier(driver).info({}, 'e', {'a': 1})
        self.assertIn('"event_type": "e"', logger.output)
        self.assertEqual([], self.spans.finished)

    def test_a_driver_that_fails_is_an_error_and_the_service_goes_on(self):
        def send(*args, **kwargs):
            raise bus.Refused

        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_messaging._drivers.impl_fake.FakeDriver._send', send
            )
        )
        self.notifier().info({}, 'e', {})
        sent = self.one(bus.PRODUCER)
        self.assertEqual('ERROR', sent.status.status_code.name)
        self.assertEqual(1, len(sent.events))

    def test_only_traceparent_goes_with_a_notification(self):
        sent = []

        def send(driver, target, ctxt, message):
            sent.append(ctxt)

        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_messaging._drivers.impl_fake.FakeDriver._send', send
            )
        )
        self.record(propagators=['tracecontext', 'baggage'])
        token = otel_context.attach(baggage.set_baggage('tenant', 'blue'))
        self.addCleanup(otel_context.detach, token)
        self.notifier().info({}, 'e', {})
        self.assertEqual({'traceparent'}, set(sent[0]))

    def test_nothing_happens_while_suppressed(self):
        listener = notification_cases.Listener()
        self.listen(listener)
        token = context.suppress()
        self.notifier().info({}, 'e', {})
        context.detach(token)
        _ctxt, _event_type, current = listener.get()
        self.finish()
        self.assertEqual([], self.of_kind(bus.PRODUCER))
        self.assertIsNone(self.one(bus.CONSUMER).parent)
        self.assertTrue(current.is_valid)

    def test_event_types_are_bounded_in_length_and_number(self):
        notifier = self.notifier()
        notifier.info({}, 'a\nb\u202e' + 'c' * 500, {})
        (first,) = self.of_kind(bus.PRODUCER)
        self.assertLessEqual(len(first.name), len('send ') + 128)
        self.assertTrue(first.name.isascii() and first.name.isprintable())
        self.spans.clear()
        for number in range(1100):
            notifier.info({}, f'made.up.{number}', {})
        kinds = {span.name for span in self.of_kind(bus.PRODUCER)}
        self.assertLessEqual(len(kinds), 1000)
        self.assertIn('send _OTHER', kinds)


class MemoryNotificationTest(
    notification_cases.NotificationCases,
    notification_cases.NotificationTestCase,
):
    url = 'kombu+memory://'
    system = 'memory'


class DispatchTest(bus.TestCase):
    def incoming(self, ctxt, **message):
        return impl_fake.FakeIncomingMessage(
            ctxt, {'priority': 'INFO', 'payload': {}, **message}, None, None
        )

    def dispatch_batch(self, incoming):
        dispatcher = notify_dispatcher.BatchNotificationDispatcher(
            [notification_cases.BatchListener()], None
        )
        return dispatcher.dispatch(incoming)

    def test_a_batch_has_at_most_128_links(self):
        self.record()
        incoming = [
            self.incoming({'traceparent': SAMPLED}, message_id=f'm{number}')
            for number in range(130)
        ]
        self.assertEqual(set(), self.dispatch_batch(incoming))
        span = self.one(bus.CONSUMER)
        self.assertEqual(128, len(span.links))
        self.assertEqual(0, span.dropped_links)
        self.assertEqual(
            130, span.attributes[names.MESSAGING_BATCH_MESSAGE_COUNT]
        )
        self.assertEqual({}, incoming[-1].ctxt)

    def test_a_link_to_a_sampled_trace_does_not_force(self):
        self.record(sample_ratio=0.0)
        self.dispatch_batch([self.incoming({'traceparent': SAMPLED})])
        self.assertEqual([], self.spans.finished)

    def test_links_to_whom_nobody_believes_say_so(self):
        self.record(incoming_rpc='link')
        self.dispatch_batch(
            [self.incoming({'traceparent': SAMPLED}, message_id='m1')]
        )
        (link,) = self.one(bus.CONSUMER).links
        self.assertEqual(
            {
                names.OPENSTACK_LINK_REASON: 'untrusted',
                names.MESSAGING_MESSAGE_ID: 'm1',
            },
            dict(link.attributes),
        )

    def test_messages_without_a_trace_are_not_linked(self):
        self.record()
        self.dispatch_batch([self.incoming({}), self.incoming({})])
        self.assertEqual((), tuple(self.one(bus.CONSUMER).links))

    def test_hostile_messages_are_handled_as_before(self):
        self.record()
        listener = notification_cases.Listener()
        dispatcher = notify_dispatcher.NotificationDispatcher([listener], None)
        for message in (
            {'event_type': None},
            {'event_type': ['e']},
            {'event_type': '\ud800', 'publisher_id': 'p' * 10**6},
            {'event_type': 'e', 'publisher_id': {'a': 1}, 'message_id': 7},
        ):
            handled = dispatcher.dispatch(self.incoming({}, **message))
            self.assertEqual('handled', handled)
            listener.get()
            self.dispatch_batch([self.incoming({}, **message)])
        self.assertEqual(8, len(self.of_kind(bus.CONSUMER)))

    def publishers_of(self, publisher_id):
        """Return what both sides tell of a publisher, with their counts."""
        sent = notification_cases.Listener()
        dispatcher = notify_dispatcher.NotificationDispatcher([sent], None)
        transport = oslo_messaging.get_notification_transport(self.conf)
        before = len(self.spans.finished)
        with oslo_tracing.span('compute', root=True):
            transport._send_notification(
                oslo_messaging.Target(topic='t'),
                {},
                {'event_type': 'e', 'publisher_id': publisher_id},
                2.0,
            )
        ctxt = {'traceparent': SAMPLED}
        dispatcher.dispatch(
            self.incoming(ctxt, event_type='e', publisher_id=publisher_id)
        )
        return [
            span.attributes.get(names.OPENSTACK_NOTIFICATION_PUBLISHER_ID)
            for span in self.spans.finished[before:]
            if span.kind in (bus.PRODUCER, bus.CONSUMER)
        ]

    def test_a_publisher_is_told_if_it_is_a_short_text(self):
        self.record()
        for publisher_id, told in (
            ('compute.host', 'compute.host'),
            ('compute.h\xf6st', 'compute.h\xf6st'),
            ('p' * 255, 'p' * 255),
            ('p' * 256, None),
            ('compute\nhost', None),
            ('', None),
            (7, None),
            (None, None),
        ):
            self.assertEqual([told] * 2, self.publishers_of(publisher_id))

    def test_a_publisher_is_cut_like_all_that_is_told(self):
        self.record(attribute_length_limit=64)
        self.assertEqual(['p' * 64] * 2, self.publishers_of('p' * 255))

    def test_a_serializer_that_raises_is_an_error_and_raises(self):
        class Broken(oslo_messaging.NoOpSerializer):
            def deserialize_context(self, ctxt):
                raise bus.Refused

        self.record()
        listener = notification_cases.Listener()
        for dispatcher, incoming in (
            (
                notify_dispatcher.NotificationDispatcher([listener], Broken()),
                self.incoming({}),
            ),
            (
                notify_dispatcher.BatchNotificationDispatcher(
                    [listener], Broken()
                ),
                [self.incoming({})],
            ),
        ):
            self.spans.clear()
            self.assertRaises(bus.Refused, dispatcher.dispatch, incoming)
            span = self.one(bus.CONSUMER)
            self.assertEqual('ERROR', span.status.status_code.name)
            self.assertEqual(1, len(span.events))
        self.assertEqual({}, otel_context.get_current())

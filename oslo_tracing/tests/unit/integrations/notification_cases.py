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

"""What notifications look like on every transport."""

from __future__ import annotations

import queue

from opentelemetry import trace
import oslo_messaging

import oslo_tracing
from oslo_tracing import attributes as names
from oslo_tracing.tests import bus


class Listener:
    """Remembers what it got, and may refuse it the first time."""

    def __init__(self, refuse=None):
        self.seen = queue.Queue()
        self.refuse = refuse

    def _note(self, ctxt, publisher_id, event_type, payload, metadata):
        current = trace.get_current_span().get_span_context()
        self.seen.put((ctxt, event_type, current))
        refuse, self.refuse = self.refuse, None
        if isinstance(refuse, Exception):
            raise refuse
        return refuse

    info = error = _note

    def get(self):
        return self.seen.get(timeout=bus.PATIENCE)


class BatchListener:
    def __init__(self, refuse=None):
        self.seen = queue.Queue()
        self.refuse = refuse

    def info(self, messages):
        self.seen.put(messages)
        if self.refuse is not None:
            raise self.refuse

    def get(self):
        return self.seen.get(timeout=bus.PATIENCE)


class NotificationTestCase(bus.TestCase):
    def setUp(self):
        super().setUp()
        self.record()
        self.bus = oslo_messaging.get_notification_transport(self.conf)
        self.addCleanup(self.bus.cleanup)
        self.target = oslo_messaging.Target(topic='notifications')

    def notifier(self, driver='messagingv2', **kwargs):
        kwargs.setdefault('topics', ['notifications'])
        return oslo_messaging.Notifier(
            self.bus, 'compute.host1', driver=driver, **kwargs
        )

    def listen(self, *endpoints, **kwargs):
        return self.start(
            oslo_messaging.get_notification_listener(
                self.bus, [self.target], list(endpoints), **kwargs
            )
        )

    def listen_in_batches(self, *endpoints, **kwargs):
        return self.start(
            oslo_messaging.get_batch_notification_listener(
                self.bus, [self.target], list(endpoints), **kwargs
            )
        )


class NotificationCases:
    """What is so on every transport."""

    def test_one_is_a_producer_span_and_a_consumer_span_below_it(self):
        listener = Listener()
        self.listen(listener)

        self.notifier().info({'user': 'u'}, 'instance.create.start', {'a': 1})

        _ctxt, _event_type, current = listener.get()
        self.finish()
        sent, processed = self.one(bus.PRODUCER), self.one(bus.CONSUMER)
        self.assertEqual('send instance.create.start', sent.name)
        self.assertEqual('process instance.create.start', processed.name)
        self.assertEqual(sent.context.span_id, processed.parent.span_id)
        self.assertEqual(processed.context.span_id, current.span_id)
        shared = {
            **self.where,
            names.MESSAGING_DESTINATION_NAME: 'notifications.info',
            names.OPENSTACK_NOTIFICATION_EVENT_TYPE: 'instance.create.start',
            names.OPENSTACK_NOTIFICATION_PRIORITY: 'info',
            names.OPENSTACK_NOTIFICATION_PUBLISHER_ID: 'compute.host1',
        }
        for span, operation in ((sent, 'send'), (processed, 'process')):
            self.assertEqual(
                {
                    **shared,
                    names.MESSAGING_OPERATION_TYPE: operation,
                    names.MESSAGING_OPERATION_NAME: operation,
                },
                dict(span.attributes),
            )

    def test_the_listener_sees_nothing_of_what_was_added(self):
        listener = Listener()
        self.listen(listener)
        self.notifier('messaging').info({}, 'e', {})
        ctxt, _event_type, _current = listener.get()
        self.assertNotIn('traceparent', ctxt)

    def test_an_endpoint_that_raises_is_an_error(self):
        listener = Listener(refuse=bus.Refused('s3cret'))
        self.listen(listener)

        self.notifier().error({}, 'e', {})

        listener.get()
        self.finish()
        processed = self.one(bus.CONSUMER)
        self.assertEqual('ERROR', processed.status.status_code.name)
        self.assertEqual(
            f'{bus.Refused.__module__}.Refused',
            processed.attributes[names.ERROR_TYPE],
        )
        self.assertEqual(1, len(processed.events))
        self.assertNotIn('s3cret', processed.to_json())

    def test_what_is_put_back_is_traced_again(self):
        again = oslo_messaging.NotificationResult.REQUEUE
        listener = Listener(refuse=again)
        self.listen(listener, allow_requeue=True)

        self.notifier().info({}, 'e', {})

        listener.get()
        listener.get()
        self.finish()
        sent = self.one(bus.PRODUCER)
        processed = self.of_kind(bus.CONSUMER)
        self.assertEqual(
            [sent.context.span_id] * 2,
            [span.parent.span_id for span in processed],
        )
        self.assertEqual(
            ['UNSET'] * 2, [span.status.status_code.name for span in processed]
        )

    def test_every_pool_has_a_span_of_its_own(self):
        ones, others = Listener(), Listener()
        self.listen(ones, pool='one')
        self.listen(others, pool='other')

        self.notifier().info({}, 'e', {})

        ones.get()
        others.get()
        self.finish()
        sent = self.one(bus.PRODUCER)
        self.assertEqual(
            [sent.context.span_id] * 2,
            [span.parent.span_id for span in self.of_kind(bus.CONSUMER)],
        )

    def test_a_batch_is_a_root_with_links(self):
        listener = BatchListener()
        notifier = self.notifier()
        with oslo_tracing.span('work', root=True):
            for number in range(3):
                notifier.info({}, f'e{number}', {})
        sent = {
            span.context.span_id: span for span in self.of_kind(bus.PRODUCER)
        }
        self.listen_in_batches(listener, batch_size=3, batch_timeout=5)

        messages = listener.get()

        self.finish()
        processed = self.one(bus.CONSUMER)
        self.assertEqual('process notifications', processed.name)
        self.assertIsNone(processed.parent)
        self.assertEqual(
            {
                **self.where,
                names.MESSAGING_DESTINATION_NAME: 'notifications',
                names.MESSAGING_OPERATION_TYPE: 'process',
                names.MESSAGING_OPERATION_NAME: 'process',
                names.MESSAGING_BATCH_MESSAGE_COUNT: 3,
            },
            dict(processed.attributes),
        )
        self.assertEqual(
            [message['metadata']['message_id'] for message in messages],
            [
                link.attributes[names.MESSAGING_MESSAGE_ID]
                for link in processed.links
            ],
        )
        for link in processed.links:
            linked = sent[link.context.span_id]
            self.assertEqual(linked.context.trace_id, link.context.trace_id)
            self.assertNotEqual(
                linked.context.trace_id, processed.context.trace_id
            )
        for message in messages:
            self.assertNotIn('traceparent', message['ctxt'])

    def test_a_batch_whose_endpoint_raises_is_an_error(self):
        listener = BatchListener(refuse=bus.Refused())
        self.listen_in_batches(listener, batch_size=1)
        self.notifier().info({}, 'e', {})
        listener.get()
        self.finish()
        processed = self.one(bus.CONSUMER)
        self.assertEqual('ERROR', processed.status.status_code.name)
        self.assertEqual(1, len(processed.events))

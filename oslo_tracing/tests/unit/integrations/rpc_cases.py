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

"""What RPC looks like on every transport; run by the tests of each."""

from __future__ import annotations

import threading

import oslo_messaging

import oslo_tracing
from oslo_tracing import attributes as names
from oslo_tracing.tests import bus

REFUSED = f'{bus.Refused.__module__}.Refused'


class RpcCases:
    """What is so on every transport."""

    #: What the caller of a method that raises ``bus.Refused`` gets.
    refused = bus.Refused

    def setUp(self):
        super().setUp()
        self.record()
        self.bus = self.transport()
        self.endpoint = bus.Endpoint()
        self.rpc = self.client(self.bus)

    def serve_one(self, **kwargs):
        return self.serve(self.bus, self.endpoint, **kwargs)

    def test_a_call_is_a_client_span_and_a_server_span_below_it(self):
        self.serve_one()

        self.assertEqual(3, self.rpc.call({'user': 'u'}, 'note', value=3))

        self.finish()
        asking, answering = self.one(bus.CLIENT), self.one(bus.SERVER)
        self.assertEqual('compute/note', asking.name)
        self.assertEqual('compute/note', answering.name)
        self.assertIsNone(asking.parent)
        self.assertEqual(asking.context.span_id, answering.parent.span_id)
        self.assertEqual(asking.context.trace_id, answering.context.trace_id)
        self.assertEqual((), tuple(answering.links))
        self.assertTrue(answering.parent.is_remote)
        self.assertEqual(
            {
                names.RPC_SYSTEM_NAME: 'oslo.messaging',
                names.RPC_METHOD: 'note',
                **self.where,
                names.MESSAGING_DESTINATION_NAME: 'compute',
                names.OPENSTACK_RPC_TYPE: 'call',
                names.OPENSTACK_RPC_VERSION: '1.0',
            },
            dict(asking.attributes),
        )
        answered = dict(answering.attributes)
        self.assertTrue(answered.pop(names.MESSAGING_MESSAGE_ID))
        self.assertEqual(
            {
                names.RPC_SYSTEM_NAME: 'oslo.messaging',
                names.RPC_METHOD: 'note',
                **self.where,
                names.MESSAGING_DESTINATION_NAME: 'compute',
                names.OPENSTACK_RPC_TYPE: 'call',
                names.OPENSTACK_RPC_VERSION: '1.0',
                names.OPENSTACK_RPC_SERVER: 'host1',
                names.CODE_FUNCTION_NAME: (
                    'oslo_tracing.tests.bus.Endpoint.note'
                ),
            },
            answered,
        )
        for span in (asking, answering):
            self.assertEqual('UNSET', span.status.status_code.name)
            self.assertEqual(
                'oslo_tracing.oslo_messaging', span.instrumentation_scope.name
            )

    def test_the_method_runs_under_the_span_of_its_server(self):
        self.serve_one()
        self.rpc.call({}, 'note')
        self.finish()

        _ctxt, current = self.endpoint.seen.get(timeout=bus.PATIENCE)
        self.assertEqual(self.one(bus.SERVER).context.span_id, current.span_id)

    def test_the_service_sees_nothing_of_what_was_added(self):
        self.serve_one()
        sent = {'user': 'u', 'roles': ['member']}

        self.rpc.call(sent, 'note')

        self.assertEqual({'user': 'u', 'roles': ['member']}, sent)
        seen, _current = self.endpoint.seen.get(timeout=bus.PATIENCE)
        # A key of oslo.messaging's own, on drivers that serialize.
        seen.pop('client_timeout', None)
        self.assertEqual(sent, seen)

    def test_a_cast_is_a_producer_span_and_a_consumer_span(self):
        self.serve_one()

        self.rpc.cast({}, 'note')

        self.endpoint.seen.get(timeout=bus.PATIENCE)
        self.finish()
        sent, processed = self.one(bus.PRODUCER), self.one(bus.CONSUMER)
        self.assertEqual('compute/note', sent.name)
        self.assertEqual('compute/note', processed.name)
        self.assertEqual(sent.context.span_id, processed.parent.span_id)
        self.assertEqual(('cast', 'send', 'cast'), messaging_attributes(sent))
        self.assertEqual(
            ('cast', 'process', 'process'), messaging_attributes(processed)
        )
        self.assertTrue(processed.attributes[names.MESSAGING_MESSAGE_ID])

    def test_a_fanout_reaches_every_server_with_a_span_of_its_own(self):
        other = bus.Endpoint()
        self.serve_one()
        self.serve(self.bus, other, server='host2')
        ctxt = {'user': 'u'}

        self.rpc.prepare(fanout=True).cast(ctxt, 'note')

        for endpoint in (self.endpoint, other):
            seen, _current = endpoint.seen.get(timeout=bus.PATIENCE)
            seen.pop('client_timeout', None)
            self.assertEqual({'user': 'u'}, seen)
        self.finish()
        self.assertEqual({'user': 'u'}, ctxt)
        sent = self.one(bus.PRODUCER)
        self.assertEqual(
            ('fanout', 'send', 'fanout'), messaging_attributes(sent)
        )
        processed = self.of_kind(bus.CONSUMER)
        self.assertEqual(
            ['host1', 'host2'],
            sorted(
                span.attributes[names.OPENSTACK_RPC_SERVER]
                for span in processed
            ),
        )
        self.assertEqual(
            {sent.context.span_id},
            {span.parent.span_id for span in processed},
        )

    def test_prepare_is_followed(self):
        class Namespaced(bus.Endpoint):
            target = oslo_messaging.Target(namespace='base', version='2.4')

        self.serve(self.bus, Namespaced())

        self.rpc.prepare(server='host1', namespace='base', version='2.1').call(
            {}, 'note'
        )

        self.finish()
        for kind in (bus.CLIENT, bus.SERVER):
            span = self.one(kind)
            self.assertEqual('base/note', span.name)
            self.assertEqual(
                'host1', span.attributes[names.OPENSTACK_RPC_SERVER]
            )
            self.assertEqual(
                '2.1', span.attributes[names.OPENSTACK_RPC_VERSION]
            )
            self.assertEqual(
                'compute', span.attributes[names.MESSAGING_DESTINATION_NAME]
            )

    def test_a_method_that_raises_is_an_error_on_both_sides(self):
        self.serve_one()

        self.assertRaises(self.refused, self.rpc.call, {}, 'fail')

        self.finish()
        answering = self.one(bus.SERVER)
        self.assertEqual(REFUSED, answering.attributes[names.ERROR_TYPE])
        self.assertEqual('ERROR', answering.status.status_code.name)
        self.assertEqual(
            ['exception'], [event.name for event in answering.events]
        )
        asking = self.one(bus.CLIENT)
        self.assertEqual('ERROR', asking.status.status_code.name)
        self.assertEqual(
            ['exception'], [event.name for event in asking.events]
        )
        self.assertIn(
            asking.attributes[names.ERROR_TYPE], (REFUSED, 'Refused')
        )
        self.assertNotIn('s3cret', answering.to_json() + asking.to_json())

    def test_an_expected_exception_is_no_failure_of_the_server(self):
        self.serve_one()

        self.assertRaises(self.refused, self.rpc.call, {}, 'expect')

        self.finish()
        answering = self.one(bus.SERVER)
        self.assertEqual(REFUSED, answering.attributes[names.ERROR_TYPE])
        self.assertEqual('UNSET', answering.status.status_code.name)
        self.assertEqual((), tuple(answering.events))
        self.assertEqual(
            'oslo_tracing.tests.bus.Endpoint.expect',
            answering.attributes[names.CODE_FUNCTION_NAME],
        )
        asking = self.one(bus.CLIENT)
        self.assertEqual('ERROR', asking.status.status_code.name)
        self.assertEqual(1, len(asking.events))

    def test_an_unknown_method_does_not_name_the_span(self):
        self.serve_one()
        unknown = (
            ('made_up', '1.0'),
            ('_hidden', '1.0'),
            ('note', '1.9'),
            ('note', '7.0'),
        )
        for method, version in unknown:
            self.assertRaises(
                oslo_messaging.MessagingException,
                self.rpc.prepare(version=version).call,
                {},
                method,
            )

        self.finish()
        answering = self.of_kind(bus.SERVER)
        self.assertEqual(
            [('compute/_OTHER', '_OTHER', 'ERROR')] * 4,
            [
                (
                    span.name,
                    span.attributes[names.RPC_METHOD],
                    span.status.status_code.name,
                )
                for span in answering
            ],
        )
        for span in answering:
            self.assertNotIn(names.CODE_FUNCTION_NAME, span.attributes)
            self.assertNotIn(names.OPENSTACK_RPC_VERSION, span.attributes)
        dispatcher = 'oslo_messaging.rpc.dispatcher'
        self.assertEqual(
            [f'{dispatcher}.NoSuchMethod'] * 2
            + [f'{dispatcher}.UnsupportedVersion'] * 2,
            [span.attributes[names.ERROR_TYPE] for span in answering],
        )

    def test_a_call_that_times_out_is_an_error(self):
        self.serve_one()

        self.assertRaises(
            oslo_messaging.MessagingTimeout,
            self.rpc.prepare(timeout=0.2).call,
            {},
            'slow',
        )
        asking = self.one(bus.CLIENT)
        self.endpoint.release.set()
        self.finish()

        self.assertEqual(
            'oslo_messaging.exceptions.MessagingTimeout',
            asking.attributes[names.ERROR_TYPE],
        )
        self.assertEqual('ERROR', asking.status.status_code.name)
        self.assertEqual(1, len(asking.events))
        self.assertEqual('UNSET', self.one(bus.SERVER).status.status_code.name)

    def test_threads_that_share_a_context_send_their_own_trace(self):
        self.serve_one()
        shared = {'user': 'u'}
        start = threading.Barrier(4)
        traces = {}

        def work(number):
            with oslo_tracing.span(f'work {number}', root=True) as span:
                start.wait(bus.PATIENCE)
                for _ in range(5):
                    self.rpc.call(shared, 'note', value=number)
                traces[number] = span.get_span_context()

        threads = [
            threading.Thread(target=work, args=(number,))
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        self.finish()
        self.assertEqual({'user': 'u'}, shared)
        answered = {}
        for span in self.of_kind(bus.SERVER):
            answered.setdefault(span.context.trace_id, []).append(span)
        self.assertEqual(
            {context.trace_id: 5 for context in traces.values()},
            {trace_id: len(spans) for trace_id, spans in answered.items()},
        )
        asked = {span.context.span_id: span for span in self.spans.finished}
        for context in traces.values():
            for span in answered[context.trace_id]:
                asking = asked[span.parent.span_id]
                self.assertEqual(context.span_id, asking.parent.span_id)

    def test_a_context_object_is_carried_by_its_to_dict(self):
        class Plain:
            def to_dict(self):
                return {'user': 'u'}

        ctxt = Plain()
        self.serve_one()
        self.rpc.call(ctxt, 'note')
        self.finish()

        self.assertEqual({}, vars(ctxt))
        seen, _current = self.endpoint.seen.get(timeout=bus.PATIENCE)
        if seen is not ctxt:
            self.assertEqual({'user': 'u'}, {'user': seen['user']})
            self.assertNotIn('traceparent', seen)
        self.assertEqual(
            self.one(bus.CLIENT).context.span_id,
            self.one(bus.SERVER).parent.span_id,
        )

    def test_a_strict_serializer_gets_no_key_of_ours(self):
        class Strict:
            def __init__(self, user, client_timeout=None):
                self.user = user

        class Serializer(oslo_messaging.NoOpSerializer):
            def serialize_context(self, ctxt):
                return {'user': ctxt.user}

            def deserialize_context(self, ctxt):
                return Strict(**ctxt)

        self.serve_one(serializer=Serializer())
        rpc = oslo_messaging.get_rpc_client(
            self.bus,
            oslo_messaging.Target(topic='compute', version='1.0'),
            serializer=Serializer(),
        )

        self.assertEqual('x', rpc.call(Strict('u'), 'note', value='x'))

        seen, _current = self.endpoint.seen.get(timeout=bus.PATIENCE)
        self.assertEqual('u', seen.user)

    def test_a_receiver_without_tracing_goes_on_working(self):
        # Declares the queue; then another server, that is not traced, gets
        # what was sent while nobody listened.
        self.serve_one()
        self.rpc.call({}, 'note')
        self.finish()
        self.endpoint.seen.get(timeout=bus.PATIENCE)
        self.rpc.cast({'user': 'u'}, 'note')
        oslo_tracing.shutdown()
        self.spans.clear()

        self.serve_one()

        seen, current = self.endpoint.seen.get(timeout=bus.PATIENCE)
        self.assertEqual('u', seen['user'])
        self.assertRegex(seen['traceparent'], '^00-.{32}-.{16}-0[13]$')
        self.assertFalse(current.is_valid)
        self.finish()
        self.assertEqual([], self.spans.finished)


def messaging_attributes(span):
    return (
        span.attributes[names.OPENSTACK_RPC_TYPE],
        span.attributes[names.MESSAGING_OPERATION_TYPE],
        span.attributes[names.MESSAGING_OPERATION_NAME],
    )

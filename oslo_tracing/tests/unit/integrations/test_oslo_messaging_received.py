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

"""What a receiver believes, and what is left when it has answered."""

from __future__ import annotations

from unittest import mock

from opentelemetry import context as otel_context
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace
from oslo_messaging._drivers import impl_fake
from oslo_messaging.rpc import dispatcher as rpc_dispatcher

import oslo_tracing
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing.integrations.oslo_messaging import places
from oslo_tracing.tests import base
from oslo_tracing.tests import bus


class WhatIsReceivedTest(bus.TestCase):
    def setUp(self):
        super().setUp()
        self.endpoint = bus.Endpoint()
        self.dispatcher = rpc_dispatcher.RPCDispatcher([self.endpoint], None)

    def dispatch(self, ctxt, method='note'):
        incoming = impl_fake.FakeIncomingMessage(
            ctxt, {'method': method, 'args': {}}, None, None
        )
        try:
            return self.dispatcher.dispatch(incoming)
        finally:
            self.received = incoming.ctxt

    def test_a_caller_s_no_is_no(self):
        self.record()
        self.dispatch({'traceparent': f'00-{"a" * 32}-{"b" * 16}-00'})
        self.assertEqual([], self.spans.finished)
        _ctxt, current = self.endpoint.seen.get()
        self.assertEqual(int('a' * 32, 16), current.trace_id)
        self.assertFalse(current.trace_flags.sampled)

    def test_hostile_values_start_a_trace_and_do_not_pass(self):
        self.record()
        for value in ('', 'x' * 2**20, '\u00e9' * 55, 7, None, ['a'], b'00'):
            ctxt = {'user': 'u', 'traceparent': value, 'baggage': value}
            self.dispatch(ctxt)
            self.assertEqual({'user': 'u'}, self.received)
            self.assertEqual(3, len(ctxt))
        self.assertEqual(
            [None] * 7, [span.parent for span in self.spans.finished]
        )

    def test_an_empty_message_id_is_none(self):
        self.record()
        for ids, told in (
            (('', '', ''), None),
            (('', 'u', 'm'), 'u'),
            (('a\n', '', 'm'), 'm'),
            ((7, 'x' * 129, ''), None),
        ):
            self.spans.clear()
            incoming = impl_fake.FakeIncomingMessage(
                {}, {'method': 'note', 'args': {}}, None, None
            )
            (
                incoming.orig_msg_id,
                incoming.unique_id,
                incoming.msg_id,
            ) = ids
            self.dispatcher.dispatch(incoming)
            attributes = self.one(bus.CONSUMER).attributes
            self.assertEqual(told, attributes.get(names.MESSAGING_MESSAGE_ID))

    def test_whom_nobody_believes_is_linked(self):
        self.record(incoming_rpc='link')
        self.dispatch({'traceparent': f'00-{"a" * 32}-{"b" * 16}-01'})
        span = self.one(bus.CONSUMER)
        self.assertIsNone(span.parent)
        (link,) = span.links
        self.assertEqual(int('a' * 32, 16), link.context.trace_id)
        self.assertEqual(
            'untrusted', link.attributes[names.OPENSTACK_LINK_REASON]
        )

    def test_what_was_current_is_not_the_parent_and_is_back_after(self):
        self.record()
        with oslo_tracing.span('poller', root=True) as span:
            self.dispatch({})
            self.assertIs(span, trace.get_current_span())
        self.assertIsNone(self.one(bus.CONSUMER).parent)

    def test_a_leak_of_the_method_ends_with_it(self):
        def leak(ctxt):
            otel_context.attach(otel_context.set_value('leak', True))

        self.record()
        self.endpoint.leak = leak
        self.dispatch({}, 'leak')
        self.assertIsNone(otel_context.get_value('leak'))
        self.assertFalse(trace.get_current_span().is_recording())

    def test_nothing_is_recorded_while_suppressed(self):
        self.record()
        token = context.suppress()
        self.addCleanup(context.detach, token)
        self.dispatch({'traceparent': f'00-{"a" * 32}-{"b" * 16}-01'})
        self.assertEqual([], self.spans.finished)
        self.assertEqual({}, self.received)

    def test_our_own_failure_is_not_the_service_s(self):
        for target in (
            'oslo_tracing.tracer._tracer.Tracer.start_span',
            'oslo_tracing.propagation.Propagation.from_message',
            'oslo_tracing.propagation.trust.decide',
            'oslo_tracing.integrations.oslo_messaging.places'
            '.Places.of_dispatcher',
        ):
            self.record()
            with mock.patch(target, side_effect=RuntimeError('ours')):
                self.dispatch({'user': 'u'})
                self.assertRaises(
                    bus.Refused, self.dispatch, {'user': 'u'}, 'fail'
                )
            seen, _current = self.endpoint.seen.get(timeout=bus.PATIENCE)
            self.assertEqual('u', seen['user'])

    def test_a_failing_processor_changes_neither_result_nor_error(self):
        class Broken(sdk_trace.SpanProcessor):
            def on_end(self, span):
                raise RuntimeError('ours')

        self.record()
        self.spans.tracing.provider.add_span_processor(Broken())
        self.dispatch({})
        self.assertRaises(bus.Refused, self.dispatch, {}, 'fail')
        self.assertFalse(trace.get_current_span().get_span_context().is_valid)

    def test_100000_made_up_methods_grow_nothing(self):
        self.record(sample_ratio=0.0)
        self.dispatch({})
        incoming = impl_fake.FakeIncomingMessage({}, {}, None, None)
        with mock.patch('threading.Thread'):
            for number in range(100000):
                incoming.message = {'method': f'm{number}', 'args': {}}
                try:
                    self.dispatcher.dispatch(incoming)
                except rpc_dispatcher.NoSuchMethod:
                    pass
        kept = [len(place.kept) for place in base.instances_of(places.Place)]
        self.assertLessEqual(max(kept), 1)

    def test_an_inherited_method_is_named_by_its_class(self):
        class Manager(bus.Endpoint):
            pass

        self.record()
        self.dispatcher = rpc_dispatcher.RPCDispatcher([Manager()], None)
        self.dispatch({})
        self.assertEqual(
            'oslo_tracing.tests.bus.Endpoint.note',
            self.one(bus.CONSUMER).attributes[names.CODE_FUNCTION_NAME],
        )

    def test_what_the_policy_hides_is_unknown(self):
        self.record()
        self.dispatcher = rpc_dispatcher.RPCDispatcher(
            [self.endpoint], None, rpc_dispatcher.ExplicitRPCAccessPolicy
        )
        self.assertRaises(
            rpc_dispatcher.NoSuchMethod, self.dispatch, {}, 'note'
        )
        self.assertEqual('_OTHER', self.one(bus.CONSUMER).name)

    def test_our_functions_do_nothing_once_tracing_is_off(self):
        self.record()
        kept = rpc_dispatcher.RPCDispatcher.dispatch
        oslo_tracing.shutdown()
        ctxt = {'traceparent': f'00-{"a" * 32}-{"b" * 16}-01'}
        incoming = impl_fake.FakeIncomingMessage(
            ctxt, {'method': 'note', 'args': {}}, None, None
        )
        kept(self.dispatcher, incoming)
        self.assertIs(ctxt, incoming.ctxt)
        self.assertEqual([], self.spans.finished)


class PooledWorkerTest(bus.TestCase):
    def test_a_worker_keeps_nothing_of_the_last_message(self):
        self.record()
        transport = self.transport()
        endpoint = bus.Endpoint()
        server = self.serve(transport, endpoint, workers=1)
        rpc = self.client(transport)
        with oslo_tracing.span('work', root=True) as span:
            first = span.get_span_context()
            rpc.cast({}, 'note')

        token = context.suppress()
        for _ in range(150):
            rpc.cast({}, 'note')
        context.detach(token)
        for _ in range(151):
            endpoint.seen.get(timeout=bus.PATIENCE)
        after = server._work_executor.submit(otel_context.get_current)

        self.assertEqual({}, after.result(bus.PATIENCE))
        self.finish()
        answered = self.of_kind(bus.CONSUMER)
        self.assertEqual(151, len(answered))
        self.assertEqual(first.trace_id, answered[0].context.trace_id)
        untraced = answered[1:]
        self.assertEqual({None}, {span.parent for span in untraced})
        trace_ids = {span.context.trace_id for span in untraced}
        self.assertEqual(150, len(trace_ids))
        self.assertNotIn(first.trace_id, trace_ids)

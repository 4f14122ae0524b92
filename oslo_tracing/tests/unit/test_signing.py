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

"""What a process signs, and to whom it shows that."""

from __future__ import annotations

import concurrent.futures

from keystoneauth1 import noauth
from keystoneauth1 import session as keystone_session
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace
from oslo_context import context as oslo_context
from oslo_messaging._drivers import impl_fake
from oslo_messaging.rpc import dispatcher
from osprofiler import profiler
import requests

import oslo_tracing
from oslo_tracing import context
from oslo_tracing import fixture
from oslo_tracing.propagation import signature
from oslo_tracing.tests.unit.integrations import http_servers

KEY = 'a key of the services that is long enough'
HMAC_KEY = 'developers-key'
STRANGER = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'


class TestCase(http_servers.TestCase):
    def record(self, *more, **options):
        return self.useFixture(
            fixture.SpanRecorder(
                'http_client', *more, **{'signing_keys': [KEY], **options}
            )
        )

    def assert_signed(self, server=None, number=-1):
        """The last request is signed, over what came with it."""
        server = server or self.server
        environ = {
            f'HTTP_{name.upper()}': value
            for name in ('traceparent', 'tracestate', 'baggage')
            for value in server.header(name, number)
        }
        (claimed,) = server.header(signature.HEADER, number)
        self.assertTrue(
            signature.Signer([KEY], 60.0).verifies(claimed, environ)
        )

    def assert_unsigned(self, server=None):
        server = server or self.server
        self.assertEqual(1, len(server.header('traceparent')))
        self.assertEqual([], server.header(signature.HEADER))

    def baggage(self):
        token = otel_context.attach(baggage.set_baggage('user', 'me'))
        self.addCleanup(otel_context.detach, token)


class SigningTest(TestCase):
    def test_what_starts_here(self):
        spans = self.record()
        glance = self.to_server()
        for ratio in (1.0, 0.0):
            spans.tracing.settings.sample_ratio = ratio
            glance.get('/')
            self.assert_signed()
            with oslo_tracing.span('work', root=True):
                with oslo_tracing.span('part of it'):
                    glance.get('/')
            self.assert_signed()
            # Also where another instrumentation begins.
            tracer = spans.tracing.provider.get_tracer('theirs')
            with tracer.start_as_current_span('theirs'):
                with tracer.start_as_current_span('below'):
                    glance.get('/')
            self.assert_signed()

    def test_baggage_and_tracestate_are_signed_too(self):
        self.record()
        self.baggage()
        self.to_server().get('/')
        self.assertEqual(['user=me'], self.server.header('baggage'))
        self.assert_signed()

    def test_nothing_of_somebody_else_is_beside_it(self):
        self.record()
        headers = {'Baggage': 'user=you', 'TraceState': 'acme=1'}
        self.to_server().get('/', headers=headers)
        self.assert_signed()
        self.assertEqual([], self.server.header('baggage'))
        self.assertEqual([], self.server.header('tracestate'))

    def test_a_trace_that_was_picked_up_past_us_is_not_signed(self):
        spans = self.record()
        caller = spans.tracing.propagation.from_environ(
            {'HTTP_TRACEPARENT': STRANGER, 'HTTP_TRACESTATE': 'acme=1'}
        )
        tracer = spans.tracing.provider.get_tracer('theirs')
        with tracer.start_as_current_span('theirs', caller.context):
            with oslo_tracing.span('work'):
                self.to_server().get('/')
        self.assertEqual(['acme=1'], self.server.header('tracestate'))
        self.assert_unsigned()

    def test_what_is_handed_over_is_still_ours(self):
        self.record('executors')
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            with oslo_tracing.span('work', root=True):
                pool.submit(self.to_server().get, '/').result()
        self.assert_signed()

    def test_what_a_request_context_has_kept_is_still_ours(self):
        spans = self.record('oslo_context')
        with oslo_tracing.span('work', root=True):
            kept = oslo_context.RequestContext(overwrite=False)
        caller = spans.tracing.propagation.from_environ(
            {'HTTP_TRACEPARENT': STRANGER}
        )
        tracer = spans.tracing.provider.get_tracer('theirs')
        with tracer.start_as_current_span('theirs', caller.context):
            strange = oslo_context.RequestContext(overwrite=False)
        for request_context, check in (
            (kept, self.assert_signed),
            (strange, self.assert_unsigned),
        ):
            token = context.enter(context.unit(otel_context.Context()))
            try:
                request_context.update_store()
                self.to_server().get('/')
            finally:
                context.leave(token)
            check()

    def test_each_attempt_is_signed(self):
        self.record()
        self.server.routes['/'] = [(503, {}, b'')] * 2 + [(200, {}, b'{}')]
        self.to_server(
            status_code_retries=3, status_code_retry_delay=0.001
        ).get('/')
        for number in range(3):
            self.assert_signed(number=number)
        sent = [self.server.header('traceparent', n)[0] for n in range(3)]
        self.assertEqual(3, len(set(sent)))

    def test_a_redirect_within_the_endpoint(self):
        self.record()
        self.baggage()
        self.server.routes['/moved'] = (
            301,
            {'Location': f'{self.server.url}/'},
            b'',
        )
        self.to_server().get('/moved')
        self.assert_signed(number=0)
        self.assert_signed(number=1)

    def test_a_redirect_to_another_origin_takes_nothing_along(self):
        self.record()
        self.baggage()
        other = self.useFixture(http_servers.Server())
        other.routes['/'] = (302, {'Location': f'{self.server.url}/'}, b'')
        self.server.routes['/moved'] = (307, {'Location': other.url}, b'')
        self.to_server().get('/moved')
        self.assert_signed(number=0)
        self.assert_unsigned(other)
        self.assertEqual([], other.header('baggage'))
        # And back again.
        self.assert_signed()

    def test_a_whole_url_gets_no_signature(self):
        self.record()
        session = keystone_session.Session(auth=noauth.NoAuth())
        session.get(f'{self.server.url}/')
        self.assert_unsigned()
        self.to_server().get(f'{self.server.url}/')
        self.assert_unsigned()

    def test_requests_get_no_signature(self):
        self.record()
        requests.get(f'{self.server.url}/', timeout=30)
        self.assert_unsigned()

    def test_who_may_not_know_of_the_trace_gets_no_signature(self):
        self.record(propagate_to=['*.example.com'])
        self.to_server().get('/')
        self.assertEqual([], self.server.header('traceparent'))
        self.assertEqual([], self.server.header(signature.HEADER))

    def test_without_keys_nothing_is_signed(self):
        self.record(signing_keys=[])
        self.to_server().get('/')
        self.assert_unsigned()


class MessageTest(TestCase):
    def _handle(self, ctxt, **options):
        """Ask another service while a message is handled."""
        self.record('oslo_messaging', **options)
        server = self.to_server()

        class Endpoint:
            def ask(self, ctxt):
                server.get('/')

        message = {'method': 'ask', 'args': {}}
        incoming = impl_fake.FakeIncomingMessage(ctxt, message, None, None)
        dispatcher.RPCDispatcher([Endpoint()], None).dispatch(incoming)
        (traceparent,) = self.server.header('traceparent')
        return traceparent.split('-')[1] == STRANGER.split('-')[1]

    def test_who_is_on_the_bus_is_believed(self):
        for state in ({}, {'tracestate': 'acme=1'}):
            self.assertTrue(self._handle({'traceparent': STRANGER, **state}))
            self.assertEqual(
                list(state.values()), self.server.header('tracestate')
            )
            self.assert_signed()

    def test_unless_guests_are_there(self):
        ctxt = {'traceparent': STRANGER, 'baggage': 'user=me'}
        self.assertFalse(self._handle(ctxt, incoming_rpc='link'))
        self.assertEqual([], self.server.header('baggage'))
        # It is a trace of ours.
        self.assert_signed()

    def test_no_message_has_a_signature_or_a_pair(self):
        spans = self.record(hmac_keys=[HMAC_KEY])
        propagation = spans.tracing.propagation
        self.baggage()
        with oslo_tracing.span('work', root=True) as span:
            current = trace.set_span_in_context(span)
            for with_baggage in (True, False):
                sent = propagation.into_message(
                    {}, current, baggage=with_baggage
                )
                keys = {'traceparent'}
                if with_baggage:
                    keys.add('baggage')
                self.assertEqual(keys, set(sent))


class OSProfilerTest(TestCase):
    """osprofiler puts its own headers into requests of keystoneauth."""

    def setUp(self):
        super().setUp()
        self.addCleanup(profiler.clean)
        profiler.clean()
        profiler.init(HMAC_KEY)

    def test_they_go_to_endpoints_only(self):
        self.record()
        other = self.useFixture(http_servers.Server())
        other.routes['/'] = (200, {}, b'{}')
        self.server.routes['/moved'] = (307, {'Location': other.url}, b'')
        self.to_server().get('/moved')
        self.assertEqual(1, len(self.server.header('X-Trace-HMAC')))
        for name in ('X-Trace-Info', 'X-Trace-HMAC'):
            self.assertEqual([], other.header(name))
        keystone_session.Session().get(f'{other.url}/')
        self.assertEqual([], other.header('X-Trace-Info'))

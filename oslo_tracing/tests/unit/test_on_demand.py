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

"""A developer with a key, as the middleware and the clients see it."""

from __future__ import annotations

import logging
import uuid

import fixtures
from opentelemetry import trace
from oslo_context import context as oslo_context
from osprofiler import _utils
from osprofiler import profiler
import requests

from oslo_tracing import exceptions
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing import propagation
from oslo_tracing.propagation import signature
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.integrations import http_servers
from oslo_tracing.tests.unit.propagation import test_osprofiler as pairs
from oslo_tracing.tests import wsgi

KEY = pairs.KEY
TRACE = f'{pairs.TRACE_ID:032x}'
CLIENT = f'00-{TRACE}-b7ad6b7169203331-00'
SIGNING_KEY = 'a key of the services that is long enough'


class OnDemandTest(http_servers.TestCase):
    def setUp(self):
        super().setUp()
        self.on(hmac_keys=[KEY], incoming='link')

    def on(self, **options):
        self.spans = self.useFixture(
            fixture.SpanRecorder(
                'http_client',
                'oslo_context',
                **{'sample_ratio': 0.0, **options},
            )
        )

    def ask(self, environ, doing=None):
        def app(environ, start_response):
            self.request_id = oslo_context.generate_request_id()
            (doing or self.to_server().get)('/')
            return wsgi.hello(environ, start_response)

        answer = wsgi.ask(
            middleware.TracingMiddleware(app), checked=False, **environ
        )
        self.assertEqual('200 OK', answer.status)
        return answer

    def server_span(self):
        return self.spans.named('GET /')

    def test_nobody_has_asked_for_other_traces_that_start_in_it(self):
        tracer = self.spans.tracing.tracer('service')

        def start():
            in_none = trace.set_span_in_context(trace.INVALID_SPAN)
            tracer.start_span('a root', in_none).end()

        self.ask(pairs.environ(*pairs.OF_A_CLIENT), doing=lambda path: start())
        names = [span.name for span in self.spans.finished]
        self.assertEqual(['GET /'], names)

    def test_the_id_that_the_client_prints_is_that_of_the_trace(self):
        self.ask(pairs.environ(*pairs.OF_A_CLIENT))
        span = self.server_span()
        self.assertEqual(TRACE, f'{span.context.trace_id:032x}')
        # The client has no span: so the trace has a root all the same.
        self.assertIsNone(span.parent)
        self.assertEqual((), tuple(span.links))
        client = self.spans.named('GET image')
        self.assertEqual(span.context.span_id, client.parent.span_id)
        self.assertEqual(span.context.trace_id, client.context.trace_id)

    def test_nobody_claims_that_the_id_is_random(self):
        self.ask(pairs.environ(*pairs.OF_A_CLIENT))
        self.assertEqual(1, self.server_span().context.trace_flags)
        self.ask({}, lambda path: None)
        self.assertNotEqual(TRACE, self._next_trace())

    def _next_trace(self):
        self.ask({})
        (traceparent,) = self.server.header('traceparent')
        return traceparent.split('-')[1]

    def test_the_next_request_has_an_id_of_its_own(self):
        self.ask(pairs.environ(*pairs.OF_A_CLIENT))
        self.assertNotEqual(TRACE, self._next_trace())

    def test_every_request_of_a_command_is_in_one_trace(self):
        request_ids = set()
        for _ in range(3):
            self.ask(pairs.environ(*pairs.OF_A_CLIENT))
            request_ids.add(self.request_id)
        servers = [s for s in self.spans.finished if s.name == 'GET /']
        self.assertEqual(
            {pairs.TRACE_ID}, {span.context.trace_id for span in servers}
        )
        # But nova relies on the ids of requests being different.
        self.assertEqual(3, len(request_ids))
        self.assertNotIn(f'req-{pairs.BASE_ID}', request_ids)

    def test_a_service_with_osprofiler_is_the_parent(self):
        self.ask(pairs.environ(*pairs.OF_A_SERVICE))
        span = self.server_span()
        self.assertEqual(pairs.TRACE_ID, span.context.trace_id)
        self.assertEqual(pairs.SPAN_ID, span.parent.span_id)
        self.assertTrue(span.parent.is_remote)

    def test_the_span_of_the_client_stays_the_parent(self):
        for info in (pairs.OF_A_CLIENT, pairs.OF_A_SERVICE):
            self.spans.clear()
            self.ask(
                {
                    **pairs.environ(*info),
                    'HTTP_TRACEPARENT': CLIENT,
                    'HTTP_TRACESTATE': 'acme=1',
                    'HTTP_BAGGAGE': 'user=me',
                }
            )
            span = self.server_span()
            self.assertEqual(pairs.TRACE_ID, span.context.trace_id)
            self.assertEqual(0xB7AD6B7169203331, span.parent.span_id)
            self.assertEqual([], self.server.header('tracestate'))
            self.assertEqual([], self.server.header('baggage'))

    def test_another_trace_beside_it_loses(self):
        other = f'00-{"c" * 32}-{"d" * 16}-01'
        for mode in ('link', 'trust'):
            self.on(hmac_keys=[KEY], incoming=mode)
            self.ask(
                {
                    **pairs.environ(*pairs.OF_A_CLIENT),
                    'HTTP_TRACEPARENT': other,
                }
            )
            span = self.server_span()
            self.assertEqual(pairs.TRACE_ID, span.context.trace_id)
            self.assertIsNone(span.parent)

    def test_a_service_s_signature_wins(self):
        self.on(hmac_keys=[KEY], signing_keys=[SIGNING_KEY])
        signer = signature.Signer([SIGNING_KEY], 60.0)
        other = f'00-{"c" * 32}-{"d" * 16}-01'
        for traceparent in (other, CLIENT[:-1] + '1'):
            self.spans.clear()
            signed = signer.sign({'traceparent': traceparent})
            self.ask(
                {
                    **pairs.environ(*pairs.OF_A_CLIENT),
                    'HTTP_TRACEPARENT': traceparent,
                    signature.KEY: signed,
                }
            )
            span = self.server_span()
            self.assertIn(f'{span.context.trace_id:032x}', traceparent)
            # The pair goes on with its own trace only.
            self.assertEqual(
                traceparent != other, 'x-trace-info' in self.server.names()
            )

    def test_services_get_a_pair_too(self):
        self.ask(pairs.environ(*pairs.OF_A_CLIENT))
        client = self.spans.named('GET image')
        (info,) = self.server.header('X-Trace-Info')
        (digest,) = self.server.header('X-Trace-HMAC')
        read = _utils.signed_unpack(info, digest, [KEY])
        parent_id = uuid.UUID(read['parent_id']).int
        self.assertEqual(pairs.BASE_ID, read['base_id'])
        self.assertEqual(client.context.span_id, parent_id % (1 << 64))
        self.assertEqual(pairs.TRACE_ID >> 64, parent_id >> 64)

    def test_what_nobody_asked_for_has_no_pair(self):
        self.on(hmac_keys=[KEY], sample_ratio=1.0)
        self.ask({'HTTP_TRACEPARENT': CLIENT[:-1] + '1'})
        self.assertNotIn('x-trace-info', self.server.names())

    def test_past_the_bound_it_is_a_request_like_any_other(self):
        self.on(
            hmac_keys=[KEY],
            incoming='link',
            max_forced_traces_per_second=0.001,
        )
        self.ask(pairs.environ(*pairs.OF_A_CLIENT))
        self.spans.clear()
        self.assertNotEqual(TRACE, self._next_trace())
        self.ask(pairs.environ(*pairs.OF_A_CLIENT))
        self.assertEqual([], self.spans.finished)
        (traceparent,) = self.server.header('traceparent')
        self.assertNotIn(TRACE, traceparent)
        self.assertNotIn('x-trace-info', self.server.names())

    def test_a_continued_trace_is_never_torn(self):
        self.on(
            hmac_keys=[KEY],
            incoming='trust',
            max_forced_traces_per_second=0.001,
        )
        for _ in range(5):
            self.ask(
                {
                    **pairs.environ(*pairs.OF_A_SERVICE),
                    'HTTP_TRACEPARENT': CLIENT[:-1] + '1',
                }
            )
        servers = [s for s in self.spans.finished if s.name == 'GET /']
        self.assertEqual(
            [pairs.TRACE_ID] * 5, [span.context.trace_id for span in servers]
        )

    def test_zero_means_that_nobody_can_ask(self):
        self.on(
            hmac_keys=[KEY], incoming='link', max_forced_traces_per_second=0.0
        )
        self.ask(pairs.environ(*pairs.OF_A_CLIENT))
        self.assertEqual([], self.spans.finished)

    def test_whoever_samples(self):
        for sampler in (
            'always_off',
            'traceidratio',
            'parentbased_always_off',
        ):
            self.on(hmac_keys=[KEY], incoming='link', sampler=sampler)
            self.ask(
                pairs.environ(*pairs.OF_A_CLIENT),
                lambda path: None,
            )
            self.assertEqual(
                pairs.TRACE_ID, self.server_span().context.trace_id
            )

    def test_hostile_pairs_are_served(self):
        for environ in (
            pairs.environ('é', 'é'),
            pairs.environ('x' * pairs.MIB, 'x' * pairs.MIB),
            pairs.packed(b'[' * 700),
        ):
            self.ask(environ)
        self.assertEqual([], self.spans.finished)

    def test_no_line_has_what_was_sent(self):
        self.on(
            hmac_keys=[KEY],
            signing_keys=[SIGNING_KEY],
            max_forced_traces_per_second=0.001,
        )
        log = fixtures.FakeLogger('oslo_tracing', level=logging.DEBUG)
        self.useFixture(log)
        signer = signature.Signer([SIGNING_KEY], 60.0)
        signed = signer.sign({'traceparent': CLIENT})
        for environ in (
            pairs.environ(*pairs.OF_A_CLIENT),
            pairs.environ(*pairs.OF_A_SERVICE),
            pairs.environ(pairs.OF_A_CLIENT[0], 'no signature'),
            pairs.environ('no info', pairs.OF_A_CLIENT[1]),
            {'HTTP_TRACEPARENT': CLIENT, signature.KEY: signed},
            {'HTTP_TRACEPARENT': CLIENT, signature.KEY: 'no signature'},
            {'HTTP_TRACEPARENT': 'no trace', signature.KEY: signed},
            {'HTTP_BAGGAGE': 'no baggage', signature.KEY: [signed]},
        ):
            self.ask(environ)
            for value in environ.values():
                self.assertNotIn(str(value), log.output)

    def test_its_holder_is_told_nothing_more(self):
        answer = self.ask(pairs.environ(*pairs.OF_A_CLIENT))
        self.assertNotIn('traceresponse', answer.headers)


class ClientTest(http_servers.TestCase):
    """The clients that there are, each in its own words."""

    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(
            fixture.SpanRecorder(
                'none',
                sample_ratio=0.0,
                hmac_keys=[KEY],
                signing_keys=[SIGNING_KEY],
            )
        )
        app = middleware.TracingMiddleware(wsgi.hello)

        def serve(handler):
            environ = {
                'HTTP_' + name.upper().replace('-', '_'): value
                for name, value in handler.headers.items()
            }
            body = wsgi.ask(app, checked=False, **environ).body
            handler.send_response(200)
            handler.send_header('Content-Length', str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.server.routes['/'] = serve

    def trace_ids(self):
        return [
            str(uuid.UUID(int=span.context.trace_id))
            for span in self.spans.finished
        ]

    def test_openstackclient(self):
        # What `openstack --os-profile KEY` does around a command.
        self.addCleanup(profiler.clean)
        profiler.clean()
        profiler.init(KEY)
        for _ in range(2):
            self.to_server().get('/')
        printed = profiler.get().get_base_id()
        self.assertEqual([printed, printed], self.trace_ids())

    def test_tempest(self):
        # Its values are bytes.
        headers = {
            'X-Trace-Info': pairs.OF_A_CLIENT[0].encode(),
            'X-Trace-HMAC': pairs.OF_A_CLIENT[1],
        }
        requests.get(f'{self.server.url}/', headers=headers, timeout=30)
        self.assertEqual([pairs.BASE_ID], self.trace_ids())

    def test_with_another_key(self):
        self.addCleanup(profiler.clean)
        profiler.clean()
        profiler.init('SECRET_KEY')
        self.to_server().get('/')
        self.assertEqual([], self.trace_ids())


class FormatsTest(base.TestCase):
    """The other formats, all behind one gate."""

    def test_who_is_told_where_a_format_comes_from(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'importlib.metadata.entry_points', lambda **_which: ()
            )
        )
        for name, package in (
            ('b3', 'opentelemetry-propagator-b3'),
            ('b3multi', 'opentelemetry-propagator-b3'),
            ('jaeger', 'opentelemetry-propagator-jaeger'),
        ):
            error = self.assertRaises(
                exceptions.InvalidOption, propagation.Propagation, [name]
            )
            self.assertIn(f"propagators = '{name}'", str(error))
            self.assertIn(package, str(error))

    def test_b3_s_debug_flag(self):
        ids = {'HTTP_X_B3_TRACEID': 'c' * 32, 'HTTP_X_B3_SPANID': 'd' * 16}
        both = f'{"c" * 32}-{"d" * 16}'
        for environ, insists in (
            ({'HTTP_B3': f'{both}-d'}, True),
            ({'HTTP_B3': f'{both}-d-{"e" * 16}'}, True),
            ({'HTTP_B3': f'{both}-1'}, False),
            ({'HTTP_B3': f'{both}-0'}, False),
            ({'HTTP_B3': f'{both}-1', 'HTTP_X_B3_FLAGS': '1'}, False),
            ({**ids, 'HTTP_X_B3_FLAGS': '1'}, True),
            ({**ids, 'HTTP_X_B3_FLAGS': '0'}, False),
            ({**ids, 'HTTP_X_B3_SAMPLED': '1'}, False),
            ({'HTTP_B3': 'd'}, False),
            ({'HTTP_X_B3_FLAGS': '1'}, False),
        ):
            for name in ('b3', 'b3multi'):
                found = propagation.Propagation([name]).from_environ(environ)
                self.assertEqual(insists, found.insists, environ)
            # Nobody else has such a flag.
            found = propagation.Propagation(['jaeger']).from_environ(environ)
            self.assertFalse(found.insists)

    def test_debugging_goes_on_in_the_trace_of_the_caller(self):
        spans = self.useFixture(
            fixture.SpanRecorder(
                'none',
                propagators=['b3'],
                sampler='traceidratio',
                sample_ratio=0.0,
            )
        )
        app = middleware.TracingMiddleware(wsgi.hello)
        wsgi.ask(app, HTTP_B3=f'{TRACE}-{"d" * 16}-1')
        self.assertEqual([], spans.finished)
        wsgi.ask(app, HTTP_B3=f'{TRACE}-{"d" * 16}-d')
        (span,) = spans.finished
        self.assertEqual(pairs.TRACE_ID, span.context.trace_id)
        self.assertEqual(int('d' * 16, 16), span.parent.span_id)

    def test_all_formats_tell_the_same_ids(self):
        names = ['tracecontext', 'baggage', 'b3', 'b3multi', 'jaeger']
        spans = self.useFixture(
            fixture.SpanRecorder(
                'none', propagators=names, signing_keys=[SIGNING_KEY]
            )
        )
        with spans.tracing.tracer('test').start_as_current_span('x') as span:
            sent = {}
            spans.tracing.propagation.to_headers(
                sent, trace.set_span_in_context(span), everything=True
            )
        self.assertEqual(
            {
                'traceparent',
                'b3',
                'x-b3-traceid',
                'x-b3-spanid',
                'x-b3-sampled',
                'uber-trace-id',
                'x-openstack-trace-signature',
            },
            set(sent),
        )
        environ = {
            'HTTP_' + name.upper().replace('-', '_'): value
            for name, value in sent.items()
        }
        for name in names:
            if name == 'baggage':
                continue
            spans = self.useFixture(
                fixture.SpanRecorder('none', propagators=[name])
            )
            found = spans.tracing.propagation.from_environ(environ)
            self.assertEqual(
                (span.get_span_context().trace_id, True),
                (found.span_context.trace_id, found.span_context.is_remote),
            )
            self.assertEqual(
                span.get_span_context().span_id, found.span_context.span_id
            )

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

from __future__ import annotations

import logging
import random
import threading
import uuid

import fixtures
from opentelemetry import context as otel_context
from opentelemetry import trace
from oslo_context import context as oslo_context

from oslo_tracing import _guard
from oslo_tracing import _wsgi_told
from oslo_tracing import context
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing.tests import base
from oslo_tracing.tests import wsgi

SERVER_ID = '6f70656e-7374-6163-8b20-342065766572'
CALLER = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
CALLER_SAYS_NO = CALLER[:-1] + '0'


class RequestTest(base.TestCase):
    def record(self, **options):
        self.spans = self.useFixture(
            fixture.SpanRecorder('oslo_context', **options)
        )
        return self.spans

    def ask(self, app, *args, checked=True, **kwargs):
        if checked:
            app = wsgi.checked(app)
        return wsgi.ask(
            middleware.TracingMiddleware(app),
            *args,
            checked=checked,
            **kwargs,
        )

    def span_of(self, app, *args, **kwargs):
        self.spans.clear()
        self.ask(app, *args, **kwargs)
        [span] = self.spans.finished
        return span


class WhatIsToldTest(RequestTest):
    def setUp(self):
        super().setUp()
        self.record()

    def test_a_request_becomes_one_server_span(self):
        span = self.span_of(
            wsgi.hello,
            f'/v2.1/servers/{SERVER_ID}',
            QUERY_STRING='token=abc',
            HTTP_USER_AGENT='nova-client',
        )
        self.assertEqual('GET /v2.1/servers/{id}', span.name)
        self.assertEqual(trace.SpanKind.SERVER, span.kind)
        self.assertEqual('oslo_tracing.wsgi', span.instrumentation_scope.name)
        self.assertIsNone(span.parent)
        self.assertIs(trace.StatusCode.UNSET, span.status.status_code)
        own = f'req-{uuid.UUID(int=span.context.trace_id)}'
        self.assertEqual(
            {
                'http.request.method': 'GET',
                'url.path': f'/v2.1/servers/{SERVER_ID}',
                'url.scheme': 'http',
                'http.response.status_code': 200,
                'server.address': 'api.example',
                'server.port': 8774,
                'client.address': '192.0.2.7',
                'user_agent.original': 'nova-client',
                'network.protocol.version': '1.1',
                'openstack.request_id': own,
                'openstack.sampling.name': 'GET /v2.1/servers/{id}',
            },
            dict(span.attributes),
        )

    def test_a_mount_is_part_of_the_path(self):
        span = self.span_of(wsgi.hello, '/servers', SCRIPT_NAME='/compute')
        self.assertEqual('/compute/servers', span.attributes['url.path'])
        self.assertEqual('GET /compute/servers', span.name)

    def test_the_empty_path_is_the_root(self):
        span = self.span_of(wsgi.hello, '', SCRIPT_NAME='')
        self.assertEqual('/', span.attributes['url.path'])
        self.assertEqual('GET /', span.name)

    def test_only_a_failing_server_is_an_error(self):
        for status, code in (
            ('200 OK', trace.StatusCode.UNSET),
            ('304 Not Modified', trace.StatusCode.UNSET),
            ('401 Unauthorized', trace.StatusCode.UNSET),
            ('413 Too Large', trace.StatusCode.UNSET),
            ('500 Oh', trace.StatusCode.ERROR),
            ('503 Later', trace.StatusCode.ERROR),
        ):
            if status.startswith('304'):

                def app(environ, start_response):
                    start_response('304 Not Modified', [])
                    return []

            else:
                app = wsgi.saying(status)
            span = self.span_of(app, '/servers')
            self.assertIs(code, span.status.status_code, status)
            self.assertIsNone(span.status.description)
            self.assertEqual(
                int(status[:3]), span.attributes['http.response.status_code']
            )
            expected = status[:3] if status >= '5' else None
            self.assertEqual(expected, span.attributes.get('error.type'))

    def test_what_does_not_exist_has_no_name_of_its_own(self):
        for status in ('404 Not Found', '405 Not Allowed'):
            span = self.span_of(wsgi.saying(status), '/nothing/here')
            self.assertEqual('GET', span.name)
            self.assertEqual('/nothing/here', span.attributes['url.path'])

    def test_a_made_up_method_is_told_beside_the_name(self):
        span = self.span_of(wsgi.hello, '/x', 'FROBNICATE', checked=False)
        self.assertEqual('HTTP /x', span.name)
        self.assertEqual('_OTHER', span.attributes['http.request.method'])
        self.assertEqual(
            'FROBNICATE', span.attributes['http.request.method_original']
        )

    def test_what_the_server_itself_says_is_used_for_a_bad_host(self):
        for host in ('a b', 'x' * 300, 'user:pw@h', '[::1', ''):
            span = self.span_of(wsgi.hello, HTTP_HOST=host)
            self.assertEqual('api.example', span.attributes['server.address'])
            self.assertEqual(8774, span.attributes['server.port'])

    def test_the_port_is_that_of_the_scheme_if_none_is_given(self):
        span = self.span_of(
            wsgi.hello,
            HTTP_HOST='[2001:db8::1]',
            **{'wsgi.url_scheme': 'https'},
        )
        self.assertEqual('2001:db8::1', span.attributes['server.address'])
        self.assertEqual(443, span.attributes['server.port'])
        self.assertEqual('https', span.attributes['url.scheme'])

    def test_the_client_is_the_first_whom_proxies_name(self):
        for told, address in (
            ('203.0.113.9, 10.0.0.1', '203.0.113.9'),
            ('"[2001:db8::9]:4711"', '2001:db8::9'),
            ('203.0.113.9:4711', '203.0.113.9'),
            ('2001:db8::9', '2001:db8::9'),
        ):
            span = self.span_of(wsgi.hello, REMOTE_ADDR=told)
            self.assertEqual(address, span.attributes['client.address'])

    def test_there_may_be_no_client_address(self):
        span = self.span_of(wsgi.hello, REMOTE_ADDR='')
        self.assertNotIn('client.address', span.attributes)


class NamesAndSecretsTest(RequestTest):
    def setUp(self):
        super().setUp()
        self.record()

    def test_a_thousand_servers_have_one_name(self):
        app = middleware.TracingMiddleware(wsgi.hello)
        for _ in range(1000):
            wsgi.ask(app, f'/v2.1/servers/{uuid.uuid4()}', checked=False)
        self.assertEqual(1000, len(self.spans.finished))
        self.assertEqual(
            {'GET /v2.1/servers/{id}'},
            {span.name for span in self.spans.finished},
        )

    def test_whatever_is_asked_for_the_names_are_bounded(self):
        # One filter for each pipeline of a service, and one bound.
        apps = [middleware.TracingMiddleware(wsgi.hello) for _ in range(2)]
        letters = random.Random(7)
        for number in range(3000):
            word = ''.join(letters.choices('abcdefghijklm', k=12))
            wsgi.ask(apps[number % 2], f'/{word}', word, checked=False)
        found = {span.name for span in self.spans.finished}
        self.assertEqual(501, len(found))
        self.assertIn('HTTP', found)

    def test_secrets_are_nowhere(self):
        token = 'gAAAAABnVrandomrandomrandomrandomrandomrandomrandom'
        signature = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'
        for path, query in (
            (f'/v3/auth/tokens/{token}', ''),
            (f'/v1/AUTH_x/c/o;temp_url_sig={signature}', ''),
            ('/v1/c', f'temp_url_sig={signature}&token={token}'),
            (f'/v1/{signature}{signature}', ''),
        ):
            span = self.span_of(
                wsgi.hello,
                path,
                QUERY_STRING=query,
                HTTP_X_AUTH_TOKEN=token,
                HTTP_COOKIE=token,
            )
            told = span.to_json()
            self.assertNotIn(token, told)
            self.assertNotIn(signature, told)

    def test_megabytes_of_a_stranger_stay_out(self):
        huge = 'x/' * (5 * 2**20)
        span = self.span_of(
            wsgi.hello,
            '/' + huge,
            huge.upper(),
            checked=False,
            HTTP_USER_AGENT=huge,
            HTTP_HOST=huge,
            HTTP_TRACEPARENT=huge,
            HTTP_TRACESTATE=huge,
            HTTP_BAGGAGE=huge,
            HTTP_X_OPENSTACK_REQUEST_ID=huge,
            REMOTE_ADDR=huge,
            SERVER_PROTOCOL=huge,
            **{'openstack.request_id': huge},
        )
        self.assertLess(len(span.to_json()), 12000)
        self.assertLessEqual(len(span.name), 256)

    def test_a_path_that_is_no_text_harms_nobody(self):
        for path in (
            '/\xff\xfe/\x00',
            '/\udcff',
            '/\u4e2d',
            b'/\xe4\xb8\xad'.decode('latin-1'),
        ):
            span = self.span_of(wsgi.hello, path, checked=False)
            span.name.encode('utf-8')
            span.attributes['url.path'].encode('utf-8')
        self.assertEqual('/中', span.attributes['url.path'])

    def test_bytes_that_are_no_text_are_shown_as_they_came(self):
        for path, said, name in (
            ('/v1/c/caf\xe9.txt', '/v1/c/caf%E9.txt', '/v1/c/{id}'),
            ('/v1/\xe9\xff/\xe9', '/v1/%E9%FF/%E9', '/v1/{id}/{id}'),
            ('/v1/\xc3\xa9\xe9', '/v1/é%E9', '/v1/{id}'),
            ('/v1/\xed\xa0\x80', '/v1/%ED%A0%80', '/v1/{id}'),
            ('/v1/100%\xe9', '/v1/100%%E9', '/v1/{id}'),
            ('/v1/\xe9\\a', '/v1/%E9\\a', '/v1/{id}'),
            ('/v1/tokens/\xe9', '/v1/tokens/{secret}', None),
            ('/v1/\xe9' + 'aB3' * 12, '/v1/{secret}', None),
            ('/v1/c/caf\xc3\xa9.txt', '/v1/c/café.txt', '/v1/c/{id}'),
        ):
            span = self.span_of(wsgi.hello, path, checked=False)
            self.assertEqual(said, span.attributes['url.path'])
            self.assertEqual(f'GET {name or said}', span.name)

    def test_a_backslash_is_a_character_of_a_path(self):
        span = self.span_of(wsgi.hello, '/v1/c/a\\b', checked=False)
        self.assertEqual('/v1/c/a\\b', span.attributes['url.path'])
        self.assertEqual('GET /v1/c/{id}', span.name)


class WhoseItIsTest(RequestTest):
    REQUEST = 'req-11111111-2222-3333-4444-555555555555'
    GLOBAL = 'req-99999999-2222-3333-4444-555555555555'

    def setUp(self):
        super().setUp()
        self.record(request_id_is_trace_id=False)

    def ids_of(self, app, **more):
        span = self.span_of(app, **more)
        return {
            name.removeprefix('openstack.'): value
            for name, value in span.attributes.items()
            if name.startswith('openstack.')
            and name != 'openstack.sampling.name'
        }

    def test_ids_are_read_on_the_way_out(self):
        for key in ('nova.context', 'cinder.context', 'neutron.context'):

            def app(environ, start_response, key=key):
                environ['openstack.request_id'] = self.REQUEST
                environ['openstack.global_request_id'] = self.GLOBAL
                environ[key] = oslo_context.RequestContext(
                    project_id='p', user_id='u', domain_id='d', overwrite=False
                )
                return wsgi.hello(environ, start_response)

            self.assertEqual(
                {
                    'request_id': self.REQUEST,
                    'global_request_id': self.GLOBAL,
                    'project_id': 'p',
                    'user_id': 'u',
                    'domain_id': 'd',
                },
                self.ids_of(app),
            )

    def test_a_context_set_on_the_request_of_webob_is_found(self):
        import webob.dec

        @webob.dec.wsgify
        def app(request):
            request.context = oslo_context.RequestContext(
                project_id='p', request_id=self.REQUEST, overwrite=False
            )
            return 'x'

        self.assertEqual(
            {'project_id': 'p', 'request_id': self.REQUEST}, self.ids_of(app)
        )

    def test_a_context_made_current_during_the_request_counts(self):
        def app(environ, start_response):
            oslo_context.RequestContext(
                project_id='p', request_id=self.REQUEST
            )
            return wsgi.hello(environ, start_response)

        self.assertEqual(
            {'project_id': 'p', 'request_id': self.REQUEST}, self.ids_of(app)
        )

    def test_a_context_left_by_an_earlier_request_does_not(self):
        oslo_context.RequestContext(project_id='somebody', user_id='else')
        self.assertEqual({}, self.ids_of(wsgi.hello))

    def test_what_authentication_confirmed_counts(self):
        def app(environ, start_response):
            environ['HTTP_X_IDENTITY_STATUS'] = 'Confirmed'
            environ['HTTP_X_PROJECT_ID'] = 'p'
            environ['HTTP_X_USER_ID'] = 'u'
            return wsgi.hello(environ, start_response)

        self.assertEqual({'project_id': 'p', 'user_id': 'u'}, self.ids_of(app))

    def test_what_a_caller_claims_does_not(self):
        claimed = {
            'HTTP_X_IDENTITY_STATUS': 'Confirmed',
            'HTTP_X_PROJECT_ID': 'p',
            'HTTP_X_USER_ID': 'u',
        }
        self.assertEqual({}, self.ids_of(wsgi.hello, **claimed))

        def authenticated(environ, start_response):
            environ['keystone.token_auth'] = object()
            return wsgi.hello(environ, start_response)

        self.assertEqual(
            {'project_id': 'p', 'user_id': 'u'},
            self.ids_of(authenticated, **claimed),
        )

    def test_unconfirmed_is_nobody(self):
        def app(environ, start_response):
            environ['HTTP_X_IDENTITY_STATUS'] = 'Invalid'
            environ['HTTP_X_PROJECT_ID'] = 'p'
            return wsgi.hello(environ, start_response)

        self.assertEqual({}, self.ids_of(app))

    def test_ids_of_the_headers_where_no_filter_keeps_them(self):
        app = wsgi.saying(
            '200 OK', headers=[('X-OpenStack-Request-ID', self.REQUEST)]
        )
        self.assertEqual(
            {'request_id': self.REQUEST, 'global_request_id': self.GLOBAL},
            self.ids_of(app, HTTP_X_OPENSTACK_REQUEST_ID=self.GLOBAL),
        )

    def test_only_request_ids_are_taken_from_headers(self):
        app = wsgi.saying(
            '200 OK', headers=[('X-OpenStack-Request-ID', 'a secret')]
        )
        self.assertEqual(
            {}, self.ids_of(app, HTTP_X_OPENSTACK_REQUEST_ID='b' * 40)
        )

    def test_a_context_that_raises_costs_only_the_ids(self):
        class Broken:
            request_id = 'x'

            @property
            def project_id(self):
                raise RuntimeError

        def app(environ, start_response):
            environ['nova.context'] = Broken()
            return wsgi.hello(environ, start_response)

        span = self.span_of(app, '/servers')
        self.assertEqual('GET /servers', span.name)
        self.assertEqual(200, span.attributes['http.response.status_code'])

    def test_a_failing_request_has_them_too(self):
        def app(environ, start_response):
            oslo_context.RequestContext(
                project_id='p', request_id=self.REQUEST
            )
            raise RuntimeError

        self.assertRaises(RuntimeError, self.ask, app)
        [span] = self.spans.finished
        self.assertEqual('p', span.attributes['openstack.project_id'])


class TrustTest(RequestTest):
    def test_a_trusted_caller_is_the_parent_and_learns_of_the_span(self):
        self.record()
        answer = self.ask(
            wsgi.hello, HTTP_TRACEPARENT=CALLER, HTTP_TRACESTATE='a=b'
        )
        [span] = self.spans.finished
        self.assertEqual(0xB7AD6B7169203331, span.parent.span_id)
        self.assertTrue(span.parent.is_remote)
        self.assertEqual(
            0x0AF7651916CD43DD8448EB211C80319C, span.context.trace_id
        )
        self.assertEqual('b', span.context.trace_state['a'])
        self.assertEqual(
            f'00-0af7651916cd43dd8448eb211c80319c-{span.context.span_id:016x}'
            '-01',
            answer.headers['traceresponse'],
        )

    def test_a_caller_who_says_no_is_heard(self):
        self.record(sample_ratio=1.0)
        answer = self.ask(wsgi.hello, HTTP_TRACEPARENT=CALLER_SAYS_NO)
        self.assertEqual([], self.spans.finished)
        self.assertRegex(
            answer.headers['traceresponse'],
            '^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$',
        )

    def test_the_response_may_be_told_nothing(self):
        self.record(traceresponse=False)
        answer = self.ask(wsgi.hello, HTTP_TRACEPARENT=CALLER)
        self.assertEqual({'Content-Type': 'text/plain'}, answer.headers)

    def test_who_sends_nothing_is_told_nothing(self):
        self.record()
        answer = self.ask(wsgi.hello)
        self.assertEqual({'Content-Type': 'text/plain'}, answer.headers)

    def test_the_headers_of_the_application_stay_its_own(self):
        self.record()
        mine = [('Content-Type', 'text/plain'), ('Traceresponse', 'theirs')]

        def app(environ, start_response):
            start_response('200 OK', mine)
            return [b'']

        answer = self.ask(app, HTTP_TRACEPARENT=CALLER)
        self.assertEqual(2, len(mine))
        names = [name.lower() for name, _ in answer.calls[0][1]]
        self.assertEqual(['content-type', 'traceresponse'], names)
        self.assertNotEqual('theirs', answer.headers['traceresponse'])

    def test_a_stranger_is_linked(self):
        self.record(incoming='link')
        answer = self.ask(
            wsgi.hello,
            HTTP_TRACEPARENT=CALLER,
            HTTP_TRACESTATE='a=b',
            HTTP_BAGGAGE='k=v',
        )
        [span] = self.spans.finished
        self.assertIsNone(span.parent)
        self.assertNotEqual(
            0x0AF7651916CD43DD8448EB211C80319C, span.context.trace_id
        )
        self.assertEqual(0, len(span.context.trace_state))
        [link] = span.links
        self.assertEqual(0xB7AD6B7169203331, link.context.span_id)
        self.assertEqual(
            {'openstack.link.reason': 'untrusted'}, dict(link.attributes)
        )
        self.assertNotIn('traceresponse', answer.headers)

    def test_a_stranger_is_ignored(self):
        self.record(incoming='ignore')
        answer = self.ask(wsgi.hello, HTTP_TRACEPARENT=CALLER)
        [span] = self.spans.finished
        self.assertIsNone(span.parent)
        self.assertEqual(0, len(span.links))
        self.assertNotIn('traceresponse', answer.headers)

    def test_strangers_cannot_force_anything(self):
        for mode in ('link', 'ignore'):
            self.record(incoming=mode, sample_ratio=0.0)
            app = middleware.TracingMiddleware(wsgi.hello)
            for _ in range(300):
                wsgi.ask(
                    app,
                    checked=False,
                    HTTP_TRACEPARENT=f'00-{uuid.uuid4().hex}-{1:016x}-01',
                )
            self.assertEqual([], self.spans.finished)

    def test_chosen_ids_are_not_always_sampled(self):
        for mode in ('link', 'ignore'):
            self.record(incoming=mode, sample_ratio=0.01)
            app = middleware.TracingMiddleware(wsgi.hello)
            for number in range(1, 501):
                # Low bits that any ratio would keep.
                wsgi.ask(
                    app,
                    checked=False,
                    HTTP_TRACEPARENT=f'00-{number:016x}{"f" * 16}-{1:016x}-01',
                )
            self.assertLess(len(self.spans.finished), 50)

    def test_nonsense_in_trace_headers_starts_a_trace(self):
        self.record()
        for nonsense in ('', '00', 'é' * 55, 'x' * 2**20, CALLER + 'x'):
            span = self.span_of(
                wsgi.hello,
                checked=False,
                HTTP_TRACEPARENT=nonsense,
                HTTP_TRACESTATE=nonsense,
                HTTP_BAGGAGE=nonsense,
            )
            self.assertIsNone(span.parent)


class ContextTest(RequestTest):
    def setUp(self):
        super().setUp()
        self.record()

    def test_the_application_runs_in_the_span(self):
        seen = []

        def app(environ, start_response):
            seen.append(trace.get_current_span().get_span_context().span_id)
            return wsgi.hello(environ, start_response)

        span = self.span_of(app)
        self.assertEqual([span.context.span_id], seen)
        self.assertFalse(trace.get_current_span().get_span_context().is_valid)

    def test_what_was_left_on_the_thread_is_not_inherited(self):
        left = self.spans.tracing.tracer('test').start_span('left')
        token = otel_context.attach(
            otel_context.set_value(
                'left', True, trace.set_span_in_context(left)
            )
        )
        self.addCleanup(otel_context.detach, token)
        before = otel_context.get_current()
        seen = []

        def app(environ, start_response):
            seen.append(otel_context.get_value('left'))
            return wsgi.hello(environ, start_response)

        span = self.span_of(app)
        self.assertIsNone(span.parent)
        self.assertEqual([None], seen)
        self.assertIs(before, otel_context.get_current())

    def test_the_next_tenant_starts_clean_after_a_failure(self):
        def app(environ, start_response):
            raise RuntimeError

        before = otel_context.get_current()
        self.assertRaises(RuntimeError, self.ask, app)
        self.assertIs(before, otel_context.get_current())

    def test_baggage_comes_with_a_believed_caller_only(self):
        from opentelemetry import baggage

        seen = []

        def app(environ, start_response):
            seen.append(dict(baggage.get_all()))
            return wsgi.hello(environ, start_response)

        self.ask(app, HTTP_TRACEPARENT=CALLER, HTTP_BAGGAGE='k=v')
        self.ask(app, HTTP_BAGGAGE='k=v')
        self.assertEqual([{'k': 'v'}, {}], seen)

    def test_nothing_is_recorded_where_that_is_suppressed(self):
        for key in (
            otel_context._SUPPRESS_INSTRUMENTATION_KEY,
            otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY,
        ):
            token = otel_context.attach(otel_context.set_value(key, True))
            try:
                answer = self.ask(wsgi.hello)
            finally:
                otel_context.detach(token)
            self.assertEqual(b'hello', answer.body)
            self.assertEqual([], self.spans.finished)

    def test_a_request_made_of_a_copy_inside_adds_no_span(self):
        import webob

        inner = middleware.TracingMiddleware(wsgi.hello)

        def app(environ, start_response):
            copy = webob.Request(environ).copy()
            copy.get_response(inner)
            return inner(environ, start_response)

        self.span_of(app, '/servers')

    def test_an_environment_that_is_used_again_is_recorded_again(self):
        app = middleware.TracingMiddleware(wsgi.hello)
        environ = wsgi.environment()
        for _ in range(2):
            app(environ, wsgi.Answer().start_response)
        self.assertEqual(2, len(self.spans.finished))
        self.assertNotIn('oslo_tracing', ' '.join(environ))

    def test_so_is_a_copy_of_one_whose_request_is_over(self):
        copies = []

        def app(environ, start_response):
            copies.append(dict(environ))
            return wsgi.hello(environ, start_response)

        traced = middleware.TracingMiddleware(app)
        traced(wsgi.environment(), wsgi.Answer().start_response)
        traced(copies[0], wsgi.Answer().start_response)
        self.assertEqual(2, len(self.spans.finished))

    def test_concurrent_requests_do_not_mix(self):
        barrier = threading.Barrier(4)
        seen = {}

        def app(environ, start_response):
            barrier.wait(10)
            current = trace.get_current_span().get_span_context().span_id
            seen[environ['PATH_INFO']] = current
            barrier.wait(10)
            return wsgi.hello(environ, start_response)

        traced = middleware.TracingMiddleware(app)
        threads = [
            threading.Thread(target=wsgi.ask, args=(traced, f'/{name}'))
            for name in 'abcd'
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        self.assertEqual(
            {
                span.attributes['url.path']: span.context.span_id
                for span in self.spans.finished
            },
            seen,
        )
        self.assertEqual(4, len(set(seen.values())))


class RequestIdTest(RequestTest):
    def ids_made(self, **headers):
        made = []

        def app(environ, start_response):
            made.extend(oslo_context.generate_request_id() for _ in range(3))
            environ['openstack.request_id'] = made[0]
            return wsgi.hello(environ, start_response)

        span = self.span_of(app, **headers)
        return f'req-{uuid.UUID(int=span.context.trace_id)}', made

    def test_the_first_id_of_a_new_trace_is_the_traces(self):
        self.record()
        of_trace, made = self.ids_made()
        self.assertEqual(of_trace, made[0])
        self.assertEqual(3, len(set(made)))

    def test_who_continues_a_trace_has_ids_of_its_own(self):
        self.record()
        of_trace, made = self.ids_made(HTTP_TRACEPARENT=CALLER)
        self.assertNotIn(of_trace, made)

    def test_a_link_starts_a_trace(self):
        self.record(incoming='link')
        of_trace, made = self.ids_made(HTTP_TRACEPARENT=CALLER)
        self.assertEqual(of_trace, made[0])

    def test_it_can_be_turned_off(self):
        self.record(request_id_is_trace_id=False)
        of_trace, made = self.ids_made()
        self.assertNotIn(of_trace, made)
        span = self.span_of(wsgi.hello)
        self.assertNotIn('openstack.request_id', span.attributes)

    def test_a_new_trace_has_one_where_nobody_makes_one(self):
        # As where a service answers with its versions.
        self.record()
        span = self.span_of(wsgi.hello)
        self.assertEqual(
            f'req-{uuid.UUID(int=span.context.trace_id)}',
            span.attributes['openstack.request_id'],
        )
        span = self.span_of(wsgi.hello, HTTP_TRACEPARENT=CALLER)
        self.assertNotIn('openstack.request_id', span.attributes)

    def test_a_new_trace_has_one_where_the_service_fails(self):
        self.record()

        def app(environ, start_response):
            raise RuntimeError

        self.spans.clear()
        self.assertRaises(RuntimeError, self.ask, app)
        [span] = self.spans.finished
        self.assertEqual('RuntimeError', span.attributes['error.type'])
        self.assertEqual(
            f'req-{uuid.UUID(int=span.context.trace_id)}',
            span.attributes['openstack.request_id'],
        )

    def test_an_id_of_the_services_own_is_not_replaced(self):
        self.record()
        app = wsgi.saying(
            '200 OK', headers=[('X-OpenStack-Request-ID', 'of another form')]
        )
        self.assertNotIn('openstack.request_id', self.span_of(app).attributes)

    def test_an_id_that_nobody_keeps_is_not_told(self):
        self.record()

        def app(environ, start_response):
            oslo_context.generate_request_id()
            return wsgi.hello(environ, start_response)

        self.assertNotIn('openstack.request_id', self.span_of(app).attributes)


class PathsThatComeAgainTest(RequestTest):
    def test_they_are_said_the_same_again(self):
        self.record()
        server = '2b1f4a53-7c0e-4d7e-9d0a-1f6f0f6a1c11'
        told = {
            '/v3/auth/tokens': '/v3/auth/tokens',
            f'/v2.1/servers/{server}': f'/v2.1/servers/{server}',
            '/v2.0/tokens/gAAAAABkSecret': '/v2.0/tokens/{secret}',
        }
        for _ in range(3):
            for path in told:
                self.ask(wsgi.hello, path)
        self.assertEqual(
            list(told.values()) * 3,
            [span.attributes['url.path'] for span in self.spans.finished],
        )
        names = [span.name for span in self.spans.finished]
        self.assertEqual(names[:3] * 3, names)

    def test_few_are_remembered_and_no_secret_is(self):
        self.record()
        for number in range(600):
            self.ask(wsgi.hello, f'/v2.0/tokens/gAAAAABk{number}')
            self.ask(wsgi.hello, f'/v3/users/{number}')
        self.ask(wsgi.hello, '/' + 'long/' * 100)
        [known] = [
            paths._known
            for paths in base.instances_of(_wsgi_told.Paths)
            if paths._known
        ]
        self.assertIn(len(known), range(1, 513))
        self.assertNotIn('gAAAAA', str(known))
        self.assertNotIn('long', str(known))


class IgnoredPathsTest(RequestTest):
    def test_ignored_paths_have_no_span_at_all(self):
        self.record(ignored_paths=['/healthcheck', '/static/*'])
        seen = []

        def app(environ, start_response):
            seen.append(context.is_suppressed())
            return wsgi.hello(environ, start_response)

        for path in ('/healthcheck', '/static/a/b.css'):
            self.ask(app, path)
        self.ask(app, '/check', SCRIPT_NAME='/health', checked=False)
        self.assertEqual([True, True, False], seen)
        [span] = self.spans.finished
        self.assertEqual('/health/check', span.attributes['url.path'])

    def test_a_mount_counts(self):
        self.record(ignored_paths=['/api/healthcheck'])
        self.ask(wsgi.hello, '/healthcheck', SCRIPT_NAME='/api')
        self.assertEqual([], self.spans.finished)

    def test_a_glob_is_no_prefix(self):
        self.record(ignored_paths=['/healthcheck', '/h?'])
        self.ask(wsgi.hello, '/healthcheck/x')
        self.ask(wsgi.hello, '/h.')
        self.ask(wsgi.hello, '/hxx')
        self.assertEqual(
            ['/healthcheck/x', '/hxx'],
            [span.attributes['url.path'] for span in self.spans.finished],
        )

    def test_the_option_changes_while_the_service_runs(self):
        self.record(ignored_paths=[])
        app = middleware.TracingMiddleware(wsgi.hello)
        wsgi.ask(app, '/healthcheck')
        self.spans.tracing.settings.ignored_paths = ['/healthcheck']
        wsgi.ask(app, '/healthcheck')
        self.assertEqual(1, len(self.spans.finished))


class BrokenTracingTest(RequestTest):
    """We fail; the service does not."""

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))
        # What an earlier test has said would not be said again.
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._guard._REPORTER', _guard._Reporter()
            )
        )

    def assert_served(self, times=1):
        calls = []

        def app(environ, start_response):
            calls.append(environ)
            return wsgi.hello(environ, start_response)

        for _ in range(times):
            answer = self.ask(app, '/x', HTTP_TRACEPARENT=CALLER)
            self.assertEqual(b'hello', answer.body)
            self.assertEqual('200 OK', answer.status)
        self.assertEqual(times, len(calls))

    def test_a_broken_sampler_does_not_reach_the_service(self):
        self.record()

        class Broken:
            def should_sample(self, *args, **kwargs):
                raise RuntimeError('secret')

        self.spans.tracing.provider.sampler = Broken()
        self.assert_served()
        self.assertIn('starting the span of a request', self.log.output)
        self.assertNotIn('secret', self.log.output)

    def test_a_broken_processor_does_not_reach_the_service(self):
        from opentelemetry.sdk import trace as sdk_trace

        class Broken(sdk_trace.SpanProcessor):
            def on_end(self, span):
                raise RuntimeError('secret')

        self.record()
        self.spans.tracing.provider.add_span_processor(Broken())
        self.assert_served(3)
        self.assertNotIn('secret', self.log.output)

    def test_a_broken_propagator_does_not_reach_the_service(self):
        class Broken:
            def from_environ(self, environ):
                raise RuntimeError('secret')

        self.record()
        self.spans.tracing.propagation = Broken()
        self.assert_served(3)
        self.assertEqual(1, self.log.output.count('Tracing failed'))
        self.assertNotIn('secret', self.log.output)

    def test_a_server_without_the_usual_keys_is_served(self):
        self.record()
        answer = wsgi.Answer()
        app = middleware.TracingMiddleware(wsgi.hello)
        body = app({}, answer.start_response)
        self.assertEqual([b'hello'], body)
        [span] = self.spans.finished
        self.assertEqual(200, span.attributes['http.response.status_code'])

    def test_a_status_that_is_no_number_is_passed_on(self):
        self.record()
        app = middleware.TracingMiddleware(wsgi.saying('odd'))
        answer = wsgi.ask(app, checked=False)
        self.assertEqual('odd', answer.status)
        [span] = self.spans.finished
        self.assertNotIn('http.response.status_code', span.attributes)

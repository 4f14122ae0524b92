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

"""Outgoing HTTP, to real servers."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading

import fixtures
from keystoneauth1 import exceptions as keystone_exceptions
from keystoneauth1 import session as keystone_session
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace
import requests
import urllib3.response

import oslo_tracing
from oslo_tracing import _guard
from oslo_tracing import context
from oslo_tracing import service
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.integrations import http_servers


class RequestsTest(http_servers.TestCase):
    def test_a_request_becomes_one_client_span(self):
        spans = self.record()
        with oslo_tracing.span('work', root=True):
            requests.get(self.server.url + '/', timeout=5)
        span = spans.named('GET')
        self.assertEqual(trace.SpanKind.CLIENT, span.kind)
        self.assertEqual(http_servers.SCOPE, span.instrumentation_scope.name)
        self.assertEqual(
            spans.named('work').context.span_id, span.parent.span_id
        )
        self.assert_attributes(
            {
                'http.request.method': 'GET',
                'url.full': self.server.url + '/',
                'server.address': '127.0.0.1',
                'server.port': self.server.port,
                'http.response.status_code': 200,
            },
            span,
        )
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)
        self.assertEqual(2, len(spans.finished))

    def test_the_server_gets_the_id_of_the_client_span(self):
        spans = self.record()
        requests.get(self.server.url + '/', timeout=5)
        self.assertEqual(
            [base.traceparent(spans.named('GET'))],
            self.server.header('traceparent'),
        )

    def test_a_user_s_url_gets_traceparent_alone(self):
        spans = self.record(propagators=['tracecontext', 'baggage', 'b3'])
        token = otel_context.attach(baggage.set_baggage('user', 'me'))
        self.addCleanup(otel_context.detach, token)
        requests.get(self.server.url + '/', timeout=5)
        self.assertEqual(1, len(spans.finished))
        names = self.server.names()
        self.assertIn('traceparent', names)
        self.assertEqual(set(), names & {'baggage', 'tracestate', 'b3'})

    def test_a_failing_status_is_an_error(self):
        spans = self.record()
        self.server.routes['/broken'] = (503, {}, b'')
        for path, status in (('/missing', 404), ('/broken', 503)):
            spans.clear()
            requests.get(self.server.url + path, timeout=5)
            span = spans.named('GET')
            self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
            self.assertEqual(str(status), span.attributes['error.type'])
            self.assertEqual(
                status, span.attributes['http.response.status_code']
            )
            self.assertEqual((), span.events)

    def test_a_refused_connection_is_an_error_and_still_raises(self):
        spans = self.record()
        url = f'http://127.0.0.1:{http_servers.closed_port()}/'
        error = self.assertRaises(
            requests.ConnectionError, requests.get, url, timeout=5
        )
        self.assertIsNotNone(error.request)
        span = spans.named('GET')
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual(
            'requests.exceptions.ConnectionError',
            span.attributes['error.type'],
        )
        self.assertNotIn('http.response.status_code', span.attributes)
        self.assertEqual(['exception'], [e.name for e in span.events])
        self.assertFalse(context.has_parent())

    def test_a_timeout_is_an_error(self):
        spans = self.record()
        release = threading.Event()
        self.addCleanup(release.set)
        self.server.routes['/slow'] = lambda handler: release.wait(30)
        self.assertRaises(
            requests.ReadTimeout,
            requests.get,
            self.server.url + '/slow',
            timeout=0.05,
        )
        self.assertEqual(
            'requests.exceptions.ReadTimeout',
            spans.named('GET').attributes['error.type'],
        )

    def test_head_and_no_content(self):
        spans = self.record()
        self.server.routes['/empty'] = (204, {}, b'')
        with requests.Session() as session:
            for stream in (False, True):
                session.head(self.server.url + '/', stream=stream)
                session.delete(self.server.url + '/empty', stream=stream)
        self.assertEqual(
            [('HEAD', 200), ('DELETE', 204)] * 2,
            [
                (s.name, s.attributes['http.response.status_code'])
                for s in spans.finished
            ],
        )

    def test_a_method_nobody_knows(self):
        spans = self.record()
        requests.request('purge', self.server.url + '/', timeout=5)
        span = spans.named('HTTP')
        self.assertEqual('_OTHER', span.attributes['http.request.method'])
        self.assertEqual(
            'PURGE', span.attributes['http.request.method_original']
        )

    def test_nothing_around_starts_a_trace_for_each_request(self):
        spans = self.record()
        for _ in range(2):
            requests.get(self.server.url + '/', timeout=5)
        self.assertEqual([None, None], [s.parent for s in spans.finished])
        self.assertEqual(
            2, len({span.context.trace_id for span in spans.finished})
        )

    def test_an_unsampled_trace_is_carried_and_not_recorded(self):
        spans = self.record(sample_ratio=0.0)
        with oslo_tracing.span('work', root=True) as work:
            requests.get(self.server.url + '/', timeout=5)
            current = work.get_span_context()
        self.assertEqual([], spans.finished)
        (header,) = self.server.header('traceparent')
        self.assertIn(trace.format_trace_id(current.trace_id), header)
        self.assertEqual('0', header[-1:].translate({ord('2'): '0'}))

    def test_a_sampler_that_does_not_ask_the_parent_gets_one_span(self):
        spans = self.record(sampler='always_on')
        parent = trace.SpanContext(1, 2, True, trace.TraceFlags(0))
        token = context.attach(trace.NonRecordingSpan(parent))
        self.addCleanup(context.detach, token)
        requests.get(self.server.url + '/', timeout=5)
        span = spans.named('GET')
        self.assertEqual(2, span.parent.span_id)
        self.assertEqual('127.0.0.1', span.attributes['server.address'])

    def test_suppressed_means_no_span_and_no_header(self):
        spans = self.record()
        suppressions = (
            otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY,
            otel_context._SUPPRESS_INSTRUMENTATION_KEY,
            'suppress_instrumentation',
        )
        for key in suppressions:
            token = otel_context.attach(otel_context.set_value(key, True))
            try:
                requests.get(self.server.url + '/', timeout=5)
                self.to_server().get('/')
            finally:
                otel_context.detach(token)
            self.assertNotIn('traceparent', self.server.names(-1))
            self.assertNotIn('traceparent', self.server.names(-2))
        self.assertEqual([], spans.finished)

    def test_propagate_to_bounds_who_learns_of_the_trace(self):
        spans = self.record(propagate_to=['*.example.org', 'localhost'])
        given = {'traceparent': 'of the caller'}
        requests.get(self.server.url + '/', timeout=5, headers=given)
        # Traced, and the header is none of ours.
        self.assertEqual(['of the caller'], self.server.header('traceparent'))
        requests.get(self.server.url + '/', timeout=5)
        self.assertNotIn('traceparent', self.server.names())
        self.to_server().get('/')
        self.assertNotIn('traceparent', self.server.names())
        self.assertEqual(3, len(spans.finished))
        requests.get(f'http://localhost:{self.server.port}/', timeout=5)
        self.assertEqual(
            [base.traceparent(spans.finished[-1])],
            self.server.header('traceparent'),
        )

    def test_nothing_of_the_caller_s_is_changed(self):
        spans = self.record()
        headers = {'X-Mine': '1', 'traceparent': 'of the caller'}
        session = requests.Session()
        self.addCleanup(session.close)
        before = dict(session.headers)
        response = session.get(self.server.url + '/', headers=headers)
        self.assertEqual(
            {'X-Mine': '1', 'traceparent': 'of the caller'}, headers
        )
        self.assertEqual(before, dict(session.headers))
        # Ours is the receiver's parent.
        self.assertEqual(
            [base.traceparent(spans.named('GET'))],
            self.server.header('traceparent'),
        )
        self.assertEqual({'response': []}, dict(response.request.hooks))

        hooks = {'response': []}
        prepared = session.prepare_request(
            requests.Request('GET', self.server.url + '/')
        )
        prepared.hooks = hooks
        was = dict(prepared.headers)
        session.send(prepared)
        self.assertEqual(was, dict(prepared.headers))
        self.assertIs(hooks, prepared.hooks)
        self.assertEqual({'response': []}, hooks)
        self.assertIn('traceparent', self.server.names())

    def test_responses_can_be_pickled(self):
        self.record()
        response = requests.get(self.server.url + '/', timeout=5)
        again = pickle.loads(pickle.dumps(response))
        self.assertEqual(response.content, again.content)
        self.assertIs(dict, type(again.request.hooks))

    def test_one_prepared_request_sent_twice(self):
        spans = self.record()
        with requests.Session() as session:
            prepared = session.prepare_request(
                requests.Request('GET', self.server.url + '/')
            )
            session.send(prepared)
            session.send(prepared)
        self.assertEqual(
            [base.traceparent(span) for span in spans.finished],
            [self.server.header('traceparent', n)[0] for n in (0, 1)],
        )

    def test_a_request_that_is_not_prepared_is_refused_as_ever(self):
        spans = self.record()
        request = requests.Request('GET', self.server.url + '/')
        with requests.Session() as session:
            self.assertRaises(ValueError, session.send, request)
        self.assertEqual([], spans.finished)

    def test_hooks_run_outside_of_the_span(self):
        spans = self.record()
        seen = []

        def hook(response, **kwargs):
            seen.append(trace.get_current_span().get_span_context().span_id)
            if len(self.server.seen) == 1:
                requests.get(self.server.url + '/', timeout=5)

        with oslo_tracing.span('work', root=True) as work:
            requests.get(
                self.server.url + '/', timeout=5, hooks={'response': hook}
            )
            work_id = work.get_span_context().span_id
        self.assertEqual([work_id], seen)
        inner, outer = (s for s in spans.finished if s.name == 'GET')
        self.assertEqual(work_id, inner.parent.span_id)
        self.assertEqual(work_id, outer.parent.span_id)
        self.assertNotIn('http.request.resend_count', inner.attributes)

    def test_a_hook_that_raises_for_the_status(self):
        spans = self.record()

        def hook(response, **kwargs):
            response.raise_for_status()

        self.assertRaises(
            requests.HTTPError,
            requests.get,
            self.server.url + '/missing',
            hooks={'response': [hook]},
            timeout=5,
        )
        span = spans.named('GET')
        self.assertEqual('404', span.attributes['error.type'])
        self.assertEqual(404, span.attributes['http.response.status_code'])

    def test_digest_authentication_still_works(self):
        spans = self.record()
        self.server.routes['/'] = [
            (
                401,
                {'WWW-Authenticate': 'Digest realm="r", nonce="n"'},
                b'',
            ),
            (200, {}, b'in'),
        ]
        response = requests.get(
            self.server.url + '/',
            auth=requests.auth.HTTPDigestAuth('me', 'hunter2'),
            timeout=5,
        )
        self.assertEqual(b'in', response.content)
        # The second attempt goes past the session, so both are one span.
        span = spans.named('GET')
        self.assertEqual(200, span.attributes['http.response.status_code'])

    def test_four_threads_share_a_session(self):
        spans = self.record()
        session = requests.Session()
        self.addCleanup(session.close)
        barrier = threading.Barrier(4)

        def work(number):
            with oslo_tracing.span(f'work {number}', root=True):
                barrier.wait()
                for _ in range(10):
                    session.get(f'{self.server.url}/?n={number}')

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sent = {s.context.span_id: s for s in spans.finished}
        self.assertEqual(40, len(self.server.seen))
        for _method, path, headers in self.server.seen:
            (header,) = (v for k, v in headers if k == 'traceparent')
            span = sent[int(header.split('-')[2], 16)]
            parent = sent[span.parent.span_id]
            self.assertEqual(f'work {path[-1]}', parent.name)
            self.assertIn(path, span.attributes['url.full'])

    def test_secrets_of_a_url_are_in_no_span(self):
        spans = self.record(exception_messages=True)
        secrets = '?temp_url_sig=s3cr3t1&token=s3cr3t2&X-Auth-Token=s3cr3t3'
        url = self.server.url.replace('//', '//me:s3cr3t4@')
        self.server.routes['/away'] = (
            302,
            {'Location': f'/missing{secrets}'},
            b'',
        )
        requests.get(f'{url}/{secrets}', timeout=5)
        requests.get(f'{url}/away{secrets}', timeout=5)
        requests.get(f'{url}/', params={'token': 's3cr3t5'}, timeout=5)
        port = http_servers.closed_port()
        for expected, call in (
            (requests.ConnectionError, requests.get),
            (keystone_exceptions.ConnectFailure, self.to_server().get),
        ):
            self.assertRaises(
                expected,
                call,
                f'http://me:s3cr3t4@127.0.0.1:{port}/{secrets}',
                timeout=5,
            )
        self.assertEqual(6, len(spans.finished))
        for span in spans.finished:
            self.assertNotIn('s3cr3t', span.to_json())
        self.assertIn(
            'REDACTED:REDACTED@', spans.finished[0].attributes['url.full']
        )


class UndoTest(http_servers.TestCase):
    def test_the_originals_come_back(self):
        send = vars(requests.Session)['send']
        request = vars(keystone_session.Session)['request']
        below = vars(keystone_session.Session)['_send_request']
        release = vars(urllib3.response.HTTPResponse)['release_conn']
        close = vars(urllib3.response.HTTPResponse)['close']
        self.record()
        self.assertIsNot(send, vars(requests.Session)['send'])
        self.assertIs(below, vars(keystone_session.Session)['_send_request'])
        service.shutdown()
        self.assertIs(send, vars(requests.Session)['send'])
        self.assertIs(request, vars(keystone_session.Session)['request'])
        self.assertIs(
            release, vars(urllib3.response.HTTPResponse)['release_conn']
        )
        self.assertIs(close, vars(urllib3.response.HTTPResponse)['close'])

    def test_who_wrapped_ours_since_keeps_working(self):
        spans = self.record()
        ours = requests.Session.send
        calls = []

        def theirs(session, request, **kwargs):
            calls.append(request.url)
            return ours(session, request, **kwargs)

        original = vars(ours)['__wrapped__']
        self.addCleanup(setattr, requests.Session, 'send', original)
        requests.Session.send = theirs
        service.shutdown()
        self.assertIs(theirs, requests.Session.send)
        requests.get(self.server.url + '/', timeout=5)
        self.assertEqual(1, len(calls))
        self.assertEqual([], spans.finished)
        self.assertNotIn('traceparent', self.server.names())

    def test_off_by_its_option(self):
        send = requests.Session.send
        self.record(trace_http_client=False)
        self.assertIs(send, requests.Session.send)

    def test_nothing_is_imported_for_it(self):
        code = (
            'import sys\n'
            'from oslo_config import cfg\n'
            'import oslo_tracing\n'
            'from oslo_tracing import fixture\n'
            'spans = fixture.SpanRecorder("http_client")\n'
            'spans.setUp()\n'
            'for name in ("requests", "keystoneauth1", "urllib3"):\n'
            '    assert name not in sys.modules, name\n'
            'import requests\n'
            'import keystoneauth1.session\n'
            'session = keystoneauth1.session.Session()\n'
            'try:\n'
            '    session.get(sys.argv[1], endpoint_filter='
            '{"service_type": "image"})\n'
            'finally:\n'
            '    spans.named("GET image")\n'
        )
        subprocess.run(
            [sys.executable, '-c', code, self.server.url + '/'], check=True
        )
        self.assertIn('traceparent', self.server.names())


class GuardTest(http_servers.TestCase):
    class _Broken(sdk_trace.SpanProcessor):
        def on_start(self, span, parent_context=None):
            raise RuntimeError('ours')

    class _BrokenAtTheEnd(sdk_trace.SpanProcessor):
        def on_end(self, span):
            raise RuntimeError('ours')

    def test_an_error_of_ours_does_not_reach_the_service(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._guard._REPORTER', _guard._Reporter()
            )
        )
        logger = self.useFixture(fixtures.FakeLogger())
        for processor in (self._Broken, self._BrokenAtTheEnd):
            spans = self.record()
            spans.tracing.provider.add_span_processor(processor())
            before = len(self.server.seen)
            response = requests.get(self.server.url + '/', timeout=5)
            self.assertEqual(200, response.status_code)
            response = self.to_server().get('/')
            self.assertEqual(200, response.status_code)
            with requests.get(
                self.server.url + '/', stream=True, timeout=5
            ) as response:
                self.assertEqual(b'{"hello": "world"}', response.content)
            self.assertRaises(
                keystone_exceptions.NotFound,
                self.to_server().get,
                '/missing',
            )
            self.assertEqual(4, len(self.server.seen) - before)
            self.assertFalse(context.has_parent())
            self.assertFalse(context.is_suppressed(http=True))
        for doing in ('starting', 'ending'):
            self.assertIn(f'failed while {doing} the span', logger.output)

    def test_a_missing_seam_is_told_once(self):
        logger = self.useFixture(fixtures.FakeLogger())
        self.useFixture(
            fixtures.MonkeyPatch('keystoneauth1.session.Session.request', None)
        )
        spans = self.record()
        self.assertIn('keystoneauth1', logger.output)
        self.assertIn('not traced', logger.output)
        requests.get(self.server.url + '/', timeout=5)
        spans.named('GET')

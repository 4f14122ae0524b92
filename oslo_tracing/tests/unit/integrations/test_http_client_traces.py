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

"""Outgoing HTTP with nothing around it: one call is one trace."""

from __future__ import annotations

import contextvars
import gc
import weakref

from keystoneauth1 import exceptions as keystone_exceptions
from keystoneauth1 import noauth
from keystoneauth1 import session as keystone_session
from opentelemetry import context as otel_context
from opentelemetry import trace
import requests

from oslo_tracing import _current
from oslo_tracing import context
from oslo_tracing.integrations import _http_attempts as attempts
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.integrations import http_servers


def session_that(work):
    """Return a session of keystoneauth that works before it sends."""

    class Plugin(noauth.NoAuth):
        def get_headers(self, session, **kwargs):
            work()
            return {}

    return keystone_session.Session(auth=Plugin())


class TracesTestCase(http_servers.TestCase):
    def setUp(self):
        super().setUp()
        self.server.routes.update(
            {
                path: (302, {'Location': self.server.url + to}, b'')
                for path, to in (('/first', '/second'), ('/second', '/'))
            }
        )

    def assert_one_trace(self, spans, count):
        """The first is the parent of the others, and all are told so."""
        first, *others = spans.finished
        self.assertEqual(count - 1, len(others))
        self.assertIsNone(first.parent)
        for span in others:
            self.assertEqual(first.context.trace_id, span.context.trace_id)
            self.assertEqual(first.context.span_id, span.parent.span_id)
        self.assertFalse(context.has_parent())

    def assert_traces(self, spans, *counts):
        """So many spans are in each trace, of which one is a root."""
        found = {}
        for span in spans.finished:
            found.setdefault(span.context.trace_id, []).append(span.parent)
        self.assertEqual(list(counts), [len(each) for each in found.values()])
        for parents in found.values():
            self.assertEqual(1, parents.count(None))

    def assert_not_recorded(self, spans, *servers):
        """All of them got one trace id, without the sampled flag."""
        self.assertEqual([], spans.finished)
        told = [
            server.header('traceparent', number)[0].split('-')
            for server in servers
            for number in range(len(server.seen))
        ]
        self.assertEqual(1, len({trace_id for _, trace_id, _, _ in told}))
        self.assertEqual(
            len(told), len({span_id for _, _, span_id, _ in told})
        )
        self.assertEqual(set(), {flags for *_, flags in told} - {'00', '02'})


class RequestsTest(TracesTestCase):
    def test_redirects(self):
        spans = self.record()
        requests.get(self.server.url + '/first', timeout=5)
        self.assert_one_trace(spans, 3)
        self.assertEqual(
            [[base.traceparent(span)] for span in spans.finished],
            [self.server.header('traceparent', n) for n in range(3)],
        )

    def test_redirects_that_are_not_recorded(self):
        spans = self.record(sample_ratio=0.0)
        requests.get(self.server.url + '/first', timeout=5)
        self.assertEqual(3, len(self.server.seen))
        self.assert_not_recorded(spans, self.server)

    def test_one_call_is_one_decision(self):
        spans = self.record(max_traces_per_second=1.0)
        requests.get(self.server.url + '/first', timeout=5)
        self.assert_one_trace(spans, 3)

    def test_each_call_has_its_own(self):
        spans = self.record()
        with requests.Session() as session:
            for stream in (False, True, False):
                session.get(self.server.url + '/first', stream=stream).content
        self.assert_traces(spans, 3, 3, 3)

    def test_each_call_has_its_own_after_a_failure(self):
        spans = self.record()
        with requests.Session() as session:
            session.max_redirects = 1
            for _ in range(2):
                error = self.assertRaises(
                    requests.TooManyRedirects,
                    session.get,
                    self.server.url + '/first',
                )
            session.send(error.request)
        self.assert_traces(spans, 2, 2, 2)

    def test_what_was_sent_and_is_sent_again(self):
        spans = self.record()
        with requests.Session() as session:
            response = session.get(self.server.url + '/first')
            session.send(response.history[0].request, allow_redirects=False)
            response = session.get(
                self.server.url + '/first', allow_redirects=False
            )
            session.send(response.next)
        self.assert_traces(spans, 3, 1, 1, 2)

    def test_a_request_of_a_hook_is_a_call_of_its_own(self):
        spans = self.record()

        def ask(response, **kwargs):
            requests.get(self.server.url + '/', timeout=5)

        requests.get(self.server.url + '/', hooks={'response': ask}, timeout=5)
        self.assert_traces(spans, 1, 1)

    def test_where_nobody_makes_ids(self):
        self.record()
        for opener in base.instances_of(attempts.Opener):
            opener._tracer = trace.NoOpTracer()
        requests.get(self.server.url + '/first', timeout=5)
        self.to_server().get('/first')
        self.assertEqual(6, len(self.server.seen))
        self.assertNotIn('traceparent', self.server.names())


class KeystoneauthTest(TracesTestCase):
    def test_retries(self):
        spans = self.record()
        self.server.routes['/'] = [(503, {}, b'')] * 2 + [(200, {}, b'')] * 2
        glance = self.to_server(
            status_code_retries=3, status_code_retry_delay=0.001
        )
        glance.get('/')
        self.assert_one_trace(spans, 3)
        self.assertEqual(
            [None, 1, 2],
            [
                span.attributes.get('http.request.resend_count')
                for span in spans.finished
            ],
        )
        glance.get('/')
        self.assert_traces(spans, 3, 1)

    def test_retries_that_fail(self):
        spans = self.record()
        nowhere = f'http://127.0.0.1:{http_servers.closed_port()}'
        glance = http_servers.to(
            nowhere, connect_retries=1, connect_retry_delay=0
        )
        for _ in range(2):
            self.assertRaises(
                keystone_exceptions.ConnectFailure, glance.get, '/'
            )
        self.assert_traces(spans, 2, 2)

    def test_redirects(self):
        spans = self.record()
        self.to_server().get('/first')
        self.assert_one_trace(spans, 3)

    def test_the_request_for_a_token(self):
        spans = self.record()
        self.server.routes['/v2.1/servers'] = [
            (200, {}, b'{}'),
            (401, {}, b'{}'),
            (200, {}, b'{}'),
        ]
        nova = self.keystone()
        nova.get('/servers')
        self.assertEqual(
            ['POST', 'GET compute'], [span.name for span in spans.finished]
        )
        self.assert_one_trace(spans, 2)
        spans.clear()
        nova.get('/servers')
        self.assertEqual(
            ['GET compute', 'POST', 'GET compute'],
            [span.name for span in spans.finished],
        )
        self.assert_one_trace(spans, 3)

    def test_what_is_not_recorded(self):
        spans = self.record(sample_ratio=0.0)
        self.server.routes['/v2.1/servers'] = [
            (503, {}, b'{}'),
            (200, {}, b'{}'),
        ]
        self.keystone().get(
            '/servers', status_code_retries=1, status_code_retry_delay=0.001
        )
        self.assertEqual(2, len(self.server.seen))
        self.assert_not_recorded(spans, self.identity, self.server)

    def test_requests_of_a_plugin(self):
        spans = self.record()
        url = self.server.url + '/first'

        session = session_that(lambda: requests.get(url, timeout=5))
        for _ in range(2):
            session.get('/', endpoint_override=self.server.url)
        self.assert_traces(spans, 4, 4)

    def test_what_outlives_the_call(self):
        spans = self.record()
        contexts = []
        session = session_that(
            lambda: contexts.append(contextvars.copy_context())
        )
        session.get('/', endpoint_override=self.server.url)
        (kept,) = contexts
        kept.run(requests.get, self.server.url + '/', timeout=5)
        kept.run(self.to_server().get, '/')
        self.assert_traces(spans, 1, 1, 1)

    def test_what_outlives_a_call_within_one(self):
        spans = self.record()
        contexts = []
        inner = self.to_server()
        url = self.server.url
        nested = session_that(
            lambda: contexts.append(contextvars.copy_context())
        )

        def work():
            nested.get('/', endpoint_override=url)
            # The call that this is a part of is still under way.
            contexts.pop().run(inner.get, '/')

        session_that(work).get('/', endpoint_override=url)
        self.assert_one_trace(spans, 3)

    def test_a_call_keeps_nothing_of_where_it_was_made(self):
        self.record()
        calls, kept = [], []
        session = session_that(
            lambda: calls.append(otel_context.get_value(_current.HTTP_CALL))
        )

        class Large:
            pass

        def work():
            large = Large()
            kept.append(weakref.ref(large))
            otel_context.attach(otel_context.set_value('large', large))
            session.get('/', endpoint_override=self.server.url)

        contextvars.copy_context().run(work)
        gc.collect()
        # Whatever was begun within the call may last.
        self.assertEqual(1, len(calls))
        self.assertIsNone(kept[0]())

    def test_below_what_nobody_records_it_is_handed_on_as_it_is(self):
        self.record(sample_ratio=0.0)
        nobody_s = _current.Unrecorded(
            f'00-{5:032x}-{7:016x}-00', True, trace.DEFAULT_TRACE_STATE
        )
        token = context.enter(
            context.unrecorded_root(nobody_s, otel_context.Context())
        )
        self.addCleanup(context.leave, token)
        self.to_server().get('/')
        self.assertEqual(
            [nobody_s.traceparent], self.server.header('traceparent')
        )

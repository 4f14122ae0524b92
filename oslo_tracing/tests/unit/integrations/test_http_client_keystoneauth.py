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

"""Requests through keystoneauth1, with a catalog and without."""

from __future__ import annotations

import logging

import fixtures
from keystoneauth1 import exceptions as keystone_exceptions
from keystoneauth1 import noauth
from keystoneauth1 import session as keystone_session
from keystoneauth1 import token_endpoint
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace
import requests

import oslo_tracing
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.integrations import http_servers


class KeystoneauthTest(http_servers.TestCase):
    def _calls(self, spans):
        return [
            (
                span.name,
                span.attributes.get('http.response.status_code'),
                span.attributes.get('http.request.resend_count'),
            )
            for span in spans.finished
            if span.kind is trace.SpanKind.CLIENT
        ]

    def test_a_call_through_the_catalog(self):
        spans = self.record()
        nova = self.keystone()
        with oslo_tracing.span('work', root=True):
            nova.get('/servers', params={'limit': '3'})
        self.assertEqual(
            [
                ('POST', 201, None),
                ('GET compute', 200, None),
            ],
            self._calls(spans),
        )
        work = spans.named('work')
        for span in spans.finished[:-1]:
            self.assertEqual(work.context.span_id, span.parent.span_id)
        self.assert_attributes(
            {
                'http.request.method': 'GET',
                'url.full': f'{self.server.url}/v2.1/servers?limit=3',
                'server.address': '127.0.0.1',
                'server.port': self.server.port,
                'openstack.service_type': 'compute',
                'http.response.status_code': 200,
            },
            spans.named('GET compute'),
        )
        self.assertEqual(
            [base.traceparent(spans.named('GET compute'))],
            self.server.header('traceparent'),
        )
        for span in spans.finished:
            self.assertNotIn('hunter2', span.to_json())
            self.assertNotIn('secret-', span.to_json())

    def test_who_gets_everything(self):
        self.record(propagators=['tracecontext', 'baggage', 'b3'])
        token = otel_context.attach(baggage.set_baggage('user', 'me'))
        self.addCleanup(otel_context.detach, token)
        nova = self.keystone()
        nova.get('/servers')
        everything = {'traceparent', 'baggage', 'b3'}
        self.assertLessEqual(everything, self.server.names())
        for number in range(len(self.identity.seen)):
            # Its URL is not from the catalog.
            self.assertEqual(
                {'traceparent'}, everything & self.identity.names(number)
            )
        self.to_server().get('/')
        self.assertLessEqual(everything, self.server.names())
        admin = token_endpoint.Token(self.server.url, 'secret-admin')
        keystone_session.Session(auth=admin).get(
            '/', endpoint_filter={'service_type': 'image'}
        )
        self.assertLessEqual(everything, self.server.names())
        # A whole URL: of the caller, be it through an adapter.
        nova.get(f'{self.server.url}/')
        self.assertEqual({'traceparent'}, everything & self.server.names())
        nova.session.get(f'{self.server.url}/')
        self.assertEqual({'traceparent'}, everything & self.server.names())

    def test_a_whole_url(self):
        spans = self.record()
        session = keystone_session.Session()
        session.get(self.server.url + '/')
        session.request(method='GET', url=self.server.url + '/')
        self.assertEqual([('GET', 200, None)] * 2, self._calls(spans))

    def test_what_is_no_url_is_the_callers_fault(self):
        self.record()
        log = self.useFixture(
            fixtures.FakeLogger('oslo_tracing', level=logging.WARNING)
        )
        self.assertRaises(
            ValueError, keystone_session.Session().get, 'http://[bad'
        )
        self.assertEqual('', log.output)

    def test_retries_on_a_status(self):
        spans = self.record()
        self.server.routes['/'] = [(503, {}, b'')] * 2 + [(200, {}, b'')]
        self.to_server(
            status_code_retries=3, status_code_retry_delay=0.001
        ).get('/')
        self.assertEqual(
            [
                ('GET image', 503, None),
                ('GET image', 503, 1),
                ('GET image', 200, 2),
            ],
            self._calls(spans),
        )
        self.assertEqual(
            [base.traceparent(span) for span in spans.finished],
            [self.server.header('traceparent', n)[0] for n in range(3)],
        )

    def test_retries_of_the_connection(self):
        spans = self.record()
        session = keystone_session.Session(auth=noauth.NoAuth())
        self.assertRaises(
            keystone_exceptions.ConnectFailure,
            session.get,
            '/',
            endpoint_filter={'service_type': 'image'},
            endpoint_override=f'http://127.0.0.1:{http_servers.closed_port()}',
            connect_retries=2,
            connect_retry_delay=0,
        )
        self.assertEqual(
            [
                ('GET image', None, None),
                ('GET image', None, 1),
                ('GET image', None, 2),
            ],
            self._calls(spans),
        )
        for span in spans.finished:
            self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
            self.assertEqual(
                'requests.exceptions.ConnectionError',
                span.attributes['error.type'],
            )

    def test_a_new_token_after_401(self):
        spans = self.record()
        self.server.routes['/v2.1/servers'] = [
            (200, {}, b'{}'),
            (401, {}, b'{}'),
            (200, {}, b'{}'),
        ]
        nova = self.keystone()
        nova.get('/servers')
        spans.clear()
        nova.get('/servers')
        self.assertEqual(
            [
                ('GET compute', 401, None),
                ('POST', 201, None),
                ('GET compute', 200, 1),
            ],
            self._calls(spans),
        )
        self.assertEqual(['secret-2'], self.server.header('X-Auth-Token'))

    def test_a_404_raises_as_before(self):
        spans = self.record()
        self.assertRaises(
            keystone_exceptions.NotFound, self.to_server().get, '/missing'
        )
        span = spans.named('GET image')
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual('404', span.attributes['error.type'])

    def test_a_redirect_to_the_same_origin_is_trusted(self):
        spans = self.record()
        token = otel_context.attach(baggage.set_baggage('user', 'me'))
        self.addCleanup(otel_context.detach, token)
        self.server.routes['/moved'] = (
            301,
            {'Location': f'{self.server.url}/'},
            b'',
        )
        self.to_server().get('/moved')
        self.assertEqual(
            [('GET image', 301, None), ('GET image', 200, 1)],
            self._calls(spans),
        )
        self.assertEqual(['user=me'], self.server.header('baggage', 0))
        self.assertEqual(['user=me'], self.server.header('baggage', 1))

    def test_a_redirect_to_another_origin_gets_traceparent_alone(self):
        spans = self.record(propagators=['tracecontext', 'baggage', 'b3'])
        other = self.useFixture(http_servers.Server())
        other.routes['/'] = (302, {'Location': f'{self.server.url}/'}, b'')
        token = otel_context.attach(baggage.set_baggage('user', 'me'))
        self.addCleanup(otel_context.detach, token)
        self.server.routes['/moved'] = (
            301,
            {'Location': f'{other.url}/'},
            b'',
        )
        self.to_server().get('/moved')
        self.assertEqual(3, len(spans.finished))
        ours = {'traceparent', 'baggage', 'b3'}
        self.assertEqual({'traceparent'}, ours & other.names())
        self.assertEqual(
            [base.traceparent(spans.finished[1])],
            other.header('traceparent'),
        )
        # And back again to where it came from.
        self.assertEqual(ours, ours & self.server.names())

    def test_a_redirect_from_a_host_that_may_not_know_of_the_trace(self):
        spans = self.record(propagate_to=['127.0.0.1'])
        other = self.useFixture(http_servers.Server())
        other.routes['/'] = (302, {'Location': f'{self.server.url}/'}, b'')
        token = otel_context.attach(baggage.set_baggage('user', 'me'))
        self.addCleanup(otel_context.detach, token)
        session = keystone_session.Session(auth=noauth.NoAuth())
        session.get('/', endpoint_override=f'http://localhost:{other.port}')
        self.assertEqual(2, len(spans.finished))
        self.assertNotIn('traceparent', other.names())
        self.assertIn('traceparent', self.server.names())
        self.assertNotIn('baggage', self.server.names())

    def test_headers_of_the_caller_stay(self):
        self.record()
        headers = {'X-Mine': '1'}
        glance = self.to_server(global_request_id='req-' + '1' * 8)
        glance.get('/', headers=headers)
        self.assertEqual({'X-Mine': '1'}, headers)
        self.assertEqual(
            ['req-11111111'], self.server.header('X-OpenStack-Request-ID')
        )

    def test_requests_of_a_plugin_are_not_the_service_s(self):
        spans = self.record()
        url = self.server.url + '/'

        class Plugin(noauth.NoAuth):
            def get_headers(self, session, **kwargs):
                requests.get(url, timeout=5)
                return {}

        session = keystone_session.Session(auth=Plugin())
        session.get(
            '/',
            endpoint_filter={'service_type': 'image'},
            endpoint_override=self.server.url,
        )
        self.assertEqual(
            [('GET', 200, None), ('GET image', 200, None)],
            self._calls(spans),
        )

    def test_service_types_are_bounded(self):
        spans = self.record()
        session = keystone_session.Session()
        url = self.server.url + '/'
        for number in range(510):
            session.get(url, endpoint_filter={'service_type': f's{number}'})
        names = [span.name for span in spans.finished]
        self.assertEqual(501, len(set(names)))
        self.assertEqual(10, names.count('GET'))

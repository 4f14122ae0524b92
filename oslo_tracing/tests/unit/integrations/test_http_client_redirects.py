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

"""Redirects that requests follows."""

from __future__ import annotations

import itertools

from opentelemetry import trace
import requests

import oslo_tracing
from oslo_tracing import context
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.integrations import http_servers


class RedirectTest(http_servers.TestCase):
    def setUp(self):
        super().setUp()
        self.other = self.useFixture(http_servers.Server())
        self.other.routes['/there'] = (200, {}, b'there')
        self.server.routes.update(
            {
                '/first': (302, {'Location': '/second'}, b'go on'),
                '/second': (307, {'Location': '/'}, b''),
                '/away': (
                    302,
                    {'Location': f'{self.other.url}/there'},
                    b'',
                ),
                '/loop': (302, {'Location': '/loop'}, b''),
            }
        )

    def test_one_span_for_each_attempt(self):
        spans = self.record()
        with oslo_tracing.span('work', root=True):
            requests.get(self.server.url + '/first', timeout=5)
        work = spans.named('work')
        attempts = [s for s in spans.finished if s is not work]
        self.assertEqual(
            [
                ('/first', 302, None),
                ('/second', 307, 1),
                ('/', 200, 2),
            ],
            [
                (
                    s.attributes['url.full'].removeprefix(self.server.url),
                    s.attributes['http.response.status_code'],
                    s.attributes.get('http.request.resend_count'),
                )
                for s in attempts
            ],
        )
        for span in attempts:
            self.assertEqual(work.context.span_id, span.parent.span_id)
            self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)
        for earlier, later in itertools.pairwise(attempts):
            self.assertLessEqual(earlier.end_time, later.start_time)
        self.assertEqual(
            [[base.traceparent(s)] for s in attempts],
            [self.server.header('traceparent', n) for n in range(3)],
        )

    def test_streaming_at_the_end_of_redirects(self):
        spans = self.record()
        with requests.Session() as session:
            response = session.get(self.server.url + '/first', stream=True)
            self.assertEqual(2, len(spans.finished))
            response.content
        self.assertEqual(3, len(spans.finished))

    def test_another_origin_does_not_get_what_we_wrote(self):
        spans = self.record(propagate_to=['127.0.0.1'])
        self.server.routes['/away'] = (
            302,
            {'Location': f'http://localhost:{self.other.port}/there'},
            b'',
        )
        given = {'baggage': 'mine=1'}
        requests.get(self.server.url + '/away', headers=given, timeout=5)
        self.assertEqual(2, len(spans.finished))
        self.assertIn('traceparent', self.server.names())
        self.assertNotIn('traceparent', self.other.names())
        # What the caller wrote goes where requests takes it.
        self.assertEqual(['mine=1'], self.other.header('baggage'))

    def test_another_origin_gets_its_own_traceparent(self):
        spans = self.record()
        requests.get(self.server.url + '/away', timeout=5)
        self.assertEqual(
            [base.traceparent(spans.finished[1])],
            self.other.header('traceparent'),
        )

    def test_following_redirects_by_hand(self):
        spans = self.record()
        with requests.Session() as session:
            response = session.get(
                self.server.url + '/away', allow_redirects=False
            )
            session.send(response.next)
        _first, second = spans.finished
        self.assertEqual(1, second.attributes['http.request.resend_count'])
        self.assertEqual(
            [base.traceparent(second)],
            self.other.header('traceparent'),
        )

    def test_too_many_redirects(self):
        spans = self.record()
        with requests.Session() as session:
            session.max_redirects = 3
            self.assertRaises(
                requests.TooManyRedirects,
                session.get,
                self.server.url + '/loop',
            )
        self.assertEqual(
            [302] * 4,
            [
                s.attributes['http.response.status_code']
                for s in spans.finished
            ],
        )
        self.assertFalse(context.has_parent())

    def test_a_redirect_to_nowhere(self):
        spans = self.record()
        self.server.routes['/away'] = (
            302,
            {'Location': f'http://127.0.0.1:{http_servers.closed_port()}/'},
            b'',
        )
        self.assertRaises(
            requests.ConnectionError,
            requests.get,
            self.server.url + '/away',
            timeout=5,
        )
        first, second = spans.finished
        self.assertEqual(302, first.attributes['http.response.status_code'])
        self.assertEqual(trace.StatusCode.UNSET, first.status.status_code)
        self.assertEqual(trace.StatusCode.ERROR, second.status.status_code)

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

"""Who asks, when they ask again."""

import fixtures
from opentelemetry import trace

from oslo_tracing import _wsgi_callers
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing.tests import base
from oslo_tracing.tests import wsgi

TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'


def _proxied(environ, start_response):
    """Take what a proxy says for the truth, as services can be told to."""
    for key, header in (
        ('REMOTE_ADDR', 'HTTP_X_FORWARDED_FOR'),
        ('wsgi.url_scheme', 'HTTP_X_FORWARDED_PROTO'),
        ('HTTP_HOST', 'HTTP_X_FORWARDED_HOST'),
    ):
        if header in environ:
            environ[key] = environ[header]
    return wsgi.hello(environ, start_response)


class CallersTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.record()

    def record(self, **options):
        self.spans = self.useFixture(
            fixture.SpanRecorder(
                'none', request_id_is_trace_id=False, **options
            )
        )

    def ask(self, app=wsgi.hello, path='/servers', **more):
        """Return the attributes of the request's span."""
        wsgi.ask(middleware.TracingMiddleware(app), path, **more)
        return dict(self.spans.finished[-1].attributes)

    def test_each_time_the_same_is_said_of_them(self):
        for _ in range(3):
            self.assertEqual(
                {
                    'http.request.method': 'GET',
                    'url.path': '/servers',
                    'url.scheme': 'http',
                    'http.response.status_code': 200,
                    'server.address': 'api.example',
                    'server.port': 8774,
                    'client.address': '192.0.2.7',
                    'user_agent.original': 'nova-client',
                    'network.protocol.version': '1.1',
                    'openstack.sampling.name': 'GET /servers',
                },
                self.ask(HTTP_USER_AGENT='nova-client'),
            )

    def test_another_one_is_told_from_them(self):
        for _ in range(2):
            for name, key, value in (
                ('client.address', 'REMOTE_ADDR', '192.0.2.8'),
                ('user_agent.original', 'HTTP_USER_AGENT', 'curl'),
                ('user_agent.original', 'HTTP_USER_AGENT', 'Zürich'),
                ('server.address', 'HTTP_HOST', 'other.example'),
                ('url.scheme', 'wsgi.url_scheme', 'https'),
                ('network.protocol.version', 'SERVER_PROTOCOL', 'HTTP/1.0'),
            ):
                before = self.ask()
                found = self.ask(checked=False, **{key: value})
                self.assertNotEqual(before.get(name), found[name])
                self.assertEqual(value.removeprefix('HTTP/'), found[name])
                self.assertEqual(before, self.ask())

    def test_what_differs_is_told_of_each(self):
        for path in ('/servers', '/volumes', '/servers'):
            for method in ('GET', 'POST', 'GET', 'MADE-UP', 'OTHER'):
                found = self.ask(path=path, method=method)
                self.assertEqual(path, found['url.path'])
                known = method if method in ('GET', 'POST') else '_OTHER'
                self.assertEqual(known, found['http.request.method'])
                self.assertEqual(
                    None if known == method else method,
                    found.get('http.request.method_original'),
                )

    def test_only_what_starts_here_has_the_name_for_rules(self):
        for _ in range(2):
            for more in ({}, {'HTTP_TRACEPARENT': TRACEPARENT}):
                self.assertIs(
                    not more, 'openstack.sampling.name' in self.ask(**more)
                )

    def test_behind_a_proxy_it_is_the_client_who_is_told(self):
        self.ask(_proxied)
        for number in range(4):
            client = f'203.0.113.{number}'
            found = self.ask(
                _proxied,
                HTTP_X_FORWARDED_FOR=client,
                HTTP_X_FORWARDED_PROTO='https',
                HTTP_X_FORWARDED_HOST='cloud.example',
            )
            self.assertEqual(client, found['client.address'])
            self.assertEqual('https', found['url.scheme'])
            self.assertEqual('cloud.example', found['server.address'])
            self.assertEqual(443, found['server.port'])
            self.assertEqual('GET', found['http.request.method'])
        found = self.ask(_proxied)
        self.assertEqual('192.0.2.7', found['client.address'])
        self.assertEqual('http', found['url.scheme'])

    def test_nobody_is_told_who_asked_before(self):
        for _ in range(3):
            self.ask(_proxied, HTTP_X_FORWARDED_FOR='203.0.113.1')
            found = self.ask(_proxied, HTTP_X_FORWARDED_FOR=',')
            self.assertNotIn('client.address', found)

    def test_who_is_not_named_may_be_told_by_what_came(self):
        for _ in range(3):
            self.ask(_proxied)
            found = self.ask(_proxied, HTTP_X_FORWARDED_FOR=',')
            self.assertIn(found.get('client.address'), (None, '192.0.2.7'))
            self.ask(_proxied, HTTP_X_FORWARDED_FOR='203.0.113.1')

    def test_what_somebody_has_called_it_meanwhile_does_not_stay(self):
        def app(environ, start_response):
            trace.get_current_span().update_name('theirs')
            return wsgi.hello(environ, start_response)

        for _ in range(2):
            self.ask(app)
            self.assertEqual('GET /servers', self.spans.finished[-1].name)

    def test_small_limits_are_kept_to(self):
        for limit in (1, 4, 9, 20):
            self.useFixture(
                fixtures.EnvironmentVariable(
                    'OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', str(limit)
                )
            )
            self.record()
            found = [self.ask() for _ in range(3)]
            self.assertEqual([found[0]] * 3, found)
            self.assertLessEqual(len(found[0]), limit)
            self.assertEqual(200, found[0]['http.response.status_code'])

    def test_long_texts_are_cut_each_time(self):
        self.record(attribute_length_limit=64)
        for _ in range(3):
            found = self.ask(path='/a' * 90, HTTP_USER_AGENT='x' * 300)
            self.assertEqual('/a' * 32, found['url.path'])
            self.assertEqual('x' * 64, found['user_agent.original'])

    def test_few_are_remembered_and_nobody_who_says_much(self):
        for number in range(600):
            self.ask(HTTP_USER_AGENT=f'agent-{number}')
            self.ask(HTTP_USER_AGENT='much' * 300 + str(number))
        [known] = [
            callers._known
            for callers in base.instances_of(_wsgi_callers.Callers)
            if callers._known
        ]
        self.assertIn(len(known), range(1, 513))
        self.assertNotIn('muchmuch', str(known))

    def test_a_server_that_says_it_otherwise_is_served(self):
        for value in (['192.0.2.7'], {}, 7, b'192.0.2.7', object()):
            for _ in range(2):
                found = self.ask(checked=False, REMOTE_ADDR=value)
                self.assertEqual('/servers', found['url.path'])
                self.assertNotIn('client.address', found)

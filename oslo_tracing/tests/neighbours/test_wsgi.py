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

"""Beside the instrumentation of WSGI, and of Flask which is built on it."""

from __future__ import annotations

import logging

import fixtures
import flask
from opentelemetry.instrumentation import flask as their_flask
from opentelemetry.instrumentation import wsgi as their_wsgi

from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing.tests import base
from oslo_tracing.tests import wsgi

WSGI = 'opentelemetry.instrumentation.wsgi'
FLASK = 'opentelemetry.instrumentation.flask'
OURS = 'oslo_tracing.wsgi'


class WsgiTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))

    def told(self, spans):
        """Return the scope and the kind of each span, in order of end."""
        return [
            (span.instrumentation_scope.name, span.kind.name)
            for span in spans.finished
        ]

    def assert_said_once(self, who):
        lines = [
            line
            for line in self.log.output.splitlines()
            if 'Requests are recorded by' in line
        ]
        self.assertEqual(1, len(lines), self.log.output)
        self.assertIn(who, lines[0])


class MiddlewareTest(WsgiTestCase):
    def test_theirs_around_ours_records_alone(self):
        spans = self.useFixture(fixture.SpanRecorder())
        app = their_wsgi.OpenTelemetryMiddleware(
            middleware.TracingMiddleware(wsgi.hello),
            tracer_provider=spans.tracing.provider,
        )
        for _ in range(2):
            self.assertEqual(b'hello', wsgi.ask(app).body)
        self.assertEqual([(WSGI, 'SERVER')] * 2, self.told(spans))
        self.assert_said_once(WSGI)

    def test_theirs_inside_ours_is_no_server(self):
        for options, ours in (({}, 1), ({'sample_ratio': 0.0}, 0)):
            spans = self.useFixture(fixture.SpanRecorder(**options))
            app = middleware.TracingMiddleware(
                their_wsgi.OpenTelemetryMiddleware(
                    wsgi.hello, tracer_provider=spans.tracing.provider
                )
            )
            self.assertEqual(b'hello', wsgi.ask(app).body)
            self.assertEqual(
                [(WSGI, 'INTERNAL'), (OURS, 'SERVER')] * ours,
                self.told(spans),
            )


class FlaskTest(WsgiTestCase):
    """keystone is a Flask application in a paste pipeline."""

    def test_theirs_inside_our_filter_is_no_server(self):
        spans = self.useFixture(fixture.SpanRecorder())
        instrumentor = their_flask.FlaskInstrumentor()
        instrumentor.instrument()
        self.addCleanup(instrumentor.uninstrument)
        users = flask.Flask('keystone')
        users.add_url_rule(
            '/users/<name>', 'user', lambda name: f'I am {name}'
        )
        app = middleware.TracingMiddleware(users)
        self.assertEqual(b'I am x', wsgi.ask(app, '/users/x').body)
        self.assertEqual(
            [(FLASK, 'INTERNAL'), (OURS, 'SERVER')], self.told(spans)
        )
        inner, outer = spans.finished
        self.assertEqual(outer.context.span_id, inner.parent.span_id)
        self.assertEqual('GET /users/{name}', outer.name)

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

"""Beside the instrumentors of requests and of keystoneauth1."""

from __future__ import annotations

import logging

import fixtures
from opentelemetry.instrumentation import keystoneauth1 as their_keystone
from opentelemetry.instrumentation import requests as their_requests
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace
import requests

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing import service
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.integrations import http_servers


class NeighboursTest(http_servers.TestCase):
    def _instrument(self, instrumentor, spans):
        instrumentor.instrument(tracer_provider=spans.tracing.provider)
        self.addCleanup(self._uninstrument, instrumentor)

    def _uninstrument(self, instrumentor):
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()

    def _scopes(self, spans):
        return [
            span.instrumentation_scope.name
            for span in spans.finished
            if span.kind is trace.SpanKind.CLIENT
        ]

    def test_theirs_for_requests_around_ours(self):
        logger = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        spans = self.record()
        self._instrument(their_requests.RequestsInstrumentor(), spans)
        self.server.routes['/first'] = (302, {'Location': '/'}, b'')
        requests.get(self.server.url + '/first', timeout=5)
        self.to_server().get('/')
        self.assertEqual(
            ['opentelemetry.instrumentation.requests'] * 2,
            self._scopes(spans),
        )
        self.assertEqual(1, logger.output.count('steps back'))
        self.assertIn('oslo.tracing steps back', logger.output)

    def test_theirs_for_requests_inside_ours(self):
        logger = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        original = requests.Session.send
        instrumentor = their_requests.RequestsInstrumentor()
        provider = sdk_trace.TracerProvider()
        instrumentor.instrument(tracer_provider=provider)
        self.addCleanup(self._uninstrument, instrumentor)
        theirs = requests.Session.send
        self.assertIsNot(original, theirs)
        spans = self.record()
        self.server.routes['/first'] = (302, {'Location': '/'}, b'')
        requests.get(self.server.url + '/first', timeout=5)
        self.to_server().get('/')
        self.assertEqual([http_servers.SCOPE] * 3, self._scopes(spans))
        self.assertEqual(
            [[base.traceparent(span)] for span in spans.finished],
            [self.server.header('traceparent', n) for n in range(3)],
        )
        self.assertEqual(1, logger.output.count('steps back'))
        self.assertIn('requests steps back', logger.output)
        service.shutdown()
        self.assertIs(theirs, requests.Session.send)
        instrumentor.uninstrument()
        self.assertIs(original, requests.Session.send)

    def test_theirs_for_keystoneauth(self):
        instrumentor = their_keystone.KeystoneAuth1Instrumentor()
        for first in (True, False):
            logger = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
            spans = fixture.SpanRecorder('http_client')
            if not first:
                instrumentor.instrument()
            with spans:
                if first:
                    instrumentor.instrument()
                self.addCleanup(self._uninstrument, instrumentor)
                nova = self.keystone()
                with oslo_tracing.span('work', root=True):
                    nova.get('/servers')
                    requests.get(self.server.url + '/', timeout=5)
                self.assertEqual(
                    {
                        'opentelemetry.instrumentation.keystoneauth1': 2,
                        http_servers.SCOPE: 1,
                    },
                    {
                        scope: self._scopes(spans).count(scope)
                        for scope in self._scopes(spans)
                    },
                )
                self.assertEqual(1, logger.output.count('steps back'))
                self.assertEqual(1, len(self.server.header('traceparent', 0)))
            instrumentor.uninstrument()

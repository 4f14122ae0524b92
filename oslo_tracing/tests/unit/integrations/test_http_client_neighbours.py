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

"""Others who trace the same requests, and our own exporter."""

from __future__ import annotations

import functools
import logging

import fixtures
from opentelemetry import trace
import requests

from oslo_tracing import context
from oslo_tracing import fixture
from oslo_tracing import service
from oslo_tracing.tests.unit.integrations import http_servers

REQUESTS = 'opentelemetry.instrumentation.requests'
KEYSTONEAUTH = 'opentelemetry.instrumentation.keystoneauth1'


class OurOwnExporterTest(http_servers.TestCase):
    def test_exports_over_http_are_not_traced(self):
        self.server.routes['/v1/traces'] = (
            200,
            {'Content-Type': 'application/x-protobuf'},
            b'',
        )
        conf = fixture.cfg.ConfigOpts()
        conf([], project='x', default_config_files=[])
        fixture.opts.register_opts(conf)
        for name, value in {
            'enabled': True,
            'exporters': ['otlp'],
            'otlp_endpoint': self.server.url,
            'otlp_compression': 'none',
        }.items():
            conf.set_override(name, value, group='tracing')
        tracing = service.setup(conf, 'test')
        self.assertIsNotNone(tracing)
        requests.get(self.server.url + '/', timeout=5)
        self.assertTrue(tracing.provider.force_flush(10_000))
        self.assertTrue(tracing.provider.force_flush(10_000))
        self.assertEqual(
            [('GET', True), ('POST', False)],
            [
                (method, 'traceparent' in {k.lower() for k, _v in headers})
                for method, _path, headers in self.server.seen
            ],
        )


class LookAlikeTest(http_servers.TestCase):
    """What the instrumentors do, without the packages."""

    def test_a_request_that_has_their_span_gets_none_of_ours(self):
        logger = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        spans = self.record()
        tracer = spans.tracing.provider.get_tracer(REQUESTS)
        for _ in range(2):
            with tracer.start_as_current_span(
                'theirs', kind=trace.SpanKind.CLIENT
            ):
                requests.get(self.server.url + '/', timeout=5)
                self.to_server().get('/')
        self.assertEqual(
            ['theirs'] * 2, [span.name for span in spans.finished]
        )
        self.assertEqual(1, logger.output.count('oslo.tracing steps back'))

    def test_a_span_around_a_call_of_keystoneauth_is_no_other_requests(self):
        spans = self.record()
        tracer = spans.tracing.provider.get_tracer(KEYSTONEAUTH)
        with tracer.start_as_current_span(
            'theirs', kind=trace.SpanKind.CLIENT
        ):
            self.to_server().get('/')
            requests.get(self.server.url + '/', timeout=5)
        self.assertEqual(
            ['GET', 'theirs'], [span.name for span in spans.finished]
        )

    def test_who_is_inside_of_ours_is_told_by_opentelemetrys_key(self):
        logger = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        seen = []
        original = requests.Session.send

        @functools.wraps(original)
        def theirs(*args, **kwargs):
            seen.append(context.is_suppressed(http=True))
            return original(*args, **kwargs)

        theirs.opentelemetry_instrumentation_requests_applied = True
        self.addCleanup(setattr, requests.Session, 'send', original)
        requests.Session.send = theirs
        spans = self.record()
        requests.get(self.server.url + '/', timeout=5)
        self.assertEqual([True], seen)
        self.assertEqual(['GET'], [span.name for span in spans.finished])
        self.assertEqual(1, logger.output.count(f'{REQUESTS} steps back'))

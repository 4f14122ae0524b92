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

"""What users of older tracers had, in the shape in which they had it."""

from __future__ import annotations

import contextlib
from http import server
import threading
import time

from opentelemetry.propagators import b3
from opentelemetry.propagators import jaeger
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export import in_memory_span_exporter
from opentelemetry import trace
from opentelemetry.trace.propagation import tracecontext
import requests

from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing.report import sources
from oslo_tracing.tests.functional import collectors
from oslo_tracing.tests.functional import test_jaeger
from oslo_tracing.tests.functional import test_openstacksdk
from oslo_tracing.tests.functional import test_trust
from oslo_tracing.tests import wsgi

_SECONDS = 60


class OpenstackOpentracingTest(test_jaeger._TestCase):
    """Its integration test: three servers, and their spans in Jaeger."""

    def test_three_servers_in_a_chain(self):
        everything = test_jaeger._probabilistic(1.0)
        store = self.useFixture(
            collectors.Jaeger(
                collectors.find(self, 'JAEGER', 'jaeger', 'jaeger'),
                {'service_strategies': [], 'default_strategy': everything},
            )
        )
        chain = self.useFixture(
            test_trust.Chain(
                exporters='otlp',
                otlp_endpoint=store.url('otlp'),
                sampler='parentbased_jaeger_remote',
                sampling_server_url=store.sampling_url,
                sampling_refresh_interval=1,
                # Until Jaeger has said so nothing is sampled, as there.
                sample_ratio=0,
                schedule_delay=0.1,
            )
        )
        for name in ('keystone', 'glance', 'nova'):
            chain.restart(name)

        def in_jaeger():
            """Ask once more; a trace with all three ends the waiting."""
            answer = chain.ask()
            (trace_id,) = {one for ids in answer.values() for one in ids}
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                with contextlib.closing(
                    sources.open_source(f'jaeger+{store.url("query")}')
                ) as source:
                    found = source.find(trace_id)
                services = {s.service for one in found for s in one.spans}
                if len(services) == 3 and not found[0].orphans:
                    return found[0]
            return None

        found = test_jaeger._until(in_jaeger)

        self.assertIsNotNone(found)
        (root,) = found.roots
        self.assertEqual(('nova', 'SERVER'), (root.service, root.kind))
        self.assertEqual(
            {'nova', 'glance', 'keystone'},
            {span.service for span in found.spans if span.kind == 'SERVER'},
        )


class _Storage(server.BaseHTTPRequestHandler):
    """A storage system, traced by OpenTelemetry's SDK and nothing else."""

    def do_GET(self):
        context = self.server.propagator.extract(dict(self.headers))
        with self.server.tracer.start_as_current_span('read', context):
            self.send_response(200)
            self.send_header('Content-Length', '0')
            self.end_headers()

    def log_message(self, *args):
        pass


class MailOfApril2019Test(test_jaeger._TestCase):
    """The three points of "Distributed tracing in OpenStack"."""

    def _theirs(self):
        spans = in_memory_span_exporter.InMemorySpanExporter()
        provider = sdk_trace.TracerProvider()
        provider.add_span_processor(export.SimpleSpanProcessor(spans))
        self.addCleanup(provider.shutdown)
        return provider.get_tracer('theirs'), spans

    def _compatible(self, name, propagator):
        tracer, theirs = self._theirs()
        storage = server.HTTPServer(('127.0.0.1', 0), _Storage)
        storage.propagator, storage.tracer = propagator, tracer
        threading.Thread(target=storage.serve_forever).start()
        self.addCleanup(storage.server_close)
        self.addCleanup(storage.shutdown)
        ours = fixture.SpanRecorder(propagators=[name])

        def api(environ, start_response):
            with requests.Session() as session:
                session.trust_env = False
                session.get(f'http://127.0.0.1:{storage.server_port}/')
            return wsgi.hello(environ, start_response)

        with ours:
            with tracer.start_as_current_span('app of a user') as app:
                headers = {}
                propagator.inject(headers)
            wsgi.ask(
                middleware.TracingMiddleware(api),
                '/v2.1/servers',
                **{
                    f'HTTP_{key.upper().replace("-", "_")}': value
                    for key, value in headers.items()
                },
            )
            (served,) = (
                span
                for span in ours.finished
                if span.kind is trace.SpanKind.SERVER
            )
            (called,) = (
                span
                for span in ours.finished
                if span.kind is trace.SpanKind.CLIENT
            )
        storage.shutdown()
        (read,) = (s for s in theirs.get_finished_spans() if s.name == 'read')

        ids = app.get_span_context()
        self.assertEqual(ids.span_id, served.parent.span_id)
        self.assertEqual(served.context.span_id, called.parent.span_id)
        self.assertEqual(ids.trace_id, served.context.trace_id)
        return called, read

    def test_1_compatible_with_third_party_tracers(self):
        """From a user's application to a storage system behind."""
        called, read = self._compatible(
            'tracecontext', tracecontext.TraceContextTextMapPropagator()
        )

        self.assertEqual(called.context.span_id, read.parent.span_id)
        self.assertEqual(called.context.trace_id, read.context.trace_id)

    def test_1_also_where_they_speak_b3_or_jaeger(self):
        for name, propagator in (
            ('b3', b3.B3SingleFormat()),
            ('b3multi', b3.B3MultiFormat()),
            ('jaeger', jaeger.JaegerPropagator()),
        ):
            with self.subTest(name):
                self._compatible(name, propagator)

    def test_2_sampling_is_managed_centrally(self):
        """Jaeger decides, and its mind can be changed meanwhile."""
        off = test_jaeger._for_service(test_jaeger._probabilistic(0.0))
        on = test_jaeger._for_service(test_jaeger._probabilistic(1.0))
        store = self.useFixture(
            collectors.Jaeger(
                collectors.find(self, 'JAEGER', 'jaeger', 'jaeger'),
                off,
            )
        )
        self._trace(store)
        self._answered('ratio 0.')
        self.assertFalse(self._is_kept())

        store.change(on)

        self.assertTrue(test_jaeger._until(self._is_kept))

    def test_3_propagation_by_execution_model(self):
        """Parallel uploads of openstacksdk; test_runtimes has the others."""
        test_openstacksdk.LargeObjectTest.upload(self)

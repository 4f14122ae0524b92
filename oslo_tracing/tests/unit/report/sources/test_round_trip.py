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

import os

import fixtures
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export import in_memory_span_exporter
from opentelemetry import trace

from oslo_tracing.exporters import _otlp_json
from oslo_tracing.report import sources
from oslo_tracing.tests import base


class RoundTripTest(base.TestCase):
    def test_what_the_file_exporter_writes_is_read_whole(self):
        recorded = in_memory_span_exporter.InMemorySpanExporter()
        provider = sdk_trace.TracerProvider(
            resource=resources.Resource({'service.name': 'nova-api'}),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(export.SimpleSpanProcessor(recorded))
        tracer = provider.get_tracer('wsgi', '1.2')
        with tracer.start_as_current_span(
            'GET \x1b\ud800', kind=trace.SpanKind.SERVER
        ) as parent:
            parent.add_event('wait', {'ms': 12.5})
            link = trace.Link(parent.get_span_context(), {'why': 'batch'})
            with tracer.start_as_current_span(
                'SELECT',
                kind=trace.SpanKind.CLIENT,
                links=[link],
                attributes={
                    'int': 2**62,
                    'bool': False,
                    'float': -0.5,
                    'list': ['a', 'b'],
                    'bytes': b'\x00\xff',
                },
            ) as child:
                child.set_status(trace.StatusCode.ERROR, 'Lost')
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'x')
        with open(path, 'wb') as stream:
            stream.write(_otlp_json.encode(recorded.get_finished_spans()))

        source = sources.open_source(path)
        context = parent.get_span_context()
        (found,) = source.find(f'{context.trace_id:032x}')

        self.assertEqual([], list(source.problems))
        self.assertTrue(found.is_one_tree())
        self.assertEqual({'nova-api': 2}, found.services)
        first, second = found.spans
        self.assertEqual(
            ('GET \x1b\ud800', 'SERVER'), (first.name, first.kind)
        )
        self.assertEqual(
            ('wsgi', '1.2'), (first.scope.name, first.scope.version)
        )
        self.assertEqual(
            (parent.start_time, parent.end_time), (first.start, first.end)
        )
        (event,) = first.events
        self.assertEqual({'ms': 12.5}, event.attributes)
        self.assertEqual(first.span_id, second.parent_id)
        recorded_ones = {
            'int': 2**62,
            'bool': False,
            'float': -0.5,
            'list': ['a', 'b'],
            'bytes': b'\x00\xff',
        }
        if 'bytes' not in child.attributes:
            # Older SDKs take no bytes that are not text.
            del recorded_ones['bytes']
        self.assertEqual(recorded_ones, second.attributes)
        self.assertEqual(
            ('ERROR', 'Lost'), (second.status, second.description)
        )
        self.assertEqual(
            [(found.trace_id, first.span_id, {'why': 'batch'})],
            [(x.trace_id, x.span_id, x.attributes) for x in second.links],
        )

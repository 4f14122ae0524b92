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


"""Spans that share what they have in common."""

import json

import fixtures
from opentelemetry import context
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export import in_memory_span_exporter
from opentelemetry.sdk.trace import sampling
from opentelemetry import trace

from oslo_tracing import _ready
from oslo_tracing import fixture
from oslo_tracing.tests import base
from oslo_tracing.tracer import provider

_EMPTY = context.Context()
_CLIENT = trace.SpanKind.CLIENT


class ReadyTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.ready = _ready.Ready(
            'SELECT instances',
            _CLIENT,
            {'db.system.name': 'mysql', 'db.namespace': 'nova'},
        )

    def record(self, attributes=None, **options):
        if attributes is not None:
            self.useFixture(
                fixtures.EnvironmentVariable(
                    'OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', str(attributes)
                )
            )
        self.spans = self.useFixture(fixture.SpanRecorder('none', **options))
        return _ready.starter(self.spans.tracing.tracer('test'))

    def test_a_span_is_as_if_it_was_made_by_hand(self):
        start = self.record()
        start(self.ready, _EMPTY, {'rows': 3}, start_time=7).end(9)
        (span,) = self.spans.finished
        self.assertEqual('SELECT instances', span.name)
        self.assertEqual(_CLIENT, span.kind)
        self.assertEqual((7, 9), (span.start_time, span.end_time))
        self.assertEqual(
            {
                'db.system.name': 'mysql',
                'db.namespace': 'nova',
                'rows': 3,
            },
            dict(span.attributes),
        )

    def test_what_one_is_told_another_does_not_know(self):
        start = self.record()
        first = start(self.ready, _EMPTY)
        second = start(self.ready, _EMPTY)
        first.set_attribute('db.namespace', 'cinder')
        first.set_attributes({'user': 'alice', 'db.system.name': 'sqlite'})
        first.update_name('another')
        for span in (first, second):
            span.end()
        self.assertEqual(
            {
                'db.system.name': 'sqlite',
                'db.namespace': 'cinder',
                'user': 'alice',
            },
            dict(self.spans.finished[0].attributes),
        )
        self.assertEqual('another', self.spans.finished[0].name)
        self.assertEqual(
            {'db.system.name': 'mysql', 'db.namespace': 'nova'},
            dict(self.spans.finished[1].attributes),
        )
        self.assertEqual('SELECT instances', self.spans.finished[1].name)

    def test_what_a_service_adds_has_its_limit(self):
        start = self.record(attributes=20)
        span = start(self.ready, _EMPTY)
        for number in range(30):
            span.set_attribute(f'key{number}', number)
        span.end()
        (span,) = self.spans.finished
        self.assertEqual(20, len(span.attributes))
        self.assertEqual(12, span.dropped_attributes)
        self.assertEqual(29, span.attributes['key29'])
        self.assertEqual('nova', span.attributes['db.namespace'])

    def test_limits_count_for_what_is_ready_as_well(self):
        start = self.record(attributes=4, attribute_length_limit=64)
        ready = _ready.Ready(
            'name', _CLIENT, {f'key{n}': 'x' * 100 for n in range(6)}
        )
        start(ready, _EMPTY, {'rows': 1}).end()
        (span,) = self.spans.finished
        self.assertEqual(4, len(span.attributes))
        self.assertEqual(3, span.dropped_attributes)
        self.assertEqual('x' * 64, span.attributes['key5'])
        self.assertEqual(1, span.attributes['rows'])

    def test_another_set_up_has_limits_of_its_own(self):
        start = self.record()
        start(self.ready, _EMPTY).end()
        start = self.record(attributes=1)
        start(self.ready, _EMPTY).end()
        (span,) = self.spans.finished
        self.assertEqual({'db.namespace': 'nova'}, dict(span.attributes))

    def test_nothing_is_recorded_below_who_does_not_record(self):
        start = self.record(sample_ratio=0.0)
        parent = start(self.ready, _EMPTY)
        child = start(self.ready, trace.set_span_in_context(parent))
        self.assertFalse(parent.is_recording() or child.is_recording())
        self.assertEqual(
            parent.get_span_context().trace_id,
            child.get_span_context().trace_id,
        )

    def test_another_provider_gets_the_same(self):
        exporter = in_memory_span_exporter.InMemorySpanExporter()
        provider = sdk_trace.TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(export.SimpleSpanProcessor(exporter))
        link = trace.Link(trace.SpanContext(1, 2, True))
        start = _ready.starter(provider.get_tracer('test'))
        start(self.ready, _EMPTY, {'rows': 3}, [link], 7).end(9)
        (span,) = exporter.get_finished_spans()
        self.assertEqual('SELECT instances', span.name)
        self.assertEqual(_CLIENT, span.kind)
        self.assertEqual((7, 9), (span.start_time, span.end_time))
        self.assertEqual([link.context], [one.context for one in span.links])
        self.assertEqual(
            {'db.system.name': 'mysql', 'db.namespace': 'nova', 'rows': 3},
            dict(span.attributes),
        )

    def test_it_is_whole_for_who_reads_it_as_the_sdk_writes_it(self):
        start = self.record()
        span = start(self.ready, _EMPTY, {'rows': 3})
        span.end()
        said = json.loads(span.to_json())['attributes']
        self.assertEqual(dict(span.attributes), said)
        self.assertEqual('nova', said['db.namespace'])

    def test_what_samplers_of_others_change_is_of_one_span(self):
        class Sampler(sampling.StaticSampler):
            def __init__(self):
                super().__init__(sampling.Decision.RECORD_AND_SAMPLE)
                self.seen = []

            def should_sample(self, *args, **kwargs):
                attributes = args[4]
                self.seen.append(dict(attributes))
                attributes['trace'] = args[1]
                return super().should_sample(*args, **kwargs)

        sampler = Sampler()
        processor = in_memory_span_exporter.InMemorySpanExporter()
        built = provider.Provider(
            resource=resources.Resource({}),
            sampler=sampler,
            shutdown_on_exit=False,
            describe=lambda error: {},
        )
        built.add_span_processor(export.SimpleSpanProcessor(processor))
        start = _ready.starter(built.get_tracer('test'))
        before = dict(self.ready.attributes)
        for _ in range(2):
            start(self.ready, _EMPTY, {'rows': 3}).end()
        self.assertEqual(before, self.ready.attributes)
        self.assertEqual([{**before, 'rows': 3}] * 2, sampler.seen)
        for span in processor.get_finished_spans():
            self.assertEqual(
                {**before, 'rows': 3, 'trace': span.context.trace_id},
                dict(span.attributes),
            )

    def test_what_tracers_of_others_change_is_of_one_span(self):
        class Tracer(trace.NoOpTracer):
            def start_span(self, name, where, kind, attributes, *args):
                attributes['user'] = 'alice'
                return trace.INVALID_SPAN

        before = dict(self.ready.attributes)
        _ready.starter(Tracer())(self.ready, _EMPTY)
        self.assertEqual(before, self.ready.attributes)


class DrawnTest(base.TestCase):
    """A root whose id was drawn, and kept, before it starts."""

    _ID = 7 << 64 | 9

    def setUp(self):
        super().setUp()
        self.ready = _ready.Ready(
            'GET /servers', trace.SpanKind.SERVER, {'url.scheme': 'http'}
        )

    def record(self, **options):
        self.spans = self.useFixture(fixture.SpanRecorder('none', **options))
        tracer = self.spans.tracing.tracer('test')
        # The first one has it made.
        tracer.start_span('first', _EMPTY).end()
        return tracer

    def test_it_is_as_one_that_the_sampler_has_decided_on(self):
        tracer = self.record()
        tracer.start_ready(self.ready, _EMPTY, {'url.path': '/'}).end()
        span = tracer.start_drawn(
            self.ready, _EMPTY, {'url.path': '/'}, self._ID
        )
        span.end()

        _first, decided, drawn = self.spans.finished
        self.assertEqual(self._ID, drawn.context.trace_id)
        self.assertTrue(drawn.context.is_valid)
        self.assertNotEqual(decided.context.span_id, drawn.context.span_id)
        for what in ('name', 'kind', 'parent', 'attributes', 'links'):
            self.assertEqual(getattr(decided, what), getattr(drawn, what))
        for what in ('trace_flags', 'trace_state', 'is_remote'):
            self.assertEqual(
                getattr(decided.context, what), getattr(drawn.context, what)
            )

    def test_processors_hear_of_its_start(self):
        tracer = self.record()
        heard = []

        class Processor(sdk_trace.SpanProcessor):
            def on_start(self, span, parent_context=None):
                heard.append((span.name, parent_context))

        self.spans.tracing.provider.add_span_processor(Processor())
        tracer.start_ready(self.ready, _EMPTY).end()
        tracer.start_drawn(self.ready, _EMPTY, {}, self._ID).end()

        self.assertEqual([('GET /servers', _EMPTY)] * 2, heard)

    def test_where_the_sampler_is_to_be_asked_there_is_none(self):
        tracer = self.record()
        # Nobody has looked at it yet.
        self.assertIsNone(tracer.start_drawn(self.ready, _EMPTY, {}, self._ID))
        built = provider.Provider(
            resource=resources.Resource({}),
            sampler=sampling.ALWAYS_OFF,
            shutdown_on_exit=False,
            describe=lambda error: {},
        )
        other = built.get_tracer('test')
        other.start_ready(self.ready, _EMPTY).end()
        self.assertIsNone(other.start_drawn(self.ready, _EMPTY, {}, self._ID))

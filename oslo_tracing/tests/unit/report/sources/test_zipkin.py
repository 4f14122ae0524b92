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

"""What Zipkin keeps as text, and what becomes of it."""

import json

from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export import in_memory_span_exporter

from oslo_tracing.exporters import zipkin as exporter
from oslo_tracing.report import analysis
from oslo_tracing.report import model
from oslo_tracing.report import secrets
from oslo_tracing.report.sources import otlp
from oslo_tracing.report.sources import zipkin
from oslo_tracing.tests import base


def _span(value=None, tags=None):
    return {
        'traceId': 'a' * 32,
        'id': 'b' * 16,
        'name': 'work',
        'timestamp': 10**15,
        'duration': 10**6,
        'tags': tags or {},
        'annotations': [{'timestamp': 10**15, 'value': value}],
    }


class ZipkinTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.told = []

    def _read(self, *found):
        return list(otlp.spans(zipkin.as_otlp(list(found)), self.told.append))

    def _event(self, value):
        (span,) = self._read(_span(value))
        (event,) = span.events
        return event

    def _written(self, events, **attributes):
        """Return what our exporter makes of a span."""
        recorded = in_memory_span_exporter.InMemorySpanExporter()
        provider = sdk_trace.TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(export.SimpleSpanProcessor(recorded))
        with provider.get_tracer('x').start_as_current_span('work') as span:
            span.set_attributes(attributes)
            for name, about in events:
                span.add_event(name, about)
        return json.loads(
            exporter.Encoding(provider.resource).request(
                recorded.get_finished_spans(), self.fail
            )
        )

    def test_what_never_started_did_not_end_in_1970(self):
        for start in ({}, {'timestamp': 0}):
            half = {
                'traceId': 'a' * 32,
                'id': 'b' * 16,
                'duration': 5,
                **start,
            }

            (span,) = otlp.spans(zipkin.as_otlp([half]), self.fail)

            self.assertEqual(
                (False, 0, 0), (span.has_start, span.start, span.end)
            )

    def test_what_our_exporter_writes_is_waited_for(self):
        events = [
            ('db.pool.wait', {'openstack.db.pool.wait.duration': 2.5}),
            ('oslo.db.retry', {'error.type': 'DBDeadlock'}),
        ]
        spans = self._read(
            *self._written(events, **{'openstack.lock.wait': 3.5})
        )
        found = analysis.analyse(model.Trace(spans[0].trace_id, spans))

        told = ' '.join(finding.text for finding in found.findings)
        self.assertIn('was waited for 3.5 s', told)
        self.assertIn('waited 2.5 s for a connection', told)
        self.assertIn('1 time, the first after DBDeadlock', told)
        self.assertEqual([], self.told)

    def test_events_of_our_exporter_are_those_that_were_recorded(self):
        about = {
            'text': '\u20ac "\\',
            'odd': '\ud800',
            'int': 2**62,
            'bool': True,
            'list': ['a', 'b'],
        }
        (span,) = self._read(
            *self._written([('one', about), ('two', {}), ('{', {'a': 1.5})])
        )

        self.assertEqual(
            [('one', about), ('two', {}), ('{', {'a': 1.5})],
            [(event.name, event.attributes) for event in span.events],
        )
        self.assertEqual([], self.told)

    def test_seconds_are_numbers_where_they_are_some(self):
        for text, wanted in (
            ('3.5', 3.5),
            ('0.0', 0.0),
            ('2', 2.0),
            ('1e-05', 1e-05),
            ('-1.0', '-1.0'),
            ('nan', 'nan'),
            ('1e999', '1e999'),
            ('9' * 4000, '9' * 4000),
            ('\u0663', '\u0663'),
            ('3.5\n', '3.5\n'),
            ('', ''),
        ):
            (span,) = self._read(_span(tags={'openstack.lock.wait': text}))
            self.assertEqual(wanted, span.attributes['openstack.lock.wait'])

    def test_any_other_annotation_stays_as_it_is(self):
        for value in (
            'Wire Send',
            'ws',
            '',
            '{}',
            '{"a": 1}',
            '{"a": {}, "b": {}}',
            '{"a": {"b": 1}',
            '[{"a": {}}]',
            '{"a": {"b": ' + '[' * 100 + ']' * 100 + '}}',
            '{"a": {"b": "' + 'x' * 10**6 + '"}}',
        ):
            event = self._event(value)
            self.assertEqual((value, {}), (event.name, event.attributes))

    def test_an_annotation_of_any_shape_raises_nothing(self):
        for value in (
            None,
            17,
            ['{"a": {}}'],
            {'a': {}},
            '{"\ud800": {"b": "\ud800"}}',
            '{"a": {"b": NaN}}',
            '{"a": {"b": 1e999}}',
            '{"a": {"b": ' + '9' * 5000 + '}}',
            '{"a": {"b": null}}',
            '{"a": {"b": [null, 1, "x", [], {}]}}',
            '{"a": {"b": {"c": {"d": [1]}}}}',
            '{"a": {"b": ' + '[' * 40 + ']' * 40 + '}}',
        ):
            self._event(value)

    def test_secrets_of_an_event_are_found(self):
        for name, about in (
            ('exception', {'exception.message': 'no row (hunter2)'}),
            ('login', {'password': 'hunter2'}),
            ('login', {'deep': {'password': 'hunter2'}}),
            ('login', {'args': ['--os-password', 'hunter2']}),
        ):
            (span,) = self._read(_span(json.dumps({name: about})))
            (event,) = secrets.Cleaner().clean(span).events
            self.assertEqual(name, event.name)
            self.assertNotIn('hunter2', repr(event))

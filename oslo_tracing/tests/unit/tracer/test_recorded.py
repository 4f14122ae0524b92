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

"""Spans that had ended when they were made are like all others."""

import copy
import json

from opentelemetry import context
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import sampling
from opentelemetry import trace

from oslo_tracing import _ready
from oslo_tracing.exporters import _clean
from oslo_tracing import fixture
from oslo_tracing.tests import base
from oslo_tracing.tracer import _recorded
from oslo_tracing.tracer import provider

_EMPTY = context.Context()
_CLIENT = trace.SpanKind.CLIENT
_ROWS = 'openstack.db.rows'


def _ready_made():
    return _ready.Ready(
        'SELECT instances',
        _CLIENT,
        {'db.system.name': 'mysql', 'db.namespace': 'nova'},
    )


class EndedTest(base.TestCase):
    def record(self, **options):
        self.spans = self.useFixture(fixture.SpanRecorder('none', **options))
        self.tracer = self.spans.tracing.tracer('test')
        # The first one has it made.
        self.tracer.start_span('first', _EMPTY).end()

    def make(self, own=None, event=False):
        """Start one, add one, and end their parent."""
        parent = self.tracer.start_span('request', _EMPTY)
        if event:
            parent.add_event('event')
        where = trace.set_span_in_context(parent, _EMPTY)
        ready = _ready_made()
        # Whether it is whole is found out by the first that is started.
        self.tracer.start_ready(ready, where, own, None, 7).end(9)
        self.tracer.add_ready(ready, where, own, 7, 9)
        parent.end()

    def add(self, own=None, event=False):
        """Return one that was added, one that was started, their parent."""
        self.make(own, event)
        started, added, parent = self.spans.finished[-3:]
        return added, started, parent

    def test_it_is_read_as_any_other(self):
        self.record()
        for own in (None, {_ROWS: 3}, {'db.namespace': 'cinder'}):
            added, started, parent = self.add(own)

            self.assertIs(_recorded.Ended, type(added))
            for what in (
                'name',
                'kind',
                'parent',
                'attributes',
                'events',
                'links',
                'start_time',
                'end_time',
                'status',
                'resource',
                'instrumentation_scope',
                'dropped_attributes',
                'dropped_events',
                'dropped_links',
            ):
                self.assertEqual(
                    getattr(started, what), getattr(added, what), what
                )
            self.assertEqual(parent.context, added.parent)

    def test_its_ids_are_its_own_and_stay(self):
        self.record()
        added, started, parent = self.add()

        ids = added.context
        self.assertEqual(ids, added.get_span_context())
        self.assertEqual(started.context[2:], ids[2:])
        self.assertEqual(parent.context.trace_id, ids.trace_id)
        self.assertEqual(
            3,
            len({one.context.span_id for one in (added, started, parent)}),
        )
        self.assertTrue(ids.is_valid)

    def test_it_is_written_as_the_sdk_does(self):
        self.record()
        added, started, _parent = self.add({_ROWS: 3})

        said, expected = (
            json.loads(one.to_json()) for one in (added, started)
        )
        self.assertNotEqual(
            expected['context'].pop('span_id'), said['context'].pop('span_id')
        )
        self.assertEqual(expected, said)
        self.assertIn('SELECT instances', repr(added))

    def test_attributes_that_are_excluded_are_left_out(self):
        self.record(excluded_attributes=['db.name*'])
        added, _started, _parent = self.add({_ROWS: 3})

        self.assertEqual(
            {'db.system.name': 'mysql', _ROWS: 3}, dict(added.attributes)
        )

    def test_what_has_nothing_excluded_is_not_copied(self):
        self.record(excluded_attributes=['nothing'])
        added, _started, _parent = self.add({_ROWS: 3})

        self.assertIs(_recorded.Ended, type(added))

    def test_it_has_its_id_before_exporters_see_it(self):
        """They may have threads of their own, or make copies."""
        self.record()
        spans = []
        processor = self.tracer._tracer().span_processor
        processor.finish = spans.append
        self.make()
        cleaner = _clean.Cleaner(
            self.spans.tracing.settings, lambda: spans[0].resource
        )

        found = cleaner.all(spans, self.fail)

        self.assertEqual(
            [one.context for one in found],
            [copy.copy(one).context for one in found],
        )
        self.assertIs(_recorded.Ended, type(found[1]))
        self.assertTrue(found[1].span_id)

    def test_below_what_is_not_usual_it_is_made_as_others_are(self):
        self.record()
        added, started, _parent = self.add({_ROWS: 3}, event=True)

        self.assertIsNot(_recorded.Ended, type(added))
        self.assertEqual(started.attributes, added.attributes)
        self.assertEqual((7, 9), (added.start_time, added.end_time))

    def test_nothing_is_added_below_who_does_not_record(self):
        self.record(sample_ratio=0.0)
        parent = self.tracer.start_span('request', _EMPTY)

        self.tracer.add_ready(
            _ready_made(), trace.set_span_in_context(parent), None, 7, 9
        )

        self.assertEqual([], self.spans.finished)

    def test_processors_of_others_see_it_start_and_end(self):
        seen = []

        class Processor(sdk_trace.SpanProcessor):
            def on_start(self, span, parent_context=None):
                seen.append(('start', span.name, span.is_recording()))
                span.set_attribute('by', 'somebody')

            def on_end(self, span):
                seen.append(('end', span.name, dict(span.attributes)))

        built = provider.Provider(
            resource=resources.Resource({}),
            sampler=sampling.ALWAYS_ON,
            shutdown_on_exit=False,
            describe=lambda error: {},
        )
        built.add_span_processor(Processor())
        tracer = built.get_tracer('test')
        with tracer.start_as_current_span('request'):
            tracer.add_ready(
                _ready_made(), context.get_current(), {_ROWS: 3}, 7, 9
            )

        self.assertEqual(
            [
                ('start', 'SELECT instances', True),
                (
                    'end',
                    'SELECT instances',
                    {
                        'db.system.name': 'mysql',
                        'db.namespace': 'nova',
                        _ROWS: 3,
                        'by': 'somebody',
                    },
                ),
            ],
            seen[1:3],
        )

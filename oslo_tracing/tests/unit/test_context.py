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

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import context
from oslo_tracing.tests import base


class ForceTest(base.TestCase):
    def test_only_what_was_marked_is_forced(self):
        empty = otel_context.Context()
        marked = context.force(empty)
        self.assertTrue(context.forced(marked))
        self.assertFalse(context.forced(empty))

    def test_the_rest_of_the_context_stays(self):
        parent = trace.NonRecordingSpan(
            trace.SpanContext(1, 2, True, trace.TraceFlags(1))
        )
        marked = context.force(
            trace.set_span_in_context(parent, otel_context.Context())
        )
        self.assertIs(parent, trace.get_current_span(marked))


class DeferTest(base.TestCase):
    def test_a_decision_that_is_left_to_the_sampler(self):
        empty = otel_context.Context()
        marked = context.defer(empty)
        self.assertTrue(context.deferred(marked))
        self.assertFalse(context.deferred(empty))
        # Its parent has no say either way, and nobody asks for a trace.
        self.assertTrue(context.forced(marked))
        self.assertFalse(context.granted(marked))
        self.assertFalse(context.deferred(context.force(empty)))
        self.assertFalse(context.deferred(context.force(empty, True)))

    def test_it_is_no_mark_of_what_is_below(self):
        marked = context.defer(otel_context.Context())
        below = context.root(marked, trace.INVALID_SPAN)
        self.assertFalse(context.forced(below))
        self.assertFalse(context.deferred(below))

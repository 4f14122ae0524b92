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

from __future__ import annotations

import contextvars

import fixtures
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import context
from oslo_tracing.tests import base

_SPAN = trace.NonRecordingSpan(
    trace.SpanContext(5, 7, True, trace.TraceFlags(1))
)


class CurrentTest(base.TestCase):
    def test_it_is_what_opentelemetry_says(self):
        self.assertIs(otel_context.get_current(), _current.context())
        self.assertIs(trace.get_current_span(), _current.span())
        token = otel_context.attach(trace.set_span_in_context(_SPAN))
        self.assertIs(otel_context.get_current(), _current.context())
        self.assertIs(_SPAN, _current.span())
        _current.detach(token)
        self.assertIs(trace.INVALID_SPAN, _current.span())

    def test_what_is_attached_is_what_opentelemetry_sees(self):
        token = _current.attach(_current.with_span(_SPAN, _current.context()))
        self.assertIs(_SPAN, trace.get_current_span())
        otel_context.detach(token)
        self.assertIs(trace.INVALID_SPAN, trace.get_current_span())

    def test_a_token_of_another_task_is_told_and_not_raised(self):
        log = self.useFixture(fixtures.FakeLogger())
        token = contextvars.Context().run(
            _current.attach, otel_context.Context()
        )
        _current.detach(token)
        self.assertIn('Failed to detach context', log.output)

    def test_fields_of_a_span_context(self):
        span_context = _SPAN.get_span_context()
        self.assertIs(span_context.is_remote, span_context[_current.REMOTE])
        self.assertIs(span_context.trace_flags, span_context[_current.FLAGS])
        self.assertIs(span_context.trace_state, span_context[_current.STATE])
        self.assertIs(span_context.is_valid, span_context[_current.VALID])

    def test_who_has_more_to_hand_on_is_not_only_unrecorded(self):
        nobody_s = _current.Unrecorded(
            f'00-{5:032x}-{7:016x}-00', True, trace.DEFAULT_TRACE_STATE
        )
        empty = otel_context.Context()
        under = context.unrecorded_root(nobody_s, empty, request_id=5)
        self.assertIs(nobody_s, _current.unrecorded(under))
        # As another thread has it, or who has put a mark of ours in it.
        copied = otel_context.Context(under)
        self.assertIs(nobody_s, _current.unrecorded(copied))
        for more in (
            baggage.set_baggage('key', 'value', under),
            otel_context.set_value(_current.SUPPRESS_HTTP, True, under),
            otel_context.set_value('of a service', 1, under),
            context.unrecorded_root(
                nobody_s, baggage.set_baggage('key', 'value', empty)
            ),
        ):
            self.assertIsNone(_current.unrecorded(more))

    def test_only_what_is_valid_and_has_the_flag_is_sampled(self):
        for sampled, trace_id, flags in (
            (True, 5, 1),
            (True, 5, 3),
            (False, 5, 2),
            (False, 0, 1),
        ):
            self.assertIs(
                sampled,
                _current.is_sampled(
                    trace.SpanContext(
                        trace_id, 7, False, trace.TraceFlags(flags)
                    )
                ),
            )

    def test_what_is_suppressed(self):
        for suppressed, values in (
            (False, {}),
            (False, {_current.SPAN_KEY: _SPAN}),
            (False, {_current.SUPPRESS_HTTP: True}),
            (False, {_current.SUPPRESS_ALL: False}),
            (True, {_current.SUPPRESS_ALL: True}),
            (True, {_current.SUPPRESS_PLAIN: True}),
        ):
            where = otel_context.Context(values)
            self.assertIs(suppressed, _current.is_suppressed(where), values)

    def test_who_keeps_the_context_elsewhere_is_asked(self):
        class Elsewhere:
            pass

        self.useFixture(
            fixtures.MonkeyPatch(
                'opentelemetry.context._RUNTIME_CONTEXT', Elsewhere()
            )
        )
        self.assertIsNone(_current._variable())

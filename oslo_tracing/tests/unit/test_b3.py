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

"""What B3's headers say of the decision, as the middleware takes it."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from oslo_context import context as oslo_context

from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing import propagation
from oslo_tracing.tests import base
from oslo_tracing.tests import wsgi

TRACE = '0af7651916cd43dd8448eb211c80319c'
SPAN = 'b7ad6b7169203331'
IDS = {'HTTP_X_B3_TRACEID': TRACE, 'HTTP_X_B3_SPANID': SPAN}

#: No ids, and not to be recorded.
DENIED = (
    {'HTTP_B3': '0'},
    {'HTTP_B3': '0', 'HTTP_X_B3_FLAGS': '1'},
    {'HTTP_X_B3_SAMPLED': '0'},
    {'HTTP_X_B3_SAMPLED': 'false'},
    {'HTTP_X_B3_SAMPLED': '0', 'HTTP_X_B3_FLAGS': '0'},
    {'HTTP_X_B3_SAMPLED': '0', 'HTTP_X_B3_TRACEID': TRACE},
)
#: Ids, and nothing on whether to record.
DEFERRED = (
    {'HTTP_B3': f'{TRACE}-{SPAN}'},
    {'HTTP_B3': f'{TRACE}-{SPAN}', 'HTTP_X_B3_SAMPLED': '0'},
    IDS,
    {**IDS, 'HTTP_X_B3_PARENTSPANID': SPAN},
    {**IDS, 'HTTP_X_B3_SAMPLED': ''},
    {**IDS, 'HTTP_X_B3_FLAGS': '0'},
)
#: No ids, and nothing that forbids it.
NOTHING: tuple[dict[str, Any], ...] = (
    {},
    {'HTTP_B3': ''},
    {'HTTP_B3': '00'},
    {'HTTP_B3': '1'},
    {'HTTP_B3': 'd'},
    {'HTTP_B3': '1', 'HTTP_X_B3_SAMPLED': '0'},
    {'HTTP_B3': b'0'},
    {'HTTP_X_B3_SAMPLED': '1'},
    {'HTTP_X_B3_SAMPLED': 'x'},
    {'HTTP_X_B3_SAMPLED': ['0']},
    {'HTTP_X_B3_SAMPLED': '0', 'HTTP_X_B3_FLAGS': '1'},
    {'HTTP_X_B3_FLAGS': '1'},
    {'HTTP_X_B3_TRACEID': TRACE},
)


class ReadingTest(base.TestCase):
    def test_what_is_denied(self):
        for name in ('b3', 'b3multi'):
            formats = propagation.Propagation(['tracecontext', name])
            for environ in DENIED:
                found = formats.from_environ(environ)
                self.assertTrue(found.denies, environ)
                self.assertIsNone(found.span_context)
                self.assertEqual({}, found.context)
            for environ in NOTHING:
                self.assertIs(
                    propagation.NOBODY, formats.from_environ(environ), environ
                )

    def test_what_is_deferred(self):
        for name in ('b3', 'b3multi'):
            formats = propagation.Propagation([name])
            for environ in DEFERRED:
                found = formats.from_environ(environ)
                self.assertTrue(found.defers, environ)
                self.assertEqual(int(TRACE, 16), found.span_context.trace_id)
            for environ in (
                {'HTTP_B3': f'{TRACE}-{SPAN}-0'},
                {'HTTP_B3': f'{TRACE}-{SPAN}-1-{SPAN}'},
                {'HTTP_B3': f'{TRACE}-{SPAN}-d'},
                {**IDS, 'HTTP_X_B3_SAMPLED': '0'},
                {**IDS, 'HTTP_X_B3_SAMPLED': '1'},
                {**IDS, 'HTTP_X_B3_FLAGS': '1'},
            ):
                found = formats.from_environ(environ)
                self.assertFalse(found.defers, environ)
                self.assertFalse(found.denies, environ)

    def test_only_b3_says_so(self):
        formats = propagation.Propagation(['tracecontext', 'jaeger'])
        for environ in DENIED + DEFERRED:
            self.assertIs(propagation.NOBODY, formats.from_environ(environ))

    def test_who_is_found_after_a_denial_wins(self):
        formats = propagation.Propagation(['b3', 'tracecontext'])
        caller = {'HTTP_TRACEPARENT': f'00-{TRACE}-{SPAN}-01'}
        for environ in DENIED:
            found = formats.from_environ({**environ, **caller})
            self.assertFalse(found.denies)
            self.assertEqual(int(TRACE, 16), found.span_context.trace_id)

    def test_who_is_found_before_wins(self):
        formats = propagation.Propagation(['tracecontext', 'b3'])
        caller = {'HTTP_TRACEPARENT': f'00-{TRACE}-{SPAN}-01'}
        for environ in DENIED + DEFERRED:
            found = formats.from_environ({**environ, **caller})
            self.assertEqual(1, found.span_context.trace_flags)
            self.assertFalse(found.denies)
            self.assertFalse(found.defers)


class DecisionTest(base.TestCase):
    def on(self, **options):
        self.spans = self.useFixture(
            fixture.SpanRecorder(
                'oslo_context', **{'propagators': ['b3'], **options}
            )
        )

    def ask(self, environ):
        """Return the span context of a request, and its parent's id."""
        self.spans.clear()
        found = []

        def app(environ, start_response):
            found.append(trace.get_current_span().get_span_context())
            self.request_id = oslo_context.generate_request_id()
            return wsgi.hello(environ, start_response)

        self.answer = wsgi.ask(
            middleware.TracingMiddleware(app), checked=False, **environ
        )
        (span,) = self.spans.finished or [None]
        parent = span.parent if span is not None else None
        return found[0], span, parent and parent.span_id

    def test_a_caller_who_denies_is_not_recorded(self):
        self.on()
        seen = set()
        for environ in DENIED:
            found, span, _parent = self.ask(environ)
            self.assertIsNone(span, environ)
            self.assertTrue(found.is_valid)
            self.assertEqual(0, found.trace_flags & 1)
            self.assertNotEqual(int(TRACE, 16), found.trace_id)
            # The request starts a trace, that nobody records.
            self.assertEqual(
                f'{found.trace_id:032x}',
                self.request_id.removeprefix('req-').replace('-', ''),
            )
            self.assertNotIn('traceresponse', self.answer.headers)
            seen.add(found.trace_id)
        self.assertEqual(len(DENIED), len(seen))

    def test_nothing_said_is_nothing_denied(self):
        self.on()
        for environ in NOTHING:
            _found, span, parent = self.ask(environ)
            self.assertIsNotNone(span, environ)
            self.assertIsNone(parent)

    def test_who_is_not_believed_denies_nothing(self):
        for options in (
            {'incoming': 'link'},
            {'incoming': 'ignore'},
            {'sampler': 'always_on'},
            {'sampler': 'traceidratio'},
        ):
            self.on(**options)
            for environ in DENIED:
                _found, span, parent = self.ask(environ)
                self.assertIsNotNone(span, options)
                self.assertIsNone(parent)
                self.assertEqual((), span.links)

    def test_what_is_deferred_is_decided_here(self):
        for ratio in (0.0, 1.0):
            self.on(sample_ratio=ratio)
            for environ in DEFERRED:
                found, span, parent = self.ask(environ)
                self.assertEqual(int(TRACE, 16), found.trace_id)
                self.assertEqual(ratio, found.trace_flags & 1)
                self.assertEqual(ratio == 1.0, span is not None)
                self.assertEqual(int(SPAN, 16) if span else None, parent)
                self.assertIn(TRACE, self.answer.headers['traceresponse'])

    def test_rules_are_for_what_is_deferred(self):
        self.on(sample_ratio=1.0, sampling_rules=['server "GET /" 0'])
        for environ in DEFERRED:
            self.assertIsNone(self.ask(environ)[1])

    def test_nobody_who_decides_is_asked_again(self):
        self.on(sample_ratio=0.0)
        self.assertIsNotNone(self.ask({'HTTP_B3': f'{TRACE}-{SPAN}-1'})[1])
        self.on(sample_ratio=1.0)
        self.assertIsNone(self.ask({'HTTP_B3': f'{TRACE}-{SPAN}-0'})[1])

    def test_what_is_deferred_takes_nothing_of_what_is_asked_for(self):
        self.on(sample_ratio=0.0, max_forced_traces_per_second=1.0)
        for environ in DEFERRED:
            self.assertIsNone(self.ask(environ)[1])
        self.assertIsNotNone(self.ask({'HTTP_B3': f'{TRACE}-{SPAN}-d'})[1])

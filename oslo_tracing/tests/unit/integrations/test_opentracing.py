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

import contextlib
import subprocess
import sys

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace
import opentracing

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing.tests import base


class OpenTracingTest(base.TestCase):
    def _record(self, **options):
        return self.useFixture(fixture.SpanRecorder(**options))

    def test_spans_are_in_the_trace_of_the_service(self):
        recorder = self._record()
        with oslo_tracing.span('request', root=True) as request:
            with opentracing.global_tracer().start_active_span('work') as at:
                at.span.set_tag('flavor', 'small')
                with oslo_tracing.span('inner'):
                    pass

        inner, work, root = (
            recorder.named(name) for name in ('inner', 'work', 'request')
        )
        self.assertEqual('small', work.attributes['flavor'])
        self.assertEqual('opentracing', work.instrumentation_scope.name)
        self.assertEqual(root.context.span_id, work.parent.span_id)
        self.assertEqual(work.context.span_id, inner.parent.span_id)
        self.assertEqual(
            request.get_span_context().trace_id, inner.context.trace_id
        )

    def test_a_parent_may_be_named(self):
        recorder = self._record()
        tracer = opentracing.global_tracer()

        with tracer.start_span('parent') as parent:
            with tracer.start_span('child', child_of=parent):
                pass

        self.assertEqual(
            recorder.named('parent').context.span_id,
            recorder.named('child').parent.span_id,
        )

    def test_a_started_span_is_below_the_active_one(self):
        recorder = self._record()
        tracer = opentracing.global_tracer()
        self.assertIsNone(tracer.active_span)
        with oslo_tracing.span('request', root=True):
            tracer.active_span.set_tag('flavor', 'small')
            tracer.scope_manager.active.close()
            tracer.start_span('work').finish()
            with tracer.start_active_span('outer') as outer:
                self.assertIs(outer, tracer.scope_manager.active)
                self.assertIs(outer.span, tracer.active_span)
                with oslo_tracing.span('inner'):
                    tracer.start_span('deep').finish()

        request = recorder.named('request')
        self.assertEqual('small', request.attributes['flavor'])
        for child, parent in (
            ('work', 'request'),
            ('outer', 'request'),
            ('inner', 'outer'),
            ('deep', 'inner'),
        ):
            self.assertEqual(
                recorder.named(parent).context.span_id,
                recorder.named(child).parent.span_id,
            )

    def test_a_span_may_be_below_another_or_none(self):
        recorder = self._record()
        tracer = opentracing.global_tracer()
        other = tracer.start_span('other')
        with oslo_tracing.span('request', root=True):
            for start, name in (
                (tracer.start_span, 'one'),
                (tracer.start_active_span, 'two'),
            ):
                with start(f'{name} alone', ignore_active_span=True):
                    pass
                after = opentracing.follows_from(other.context)
                with start(f'{name} after', references=[after]):
                    pass

        for name in ('one', 'two'):
            self.assertIsNone(recorder.named(f'{name} alone').parent)
            self.assertEqual(
                other.context.unwrap().span_id,
                recorder.named(f'{name} after').parent.span_id,
            )

    def test_an_exception_is_recorded_as_one(self):
        recorder = self._record()
        tracer = opentracing.global_tracer()
        error = ValueError('S3CRET')
        with contextlib.suppress(ValueError):
            with tracer.start_span('left'):
                raise error
        with tracer.start_span('logged') as span:
            span.log_kv({'event': 'error', 'error.object': error})
        with tracer.start_span('told', tags={'error': True}) as span:
            span.log_kv(
                {
                    'event': 'error',
                    'error.kind': 'Timeout',
                    'message': 'S3CRET',
                    'stack': 'S3CRET',
                    'attempt': 3,
                }
            )

        for name, kind, failed in (
            ('left', 'ValueError', True),
            ('logged', 'ValueError', False),
            ('told', 'Timeout', True),
        ):
            span = recorder.named(name)
            (event,) = span.events
            self.assertEqual('exception', event.name)
            self.assertEqual({'exception.type': kind}, dict(event.attributes))
            self.assertIs(failed, not span.status.is_ok)
            self.assertNotIn('S3CRET', span.to_json())

    def test_what_is_no_error_is_an_event(self):
        recorder = self._record()
        with opentracing.global_tracer().start_span('work') as span:
            span.set_tag('error', False)
            span.log_kv({'event': 'retry', 'attempt': 3}, timestamp=7.0)

        found = recorder.named('work')
        (event,) = found.events
        self.assertEqual(('retry', 7 * 10**9), (event.name, event.timestamp))
        self.assertEqual(3, event.attributes['attempt'])
        self.assertIs(trace.StatusCode.OK, found.status.status_code)

    def test_what_a_log_may_say_where_messages_are_told(self):
        recorder = self._record(exception_messages=True)
        for message in (
            "(1064, \"You have near 'S3CRET'\")",
            'GET http://host/?temp_url_sig=S3CRET',
            'no valid host',
        ):
            with opentracing.global_tracer().start_span('work') as span:
                span.log_kv(
                    {
                        'event': 'error',
                        'error.kind': 'pymysql.err.ProgrammingError'
                        if '1064' in message
                        else 'Timeout',
                        'message': message,
                        'stack': f'Traceback: {message}',
                    }
                )
            (event,) = recorder.named('work').events
            self.assertNotIn('S3CRET', str(dict(event.attributes)))
            recorder.clear()
        self.assertEqual(
            'no valid host', event.attributes['exception.message']
        )

    def test_an_exception_marks_the_span(self):
        recorder = self._record()

        with self.assertRaisesRegex(ValueError, 'S3CRET'):
            with opentracing.global_tracer().start_active_span('work'):
                raise ValueError('S3CRET')

        span = recorder.named('work')
        self.assertIs(trace.StatusCode.ERROR, span.status.status_code)
        self.assertNotIn('S3CRET', span.to_json())

    def test_headers_are_in_the_configured_formats(self):
        self._record(
            propagators=['tracecontext', 'b3'],
            signing_keys=['0123456789abcdef0123456789abcdef'],
        )
        headers = {}
        tracer = opentracing.global_tracer()
        with tracer.start_span('work') as span:
            tracer.inject(span, opentracing.Format.HTTP_HEADERS, headers)
            ids = span.unwrap().get_span_context()

        self.assertEqual(
            {
                'traceparent': f'00-{ids.trace_id:032x}-{ids.span_id:016x}'
                f'-{int(ids.trace_flags):02x}',
                'b3': f'{ids.trace_id:032x}-{ids.span_id:016x}-1',
            },
            headers,
        )

    def test_baggage_stays_here(self):
        self._record()
        tracer = opentracing.global_tracer()
        headers = {}
        token = otel_context.attach(baggage.set_baggage('user', 'S3CRET'))
        self.addCleanup(otel_context.detach, token)
        with tracer.start_span('work') as span:
            tracer.inject(span, opentracing.Format.TEXT_MAP, headers)

        self.assertEqual(['traceparent'], list(headers))

    def test_a_caller_is_found_in_any_of_them(self):
        self._record(propagators=['tracecontext', 'b3'])
        tracer = opentracing.global_tracer()
        for headers in (
            {'TraceParent': f'00-{"a" * 32}-{"b" * 16}-01'},
            {'b3': f'{"a" * 32}-{"b" * 16}-1'},
        ):
            found = tracer.extract(opentracing.Format.TEXT_MAP, headers)

            self.assertEqual(int('a' * 32, 16), found.unwrap().trace_id)
            self.assertEqual(int('b' * 16, 16), found.unwrap().span_id)

    def test_no_caller_is_no_context(self):
        self._record()
        tracer = opentracing.global_tracer()
        for headers in ({}, {'traceparent': 'nonsense'}, {'b3': None}):
            self.assertIsNone(
                tracer.extract(opentracing.Format.HTTP_HEADERS, headers)
            )

    def test_binary_is_refused_as_by_the_shim(self):
        self._record()
        tracer = opentracing.global_tracer()

        self.assertRaises(
            opentracing.UnsupportedFormatException,
            tracer.extract,
            opentracing.Format.BINARY,
            bytearray(),
        )
        with tracer.start_span('work') as span:
            self.assertRaises(
                opentracing.UnsupportedFormatException,
                tracer.inject,
                span,
                opentracing.Format.BINARY,
                bytearray(),
            )

    def test_it_comes_off(self):
        before = opentracing.global_tracer()
        self._record()
        self.assertIsNot(before, opentracing.global_tracer())

        oslo_tracing.shutdown()

        self.assertIs(before, opentracing.global_tracer())
        self.assertFalse(opentracing.is_global_tracer_registered())

    def test_the_tracer_of_somebody_else_stays(self):
        theirs = opentracing.Tracer()
        self.addCleanup(opentracing._reset_global_tracer)
        opentracing.set_global_tracer(theirs)

        self._record()

        self.assertIs(theirs, opentracing.global_tracer())

    def test_one_that_comes_later_stays_too(self):
        theirs = opentracing.Tracer()
        self.addCleanup(opentracing._reset_global_tracer)
        self._record()
        opentracing.set_global_tracer(theirs)

        oslo_tracing.shutdown()

        self.assertIs(theirs, opentracing.global_tracer())


class ProcessTest(base.TestCase):
    def _run(self, program):
        done = subprocess.run(
            [sys.executable, '-c', _SET_UP + program],
            capture_output=True,
            text=True,
        )
        self.assertEqual((0, ''), (done.returncode, done.stderr))

    def test_it_is_not_imported_by_us(self):
        self._run('assert "opentracing" not in sys.modules\n')

    def test_an_import_later_is_early_enough(self):
        self._run(
            'import opentracing\n'
            'assert opentracing.is_global_tracer_registered()\n'
        )

    def test_without_the_shim_it_does_nothing(self):
        self._run(
            'sys.modules["opentelemetry.shim.opentracing_shim"] = None\n'
            'import opentracing\n'
            'assert not opentracing.is_global_tracer_registered()\n'
            'with opentracing.global_tracer().start_active_span("x"):\n'
            '    pass\n'
        )


_SET_UP = """
import sys
from oslo_config import cfg
import oslo_tracing
from oslo_tracing import opts
conf = cfg.ConfigOpts()
opts.register_opts(conf)
conf([], default_config_files=[], default_config_dirs=[])
conf.set_override('enabled', True, 'tracing')
conf.set_override('exporters', ['none'], 'tracing')
oslo_tracing.setup(conf, 'x')
"""

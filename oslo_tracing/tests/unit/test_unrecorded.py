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

import logging
import sys

import fixtures
from opentelemetry import trace
from oslo_config import cfg
from oslo_context import context as oslo_context
from oslo_middleware import request_id
import requests
import sqlalchemy

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing import opts
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.integrations import http_servers
from oslo_tracing.tests import wsgi

_SAYS_NO = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'


class UnrecordedTest(base.TestCase):
    """A request that nobody records, and what is below it."""

    def ask(self, inner, headers=None, **options):
        self.spans = self.useFixture(
            fixture.SpanRecorder('oslo_context', 'sqlalchemy', **options)
        )
        seen = {}

        def app(environ, start_response):
            seen['answer'] = inner()
            seen['active'] = trace.get_current_span().get_span_context()
            return wsgi.hello(environ, start_response)

        wsgi.ask(middleware.TracingMiddleware(app), **(headers or {}))
        self.assertEqual([], self.spans.finished)
        return seen['active'], seen['answer']

    def test_a_request_has_ids_that_are_not_sampled(self):
        active, _none = self.ask(lambda: None, sample_ratio=0.0)
        self.assertTrue(active.is_valid)
        self.assertFalse(active.trace_flags.sampled)
        self.assertFalse(active.is_remote)

    def test_a_dialect_may_execute_what_has_no_context(self):
        engine = sqlalchemy.create_engine('sqlite://', future=True)
        self.addCleanup(engine.dispose)

        def execute():
            with engine.connect() as conn:
                cursor = conn.connection.cursor()
                # As dialects do for what they want to know themselves.
                conn._cursor_execute(cursor, 'SELECT 1', ())
                return cursor.fetchone()

        _active, row = self.ask(execute, sample_ratio=0.0)
        self.assertEqual((1,), row)

    def test_another_service_is_told_of_the_request_itself(self):
        server = self.useFixture(http_servers.Server())
        server.routes['/'] = (200, {}, b'{}')
        spans = self.useFixture(
            fixture.SpanRecorder('http_client', sample_ratio=0.0)
        )
        seen = []

        def app(environ, start_response):
            with requests.Session() as session:
                session.trust_env = False
                session.get(f'{server.url}/')
            seen.append(trace.get_current_span().get_span_context())
            return wsgi.hello(environ, start_response)

        wsgi.ask(middleware.TracingMiddleware(app))

        (active,) = seen
        ((_method, _path, headers),) = server.seen
        _version, trace_id, span_id, flags = dict(headers)[
            'traceparent'
        ].split('-')
        self.assertEqual(active.trace_id, int(trace_id, 16))
        self.assertEqual(active.span_id, int(span_id, 16))
        self.assertEqual(0, int(flags, 16) & 1)
        self.assertEqual([], spans.finished)

    def test_the_trace_id_is_the_request_id_of_the_first_who_asks(self):
        active, ids = self.ask(
            lambda: [
                oslo_context.RequestContext().request_id for _ in range(2)
            ],
            sample_ratio=0.0,
        )
        self.assertEqual(
            f'{active.trace_id:032x}',
            ids[0].removeprefix('req-').replace('-', ''),
        )
        self.assertNotEqual(ids[0], ids[1])

    def test_log_lines_have_the_ids(self):
        log = self.useFixture(
            fixtures.FakeLogger(format='%(trace_id)s %(span_id)s')
        )
        active, _none = self.ask(
            lambda: logging.getLogger('a service').warning('said'),
            sample_ratio=0.0,
        )
        self.assertIn(
            f'{active.trace_id:032x} {active.span_id:016x}\n', log.output
        )

    def test_a_caller_who_is_believed_goes_on(self):
        active, _none = self.ask(
            lambda: None, {'HTTP_TRACEPARENT': _SAYS_NO}, sample_ratio=1.0
        )
        self.assertEqual(_SAYS_NO[3:35], f'{active.trace_id:032x}')
        self.assertFalse(active.trace_flags.sampled)

    def test_a_rule_that_keeps_none_needs_no_ratio(self):
        for rule in ('server "GET *" 0', 'server "*" 0'):
            self.ask(lambda: None, sample_ratio=1.0, sampling_rules=[rule])

    def test_own_spans_below_do_nothing_and_raise_what_is_raised(self):
        def inner():
            with oslo_tracing.span('mine') as span:
                span.set_attribute('a', 1)
                inside = trace.get_current_span()
            self.assertRaises(KeyError, self._raise_within)
            return inside

        active, inside = self.ask(inner, sample_ratio=0.0)
        self.assertEqual(active, inside.get_span_context())

    def _raise_within(self):
        with oslo_tracing.span('mine'):
            raise KeyError('a')

    def test_a_root_below_is_decided_on_by_itself(self):
        def inner():
            with oslo_tracing.span('mine', root=True) as span:
                return span.get_span_context()

        active, other = self.ask(inner, sample_ratio=0.0)
        self.assertNotEqual(active.trace_id, other.trace_id)

    def test_statements_below_a_span_that_is_recorded_are(self):
        """Somebody's own recorded span stands in an unrecorded request."""
        engine = sqlalchemy.create_engine('sqlite://', future=True)
        spans = []

        def inner():
            recorded = trace.NonRecordingSpan(
                trace.SpanContext(5, 7, False, trace.TraceFlags(1))
            )
            with trace.use_span(recorded), engine.connect() as conn:
                conn.execute(sqlalchemy.select(sqlalchemy.literal(1)))
            spans.extend(self.spans.finished)
            self.spans.clear()

        self.ask(inner, sample_ratio=0.0)
        self.assertEqual([5], [span.context.trace_id for span in spans])


class OffTest(base.TestCase):
    """Tracing that is off adds no call of a Python function."""

    def _calls(self, app):
        counted = []

        def count(frame, event, argument):
            if event == 'call':
                counted.append(frame.f_code)

        wsgi.ask(app)
        before = sys.getprofile()
        sys.setprofile(count)
        try:
            wsgi.ask(app)
        finally:
            sys.setprofile(before)
        return counted

    def test_a_request_has_no_call_more(self):
        engine = sqlalchemy.create_engine('sqlite://', future=True)

        def inner(environ, start_response):
            oslo_context.RequestContext.from_environ(environ)
            with engine.connect() as conn:
                conn.execute(sqlalchemy.text('SELECT 1'))
            return wsgi.hello(environ, start_response)

        app = request_id.RequestId(inner)
        without = self._calls(app)
        self.assertGreater(len(without), 50)
        conf = cfg.ConfigOpts()
        conf([], project='off', default_config_files=[])
        opts.register_opts(conf)
        conf.set_override('enabled', False, 'tracing')
        self.assertIsNone(oslo_tracing.setup(conf, 'off'))
        filtered = middleware.TracingMiddleware.factory({})(app)
        self.assertEqual(without, self._calls(filtered))

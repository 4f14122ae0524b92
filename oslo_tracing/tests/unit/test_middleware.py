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

"""How the filter gets set up, stays off, and lives with others."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import logging
import os
import subprocess
import sys
import textwrap
from typing import Any

import fixtures
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export import in_memory_span_exporter
from opentelemetry import trace
from oslo_config import cfg
import testtools

import oslo_tracing
from oslo_tracing import _runtime
from oslo_tracing import exceptions
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing import opts
from oslo_tracing.tests import base
from oslo_tracing.tests import wsgi

builtin: Any
try:
    from oslo_middleware import tracing as builtin
except ImportError:
    builtin = None


class MiddlewareTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(
            fixtures.MonkeyPatch('oslo_tracing._runtime.RUNTIME.conf', None)
        )
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.directory = self.useFixture(fixtures.TempDir()).path

    def file(self, name='test.conf', **options):
        """Write a configuration file and return its path."""
        options = {'enabled': True, 'exporters': 'log', **options}
        lines = [f'{key} = {value}' for key, value in options.items()]
        path = os.path.join(self.directory, name)
        with open(path, 'w') as conf:
            conf.write('\n'.join(['[tracing]', *lines, '']))
        return path

    def conf(self, **options):
        """Return a parsed configuration of its own."""
        conf = cfg.ConfigOpts()
        conf(['--config-file', self.file(**options)], project='test')
        return conf

    def spans_of(self, app, *args, **kwargs):
        memory = in_memory_span_exporter.InMemorySpanExporter()
        if _runtime.RUNTIME.tracing is None:
            self.answer = wsgi.ask(app, *args, **kwargs)
            return []
        _runtime.RUNTIME.tracing.provider.add_span_processor(
            export.SimpleSpanProcessor(memory)
        )
        self.answer = wsgi.ask(app, *args, **kwargs)
        return list(memory.get_finished_spans())


class SetUpTest(MiddlewareTest):
    def test_the_filter_alone_is_enough(self):
        app = middleware.TracingMiddleware(wsgi.hello, self.conf())
        self.assertEqual(1, len(self.spans_of(app)))

    def test_ironic_finds_it_by_name(self):
        # As `[api] middleware` has it: called with the application alone.
        (point,) = importlib.metadata.entry_points(
            group='ironic.api.middleware', name='tracing'
        )
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._runtime.RUNTIME.conf', self.conf()
            )
        )
        self.assertEqual(1, len(self.spans_of(point.load()(wsgi.hello))))

    def test_it_is_set_up_when_the_pipeline_is_built(self):
        middleware.TracingMiddleware(wsgi.hello, self.conf())
        self.assertIsNotNone(_runtime.RUNTIME.tracing)

    def test_the_project_of_the_section_names_the_configuration(self):
        made = middleware.TracingMiddleware.factory(
            {},
            oslo_config_project='test',
            oslo_config_file=self.file(),
            service_name='glance-api',
        )(wsgi.hello)
        self.assertEqual(1, len(self.spans_of(made)))
        self.assertEqual(
            'glance-api', _runtime.RUNTIME.tracing.settings.service_name
        )

    def test_what_setup_was_given_comes_before_the_project(self):
        oslo_tracing.setup(self.conf(service_name='first'))
        oslo_tracing.shutdown()
        middleware.TracingMiddleware.factory(
            {},
            oslo_config_project='test',
            oslo_config_file=self.file('other.conf', service_name='second'),
        )(wsgi.hello)
        self.assertEqual(
            'first', _runtime.RUNTIME.tracing.settings.service_name
        )

    def test_what_the_service_has_set_up_is_used(self):
        tracing = oslo_tracing.setup(self.conf())
        app = middleware.TracingMiddleware.factory({})(wsgi.hello)
        self.assertIs(tracing, _runtime.RUNTIME.tracing)
        self.assertEqual(1, len(self.spans_of(app)))

    def test_the_global_configuration_is_the_last_resort(self):
        conf = self.conf()
        self.useFixture(fixtures.MonkeyPatch('oslo_config.cfg.CONF', conf))
        app = middleware.TracingMiddleware.factory({})(wsgi.hello)
        self.assertEqual(1, len(self.spans_of(app)))

    def test_a_configuration_that_is_parsed_later_is_in_time(self):
        conf = cfg.ConfigOpts()
        app = middleware.TracingMiddleware(wsgi.hello, conf)
        self.assertIsNone(_runtime.RUNTIME.tracing)
        conf(['--config-file', self.file()], project='test')
        wsgi.ask(app)
        self.assertIsNotNone(_runtime.RUNTIME.tracing)
        self.assertEqual(1, len(self.spans_of(app)))

    def test_a_service_that_sets_up_later_is_in_time(self):
        app = middleware.TracingMiddleware(wsgi.hello, cfg.ConfigOpts())
        oslo_tracing.setup(self.conf())
        self.assertEqual(1, len(self.spans_of(app)))

    def test_one_that_stays_off_says_so_once(self):
        conf = cfg.ConfigOpts()
        self.useFixture(fixtures.MonkeyPatch('oslo_config.cfg.CONF', conf))
        app = middleware.TracingMiddleware.factory({})(wsgi.hello)
        self.assertIsNot(wsgi.hello, app)
        for _ in range(3):
            self.assertEqual([], self.spans_of(app))
            self.assertEqual(b'hello', self.answer.body)
        self.assertEqual(1, self.log.output.count('nobody has parsed'))

    def test_one_that_is_off_by_intent_says_nothing(self):
        conf = cfg.ConfigOpts()
        app = middleware.TracingMiddleware(wsgi.hello, conf)
        conf(['--config-file', self.file(enabled=False)], project='test')
        self.assertEqual([], self.spans_of(app))
        self.assertEqual('', self.log.output)

    def test_a_bad_option_stops_the_start(self):
        error = self.assertRaises(
            exceptions.InvalidOption,
            middleware.TracingMiddleware,
            wsgi.hello,
            self.conf(sample_ratio=7),
        )
        self.assertIn('sample_ratio', str(error))

    def test_a_bad_option_never_stops_a_request(self):
        conf = cfg.ConfigOpts()
        app = middleware.TracingMiddleware(wsgi.hello, conf)
        conf(['--config-file', self.file(sample_ratio=7)], project='test')
        for _ in range(2):
            self.assertEqual(b'hello', wsgi.ask(app).body)
        self.assertEqual(1, self.log.output.count('sample_ratio'))

    def test_shutdown_takes_it_out_and_setup_brings_it_back(self):
        conf = self.conf()
        app = middleware.TracingMiddleware(wsgi.hello, conf)
        self.assertEqual(1, len(self.spans_of(app)))
        oslo_tracing.shutdown()
        self.assertEqual([], self.spans_of(app))
        self.assertEqual(b'hello', self.answer.body)
        oslo_tracing.setup(conf)
        self.assertEqual(1, len(self.spans_of(app)))


class OffTest(MiddlewareTest):
    def test_the_factory_returns_the_application_itself(self):
        for options in ({'enabled': False}, {'trace_http_server': False}):
            path = self.file(**options)
            app = middleware.TracingMiddleware.factory(
                {}, oslo_config_project='test', oslo_config_file=path
            )(wsgi.hello)
            self.assertIs(wsgi.hello, app)
            oslo_tracing.shutdown()
            self.useFixture(
                fixtures.MonkeyPatch(
                    'oslo_tracing._runtime.RUNTIME.conf', None
                )
            )

    def test_a_request_costs_nothing(self):
        app = middleware.TracingMiddleware.factory(
            {},
            oslo_config_project='test',
            oslo_config_file=self.file(enabled=False),
        )(wsgi.hello)
        self.assertEqual(self.calls_of(wsgi.hello), self.calls_of(app))

    def calls_of(self, app):
        environ = wsgi.environment()
        answer = wsgi.Answer().start_response
        calls = []
        gc.disable()
        self.addCleanup(gc.enable)
        sys.setprofile(lambda frame, event, arg: calls.append(event))
        try:
            app(environ, answer)
        finally:
            sys.setprofile(None)
        return len(calls)

    def test_nothing_is_imported_that_was_not_there(self):
        directory = os.path.dirname(
            os.path.dirname(os.path.abspath(oslo_tracing.__file__))
        )

        def modules(*lines):
            code = '\n'.join(
                [
                    'import json, sys',
                    'from oslo_config import cfg',
                    'from oslo_middleware import base',
                    *lines,
                    'print(json.dumps(sorted(sys.modules)))',
                ]
            )
            answer = subprocess.run(
                [sys.executable, '-W', 'ignore', '-c', code],
                cwd=directory,
                check=True,
                capture_output=True,
                text=True,
                timeout=60,
            )
            return set(json.loads(answer.stdout))

        with_us = modules(
            'from oslo_tracing import middleware',
            'cfg.CONF([], project="test", default_config_files=[])',
            'make = middleware.TracingMiddleware.factory({})',
            'assert make(print) is print',
        )
        without_us = modules(
            'cfg.CONF([], project="test", default_config_files=[])'
        )
        foreign = {
            name
            for name in with_us - without_us
            if name.partition('.')[0] != 'oslo_tracing'
            and name.partition('.')[0] not in sys.stdlib_module_names
        }
        self.assertEqual(set(), foreign)


class OthersTest(base.TestCase):
    """Nobody gets two SERVER spans for one request."""

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))

    def server_spans(self, spans):
        return [
            span
            for span in spans.finished
            if span.kind is trace.SpanKind.SERVER
        ]

    def assert_stepped_back(self, who):
        lines = [
            line
            for line in self.log.output.splitlines()
            if 'Requests are recorded by' in line
        ]
        self.assertEqual(1, len(lines), self.log.output)
        self.assertIn(who, lines[0])

    @testtools.skipIf(builtin is None, 'oslo.middleware does not trace here')
    def test_the_builtin_switch_makes_us_step_back(self):
        # Nothing has read the switch yet when ours is made: that filter is
        # made later where it comes first.
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'conf')
        with open(path, 'w') as file:
            file.write(
                textwrap.dedent('''
                [oslo_middleware_tracing]
                enabled = True
                service_name = x
                ''')
            )
        conf = cfg.ConfigOpts()
        conf(['--config-file', path], project='test')
        opts.register_opts(conf)
        spans = self.useFixture(fixture.SpanRecorder(conf=conf))
        for _ in range(2):
            app = middleware.TracingMiddleware(wsgi.hello, conf)
            wsgi.ask(app)
        self.assertEqual([], spans.finished)
        self.assert_stepped_back('[oslo_middleware_tracing] enabled')

    @testtools.skipIf(builtin is None, 'oslo.middleware does not trace here')
    def test_the_builtin_filter_around_ours_records_alone(self):
        spans = self.useFixture(fixture.SpanRecorder())
        theirs = builtin.TracingMiddleware(
            middleware.TracingMiddleware(wsgi.hello), self.builtin_conf()
        )
        wsgi.ask(theirs)
        [span] = self.server_spans(spans)
        self.assertEqual(
            'oslo_middleware.tracing', span.instrumentation_scope.name
        )
        self.assert_stepped_back('oslo_middleware.tracing')

    def builtin_conf(self):
        """Return what their filter needs, without their provider."""
        conf = cfg.ConfigOpts()
        conf([], project='test', default_config_files=[])
        builtin._register_opts(conf)
        conf.set_override('enabled', True, 'oslo_middleware_tracing')
        conf.set_override('service_name', 'x', 'oslo_middleware_tracing')
        self.useFixture(
            fixtures.MonkeyPatch('oslo_middleware.tracing._INITIALIZED', True)
        )
        return conf

    def test_a_server_span_of_an_instrumentor_is_enough(self):
        spans = self.useFixture(fixture.SpanRecorder())
        who = 'opentelemetry.instrumentation.werkzeug'
        tracer = spans.tracing.provider.get_tracer(who)
        for _ in range(2):
            with tracer.start_as_current_span(
                'theirs', kind=trace.SpanKind.SERVER
            ):
                wsgi.ask(middleware.TracingMiddleware(wsgi.hello))
        self.assertEqual(
            ['theirs'] * 2, [span.name for span in spans.finished]
        )
        self.assert_stepped_back(who)

    def test_somebody_elses_span_left_on_the_thread_changes_nothing(self):
        spans = self.useFixture(fixture.SpanRecorder())
        tracer = spans.tracing.provider.get_tracer('somebody')
        left = tracer.start_span('left', kind=trace.SpanKind.SERVER)
        token = otel_context.attach(trace.set_span_in_context(left))
        self.addCleanup(otel_context.detach, token)
        wsgi.ask(middleware.TracingMiddleware(wsgi.hello))
        [span] = spans.finished
        self.assertIsNone(span.parent)

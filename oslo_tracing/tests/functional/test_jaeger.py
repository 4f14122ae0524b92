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


"""A real Jaeger, and a collector, decide what is sampled, and get it."""

from __future__ import annotations

import logging
import time

import fixtures
from opentelemetry import context as otel_context
from opentelemetry import trace
from oslo_config import cfg

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing import opts
from oslo_tracing import service
from oslo_tracing.tests import base
from oslo_tracing.tests.functional import collectors
from oslo_tracing.tests import wsgi

DECISIONS = 20000
SERVICE = 'nova-api'
INTERVAL = 0.5


def _probabilistic(ratio, operations=(), **more):
    return {
        'type': 'probabilistic',
        'param': ratio,
        'operation_strategies': [
            {'operation': name, 'type': 'probabilistic', 'param': share}
            for name, share in operations
        ],
        **more,
    }


def _for_service(strategy, default=None):
    return {
        'service_strategies': [{'service': SERVICE, **strategy}],
        'default_strategy': default or _probabilistic(1.0),
    }


def _work(environ, start_response):
    """Answer with the trace id."""
    with oslo_tracing.span('work') as span:
        trace_id = trace.format_trace_id(span.get_span_context().trace_id)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [trace_id.encode()]


def _until(condition, seconds=120):
    """Wait until a condition holds, and return what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


class _TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(
            fixtures.FakeLogger('oslo_tracing', level=logging.INFO)
        )

    def _trace(self, server, **options):
        """Have a service traced that asks this server."""
        return self.useFixture(
            fixture.SpanRecorder(
                sampler='parentbased_jaeger_remote',
                sampling_server_url=server.sampling_url,
                sampling_refresh_interval=INTERVAL,
                service_name=SERVICE,
                **options,
            )
        )

    def _is_kept(self, name='x'):
        span = trace.get_tracer('test').start_span(
            name, otel_context.Context()
        )
        kept = span.is_recording()
        span.end()
        return kept

    def _kept(self, name='x'):
        return sum(self._is_kept(name) for _number in range(DECISIONS))

    def _assert_ratio(self, expected, name='x'):
        # Five sigma: a false alarm in two million runs.
        margin = 5 * (expected * (1 - expected) / DECISIONS) ** 0.5
        self.assertAlmostEqual(
            expected, self._kept(name) / DECISIONS, delta=margin, msg=name
        )

    def _answered(self, words):
        """Wait until the service has logged an answer."""

        def is_told():
            self._is_kept()
            return words in self.log.output

        self.assertTrue(_until(is_told), self.log.output)


class _Strategies:
    """What holds for each server that speaks the protocol."""

    def test_a_ratio(self):
        server = self.serve(_for_service(_probabilistic(0.25)))
        self._trace(server)
        self._answered('ratio 0.25')
        self._assert_ratio(0.25)

    def test_a_ratio_of_zero(self):
        server = self.serve(_for_service(_probabilistic(0.0)))
        self._trace(server)
        self._answered('ratio 0.')
        self.assertEqual(0, self._kept())

    def test_a_rate(self):
        rate = 50
        server = self.serve(
            _for_service({'type': 'ratelimiting', 'param': rate})
        )
        self._trace(server, sample_ratio=0.0)
        self._answered(f'at most {rate} traces')
        begun = time.monotonic()
        kept = self._kept()
        passed = time.monotonic() - begun
        # One second's worth may have been saved.
        self.assertLessEqual(kept, rate * (passed + 1) + 1)
        self.assertGreater(kept, 0)

    def test_each_operation_has_its_ratio(self):
        shares = {'GET /v2.1/servers': 0.05, 'POST /v2.1/servers': 0.8}
        server = self.serve(_for_service(_probabilistic(0.3, shares.items())))
        self._trace(server)
        self._answered('2 operations')
        for name, ratio in (*shares.items(), ('DELETE /v2.1/servers', 0.3)):
            self._assert_ratio(ratio, name)

    def test_a_service_that_nobody_named_has_the_default(self):
        server = self.serve(
            {
                'service_strategies': [
                    {'service': 'another', **_probabilistic(1.0)}
                ],
                'default_strategy': _probabilistic(0.25),
            }
        )
        self._trace(server)
        self._answered('ratio 0.25')
        self._assert_ratio(0.25)

    def test_the_limit_of_the_service_still_caps(self):
        server = self.serve(_for_service(_probabilistic(1.0)))
        self._trace(server, sample_ratio=0.0, max_traces_per_second=0.001)
        self._answered('ratio 1')
        self._is_kept()
        self.assertEqual(0, self._kept())

    def test_ratios_of_operations_change_while_requests_are_served(self):
        server = self.serve(
            _for_service(_probabilistic(0.0, [('GET /v3/projects', 1.0)]))
        )
        spans = self._trace(server, sample_ratio=0.0)
        api = middleware.TracingMiddleware(wsgi.hello)

        def recorded(path):
            spans.clear()
            wsgi.ask(api, path)
            return bool(spans.finished)

        projects, users = '/v3/projects', '/v3/users/0123456789abcdef'
        self.assertTrue(_until(lambda: recorded(projects)))
        self.assertFalse(recorded(users))
        server.change(
            _for_service(_probabilistic(0.0, [('GET /v3/users/{id}', 1.0)]))
        )
        begun = time.monotonic()
        self.assertTrue(_until(lambda: recorded(users)))
        passed = time.monotonic() - begun
        self.assertFalse(recorded(projects))
        # Of an interval, and of waiting for a busy machine.
        self.assertLess(passed, INTERVAL + 20)

    def test_stopped_and_started_again(self):
        server = self.serve(_for_service(_probabilistic(0.25)))
        self._trace(server)
        self._answered('ratio 0.25')
        server.stop()
        self._answered('No sampling strategy')
        self.assertIn('the last one holds', self.log.output)
        self._assert_ratio(0.25)
        server.write('strategies.json', _for_service(_probabilistic(0.75)))
        server.start()
        self._answered('ratio 0.75')
        self._assert_ratio(0.75)


class JaegerTest(_Strategies, _TestCase):
    def serve(self, strategies):
        program = collectors.find(self, 'JAEGER', 'jaeger', 'jaeger')
        return self.useFixture(collectors.Jaeger(program, strategies))

    def test_it_gets_what_it_had_sampled_and_nothing_else(self):
        server = self.serve(
            _for_service(_probabilistic(0.0, [('GET /v3/users', 1.0)]))
        )
        self._set_up(server)
        self._answered('ratio 0, 1 operations')
        api = middleware.TracingMiddleware(_work)
        trace_ids = [
            wsgi.ask(api, path).body.decode()
            for path in ('/v3/users', '/v3/groups')
        ]
        # Sends what is left.
        service.shutdown()
        spans = _until(lambda: server.spans(trace_ids[0]))
        self.assertEqual({'GET /v3/users', 'work'}, set(spans))
        self.assertEqual({}, server.spans(trace_ids[1]))

    def _set_up(self, server):
        """Set up as a service does, with Jaeger for both ends."""
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        for name, value in {
            'enabled': True,
            'sampler': 'parentbased_jaeger_remote',
            'sampling_server_url': server.sampling_url,
            'sampling_refresh_interval': INTERVAL,
            'sample_ratio': 0.0,
            'otlp_endpoint': server.url('otlp'),
            'shutdown_timeout': 60.0,
        }.items():
            conf.set_override(name, value, group='tracing')
        self.assertIsNotNone(oslo_tracing.setup(conf, SERVICE))


class SamplingCollectorTest(_Strategies, _TestCase):
    def serve(self, strategies):
        program = collectors.find(
            self, 'COLLECTOR', 'collector', 'otelcol-contrib'
        )
        return self.useFixture(
            collectors.SamplingCollector(program, strategies)
        )

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

"""What records is made when the first span starts, and not before."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import types

import fixtures
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace
from oslo_config import cfg

import oslo_tracing
from oslo_tracing import _at_fork
from oslo_tracing import _guard
from oslo_tracing import _tracing
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing import opts
from oslo_tracing import service
from oslo_tracing.tests import base

START = """
    import sys
    from oslo_config import cfg
    import oslo_messaging, sqlalchemy
    conf = cfg.ConfigOpts()
    conf([], project='x', default_config_files=[])
    before = set(sys.modules)
    import oslo_tracing
    from oslo_tracing import opts
    opts.register_opts(conf)
    conf.set_override('enabled', True, 'tracing')
    conf.set_override('otlp_endpoint', 'http://127.0.0.1:9', 'tracing')
    conf.set_override('shutdown_timeout', 0.0, 'tracing')
    conf.set_override('signing_keys', ['k' * 32], 'tracing')
    conf.set_override('sampling_rules', ['rpc "*" 0.5'], 'tracing')
    tracing = oslo_tracing.setup(conf, 'x')

    def loaded(*names):
        new = set(sys.modules) - before
        return sorted(
            name for name in names
            if any(one == name or one.startswith(name + '.') for one in new)
        )
"""
#: What a process needs at its first span, or never, and not before.
LATER = (
    'certifi',
    'google.protobuf',
    'grpc',
    'http.client',
    'opentelemetry.exporter',
    'opentelemetry.proto',
    'opentelemetry.sdk',
    'oslo_tracing.exporters._clean',
    'oslo_tracing.exporters._delivery',
    'oslo_tracing.exporters._pipeline',
    'oslo_tracing.exporters.otlp',
    'oslo_tracing.provider',
    'oslo_tracing.sampling.pipeline',
    'oslo_tracing.tracer',
    'requests',
    'urllib3',
)


def run(code):
    found = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if found.returncode:
        raise AssertionError(found.stderr)
    return found.stdout.split()


class ProcessTest(base.TestCase):
    def test_set_up_imports_little(self):
        printed = run(f'{START}\n    print(*loaded(*{LATER}))')
        self.assertEqual([], printed)

    def test_nor_does_a_process_without_a_span(self):
        printed = run(
            f"""{START}
    assert oslo_tracing.stats()['enabled']
    assert oslo_tracing.stats()['exporters'] == ['otlp']
    assert oslo_tracing.current_trace_id() is None
    with oslo_tracing.span('in no trace'):
        pass
    oslo_tracing.shutdown()
    print(*loaded(*{LATER}))
            """
        )
        self.assertEqual([], printed)

    def test_the_first_span_does(self):
        printed = run(
            f"""{START}
    from opentelemetry import trace
    with oslo_tracing.span('first', root=True):
        print(*loaded('opentelemetry.sdk', 'grpc'))
    tracing.processor.force_flush(10000)
    print(*loaded('oslo_tracing.exporters.otlp', 'grpc'))
            """
        )
        self.assertEqual(
            ['opentelemetry.sdk', 'oslo_tracing.exporters.otlp'], printed
        )

    def test_under_eventlet_set_up_imports_all(self):
        # Green threads share a lock of an import with the exporter's.
        printed = run(
            f"""
    import eventlet
    eventlet.monkey_patch()
{START}
    assert oslo_tracing.span
    then = set(sys.modules)
    with oslo_tracing.span('first', root=True):
        pass
    print('opentelemetry.sdk.trace' in then, *set(sys.modules) - then)
            """
        )
        self.assertEqual(['True'], printed)


class TracingTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.logged = self.useFixture(fixtures.FakeLogger())
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._guard._REPORTER', _guard._Reporter()
            )
        )

    def _set_up(self, **values):
        conf = cfg.ConfigOpts()
        conf([], project='x', default_config_files=[])
        opts.register_opts(conf)
        values = {'enabled': True, 'exporters': ['none'], **values}
        for name, value in values.items():
            conf.set_override(name, value, 'tracing')
        service.shutdown()
        self.addCleanup(service.shutdown)
        return oslo_tracing.setup(conf, 'x')

    def test_first_spans_that_start_together_are_all_recorded(self):
        spans = self.useFixture(fixture.SpanRecorder())
        ready = threading.Barrier(8)

        def start(number):
            ready.wait(30)
            with oslo_tracing.span(f'{number}', root=True):
                pass

        threads = [
            threading.Thread(target=start, args=(number,))
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(
            sorted(f'{number}' for number in range(8)),
            sorted(span.name for span in spans.finished),
        )

    def test_what_cannot_be_made_does_not_stop_the_service(self):
        tracing = self._set_up()
        self.useFixture(
            fixtures.MonkeyPatch('oslo_tracing.provider.build', None)
        )
        for _ in range(2):
            with oslo_tracing.span('one', root=True):
                self.assertIsNone(oslo_tracing.current_trace_id())
        self.assertIn('failed while starting to record', self.logged.output)
        self.assertFalse(tracing.may_force())
        self.assertFalse(tracing.drops(trace.INVALID_SPAN_CONTEXT))
        self.assertIsNone(tracing.processor)

    def test_what_starts_while_it_is_made_is_not_recorded(self):
        tracing = self._set_up()
        parts = _tracing.Parts(
            trace.NoOpTracerProvider(), None, None, lambda: True
        )
        started = []

        def make():
            # As a handler of log lines may, which sends them.
            started.append(tracing.tracer('http').start_span('x'))
            return parts

        tracing.later(make)
        self.assertIs(parts.provider, tracing.provider)
        self.assertTrue(tracing.may_force())
        self.assertFalse(started[0].is_recording())
        self.assertEqual(1, len(started))

    def test_it_may_start_while_half_of_it_is_imported(self):
        tracing = self._set_up()
        make, started = tracing._make, []

        def make_and_start():
            # As a finalizer may, at any line of a module.
            with fixtures.MonkeyPatch('oslo_tracing.provider.own_version'):
                started.append(tracing.tracer('http').start_span('x'))
            return make()

        tracing.later(make_and_start)
        self.assertIsNotNone(tracing.processor)
        self.assertEqual([False], [one.is_recording() for one in started])
        self.assertNotIn('failed', self.logged.output)

    def test_no_fork_comes_between(self):
        tracing = self._set_up()
        free = []

        def ask():
            lock = _at_fork.HELD_OFF._locks[os.getpid()]
            free.append(lock.acquire(blocking=False))

        def make():
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join(60)
            return _tracing.Parts(
                trace.NoOpTracerProvider(), None, None, lambda: True
            )

        tracing.later(make)
        self.assertIsNotNone(tracing.provider)
        self.assertEqual([False], free)

    def test_what_is_made_at_the_end_is_ended(self):
        tracing = self._set_up()
        making, ended = threading.Event(), threading.Event()
        processor = types.SimpleNamespace(shutdown=ended.set)

        def make():
            making.set()
            # Comes on when close() waits, or has not waited.
            closer.join(0.1)
            return _tracing.Parts(
                trace.NoOpTracerProvider(), processor, None, lambda: True
            )

        def close():
            making.wait(60)
            tracing.close()

        closer = threading.Thread(target=close)
        tracing.later(make)
        closer.start()
        self.assertIs(processor, tracing.processor)
        closer.join(60)
        self.assertTrue(ended.is_set())

    def test_after_the_end_nothing_is_made(self):
        tracing = self._set_up()
        ours = tracing.tracer('sqlalchemy')
        service.shutdown()
        self.assertFalse(ours.start_span('late').is_recording())
        self.assertFalse(
            trace.get_tracer('theirs').start_span('late').is_recording()
        )
        self.assertIsNone(tracing.processor)

    def test_who_asks_while_it_is_made_gets_it_afterwards(self):
        tracing = self._set_up()
        theirs = trace.get_tracer('theirs')
        make, seen = tracing._make, []
        answered, served = [], []

        def application(environ, start_response):
            answered.append(trace.get_current_span().is_recording())
            start_response('200 OK', [])
            return [b'']

        def ask():
            environ = {'REQUEST_METHOD': 'GET', 'PATH_INFO': '/'}
            list(served[0](environ, lambda status, headers, info=None: None))
            return theirs.start_span('x').is_recording()

        def make_and_ask():
            # As a handler of signals may, or another green thread.
            served.append(middleware.TracingMiddleware(application))
            seen.append(ask())
            return make()

        tracing.later(make_and_ask)
        self.assertIsNotNone(tracing.processor)
        seen.append(ask())
        self.assertEqual([False, True], seen)
        self.assertEqual([False, True], answered)

    def test_what_is_taken_off_while_it_is_made_is_ended(self):
        tracing = self._set_up()
        ended = []
        processor = types.SimpleNamespace(shutdown=lambda: ended.append(1))

        def make():
            # As a handler of signals does.
            service.shutdown()
            return _tracing.Parts(
                sdk_trace.TracerProvider(shutdown_on_exit=False),
                processor,
                None,
                lambda: True,
            )

        tracing.later(make)
        span = tracing.tracer('test').start_span('late')
        self.assertFalse(span.is_recording())
        self.assertEqual([1], ended)

    def test_nobody_waits_for_ever(self):
        # Who makes may log, and who asks hold the lock of the log's handler.
        tracing = self._set_up()
        tracing.later(lambda: _tracing._NOTHING)
        self.useFixture(
            fixtures.MonkeyPatch('oslo_tracing._tracing._PATIENCE', 0.1)
        )
        entered, leave = threading.Event(), threading.Event()
        self.addCleanup(leave.set)

        def hold():
            with _at_fork.HELD_OFF:
                entered.set()
                leave.wait(60)

        holder = threading.Thread(target=hold)
        holder.start()
        self.assertTrue(entered.wait(60))
        self.assertFalse(tracing.tracer('x').start_span('x').is_recording())
        self.assertFalse(tracing.is_made())
        service.shutdown()
        leave.set()
        holder.join(60)
        self.assertIsNone(tracing.processor)

    def test_there_is_nothing_else(self):
        tracing = self._set_up()
        self.assertFalse(hasattr(tracing, 'procesor'))

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

import io
import logging
import signal

import fixtures
from opentelemetry.sdk import trace as sdk_trace
from oslo_config import cfg
from oslo_log import formatters
from oslo_log import log as oslo_log

import oslo_tracing
from oslo_tracing import _guard
from oslo_tracing import fixture
from oslo_tracing.tests import base


class GuardTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.now = 5000.0
        self.useFixture(
            fixtures.MonkeyPatch('time.monotonic', lambda: self.now)
        )
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._guard._REPORTER', _guard._Reporter()
            )
        )

    def _fail(self, doing):
        with _guard.never_break_the_service(doing):
            raise ValueError('S3CRET')

    def test_class_and_place_but_not_the_message(self):
        self._fail('testing')
        self.assertIn('while testing', self.log.output)
        self.assertIn('ValueError', self.log.output)
        self.assertIn('test_guard.py', self.log.output)
        self.assertNotIn('S3CRET', self.log.output)

    def test_oslo_log_does_not_append_the_message(self):
        conf = cfg.ConfigOpts()
        oslo_log.register_options(conf)
        conf([], project='x', default_config_files=[])
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatters.ContextFormatter(config=conf))
        _guard.LOG.addHandler(handler)
        self.addCleanup(_guard.LOG.removeHandler, handler)
        try:
            raise OSError('S3CRET')
        except OSError:
            _guard.report('testing')
        self.assertIn('OSError', stream.getvalue())
        self.assertNotIn('S3CRET', stream.getvalue())

    def test_once_a_minute(self):
        for _number in range(100):
            self._fail('testing')
        self._fail('something else')
        self.assertEqual(2, self.log.output.count('Tracing failed'))
        self.now += _guard.QUIET
        self._fail('testing')
        self.assertEqual(3, self.log.output.count('Tracing failed'))

    def test_what_is_remembered_is_bounded(self):
        reporter = _guard._Reporter()
        for number in range(10000):
            reporter.report(f'doing {number}')
        self.assertLessEqual(len(reporter._said), _guard._MAX_DOINGS)

    def test_a_broken_log_is_survived(self):
        class Broken(logging.Handler):
            def handle(self, record):
                raise OSError

        handler = Broken()
        logging.getLogger().addHandler(handler)
        self.addCleanup(logging.getLogger().removeHandler, handler)
        self._fail('testing')


class SignalTest(base.TestCase):
    """A handler of the service's that raises, as those of alarms do."""

    class Timeout(Exception):
        pass

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        before = signal.signal(signal.SIGUSR1, self._handle)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)

    def _handle(self, number, frame):
        raise self.Timeout

    def _assert_it_is_passed_on(self):
        spans = self.useFixture(fixture.SpanRecorder('none'))
        spans.tracing.provider.add_span_processor(Interrupted())
        span = oslo_tracing.span('work', root=True)
        span.__enter__()
        self.assertRaises(self.Timeout, span.__exit__, None, None, None)
        self.assertIsNone(oslo_tracing.current_trace_id())
        self.assertNotIn('Tracing failed', self.log.output)

    def test_its_error_is_the_services(self):
        self._assert_it_is_passed_on()

    def test_of_a_handler_that_is_a_function(self):
        def handle(number, frame):
            self._handle(number, frame)

        signal.signal(signal.SIGUSR1, handle)
        self._assert_it_is_passed_on()

    def test_while_an_error_of_ours_is_logged(self):
        class Slow(logging.Handler):
            def handle(self, record):
                signal.raise_signal(signal.SIGUSR1)

        handler = Slow()
        _guard.LOG.addHandler(handler)
        self.addCleanup(_guard.LOG.removeHandler, handler)
        try:
            raise OSError('S3CRET')
        except OSError:
            self.assertRaises(self.Timeout, _guard.report, 'being interrupted')


class Interrupted(sdk_trace.SpanProcessor):
    """Stands for our own lines, which a signal can come into anywhere."""

    def on_end(self, span):
        signal.raise_signal(signal.SIGUSR1)

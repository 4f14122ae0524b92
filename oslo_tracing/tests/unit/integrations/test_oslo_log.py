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

"""The trace on every log record."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading

from opentelemetry import trace
from oslo_config import cfg
from oslo_context import context
from oslo_log import formatters
from oslo_log import log as oslo_log

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing import service
from oslo_tracing.tests import base


_OFF = """
import logging
import sys

from oslo_config import cfg
from oslo_log import log

from oslo_tracing import service

handle = logging.Logger.handle
conf = cfg.ConfigOpts()
log.register_options(conf)
conf([], project='x', default_config_files=[])
service.setup(conf)
print(handle is logging.Logger.handle, flush=True)
conf.set_override('logging_default_format_string', '%(span_id)s')
service.setup(conf)
logging.basicConfig(
    stream=sys.stdout,
    format='%(trace_id)s/%(span_id)s %(message)s',
    force=True,
)
logging.error('off')
"""


class OsloLogTest(base.TestCase):
    def _logger(self, formatter):
        logger = logging.getLogger(self.id())
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        self.stream = io.StringIO()
        handler = logging.StreamHandler(self.stream)
        handler.setFormatter(formatter)
        logger.addHandler(handler)
        return logger

    def _plain(self):
        return self._logger(
            logging.Formatter('%(trace_id)s/%(span_id)s %(message)s')
        )

    def _unwrapped(self):
        """Be in a process that nothing was set up in before."""
        handle = logging.Logger.handle
        self.addCleanup(setattr, logging.Logger, 'handle', handle)
        logging.Logger.handle = getattr(handle, '__wrapped__', handle)

    def _lines(self):
        return self.stream.getvalue().splitlines()

    def test_ids_of_the_active_span(self):
        self.useFixture(fixture.SpanRecorder('none'))
        log = self._plain()
        with oslo_tracing.span('work', root=True) as span:
            log.info('inside')
            current = span.get_span_context()
        log.info('outside')
        self.assertEqual(
            [
                f'{trace.format_trace_id(current.trace_id)}/'
                f'{trace.format_span_id(current.span_id)} inside',
                '/ outside',
            ],
            self._lines(),
        )

    def test_safe_when_off_and_after_shutdown(self):
        conf = cfg.ConfigOpts()
        conf([], project='x', default_config_files=[])
        self.assertIsNone(service.setup(conf))
        log = self._plain()
        log.info('off')
        self.useFixture(fixture.SpanRecorder('none'))
        with oslo_tracing.span('work', root=True):
            service.shutdown()
            log.info('down')
        self.assertEqual(['/ off', '/ down'], self._lines())

    def test_while_off_nothing_is_added_for_formats_that_name_nothing(self):
        # Handlers of other tests are in this process.
        done = subprocess.run(
            [sys.executable, '-c', _OFF], capture_output=True, text=True
        )
        self.assertEqual('True\n/ off\n', done.stdout, done.stderr)

    def test_while_off_a_handler_may_have_named_them_before(self):
        self._unwrapped()
        log = self._plain()
        conf = cfg.ConfigOpts()
        oslo_log.register_options(conf)
        conf([], project='x', default_config_files=[])
        service.setup(conf)
        log.info('off')
        self.assertEqual(['/ off'], self._lines())

    def test_off_by_option(self):
        self.useFixture(fixture.SpanRecorder('none', log_correlation=False))
        log = self._plain()
        with oslo_tracing.span('work', root=True):
            log.info('inside')
        self.assertEqual(['/ inside'], self._lines())

    def test_what_the_caller_gives_stays_and_does_not_raise(self):
        self.useFixture(fixture.SpanRecorder('none'))
        log = self._plain()
        with oslo_tracing.span('work', root=True):
            log.info('x', extra={'trace_id': 'mine', 'span_id': 'too'})
        self.assertEqual(['mine/too x'], self._lines())

    def test_odd_keys_of_the_caller_do_not_raise(self):
        self.useFixture(fixture.SpanRecorder('none'))
        log = self._plain()
        with oslo_tracing.span('work', root=True):
            for keys in (None, 7, ('mine',)):
                log.info('x', extra={'extra_keys': keys})
        self.assertEqual(3, len(self._lines()))

    def test_records_from_elsewhere(self):
        self.useFixture(fixture.SpanRecorder('none'))
        log = self._plain()
        log.handle(logging.makeLogRecord({'msg': 'received', 'levelno': 20}))
        self.assertEqual(['/ received'], self._lines())

    def _oslo_conf(self):
        conf = cfg.ConfigOpts()
        oslo_log.register_options(conf)
        conf([], project='x', default_config_files=[])
        conf.set_override(
            'logging_context_format_string',
            '%(request_id)s %(trace_id)s %(message)s',
        )
        conf.set_override(
            'logging_default_format_string', '- %(trace_id)s %(message)s'
        )
        return conf

    def test_oslo_logs_context_formatter(self):
        self.useFixture(fixture.SpanRecorder('none'))
        log = self._logger(
            formatters.ContextFormatter(config=self._oslo_conf())
        )
        with oslo_tracing.span('work', root=True):
            trace_id = oslo_tracing.current_trace_id()
            log.info('inside')
            request = context.RequestContext()
            log.info('of a request')
        log.info('outside')
        self.assertEqual(
            [
                f'- {trace_id} inside',
                f'{request.request_id} {trace_id} of a request',
                f'{request.request_id}  outside',
            ],
            self._lines(),
        )

    def test_oslo_logs_json_formatter(self):
        self.useFixture(fixture.SpanRecorder('none'))
        log = self._logger(formatters.JSONFormatter())
        adapter = oslo_log.KeywordArgumentAdapter(log, {})
        with oslo_tracing.span('work', root=True):
            trace_id = oslo_tracing.current_trace_id()
            log.info('plain')
            adapter.info('with more', volume='v1')
        log.info('outside')
        plain, more, outside = [json.loads(line) for line in self._lines()]
        self.assertEqual(trace_id, plain['extra']['trace_id'])
        self.assertEqual(trace_id, more['extra']['trace_id'])
        self.assertEqual(16, len(more['extra']['span_id']))
        self.assertEqual('v1', more['extra']['volume'])
        self.assertNotIn('trace_id', outside['extra'])

    def test_a_context_that_is_passed_along_leads_to_its_trace(self):
        self.useFixture(fixture.SpanRecorder('oslo_context'))
        log = self._plain()
        with oslo_tracing.span('work', root=True):
            trace_id = oslo_tracing.current_trace_id()
            request = context.RequestContext(overwrite=False)
        log.info('later', extra={'context': request})
        self.assertIn(trace_id, self._lines()[0])

    def test_the_context_of_a_thread_leads_to_its_trace(self):
        self.useFixture(fixture.SpanRecorder('oslo_context'))
        log = self._plain()
        with oslo_tracing.span('work', root=True):
            trace_id = oslo_tracing.current_trace_id()
            request = context.RequestContext(overwrite=False)

        def work():
            log.info('before')
            request.update_store()
            log.info('after')

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        before, after = self._lines()
        self.assertEqual('/ before', before)
        self.assertIn(trace_id, after)

    def test_it_is_put_on_once(self):
        handle = logging.Logger.handle
        self.useFixture(fixture.SpanRecorder('none'))
        first = logging.Logger.handle
        self.useFixture(fixture.SpanRecorder('none'))
        self.assertIs(first, logging.Logger.handle)
        self.assertTrue(callable(handle))

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

"""Through the real client and daemon of oslo.rootwrap, as nobody else."""

from __future__ import annotations

import contextlib
import logging
from multiprocessing import managers
import os
import sys
import threading

import fixtures
from opentelemetry import trace
from oslo_rootwrap import client as rootwrap_client
from oslo_rootwrap import cmd as rootwrap_cmd

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing.tests import base

# It has closed its standard error, where logging without syslog fails.
DAEMON = """
import logging
from oslo_rootwrap import cmd
logging.disable()
cmd.daemon()
"""
CONFIGURATION = """[DEFAULT]
filters_path={folder}
exec_dirs=/usr/bin,/bin
"""
FILTERS = """[Filters]
echo: CommandFilter, echo, root
false: CommandFilter, false, root
cat: CommandFilter, cat, root
gone: CommandFilter, there-is-none, root
"""


class RootwrapTest(base.TestCase):
    def setUp(self):
        super().setUp()
        folder = self.useFixture(fixtures.TempDir()).path
        filters = os.path.join(folder, 'filters')
        os.mkdir(filters)
        configuration = os.path.join(folder, 'rootwrap.conf')
        with open(configuration, 'w') as file:
            file.write(CONFIGURATION.format(folder=filters))
        with open(os.path.join(filters, 'a.filters'), 'w') as file:
            file.write(FILTERS)
        self.spans = self.useFixture(
            fixture.SpanRecorder('oslo_rootwrap', 'threads')
        )
        self.client = rootwrap_client.Client(
            [sys.executable, '-c', DAEMON, configuration]
        )
        self.addCleanup(self._end)

    def _end(self):
        if self.client._finalize is not None:
            self.client._finalize()
            self.client._process.wait()

    def run_one(self, *cmd, **kwargs):
        with oslo_tracing.span('boot', root=True) as self.request:
            return self.client.execute(list(cmd), **kwargs)

    def command(self):
        (span,) = [each for each in self.spans.finished if each.name != 'boot']
        return span

    def test_a_command_is_a_span_without_its_arguments(self):
        code, out, _err = self.run_one('echo', 'S3CRETARG')
        self.assertEqual((0, 'S3CRETARG\n'), (code, out))
        span = self.command()
        self.assertEqual(
            ('exec echo', trace.SpanKind.INTERNAL, self.request.context),
            (span.name, span.kind, span.parent),
        )
        self.assertEqual(
            {'process.executable.name': 'echo', 'process.exit.code': 0},
            dict(span.attributes),
        )
        self.assertEqual(
            'oslo_tracing.oslo_rootwrap', span.instrumentation_scope.name
        )

    def test_the_input_is_handed_on(self):
        self.assertEqual('given', self.run_one('cat', stdin='given')[1])
        self.assertNotIn('given', self.command().to_json())

    def test_the_exit_code_is_told_and_the_caller_judges(self):
        self.assertEqual((1, '', ''), tuple(self.run_one('false')))
        span = self.command()
        self.assertEqual(1, span.attributes['process.exit.code'])
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)

    def test_what_no_filter_allows_and_what_is_not_there(self):
        self.run_one('/usr/sbin/reboot', '--S3CRET')
        self.run_one('there-is-none')
        self.assertEqual(
            [
                ('exec reboot', rootwrap_cmd.RC_UNAUTHORIZED),
                ('exec there-is-none', rootwrap_cmd.RC_NOEXECFOUND),
            ],
            [
                (each.name, each.attributes['process.exit.code'])
                for each in self.spans.finished
                if each.name != 'boot'
            ],
        )

    def test_a_daemon_that_died_is_one_span_with_the_next(self):
        self.run_one('false')
        self.client._process.kill()
        self.client._process.wait()
        self.spans.clear()
        self.assertEqual('again\n', self.run_one('echo', 'again')[1])
        self.assertEqual(0, self.command().attributes['process.exit.code'])

    def test_a_daemon_that_does_not_start_is_an_error(self):
        self.spans = self.useFixture(
            fixture.SpanRecorder('oslo_rootwrap', exception_messages=True)
        )
        self.client = rootwrap_client.Client(
            [sys.executable, '-c', 'raise SystemExit("S3CRET")']
        )
        with contextlib.suppress(Exception):
            self.run_one('echo')
        span = self.command()
        self.assertEqual('exec echo', span.name)
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertNotIn('process.exit.code', span.attributes)
        for each in self.spans.finished:
            self.assertNotIn('S3CRET', each.to_json())

    def test_what_the_daemon_raises_is_not_quoted(self):
        self.spans = self.useFixture(
            fixture.SpanRecorder('oslo_rootwrap', exception_messages=True)
        )
        error = self.assertRaises(
            managers.RemoteError, self.run_one, 'echo', '\0', 'S3CRET'
        )
        self.assertIn('rootwrap', str(error))
        self.assertEqual(
            'multiprocessing.managers.RemoteError',
            self.command().attributes['error.type'],
        )
        for each in self.spans.finished:
            (event,) = each.events
            self.assertNotIn('exception.message', event.attributes)

    def test_outside_of_a_trace_there_is_none(self):
        self.assertEqual(0, self.client.execute(['echo'])[0])
        self.assertEqual([], self.spans.finished)

    def test_who_waits_for_the_daemon_to_end_is_in_no_trace(self):
        ended = threading.Event()
        seen = []

        class Lines(logging.Handler):
            def emit(self, record):
                if 'exit with status' in record.getMessage():
                    seen.append(oslo_tracing.current_trace_id())
                    ended.set()

        logger = logging.getLogger('oslo_rootwrap.client')
        handler = Lines()
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        with oslo_tracing.span('boot', root=True):
            self.client.execute(['echo'])
            self._end()
            self.assertTrue(ended.wait(60))
        self.assertEqual([None], seen)

    def test_off_by_option(self):
        with fixture.SpanRecorder(
            'oslo_rootwrap', trace_commands=False
        ) as spans:
            self.run_one('echo')
            self.assertEqual(['boot'], [each.name for each in spans.finished])

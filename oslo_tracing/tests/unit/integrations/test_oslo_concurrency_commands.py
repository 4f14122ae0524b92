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

"""Through the real processutils of oslo.concurrency, and real programs."""

from __future__ import annotations

import os
import subprocess
import sys

import fixtures
from opentelemetry import trace
from oslo_concurrency import processutils

import oslo_tracing
from oslo_tracing import _guard
from oslo_tracing import fixture
from oslo_tracing.tests import base


class CommandsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(fixture.SpanRecorder('oslo_concurrency'))

    def run_one(self, *cmd, **kwargs):
        with oslo_tracing.span('boot', root=True) as request:
            result = processutils.execute(*cmd, **kwargs)
        self.request = request
        return result

    def command(self):
        (span,) = [
            s for s in self.spans.finished if s.name.startswith('exec ')
        ]
        return span

    def everything_said(self):
        return ' '.join(
            f'{s.name} {dict(s.attributes)} {s.status.description} '
            f'{[(e.name, dict(e.attributes)) for e in s.events]}'
            for s in self.spans.finished
        )

    def test_a_command_is_a_span_without_its_arguments(self):
        out, _err = self.run_one('echo', 'S3CRETARG')
        self.assertEqual('S3CRETARG\n', out)
        span = self.command()
        self.assertEqual('exec echo', span.name)
        self.assertEqual(trace.SpanKind.INTERNAL, span.kind)
        self.assertEqual(
            self.request.get_span_context().span_id, span.parent.span_id
        )
        self.assertEqual(
            {'process.executable.name': 'echo', 'process.exit.code': 0},
            dict(span.attributes),
        )
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)
        self.assertNotIn('S3CRETARG', self.everything_said())

    def test_the_exit_code_of_an_allowed_failure_is_told(self):
        self.run_one('false', check_exit_code=[0, 1])
        span = self.command()
        self.assertEqual(1, span.attributes['process.exit.code'])
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)

    def test_a_failure_raises_and_tells_no_argument(self):
        self.spans = self.useFixture(
            fixture.SpanRecorder('oslo_concurrency', exception_messages=True)
        )
        error = self.assertRaises(
            processutils.ProcessExecutionError,
            self.run_one,
            'ls',
            '/S3CRETARG',
        )
        self.assertIn('S3CRETARG', str(error))
        span = self.command()
        self.assertEqual(error.exit_code, span.attributes['process.exit.code'])
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual(
            'oslo_concurrency.processutils.ProcessExecutionError',
            span.attributes['error.type'],
        )
        self.assertNotIn('S3CRETARG', self.everything_said())

    def test_a_program_that_does_not_exist(self):
        self.assertRaises(
            FileNotFoundError, self.run_one, '/no/such/there-is-none'
        )
        span = self.command()
        self.assertEqual('exec there-is-none', span.name)
        self.assertEqual('FileNotFoundError', span.attributes['error.type'])
        self.assertNotIn('process.exit.code', span.attributes)

    def test_a_command_that_takes_too_long(self):
        killed = []

        def kill(process):
            killed.append(process)
            process.kill()
            process.communicate()

        self.assertRaises(
            subprocess.TimeoutExpired,
            self.run_one,
            'sleep',
            '600',
            timeout=0.05,
            on_completion=kill,
        )
        self.assertEqual(1, len(killed))
        self.assertEqual(
            'subprocess.TimeoutExpired',
            self.command().attributes['error.type'],
        )

    def test_tries_are_one_span(self):
        seen = []
        self.assertRaises(
            processutils.ProcessExecutionError,
            self.run_one,
            'false',
            attempts=2,
            delay_on_retry=False,
            on_completion=seen.append,
        )
        self.assertEqual(2, len(seen))
        self.assertEqual(1, self.command().attributes['process.exit.code'])

    def test_a_shell_is_told_as_one(self):
        out, _err = self.run_one('TOKEN=S3CRET; echo hi | cat', shell=True)
        self.assertEqual('hi\n', out)
        self.assertEqual('exec sh', self.command().name)
        self.assertNotIn('S3CRET', self.everything_said())

    def test_what_env_runs_is_the_program(self):
        self.run_one('env', 'LC_ALL=C', 'PASSWORD=S3CRET', 'true')
        self.assertEqual('exec true', self.command().name)
        self.assertNotIn('S3CRET', self.everything_said())

    def test_the_directory_is_not_told(self):
        self.run_one(sys.executable, '-c', 'pass')
        self.assertEqual(
            f'exec {os.path.basename(sys.executable)}', self.command().name
        )

    def test_logs_and_spans_in_callbacks_belong_to_it(self):
        def seen(process):
            with oslo_tracing.span('seen'):
                pass

        self.run_one('true', on_execute=seen)
        self.assertEqual(
            self.command().context.span_id,
            self.spans.named('seen').parent.span_id,
        )

    def test_an_error_of_the_service_s_callback_passes(self):
        def refuse(process):
            raise KeyError('theirs')

        self.assertRaises(KeyError, self.run_one, 'true', on_completion=refuse)
        span = self.command()
        self.assertEqual('KeyError', span.attributes['error.type'])
        self.assertEqual(0, span.attributes['process.exit.code'])

    def test_trycmd_is_covered(self):
        with oslo_tracing.span('boot', root=True):
            processutils.trycmd('true')
        self.assertEqual('exec true', self.command().name)

    def test_outside_of_a_trace_there_is_none(self):
        processutils.execute('true')
        self.assertEqual([], self.spans.finished)

    def test_our_own_errors_are_not_the_service_s(self):
        logged = self.useFixture(fixtures.FakeLogger())
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._guard._REPORTER', _guard._Reporter()
            )
        )

        class Unspeakable:
            said = 0

            def __str__(self):
                # What the library itself asks for is answered.
                Unspeakable.said += 1
                if Unspeakable.said == 1:
                    raise ValueError('S3CRET')
                return 'true'

        self.run_one(Unspeakable())
        self.assertEqual('exec _OTHER', self.command().name)

        def refuse(*args, **kwargs):
            raise ValueError('S3CRET')

        span = trace.NonRecordingSpan(
            trace.SpanContext(1, 1, False, trace.TraceFlags(1))
        )
        with (
            trace.use_span(span),
            fixtures.MonkeyPatch(
                'oslo_tracing.provider.UrandomIds.generate_span_id', refuse
            ),
        ):
            self.assertEqual(('', ''), processutils.execute('true'))
        self.assertIn('Tracing failed while starting', logged.output)
        self.assertNotIn('S3CRET', logged.output)

    def test_the_very_same_function_is_back(self):
        ours = processutils.execute
        self.spans.tracing.undo.close()
        self.assertIs(ours.__wrapped__, processutils.execute)
        self.assertFalse(hasattr(processutils.execute, '__wrapped__'))
        self.assertEqual(('', ''), ours('true'))

    def test_the_option_turns_it_off(self):
        self.spans = self.useFixture(
            fixture.SpanRecorder('oslo_concurrency', trace_commands=False)
        )
        self.run_one('true')
        self.assertEqual(['boot'], [s.name for s in self.spans.finished])

    def test_who_runs_commands_beside_grpc_is_warned_once(self):
        for value, options, told in (
            (None, {'otlp_protocol': 'grpc', 'trace_commands': False}, 1),
            ('1', {'otlp_protocol': 'grpc'}, 1),
            ('False', {'otlp_protocol': 'grpc'}, 0),
            (None, {'otlp_protocol': 'grpc', 'exporters': ['log']}, 0),
            (None, {}, 0),
        ):
            logged = self.useFixture(fixtures.FakeLogger())
            self.useFixture(
                fixtures.EnvironmentVariable('GRPC_ENABLE_FORK_SUPPORT', value)
            )
            self.useFixture(
                fixture.SpanRecorder('oslo_concurrency', **options)
            )

            processutils.execute('true')

            self.assertEqual(
                told, logged.output.count('commands that'), options
            )

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

"""Through the real oslo.privsep, its daemons and real programs.

In processes of their own: they fork, and give capabilities up.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import fixtures
from oslo_privsep import comm
from oslo_privsep import daemon

import oslo_tracing
from oslo_tracing import _privsep
from oslo_tracing import fixture
from oslo_tracing import service
from oslo_tracing.tests import base

CALLS = """
import json, logging, os, sys
from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_privsep import priv_context

CONTEXT = priv_context.PrivContext(
    'shelf', cfg_section='shelf', pypath='shelf.CONTEXT', capabilities=[],
    timeout=60)

@CONTEXT.entrypoint
def run(*cmd, **kwargs):
    logging.getLogger('shelf').warning('about to run')
    return processutils.execute(*cmd, **kwargs)[0]

@CONTEXT.entrypoint
def many(count):
    for _each in range(count):
        processutils.execute('true')

@CONTEXT.entrypoint
def look():
    import threading
    tracing = sys.modules.get('oslo_tracing')
    return {
        'pid': os.getpid(),
        'trace': tracing and tracing.current_trace_id(),
        'sdk': 'opentelemetry.sdk' in sys.modules,
        'threads': [each.name for each in threading.enumerate()],
    }

def with_a_broken_tracer(*cmd):
    from oslo_tracing.tracer import _tracer
    def refuse(*args, **kwargs):
        raise ValueError('S3CRET')
    _tracer.Tracer.start_span = refuse
    return run(*cmd)

class Lines(logging.Handler):
    lines = []
    def emit(self, record):
        self.lines.append(record)

def main(work):
    from oslo_tracing import fixture
    import oslo_tracing
    cfg.CONF([], project='shelf', default_config_files=[])
    helper = os.environ.get('SHELF_HELPER')
    if helper:
        cfg.CONF.set_override('helper_command', helper, group='shelf')
    logging.getLogger().addHandler(Lines())
    logging.getLogger().setLevel(logging.INFO)
    told = {}
    with fixture.SpanRecorder() as spans:
        with oslo_tracing.span('boot', root=True) as boot:
            if not helper:
                CONTEXT.start(priv_context.Method.FORK)
            try:
                told['result'] = work()
            except Exception as error:
                told['error'] = repr(error)
        told['untraced'] = look()
    told['off'] = look()
    told['pid'] = os.getpid()
    told['boot'] = [f'{boot.context.trace_id:032x}',
                    f'{boot.context.span_id:016x}']
    told['spans'] = [
        {'name': each.name, 'attributes': dict(each.attributes),
         'parent': each.parent and f'{each.parent.span_id:016x}',
         'trace': f'{each.context.trace_id:032x}',
         'status': each.status.status_code.name,
         'ns': [each.start_time, each.end_time]}
        for each in spans.finished]
    told['lines'] = [
        [each.getMessage(), getattr(each, 'trace_id', None)]
        for each in Lines.lines]
    CONTEXT.stop()
    print(json.dumps(told), flush=True)
"""

HELPER = 'from oslo_privsep import daemon; daemon.helper_main()'


class _Calls(base.TestCase):
    helper: str | None = None

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        with open(os.path.join(self.folder, 'shelf.py'), 'w') as file:
            file.write(CALLS)

    def told(self, work):
        environment = {**os.environ, 'PYTHONPATH': self.folder}
        environment.pop('SHELF_HELPER', None)
        if self.helper is not None:
            helper = f'{sys.executable} -c "{self.helper}"'
            environment['SHELF_HELPER'] = helper
        done = subprocess.run(
            [
                sys.executable,
                '-c',
                f'import shelf; shelf.main(lambda: {work})',
            ],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=100,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])


class ForkedTest(_Calls):
    """A daemon that was forked from the service."""

    def test_a_command_is_a_span_of_the_trace_of_the_caller(self):
        told = self.told("shelf.run('echo', 'S3CRETARG')")
        self.assertEqual('S3CRETARG\n', told['result'])
        (span,) = [s for s in told['spans'] if s['name'] == 'exec echo']
        trace_id, span_id = told['boot']
        self.assertEqual(trace_id, span['trace'])
        self.assertEqual(span_id, span['parent'])
        self.assertEqual('UNSET', span['status'])
        self.assertEqual(
            {'process.executable.name': 'echo', 'process.exit.code': 0},
            span['attributes'],
        )
        (boot,) = [s for s in told['spans'] if s['name'] == 'boot']
        self.assertEqual(
            sorted([*boot['ns'], *span['ns']]),
            [boot['ns'][0], *span['ns'], boot['ns'][1]],
        )
        self.assertNotIn('S3CRETARG', json.dumps(told['spans']))

    def test_a_command_that_fails(self):
        told = self.told("shelf.run('false')")
        self.assertIn('ProcessExecutionError', told['error'])
        (span,) = [s for s in told['spans'] if s['name'] == 'exec false']
        self.assertEqual('ERROR', span['status'])
        self.assertEqual(
            {
                'process.executable.name': 'false',
                'process.exit.code': 1,
                'error.type': (
                    'oslo_concurrency.processutils.ProcessExecutionError'
                ),
            },
            span['attributes'],
        )

    def test_a_program_that_does_not_exist(self):
        told = self.told("shelf.run('/no/such/there-is-none')")
        self.assertIn('FileNotFoundError', told['error'])
        (span,) = [s for s in told['spans'] if s['name'].startswith('exec t')]
        self.assertEqual('FileNotFoundError', span['attributes']['error.type'])

    def test_what_the_daemon_logs_has_the_trace(self):
        told = self.told("shelf.run('true')")
        lines = dict(told['lines'])
        self.assertEqual(told['boot'][0], lines['about to run'])

    def test_the_number_of_commands_is_bounded(self):
        told = self.told('shelf.many(130)')
        found = [s for s in told['spans'] if s['name'] == 'exec true']
        self.assertEqual(128, len(found))

    def test_the_daemon_records_and_sends_nothing(self):
        told = self.told('shelf.look()')
        for look in (told['result'], told['untraced'], told['off']):
            self.assertNotEqual(told['pid'], look['pid'])
            self.assertEqual(
                [], [name for name in look['threads'] if 'oslo_tr' in name]
            )
            # Least of all the trace in which it happened to be forked.
            self.assertIsNone(look['trace'])

    def test_a_broken_tracer_is_not_noticed(self):
        told = self.told("shelf.with_a_broken_tracer('echo', 'x')")
        self.assertEqual('x\n', told['result'])
        said = [line for line, _trace in told['lines'] if 'failed' in line]
        self.assertEqual(1, len(said), told['lines'])
        self.assertNotIn('S3CRET', said[0])


class HelperTest(ForkedTest):
    """A daemon that was started by a helper, as sudo starts it."""

    helper = HELPER

    def test_the_daemon_loads_no_opentelemetry(self):
        told = self.told("[shelf.run('true'), shelf.look()]")
        self.assertFalse(told['result'][1]['sdk'])


class SeamsTest(base.TestCase):
    """Where we attach in a service that has a daemon."""

    SEAMS = (
        (comm.ClientChannel, 'send_recv'),
        (daemon._ClientChannel, 'exchange_ping'),
        (daemon.Daemon, 'run'),
    )

    def found(self):
        return [vars(owner)[name] for owner, name in self.SEAMS]

    def test_the_very_same_functions_are_back(self):
        originals = self.found()
        self.useFixture(fixture.SpanRecorder('oslo_privsep'))
        ours = self.found()
        self.assertEqual(originals, [each.__wrapped__ for each in ours])
        service.shutdown()
        for original, found in zip(originals, self.found(), strict=True):
            self.assertIs(original, found)

    def test_the_option_turns_it_off(self):
        originals = self.found()
        self.useFixture(
            fixture.SpanRecorder('oslo_privsep', trace_commands=False)
        )
        # A forked daemon must not stay in the trace it was forked in.
        self.assertEqual(originals[:2], self.found()[:2])

    def test_a_seam_that_is_missing_is_told(self):
        logged = self.useFixture(fixtures.FakeLogger())
        with fixtures.MonkeyPatch(
            'oslo_privsep.comm.ClientChannel.send_recv', None
        ):
            self.useFixture(fixture.SpanRecorder('oslo_privsep'))
        self.assertIn('oslo.privsep', logged.output)
        self.assertIn('commands over privsep are not traced', logged.output)


class VersionsTest(base.TestCase):
    """What two sides say to each other that are not of one age."""

    def daemon(self, *message):
        """Return what a daemon answers that has us."""

        def process_cmd(_daemon, _msgid, cmd, *args):
            self.seen = (cmd, *args)
            return (2,) if cmd == _privsep.PING else (4, 'value')

        side = _privsep.DaemonSide()
        return side.around_process_cmd(process_cmd)(None, 'id', *message)

    def test_a_caller_without_us_is_answered_as_ever(self):
        for message in ((_privsep.PING,), (_privsep.CALL, 'f', (), {})):
            answer = self.daemon(*message)
            self.assertEqual(message, self.seen)
            self.assertIsNone(_privsep.part_of(answer))

    def test_a_caller_that_says_more_is_understood(self):
        ours = {_privsep.KEY: 99, 'trace_id': '1', 'later': [1, 2]}
        answer = self.daemon(_privsep.CALL, 'f', ('a',), {}, ours)
        self.assertEqual((_privsep.CALL, 'f', ('a',), {}), self.seen)
        self.assertEqual((4, 'value'), answer[:-1])
        self.assertEqual([], _privsep.part_of(answer)['commands'])
        pong = self.daemon(_privsep.PING, ours)
        self.assertEqual(2, pong[0])
        self.assertEqual({_privsep.KEY: _privsep.VERSION}, pong[-1])

    def test_a_daemon_that_says_more_or_nonsense_is_understood(self):
        for told, names in (
            ([('ls', 1, 2, 0, None, 'later', {})], ['exec ls']),
            ([('ls', 1, 2)], []),
            (None, []),
        ):
            spans = fixture.SpanRecorder('oslo_privsep')
            answer = (4, 'value', {_privsep.KEY: 99, 'commands': told})
            with (
                fixtures.MonkeyPatch(
                    'oslo_privsep.comm.ClientChannel.send_recv',
                    lambda channel, msg, timeout=None, answer=answer: answer,
                ),
                spans,
                oslo_tracing.span('boot', root=True),
            ):
                channel = object.__new__(comm.ClientChannel)
                channel._oslo_tracing_version = 99
                got = channel.send_recv((_privsep.CALL, 'f', (), {}))
            self.assertEqual((4, 'value'), got)
            self.assertEqual(
                names, [s.name for s in spans.finished if s.name != 'boot']
            )


class StrangerTest(_Calls):
    """A daemon that has no oslo.tracing."""

    helper = f"import sys; sys.modules['oslo_tracing'] = None; {HELPER}"

    def test_calls_go_through(self):
        told = self.told("[shelf.run('echo', 'x'), shelf.look()]")
        self.assertEqual('x\n', told['result'][0])
        self.assertEqual(
            [], [s for s in told['spans'] if s['name'] == 'exec echo']
        )
        said = [line for line, _trace in told['lines'] if 'no oslo.tr' in line]
        self.assertEqual(1, len(said))

    def test_errors_go_through(self):
        told = self.told("shelf.run('false')")
        self.assertIn('ProcessExecutionError', told['error'])

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
"""What every start of ``openstack`` loads, and the shells it attaches to."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys

import fixtures
from osc_lib import shell as osc_shell

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing.osc import commands
from oslo_tracing.osc import plugin
from oslo_tracing.tests import base

_LOADED = """
import json, sys, types
if {without!r}:
    stub = types.ModuleType('oslo_tracing.osc.plugin')
    stub.API_NAME = 'oslo_tracing'
    stub.API_VERSION_OPTION = 'os_oslo_tracing_api_version'
    stub.build_option_parser = lambda parser: parser
    sys.modules[stub.__name__] = stub
from openstackclient import shell
made = shell.OpenStackShell()
if {without!r}:
    del sys.modules[stub.__name__]
assert {without!r} or '--trace' in made.parser.format_help()
if {commands!r}:
    manager = made.command_manager
    manager.add_command_group('openstack.oslo_tracing.v1')
    assert 'trace show' in dict(manager), dict(manager)
print(json.dumps(sorted(sys.modules)))
"""


def _loaded(without, commands=False):
    done = subprocess.run(
        [
            sys.executable,
            '-W',
            'ignore',
            '-c',
            _LOADED.format(without=without, commands=commands),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return set(json.loads(done.stdout))


class PluginTest(base.TestCase):
    def test_a_start_loads_nothing_else(self):
        self.assertEqual(
            {
                'oslo_tracing',
                'oslo_tracing.osc',
                'oslo_tracing.osc.plugin',
            },
            _loaded(without=False) - _loaded(without=True),
        )

    def test_the_commands_load_nothing_that_records(self):
        # The shell imports the commands of every plugin when it runs one.
        loaded = _loaded(without=False, commands=True)
        more = loaded - _loaded(without=False)
        ours = {name for name in more if name.startswith('oslo_tracing.')}
        self.assertIn('oslo_tracing.cmd.show', ours)
        self.assertLessEqual(
            {name.split('.')[1] for name in ours},
            {'cmd', 'report', '_printable', 'attributes', 'exceptions'},
        )
        self.assertEqual(
            set(),
            {'opentelemetry', 'oslo_config'}
            & {name.split('.')[0] for name in more},
        )

    def test_it_is_what_a_plugin_has_to_be(self):
        self.assertIsNone(plugin.make_client(None))
        self.assertIn(plugin.DEFAULT_API_VERSION, plugin.API_VERSIONS)
        self.assertTrue(plugin.API_VERSION_OPTION.startswith('os_'))

    def test_without_the_option_there_is_no_trace_of_it(self):
        parser = plugin.build_option_parser(argparse.ArgumentParser())
        self.assertEqual({}, vars(parser.parse_args([])))


class _Manager:
    """Knows three commands, and is asked for them as cliff's is."""

    def find_command(self, argv):
        if argv[0] not in ('works', 'fails', 'ends'):
            raise ValueError(argv)
        return None, argv[0], argv[1:]


class _Failure(Exception):
    """What makes a command fail."""


class _Shell(osc_shell.OpenStackShell):
    """The shell of osc-lib, without a cloud."""

    def __init__(self):
        self.stderr = io.StringIO()
        self.options = argparse.Namespace(timing=False)
        self.command_manager = _Manager()
        self.client_manager = None


class CommandsTest(base.TestCase):
    """What is attached to the shell: it works, comes off, and never hurts."""

    def setUp(self):
        super().setUp()
        self.home = self.useFixture(fixtures.TempDir()).path
        for name, value in (
            ('XDG_CONFIG_HOME', self.home),
            ('OSLO_TRACING_CONFIG', None),
            ('OS_PROFILE', None),
        ):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        self.original = vars(osc_shell.OpenStackShell)['run_subcommand']
        self.addCleanup(
            setattr,
            osc_shell.OpenStackShell,
            'run_subcommand',
            self.original,
        )
        self.calls = []
        osc_shell.OpenStackShell.run_subcommand = self.run_subcommand()
        self.shell = _Shell()

    def run_subcommand(self):
        calls = self.calls

        def run_subcommand(shell, argv):
            calls.append((argv, oslo_tracing.current_trace_id()))
            if argv[0] == 'ends':
                raise SystemExit(int(argv[1]))
            if argv[0] == 'inner':
                return 0
            if argv[0] == 'fails':
                shell.clean_up(None, 1, _Failure('hunter2'))
                return 1
            if argv[1:]:
                shell.run_subcommand(argv[1:])
            return 0

        return run_subcommand

    def attach(self):
        undo = commands.trace_all()
        self.addCleanup(undo.close)
        return undo

    def said(self):
        return self.shell.stderr.getvalue()

    def test_a_command_is_a_trace(self):
        spans = self.useFixture(fixture.SpanRecorder('none'))
        self.attach()
        self.assertEqual(0, self.shell.run_subcommand(['works']))
        [span] = spans.finished
        self.assertEqual('openstack works', span.name)
        trace_id = f'{span.context.trace_id:032x}'
        self.assertEqual([(['works'], trace_id)], self.calls)
        self.assertEqual(f'Trace ID: {trace_id}\n', self.said())

    def test_arguments_are_not_told(self):
        spans = self.useFixture(fixture.SpanRecorder('none'))
        self.attach()
        self.assertEqual(1, self.shell.run_subcommand(['fails', 'hunter2']))
        [span] = spans.finished
        self.assertEqual('openstack fails', span.name)
        self.assertEqual(1, span.attributes['process.exit.code'])
        self.assertTrue(
            span.attributes['error.type'].endswith('test_plugin._Failure')
        )
        self.assertNotIn('hunter2', span.to_json())

    def test_a_command_that_ends_the_program(self):
        spans = self.useFixture(fixture.SpanRecorder('none'))
        self.attach()
        for code, status in (('0', 'UNSET'), ('3', 'ERROR')):
            self.assertRaises(
                SystemExit, self.shell.run_subcommand, ['ends', code]
            )
            span = spans.finished[-1]
            self.assertEqual(int(code), span.attributes['process.exit.code'])
            self.assertEqual(status, span.status.status_code.name)
        self.assertEqual(2, self.said().count('Trace ID: '))

    def test_an_error_is_that_of_its_own_command(self):
        spans = self.useFixture(fixture.SpanRecorder('none'))
        self.attach()
        self.shell.run_subcommand(['fails'])
        self.shell.run_subcommand(['works'])
        self.assertNotIn('error.type', spans.finished[-1].attributes)

    def test_one_that_runs_another_is_one_trace(self):
        spans = self.useFixture(fixture.SpanRecorder('none'))
        self.attach()
        self.shell.run_subcommand(['works', 'inner'])
        self.assertEqual(1, len(spans.finished))
        self.assertEqual(1, self.said().count('Trace ID: '))

    def test_the_option_given_twice_is_one_trace(self):
        spans = self.useFixture(fixture.SpanRecorder('none'))
        self.attach()
        self.attach()
        self.shell.run_subcommand(['works'])
        self.assertEqual(1, len(spans.finished))
        self.assertEqual(1, len(self.calls))

    def test_it_comes_off(self):
        shell = osc_shell.OpenStackShell
        before = dict(vars(shell))
        undo = self.attach()
        self.assertIsNot(before['run_subcommand'], shell.run_subcommand)
        undo.close()
        for name in ('run_subcommand', 'clean_up'):
            self.assertIs(before[name], vars(shell)[name])

    def test_a_shell_of_another_kind_is_left_alone(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'osc_lib.shell.OpenStackShell.clean_up',
                fixtures.MonkeyPatch.delete,
            )
        )
        before = dict(vars(osc_shell.OpenStackShell))
        stderr = io.StringIO()
        self.useFixture(fixtures.MonkeyPatch('sys.stderr', stderr))
        self.attach()
        self.assertIn('Not traced', stderr.getvalue())
        self.assertEqual(before, dict(vars(osc_shell.OpenStackShell)))

    def test_when_we_fail_the_command_runs_once(self):
        self.useFixture(fixture.SpanRecorder('none'))
        self.attach()
        self.shell.options = None
        self.shell.command_manager = None
        self.shell.stderr = None
        self.assertEqual(0, self.shell.run_subcommand(['works']))
        self.assertEqual(1, len(self.calls))

    def test_when_nobody_reads_the_id_the_command_is_the_same(self):
        spans = self.useFixture(fixture.SpanRecorder('none'))
        self.attach()
        self.shell.stderr.close()
        self.assertEqual(0, self.shell.run_subcommand(['works']))
        self.assertEqual(1, len(spans.finished))

    def test_what_cannot_be_set_up_is_said_once(self):
        path = os.path.join(self.home, 'tracing.conf')
        with open(path, 'w') as file:
            file.write('[tracing]\nexporters = nobody\n')
        self.useFixture(
            fixtures.EnvironmentVariable('OSLO_TRACING_CONFIG', path)
        )
        self.attach()
        for _ in range(2):
            self.assertEqual(0, self.shell.run_subcommand(['works']))
        self.assertEqual(2, len(self.calls))
        self.assertRegex(
            self.said(),
            r'\ANot traced: \[tracing\] exporters = .*nobody.*\n\Z',
        )

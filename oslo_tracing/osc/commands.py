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

"""One trace for each command of ``openstack``.

Why here: every command, that of a command line as each of an interactive
session, passes ``run_subcommand`` of osc-lib's shell, and it logs in within
it. What made a command fail is told to ``clean_up`` only: the shell turns
exceptions into an exit code.

The span is the root of its trace and INTERNAL, as the OpenTelemetry
conventions for command line programs have it for the program that runs;
its requests are CLIENT spans below.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import os
import sys
from typing import Any
import uuid

from opentelemetry import context as otel_context
from opentelemetry import trace

import oslo_tracing
from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import exceptions
from oslo_tracing.osc import configuration
from oslo_tracing.propagation import osprofiler
from oslo_tracing import recording

_PROGRAM = 'openstack'
_SERVICE = 'openstackclient'
_PROFILER = 'osprofiler.profiler'


def trace_all() -> contextlib.ExitStack:
    """Trace every command that the shell runs from now on.

    A shell that cannot be traced is used untraced, and says so.

    :returns: closing it takes everything off.
    """
    undo = contextlib.ExitStack()
    commands = _Commands()
    try:
        shell = sys.modules['osc_lib.shell'].OpenStackShell
        for name, around in (
            ('run_subcommand', commands.around_run),
            ('clean_up', commands.around_clean_up),
        ):
            _wrap.wrap(
                shell,
                name,
                around,
                undo,
                distribution='osc-lib',
                untraced='commands are',
            )
    except Exception:
        undo.close()
        _tell(sys.stderr, 'Not traced: this osc-lib is not known.')
    return undo


class _Commands:
    """Makes what stands in for the two functions of the shell."""

    def __init__(self) -> None:
        self._tracing: Any = None
        self._tried = False
        self._error: BaseException | None = None

    def around_run(self, original: Callable[..., int]) -> Callable[..., int]:
        """Wrap ``OpenStackShell.run_subcommand``."""

        def run_subcommand(shell: Any, argv: list[str]) -> int:
            command = None
            try:
                command = self._open(shell, argv)
            except Exception:
                _guard.report('starting the trace of a command')
            if command is None:
                return original(shell, argv)
            try:
                result = original(shell, argv)
            except BaseException as error:
                command.end(_code(error), error)
                raise
            command.end(result, self._error)
            return result

        return run_subcommand

    def around_clean_up(
        self, original: Callable[..., None]
    ) -> Callable[..., None]:
        """Wrap ``OpenStackShell.clean_up``."""

        def clean_up(shell: Any, cmd: Any, result: Any, err: Any) -> None:
            self._error = err
            original(shell, cmd, result, err)

        return clean_up

    def _open(self, shell: Any, argv: list[str]) -> _Command | None:
        self._error = None
        if oslo_tracing.current_trace_id() is not None:
            # One command runs another.
            return None
        if not self._tried:
            self._tried = True
            self._set_up(shell)
        if self._tracing is None:
            return None
        return _Command(shell, argv, self._tracing.settings)

    def _set_up(self, shell: Any) -> None:
        why = 'enabled = False, or OTEL_SDK_DISABLED, turns tracing off'
        try:
            self._tracing = oslo_tracing.setup(
                configuration.load(os.environ, _profile(shell)), _SERVICE
            )
        except exceptions.TracingError as error:
            why = str(error)
        if self._tracing is None:
            _tell(shell.stderr, f'Not traced: {why}.')


class _Command:
    """A command that runs.

    :param shell: of OpenStackClient.
    :param argv: the command and its arguments.
    :param settings: the options' values.
    """

    def __init__(self, shell: Any, argv: list[str], settings: Any) -> None:
        self._shell = shell
        self._settings = settings
        self._opened = oslo_tracing.span(
            _name(shell, argv),
            {names.PROCESS_EXECUTABLE_NAME: _PROGRAM},
            root=True,
        )
        self._span = self._opened.__enter__()
        self._trace_id = oslo_tracing.current_trace_id()
        self._asked: Any = None
        with _guard.never_break_the_service('asking the cloud for a trace'):
            self._ask()

    def end(self, code: int | None, error: BaseException | None) -> None:
        """End the span and print the id of the trace.

        :param code: what the command exits with, where that is known.
        :param error: what ended the command, or made it fail.
        """
        try:
            self._note(code, error)
        except Exception:
            _guard.report('recording how a command ended')
        try:
            context.detach(self._asked)
            self._opened.__exit__(None, None, None)
        except Exception:
            _guard.report('ending the trace of a command')
        if self._trace_id is not None:
            _tell(self._shell.stderr, f'Trace ID: {self._trace_id}')

    def _note(self, code: int | None, error: BaseException | None) -> None:
        span = self._span
        if code is not None:
            span.set_attribute(names.PROCESS_EXIT_CODE, code)
        if code == 0:
            return
        if error is not None and not isinstance(error, SystemExit):
            recording.record_error(span, error, self._settings)
            return
        span.set_attribute(names.ERROR_TYPE, str(code))
        span.set_status(trace.StatusCode.ERROR)

    def _ask(self) -> None:
        """Make who has the same key record it, whatever its ratio is.

        With ``--os-profile`` OSProfiler makes pairs of its own: they shall
        be of the same trace. The shell sets it up next, and does nothing
        where that is done.
        """
        if self._trace_id is None:
            return
        if self._settings.hmac_keys:
            pair = osprofiler.Pair(int(self._trace_id, 16), None, 0)
            self._asked = otel_context.attach(
                osprofiler.asked_for(otel_context.get_current(), pair)
            )
        profiler = sys.modules.get(_PROFILER)
        key = _profile(self._shell)
        if key and profiler is not None:
            profiler.clean()
            profiler.init(key, base_id=str(uuid.UUID(self._trace_id)))


def _profile(shell: Any) -> str | None:
    """Return what ``--os-profile``, or its variable, was given."""
    return getattr(shell.options, 'profile', None)


def _name(shell: Any, argv: list[str]) -> str:
    """Return the name of a command, without its arguments."""
    try:
        _factory, name, _arguments = shell.command_manager.find_command(argv)
    except Exception:
        # The shell is about to say so.
        return _PROGRAM
    return f'{_PROGRAM} {name}'


def _code(error: BaseException) -> int | None:
    """Return what an exception makes a program exit with."""
    if not isinstance(error, SystemExit):
        return None
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else 1


def _tell(stream: Any, text: str) -> None:
    """Print a line, never on standard output: that may be JSON."""
    try:
        stream.write(text + '\n')
        stream.flush()
    except Exception:  # noqa: S110 - nobody reads it
        pass

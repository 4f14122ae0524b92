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

"""A span for each external command, whoever runs it for the service.

It says which program and how it ended, never the arguments: those hold
passwords and the names of what belongs to users.
"""

from __future__ import annotations

from collections.abc import Callable
import types
from typing import Any

from opentelemetry import trace

from oslo_tracing import _guard
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import recording
from oslo_tracing.scrub import names as span_names
from oslo_tracing import settings as settings_module


class Commands:
    """Makes what stands in for the functions that run commands.

    :param tracer: of the integration.
    :param settings: what an error may say.
    """

    def __init__(
        self, tracer: trace.Tracer, settings: settings_module.Settings
    ) -> None:
        self._tracer = tracer
        self._settings = settings
        self._names = span_names.NameBudget()
        self._on = True

    def stop(self) -> None:
        """Do nothing from now on, should somebody still hold our function."""
        self._on = False

    def around_execute(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``processutils.execute``."""

        def execute(*cmd: Any, **kwargs: Any) -> Any:
            running = self._start(
                cmd, kwargs.get('shell'), kwargs.get('on_completion')
            )
            if running is None:
                return original(*cmd, **kwargs)
            with running:
                return original(
                    *cmd, **{**kwargs, 'on_completion': running.completed}
                )

        return execute

    def around_client(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``Client.execute`` of oslo.rootwrap.

        It returns every exit code: which of them are errors only its caller
        knows.
        """

        def execute(client: Any, cmd: Any, *args: Any, **kwargs: Any) -> Any:
            running = self._start(cmd)
            if running is None:
                return original(client, cmd, *args, **kwargs)
            with running:
                result = original(client, cmd, *args, **kwargs)
                running.returned(result)
                return result

        return execute

    def _start(
        self,
        cmd: Any,
        shell: object = False,
        callback: Callable[..., Any] | None = None,
    ) -> _Running | None:
        try:
            if (
                not self._on
                or not context.has_parent()
                or context.is_suppressed()
            ):
                return None
            program = span_names.program(cmd, bool(shell), self._names)
            span = self._tracer.start_span(
                f'exec {program}',
                kind=trace.SpanKind.INTERNAL,
                attributes={names.PROCESS_EXECUTABLE_NAME: program},
            )
            return _Running(span, callback, self._settings)
        except Exception:
            _guard.report('starting the span of a command')
            return None


class _Running:
    """The span of a command, from its start to its end.

    The exit code is not in what processutils returns, where several are
    allowed; but it calls back with the process when that has ended, each
    time where a command is tried again.
    """

    __slots__ = ('_callback', '_settings', '_span', '_token')

    def __init__(
        self,
        span: trace.Span,
        callback: Callable[..., Any] | None,
        settings: settings_module.Settings,
    ) -> None:
        self._span = span
        self._callback = callback
        self._settings = settings
        self._token = context.attach(span)

    def completed(self, process: Any) -> Any:
        """Note how a process ended, and tell whoever wanted to know."""
        try:
            self._ended_with(process.returncode)
        except Exception:
            _guard.report('reading the exit code of a command')
        if self._callback:
            return self._callback(process)
        return None

    def returned(self, result: Any) -> None:
        """Note how a process ended of which a daemon has told.

        :param result: the exit code, the output and the errors.
        """
        try:
            self._ended_with(result[0])
        except Exception:
            _guard.report('reading what a daemon says of a command')

    def _ended_with(self, code: object) -> None:
        if isinstance(code, int):
            self._span.set_attribute(names.PROCESS_EXIT_CODE, code)

    def __enter__(self) -> None:
        """Do nothing: it runs already."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: types.TracebackType | None,
    ) -> None:
        """End the span, with what was raised, if anything."""
        try:
            context.detach(self._token)
            if error is not None:
                recording.record_error(self._span, error, self._settings)
            self._span.end()
        except Exception:
            _guard.report('ending the span of a command')

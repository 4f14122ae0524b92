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

"""A span for each external command that a privsep daemon runs.

Why here: ``send_recv`` is what each call to a daemon passes in the caller,
whoever has started it, and ``exchange_ping`` what each new daemon does first,
before it has anything else to do. The daemon tells which commands it has run
(``_privsep``); it is the caller that records them, since the daemon has no
business with collectors.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import logging
import types
from typing import Any

from opentelemetry import trace

from oslo_tracing import _guard
from oslo_tracing import _privsep
from oslo_tracing import _wrap
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import integrations
from oslo_tracing import recording

LOG = logging.getLogger(__name__)

_DISTRIBUTION = 'oslo.privsep'
#: Seconds that a new daemon has to load us, and to say that it has: its first
#: call waits for that. It is as busy as it is at any start.
_PATIENCE = 10.0
_UNDERSTANDS = '_oslo_tracing_version'


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Attach to oslo.privsep, now or when it is imported.

    :param toolbox: settings and tracer.
    :param undo: closing it takes everything off.
    """
    callers = _Callers(toolbox)
    undo.callback(callers.stop)
    wrap = functools.partial(_attach, undo)
    for module, owner, name, make in (
        ('daemon', 'Daemon', 'run', _around_run),
        ('daemon', '_ClientChannel', 'exchange_ping', callers.around_ping),
        ('comm', 'ClientChannel', 'send_recv', callers.around_send_recv),
    ):
        if make is _around_run or toolbox.settings.trace_commands:
            _wrap.on_import(
                f'oslo_privsep.{module}',
                functools.partial(wrap, owner, name, make),
                undo,
            )


def _attach(
    undo: contextlib.ExitStack,
    owner: str,
    name: str,
    make: Callable[[Callable[..., Any]], Callable[..., Any]],
    module: types.ModuleType,
) -> None:
    _wrap.wrap(
        getattr(module, owner, module),
        name,
        make,
        undo,
        distribution=_DISTRIBUTION,
        untraced='commands over privsep are',
    )


def _around_run(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Daemon.run``, which a forked daemon never leaves.

    It is forked from within the request that needs it first, and would go on
    in its trace for ever.
    """

    def run(daemon: Any) -> Any:
        context.enter(context.silent(), None)
        return original(daemon)

    return run


class _Callers:
    """Stands in for what a caller does.

    :param toolbox: for the tracer.
    """

    def __init__(self, toolbox: integrations.Toolbox) -> None:
        self._tracer = toolbox.tracer('oslo_privsep')
        self._on = True

    def stop(self) -> None:
        """Do nothing from now on, should somebody still hold our function."""
        self._on = False

    def around_ping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``_ClientChannel.exchange_ping``."""

        def exchange_ping(channel: Any) -> Any:
            result = original(channel)
            if self._on:
                try:
                    self._ask(channel)
                except Exception:
                    _guard.report('asking a privsep daemon whether it has us')
            return result

        return exchange_ping

    def _ask(self, channel: Any) -> None:
        """Have the daemon load us, and ask which version it has loaded."""
        channel.send_recv(
            (_privsep.CALL, _privsep.BEGIN, (), {}), timeout=_PATIENCE
        )
        answer = channel.send_recv(
            (_privsep.PING, {_privsep.KEY: _privsep.VERSION}),
            timeout=_PATIENCE,
        )
        ours = _privsep.part_of(answer)
        if ours is None:
            LOG.info(
                'A privsep daemon has no oslo.tracing: its commands are not '
                'traced.'
            )
        else:
            setattr(channel, _UNDERSTANDS, ours[_privsep.KEY])

    def around_send_recv(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``ClientChannel.send_recv``."""

        def send_recv(
            channel: Any, msg: Any, *args: Any, **kwargs: Any
        ) -> Any:
            ours = self._of_trace(channel, msg)
            if ours is None:
                return original(channel, msg, *args, **kwargs)
            answer = original(channel, (*msg, ours), *args, **kwargs)
            told = _privsep.part_of(answer)
            if told is None:
                # As of a call that took too long.
                return answer
            self._record(told)
            return answer[:-1]

        return send_recv

    def _of_trace(self, channel: Any, msg: Any) -> dict[str, Any] | None:
        try:
            if (
                not self._on
                or getattr(channel, _UNDERSTANDS, None) is None
                or msg[0] != _privsep.CALL
                or context.is_suppressed()
            ):
                return None
            current = trace.get_current_span().get_span_context()
            if not current.is_valid:
                return None
            return {
                _privsep.KEY: _privsep.VERSION,
                'trace_id': trace.format_trace_id(current.trace_id),
                'span_id': trace.format_span_id(current.span_id),
            }
        except Exception:
            _guard.report('telling a privsep daemon of a trace')
            return None

    def _record(self, told: dict[str, Any]) -> None:
        try:
            for command in told['commands'][: _privsep.MAX_COMMANDS]:
                program, start, end, code, kind = command[:5]
                told_of = {names.PROCESS_EXECUTABLE_NAME: str(program)}
                if code is not None:
                    told_of[names.PROCESS_EXIT_CODE] = code
                span = self._tracer.start_span(
                    f'exec {program}',
                    kind=trace.SpanKind.INTERNAL,
                    attributes=told_of,
                    start_time=start,
                )
                if kind is not None:
                    recording.record_class(span, str(kind))
                span.end(end)
        except Exception:
            _guard.report('recording the commands of a privsep daemon')

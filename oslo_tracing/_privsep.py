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

"""What goes over the channel of a privsep daemon, and the daemon's side.

The daemon runs as another user, often root, and has neither our options nor
a key nor anything that sends. So it makes no spans: it notes which programs a
call has run and for how long, and says so in its answer. The caller makes
spans of that. What is added to a message is added only where the other side
has said that it understands it:

* to a ping, which may have any arguments, and to its answer: the version;
* to a call: a fourth argument, whose trace the log of the daemon tells;
* to the answer of such a call: one more element at the end.

This module loads nothing that a daemon has not loaded, OpenTelemetry least of
all.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import contextvars
import functools
import sys
import time
from typing import Any
from typing import Final

from oslo_tracing import _guard
from oslo_tracing.scrub import errors
from oslo_tracing.scrub import names

#: Marks what is ours in a message; its value is the version.
KEY: Final = 'oslo_tracing'
VERSION: Final = 1
#: A daemon that is asked to call this imports the module, which attaches us,
#: and refuses the call. The one way to a daemon that sudo has started, and as
#: good as any: to import what its caller names is what it always does.
BEGIN: Final = 'oslo_tracing.launch.privsep_daemon.attached'
#: How many commands one answer tells of.
MAX_COMMANDS: Final = 128

#: The types of messages, `oslo_privsep.comm.Message`.
PING: Final = 1
CALL: Final = 3


def part_of(message: Any) -> dict[str, Any] | None:
    """Return what we have added to a message, None where that is nothing."""
    last = message[-1] if message else None
    return last if isinstance(last, dict) and KEY in last else None


class _Call:
    """One call that the daemon handles.

    :ivar trace: of the caller, as ``trace_id`` and ``span_id``.
    :ivar commands: program, start and end in ns, exit code, and the class of
        what was raised.
    """

    __slots__ = ('commands', 'trace')

    def __init__(self, trace: dict[str, Any]) -> None:
        self.trace = {
            name: str(trace[name])
            for name in ('trace_id', 'span_id')
            if name in trace
        }
        self.commands: list[tuple[Any, ...]] = []


class DaemonSide:
    """Stands in for three functions of a daemon."""

    def __init__(self) -> None:
        self._call: contextvars.ContextVar[_Call | None] = (
            contextvars.ContextVar('oslo_tracing.privsep_call', default=None)
        )
        self._names = names.NameBudget()

    def around_process_cmd(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``Daemon._process_cmd``."""

        @functools.wraps(original)
        def process_cmd(daemon: Any, msgid: Any, cmd: Any, *args: Any) -> Any:
            ours = part_of(args)
            if ours is None or cmd == PING:
                # What this thread did last was for another caller.
                self._call.set(None)
            if ours is None:
                return original(daemon, msgid, cmd, *args)
            if cmd == PING:
                return (
                    *original(daemon, msgid, cmd, *args),
                    {KEY: VERSION},
                )
            call = _Call(ours)
            # For good, on this thread: the answer is logged after the call.
            self._call.set(call)
            answer = original(daemon, msgid, cmd, *args[:-1])
            return (*answer, {KEY: VERSION, 'commands': call.commands})

        return process_cmd

    def around_emit(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``PrivsepLogHandler.emit``, which sends a line to the caller.

        There it is logged by a thread that knows of no call.
        """

        @functools.wraps(original)
        def emit(handler: Any, record: Any) -> Any:
            call = self._call.get()
            if call is not None:
                # Not reported: that would be another line to send.
                with contextlib.suppress(Exception):
                    values = record.__dict__
                    for name, value in call.trace.items():
                        values[name] = values.get(name) or value
                    # What oslo.log's JSON and fluentd formatters copy.
                    values['extra_keys'] = [
                        *(values.get('extra_keys') or ()),
                        *call.trace,
                    ]
            return original(handler, record)

        return emit

    def around_execute(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``processutils.execute``."""

        @functools.wraps(original)
        def execute(*cmd: Any, **kwargs: Any) -> Any:
            call = self._call.get()
            if call is None or len(call.commands) >= MAX_COMMANDS:
                return original(*cmd, **kwargs)
            code: list[Any] = [None]
            callback = kwargs.get('on_completion')

            def completed(process: Any) -> Any:
                code[0] = getattr(process, 'returncode', None)
                return callback(process) if callback else None

            start = time.time_ns()
            try:
                result = original(
                    *cmd, **{**kwargs, 'on_completion': completed}
                )
            except BaseException as error:
                self._note(call, cmd, kwargs, start, code[0], error)
                raise
            self._note(call, cmd, kwargs, start, code[0], None)
            return result

        return execute

    def _note(
        self,
        call: _Call,
        cmd: Any,
        kwargs: dict[str, Any],
        start: int,
        code: Any,
        error: BaseException | None,
    ) -> None:
        end = time.time_ns()
        try:
            program = names.program(
                cmd, bool(kwargs.get('shell')), self._names
            )
            kind = None if error is None else errors.class_name(error)
            if not isinstance(code, int):
                code = None
            call.commands.append((program, start, end, code, kind))
        except Exception:
            _guard.report('noting a command of a privsep daemon')

    def attach(self) -> None:
        """Stand in from now on, in a process that is a daemon for good."""
        for name in ('oslo_privsep.daemon', '__main__'):
            module: Any = sys.modules.get(name)
            daemon = getattr(module, 'Daemon', None)
            handler = getattr(module, 'PrivsepLogHandler', None)
            if daemon is None or handler is None:
                continue
            daemon._process_cmd = self.around_process_cmd(daemon._process_cmd)
            handler.emit = self.around_emit(handler.emit)

    def attach_to_commands(self, module: Any) -> None:
        """Do the same to ``oslo_concurrency.processutils``."""
        module.execute = self.around_execute(module.execute)

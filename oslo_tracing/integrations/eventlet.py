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

"""Green threads run in the trace of who spawned them.

Why here: every way to spawn one, whatever name a service has imported it by,
makes a ``GreenThread`` or ends in ``_spawn_n``. Patched threads do too:
whether those get the trace is for the integration of threads to say.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import types
from typing import Any

from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import context
from oslo_tracing import integrations

#: Whose functions are no work of who spawns them: the bodies of patched
#: threads, the loop that answers all calls of the thread pool, and what
#: writes our lines.
_NOT_CARRIED = frozenset(
    (
        'eventlet.green.thread',
        'eventlet.tpool',
        'oslo_tracing.exporters._lines',
    )
)
_CARRIED = '_oslo_tracing_carried'


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Carry the trace into green threads until ``undo`` closes."""

    def greenthread(module: types.ModuleType) -> None:
        for owner, name, make in (
            (module.GreenThread, '__init__', _making),
            (module.GreenThread, 'main', _main),
            (module, '_spawn_n', _spawning),
        ):
            _wrap.wrap(
                owner,
                name,
                make,
                undo,
                distribution='eventlet',
                untraced='green threads are',
            )

    def tpool(module: types.ModuleType) -> None:
        _wrap.wrap(
            module,
            'execute',
            _executing,
            undo,
            distribution='eventlet',
            untraced='calls in the thread pool of eventlet are',
        )

    _wrap.on_import('eventlet.greenthread', greenthread, undo)
    _wrap.on_import('eventlet.tpool', tpool, undo)


def _making(original: Callable[..., Any]) -> Callable[..., Any]:
    def __init__(thread: Any, /, *args: Any, **kwargs: Any) -> None:
        try:
            thread.__dict__[_CARRIED] = context.to_carry()
        except Exception:
            _guard.report('carrying the trace into a green thread')
        original(thread, *args, **kwargs)

    return __init__


def _main(original: Callable[..., Any]) -> Callable[..., Any]:
    def main(thread: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        carried = thread.__dict__.pop(_CARRIED, None)
        if carried is None or not _is_work(function):
            return original(thread, function, *args, **kwargs)
        token = context.enter(*carried)
        try:
            return original(thread, function, *args, **kwargs)
        finally:
            context.leave(token)

    return main


def _spawning(original: Callable[..., Any]) -> Callable[..., Any]:
    def _spawn_n(seconds: Any, func: Any, /, *args: Any) -> Any:
        try:
            if _is_work(func):
                func = context.Carried(func)
        except Exception:
            _guard.report('carrying the trace into a green thread')
        return original(seconds, func, *args)

    return _spawn_n


def _executing(original: Callable[..., Any]) -> Callable[..., Any]:
    def execute(meth: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            meth = context.Carried(meth)
        except Exception:
            _guard.report("carrying the trace into eventlet's thread pool")
        return original(meth, *args, **kwargs)

    return execute


def _is_work(function: Any) -> bool:
    return getattr(function, '__module__', None) not in _NOT_CARRIED

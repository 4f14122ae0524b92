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

"""Looping calls and periodic tasks as traces, and groups of threads.

Why here: ``_run_loop`` is the loop of every looping call on either backend,
timers of a thread group included, and ``run_periodic_tasks`` that of every
manager of a service. A green thread of a group is eventlet's; a real one is
in the table of threads that are never lent a trace, so it gets it here.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import sys
import types
from typing import Any

from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import context
from oslo_tracing import exceptions
from oslo_tracing import integrations
from oslo_tracing.integrations import _periodic

_DISTRIBUTION = 'oslo.service'
_STANDS = '_oslo_tracing_stands_for'
_LOOPS = 'looping calls are'
#: Where releases have the loop: common to both backends, or in each.
_LOOP_MODULES = (
    'oslo_service.backend._common.loopingcall',
    'oslo_service.backend._eventlet.loopingcall',
    'oslo_service.backend._threading.loopingcall',
    # 4.1, that of OpenStack 2025.1
    'oslo_service.backend.eventlet.loopingcall',
)


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Trace what oslo.service runs until ``undo`` closes."""

    def group(module: types.ModuleType) -> None:
        _wrap.wrap(
            module.ThreadGroup,
            'add_thread',
            _carrying,
            undo,
            distribution=_DISTRIBUTION,
            untraced='threads of groups are',
        )

    _wrap.on_import('oslo_service.backend._threading.threadgroup', group, undo)
    if toolbox.settings.trace_periodic:
        periodic = _Periodic(_periodic.Roots(toolbox, 'oslo_service'), undo)
        for name in _LOOP_MODULES:
            _wrap.on_import(name, periodic.attach_to_loops, undo)
        _wrap.on_import(
            'oslo_service.periodic_task', periodic.attach_to_tasks, undo
        )


def _carrying(original: Callable[..., Any]) -> Callable[..., Any]:
    def add_thread(group: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            if args:
                args = (context.Carried(args[0]), *args[1:])
            elif 'callback' in kwargs:
                kwargs['callback'] = context.Carried(kwargs['callback'])
        except Exception:
            _guard.report('carrying the trace into a thread of a group')
        return original(group, *args, **kwargs)

    return add_thread


class _Periodic:
    """Attaches to what runs by the clock.

    :param roots: records the runs.
    :param undo: takes the way back.
    """

    def __init__(
        self, roots: _periodic.Roots, undo: contextlib.ExitStack
    ) -> None:
        self._roots = roots
        self._undo = undo

    def attach_to_loops(self, module: types.ModuleType) -> None:
        loop = module.LoopingCallBase
        if '_run_loop' in vars(loop):
            self._wrap(loop, '_run_loop', self._loop, _LOOPS)
        elif not hasattr(loop, '_run_loop') and '._common.' not in (
            module.__name__
        ):
            raise exceptions.SeamMissing(
                _DISTRIBUTION, _wrap.version_of(_DISTRIBUTION), _LOOPS
            )

    def attach_to_tasks(self, module: types.ModuleType) -> None:
        self._wrap(
            module.PeriodicTasks,
            'run_periodic_tasks',
            self._tasks,
            'periodic tasks are',
        )

    def _wrap(
        self,
        owner: Any,
        name: str,
        make: Callable[[Callable[..., Any]], Callable[..., Any]],
        untraced: str,
    ) -> None:
        _wrap.wrap(
            owner,
            name,
            make,
            self._undo,
            distribution=_DISTRIBUTION,
            untraced=untraced,
        )

    def _loop(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _run_loop(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            function = ours = None
            try:
                # The loop reads the function once, and only from there.
                function = call.f
                if not hasattr(function, _STANDS):
                    ours = call.f = self._each_run(function)
            except Exception:
                _guard.report('attaching to a looping call')
            try:
                return original(call, *args, **kwargs)
            finally:
                if ours is not None and call.f is ours:
                    call.f = function

        return _run_loop

    def _each_run(self, function: Any) -> Callable[..., Any]:
        # Anything callable will do for oslo.service, and a plain function
        # can have whatever name its log lines are to say.
        logged = _name(function)
        # All partials have one name in the log.
        called = _name(_periodic.without_partials(function))

        def run(*args: Any, **kwargs: Any) -> Any:
            return self._roots.run(function, called, function, args, kwargs)

        run.__module__, _dot, run.__qualname__ = logged.rpartition('.')
        setattr(run, _STANDS, True)
        return run

    def _tasks(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def run_periodic_tasks(
            tasks: Any, /, *args: Any, **kwargs: Any
        ) -> Any:
            seen = tasks
            try:
                seen = _as_seen(
                    tasks,
                    [
                        (name, self._task(task, tasks))
                        for name, task in tasks._periodic_tasks
                    ],
                )
            except Exception:
                _guard.report('attaching to periodic tasks')
            return original(seen, *args, **kwargs)

        return run_periodic_tasks

    def _task(
        self, task: Callable[..., Any], manager: Any
    ) -> Callable[..., Any]:
        @functools.wraps(task)
        def run(_seen: Any, /, *args: Any, **kwargs: Any) -> Any:
            return self._roots.run(task, None, task, (manager, *args), kwargs)

        return run


class _Seen:
    """A manager as the loop over its tasks sees it: with others for them.

    The manager itself is left alone: a task may copy or pickle it.
    """

    def __init__(self, manager: Any, tasks: list[Any]) -> None:
        vars(self).update(_manager=manager, _periodic_tasks=tasks)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)['_manager'], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(vars(self)['_manager'], name, value)


def _as_seen(manager: Any, tasks: list[Any]) -> Any:
    """Return what the loop is to see; its log lines name the class."""
    real = type(manager)
    ours = type(real.__name__, (_Seen,), {'__module__': real.__module__})
    return ours(manager, tasks)


def _name(function: Any) -> str:
    """Return the name that oslo.service gives a function in its log."""
    reflection: Any = sys.modules.get('oslo_utils.reflection')
    if reflection is None:
        return _periodic.function_name(function)
    return str(reflection.get_callable_name(function))

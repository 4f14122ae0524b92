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

"""Work that is submitted to a pool runs in the trace of who submitted it.

Why here: ``submit`` is what every use of a pool passes, ``map``,
``run_in_executor`` and taskflow's engines too. futurist's pools do not
inherit the standard library's, so both are attached to.
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
from oslo_tracing.integrations import _periodic

_UNTRACED = 'calls that are submitted to pools are'

#: In place of a function that is no argument by position.
_BY_NAME = object()


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Carry the trace into pools until ``undo`` closes."""

    def standard(module: types.ModuleType) -> None:
        _wrap.wrap(
            module.ThreadPoolExecutor,
            'submit',
            _carrying,
            undo,
            distribution='Python',
            untraced=_UNTRACED,
        )

    def futurist(module: types.ModuleType) -> None:
        for name in ('ThreadPoolExecutor', 'GreenThreadPoolExecutor'):
            pool = getattr(module, name, None)
            # A release without eventlet has no green pool.
            if pool is not None:
                _wrap.wrap(
                    pool,
                    'submit',
                    _carrying,
                    undo,
                    distribution='futurist',
                    untraced=_UNTRACED,
                )

    def periodics(module: types.ModuleType) -> None:
        _wrap.wrap(
            module.Work,
            '__call__',
            _works(_periodic.Roots(toolbox, 'executors')),
            undo,
            distribution='futurist',
            untraced='periodic tasks are',
        )

    _wrap.on_import('concurrent.futures.thread', standard, undo)
    _wrap.on_import('futurist._futures', futurist, undo)
    if toolbox.settings.trace_periodic:
        _wrap.on_import('futurist.periodics', periodics, undo)


def _carried(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of who gives the function by its name."""
    try:
        if 'fn' in kwargs:
            return {**kwargs, 'fn': context.Carried(kwargs['fn'])}
    except Exception:
        _guard.report('carrying the trace into a pool')
    return kwargs


def _carrying(original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(
        pool: Any, function: Any = _BY_NAME, /, *args: Any, **kwargs: Any
    ) -> Any:
        if function is _BY_NAME:
            return original(pool, **_carried(kwargs))
        try:
            function = context.Carried(function)
        except Exception:
            _guard.report('carrying the trace into a pool')
        return original(pool, function, *args, **kwargs)

    return submit


def _works(
    roots: _periodic.Roots,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(work: Any, /) -> Any:
            # ``name`` is what futurist's own log lines say.
            name = getattr(work, 'name', None)
            return roots.run(work.callback, name, original, (work,), {})

        return __call__

    return make

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

"""The decorator of OSProfiler, for functions that are decorated from now on.

osprofiler's own makes texts of all arguments before it asks whether anybody
wants them. Functions that it has decorated before go on doing so.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Coroutine
import functools
import inspect
import types
from typing import Any

from oslo_tracing import _guard
from oslo_tracing.integrations import _osprofiler_profilers as profilers_module
from oslo_tracing.scrub import errors


class Decorator:
    """Makes what stands in for ``profiler.trace``.

    ``trace_cls`` and ``TracedMeta`` use it too.

    :param profilers: the current profiler.
    """

    def __init__(self, profilers: profilers_module.Profilers) -> None:
        self._profilers = profilers
        self._points = profilers.points

    def around(
        self, module: types.ModuleType, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``profiler.trace``.

        :param module: ``osprofiler.profiler``.
        """

        def trace(name: Any, info: Any = None, *args: Any, **kw: Any) -> Any:
            decorate = original(name, info, *args, **kw)
            known = dict(info) if isinstance(info, dict) else {}

            def decorator(function: Any) -> Any:
                theirs = decorate(function)
                try:
                    return self._decorated(
                        module, function, theirs, name, known
                    )
                except Exception:
                    _guard.report('decorating a trace point')
                    return theirs

            return decorator

        return trace

    def _decorated(
        self,
        module: Any,
        function: Callable[..., Any],
        theirs: Callable[..., Any],
        name: Any,
        known: dict[str, Any],
    ) -> Callable[..., Any]:
        points, profilers = self._points, self._profilers
        is_coroutine = inspect.iscoroutinefunction(function)
        named = module.reflection.get_callable_name(function)
        info = {**known, 'function': {'name': named}}

        @functools.wraps(theirs)
        def point(*args: Any, **kwargs: Any) -> Any:
            if not points.is_on:
                return theirs(*args, **kwargs)
            if not points.wanted() and profilers.kept() is None:
                return function(*args, **kwargs)
            if is_coroutine:
                return _awaited(module, name, info, function(*args, **kwargs))
            if points.records_arguments:
                return theirs(*args, **kwargs)
            stop_info = None
            module.start(name, info=info)
            try:
                return function(*args, **kwargs)
            except Exception as error:
                stop_info = {'etype': errors.class_name(error)}
                raise
            finally:
                module.stop(info=stop_info)

        return point


async def _awaited(
    module: Any,
    name: Any,
    info: dict[str, Any],
    given: Coroutine[Any, Any, Any],
) -> Any:
    """Await what a coroutine function returned, within its point.

    osprofiler's own point is over when the coroutine has not begun.
    """
    stop_info = None
    module.start(name, info=info)
    try:
        return await given
    except Exception as error:
        stop_info = {'etype': errors.class_name(error)}
        raise
    finally:
        module.stop(info=stop_info)

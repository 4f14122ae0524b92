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

"""A trace for each run of what a service does by the clock.

Not an integration: what those have in common that attach to periodic work.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import functools
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import integrations
from oslo_tracing import recording

#: What functions raise to say that they need not be called again.
_ENDINGS = frozenset(('LoopingCallDone', 'NeverAgain'))
_MAX_NAME = 128
_EMPTY = otel_context.Context()
#: The span of a run, in the context that it runs under.
_RUN = _current.PERIODIC_RUN


class Roots:
    """Records runs, each as a trace of its own unless a request is active.

    :param toolbox: of the integration.
    :param integration: its name.
    """

    def __init__(
        self, toolbox: integrations.Toolbox, integration: str
    ) -> None:
        self._settings = toolbox.settings
        self._tracer = toolbox.tracer(integration)

    def run(
        self,
        function: Any,
        called: str | None,
        run: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """Call ``run(*args, **kwargs)``, and record it.

        :param function: what the service wants to be called.
        :param called: its full name where it is known.
        :returns: what the call does; what it raises passes.
        """
        opened = None
        try:
            opened = self._open(function, called)
        except Exception:
            _guard.report('starting the span of periodic work')
        if opened is None:
            return run(*args, **kwargs)
        span, current, token = opened
        try:
            return run(*args, **kwargs)
        except BaseException as error:
            if type(error).__name__ not in _ENDINGS and (
                recording.is_failure(error)
            ):
                recording.record_error(span, error, self._settings)
            raise
        finally:
            try:
                context.leave(token)
            finally:
                context.ended(current)
                span.end()

    def _open(
        self, function: Any, called: str | None
    ) -> tuple[trace.Span, otel_context.Context, Any] | None:
        if context.is_suppressed():
            return None
        if context.has_parent():
            # A looping call may run periodic tasks: each is its own trace.
            if otel_context.get_value(_RUN) is not trace.get_current_span():
                return None
        name = function_name(function) if called is None else called
        method = name.rpartition('.')[2][:_MAX_NAME]
        span = self._tracer.start_span(
            f'periodic {method}',
            context.periodic(),
            trace.SpanKind.INTERNAL,
            {names.CODE_FUNCTION_NAME: name},
        )
        current = context.root(
            otel_context.set_value(
                _RUN, span, trace.set_span_in_context(span, _EMPTY)
            )
        )
        return span, current, context.enter(current)


def function_name(function: Any) -> str:
    """Return the full name of what is called, as ``module.Class.method``."""
    function = without_partials(function)
    if not hasattr(function, '__qualname__'):
        function = type(function)
    module = getattr(function, '__module__', None)
    name = str(function.__qualname__)
    return f'{module}.{name}' if module else name


def without_partials(function: Any) -> Any:
    """Return what is called in the end, where arguments were put to it."""
    while isinstance(function, functools.partial):
        function = function.func
    return function

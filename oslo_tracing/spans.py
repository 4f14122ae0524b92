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

"""Spans of a service's own: what ``oslo_tracing.span`` and ``traced`` are.

Nothing of OpenTelemetry is imported here: a service may decorate its
functions and still load nothing while tracing is off.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import functools
import inspect
from typing import Any
from typing import overload
from typing import TYPE_CHECKING
from typing import TypeVar

from oslo_tracing import _runtime

if TYPE_CHECKING:
    from opentelemetry import trace

_Function = TypeVar('_Function', bound=Callable[..., Any])

_RUNTIME = _runtime.RUNTIME


class NotRecording:
    """Stands in for a span where there is none: does nothing, costs nothing.

    Has the methods of ``opentelemetry.trace.Span`` that a service calls.
    """

    __slots__ = ()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None

    def is_recording(self) -> bool:
        """Say that nothing is recorded."""
        return False

    def get_span_context(self) -> trace.SpanContext:
        """Return the invalid span context."""
        from opentelemetry import trace

        return trace.INVALID_SPAN_CONTEXT

    def _nothing(self, *args: Any, **kwargs: Any) -> None:
        return None

    add_event = add_link = end = record_exception = _nothing
    set_attribute = set_attributes = set_status = update_name = _nothing


_NOT_RECORDING = NotRecording()


def span(
    name: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    kind: trace.SpanKind | None = None,
    root: bool = False,
) -> Any:
    """Record a piece of work as a span of the current trace.

    ::

        with oslo_tracing.span('allocate', {'host': host}) as span:
            ...
            span.set_attribute('tries', tries)

    An exception marks the span and goes on its way.

    :param name: what is done, from a small set of names: it is what spans
        are grouped by.
    :param attributes: what else is known when it starts.
    :param kind: an ``opentelemetry.trace.SpanKind``, INTERNAL by default.
    :param root: start a trace where none is active, and a new one where one
        is. Without it nothing is recorded outside of a trace.
    :returns: a context manager that gives the span, which may record
        nothing; it has the methods of ``opentelemetry.trace.Span``.
    """
    recorder = _RUNTIME.recorder
    if recorder is None:
        return _NOT_RECORDING
    opened = recorder.open(name, attributes, kind, root)
    return _NOT_RECORDING if opened is None else opened


def current_trace_id() -> str | None:
    """Return the id of the current trace, as 32 hexadecimal digits.

    :returns: None where no trace is active, or tracing is off.
    """
    recorder = _RUNTIME.recorder
    return None if recorder is None else recorder.current_trace_id()


@overload
def traced(function: _Function) -> _Function: ...


@overload
def traced(
    function: None = None,
    *,
    name: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    kind: trace.SpanKind | None = None,
    root: bool = False,
) -> Callable[[_Function], _Function]: ...


def traced(
    function: _Function | None = None,
    *,
    name: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    kind: trace.SpanKind | None = None,
    root: bool = False,
) -> _Function | Callable[[_Function], _Function]:
    """Record every call of a function as a span.

    For functions, methods, coroutines, generators and asynchronous
    generators; arguments and results are not recorded. A generator's span
    lasts from its first value to its end, and is the current one only
    while the generator itself runs::

        @oslo_tracing.traced
        def build(self, context, instance): ...


        @oslo_tracing.traced(name='sync power states', root=True)
        def _sync_power_states(self, context): ...

    :param function: what to record; put ``traced`` below ``staticmethod``
        and ``classmethod``.
    :param name: the span's name, by default the function's qualified name.
    :param attributes: constant attributes of each span.
    :param kind: an ``opentelemetry.trace.SpanKind``, INTERNAL by default.
    :param root: as for :func:`span`.
    """

    def decorate(decorated: _Function) -> _Function:
        return _decorate(decorated, name, attributes, kind, root)

    return decorate if function is None else decorate(function)


def _named(function: Any) -> Any:
    """Return what has a name: a function or a class.

    What a partial says of itself has its arguments in it, and an object may
    say anything.
    """
    while isinstance(function, functools.partial):
        function = function.func
    return function if hasattr(function, '__qualname__') else type(function)


def _decorate(
    function: _Function,
    name: str | None,
    attributes: Mapping[str, Any] | None,
    kind: trace.SpanKind | None,
    root: bool,
) -> _Function:
    named = _named(function)
    qualified = named.__qualname__
    span_name = name or qualified.replace('<locals>.', '')
    code = f'{getattr(named, "__module__", "")}.{qualified}'
    how = (span_name, attributes, kind, root, code)
    wrapper: Any

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            recorder = _RUNTIME.recorder
            if recorder is None:
                return await function(*args, **kwargs)
            with recorder.open(*how) or _NOT_RECORDING:
                return await function(*args, **kwargs)

    elif inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            recorder = _RUNTIME.recorder
            generator = function(*args, **kwargs)
            if recorder is None:
                return generator
            return recorder.drive_async(generator, how)

    elif inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            recorder = _RUNTIME.recorder
            generator = function(*args, **kwargs)
            if recorder is None:
                return generator
            return recorder.drive(generator, how)

    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            recorder = _RUNTIME.recorder
            if recorder is None:
                return function(*args, **kwargs)
            with recorder.open(*how) or _NOT_RECORDING:
                return function(*args, **kwargs)

    decorated: _Function = wrapper
    return decorated

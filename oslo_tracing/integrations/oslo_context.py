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

"""The trace bound to the request's context, and its id as request id.

Why here: every service makes a ``RequestContext`` for each request and
passes it wherever the work goes, also where OpenTelemetry's context does
not; and ``generate_request_id`` is where all of them take their ids from.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import types
from typing import Any

from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import context as tracing_context
from oslo_tracing import exceptions
from oslo_tracing import integrations
from oslo_tracing.propagation import w3c

_ATTRIBUTE = '_oslo_tracing_binding'

# Asked for by every request context that is made.
_context = _current.context
_SPAN_KEY = _current.SPAN_KEY
_Unrecorded = _current.Unrecorded
_Restored = tracing_context.Restored


class Binding(str):
    """A span context as a service's ``RequestContext`` carries it.

    Contexts are copied, pickled, dumped as JSON and compared, here and in
    processes that do not have this library: so it is a text (traceparent)
    that any of these can handle, and equal to every other, for two contexts
    do not differ by the spans that they were made in.

    :ivar to: the span context, or the span that has it. None that is
        recorded, which would be kept as long.
    """

    to: trace.SpanContext | _current.Unrecorded

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, str)

    def __hash__(self) -> int:
        return hash(Binding)

    def __copy__(self) -> Binding:
        return self

    def __deepcopy__(self, memo: Any) -> Binding:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return str, (str.__str__(self),)


#: Of what was made in no trace.
_UNBOUND = Binding()
_UNBOUND.to = trace.INVALID_SPAN_CONTEXT


class _Binder:
    """Binds to the active span, by the same object as the last time.

    Services make many contexts in one span: each ``elevated()`` is another.
    """

    __slots__ = ('_last',)

    def __init__(self) -> None:
        # Another thread may change it any time.
        self._last = _UNBOUND

    def around(self, original: Callable[..., None]) -> Callable[..., None]:
        """Wrap ``RequestContext.__init__``."""

        def __init__(made: Any, /, *args: Any, **kwargs: Any) -> None:
            try:
                span: Any = _context().get(_SPAN_KEY)
                if type(span) is _Unrecorded:
                    # As quick as to see whether there is one already.
                    bound = Binding(span.traceparent)
                    bound.to = span
                else:
                    bound = self._bound_to(span)
                made.__dict__[_ATTRIBUTE] = bound
            except Exception:
                _guard.report('binding the trace to a request context')
            original(made, *args, **kwargs)

        return __init__

    def _bound_to(self, span: trace.Span | None) -> Binding:
        if span is None:
            return _UNBOUND
        span_context = span.get_span_context()
        last = self._last
        if last.to is span_context:
            return last
        if not span_context[_current.VALID]:
            return _UNBOUND
        made = Binding(w3c.format_traceparent(span_context))
        made.to = span_context
        self._last = made
        return made


def bound_to(request_context: Any) -> trace.SpanContext | None:
    """Return the span context that a request context was made in.

    :param request_context: a ``RequestContext``, or anything else.
    """
    try:
        bound = vars(request_context).get(_ATTRIBUTE)
    except TypeError:
        return None
    found: Any
    if isinstance(bound, Binding):
        found = bound.to
        if type(found) is _Unrecorded:
            found = found.get_span_context()
    else:
        found = w3c.parse_traceparent(bound)
    if found is None or not found[_current.VALID]:
        return None
    return found  # type: ignore[no-any-return]


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Bind each new ``RequestContext`` to its trace until ``undo`` closes."""

    def attach(module: types.ModuleType) -> None:
        _wrap.wrap(
            module.RequestContext,
            '__init__',
            _Binder().around,
            undo,
            distribution='oslo.context',
            untraced='request contexts are',
        )
        _wrap.wrap(
            module.RequestContext,
            'update_store',
            _restoring,
            undo,
            distribution='oslo.context',
            untraced='units of work that have lost their trace are',
        )
        if toolbox.settings.request_id_is_trace_id:
            _wrap.wrap(
                module,
                'generate_request_id',
                _request_id,
                undo,
                distribution='oslo.context',
                untraced='request ids that are trace ids are',
            )
        if toolbox.settings.context_store == 'contextvars':
            _replace_store(module, undo)

    _wrap.on_import('oslo_context.context', attach, undo)


def _request_id(original: Callable[[], str]) -> Callable[[], str]:
    @functools.wraps(original)
    def generate_request_id() -> str:
        return tracing_context.take_request_id() or original()

    return generate_request_id


def _restoring(original: Callable[..., Any]) -> Callable[..., Any]:
    def update_store(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        try:
            span: Any = _context().get(_SPAN_KEY)
            # Nearly always one is active, and is not what was restored.
            if type(span) is not _Unrecorded and (
                span is None
                or type(span) is _Restored
                or not span.get_span_context()[_current.VALID]
            ):
                tracing_context.restore(bound_to(self))
        except Exception:
            _guard.report('restoring the trace of a request context')
        return result

    return update_store


class _TaskStore:
    """Stands in for the ``threading.local`` of oslo.context."""

    @property
    def context(self) -> Any:
        """The request context of this task, or None."""
        return tracing_context.stored()

    @context.setter
    def context(self, request_context: Any) -> None:
        tracing_context.store(request_context)

    @context.deleter
    def context(self) -> None:
        tracing_context.store(None)


def _replace_store(module: Any, undo: contextlib.ExitStack) -> None:
    original = vars(module).get('_request_store')
    if original is None:
        raise exceptions.SeamMissing(
            'oslo.context',
            _wrap.version_of('oslo.context'),
            'request contexts of tasks are kept for the thread, and are',
        )
    ours = _TaskStore()
    ours.context = getattr(original, 'context', None)
    module._request_store = ours

    def restore() -> None:
        tracing_context.store(None)
        if module._request_store is ours:
            module._request_store = original

    undo.callback(restore)

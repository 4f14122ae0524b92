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

"""What is active now: the OpenTelemetry context, as this library uses it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import contextvars
import sys
import time
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import leases

_SUPPRESS_ALL = _current.SUPPRESS_ALL
_SUPPRESS_HTTP = _current.SUPPRESS_HTTP
_SUPPRESS_PLAIN = _current.SUPPRESS_PLAIN
_SUPPRESSING = frozenset((_SUPPRESS_ALL, _SUPPRESS_HTTP, _SUPPRESS_PLAIN))

# What nearly every seam asks for, without a look into another module.
_context = _current.context
_attach = _current.attach
_reset = _current.reset
_SPAN_KEY = _current.SPAN_KEY
_is_plain = _current.is_plain
_UnrecordedContext = _current.UnrecordedContext
_LocalRoot = leases.LocalRoot

#: What a WSGI environment has while a request is being recorded, for the
#: rule that has matched in a framework which would soon forget it.
RULE = 'oslo_tracing.rule'

_REQUEST_ID = _current.REQUEST_ID
_UNIT = _current.UNIT
_FORCED = _current.FORCED
_PERIODIC = otel_context.create_key('oslo_tracing.periodic_start')
_IN_NO_TRACE = otel_context.set_value(_UNIT, True, otel_context.Context())
_STARTS_PERIODIC = otel_context.set_value(
    _PERIODIC, True, otel_context.Context()
)

_KEEP = object()


class Restored(trace.NonRecordingSpan):
    """Stands for the trace that ``update_store()`` has restored."""


_WANTED: contextvars.ContextVar[tuple[int, bool] | None]
_WANTED = contextvars.ContextVar('oslo_tracing.wanted_trace_id', default=None)
_STORE: contextvars.ContextVar[Any] = contextvars.ContextVar(
    'oslo_tracing.request_context', default=None
)


def attach(span: trace.Span) -> Any:
    """Make a span the current one.

    :returns: what :func:`detach` takes.
    """
    return _current.attach(_current.with_span(span, _current.context()))


def detach(token: Any) -> None:
    """Put back what was current before :func:`attach`; None is no-op."""
    if token is not None:
        _current.detach(token)


def is_suppressed(http: bool = False) -> bool:
    """Say whether nothing is to be recorded here.

    :param http: ask for outgoing HTTP, which has a key of its own.
    """
    current = _context()
    # Nearly every context has none of them.
    if _SUPPRESSING.isdisjoint(current):
        return False
    return _current.is_suppressed(current) or bool(
        http and current.get(_SUPPRESS_HTTP)
    )


def has_parent() -> bool:
    """Say whether a span, recorded or not, is active."""
    span: Any = _context().get(_SPAN_KEY)
    return span is not None and bool(span.get_span_context()[_current.VALID])


def suppress() -> Any:
    """Make this library and others record nothing until :func:`detach`.

    :returns: what :func:`detach` takes.
    """
    current = otel_context.set_value(_SUPPRESS_ALL, True)
    return otel_context.attach(
        otel_context.set_value(_SUPPRESS_HTTP, True, current)
    )


def silent() -> otel_context.Context:
    """Return a context of its own in which nothing is recorded."""
    empty = otel_context.set_value(_SUPPRESS_ALL, True, otel_context.Context())
    return otel_context.set_value(_SUPPRESS_HTTP, True, empty)


def force(
    current: otel_context.Context, granted: bool = False
) -> otel_context.Context:
    """Ask that what starts under a context be recorded.

    For who is entitled to ask for a trace, and only for that, such as the
    holder of an OSProfiler key. Whether it is granted is for the sampler,
    which bounds it by ``max_forced_traces_per_second``; past that it decides
    as if the trace started here, and what the flags of a parent say does not
    count. So a trace that is believed is not to be marked: it goes on as its
    starter decided.

    :param current: what the span is to start in. It may have a parent that
        is remote, and the spans below that span are not asked again.
    :param granted: the sampler was asked already, by
        ``Pipeline.may_force()``.
    :returns: the same context, marked.
    """
    return otel_context.set_value(_FORCED, granted, current)


def defer(current: otel_context.Context) -> otel_context.Context:
    """Leave it to the sampler whether what starts here is recorded.

    For the trace of a caller who has not decided on it. The sampler does so
    as if the trace started here, and what starts has its parent all the same.

    :param current: with a parent that is remote.
    :returns: the same context, marked.
    """
    return otel_context.set_value(_FORCED, None, current)


def forced(current: otel_context.Context) -> bool:
    """Say whether what a parent has decided is not what counts.

    That is where a context was marked by :func:`force` or :func:`defer`.
    """
    return _FORCED in current


def deferred(current: otel_context.Context) -> bool:
    """Say whether a context was marked by :func:`defer`."""
    return current.get(_FORCED, False) is None


def granted(current: otel_context.Context) -> bool:
    """Say whether what a context asks for was granted already."""
    return current.get(_FORCED) is True


def periodic() -> otel_context.Context:
    """Return what the span of a run of periodic work starts in.

    It is in no trace, and tells the sampler what it is that starts.
    """
    return _STARTS_PERIODIC


def is_periodic(current: otel_context.Context) -> bool:
    """Say whether what starts in a context is periodic work."""
    return _PERIODIC in current


def request_context() -> Any:
    """Return this thread's ``RequestContext``, None where there is none."""
    module: Any = sys.modules.get('oslo_context.context')
    return None if module is None else module.get_current()


def take_request_id(
    current: otel_context.Context | None = None,
) -> str | None:
    """Return the request id on offer, to the first who asks.

    :param current: a context that a request runs under, None for the one
        that is active.
    """
    if current is None:
        current = _current.context()
    offered: Any = current.get(_REQUEST_ID)
    try:
        # Threads may race for it: only one gets it from a list.
        if not offered:
            return None
        text = f'{offered.pop():032x}'
    except IndexError:
        return None
    # As a UUID is written.
    return (
        f'req-{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}'
    )


def unit(current: otel_context.Context) -> otel_context.Context:
    """Return a context, marked as what a unit of work runs under."""
    if _UNIT in current:
        return current
    return otel_context.set_value(_UNIT, True, current)


def is_unit(current: otel_context.Context) -> bool:
    """Say whether a context is that of a unit of work."""
    return _UNIT in current


def root(
    current: otel_context.Context,
    span: trace.Span | None = None,
    more: Mapping[str, object] | None = None,
    request_id: int | None = None,
) -> otel_context.Context:
    """Return the same for what is first of a trace in this process.

    :param span: to be the active one there, None for the one that is. The
        mark of :func:`force` was for that span: a root that a service starts
        below it is a trace of its own, for which nobody has asked.
    :param more: what else is to be in it.
    :param request_id: a trace id that the next request id made there is to
        be. Only the first: nova relies on those of one request being
        different.
    :returns: what :func:`ended` is to be called with.
    """
    values = current.copy()
    if span is not None:
        values[_SPAN_KEY] = span
        if _FORCED in values:
            del values[_FORCED]
    values[_UNIT] = _LocalRoot()
    if request_id is not None:
        values[_REQUEST_ID] = [request_id]
    if more:
        values.update(more)
    return otel_context.Context(values)


def unrecorded_root(
    found: _current.Unrecorded,
    current: otel_context.Context,
    request_id: int | None = None,
) -> otel_context.Context:
    """Do the same, with a span in it that nobody records.

    :param request_id: as for :func:`root`.
    """
    values = {**current, _SPAN_KEY: found, _UNIT: _LocalRoot()}
    if request_id is not None:
        values[_REQUEST_ID] = [request_id]
    if _is_plain(current):
        return _UnrecordedContext(values)
    return otel_context.Context(values)


def ended(current: otel_context.Context) -> None:
    """Note the end of what runs under a context of :func:`root`."""
    first = current.get(_UNIT)
    if type(first) is _LocalRoot and first.ended_at is None:
        first.ended_at = time.monotonic()


def restore(found: trace.SpanContext | None) -> None:
    """Run what is left of a unit of work in the trace that it belongs to.

    Only inside a unit of work, whose end undoes it, and only where no span
    is active; what this function restored before is replaced.

    :param found: the trace, None to be in none again.
    """
    current = _current.context()
    if _UNIT not in current or _current.is_suppressed(current):
        return
    span = _current.span_in(current)
    if type(span) is Restored:
        if found is None:
            _attach(_current.with_span(trace.INVALID_SPAN, current))
            return
    elif span.get_span_context().is_valid or isinstance(span, leases.Lease):
        # A thread that outlives its lease is no unit of work.
        return
    if found is not None:
        _attach(_current.with_span(Restored(found), current))


def stored() -> Any:
    """Return the ``RequestContext`` of this task, None where it has none.

    Only with ``context_store = contextvars``.
    """
    kept = _STORE.get()
    return kept.get() if type(kept) is leases.LentRequest else kept


def store(request_context: Any) -> None:
    """Make a ``RequestContext`` the one of this task."""
    _STORE.set(request_context)


def want_trace_id(trace_id: int | None, random: bool = False) -> Any:
    """Let the root span that is started next belong to a given trace.

    A parent would have done that, but the span is to have none.

    :param trace_id: of the trace, None to want nothing.
    :param random: it is an id as the provider itself makes them.
    :returns: what :func:`forget_trace_id` takes, right after that start.
    """
    return None if trace_id is None else _WANTED.set((trace_id, random))


def wanted_trace_id() -> int | None:
    """Return what :func:`want_trace_id` was given, None if nothing."""
    wanted = _WANTED.get()
    return None if wanted is None else wanted[0]


def is_trace_id_random() -> bool:
    """Say whether the id of the root span that starts next is random."""
    wanted = _WANTED.get()
    return wanted is None or wanted[1]


def forget_trace_id(token: Any) -> None:
    """Want nothing any more."""
    if token is not None:
        _WANTED.reset(token)


#: What a unit of work runs under: a context, and a ``RequestContext``.
Load = tuple[otel_context.Context, Any]


def to_carry() -> Load:
    """Return what work that is handed over from here is to run under.

    Where nothing is active that is a context in no trace, always the same:
    what earlier work has left on a pooled thread is not for the next.
    """
    current = _current.context()
    if not current:
        return _IN_NO_TRACE, stored()
    span = _current.span_in(current)
    if isinstance(span, leases.Lease):
        # A unit of work keeps for good what was lent to its starter.
        if span.is_over():
            return _IN_NO_TRACE, None
        current = trace.set_span_in_context(span.lent, current)
    return unit(current), stored()


def to_lend() -> Load | None:
    """Return what a thread that is started here is to run under.

    :returns: None where no trace is active.
    """
    if not has_parent():
        return None
    current, request_context = to_carry()
    first = current.get(_UNIT)
    if not isinstance(first, _LocalRoot):
        first = None
    lease = leases.Lease(trace.get_current_span(current), first)
    if request_context is not None:
        request_context = leases.LentRequest(request_context, lease)
    return leases.LentContext(current, lease), request_context


class Carried:
    """A function that runs under the context of who handed it over.

    Only OpenTelemetry's and oslo.context's: the other context variables of
    the service are as they would be without us.

    :param function: what to call; its result or exception passes.
    """

    __slots__ = ('_function', '_load')

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._load = to_carry()

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        current, request_context = self._load
        token = _STORE.set(request_context), _attach(current)
        try:
            return self._function(*args, **kwargs)
        finally:
            leave(token)

    def __repr__(self) -> str:
        return repr(self._function)


def enter(current: otel_context.Context, request_context: Any = _KEEP) -> Any:
    """Begin a unit of work under exactly this context.

    :param request_context: the ``RequestContext`` that it starts with, by
        default the one that is there.
    :returns: what :func:`leave` takes.
    """
    if request_context is _KEEP:
        request_context = _STORE.get()
    return _STORE.set(request_context), _attach(current)


def leave(token: Any) -> None:
    """End a unit of work: all is as it was before :func:`enter`."""
    kept, current = token
    try:
        _STORE.reset(kept)
        _reset(current)
    except (RuntimeError, ValueError):
        # Another task closes what this one has opened; nothing to put back.
        _current.detach(current)

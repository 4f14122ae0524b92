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

"""What is active now, asked for without detours.

OpenTelemetry's functions for it take five calls to look into one context
variable, and its span contexts another for each of their fields: where
nothing is recorded that is most of what a seam would do.
"""

from __future__ import annotations

from collections.abc import Callable
import contextvars
from typing import Any
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry.context import contextvars_context
from opentelemetry import trace

#: Where a context has its span.
(SPAN_KEY,) = trace.set_span_in_context(
    trace.INVALID_SPAN, otel_context.Context()
)

#: OpenTelemetry's keys for recording nothing: the first is for everything,
#: the third for what HTTP instrumentations record. Older code sets the second.
SUPPRESS_ALL = otel_context._SUPPRESS_INSTRUMENTATION_KEY
SUPPRESS_PLAIN = 'suppress_instrumentation'
SUPPRESS_HTTP = otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY

#: Nearly no context has one of these.
_SUPPRESSING = frozenset((SUPPRESS_ALL, SUPPRESS_PLAIN))

#: Set in what a unit of work runs under: a request, the handling of a
#: message, a call that was handed over. Where it is known, to what is first
#: of the trace in this process.
UNIT = otel_context.create_key('oslo_tracing.unit')
#: The request id that is on offer.
REQUEST_ID = otel_context.create_key('oslo_tracing.request_id')
#: Set where who is entitled to has asked for a trace: whether that was
#: granted. None where a caller leaves it to us.
FORCED = otel_context.create_key('oslo_tracing.forced')
#: The call of keystoneauth that is under way.
HTTP_CALL = otel_context.create_key('oslo_tracing.http_call')
#: The run of periodic work that is under way.
PERIODIC_RUN = otel_context.create_key('oslo_tracing.periodic')
#: Which key of OSProfiler a trace was asked for with.
ASKED_BY = otel_context.create_key('oslo_tracing.osprofiler')
#: Set where requests to any host have the trace in all formats.
ALL_FORMATS = otel_context.create_key('oslo_tracing.all_formats')
#: The notification that is being handled.
NOTIFICATION = otel_context.create_key('oslo_tracing.notification')
#: The innermost span of a service's own that was opened below here.
OPENED = otel_context.create_key('oslo_tracing.opened')
#: Set once oslo.db tries something again, in what runs from then on.
RETRIED = otel_context.create_key('oslo_tracing.retried')

#: What has only these in it has no baggage: of that nothing is imported
#: before it may be there. Nor does it ask that nothing be recorded.
_PLAIN = frozenset(
    (
        SPAN_KEY,
        UNIT,
        REQUEST_ID,
        FORCED,
        HTTP_CALL,
        PERIODIC_RUN,
        NOTIFICATION,
        OPENED,
        RETRIED,
    )
)
#: Says of a context that there is no more to it than that.
is_plain: Callable[[otel_context.Context], bool] = _PLAIN.issuperset

#: Fields of a ``SpanContext``, which is a tuple.
SPAN_ID: Final = 1
REMOTE: Final = 2
FLAGS: Final = 3
STATE: Final = 4
VALID: Final = 5

_SAMPLED = trace.TraceFlags.SAMPLED


def _variable() -> contextvars.ContextVar[Any] | None:
    """Return where the context is kept, unless somebody keeps it elsewhere.

    OTEL_PYTHON_CONTEXT names who does.
    """
    runtime = otel_context._RUNTIME_CONTEXT
    if type(runtime) is not contextvars_context.ContextVarsRuntimeContext:
        return None
    found = getattr(runtime, '_current_context', None)
    return found if isinstance(found, contextvars.ContextVar) else None


_FOUND = _variable()

#: Returns the current context.
context: Callable[[], otel_context.Context]
#: Makes a context the current one; returns what :func:`detach` takes.
attach: Callable[[otel_context.Context], Any]
#: Puts back what was current before; raises where that cannot be.
reset: Callable[[Any], None]
context, attach, reset = (
    (otel_context.get_current, otel_context.attach, otel_context.detach)
    if _FOUND is None
    else (_FOUND.get, _FOUND.set, _FOUND.reset)
)


def detach(token: Any) -> None:
    """Put back what was current before :func:`attach`."""
    try:
        reset(token)
    except (RuntimeError, ValueError):
        # OpenTelemetry tells of it.
        otel_context.detach(token)


def span() -> trace.Span:
    """Return the active span, the invalid one where there is none."""
    found: Any = context().get(SPAN_KEY)
    return trace.INVALID_SPAN if found is None else found


def span_in(where: otel_context.Context) -> trace.Span:
    """Return the span of a context, the invalid one where it has none."""
    found: Any = where.get(SPAN_KEY)
    return trace.INVALID_SPAN if found is None else found


def left_open(own: trace.Span) -> otel_context.Context | None:
    """Return the current context if it has another span than a given one.

    Work that pauses within a span that it has opened goes on in it.

    :param own: the span that the work began with.
    """
    current = context()
    return None if current.get(SPAN_KEY) is own else current


def is_suppressed(where: otel_context.Context) -> bool:
    """Say whether a context asks that nothing be recorded in it."""
    if _SUPPRESSING.isdisjoint(where):
        return False
    return bool(where.get(SUPPRESS_ALL) or where.get(SUPPRESS_PLAIN))


def with_span(
    active: trace.Span, where: otel_context.Context
) -> otel_context.Context:
    """Return a context with a span in it."""
    values = where.copy()
    values[SPAN_KEY] = active
    return otel_context.Context(values)


#: Whether a span context is what its constructor is known to make.
KNOWN = tuple(
    trace.SpanContext(
        5, 6, False, trace.TraceFlags(1), trace.DEFAULT_TRACE_STATE
    )
) == (5, 6, False, 1, trace.DEFAULT_TRACE_STATE, True)


def span_context(
    trace_id: int,
    span_id: int,
    is_remote: bool,
    flags: trace.TraceFlags,
    state: trace.TraceState,
) -> trace.SpanContext:
    """Return the same as the constructor, in a fifth of the time."""
    if KNOWN and 0 < trace_id < 2**128 and 0 < span_id < 2**64:
        return tuple.__new__(
            trace.SpanContext,
            (trace_id, span_id, is_remote, flags, state, True),
        )
    return trace.SpanContext(trace_id, span_id, is_remote, flags, state)


def is_sampled(span_context: Any) -> bool:
    """Say whether a span context is valid, and its trace recorded."""
    return bool(span_context[VALID] and span_context[FLAGS] & _SAMPLED)


def is_span_sampled(span: Any) -> bool:
    """Say the same of a span; not of None."""
    return span is not None and is_sampled(span.get_span_context())


class Unrecorded(trace.NonRecordingSpan):
    """A span that nobody records, and below which nobody records anything.

    What it hands on is there: whoever sends a message or a request below it
    has no span, and writes what this one would. Mostly nobody asks for more,
    so the text is read by who does.

    :param traceparent: that names it, of version 00 and valid.
    :param remote: it is another process's.
    :param state: its tracestate, in which nothing is.
    """

    def __init__(
        self, traceparent: str, remote: bool, state: trace.TraceState
    ) -> None:
        self.traceparent = traceparent
        self._remote = remote
        self._state = state
        self._read: trace.SpanContext | None = None

    @property
    def trace_id(self) -> int:
        """As of its span context."""
        return int(self.traceparent[3:35], 16)

    def get_span_context(self) -> trace.SpanContext:
        """Return what the text says."""
        read = self._read
        if read is None:
            read = self._read = span_context(
                self.trace_id,
                int(self.traceparent[36:52], 16),
                self._remote,
                trace.TraceFlags(int(self.traceparent[53:], 16)),
                self._state,
            )
        return read

    @property
    def _context(self) -> trace.SpanContext:  # type: ignore[override]
        # Where its class has it.
        return self.get_span_context()


class UnrecordedContext(otel_context.Context):
    """A context of which it is known that there is nothing else to hand on.

    Its span is an :class:`Unrecorded`. Whatever is set in it makes another
    context, which is none of these.
    """

    __slots__ = ()


def unrecorded(where: otel_context.Context) -> Unrecorded | None:
    """Return the span of a context, where it is known that nobody records it.

    :returns: None also where there is more to hand on, or nothing at all.
    """
    found: Any = where.get(SPAN_KEY)
    if type(found) is not Unrecorded:
        return None
    if type(where) is UnrecordedContext or is_plain(where):
        return found
    return None

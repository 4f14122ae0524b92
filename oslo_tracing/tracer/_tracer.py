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

"""Starts spans, and hands ended ones on."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import time
from typing import Any
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import id_generator
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.util import instrumentation
from opentelemetry import trace
from opentelemetry.util import types

from oslo_tracing import _current
from oslo_tracing import _ready
from oslo_tracing.tracer import _attributes
from oslo_tracing.tracer import _parts
from oslo_tracing.tracer import _processors
from oslo_tracing.tracer import _span

_SAMPLED: Final = int(trace.TraceFlags.SAMPLED)
# Older SDKs do not know the flag.
_RANDOM: Final = int(getattr(trace.TraceFlags, 'RANDOM_TRACE_ID', 0))
_FOLLOWED: Final = _SAMPLED | _RANDOM
#: Attributes that a span is to have room for beside those it shares.
_ROOM: Final = 16
_FLAGS: Final = tuple(trace.TraceFlags(flags) for flags in range(4))
#: Of a trace whose id was drawn, and is kept.
_DRAWN: Final = _FLAGS[_FOLLOWED]
_NO_LOSS: Final = (0, 0, 0)
_ON_ERROR: Final = _span.RECORD_ERROR | _span.SET_STATUS
# What every start asks for: looked up once.
_SPAN_KEY: Final = _current.SPAN_KEY
_new: Final = tuple.__new__
_Context: Final = trace.SpanContext
_Span: Final = _span.Span
_NO_STATE: Final = trace.DEFAULT_TRACE_STATE
_INTERNAL: Final = trace.SpanKind.INTERNAL


class Tracer(sdk_trace.Tracer, _ready.Tracer):
    """Makes the spans of one scope.

    :param sampler: decides on every span. If it has a true ``follows_local``
        it is not asked about children of a span of this process: they are
        recorded if that is, with its trace state. The same goes for those
        of a remote one of which its ``follows()``, if it has that, is true.
    :param processors: get every span.
    :param ids: makes ids.
    :param limits: of spans.
    :param resource: what the process is.
    :param scope: who records.
    :param describe: gives the attributes of an exception's event.
    """

    def __init__(
        self,
        sampler: sampling.Sampler,
        processors: _processors.Processors,
        ids: id_generator.IdGenerator,
        limits: sdk_trace.SpanLimits,
        resource: resources.Resource,
        scope: instrumentation.InstrumentationScope,
        describe: Callable[[BaseException], dict[str, Any]],
    ) -> None:
        # Not the SDK's own: it would count spans for metrics of its own.
        self.sampler = sampler
        self.resource = resource
        self.span_processor: Any = processors
        self._processors = processors
        self._no_state: trace.TraceState | None = None
        self.id_generator = ids
        self._span_id = ids.generate_span_id
        self._span_limits = limits
        self._instrumentation_scope = scope
        self._follows = bool(getattr(sampler, 'follows_local', False))
        self._follows_remote: Any = getattr(sampler, 'follows', None)
        self._random: Any = getattr(ids, 'is_trace_id_random', None)
        self._shared = _parts.Shared(
            resource=resource,
            scope=scope,
            processors=processors,
            span_id=ids.generate_span_id,
            describe=describe,
            attributes=_limit(limits.max_span_attributes),
            attribute_length=_limit(limits.max_span_attribute_length),
            events=_limit(limits.max_events),
            event_attributes=_limit(limits.max_event_attributes),
            links=_limit(limits.max_links),
            link_attributes=_limit(limits.max_link_attributes),
            length=_limit(limits.max_attribute_length),
        )
        #: What may be shared by spans that need no second look themselves;
        #: nothing is whole for a tracer for which that is not known.
        self._quick: object = (
            self._shared
            if self._follows
            and _current.KNOWN
            and getattr(ids, 'are_valid', False)
            else self
        )

    @property
    def instrumentation_info(self) -> Any:  # type: ignore[override]
        return _parts.info(self._instrumentation_scope)

    def start_span(
        self,
        name: str,
        context: otel_context.Context | None = None,
        kind: trace.SpanKind = _INTERNAL,
        attributes: types.Attributes = None,
        links: Sequence[trace.Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        return self._started(
            name,
            kind,
            context,
            attributes,
            None,
            None,
            links,
            start_time,
            (_span.RECORD_ERROR if record_exception else 0)
            | (_span.SET_STATUS if set_status_on_exception else 0),
        )

    def start_ready(
        self,
        ready: _ready.Ready,
        where: otel_context.Context,
        own: dict[str, Any] | None = None,
        links: Sequence[trace.Link] | None = None,
        start_time: int | None = None,
    ) -> trace.Span:
        if ready.whole_for is not self._quick or links:
            return self._start_checked(ready, where, own, links, start_time)
        above: Any = where.get(_SPAN_KEY)
        if type(above) is _Span and not above.rough:
            # Nearly always: one more below one of ours, which is sampled.
            parent: Any = above._context
        else:
            parent = self._caller(above, where)
            if parent is None:
                return self._start_checked(
                    ready, where, own, links, start_time
                )
        trace_id, _id, _remote, flags, state, _valid = parent
        ids = (trace_id, self._span_id(), False, flags, state, True)
        span = _Span(
            ready.name,
            _new(_Context, ids),
            parent,
            ready.kind,
            own or {},
            False,
            _NO_LOSS,
            start_time or time.time_ns(),
            self._shared,
            _ON_ERROR,
            ready,
        )
        for processor in self._processors.starting:
            processor.on_start(span, parent_context=where)
        return span

    def start_drawn(
        self,
        ready: _ready.Ready,
        where: otel_context.Context,
        own: dict[str, Any],
        trace_id: int,
    ) -> trace.Span | None:
        if ready.whole_for is not self._quick:
            return None
        ids = (trace_id, self._span_id(), False, _DRAWN, _NO_STATE, True)
        span = _Span(
            ready.name,
            _new(_Context, ids),
            None,
            ready.kind,
            own,
            False,
            _NO_LOSS,
            time.time_ns(),
            self._shared,
            _ON_ERROR,
            ready,
        )
        for processor in self._processors.starting_roots:
            processor.on_start(span, parent_context=where)
        return span

    def add_ready(
        self,
        ready: _ready.Ready,
        where: otel_context.Context,
        own: dict[str, Any] | None,
        start_time: int,
        end_time: int,
    ) -> None:
        above: Any = where.get(_SPAN_KEY)
        processors = self._processors
        if (
            type(above) is _Span
            and not above.rough
            and ready.whole_for is self._quick
            and processors.only_export
        ):
            parent: Any = above._context
            processors.add(
                (
                    ready,
                    own,
                    parent,
                    start_time,
                    end_time,
                    self._shared,
                )
            )
            return
        super().add_ready(ready, where, own, start_time, end_time)

    def _caller(
        self, above: Any, where: otel_context.Context
    ) -> trace.SpanContext | None:
        """Return the caller that wants all recorded, if it says no more.

        :returns: a context whose flags and trace state children have, too.
        """
        if above is None or self._follows_remote is None:
            return None
        parent = above.get_span_context()
        if type(parent) is not trace.SpanContext:
            return None
        flags, state = parent[_current.FLAGS], parent[_current.STATE]
        if (
            type(flags) is not trace.TraceFlags
            or flags & ~_FOLLOWED
            or not flags & _SAMPLED
        ):
            return None
        if state is not self._no_state and self._has_state(state):
            return None
        return parent if self._follows_remote(parent, where) else None

    def _start_checked(
        self,
        ready: _ready.Ready,
        where: otel_context.Context,
        own: dict[str, Any] | None,
        links: Sequence[trace.Link] | None,
        start_time: int | None,
    ) -> trace.Span:
        if ready.checked_for is not self._shared:
            self._check(ready)
        attributes = ready.attributes
        shared: _ready.Ready | None = ready
        if ready.whole_for is None or not self._follows:
            # A sampler of somebody else's may look at all of them, and
            # change what it was given.
            shared = None
            attributes, own = {**attributes, **(own or {})}, None
        return self._started(
            ready.name,
            ready.kind,
            where,
            attributes,
            shared,
            own,
            links,
            start_time,
            _ON_ERROR,
        )

    def _check(self, ready: _ready.Ready) -> None:
        """See whether spans of this tracer may share what is ready."""
        shared = self._shared
        _kept, dropped, rough = _attributes.taken(
            ready.attributes, shared.attributes, shared.attribute_length
        )
        is_whole = not (
            dropped
            or rough
            or len(ready.attributes) + _ROOM > shared.attributes
            or not _span.is_short(ready.name)
            or type(ready.kind) is not trace.SpanKind
        )
        ready.whole_for = shared if is_whole else None
        ready.checked_for = shared

    def _started(
        self,
        name: str,
        kind: trace.SpanKind,
        context: otel_context.Context | None,
        attributes: types.Attributes,
        ready: _ready.Ready | None,
        own: dict[str, Any] | None,
        links: Sequence[trace.Link] | None,
        start_time: int | None,
        on_error: int,
    ) -> trace.Span:
        where = _current.context() if context is None else context
        above: Any = where.get(_current.SPAN_KEY)
        given: Any
        rough = False
        if type(above) is _span.Span and self._follows:
            # Nearly always: below one of ours nobody has to be asked.
            parent: Any = above._context
            trace_id, _id, _remote, inherited, state, _valid = parent
            recorded, given = inherited & _SAMPLED, attributes
            flags = inherited & _FOLLOWED
        else:
            parent, trace_id, flags, recorded, given, state = self._decided(
                context, name, kind, attributes, links or ()
            )
            # What a sampler has left out is still its parent's.
            rough = parent is not None and bool(parent[_current.STATE])
        span_context = _current.span_context(
            trace_id,
            self.id_generator.generate_span_id(),
            False,
            _FLAGS[flags],
            _NO_STATE if state is None else state,
        )
        if not recorded:
            return trace.NonRecordingSpan(span_context)
        if not flags & _SAMPLED:
            # It is recorded, and not for exporters.
            rough = True
        shared = self._shared
        kept: dict[str, Any] = own or {}
        lost = _NO_LOSS
        # A sampler's result has a view of them, or something of its own.
        if (
            ready is not None
            and given is not attributes
            and (given != attributes)
        ):
            given, ready = {**(given or {}), **kept}, None
        if given and ready is None:
            kept, dropped, found = _attributes.taken(
                given, shared.attributes, shared.attribute_length
            )
            rough = rough or found
            if dropped:
                rough, lost = True, (dropped, 0, 0)
        if ready is None and not (
            _span.is_short(name) and type(kind) is trace.SpanKind
        ):
            rough = True
        if start_time is None:
            start_time = time.time_ns()
        elif type(start_time) is not int or not (
            0 < start_time <= _span.MAX_TIME
        ):
            rough = True
        if state is not _NO_STATE and state is not self._no_state:
            rough = self._has_state(state) or rough
        span = _span.Span(
            name,
            span_context,
            parent,
            kind,
            kept,
            rough,
            lost,
            start_time,
            shared,
            on_error,
            ready,
        )
        for link in links or ():
            if link:
                span.add_link(link.context, link.attributes)
        processors = self._processors
        for processor in (
            processors.starting_roots
            if parent is None
            else processors.starting
        ):
            processor.on_start(span, parent_context=context)
        return span

    def _has_state(self, state: trace.TraceState | None) -> bool:
        if state:
            return True
        # Most are the same, and have to be asked how long they are.
        self._no_state = state
        return False

    def _decided(
        self,
        context: otel_context.Context | None,
        name: str,
        kind: trace.SpanKind,
        attributes: types.Attributes,
        links: Sequence[trace.Link],
    ) -> tuple[Any, int, int, Any, Any, trace.TraceState | None]:
        """Find out about a span that is not below one of ours.

        :returns: its parent's context or None, its trace and flags, whether
            it is recorded, with which attributes, and its trace state.
        """
        parent: Any = trace.get_current_span(context).get_span_context()
        if parent is not None and not isinstance(parent, trace.SpanContext):
            raise TypeError(
                'parent_span_context must be a SpanContext or None.'
            )
        inherited = 0
        if parent is not None and parent.is_valid:
            trace_id, inherited = parent.trace_id, parent.trace_flags
            flags = inherited & _RANDOM
        else:
            parent = None
            trace_id = self.id_generator.generate_trace_id()
            flags = _RANDOM if self._random and self._random() else 0
        if parent is not None and self._follows and not parent.is_remote:
            recorded = inherited & _SAMPLED
            flags |= recorded
            return (
                parent,
                trace_id,
                flags,
                recorded,
                attributes,
                (parent.trace_state),
            )
        result: Any = self.sampler.should_sample(
            context, trace_id, name, kind, attributes, links
        )
        if result.decision.is_sampled():
            flags |= _SAMPLED
        return (
            parent,
            trace_id,
            flags,
            result.decision.is_recording(),
            result.attributes,
            result.trace_state,
        )


def _limit(limit: int | None) -> int:
    return _attributes.ENDLESS if limit is None else limit

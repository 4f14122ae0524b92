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

"""The trace in the context of a message, in and out.

The keys are those of W3C, whatever formats HTTP uses: who receives a message
is always one of us. What nearly every context is, a plain dict with nothing
of a trace but ``traceparent``, is looked at first, and in place: there is one
for each message.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing.propagation import incoming
from oslo_tracing.propagation import messages
from oslo_tracing.propagation import w3c

_SPAN_KEY = _current.SPAN_KEY
_is_plain = _current.is_plain
_STATE = _current.STATE
_VALID = _current.VALID
_Incoming = incoming.Incoming
_NOBODY = incoming.NOBODY
_Context = otel_context.Context
_NonRecordingSpan = trace.NonRecordingSpan
_NO_STATE = trace.DEFAULT_TRACE_STATE
_NO_TRACESTATE = w3c.NO_TRACESTATE
_OURS = w3c.OURS
_TRACEPARENT = messages.TRACEPARENT
#: Keys that the context of nearly no message has.
_BESIDE = frozenset(
    (messages.TRACESTATE, messages.BAGGAGE, messages.TRACE_INFO)
)
_Unrecorded = _current.Unrecorded
_is_dropped = w3c.is_dropped
_new = tuple.__new__
_parse = w3c.parse


class Carrying:
    """What :class:`oslo_tracing.propagation.Propagation` does to messages."""

    _readers: tuple[Any, ...]
    _baggage: bool
    _marks_messages: bool
    _bridges: bool

    def taken(
        self, ctxt: Any, rpc: bool, drops: bool
    ) -> tuple[incoming.Incoming | _current.Unrecorded, Any]:
        """Take out of a message's context what its sender has put there.

        :param ctxt: not changed.
        :param rpc: OSProfiler can be in it, too.
        :param drops: nothing is recorded below senders who do not.
        :returns: what the sender said, or its span where that is all that
            matters, as nothing is recorded below it, and it is written as
            nearly all write it; and the context as the service knows it, of
            :func:`without_keys`.
        """
        if type(ctxt) is dict and self._readers:
            kept = ctxt.copy()
            traceparent = kept.pop(_TRACEPARENT, None)
            if traceparent is not None and kept.keys().isdisjoint(_BESIDE):
                ours = self._marks_messages
                if drops and _is_dropped(traceparent):
                    state = _OURS if ours else _NO_TRACESTATE
                    return _Unrecorded(traceparent, True, state), kept
                sender = _parse(traceparent, None, ours)
                if sender is None:
                    return _NOBODY, kept
                span = _NonRecordingSpan(sender)
                # The same as by its name, without a call.
                fields = (
                    _Context({_SPAN_KEY: span}),
                    sender,
                    False,
                    None,
                    False,
                    False,
                )
                return _new(_Incoming, fields), kept
        sent = self.from_rpc(ctxt) if rpc else self.from_message(ctxt)
        return sent, messages.without_keys(ctxt)

    def from_message(self, ctxt: Any) -> incoming.Incoming:
        """Return what the sender of a message said of its trace.

        :param ctxt: the context of the message; not changed.
        """
        try:
            values = messages.values(ctxt)
            if values is None or not self._readers:
                return _NOBODY
            traceparent = values.get(messages.TRACEPARENT)
            if traceparent is None:
                return _NOBODY
            # Unlike headers, values of a dict can be lists.
            state = values.get(messages.TRACESTATE)
            span_context = w3c.parse(
                traceparent,
                state if isinstance(state, str) else None,
                self._marks_messages,
            )
            if span_context is not None:
                return self._incoming(
                    span_context, values.get(messages.BAGGAGE)
                )
        except Exception:
            _guard.report('reading a message')
        return _NOBODY

    def from_rpc(self, ctxt: Any) -> incoming.Incoming:
        """Return the same of an RPC message, which OSProfiler can be in.

        Where both are there, and of one trace, W3C's keys tell the parent.
        """
        found = self.from_message(ctxt)
        if not self._bridges:
            return found
        try:
            values = messages.mapping(ctxt)
            info = None if values is None else values.get(messages.TRACE_INFO)
            if info is not None:
                # Few messages have it.
                from oslo_tracing.propagation import osprofiler

                return osprofiler.asked(found, info, self._marks_messages)
        except Exception:
            _guard.report('reading a message')
        return found

    def into_message(
        self, ctxt: Any, context: otel_context.Context, *, baggage: bool
    ) -> Any:
        """Return a copy of a message's context that carries the trace.

        :param ctxt: as the driver would get it: a dict, another mapping,
            or an object with ``to_dict()``; it is not changed.
        :param context: with the span.
        :param baggage: never for notifications, a stranger may get them.
        :returns: the same object where there is no valid span, where
            nothing can be added, or where something goes wrong.
        """
        try:
            span: Any = context.get(_SPAN_KEY)
            if span is None or not self._readers:
                return ctxt
            span_context = span.get_span_context()
            if not span_context[_VALID]:
                return ctxt
            others = None
            state = span_context[_STATE]
            if (baggage and self._baggage and not _is_plain(context)) or (
                # To ask them how long they are takes a call.
                state is not _NO_STATE
                and state is not _NO_TRACESTATE
                and state
            ):
                others = self._beside(span_context, context, baggage)
            traceparent = w3c.format_traceparent(span_context)
            if (
                others is None
                and type(ctxt) is dict
                and ctxt.keys().isdisjoint(_BESIDE)
            ):
                return {**ctxt, _TRACEPARENT: traceparent}
            carried = messages.add(
                ctxt, {_TRACEPARENT: traceparent, **(others or {})}
            )
            if self._bridges and isinstance(carried, dict):
                info = carried.get(messages.TRACE_INFO)
                if info is not None:
                    from oslo_tracing.propagation import osprofiler

                    carried[messages.TRACE_INFO] = osprofiler.with_parent(
                        info, span_context
                    )
            return carried
        except Exception:
            _guard.report('writing into a message')
            return ctxt

    def hand_on(self, ctxt: Any, unrecorded: _current.Unrecorded) -> Any:
        """Return a copy of a message's context that carries the trace.

        :param ctxt: as for :meth:`into_message`.
        :param unrecorded: the active span.
        """
        if not self._readers:
            return ctxt
        if type(ctxt) is dict and ctxt.keys().isdisjoint(_BESIDE):
            return {**ctxt, _TRACEPARENT: unrecorded.traceparent}
        return messages.add(ctxt, {_TRACEPARENT: unrecorded.traceparent})

    def _incoming(
        self,
        span_context: trace.SpanContext,
        baggage_header: Any,
    ) -> incoming.Incoming:
        context = otel_context.Context(
            {_SPAN_KEY: trace.NonRecordingSpan(span_context)}
        )
        if self._baggage and baggage_header is not None:
            from oslo_tracing.propagation import baggage

            context = baggage.extract(baggage_header, context)
        return _Incoming(context, span_context)

    def _beside(
        self,
        span_context: trace.SpanContext,
        context: otel_context.Context,
        with_baggage: bool,
    ) -> dict[str, str]:
        """Return what goes with a traceparent."""
        found: dict[str, str] = {}
        if span_context[_STATE]:
            tracestate = w3c.format_tracestate(span_context)
            if tracestate is not None:
                found[messages.TRACESTATE] = tracestate
        if with_baggage:
            self._add_baggage(found, context)
        return found

    def _add_baggage(
        self, found: dict[str, str], context: otel_context.Context
    ) -> None:
        if self._baggage and not _is_plain(context):
            # Few requests have any.
            from oslo_tracing.propagation import baggage

            members = baggage.inject(context)
            if members is not None:
                found[messages.BAGGAGE] = members

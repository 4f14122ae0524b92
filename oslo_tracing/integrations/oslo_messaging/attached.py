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

"""What both sides of messages have in common."""

from __future__ import annotations

from typing import Any
from typing import TypeAlias

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _ready
from oslo_tracing import context
from oslo_tracing import integrations
from oslo_tracing.integrations.oslo_messaging import neighbours
from oslo_tracing.integrations.oslo_messaging import places
from oslo_tracing import propagation
from oslo_tracing.propagation import trust
from oslo_tracing.propagation import w3c

_STATE = _current.STATE
_SPAN_KEY = _current.SPAN_KEY

#: What a context has that may speak against a span of ours.
_MATTERS = frozenset(
    (_current.SUPPRESS_ALL, _current.SUPPRESS_PLAIN, _SPAN_KEY)
)
#: Characters of the longest text that a span takes without a look at it.
_MAX_TEXT = 255


#: A message that is being handled: the receiver's span, None where nobody
#: records it; what it runs under, of ``context.root()``; what leaves that.
Begun: TypeAlias = tuple[trace.Span | None, otel_context.Context, Any]


class Attached:
    """Makes functions that stand in for those of oslo.messaging.

    :param toolbox: of the integration.
    :param others: who may trace the same messages.
    :param known: where messages come from and go to.
    """

    def __init__(
        self,
        toolbox: integrations.Toolbox,
        others: neighbours.Neighbours,
        known: places.Places,
    ) -> None:
        settings = toolbox.settings
        self._tracer = toolbox.tracer('oslo_messaging')
        self._settings = settings
        self._propagation = toolbox.propagation
        self._others = others
        self._places = known
        self._drops = toolbox.drops
        self._believes = settings.incoming_rpc == trust.TRUST
        #: Nothing is recorded below senders who are believed, and do not
        #: record: it was asked for one.
        self._drops_all = False
        #: Where it may have to be cut, the span does that.
        self._longest = (
            _MAX_TEXT if settings.attribute_length_limit >= _MAX_TEXT else -1
        )
        self._on = True

    def _is_wanted(
        self, where: otel_context.Context, kinds: frozenset[trace.SpanKind]
    ) -> bool:
        """Say whether there is to be a span of ours in a context.

        :param kinds: that it may have.
        """
        if _MATTERS.isdisjoint(where):
            return True
        if _current.is_suppressed(where):
            return False
        active = where.get(_SPAN_KEY)
        return active is None or not self._others.trace(active, kinds)

    def _own(self, name: str, text: Any) -> dict[str, Any] | None:
        """Return an attribute for the start of a span.

        What is set later the span has to look at, which takes as long as
        its start.

        :returns: None where it is to be looked at.
        """
        if type(text) is str and len(text) <= self._longest and text.isascii():
            return {name: text}
        return None

    def _start(
        self,
        sent: propagation.Incoming,
        ready: _ready.Ready,
        name: str,
        text: str | None,
        mark: str | None = None,
    ) -> Begun:
        """Start the span of a message that has come, and enter it.

        :param sent: what its sender said.
        :param name: of an attribute that is this message's alone.
        :param text: its value, None if it has none.
        :param mark: a key by which the span is in its context, too.
        """
        own = self._own(name, text)
        if self._believes and sent.span_context is not None:
            where = sent.context
            span = self._tracer.start_ready(ready, where, own)
        else:
            parentage = trust.decide(sent, self._settings.incoming_rpc)
            where = parentage.context
            wanted = context.want_trace_id(parentage.trace_id)
            try:
                span = self._tracer.start_ready(
                    ready, where, own, parentage.links
                )
            finally:
                context.forget_trace_id(wanted)
        if own is None and text is not None and span.is_recording():
            span.set_attribute(name, text)
        current = context.root(where, span, {mark: span} if mark else None)
        return span, current, context.enter(current)

    def _dropped(
        self, sent: propagation.Incoming, sender: trace.SpanContext
    ) -> otel_context.Context | None:
        """Return what a message is handled in that nobody records.

        :param sender: of the message, who does not record it.
        :returns: None where that is to be decided.
        """
        if not self._believes or sender[_STATE]:
            return None
        if not self._drops_all:
            if not self._drops(sender):
                return None
            self._drops_all = True
        return context.unrecorded_root(w3c.unrecorded(sender), sent.context)

    def stop(self) -> None:
        """Do nothing from now on, should somebody still hold our functions."""
        self._on = False

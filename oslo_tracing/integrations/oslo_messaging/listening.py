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

"""The receiver's side of notifications, one by one and in batches."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _ready
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing.integrations.oslo_messaging import attached
from oslo_tracing.integrations.oslo_messaging import describing
from oslo_tracing.integrations.oslo_messaging import dispatching
from oslo_tracing.integrations.oslo_messaging import neighbours
from oslo_tracing.integrations.oslo_messaging import places
from oslo_tracing import propagation
from oslo_tracing.propagation import trust
from oslo_tracing import recording
from oslo_tracing.scrub import names as scrub

#: Links of a batch's span; the SDK's own limit is the same.
MAX_LINKS = 128

_EMPTY = otel_context.Context()
# Where the context has our span, and only ours, for the errors of callbacks.
_OURS = _current.NOTIFICATION


class Receiver(dispatching.Receiving):
    """Makes what stands in for the dispatchers' methods."""

    is_rpc = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._names = scrub.NameBudget(describing.MAX_NAMES)

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``NotificationDispatcher.dispatch``."""
        return dispatching.processing(original, self._begin, self._settings)

    def around_batch(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``BatchNotificationDispatcher.dispatch``."""
        return dispatching.processing(
            original, self._begin_batch, self._settings
        )

    def around_callback(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``_exec_callback``, which swallows what an endpoint raises."""

        def _exec_callback(
            dispatcher: Any, callback: Any, /, *args: Any, **kwargs: Any
        ) -> Any:
            span = _current.context().get(_OURS) if self._on else None
            if (
                span is None
                or not isinstance(span, trace.Span)
                or not span.is_recording()
            ):
                return original(dispatcher, callback, *args, **kwargs)

            def noting(*args: Any, **kwargs: Any) -> Any:
                try:
                    return callback(*args, **kwargs)
                except BaseException as error:
                    recording.record_error(span, error, self._settings)
                    raise

            return original(dispatcher, noting, *args, **kwargs)

        return _exec_callback

    def _recorded(
        self, sent: propagation.Incoming, dispatcher: Any, incoming: Any
    ) -> attached.Begun:
        return self._start(
            sent,
            self._described(self._places.of_dispatcher(dispatcher), incoming),
            names.OPENSTACK_NOTIFICATION_PUBLISHER_ID,
            places.bounded(incoming.message.get('publisher_id'), 255),
            _OURS,
        )

    def _described(self, place: places.Place, incoming: Any) -> _ready.Ready:
        message = incoming.message
        event_type, priority = (
            message.get('event_type'),
            message.get('priority'),
        )
        routing_key = places.delivery(incoming).routing_key
        key = (event_type, priority, routing_key)
        is_text = type(event_type) is str and type(priority) is str
        if is_text:
            known: _ready.Ready | None = place.kept.get(key)
            if known is not None:
                return known
        destination = _destination(place, routing_key, priority)
        kind = scrub.event_type(event_type, self._names)
        found = _ready.Ready(
            f'{describing.PROCESS} {kind}',
            trace.SpanKind.CONSUMER,
            describing.notification_attributes(
                place, describing.PROCESS, destination, kind, priority
            ),
        )
        if is_text:
            place.keep(key, found)
        return found

    def _begin_batch(
        self, dispatcher: Any, incoming: Any
    ) -> attached.Begun | None:
        if not self._on:
            return None
        links: list[trace.Link] = []
        for each in incoming:
            sent = self._propagation.from_message(each.ctxt)
            each.ctxt = propagation.without_keys(each.ctxt)
            if sent.span_context is not None and len(links) < MAX_LINKS:
                links.append(self._link(sent, each))
        if not self._is_wanted(_current.context(), neighbours.RECEIVING):
            return None
        place = self._places.of_dispatcher(dispatcher)
        attributes: dict[str, Any] = {
            names.MESSAGING_OPERATION_TYPE: describing.PROCESS,
            names.MESSAGING_OPERATION_NAME: describing.PROCESS,
            names.MESSAGING_BATCH_MESSAGE_COUNT: len(incoming),
            **place.attributes,
        }
        if place.topic is not None:
            attributes[names.MESSAGING_DESTINATION_NAME] = place.topic
        topics = ','.join(place.topics)
        span = self._tracer.start_span(
            f'{describing.PROCESS} {scrub.event_type(topics)}'
            if topics
            else describing.PROCESS,
            _EMPTY,
            trace.SpanKind.CONSUMER,
            attributes,
            links,
        )
        current = context.root(_EMPTY, span, {_OURS: span})
        return span, current, context.enter(current)

    def _link(self, sent: Any, incoming: Any) -> trace.Link:
        attributes: dict[str, Any] = {}
        linked = sent.span_context
        if self._settings.incoming_rpc != trust.TRUST:
            for untrusted in trust.decide(sent, trust.LINK).links:
                linked = untrusted.context
                attributes.update(untrusted.attributes or {})
        message = incoming.message
        if isinstance(message, Mapping):
            message_id = places.bounded(message.get('message_id'))
            if message_id is not None:
                attributes[names.MESSAGING_MESSAGE_ID] = message_id
        return trace.Link(linked, attributes)


def _destination(
    place: places.Place, routing_key: Any, priority: Any
) -> str | None:
    """Return the topic of a notification, with its priority as on the bus."""
    routing_key = places.bounded(routing_key, 255)
    if routing_key is not None:
        return str(routing_key)
    if place.topic is None or not isinstance(priority, str):
        return place.topic
    priority = priority.lower()
    if priority not in describing.PRIORITIES:
        return place.topic
    return f'{place.topic}.{priority}'

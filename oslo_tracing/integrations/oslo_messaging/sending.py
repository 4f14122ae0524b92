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

"""The sender's side of RPC and notifications."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import _ready
from oslo_tracing import _regex
from oslo_tracing import attributes as names
from oslo_tracing.integrations.oslo_messaging import attached
from oslo_tracing.integrations.oslo_messaging import describing
from oslo_tracing.integrations.oslo_messaging import neighbours
from oslo_tracing.integrations.oslo_messaging import places
from oslo_tracing import recording
from oslo_tracing.scrub import names as scrub

_context = _current.context
_SPAN_KEY = _current.SPAN_KEY

_REMOTE = '_Remote'
_MAX_CLASS_NAME = 256
#: What Python writes below the class are notes of the exception's.
_MAX_LAST_LINES = 8
_CLASS_NAME = _regex.late(r'[A-Za-z_][A-Za-z0-9_.]{0,127}')


class Sender(attached.Attached):
    """Makes what stands in for the two sending methods of a transport."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._names = scrub.NameBudget(describing.MAX_NAMES)

    def around_rpc(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``Transport._send``."""
        return self._around(
            original, self._rpc, True, 'starting the span of an RPC'
        )

    def around_notification(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``Transport._send_notification``."""
        return self._around(
            original,
            self._notification,
            # A stranger may get it.
            False,
            'starting the span of a notification',
        )

    def _around(
        self,
        original: Callable[..., Any],
        start: Callable[..., trace.Span],
        baggage: bool,
        doing: str,
    ) -> Callable[..., Any]:
        """Return what stands in for a sending method.

        :param start: starts the span; called with the context that is
            current, and with what the method is called with but ``ctxt``.
        :param baggage: is carried.
        :param doing: what it does, in words.
        """

        def send(
            transport: Any,
            target: Any,
            ctxt: Any,
            message: Any,
            *args: Any,
            **kwargs: Any,
        ) -> Any:
            span = token = None
            try:
                if self._on:
                    where = _context()
                    unrecorded = _current.unrecorded(where)
                    if unrecorded is not None:
                        ctxt = self._propagation.hand_on(ctxt, unrecorded)
                    elif (
                        type(message) is dict or isinstance(message, Mapping)
                    ) and self._is_wanted(where, neighbours.SENDING):
                        started = start(
                            where, transport, target, message, args, kwargs
                        )
                        # The same as with_span() does, without a call.
                        values = where.copy()
                        values[_SPAN_KEY] = started
                        current = otel_context.Context(values)
                        ctxt = self._propagation.into_message(
                            ctxt, current, baggage=baggage
                        )
                        token = _current.attach(current)
                        span = started
            except Exception:
                _guard.report(doing)
            if span is None:
                return original(
                    transport, target, ctxt, message, *args, **kwargs
                )
            try:
                return original(
                    transport, target, ctxt, message, *args, **kwargs
                )
            except BaseException as error:
                self._failed(span, error)
                raise
            finally:
                _end(span, token)

        return send

    def _rpc(
        self,
        where: otel_context.Context,
        transport: Any,
        target: Any,
        message: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> trace.Span:
        wait = args[0] if args else kwargs.get('wait_for_reply')
        how = (
            describing.CALL
            if wait
            else describing.FANOUT
            if target.fanout
            else describing.CAST
        )
        place = self._places.of_transport(transport)
        key = (
            how,
            target.topic,
            message.get('namespace'),
            message.get('method'),
            message.get('version'),
        )
        described = place.kept.get(key)
        if described is None:
            described = self._describe_rpc(place, *key)
            place.keep(key, described)
        server, own = target.server, None
        if server is None:
            return self._tracer.start_ready(described, where)
        if _is_recorded(where):
            own = self._own(names.OPENSTACK_RPC_SERVER, server)
        span = self._tracer.start_ready(described, where, own)
        if own is None and span.is_recording():
            span.set_attribute(names.OPENSTACK_RPC_SERVER, str(server))
        return span

    def _describe_rpc(
        self,
        place: places.Place,
        how: str,
        topic: Any,
        namespace: Any,
        method: Any,
        version: Any,
    ) -> _ready.Ready:
        where = describing.rpc_scope(namespace, topic)
        name = self._names.take(describing.rpc_name(where, method), '')
        if not name:
            method = scrub.OTHER
            name = describing.rpc_name(where, method)
        attributes = describing.rpc_attributes(
            place, how, topic, method, version
        )
        if how == describing.CALL:
            return _ready.Ready(name, trace.SpanKind.CLIENT, attributes)
        attributes[names.MESSAGING_OPERATION_TYPE] = describing.SEND
        attributes[names.MESSAGING_OPERATION_NAME] = how
        return _ready.Ready(name, trace.SpanKind.PRODUCER, attributes)

    def _notification(
        self,
        where: otel_context.Context,
        transport: Any,
        target: Any,
        message: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> trace.Span:
        place = self._places.of_transport(transport)
        event_type = message.get('event_type')
        if not isinstance(event_type, str):
            event_type = str(event_type)
        key = (target.topic, event_type, message.get('priority'))
        described = place.kept.get(key)
        if described is None:
            kind = scrub.event_type(event_type, self._names)
            described = _ready.Ready(
                f'{describing.SEND} {kind}',
                trace.SpanKind.PRODUCER,
                describing.notification_attributes(
                    place,
                    describing.SEND,
                    target.topic,
                    kind,
                    message.get('priority'),
                ),
            )
            place.keep(key, described)
        name, own = names.OPENSTACK_NOTIFICATION_PUBLISHER_ID, None
        if _is_recorded(where):
            publisher = places.bounded(message.get('publisher_id'), 255)
            own = self._own(name, publisher)
        span = self._tracer.start_ready(described, where, own)
        if own is None and span.is_recording():
            publisher = places.bounded(message.get('publisher_id'), 255)
            if publisher is not None:
                span.set_attribute(name, publisher)
        return span

    def _failed(self, span: trace.Span, error: BaseException) -> None:
        """Note what the driver raised, or the other side."""
        try:
            kind = remote_class(error)
        except Exception:
            # A class may say anything of itself, or nothing.
            kind = None
        recording.record_error(span, error, self._settings, kind=kind)


def _is_recorded(where: otel_context.Context) -> bool:
    """Say whether what starts in a context is, as good as always."""
    active: Any = where.get(_SPAN_KEY)
    return active is not None and bool(active.is_recording())


def _end(span: trace.Span, token: Any) -> None:
    """End the span of a sent message and put back what was current."""
    try:
        try:
            _current.detach(token)
        finally:
            span.end()
    except Exception:
        _guard.report('ending the span of a sent message')


def remote_class(error: BaseException) -> str | None:
    """Return the class that a remote exception had where it was raised.

    oslo.messaging rebuilds it under another name, or, where its module may
    not be imported, tells its name in a ``RemoteError``.

    :returns: None for an exception of this process.
    """
    kind = type(error)
    module, name = kind.__module__, kind.__name__
    if name.endswith(_REMOTE) and module.endswith(_REMOTE):
        return f'{module.removesuffix(_REMOTE)}.{name.removesuffix(_REMOTE)}'
    if name == 'RemoteError' and module.startswith('oslo_messaging.'):
        told = getattr(error, 'exc_type', None)
        if isinstance(told, str) and _CLASS_NAME.fullmatch(told):
            return _with_module(told, getattr(error, 'traceback', None))
    return None


def _with_module(name: str, lines: object) -> str:
    """Return a class's name as the last lines of its traceback have it.

    :param lines: of the other process, as Python formats them, of which the
        one that begins with the class is among the last.
    """
    if isinstance(lines, list):
        for line in reversed(lines[-_MAX_LAST_LINES:]):
            found = str(line)[:_MAX_CLASS_NAME].split(':', 1)[0].strip()
            if found.endswith(f'.{name}') and _CLASS_NAME.fullmatch(found):
                return found
    return name

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
import functools
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import _ready
from oslo_tracing import _regex
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing.integrations.oslo_messaging import attached
from oslo_tracing.integrations.oslo_messaging import describing
from oslo_tracing.integrations.oslo_messaging import places
from oslo_tracing import recording
from oslo_tracing.scrub import names as scrub
from oslo_tracing import settings as settings_module

_REMOTE = '_Remote'
_CLASS_NAME = _regex.late(r'[A-Za-z_][A-Za-z0-9_.]{0,127}')


class Sending:
    """A message on its way, under a span that is the current one.

    :param span: the sender's.
    :param ctxt: the context that the message carries.
    :param settings: what to record of exceptions.
    :param token: of what was current before.
    """

    __slots__ = ('_settings', '_span', '_token', 'ctxt')

    def __init__(
        self,
        span: trace.Span,
        ctxt: Any,
        settings: settings_module.Settings,
        token: Any,
    ) -> None:
        self._span = span
        self.ctxt = ctxt
        self._settings = settings
        self._token = token

    def failed(self, error: BaseException) -> None:
        """Note what the driver raised, or the other side."""
        try:
            kind = remote_class(error)
        except Exception:
            # A class may say anything of itself, or nothing.
            kind = None
        recording.record_error(self._span, error, self._settings, kind=kind)

    def end(self) -> None:
        """End the span and put back what was current."""
        try:
            try:
                context.detach(self._token)
            finally:
                self._span.end()
        except Exception:
            _guard.report('ending the span of a sent message')


def _call(
    sending: Sending,
    original: Callable[..., Any],
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Send a message, with the trace in its context."""
    try:
        return original(sending.ctxt, *args, **kwargs)
    except BaseException as error:
        sending.failed(error)
        raise
    finally:
        sending.end()


class Sender(attached.Attached):
    """Makes what stands in for the two sending methods of a transport."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._names = scrub.NameBudget(describing.MAX_NAMES)

    def around_rpc(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``Transport._send``."""

        def _send(
            transport: Any,
            target: Any,
            ctxt: Any,
            message: Any,
            *args: Any,
            **kwargs: Any,
        ) -> Any:
            sending = None
            try:
                unrecorded = _current.unrecorded() if self._on else None
                if unrecorded is not None:
                    ctxt = self._propagation.hand_on(ctxt, unrecorded)
                elif self._wanted(message):
                    wait = args[0] if args else kwargs.get('wait_for_reply')
                    sending = self._rpc(transport, target, ctxt, message, wait)
            except Exception:
                _guard.report('starting the span of an RPC')
            if sending is None:
                return original(
                    transport, target, ctxt, message, *args, **kwargs
                )
            call = functools.partial(original, transport, target)
            return _call(sending, call, message, *args, **kwargs)

        return _send

    def around_notification(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``Transport._send_notification``."""

        def _send_notification(
            transport: Any,
            target: Any,
            ctxt: Any,
            message: Any,
            *args: Any,
            **kwargs: Any,
        ) -> Any:
            sending = None
            try:
                unrecorded = _current.unrecorded() if self._on else None
                if unrecorded is not None:
                    ctxt = self._propagation.hand_on(ctxt, unrecorded)
                elif self._wanted(message):
                    sending = self._notification(
                        transport, target, ctxt, message
                    )
            except Exception:
                _guard.report('starting the span of a notification')
            if sending is None:
                return original(
                    transport, target, ctxt, message, *args, **kwargs
                )
            call = functools.partial(original, transport, target)
            return _call(sending, call, message, *args, **kwargs)

        return _send_notification

    def _wanted(self, message: Any) -> bool:
        return (
            self._on
            and (type(message) is dict or isinstance(message, Mapping))
            and not context.is_suppressed()
            and not self._others.send()
        )

    def _rpc(
        self, transport: Any, target: Any, ctxt: Any, message: Any, wait: Any
    ) -> Sending:
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
        where = _current.context()
        span = self._tracer.start_ready(described, where)
        if target.server is not None and span.is_recording():
            span.set_attribute(names.OPENSTACK_RPC_SERVER, str(target.server))
        return self._under(span, where, ctxt, True)

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
        self, transport: Any, target: Any, ctxt: Any, message: Any
    ) -> Sending:
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
        where = _current.context()
        span = self._tracer.start_ready(described, where)
        if span.is_recording():
            publisher = places.bounded(message.get('publisher_id'), 255)
            if publisher is not None:
                span.set_attribute(
                    names.OPENSTACK_NOTIFICATION_PUBLISHER_ID, publisher
                )
        return self._under(span, where, ctxt, False)

    def _under(
        self,
        span: trace.Span,
        where: otel_context.Context,
        ctxt: Any,
        baggage: bool,
    ) -> Sending:
        current = _current.with_span(span, where)
        carried = self._propagation.into_message(
            ctxt, current, baggage=baggage
        )
        return Sending(span, carried, self._settings, _current.attach(current))


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
            return told
    return None

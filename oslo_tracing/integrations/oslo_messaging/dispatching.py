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

"""The answering side of RPC."""

from __future__ import annotations

import abc
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import _ready
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing.integrations.oslo_messaging import attached
from oslo_tracing.integrations.oslo_messaging import describing
from oslo_tracing.integrations.oslo_messaging import neighbours
from oslo_tracing.integrations.oslo_messaging import places
from oslo_tracing import propagation
from oslo_tracing import recording
from oslo_tracing.scrub import names as scrub
from oslo_tracing import settings as settings_module

_EMPTY = otel_context.Context()
_FLAGS: Final = _current.FLAGS
_SAMPLED: Final = trace.TraceFlags.SAMPLED
_Unrecorded = _current.Unrecorded

_MAX_METHOD = 128
_MAX_ID = 128


def processing(
    original: Callable[..., Any],
    begin: Callable[[Any, Any], attached.Begun | None],
    settings: settings_module.Settings,
) -> Callable[..., Any]:
    """Return what stands in for the ``dispatch`` of a dispatcher.

    :param begin: called with the dispatcher and what came in; returns None
        where nothing is to be recorded.
    :param settings: what to record of exceptions.
    """

    def dispatch(dispatcher: Any, incoming: Any) -> Any:
        begun = None
        try:
            begun = begin(dispatcher, incoming)
        except Exception:
            _guard.report('starting the span of a received message')
        if begun is None:
            return original(dispatcher, incoming)
        span, current, token = begun
        try:
            return original(dispatcher, incoming)
        except BaseException as error:
            if span is not None:
                _failed(span, error, settings)
            raise
        finally:
            _end(span, current, token)

    return dispatch


def _failed(
    span: trace.Span, error: BaseException, settings: settings_module.Settings
) -> None:
    """Note what the endpoint raised, or the dispatcher."""
    try:
        expected = _expected(error)
        if expected is None:
            recording.record_error(span, error, settings)
        else:
            recording.record_error(span, expected, settings, status=False)
    except Exception:
        _guard.report('recording the error of an RPC method')


def _end(
    span: trace.Span | None, current: otel_context.Context, token: Any
) -> None:
    """End the span; the worker keeps nothing of it."""
    try:
        try:
            context.leave(token)
        finally:
            context.ended(current)
            if span is not None:
                span.end()
    except Exception:
        _guard.report('ending the span of a received message')


class Receiving(attached.Attached, abc.ABC):
    """What a dispatcher does before a message is handled.

    :cvar is_rpc: OSProfiler can be in its messages, too.
    """

    is_rpc: bool

    def _begin(self, dispatcher: Any, incoming: Any) -> attached.Begun | None:
        if not self._on:
            return None
        # First of all, and whoever traces: what a sender has added is not
        # for the service.
        sent, incoming.ctxt = self._propagation.taken(
            incoming.ctxt, self.is_rpc, self._drops_all
        )
        message = incoming.message
        if not (type(message) is dict or isinstance(message, Mapping)):
            return None
        where = _current.context()
        # Mostly nothing is active here.
        if where and not self._is_wanted(where, neighbours.RECEIVING):
            return None
        if isinstance(sent, _Unrecorded):
            current = context.unrecorded_root(sent, _EMPTY)
            return None, current, context.enter(current)
        sender = sent.span_context
        if sender is not None and not sender[_FLAGS] & _SAMPLED:
            dropped = self._dropped(sent, sender)
            if dropped is not None:
                return None, dropped, context.enter(dropped)
        return self._recorded(sent, dispatcher, incoming)

    @abc.abstractmethod
    def _recorded(
        self, sent: propagation.Incoming, dispatcher: Any, incoming: Any
    ) -> attached.Begun:
        """Start the span of a message."""


class Receiver(Receiving):
    """Makes what stands in for ``RPCDispatcher.dispatch``."""

    is_rpc = True

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``RPCDispatcher.dispatch``."""
        return processing(original, self._begin, self._settings)

    def _recorded(
        self, sent: propagation.Incoming, dispatcher: Any, incoming: Any
    ) -> attached.Begun:
        return self._start(
            sent,
            self._described(dispatcher, incoming),
            names.MESSAGING_MESSAGE_ID,
            _message_id(incoming),
        )

    def _described(self, dispatcher: Any, incoming: Any) -> _ready.Ready:
        message = incoming.message
        place = self._places.of_dispatcher(dispatcher)
        is_call = getattr(incoming, 'reply_q', None) or getattr(
            incoming, '_reply_q', None
        )
        key = (
            describing.CALL if is_call else _one_way(incoming),
            message.get('namespace'),
            message.get('method'),
            message.get('version', '1.0'),
        )
        try:
            known: _ready.Ready | None = place.kept.get(key)
            if known is not None:
                return known
        except Exception:  # noqa: S110 - what cannot be a key is not text
            pass
        how, *called = key
        if not _is_text(*called):
            return _describe(place, how, None, *called)
        endpoint = _endpoint(dispatcher, *called)
        described = _describe(place, how, endpoint, *called)
        # Anybody can make up methods that nobody has.
        if endpoint is not None:
            place.keep(key, described)
        return described


def _is_text(namespace: Any, method: Any, version: Any) -> bool:
    return (
        (namespace is None or type(namespace) is str)
        and type(method) is str
        and type(version) is str
        and len(method) <= _MAX_METHOD
        and len(version) <= _MAX_METHOD
    )


def _describe(
    place: places.Place,
    how: str,
    endpoint: Any,
    namespace: Any,
    method: Any,
    version: Any,
) -> _ready.Ready:
    if endpoint is None:
        namespace, method, version = None, scrub.OTHER, None
    attributes = describing.rpc_attributes(
        place, how, place.topic, method, version
    )
    if place.server:
        attributes[names.OPENSTACK_RPC_SERVER] = str(place.server)
    if endpoint is not None:
        attributes[names.CODE_FUNCTION_NAME] = _function(endpoint, method)
    if namespace or place.topic:
        where = describing.rpc_scope(namespace, place.topic)
        name = describing.rpc_name(where, method)
    else:
        name = method
    if how == describing.CALL:
        return _ready.Ready(name, trace.SpanKind.SERVER, attributes)
    attributes[names.MESSAGING_OPERATION_TYPE] = describing.PROCESS
    attributes[names.MESSAGING_OPERATION_NAME] = describing.PROCESS
    return _ready.Ready(name, trace.SpanKind.CONSUMER, attributes)


def _endpoint(
    dispatcher: Any, namespace: str | None, method: str, version: str
) -> Any:
    """Return whom the dispatcher is going to call, or None.

    It asks its endpoints the same questions in the same order.
    """
    try:
        for endpoint in dispatcher.endpoints:
            target = getattr(endpoint, 'target', None)
            target = target or dispatcher._default_target
            if (
                dispatcher._is_namespace(target, namespace)
                and dispatcher._is_compatible(target, version)
                and hasattr(endpoint, method)
                and dispatcher.access_policy.is_allowed(endpoint, method)
            ):
                return endpoint
    except Exception:  # noqa: S110 - the dispatcher will raise the same
        pass
    return None


def _function(endpoint: Any, method: str) -> str:
    """Return the full name of a method, as its class has it.

    The function would not do: decorators such as ``expected_exceptions``
    give it a name of theirs.
    """
    kind = type(endpoint)
    for base in kind.__mro__:
        if method in vars(base):
            kind = base
            break
    return f'{kind.__module__}.{kind.__qualname__}.{method}'


def _one_way(incoming: Any) -> str:
    """Return how a message without an answer was sent, as far as is told.

    Only AMQP shows which of those went to all servers.
    """
    exchange = places.delivery(incoming).exchange
    if exchange is not None and exchange.endswith('_fanout'):
        return describing.FANOUT
    return describing.CAST


def _message_id(incoming: Any) -> str | None:
    """Return the id that a message has on the wire, else in the log."""
    found = (
        getattr(incoming, 'orig_msg_id', None)
        or getattr(incoming, 'unique_id', None)
        or getattr(incoming, 'msg_id', None)
        or None
    )
    if type(found) is str and len(found) <= _MAX_ID and found.isprintable():
        return found
    for name in ('orig_msg_id', 'unique_id', 'msg_id') if found else ():
        found = places.bounded(getattr(incoming, name, None), _MAX_ID)
        if found is not None:
            return found
    return None


def _expected(error: BaseException) -> BaseException | None:
    """Return what an ``ExpectedException`` was made for."""
    kind = type(error)
    if kind.__name__ != 'ExpectedException':
        return None
    if not kind.__module__.startswith('oslo_messaging.'):
        return None
    found = getattr(error, 'exc_info', (None, None, None))[1]
    return found if isinstance(found, BaseException) else error

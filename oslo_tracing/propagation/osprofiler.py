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

"""OSProfiler's signed pair of headers, in and out, and its key in messages.

``X-Trace-Info`` is JSON in base64, ``X-Trace-HMAC`` the HMAC-SHA1 of that
text: byte for byte what osprofiler 4.4 and the copies of it in tempest and
in other clients send and read. Written here once more, since osprofiler is
not everywhere, and its own function raises where a signature is not ASCII.

In the context of an RPC message services put the same two ids, and the key
itself, as ``trace_info``. Most clouds have none of this: who reads and writes
the trace imports it where it is asked for.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from collections.abc import Sequence
import hashlib
import hmac
import json
import re
from typing import Any
from typing import NamedTuple
import uuid

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _regex
from oslo_tracing import propagation
from oslo_tracing.propagation import incoming
from oslo_tracing.propagation import w3c

INFO, HMAC = propagation.PAIR
#: The same in an environment of WSGI.
INFO_KEY = 'HTTP_X_TRACE_INFO'
HMAC_KEY = 'HTTP_X_TRACE_HMAC'

_MAX_INFO = 1024
_IN_MESSAGE = frozenset(('base_id', 'hmac_key', 'parent_id'))
_SIGNATURE = _regex.late('[0-9a-f]{40}')
_UUID = _regex.late(
    '[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}',
    re.IGNORECASE,
)
_LOW = (1 << 64) - 1
_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)

# By its number or as a Key: a context is shown here and there, and the text
# of a key never is.
_ASKED_BY = _current.ASKED_BY


class Key:
    """A key of OSProfiler, which no representation shows.

    :param text: the key.
    """

    __slots__ = ('_keyed', '_text')

    def __init__(self, text: str) -> None:
        self._text = text
        self._keyed = hmac.new(
            text.encode('utf-8', 'surrogateescape'), digestmod=hashlib.sha1
        )

    def reveal(self) -> str:
        """Return the key: osprofiler puts it into messages."""
        return self._text

    def sign(self, data: bytes) -> str:
        """Return the signature of some data."""
        made = self._keyed.copy()
        made.update(data)
        return made.hexdigest()


class Sent(NamedTuple):
    """What the sender of a message asks for.

    :param trace_id: the 128 bits of ``base_id``.
    :param span_id: as of :class:`Pair`.
    :param key: the one that it has asked with.
    """

    trace_id: int
    span_id: int | None
    key: Key


class Pair(NamedTuple):
    """What the holder of a key asks for.

    :param trace_id: the 128 bits of ``base_id``.
    :param span_id: the low 64 bits of ``parent_id``; None where the client
        itself is the parent, which has no span: there ours is the root.
    :param key: number of the key.
    """

    trace_id: int
    span_id: int | None
    key: int


class Pairs:
    """Reads and writes the pair; shows its keys to nobody.

    :param keys: OSProfiler's; without any, none of a request is believed.
    """

    __slots__ = ('_keys',)

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(Key(key) for key in keys)

    def asked_with(self, context: otel_context.Context) -> Key | None:
        """Return the key that the trace of a context was asked for with."""
        found: Any = context.get(_ASKED_BY)
        return self._keys[found] if isinstance(found, int) else found

    def read(self, environ: Mapping[str, Any]) -> Pair | None:
        """Return the pair of a request, or None. Never raises.

        :param environ: of WSGI.
        """
        info = environ.get(INFO_KEY)
        signature = environ.get(HMAC_KEY)
        if (
            not isinstance(info, str)
            or not isinstance(signature, str)
            or not 0 < len(info) <= _MAX_INFO
            or not info.isascii()
            or len(signature) > _MAX_INFO
        ):
            return None
        signature = signature.strip()
        if _SIGNATURE.fullmatch(signature) is None:
            return None
        data = info.encode()
        found = None
        for number, key in enumerate(self._keys):
            expected = key.sign(data)
            if hmac.compare_digest(expected.encode(), signature.encode()):
                found = number if found is None else found
        return None if found is None else _read(data, found)

    def headers(
        self, span_context: trace.SpanContext, context: otel_context.Context
    ) -> dict[str, str]:
        """Return the pair to send on, empty where nobody has asked for it.

        :param span_context: of the span that is sent.
        :param context: with what :func:`asked_for` has noted.
        """
        key = self.asked_with(context)
        if key is None or not span_context.trace_flags.sampled:
            return {}
        data = base64.urlsafe_b64encode(
            json.dumps(
                {
                    'base_id': base_id(span_context),
                    'parent_id': element_id(span_context),
                }
            ).encode()
        )
        return {INFO: data.decode(), HMAC: key.sign(data)}


def base_id(span_context: trace.SpanContext) -> str:
    """Return what OSProfiler calls a trace."""
    return str(uuid.UUID(int=span_context.trace_id))


def element_id(span_context: trace.SpanContext) -> str:
    """Return what OSProfiler calls a span.

    The low half leads back to it.
    """
    high = span_context.trace_id & ~_LOW
    return str(uuid.UUID(int=high | span_context.span_id))


def ids(base: Any, parent: Any) -> tuple[int, int | None] | None:
    """Return which trace and which span two ids of OSProfiler stand for.

    :returns: the span is None where the client itself is the parent; all is
        None where one of them is no UUID.
    """
    trace_id = _number(base)
    parent_id = _number(parent)
    if not trace_id or not parent_id:
        return None
    if parent_id == trace_id:
        return trace_id, None
    span_id = parent_id & _LOW
    return (trace_id, span_id) if span_id else None


def asked_for(
    context: otel_context.Context, pair: Pair
) -> otel_context.Context:
    """Return a context in which it is noted that a pair has come.

    What is sent from there has a pair too, for services that know nothing
    else.
    """
    return otel_context.set_value(_ASKED_BY, pair.key, context)


def asked_for_with(
    context: otel_context.Context, key: Key
) -> otel_context.Context:
    """Do the same for a key that came in a message, or from the service."""
    return otel_context.set_value(_ASKED_BY, key, context)


def asked(
    found: incoming.Incoming, info: Any, ours: bool
) -> incoming.Incoming:
    """Return what a message says that OSProfiler is in, too.

    :param found: what W3C's keys say, which tell the parent where both are
        of one trace.
    :param info: whatever stands at ``trace_info``.
    :param ours: messages are believed, so their traces may be signed.
    """
    sent = from_message(info)
    if sent is None:
        return found
    sender = found.span_context
    if sender is not None:
        if sender.trace_id != sent.trace_id:
            return found
        context = asked_for_with(found.context, sent.key)
        return found._replace(context=context)
    context = asked_for_with(incoming.NOBODY.context, sent.key)
    if sent.span_id is None:
        return incoming.Incoming(context, None, trace_id=sent.trace_id)
    sender = trace.SpanContext(
        sent.trace_id, sent.span_id, True, _SAMPLED, w3c.with_mark(None, ours)
    )
    span = trace.NonRecordingSpan(sender)
    return incoming.Incoming(
        otel_context.Context({**context, _current.SPAN_KEY: span}), sender
    )


def from_message(info: Any) -> Sent | None:
    """Return what ``trace_info`` of a message asks for. Never raises.

    :param info: whatever stands there.
    :returns: None for what no service with osprofiler sends.
    """
    if not isinstance(info, dict) or info.keys() != _IN_MESSAGE:
        return None
    key = info['hmac_key']
    found = ids(info['base_id'], info['parent_id'])
    if found is None or not isinstance(key, str) or not 0 < len(key) <= 1024:
        return None
    try:
        return Sent(*found, Key(key))
    except UnicodeEncodeError:
        return None


def with_parent(info: Any, span_context: trace.SpanContext) -> Any:
    """Return a copy of ``trace_info`` in which a span is the parent.

    :param info: not changed.
    :returns: the same object where it is of another trace, or no such.
    """
    if not isinstance(info, dict) or info.keys() != _IN_MESSAGE:
        return info
    if info['base_id'] != base_id(span_context):
        return info
    return {**info, 'parent_id': element_id(span_context)}


def _read(data: bytes, key: int) -> Pair | None:
    try:
        told: Any = json.loads(base64.urlsafe_b64decode(data))
    except (ValueError, RecursionError):
        return None
    if (
        not isinstance(told, dict)
        or 'base_id' not in told
        or told.keys() - {'base_id', 'parent_id'}
    ):
        return None
    found = ids(told['base_id'], told.get('parent_id', told['base_id']))
    return None if found is None else Pair(*found, key)


def _number(told: Any) -> int | None:
    if not isinstance(told, str) or _UUID.fullmatch(told) is None:
        return None
    return int(told.replace('-', ''), 16)

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

"""OSProfiler's signed pair of headers, in and out.

``X-Trace-Info`` is JSON in base64, ``X-Trace-HMAC`` the HMAC-SHA1 of that
text: byte for byte what osprofiler 4.4 and the copies of it in tempest and
in other clients send and read. Written here once more, since osprofiler is
not everywhere, and its own function raises where a signature is not ASCII.
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

INFO = 'x-trace-info'
HMAC = 'x-trace-hmac'
#: The same in an environment of WSGI.
INFO_KEY = 'HTTP_X_TRACE_INFO'
HMAC_KEY = 'HTTP_X_TRACE_HMAC'

_MAX_INFO = 1024
_SIGNATURE = re.compile('[0-9a-f]{40}')
_UUID = re.compile(
    '[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}',
    re.IGNORECASE,
)
_LOW = (1 << 64) - 1

#: Which key a trace was asked for with, by its number: a context is shown
#: here and there, and a key never is.
_ASKED_BY = otel_context.create_key('oslo_tracing.osprofiler')


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

    :param keys: OSProfiler's; not empty.
    """

    __slots__ = ('_keyed',)

    def __init__(self, keys: Sequence[str]) -> None:
        self._keyed = tuple(
            hmac.new(
                key.encode('utf-8', 'surrogateescape'), digestmod=hashlib.sha1
            )
            for key in keys
        )

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
        for number, keyed in enumerate(self._keyed):
            expected = _signed(keyed, data)
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
        number: Any = context.get(_ASKED_BY)
        if number is None or not span_context.trace_flags.sampled:
            return {}
        trace_id = span_context.trace_id
        # So that its low half leads back to the span.
        parent_id = (trace_id & ~_LOW) | span_context.span_id
        data = base64.urlsafe_b64encode(
            json.dumps(
                {
                    'base_id': str(uuid.UUID(int=trace_id)),
                    'parent_id': str(uuid.UUID(int=parent_id)),
                }
            ).encode()
        )
        return {
            INFO: data.decode(),
            HMAC: _signed(self._keyed[number], data),
        }


def asked_for(
    context: otel_context.Context, pair: Pair
) -> otel_context.Context:
    """Return a context in which it is noted that a pair has come.

    What is sent from there has a pair too, for services that know nothing
    else.
    """
    return otel_context.set_value(_ASKED_BY, pair.key, context)


def _signed(keyed: hmac.HMAC, data: bytes) -> str:
    made = keyed.copy()
    made.update(data)
    return made.hexdigest()


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
    base_id = _number(told['base_id'])
    parent_id = _number(told.get('parent_id', told['base_id']))
    if not base_id or not parent_id:
        return None
    if parent_id == base_id:
        return Pair(base_id, None, key)
    span_id = parent_id & _LOW
    return Pair(base_id, span_id, key) if span_id else None


def _number(told: Any) -> int | None:
    if not isinstance(told, str) or _UUID.fullmatch(told) is None:
        return None
    return int(told.replace('-', ''), 16)

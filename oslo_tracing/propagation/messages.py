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

"""The trace inside the context of an RPC message or a notification.

Why beside and not inside: what the service hands to oslo.messaging is the
service's, and on ``fake://`` the receiver gets that very object. So keys
are added to a copy that remembers what it was made from, and the receiver
gets the original back. On a real broker only the copy's keys arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The keys in a message's context, the same that oslo.messaging's own
#: tracing uses.
TRACEPARENT = 'traceparent'
TRACESTATE = 'tracestate'
BAGGAGE = 'baggage'
KEYS = frozenset((TRACEPARENT, TRACESTATE, BAGGAGE))
#: The key that services with OSProfiler put there.
TRACE_INFO = 'trace_info'


class _CarryingDict(dict[str, Any]):
    """A copy of a mapping that is not a plain dict, with the trace."""

    __slots__ = ('original',)

    original: Any


class _CarryingObject:
    """A context object on its way, with the trace beside it.

    Drivers ask an object for nothing but ``to_dict()``; whoever asks for
    more gets the original's.
    """

    __slots__ = ('original', 'trace')

    def __init__(self, original: Any, trace: Mapping[str, str]) -> None:
        self.original = original
        self.trace = trace

    def to_dict(self) -> Any:
        """Return what the original does, with the keys of the trace."""
        return _with(self.original.to_dict(), self.trace)

    def __getattr__(self, name: str) -> Any:
        # A copy that is not filled yet has no original to ask.
        if name in _CarryingObject.__slots__ or name.startswith('__'):
            raise AttributeError(name)
        return getattr(self.original, name)


def _with(values: Mapping[str, Any], trace: Mapping[str, str]) -> Any:
    carried = _without(values)
    carried.update(trace)
    return carried


def _without(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in KEYS}


def add(ctxt: Any, trace: Mapping[str, str]) -> Any:
    """Return a copy of a message's context that carries the trace.

    :param ctxt: the context as the driver would get it; not changed.
    :param trace: some of ``KEYS``; the others are taken out.
    :returns: the same object where nothing can be added: None, which only
        ``fake://`` accepts, and what no driver can send.
    """
    if type(ctxt) is dict:
        return {**_without_keys(ctxt), **trace}
    if isinstance(ctxt, dict) or (
        isinstance(ctxt, Mapping) and not hasattr(ctxt, 'to_dict')
    ):
        carried = _CarryingDict(_with(ctxt, trace))
        carried.original = original(ctxt)
        return carried
    if callable(getattr(ctxt, 'to_dict', None)):
        return _CarryingObject(original(ctxt), trace)
    return ctxt


def _without_keys(ctxt: dict[Any, Any]) -> dict[Any, Any]:
    kept = ctxt.copy()
    if not KEYS.isdisjoint(kept):
        for key in KEYS:
            kept.pop(key, None)
    return kept


def original(ctxt: Any) -> Any:
    """Return what the sender handed over, if it is still there."""
    if isinstance(ctxt, (_CarryingDict, _CarryingObject)):
        return ctxt.original
    return ctxt


def values(ctxt: Any) -> Mapping[str, Any] | None:
    """Return the mapping in which a receiver looks for ``KEYS``."""
    if type(ctxt) is dict:
        return ctxt
    if isinstance(ctxt, _CarryingObject):
        return ctxt.trace
    return ctxt if isinstance(ctxt, Mapping) else None


def mapping(ctxt: Any) -> Mapping[str, Any] | None:
    """Return the mapping in which a receiver looks for keys of others."""
    if type(ctxt) is dict:
        return ctxt
    if isinstance(ctxt, _CarryingObject):
        ctxt = ctxt.to_dict()
    return ctxt if isinstance(ctxt, Mapping) else None


def without_keys(ctxt: Any) -> Any:
    """Return a message's context as the service of the receiver knows it.

    :param ctxt: not changed, since on ``fake://`` a fanout hands one dict
        to all servers.
    :returns: a copy without ``KEYS``, or the sender's own object where
        that was carried inside this process.
    """
    if type(ctxt) is not dict:
        sent = original(ctxt)
        if sent is not ctxt or not isinstance(ctxt, Mapping):
            return sent
        return _without(ctxt)
    return _without_keys(ctxt)

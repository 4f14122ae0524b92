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

"""Who asks whom, known of those who have asked for the like before.

Load balancers, other services and clients ask again and again, with the
same host, agent and address. Their spans share what is said of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import TypeAlias

from opentelemetry import trace

from oslo_tracing import _ready
from oslo_tracing import _wsgi_environ

#: Requests by what they are called and who asks, that are remembered.
_MAX_KNOWN = 512
_SERVER = trace.SpanKind.SERVER

#: What a request is called, whether that is all that was decided on, and
#: what it said of both ends as it came in; empty where none of it is kept.
Key: TypeAlias = tuple[Any, ...]
_SAID = 2


class Caller:
    """What is known of requests that say the same of both ends.

    :param ready: what their spans have in common.
    :param said: what they say of both ends on the way out, None where that
        is not always the same.
    """

    __slots__ = ('ready', 'said')

    def __init__(
        self, ready: _ready.Ready, said: tuple[Any, ...] | None
    ) -> None:
        self.ready = ready
        self.said = said


class Callers:
    """Remembers so many of them.

    What is said of both ends is read on the way out, since middleware
    rewrites it for requests that came through a proxy. So it is expected to
    be what it was before, and looked at when it is known.
    """

    def __init__(self) -> None:
        self._known: dict[Key, Caller] = {}

    def get(self, key: Key) -> Caller | None:
        """Return what is known, None where that is nothing."""
        try:
            return self._known.get(key)
        except TypeError:
            # Not every server keeps to PEP 3333.
            return None

    def rest(
        self,
        key: Key,
        caller: Caller | None,
        told: dict[str, Any],
        environ: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return what is to be said of both ends that a span does not say.

        :param key: of its request.
        :param caller: whose attributes the span has, None if nobody's.
        :param told: what all spans with this name have.
        :param environ: as it is on the way out.
        """
        said = _wsgi_environ.said(environ)
        if caller is not None and said == caller.said:
            return {}
        found = _wsgi_environ.ends(said)
        if caller is None:
            came = key[_SAID:]
            if key and all(map(_wsgi_environ.is_usual, (came, said))):
                # Only what a request itself has said on its way in: what a
                # proxy says of others is for theirs.
                shared = _same(_wsgi_environ.ends(came), found)
                self._learn(
                    key, {**told, **shared}, said if came == said else None
                )
            return found
        shared = caller.ready.attributes
        same = _same(shared, {**told, **found})
        if len(same) < len(shared):
            # As where a proxy names somebody else each time.
            self._learn(key, same, None)
        return {
            name: value
            for name, value in found.items()
            if shared.get(name) != value
        }

    def _learn(
        self,
        key: Key,
        attributes: dict[str, Any],
        said: tuple[Any, ...] | None,
    ) -> None:
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        ready = _ready.Ready(key[0], _SERVER, attributes)
        self._known[key] = Caller(ready, said)


def _same(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return what both say."""
    return {
        name: value for name, value in one.items() if other.get(name) == value
    }

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

"""Where requests go, known of those that have gone there before."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace

from oslo_tracing import _ready
from oslo_tracing import _regex
from oslo_tracing import attributes as names
from oslo_tracing.integrations import _http_calls as calls
from oslo_tracing.scrub import names as scrub

#: Places that are remembered: a service talks to few others, unless users
#: say where it fetches something from.
_MAX_KNOWN = 256
_MAX_TYPE = 64
#: Where the shortest URL may have its path.
_AFTER_HOST = 8

# What comes before the path, and nothing that could hide something.
_PLAIN = _regex.late(
    r'https?://(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])'
    r'(?::[0-9]{1,5})?'
)


class Place:
    """What requests of one method to one server have in common.

    :param origin: the server.
    :param ready: what is said of each.
    """

    __slots__ = ('origin', 'ready')

    def __init__(self, origin: calls.Origin, ready: _ready.Ready) -> None:
        self.origin = origin
        self.ready = ready


class Places:
    """Remembers so many of them."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str | None], Place] = {}
        self._names = scrub.NameBudget()

    def get(self, method: Any, url: str, service_type: str | None) -> Place:
        """Return what is known of a place.

        :param method: of the request, as it is sent.
        :param url: of the request.
        :param service_type: as keystoneauth knows it.
        """
        end = url.find('/', _AFTER_HOST)
        if end < 0 or type(method) is not str:
            return self._place(method, url, service_type)
        key = method, url[:end], service_type
        place = self._known.get(key)
        if place is None:
            place = self._place(method, url, service_type)
            attributes = place.ready.attributes
            if (
                names.HTTP_REQUEST_METHOD_ORIGINAL not in attributes
                and len(service_type or '') <= _MAX_TYPE
                and _PLAIN.fullmatch(key[1])
            ):
                if len(self._known) >= _MAX_KNOWN:
                    self._known.clear()
                self._known[key] = place
        return place

    def _place(self, method: Any, url: str, service_type: str | None) -> Place:
        name, known, original = scrub.method(method)
        if service_type:
            name = self._names.take(f'{name} {service_type}', name)
        origin = calls.origin(url)
        attributes: dict[str, Any] = {names.HTTP_REQUEST_METHOD: known}
        if origin.host is not None:
            attributes[names.SERVER_ADDRESS] = origin.host
        if origin.port is not None:
            attributes[names.SERVER_PORT] = origin.port
        if original is not None:
            attributes[names.HTTP_REQUEST_METHOD_ORIGINAL] = original
        if service_type:
            attributes[names.OPENSTACK_SERVICE_TYPE] = service_type
        return Place(
            origin, _ready.Ready(name, trace.SpanKind.CLIENT, attributes)
        )

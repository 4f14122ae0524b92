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

"""What belongs to one call of a client, whatever attempts it takes."""

from __future__ import annotations

from typing import Any
from typing import Final
from typing import NamedTuple
from urllib import parse

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current

#: Where a context has the call of keystoneauth that it is in.
KEY: Final = _current.HTTP_CALL

_PORTS = {'http': 80, 'https': 443}


class Origin(NamedTuple):
    """Who answers: two URLs with the same one lead to the same server."""

    scheme: str
    host: str | None
    port: int | None


def origin(url: str) -> Origin:
    """Return the origin of a URL, as RFC 6454 has it."""
    parts = parse.urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        # Whoever sends it will complain.
        port = None
    return Origin(
        parts.scheme, parts.hostname, port or _PORTS.get(parts.scheme)
    )


def has_no_host(url: Any) -> bool:
    """Say whether keystoneauth has to find out where a URL leads."""
    try:
        return isinstance(url, str) and not parse.urlsplit(url).netloc
    except ValueError:
        # keystoneauth will complain.
        return False


class Call:
    """What keystoneauth knows of a request, whatever attempts it takes.

    :param session: of keystoneauth.
    :param around: the context that it is made in.
    :param service_type: as in the catalog, or None.
    :param resolved: the endpoint is from the catalog, or the
        ``endpoint_override`` of the service's configuration.
    """

    __slots__ = (
        '_origin',
        '_outer',
        '_resolved',
        '_session',
        'count',
        'first',
        'service_type',
    )

    def __init__(
        self,
        session: Any,
        around: otel_context.Context,
        service_type: str | None,
        resolved: bool,
    ) -> None:
        self._session = session
        self._outer = _under_way(around.get(KEY))
        self._resolved = resolved
        self._origin: Origin | None = None
        self.service_type = service_type
        #: Attempts until now.
        self.count = 0
        #: The span of the first attempt, where nothing was active; the
        #: invalid one when the call is over, which contexts may outlive.
        self.first: trace.Span | None = None

    def uses(self, session: Any) -> bool:
        """Say whether a session of requests is the one underneath."""
        return getattr(self._session, 'session', None) is session

    def leads_to(self, where: Origin) -> bool:
        """Say whether an attempt goes to the endpoint that was resolved.

        The first one does; what a redirect leads to is not from the
        catalog.
        """
        if not self._resolved:
            return False
        if self._origin is None:
            self._origin = where
        return self._origin == where


def outermost(current: otel_context.Context) -> Call | None:
    """Return the call that all else in a context is sent for.

    That for a token is made within the one that needs it.

    :returns: None where there is none, or all are over.
    """
    found = call = _under_way(current.get(KEY))
    while call is not None:
        found, call = call, _under_way(call._outer)
    return found


def _under_way(call: Any) -> Call | None:
    """Return a call, or the first around it that is not over."""
    while call is not None and call.first is trace.INVALID_SPAN:
        call = call._outer
    found: Call | None = call
    return found

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

"""What a WSGI environment tells about its request on the way out.

Not on the way in: HTTPProxyToWSGI, authentication and request ids sit
inside of our filter and rewrite the environment.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import functools
import operator
import re
from typing import Any

from oslo_tracing import attributes as attribute_names

_MAX_ID = 255
_MAX_ADDRESS = 255
_MAX_USER_AGENT = 512
#: What :func:`ends` is about, and of how many characters it is remembered.
_ENDS = (
    'wsgi.url_scheme',
    'HTTP_HOST',
    'SERVER_NAME',
    'SERVER_PORT',
    'REMOTE_ADDR',
    'HTTP_USER_AGENT',
    'SERVER_PROTOCOL',
)
_MAX_KNOWN = 1024

#: Where the services leave the context of a request.
_CONTEXTS = (
    'nova.context',
    'cinder.context',
    'neutron.context',
    'placement.context',
    'keystone.oslo_request_context',
    'openstack.context',
    'oslo.context',
    'manila.context',
)
_ANY_CONTEXT = frozenset(_CONTEXTS)
_KEPT = (
    (attribute_names.OPENSTACK_REQUEST_ID, 'openstack.request_id'),
    (
        attribute_names.OPENSTACK_GLOBAL_REQUEST_ID,
        'openstack.global_request_id',
    ),
)
_IDS = (
    attribute_names.OPENSTACK_REQUEST_ID,
    attribute_names.OPENSTACK_GLOBAL_REQUEST_ID,
    attribute_names.OPENSTACK_PROJECT_ID,
    attribute_names.OPENSTACK_USER_ID,
    attribute_names.OPENSTACK_DOMAIN_ID,
)
_NAMES = (
    'request_id',
    'global_request_id',
    'project_id',
    'user_id',
    'domain_id',
)
_all_names = operator.attrgetter(*_NAMES)
_CONFIRMED = (
    (attribute_names.OPENSTACK_PROJECT_ID, 'HTTP_X_PROJECT_ID'),
    (attribute_names.OPENSTACK_USER_ID, 'HTTP_X_USER_ID'),
    (attribute_names.OPENSTACK_DOMAIN_ID, 'HTTP_X_DOMAIN_ID'),
)
_STATUS = 'HTTP_X_IDENTITY_STATUS'

# oslo.middleware's format of request ids.
_REQUEST_ID = re.compile(
    r'req-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}'
)
_HOST = re.compile(
    r'(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?'
)
_PORT = re.compile('[0-9]{1,5}')
_SCHEMES = {'http': 80, 'https': 443}
_PROTOCOLS = {
    'HTTP/1.0': '1.0',
    'HTTP/1.1': '1.1',
    'HTTP/2': '2',
    'HTTP/2.0': '2',
    'HTTP/3': '3',
}


def says_confirmed(environ: Mapping[str, Any]) -> bool:
    """Say whether a request comes with what only keystonemiddleware sets.

    :param environ: as it is on the way in.
    """
    return _STATUS in environ


def said(environ: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return all that :func:`ends` is about, as it stands there."""
    return tuple(map(environ.get, _ENDS))


def is_usual(said: tuple[Any, ...]) -> bool:
    """Say whether that is short text, as may be remembered.

    Not every server keeps to PEP 3333.
    """
    length = 0
    for one in said:
        if type(one) is str:
            length += len(one)
        elif one is not None:
            return False
    return length <= _MAX_KNOWN


def ends(said: tuple[Any, ...]) -> dict[str, Any]:
    """Return who has asked whom, and how, as attributes.

    :param said: by an environment.
    """
    # The same client mostly asks again.
    if is_usual(said):
        return _known_ends(*said).copy()
    return _ends(dict(zip(_ENDS, said, strict=True)))


@functools.lru_cache(256)
def _known_ends(*said: Any) -> dict[str, Any]:
    return _ends(dict(zip(_ENDS, said, strict=True)))


def _ends(environ: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    scheme = environ.get('wsgi.url_scheme')
    port = _SCHEMES.get(scheme) if isinstance(scheme, str) else None
    if port is not None:
        found[attribute_names.URL_SCHEME] = scheme
    match = _host(environ.get('HTTP_HOST'))
    stated = match.group(3) if match else environ.get('SERVER_PORT')
    match = match or _host(environ.get('SERVER_NAME'))
    if match is not None:
        found[attribute_names.SERVER_ADDRESS] = match[1] or match[2]
        if isinstance(stated, str) and _PORT.fullmatch(stated):
            number = int(stated)
            port = number if 0 < number < 65536 else port
        if port is not None:
            found[attribute_names.SERVER_PORT] = port
    client = environ.get('REMOTE_ADDR')
    if isinstance(client, str) and client:
        address = _client(client)
        if address:
            found[attribute_names.CLIENT_ADDRESS] = address
    agent = environ.get('HTTP_USER_AGENT')
    if isinstance(agent, str) and agent:
        found[attribute_names.USER_AGENT_ORIGINAL] = agent[:_MAX_USER_AGENT]
    protocol = _PROTOCOLS.get(environ.get('SERVER_PROTOCOL') or '')
    if protocol is not None:
        found[attribute_names.NETWORK_PROTOCOL_VERSION] = protocol
    return found


def ids(
    environ: Mapping[str, Any], current: Any, said_confirmed: bool
) -> dict[str, str]:
    """Return whose request it was, as attributes.

    :param environ: as it is on the way out.
    :param current: a ``RequestContext`` that the request has made current,
        or None.
    :param said_confirmed: what :func:`says_confirmed` has answered.
    """
    found: dict[str, str] = {}
    for attribute, key in _KEPT:
        if key in environ:
            _keep(found, attribute, environ[key])
    context = _context(environ)
    if context is None:
        context = current
    if context is not None:
        for attribute, value in zip(_IDS, _ids_of(context), strict=True):
            if value is not None and attribute not in found:
                _keep(found, attribute, value)
    # A caller could send these headers too. keystonemiddleware takes them
    # out, and leaves what no caller can.
    if environ.get(_STATUS) == 'Confirmed' and (
        not said_confirmed or 'keystone.token_auth' in environ
    ):
        for attribute, name in _CONFIRMED:
            if attribute not in found:
                _keep(found, attribute, environ.get(name))
    if attribute_names.OPENSTACK_GLOBAL_REQUEST_ID not in found:
        came: Any = environ.get('HTTP_X_OPENSTACK_REQUEST_ID')
        if came is not None and _is_request_id(came):
            found[attribute_names.OPENSTACK_GLOBAL_REQUEST_ID] = came
    return found


def request_id_of(headers: Iterable[tuple[str, str]]) -> str | None:
    """Return the request id that a response tells.

    :returns: empty where that is none of the usual form, None where the
        response tells none.
    """
    for name, value in headers:
        if name.lower() == 'x-openstack-request-id':
            return value if _is_request_id(value) else ''
    return None


def _ids_of(context: Any) -> tuple[Any, ...]:
    """Return the values of ``_NAMES``, None for what it does not have."""
    try:
        return _all_names(context)
    except AttributeError:
        return tuple(getattr(context, name, None) for name in _NAMES)


def _context(environ: Mapping[str, Any]) -> Any:
    there: Iterable[str] = environ.keys() & _ANY_CONTEXT
    if there:
        # Nearly always one; of more the first.
        for key in _CONTEXTS:
            if key in there and hasattr(environ[key], 'request_id'):
                return environ[key]
    # Where WebOb keeps what glance and others set on the request.
    kept = environ.get('webob.adhoc_attrs')
    found = kept.get('context') if isinstance(kept, dict) else None
    return found if hasattr(found, 'request_id') else None


def _keep(found: dict[str, str], attribute: str, value: Any) -> None:
    if isinstance(value, str) and value:
        found[attribute] = value[:_MAX_ID]


def _host(value: Any) -> re.Match[str] | None:
    if not isinstance(value, str) or len(value) > _MAX_ADDRESS:
        return None
    return _HOST.fullmatch(value)


def _is_request_id(value: Any) -> bool:
    return (
        isinstance(value, str)
        and len(value) == 40
        and _REQUEST_ID.fullmatch(value) is not None
    )


def _client(address: str) -> str:
    """Return the first of the addresses that proxies have listed.

    It may be quoted, in brackets and with a port, as RFC 7239 has it.
    """
    first = address[:_MAX_ADDRESS].partition(',')[0].strip(' \t"')
    if first.startswith('['):
        return first[1:].partition(']')[0]
    if first.count(':') == 1:
        return first.partition(':')[0]
    return first

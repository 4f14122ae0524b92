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

"""Where traces are read from: one interface, a module for each kind."""

from __future__ import annotations

from collections.abc import Callable
import re
import urllib.parse

from oslo_tracing.report.sources import _server
from oslo_tracing.report.sources import base
from oslo_tracing.report.sources import files
from oslo_tracing.report.sources import jaeger
from oslo_tracing.report.sources import tempo
from oslo_tracing.report.sources import zipkin

Source = base.Source
SourceError = base.SourceError

_SERVERS: dict[str, Callable[[str], _server.ServerSource]] = {
    'jaeger': jaeger.JaegerSource,
    'tempo': tempo.TempoSource,
    'zipkin': zipkin.ZipkinSource,
}
_SERVER = re.compile(r'(?:([a-z]+)\+)?(https?://.*)', re.ASCII | re.DOTALL)
# Nobody calls a file like that; `./ftp://x` it would still be.
_ADDRESS = re.compile(r'[a-z][a-z0-9+.-]*://', re.ASCII | re.IGNORECASE)


def server_of(text: str) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port of a server that a user named.

    :returns: ``None`` where it is no server, or none that can be asked.
    """
    server = _SERVER.fullmatch(text)
    try:
        parts = urllib.parse.urlsplit(server[2] if server else '')
        port = parts.port or {'http': 80, 'https': 443}.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def open_source(text: str, token: str = '') -> base.Source:
    """Open what a user named.

    :param text: a file or directory of OTLP JSON, also gzipped, ``-`` for
        standard input, or a server, such as ``jaeger+http://host:16686``,
        ``tempo+http://host:3200`` or ``zipkin+https://host:9411``.
    :param token: a bearer token for the server, which is sent (RFC 6750) and
        never shown. A password in the address goes before it.
    :returns: the source; nothing of it has been read yet.
    :raises SourceError: when there is no such thing, or a token is not safe
        on the way to it.
    """
    if not _ADDRESS.match(text):
        return files.FileSource(text)
    server = _SERVER.fullmatch(text)
    make = _SERVERS.get(server[1]) if server else None
    if server is None or make is None:
        # Not the URL: it may hold a password.
        raise base.SourceError(
            'say what the server is, as in jaeger+http://host:16686; known: '
            + ', '.join(sorted(_SERVERS))
        )
    source = make(server[2])
    if token:
        source.authorize(token)
    return source

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

"""One question to a remote-sampling server: which strategy has a service?

``GET URL?service=NAME``, as Jaeger and the jaegerremotesampling extension of
the collector answer it.
"""

from __future__ import annotations

import codecs
import dataclasses
import re
import time
from typing import Any
from typing import Final
from urllib import parse

from oslo_tracing import _at_fork
from oslo_tracing import _regex
from oslo_tracing.sampling import _strategies

#: Seconds for one answer, from the connection to the last byte.
TIMEOUT: Final = 5.0
#: Bytes of an answer.
LIMIT: Final = 1024 * 1024

_HEADERS: Final = 64 * 1024
_HARMLESS: Final = _regex.late(
    r'([a-z]{0,16}://)?[\w.-]{0,256}(:[0-9]{0,5})?(/[\w./-]{0,256})?', re.ASCII
)
_PATH: Final = '/sampling'


@dataclasses.dataclass(frozen=True)
class Server:
    """Where to ask, and how to know that it is the right one.

    :ivar url: http or https, with ``/sampling`` added where it has no path.
    :ivar ca_file: PEM file with the authorities to trust, None for those
        that other clients of the service trust.
    :ivar cert_file: PEM file with our certificate, for mutual TLS.
    :ivar key_file: PEM file with its private key.
    """

    url: str
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def ask(self, service_name: str) -> _strategies.Strategy:
        """Ask once.

        :param service_name: whose strategy.
        :raises OSError: when there is no answer in time.
        :raises http.client.HTTPException: when it is not HTTP.
        :raises Refused: when it cannot be used.
        """
        # Not before: they load ssl, and the service may not have patched
        # its modules yet.
        with _at_fork.HELD_OFF:
            from http import client

            from oslo_tracing import _stream
            from oslo_tracing import _tls

            # Else imported by the first name that is looked up.
            codecs.lookup('idna')

        until = time.monotonic() + TIMEOUT
        parts = parse.urlsplit(self.url)
        tls = None
        if parts.scheme == 'https':
            # Anew for each question: certificates are renewed meanwhile.
            tls = _tls.context(self.ca_file, self.cert_file, self.key_file)
        stream = _stream.Stream(
            parts.hostname or '',
            parts.port or (443 if tls else 80),
            tls,
            until,
        )
        try:
            stream.allow(until, LIMIT + _HEADERS)
            stream.sendall(self._request(parts, service_name))
            connection: Any = stream
            response = client.HTTPResponse(connection, method='GET')
            response.begin()
            if response.status != 200:
                raise _strategies.Refused(_no(response.status))
            content = response.read(LIMIT + 1)
        finally:
            stream.close()
        if len(content) > LIMIT:
            raise _strategies.Refused(f'more than {LIMIT} bytes')
        return _strategies.parse(content)

    def _request(self, parts: parse.SplitResult, service_name: str) -> bytes:
        path = parts.path or '/'
        query = parse.urlencode({'service': service_name})
        if parts.query:
            query = f'{parts.query}&{query}'
        lines = (
            f'GET {path}?{query} HTTP/1.1',
            f'Host: {parts.netloc}',
            'Accept: application/json',
            'Accept-Encoding: identity',
            'Connection: close',
            '',
            '',
        )
        return '\r\n'.join(lines).encode('ascii')


def wrong_with(url: str) -> str | None:
    """Return why a URL cannot be asked, None if it can."""
    if not url.isascii() or not url.isprintable() or ' ' in url:
        return 'not a URL'
    if '@' in parse.unquote(url.partition('?')[0]):
        return 'credentials do not belong in it'
    try:
        parts = parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return 'not a URL'
    if parts.scheme not in ('http', 'https'):
        return 'it must start with http:// or https://'
    if not host:
        return 'it has no host'
    if parts.netloc.endswith(':') or port == 0:
        return 'it has no port after the colon'
    if '#' in url:
        return 'a fragment has no meaning there'
    return None


def shown(url: str) -> str:
    """Return a refused URL, unless some of it could be a secret."""
    return repr(url) if _HARMLESS.fullmatch(url) else '(not shown)'


def whole(url: str) -> str:
    """Return a URL with the path of the protocol if it has none."""
    parts = parse.urlsplit(url)
    if parts.path in ('', '/'):
        parts = parts._replace(path=_PATH)
    return parts.geturl()


def _no(status: int) -> str:
    if 300 <= status < 400:
        # Where to is not told: a login page's URL holds what should not be.
        return f'HTTP {status}, a redirect is not followed'
    return f'HTTP {status}'

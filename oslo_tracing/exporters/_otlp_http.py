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

"""Export requests over HTTP.

Over our own connections, with the parser of ``http.client``. What is sent is
what is configured, nowhere but to the endpoint: no credentials of ``.netrc``,
no proxy of the environment, no redirect.
"""

from __future__ import annotations

from http import client
import ssl
import time
from typing import Any
from typing import Final
from typing import TYPE_CHECKING
from urllib import parse

from oslo_tracing import _stream
from oslo_tracing import _tls
from oslo_tracing.exporters import _answer
from oslo_tracing.exporters import _gzip

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

# Headers and body of an answer; a body that is longer is cut.
_ROOM: Final = 4 * _answer.LIMIT
# Said by this module alone.
_OURS: Final = frozenset(
    (
        'accept-encoding',
        'connection',
        'content-encoding',
        'content-length',
        'content-type',
        'transfer-encoding',
    )
)


class Link:
    """Sends requests to one URL, over one connection that is kept open.

    :param url: where to.
    :param settings: headers, compression and TLS files.
    :param user_agent: who we are.
    :param content_type: what is sent.
    :raises OSError: when a file for TLS cannot be used.
    """

    def __init__(
        self,
        url: str,
        settings: settings_module.Settings,
        user_agent: str,
        content_type: str = 'application/x-protobuf',
    ) -> None:
        parts = parse.urlsplit(url)
        self._gzip = (
            _gzip.library() if settings.otlp_compression == 'gzip' else None
        )
        self._tls = (
            _tls.context(
                settings.otlp_ca_file,
                settings.otlp_cert_file,
                settings.otlp_key_file,
            )
            if parts.scheme == 'https'
            else None
        )
        self._host = parts.hostname or ''
        self._port = parts.port or (443 if self._tls else 80)
        self._head = _head(parts, settings, user_agent, content_type)
        self._stream: Any = None

    def send(self, body: bytes, timeout: float) -> _answer.Answer:
        """Send one request; never raises for what happens on the way.

        :param body: the serialised message.
        :param timeout: seconds for all of it, save for looking up a name.
        """
        until = time.monotonic() + timeout
        if self._gzip is not None:
            body = _gzip.packed(body, self._gzip)
        reused = self._stream is not None
        try:
            try:
                return self._exchange(body, until)
            except (ConnectionError, ssl.SSLError):
                # A receiver closes what it has not heard of for a while.
                if not reused:
                    raise
                self.close()
                return self._exchange(body, until)
        except (OSError, client.HTTPException, ValueError) as error:
            self.close()
            return _answer.no_answer(error)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _exchange(self, body: bytes, until: float) -> _answer.Answer:
        stream = self._stream
        if stream is None:
            stream = _stream.Stream(self._host, self._port, self._tls, until)
            self._stream = stream
        stream.allow(until, _ROOM)
        head = b'%s\r\ncontent-length: %d\r\n\r\n' % (self._head, len(body))
        hung_up: ConnectionError | None = None
        try:
            stream.sendall(head + body)
        except ConnectionError as error:
            # Whoever does not want so long a body may say so, and hang up.
            hung_up = error
        response = client.HTTPResponse(stream, method='POST')
        try:
            response.begin()
        except ssl.SSLError:
            # Says more than that it hung up.
            raise
        except (OSError, client.HTTPException) as error:
            raise hung_up or error from None
        content = _content(response)
        if hung_up or response.will_close or not response.isclosed():
            self.close()
        return _answer.of_http(
            response.status,
            response.reason or '',
            response.headers,
            content,
            time.time(),
        )


def _head(
    parts: parse.SplitResult,
    settings: settings_module.Settings,
    user_agent: str,
    content_type: str,
) -> bytes:
    """Return a request up to its last header, which is its length.

    Names and values were validated: none of them ends a line.
    """
    headers = {'host': parts.netloc, 'user-agent': user_agent}
    for name, value in settings.otlp_headers.items():
        if name.lower() not in _OURS:
            headers[name.lower()] = value
    headers['accept-encoding'] = 'identity'
    headers['content-type'] = content_type
    if settings.otlp_compression == 'gzip':
        headers['content-encoding'] = 'gzip'
    lines = [f'POST {parts.path or "/"} HTTP/1.1']
    lines += [f'{name}: {value}' for name, value in headers.items()]
    return '\r\n'.join(lines).encode('latin-1')


def _content(response: client.HTTPResponse) -> bytes:
    """Read what may be read; the status counts also where this fails."""
    try:
        return response.read(_answer.LIMIT)
    except client.IncompleteRead as error:
        return error.partial
    except (OSError, client.HTTPException, ValueError):
        return b''

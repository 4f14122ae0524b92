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

"""Asks servers: bounded in size and in time, and never led elsewhere."""

from __future__ import annotations

import base64
import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from typing import Any
from typing import Final
import urllib.parse

from oslo_tracing.report.sources import _json

#: Bytes of the longest answer that is read.
_MAX_ANSWER: Final = 64 * 1024 * 1024
#: Seconds that the server may stay silent, and that one request may take
#: from its connection to the last byte of its answer.
_SILENCE: Final = 30.0
_WHOLE: Final = 120.0
_CHUNK: Final = 256 * 1024
_NO_SUCH_PATH: Final = 'it answered 404; is this the address of its query API?'
#: What a server in Go says of a path that it does not have.
_GO_SAYS: Final = b'404 page not found'
_HOST: Final = re.compile('[0-9A-Za-z._:-]+', re.ASCII)
#: What OpenSSL calls an answer that is no TLS, by its version.
_PLAIN: Final = frozenset(
    ('HTTP_REQUEST', 'RECORD_LAYER_FAILURE', 'WRONG_VERSION_NUMBER')
)


def _is_loopback(host: str) -> bool:
    if host == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class NoAnswer(Exception):
    """The server did not say what it was asked for."""


class NotFound(NoAnswer):
    """The server does not know what it was asked for."""


class NoSuchPath(NotFound):
    """It is no server of the kind that it was taken for."""


class Client:
    """One server, or a path of one.

    Redirects are not followed: what is asked, and the credentials with it,
    go where the user said and nowhere else. Certificates are verified
    against those that the system trusts, or ``SSL_CERT_FILE``.

    :param url: ``http`` or ``https``; may hold a user and a password, which
        are sent (RFC 7617) and never shown.
    :raises ValueError: when it is no such URL.
    """

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname
        if parts.scheme not in ('http', 'https') or parts.query:
            raise ValueError
        if parts.fragment or not host or not _HOST.fullmatch(host):
            raise ValueError
        self._secure = parts.scheme == 'https'
        self._host = host
        self._port = parts.port
        self._path = urllib.parse.quote(parts.path.rstrip('/'), safe='/%')
        self._headers = {
            'Accept': 'application/json',
            'Accept-Encoding': 'identity',
            'User-Agent': 'oslo-tracing',
        }
        if parts.username is not None:
            pair = ':'.join(
                urllib.parse.unquote(each or '')
                for each in (parts.username, parts.password)
            )
            coded = base64.b64encode(pair.encode()).decode()
            self._headers['Authorization'] = f'Basic {coded}'
        # Built anew, so that nothing but these can be in it.
        shown = f'[{host}]' if ':' in host else host
        port = '' if self._port is None else f':{self._port}'
        self.shown = f'{parts.scheme}://{shown}{port}{self._path}'

    def authorize(self, token: str) -> bool:
        """Send a bearer token, unless there is a password.

        :returns: False where it would go over a network unencrypted.
        """
        if 'Authorization' in self._headers:
            return True
        if not self._secure and not _is_loopback(self._host):
            return False
        self._headers['Authorization'] = f'Bearer {token}'
        return True

    def get(self, path: str, **query: str | int) -> tuple[Any, bool]:
        """Ask for JSON.

        :param path: below the URL; what comes from elsewhere must have been
            checked before.
        :param query: parameters of the URL.
        :returns: the answer, and whether all of it was UTF-8.
        :raises NoAnswer: when there is none that may be read.
        """
        address = self._path + path
        if query:
            address += '?' + urllib.parse.urlencode(query)
        until = time.monotonic() + _WHOLE
        connection = self._connection()
        try:
            connection.connect()
            connection.sock = _Socket(connection.sock, until)
            connection.request('GET', address, headers=self._headers)
            # Zipkin counts on six bytes for U+2028, writes three, and fills
            # its answer up with NULs.
            return _json.loads(self._read(connection).rstrip(b'\0'))
        except _json.NotJson as exc:
            raise NoAnswer(f'its answer is {exc}') from None
        except TimeoutError:
            raise NoAnswer('it did not answer in time') from None
        except ssl.SSLError as exc:
            raise NoAnswer(_without_tls(exc)) from None
        except OSError as exc:
            raise NoAnswer(exc.strerror or type(exc).__name__) from None
        except (http.client.HTTPException, ValueError) as exc:
            # Their texts may repeat what was sent.
            raise NoAnswer(f'no HTTP ({type(exc).__name__})') from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(
                self._host,
                self._port,
                timeout=_SILENCE,
                context=ssl.create_default_context(),
            )
        return http.client.HTTPConnection(
            self._host, self._port, timeout=_SILENCE
        )

    def _read(self, connection: http.client.HTTPConnection) -> bytes:
        with connection.getresponse() as response:
            if response.status == 404:
                kind = NoSuchPath if _is_of_any(response) else NotFound
                raise kind(_NO_SUCH_PATH)
            if response.status in range(300, 400):
                raise NoAnswer(
                    f'it answered {response.status}; redirects are not '
                    'followed'
                )
            if response.status != 200:
                raise NoAnswer(f'it answered {response.status}')
            if response.getheader('Content-Encoding', 'identity') != (
                'identity'
            ):
                raise NoAnswer('its answer is packed')
            answer = bytearray()
            while chunk := response.read1(_CHUNK):
                answer += chunk
                if len(answer) > _MAX_ANSWER:
                    raise NoAnswer(
                        f'its answer is over {_MAX_ANSWER >> 20} MiB'
                    )
            if response.length:
                raise NoAnswer('its answer is cut short')
        return bytes(answer)


def _without_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        # Words of OpenSSL's, and the host at most.
        return (
            f'its certificate is not trusted: {error.verify_message}; those '
            'that sign it may be in a file that SSL_CERT_FILE names'
        )
    if error.reason in _PLAIN:
        return 'it does not speak TLS; is it http://?'
    return f'TLS failed: {error.reason}' if error.reason else 'TLS failed'


class _Socket:
    """A socket with an end in time; ``http.client`` takes it for one.

    A time-out of a socket is for each read of it anew, and one line of a
    header is as many reads as the server likes: whoever sends a byte now and
    then would never be given up.

    :param connected: the socket.
    :param until: when the request ends, by ``time.monotonic()``.
    """

    def __init__(self, connected: socket.socket, until: float) -> None:
        self._connected = connected
        self._until = until

    def sendall(self, data: Any) -> None:
        """Send all of it.

        :raises OSError: when that is not possible, or takes too long.
        """
        _in_time(self._connected, self._until)
        self._connected.sendall(data)

    def makefile(self, *_args: Any, **_kwargs: Any) -> io.BufferedReader:
        """Return a file to read the answer from, also after ``close()``."""
        return io.BufferedReader(_Reader(self._connected, self._until))

    def close(self) -> None:
        """Close it, once the answer's file is closed."""
        self._connected.close()


class _Reader(io.RawIOBase):
    def __init__(self, connected: socket.socket, until: float) -> None:
        super().__init__()
        self._connected = connected
        self._until = until
        self._file = connected.makefile('rb', buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        _in_time(self._connected, self._until)
        return self._file.readinto(buffer)

    def close(self) -> None:
        # A socket stays open for as long as a file of it does.
        self._file.close()
        super().close()


def _in_time(connected: socket.socket, until: float) -> None:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connected.settimeout(min(_SILENCE, left))


def _is_of_any(response: http.client.HTTPResponse) -> bool:
    """Whether any server may have said this 404, as it is about the path."""
    kind = response.headers.get('Content-Type') or ''
    return 'html' in kind.lower() or response.read(len(_GO_SAYS)) == _GO_SAYS

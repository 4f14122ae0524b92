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

"""A connection of a thread of ours, on sockets of the system.

Why here: under eventlet ``socket`` and ``ssl.SSLSocket`` are green, also for
``http.client``, and would run a hub of their own in our thread. This takes
the real socket and has TLS encrypt in memory (``SSLContext.wrap_bio``), which
knows no sockets at all. It also holds what ``http.client`` cannot: one
deadline for a whole request, and a bound on all that is read.
"""

from __future__ import annotations

import io
import ssl
import time
from typing import Any
from typing import Final

from oslo_tracing import _real

_PIECE: Final = 64 * 1024
# For a handshake, and for what else of TLS is no answer: OpenSSL passes over
# some messages of a peer however many there are.
_TLS_ROOM: Final = 256 * 1024


class TooMuch(OSError):
    """The peer says more than anybody wants to hear."""


class Stream:
    """An open connection; ``http.client`` takes it for a socket.

    :param host: a name or an address.
    :param port: the port.
    :param context: how to speak TLS, None for not at all.
    :param until: when connecting ends, by ``time.monotonic()``.
    :raises OSError: when there is no connection by then.
    """

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        until: float,
    ) -> None:
        self._until = until
        self._room = _PIECE
        self._raw_room = _TLS_ROOM
        self._tls: ssl.SSLObject | None = None
        self._socket = _connected(host, port, until)
        try:
            if context is not None:
                self._incoming = ssl.MemoryBIO()
                self._outgoing = ssl.MemoryBIO()
                self._tls = context.wrap_bio(
                    self._incoming, self._outgoing, server_hostname=host
                )
                self._shake_hands(self._tls)
        except BaseException:
            self._socket.close()
            raise

    def allow(self, until: float, room: int) -> None:
        """Begin a request.

        :param until: when it ends, by ``time.monotonic()``.
        :param room: how many bytes may be read for it.
        """
        self._until = until
        self._room = room
        # No more than a byte of TLS for each one that is said.
        self._raw_room = 2 * room + _TLS_ROOM

    def sendall(self, data: Any) -> None:
        """Send all of it.

        :raises OSError: when that is not possible, or takes too long.
        """
        if self._tls is None:
            self._send(data)
            return
        view = memoryview(data).cast('B')
        while view:
            try:
                view = view[self._tls.write(view[:_PIECE]) :]
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            self._flush()

    def recv_into(self, buffer: memoryview) -> int:
        """Read some bytes.

        :returns: how many, 0 at the end.
        :raises OSError: when none come in time, or too many.
        """
        if self._room <= 0:
            raise TooMuch('the answer is too long')
        size = min(len(buffer), self._room)
        if self._tls is None:
            self._in_time()
            count: int = self._socket.recv_into(buffer[:size])
        else:
            count = self._decrypted(self._tls, buffer[:size])
        self._room -= count
        return count

    def makefile(self, *_args: Any, **_kwargs: Any) -> io.BufferedReader:
        """Return a file to read one answer from; closing it closes no more."""
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Close this process's end, without a word to the peer."""
        self._socket.close()

    def _shake_hands(self, tls: ssl.SSLObject) -> None:
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLError:
                # The peer is to hear why.
                self._flush()
                raise
            else:
                self._flush()
                return

    def _decrypted(self, tls: ssl.SSLObject, buffer: memoryview) -> int:
        while True:
            try:
                return tls.read(len(buffer), buffer)  # type: ignore
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return 0

    def _feed(self) -> None:
        if self._raw_room <= 0:
            raise TooMuch('the peer does not come to an end of TLS')
        self._in_time()
        data = self._socket.recv(_PIECE)
        self._raw_room -= len(data)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        while self._outgoing.pending:
            self._send(self._outgoing.read(_PIECE))

    def _send(self, data: Any) -> None:
        view = memoryview(data).cast('B')
        while view:
            self._in_time()
            view = view[self._socket.send(view[:_PIECE]) :]

    def _in_time(self) -> None:
        self._socket.settimeout(_left(self._until))


class _Reader(io.RawIOBase):
    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._stream.recv_into(memoryview(buffer))


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError('timed out')
    return left


def _connected(host: str, port: int, until: float) -> Any:
    """Try all addresses of a host; none may use up the time of the next."""
    module = _real.socket_module()
    found = module.getaddrinfo(host, port, 0, module.SOCK_STREAM)
    failed: OSError = OSError(f'{host} has no address')
    for index, (family, kind, protocol, _name, address) in enumerate(found):
        try:
            sock = module.socket(family, kind, protocol)
        except OSError as error:
            failed = error
            continue
        try:
            sock.settimeout(_left(until) / (len(found) - index))
            sock.connect(address)
            sock.setsockopt(module.IPPROTO_TCP, module.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            sock.close()
            failed = error
    raise failed

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

"""Ports in front of a receiver that can be shut, or lead nowhere."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from typing import Any

#: Both what a client can meet before any receiver has a say.
CLOSED = 'closed'
BLACK_HOLE = 'black hole'
RESET = 'reset'

_LINGER_NOT = struct.pack('ii', 1, 0)


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def call(self, work: Any) -> Any:
        """Run a coroutine there, and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


class Gate:
    """Forwards the bytes of a port to a receiver, or does them harm.

    The port is bound all the time, also while nobody listens, so that
    nobody else can get it.

    :param loop: where its connections are served.
    :param backend: the port of the receiver.
    :ivar port: where clients connect to.
    :ivar connections: how many did.
    """

    def __init__(self, loop: Loop, backend: int) -> None:
        self._loop = loop
        self._backend = backend
        self._held = _bound(0)
        self._server: Any = None
        self._clients: set[_Client] = set()
        self.port: int = self._held.getsockname()[1]
        self.mode = ''
        self.connections = 0
        loop.call(self._listen())

    def behave(self, mode: str, backend: int) -> None:
        """Behave otherwise from now on.

        :param mode: ``CLOSED``, ``BLACK_HOLE``, ``RESET`` after the first
            bytes of a request, or anything else to forward.
        :param backend: the port of the receiver. Connections to another one
            end, and so do those that a black hole has swallowed.
        """
        self._loop.call(self._behave(mode, backend))

    def cut(self) -> None:
        """Reset all connections."""
        self._loop.call(self._cut())

    async def _behave(self, mode: str, backend: int) -> None:
        before, self.mode = self.mode, mode
        if CLOSED in (before, mode) or BLACK_HOLE == before:
            await self._cut()
        if backend != self._backend:
            self._backend = backend
            await self._cut()
        if mode == CLOSED:
            if self._server is not None:
                self._server.close()
                self._server = None
        elif self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await self._loop.loop.create_server(
            lambda: _Client(self), sock=_bound(self.port), backlog=128
        )

    async def _cut(self) -> None:
        for client in list(self._clients):
            client.reset()


class _Client(asyncio.Protocol):
    """A connection that came in."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._unsent: list[bytes] = []
        self._upstream: Any = None
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._gate.connections += 1
        self._gate._clients.add(self)
        if self._gate.mode != BLACK_HOLE:
            self._connecting = self._gate._loop.loop.create_task(
                self._connect()
            )

    async def _connect(self) -> None:
        try:
            await self._gate._loop.loop.create_connection(
                lambda: _Upstream(self), '127.0.0.1', self._gate._backend
            )
        except OSError:
            self.reset()

    def connected(self, upstream: Any) -> None:
        self._upstream = upstream
        for data in self._unsent:
            upstream.write(data)
        self._unsent.clear()
        if self.transport.is_closing():
            upstream.close()

    def data_received(self, data: bytes) -> None:
        if self._gate.mode == BLACK_HOLE:
            self.transport.pause_reading()
        elif self._gate.mode == RESET:
            self.reset()
        elif self._upstream is None:
            self._unsent.append(data)
        else:
            self._upstream.write(data)

    def answer(self, data: bytes) -> None:
        if self._gate.mode != BLACK_HOLE:
            self.transport.write(data)

    def reset(self) -> None:
        found = self.transport.get_extra_info('socket')
        if not self.transport.is_closing():
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        self._gate._clients.discard(self)
        if self._upstream is not None:
            self._upstream.close()


class _Upstream(asyncio.Protocol):
    """The connection to the receiver that belongs to a client's."""

    def __init__(self, client: _Client) -> None:
        self._client = client

    def connection_made(self, transport: Any) -> None:
        self._client.connected(transport)

    def data_received(self, data: bytes) -> None:
        self._client.answer(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._client.transport.close()


def _bound(port: int) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind(('127.0.0.1', port))
    return found

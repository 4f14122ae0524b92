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

"""A proxy that remembers what was asked and what was answered."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import dataclasses
import http.client
from http import server
import threading
import time
from typing import Any

import fixtures

#: Seconds that a service may take for an answer.
PATIENCE = 300

# Of a connection, not of a message (RFC 9110, 7.6.1).
_OF_THE_CONNECTION = ('connection', 'keep-alive', 'transfer-encoding')

Headers = list[tuple[str, str]]


@dataclasses.dataclass
class Exchange:
    """A request and its answer.

    :ivar headers: of the answer, in their order.
    :ivar body: of the answer.
    :ivar seconds: from the first byte sent to the service to the last of
        its answer.
    """

    service: str
    method: str
    path: str
    request_headers: Headers
    status: int
    reason: str
    headers: Headers
    body: bytes
    seconds: float = 0.0

    def header(self, name: str) -> str | None:
        """Return the value of a header of the answer."""
        return _find(self.headers, name)

    def request_header(self, name: str) -> str | None:
        """Return the value of a header of the request."""
        return _find(self.request_headers, name)


def _find(headers: Headers, name: str) -> str | None:
    for one, value in headers:
        if one.lower() == name.lower():
            return value
    return None


class _Proxy(server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


class Recorder(fixtures.Fixture):
    """Stands in front of a service, and passes everything on.

    It listens from the start; whoever asks before ``port`` is set gets 503.

    :param service: what it stands in front of.
    :param exchanges: where they are appended, in the order of their ends.
    :param turn: entered before something is passed on, and left before its
        answer is; gives headers to be added, or None.
    :ivar url: of the proxy.
    :ivar port: of the service.
    """

    def __init__(
        self,
        service: str,
        exchanges: list[Exchange],
        turn: Callable[
            [], contextlib.AbstractContextManager[Headers | None]
        ] = contextlib.nullcontext,
    ) -> None:
        super().__init__()
        self._service = service
        self._exchanges = exchanges
        self._turn = turn
        self.port: int | None = None

    def _setUp(self) -> None:
        recorder = self

        class Handler(server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                recorder._pass_on(self)

            def log_message(self, *args: Any) -> None:
                pass

        proxy = _Proxy(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{proxy.server_port}'
        thread = threading.Thread(
            target=proxy.serve_forever, args=(0.05,), daemon=True
        )
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)

    def _pass_on(self, handler: server.BaseHTTPRequestHandler) -> None:
        asked = list(handler.headers.items())
        body = _body(handler)
        if self.port is None:
            handler.send_error(503)
            return
        with self._turn() as more:
            exchange = self._ask(handler, asked + (more or []), body)
            # Before the client is answered, which goes on then.
            self._exchanges.append(exchange)
        _answer(handler, exchange)

    def _ask(
        self,
        handler: server.BaseHTTPRequestHandler,
        asked: Headers,
        body: bytes,
    ) -> Exchange:
        begun = time.perf_counter()
        service = http.client.HTTPConnection(
            '127.0.0.1', self.port, timeout=PATIENCE
        )
        try:
            service.putrequest(
                handler.command,
                handler.path,
                skip_host=True,
                skip_accept_encoding=True,
            )
            for name, value in asked:
                if name.lower() not in _OF_THE_CONNECTION:
                    service.putheader(name, value)
            chunked = handler.headers.get('Transfer-Encoding') is not None
            if chunked:
                service.putheader('Transfer-Encoding', 'chunked')
            service.putheader('Connection', 'close')
            if chunked:
                service.endheaders([body], encode_chunked=True)
            else:
                service.endheaders(body or None)
            answer = service.getresponse()
            content = answer.read()
        finally:
            service.close()
        return Exchange(
            self._service,
            handler.command,
            handler.path,
            asked,
            answer.status,
            answer.reason,
            answer.getheaders(),
            content,
            time.perf_counter() - begun,
        )


def _body(handler: server.BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get('Transfer-Encoding') is None:
        return handler.rfile.read(int(handler.headers['Content-Length'] or 0))
    body = b''
    while True:
        size = int(handler.rfile.readline().partition(b';')[0], 16)
        body += handler.rfile.read(size)
        handler.rfile.readline()
        if not size:
            return body


def _answer(
    handler: server.BaseHTTPRequestHandler, exchange: Exchange
) -> None:
    handler.send_response_only(exchange.status, exchange.reason)
    for name, value in exchange.headers:
        if name.lower() not in _OF_THE_CONNECTION:
            handler.send_header(name, value)
    if exchange.header('Content-Length') is None:
        if exchange.status not in (204, 304):
            handler.send_header('Content-Length', str(len(exchange.body)))
    handler.end_headers()
    if handler.command != 'HEAD':
        handler.wfile.write(exchange.body)

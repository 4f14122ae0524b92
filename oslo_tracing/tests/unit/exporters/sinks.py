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

"""OTLP receivers on 127.0.0.1 that keep what they get."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
import gzip
from http import server
import socketserver
import ssl
import threading
from typing import Any

import fixtures
import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from oslo_tracing.tests.unit.exporters import support


def names(request: Any) -> list[str]:
    """Return the names of the spans in an export request."""
    return [
        span.name
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _otlp(body: bytes) -> Any:
    request = trace_service_pb2.ExportTraceServiceRequest()
    request.ParseFromString(body)
    return request


class HttpSink(fixtures.Fixture):
    """Speaks OTLP/HTTP, with TLS where it is given certificates.

    :param read: makes of a body what is kept of it.
    """

    def __init__(
        self,
        certificates: support.Certificates | None = None,
        mutual: bool = False,
        status: int = 200,
        address: str = '127.0.0.1',
        read: Callable[[bytes], Any] = _otlp,
    ) -> None:
        self._read = read
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self._certificates = certificates
        self._mutual = mutual
        self.status = status
        self._address = address

    def _setUp(self) -> None:
        sink = self

        class Handler(server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self) -> None:
                length = int(self.headers['Content-Length'])
                body = self.rfile.read(length)
                if self.headers.get('Content-Encoding') == 'gzip':
                    body = gzip.decompress(body)
                request = sink._read(body)
                headers = {k.lower(): v for k, v in self.headers.items()}
                sink.requests.append((self.path, headers, request))
                self.send_response(sink.status)
                if 300 <= sink.status < 400:
                    self.send_header('Location', '/login')
                self.send_header('Content-Length', '0')
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        class Server(server.ThreadingHTTPServer):
            def handle_error(self, *args: Any) -> None:
                pass

        running = Server((self._address, 0), Handler)
        running.daemon_threads = True
        self.scheme = 'http'
        if self._certificates is not None:
            self.scheme = 'https'
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*self._certificates.server)
            if self._mutual:
                tls.verify_mode = ssl.CERT_REQUIRED
                tls.load_verify_locations(self._certificates.ca)
            running.socket = tls.wrap_socket(
                running.socket,
                server_side=True,
                do_handshake_on_connect=False,
            )
        self.endpoint = (
            f'{self.scheme}://{self._address}:{running.server_port}'
        )
        thread = threading.Thread(
            target=running.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(running.server_close)
        self.addCleanup(running.shutdown)


class GrpcSink(fixtures.Fixture):
    """Speaks OTLP/gRPC."""

    def __init__(
        self,
        certificates: support.Certificates | None = None,
        mutual: bool = False,
    ) -> None:
        self.requests: list[tuple[dict[str, str], Any]] = []
        self._certificates = certificates
        self._mutual = mutual
        #: Called with the context of a call, to end it in another way.
        self.behave: Any = lambda context: None
        self.response = trace_service_pb2.ExportTraceServiceResponse()

    def _setUp(self) -> None:
        sink = self

        class Service(trace_service_pb2_grpc.TraceServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:
                metadata = {
                    pair.key: pair.value
                    for pair in context.invocation_metadata()
                }
                sink.requests.append((metadata, request))
                sink.behave(context)
                return sink.response

        running = grpc.server(futures.ThreadPoolExecutor(1))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
            Service(), running
        )
        if self._certificates is None:
            port = running.add_insecure_port('127.0.0.1:0')
        else:
            content = []
            for path in (
                self._certificates.server[1],
                self._certificates.server[0],
                self._certificates.ca,
            ):
                with open(path, 'rb') as file:
                    content.append(file.read())
            port = running.add_secure_port(
                '127.0.0.1:0',
                grpc.ssl_server_credentials(
                    [(content[0], content[1])],
                    content[2] if self._mutual else None,
                    self._mutual,
                ),
            )
        self.address = f'127.0.0.1:{port}'
        running.start()
        self.addCleanup(lambda: running.stop(None).wait())


class ScriptedSink(fixtures.Fixture):
    """Says what it is told to, be it HTTP or not.

    :param answers: what to say to the first request, the second, and so on;
        the last one is said again and again. None: hang up without a word.
    :ivar requests: what came, without empty ones.
    :ivar asked: how many empty ones came.
    """

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.requests: list[Any] = []
        self.asked = 0
        self.connections = 0

    def _setUp(self) -> None:
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                sink.connections += 1
                while self._one():
                    pass

            def _one(self) -> bool:
                length = 0
                while (line := self.rfile.readline()).strip():
                    if line.lower().startswith(b'content-length:'):
                        length = int(line.split(b':')[1])
                if not length:
                    return False
                body = gzip.decompress(self.rfile.read(length))
                request = trace_service_pb2.ExportTraceServiceRequest()
                request.ParseFromString(body)
                if body:
                    sink.requests.append(request)
                else:
                    sink.asked += 1
                answers = sink.answers
                said = answers.pop(0) if len(answers) > 1 else answers[0]
                if said is None:
                    return False
                self.wfile.write(said)
                return b'connection: close' not in said

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                pass

        running = Server(('127.0.0.1', 0), Handler)
        self.endpoint = f'http://127.0.0.1:{running.server_address[1]}'
        thread = threading.Thread(
            target=running.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(running.server_close)
        self.addCleanup(running.shutdown)


def http(status: int, body: bytes = b'', *headers: str) -> bytes:
    """Return an HTTP response."""
    lines = [
        f'HTTP/1.1 {status} Said',
        f'content-length: {len(body)}',
        *headers,
        '\r\n',
    ]
    return '\r\n'.join(lines).encode() + body


def partial(rejected: int, message: str) -> bytes:
    """Return the body of a success that is none, or not quite."""
    response = trace_service_pb2.ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    return response.SerializeToString()

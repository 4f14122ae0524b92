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

"""A collector that can be told to misbehave, as a process of its own.

``python -m oslo_tracing.tests.functional.sink``; a line of JSON on its
standard input is a command, a line on its standard output the answer. It ends
with its input. ``collector.Collector`` is how tests use it.
"""

from __future__ import annotations

import collections
from concurrent import futures
import gzip
from http import server
import json
import os
import ssl
import sys
import threading
import time
from typing import Any

from google.rpc import error_details_pb2
from google.rpc import status_pb2
import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from oslo_tracing.tests.functional import gates

_MOST_NAMES = 1000

# Behaviour: the status of OTLP/HTTP, that of OTLP/gRPC, and whether the
# answer says when to come again.
_REFUSALS: dict[str, tuple[int, Any, bool]] = {
    'unavailable': (503, grpc.StatusCode.UNAVAILABLE, True),
    'unavailable for long': (503, grpc.StatusCode.UNAVAILABLE, False),
    'exhausted': (429, grpc.StatusCode.RESOURCE_EXHAUSTED, False),
    'exhausted for now': (429, grpc.StatusCode.RESOURCE_EXHAUSTED, True),
    'redirect': (302, grpc.StatusCode.UNKNOWN, False),
    'too large': (413, grpc.StatusCode.RESOURCE_EXHAUSTED, False),
    'bad request': (400, grpc.StatusCode.INVALID_ARGUMENT, False),
}


class Sink:
    """What all receivers of the process share: behaviour and counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = self._undecodable = self.followed = 0
        self._rejected = 0
        self._answers: collections.Counter[str] = collections.Counter()
        self._spans: dict[tuple[bytes, bytes], int] = {}
        self._names: collections.Counter[str] = collections.Counter()
        self._processes: collections.Counter[tuple[Any, Any]]
        self._processes = collections.Counter()
        self.behaviour = 'healthy'
        #: Seconds that a slow answer takes, and to come again after.
        self.seconds = 1.0
        self.cut: Any = None

    def take(self, request: Any, behaviour: str) -> int:
        """Keep the spans of a request, and tell how many were rejected."""
        with self._lock:
            self._requests += 1
            self._answers[behaviour] += 1
            if behaviour in _REFUSALS:
                return 0
            rejected = 0
            for of_resource in request.resource_spans:
                process = self._process(of_resource.resource)
                for of_scope in of_resource.scope_spans:
                    for span in of_scope.spans:
                        if behaviour == 'partial' and not rejected:
                            rejected += 1
                            continue
                        self._keep(span, process)
            self._rejected += rejected
            return rejected

    def undecodable(self) -> None:
        with self._lock:
            self._undecodable += 1

    def totals(self) -> dict[str, Any]:
        with self._lock:
            return {
                'requests': self._requests,
                'undecodable': self._undecodable,
                'followed': self.followed,
                'rejected': self._rejected,
                'answers': dict(self._answers),
                'spans': len(self._spans),
                'doubled': sum(self._spans.values()) - len(self._spans),
                'names': dict(self._names),
                'processes': [
                    [*process, count]
                    for process, count in self._processes.items()
                ],
            }

    def _keep(self, span: Any, process: tuple[Any, Any]) -> None:
        key = (span.trace_id, span.span_id)
        before = self._spans.get(key, 0)
        self._spans[key] = before + 1
        if before:
            return
        self._processes[process] += 1
        if span.name in self._names or len(self._names) < _MOST_NAMES:
            self._names[span.name] += 1

    def _process(self, resource: Any) -> tuple[Any, Any]:
        found = {
            one.key: one.value
            for one in resource.attributes
            if one.key in ('process.pid', 'service.instance.id')
        }
        pid = found.get('process.pid')
        instance = found.get('service.instance.id')
        return (
            None if pid is None else pid.int_value,
            None if instance is None else instance.string_value,
        )


def http_receiver(sink: Sink, certificate: list[str] | None) -> int:
    """Start a receiver of OTLP/HTTP, and return its port."""

    class Handler(server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            sink.followed += 1
            self._answer(200, b'<html>Who are you?</html>', 'text/html')

        def do_POST(self) -> None:
            if self.path != '/v1/traces':
                self.rfile.read(int(self.headers['Content-Length']))
                self.do_GET()
                return
            try:
                request = self._request()
            except Exception:
                sink.undecodable()
                self._answer(400)
                return
            behaviour = sink.behaviour
            rejected = sink.take(request, behaviour)
            if behaviour == 'slow':
                time.sleep(sink.seconds)
            if behaviour == 'lost answer':
                sink.cut()
            status, _code, again = _REFUSALS.get(behaviour, (200, None, False))
            headers = {}
            if again:
                headers['Retry-After'] = str(max(1, round(sink.seconds)))
            if status == 302:
                headers['Location'] = '/login'
            content = b'' if status != 200 else _answer(rejected)
            self._answer(status, content, **headers)

        def _request(self) -> Any:
            body = self.rfile.read(int(self.headers['Content-Length']))
            if self.headers.get('Content-Encoding') == 'gzip':
                body = gzip.decompress(body)
            return trace_service_pb2.ExportTraceServiceRequest.FromString(body)

        def _answer(
            self,
            status: int,
            content: bytes = b'',
            kind: str = 'application/x-protobuf',
            **headers: str,
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header('Content-Type', kind)
            self.send_header('Content-Length', str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    class Server(server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *args: Any) -> None:
            pass

    running = Server(('127.0.0.1', 0), Handler)
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
        running.socket = tls.wrap_socket(
            running.socket, server_side=True, do_handshake_on_connect=False
        )
    threading.Thread(target=running.serve_forever, daemon=True).start()
    return running.server_port


def grpc_receiver(sink: Sink, certificate: list[str] | None) -> int:
    """Start a receiver of OTLP/gRPC, and return its port."""

    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            request = trace_service_pb2.ExportTraceServiceRequest.FromString(
                body
            )
        except Exception:
            sink.undecodable()
            context.abort(grpc.StatusCode.INTERNAL, 'undecodable')
        behaviour = sink.behaviour
        rejected = sink.take(request, behaviour)
        if behaviour == 'slow':
            time.sleep(sink.seconds)
        if behaviour == 'lost answer':
            sink.cut()
        _status, code, again = _REFUSALS.get(behaviour, (200, None, False))
        if code is not None:
            if again:
                context.set_trailing_metadata(
                    [('grpc-status-details-bin', _come_again(code, sink))]
                )
            context.abort(code, behaviour)
        return _answer(rejected)

    running = grpc.server(
        futures.ThreadPoolExecutor(8),
        handlers=[
            grpc.method_handlers_generic_handler(
                'opentelemetry.proto.collector.trace.v1.TraceService',
                {'Export': grpc.unary_unary_rpc_method_handler(export)},
            )
        ],
        options=[('grpc.max_receive_message_length', -1)],
    )
    if certificate is None:
        port = running.add_insecure_port('127.0.0.1:0')
    else:
        with open(certificate[0], 'rb') as file:
            chain = file.read()
        with open(certificate[1], 'rb') as file:
            key = file.read()
        port = running.add_secure_port(
            '127.0.0.1:0', grpc.ssl_server_credentials([(key, chain)])
        )
    running.start()
    # It stops where nobody refers to it.
    _RUNNING.append(running)
    return int(port)


_RUNNING: list[Any] = []


def _answer(rejected: int) -> bytes:
    answer = trace_service_pb2.ExportTraceServiceResponse()
    if rejected:
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = 'one too many'
    content: bytes = answer.SerializeToString()
    return content


def _come_again(code: grpc.StatusCode, sink: Sink) -> bytes:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(round(sink.seconds * 1000))
    status = status_pb2.Status(code=code.value[0], message='come again')
    status.details.add().Pack(info)
    content: bytes = status.SerializeToString()
    return content


class Ports:
    """The receivers, and the gates in front of them."""

    def __init__(
        self,
        sink: Sink,
        certificate: list[str] | None,
        untrusted: list[str] | None,
    ) -> None:
        loop = gates.Loop()
        self._gates: dict[str, tuple[gates.Gate, int, int]] = {}
        for scheme, receiver in (
            ('http', http_receiver),
            ('grpc', grpc_receiver),
        ):
            port = receiver(sink, None)
            self._gates[scheme] = (gates.Gate(loop, port), port, port)
            if certificate is not None:
                port = receiver(sink, certificate)
                other = receiver(sink, untrusted)
                self._gates[f'{scheme}s'] = (
                    gates.Gate(loop, port),
                    port,
                    other,
                )

    def numbers(self) -> dict[str, int]:
        return {scheme: one[0].port for scheme, one in self._gates.items()}

    def connections(self) -> dict[str, int]:
        return {
            scheme: one[0].connections for scheme, one in self._gates.items()
        }

    def behave(self, behaviour: str) -> None:
        for gate, trusted, untrusted in self._gates.values():
            gate.behave(
                behaviour, untrusted if behaviour == 'untrusted' else trusted
            )

    def cut(self) -> None:
        for gate, _trusted, _untrusted in self._gates.values():
            gate.cut()


def main(certificate: list[str] | None, untrusted: list[str] | None) -> None:
    sink = Sink()
    ports = Ports(sink, certificate, untrusted)
    sink.cut = ports.cut
    print(json.dumps(ports.numbers()), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if 'behave' in command:
            # The gates last: who sees one open again is answered well.
            sink.seconds = command['seconds']
            sink.behaviour = command['behave']
            ports.behave(command['behave'])
        answer = sink.totals()
        answer['connections'] = ports.connections()
        print(json.dumps(answer), flush=True)
    # Neither for slow answers nor for clients.
    os._exit(0)


if __name__ == '__main__':
    _paths = sys.argv[1:]
    main(_paths[:2] or None, _paths[2:] or None)

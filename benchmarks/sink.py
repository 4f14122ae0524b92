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

"""Takes spans and answers requests, in a process of its own.

What it receives is only kept while something is measured; it is decoded when
somebody asks what came.
"""

from __future__ import annotations

import collections
import gzip
from http import server
import json
import sys
import threading
from typing import Any

from benchmarks import content

_PATH = '/v1/traces'


_BODIES: collections.defaultdict[str, list[bytes]]
_BODIES = collections.defaultdict(list)
#: Bytes as they came, which may have been compressed.
_SENT: collections.Counter[str] = collections.Counter()


class _Handler(server.BaseHTTPRequestHandler):
    """OTLP/HTTP below a path for each who sends, and something to GET."""

    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        length = int(self.headers.get('Content-Length', 0))
        body = self.rfile.read(length)
        who = self.path.removesuffix(_PATH).strip('/')
        _SENT[who] += length
        if self.headers.get('Content-Encoding') == 'gzip':
            body = gzip.decompress(body)
        _BODIES[who].append(body)
        self._answer(b'', 'application/x-protobuf')

    def do_GET(self) -> None:
        if self.path == '/received':
            received = {
                who: {**content.told(took), 'sent_bytes': _SENT[who]}
                for who, took in list(_BODIES.items())
            }
            self._answer(json.dumps(received).encode())
        else:
            self._answer(b'{"volumes": []}')

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _answer(self, body: bytes, kind: str = 'application/json') -> None:
        self.send_response(200)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until standard input ends; print the URL first."""
    http = server.ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, daemon=True).start()
    print(f'http://127.0.0.1:{http.server_port}', flush=True)
    sys.stdin.read()


if __name__ == '__main__':
    main()

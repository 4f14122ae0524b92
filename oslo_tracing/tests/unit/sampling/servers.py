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

"""A remote-sampling server on 127.0.0.1 that says what it is told to."""

from __future__ import annotations

from http import server
import json
import os
import ssl
import threading
import time
from typing import Any
from urllib import parse

import fixtures


def ratio(value: float) -> dict[str, Any]:
    """Return the answer for one ratio."""
    return {
        'strategyType': 'PROBABILISTIC',
        'probabilisticSampling': {'samplingRate': value},
    }


class StrategyServer(fixtures.Fixture):
    """Answers every question alike, until told otherwise.

    :ivar answer: what it says: bytes, or what JSON can hold.
    :ivar asked: the paths of the questions so far.
    """

    def __init__(self, answer: Any = None, certificates: Any = None) -> None:
        self.answer = answer
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        self._certificates = certificates
        self._heard = threading.Condition()

    def _setUp(self) -> None:
        of = self

        class Handler(server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                said = of.answer
                if not isinstance(said, bytes):
                    said = json.dumps(said).encode()
                try:
                    self.send_response(of.status)
                    for name, value in of.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(said)
                except OSError:
                    # Who has heard enough hangs up.
                    self.close_connection = True
                with of._heard:
                    of.asked.append(self.path)
                    of._heard.notify_all()

            def log_message(self, *args: Any) -> None:
                pass

        class Server(server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                pass

        running = Server(('127.0.0.1', 0), Handler)
        scheme = 'http'
        if self._certificates is not None:
            scheme = 'https'
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*self._certificates.server)
            tls.verify_mode = ssl.CERT_REQUIRED
            tls.load_verify_locations(self._certificates.ca)
            running.socket = tls.wrap_socket(
                running.socket,
                server_side=True,
                do_handshake_on_connect=False,
            )
        self.url = f'{scheme}://127.0.0.1:{running.server_port}/sampling'
        thread = threading.Thread(
            target=running.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(running.server_close)
        self.addCleanup(running.shutdown)

    def services(self) -> set[str]:
        """Return whose strategies were asked for."""
        return {
            service
            for path in self.asked
            for service in parse.parse_qs(parse.urlsplit(path).query)[
                'service'
            ]
        }

    def wait_for(self, more: int) -> bool:
        """Wait until so many more questions came than have come now."""
        with self._heard:
            wanted = len(self.asked) + more
            return self._heard.wait_for(
                lambda: len(self.asked) >= wanted, timeout=60
            )


def share(sampler: Any, name: str = 'x', count: int = 20000) -> float:
    """Return which part of so many new traces a sampler keeps."""
    kept = sum(
        sampler.should_sample(
            None, int.from_bytes(os.urandom(16), 'big'), name
        ).decision.is_sampled()
        for _number in range(count)
    )
    return kept / count


def sigmas(value: float, count: int = 20000, sigmas: float = 5.0) -> float:
    """Return how far off a measured share may be: of one in two million."""
    return sigmas * (value * (1 - value) / count) ** 0.5


def until(condition: Any) -> bool:
    """Wait until a condition holds, for a minute at the most."""
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True

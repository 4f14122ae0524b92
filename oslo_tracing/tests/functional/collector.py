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

"""A collector for tests: another process, which misbehaves when told to."""

from __future__ import annotations

from collections.abc import Callable
import json
import subprocess
import sys
import threading
import time
from typing import Any

import fixtures

from oslo_tracing.tests.functional import sink
from oslo_tracing.tests.unit.exporters import support

#: What it can be told to do.
BEHAVIOURS = (
    'healthy',
    # Connections are refused, or accepted and never answered.
    'closed',
    'black hole',
    # 503 or UNAVAILABLE with and without a time to come again.
    'unavailable',
    'unavailable for long',
    # 429 or RESOURCE_EXHAUSTED without and with a time to come again.
    'exhausted',
    'exhausted for now',
    # 302 to a login page, UNKNOWN.
    'redirect',
    # 413, RESOURCE_EXHAUSTED.
    'too large',
    # 400, INVALID_ARGUMENT.
    'bad request',
    # One span of each request is rejected, the rest accepted.
    'partial',
    # Each answer takes some time.
    'slow',
    # The connection is reset by the first bytes of a request, or after the
    # spans were kept and before the answer.
    'reset',
    'lost answer',
    # Another certificate, of an authority that clients do not know.
    'untrusted',
)


class Collector(fixtures.Fixture):
    """Speaks OTLP/HTTP and OTLP/gRPC, and counts exactly.

    :param tls: also listen with TLS.
    :ivar http_url: for ``otlp_endpoint``, so are the next three.
    :ivar grpc_url:
    :ivar https_url: with TLS, None without.
    :ivar grpcs_url: the same.
    :ivar ca_file: the authority that signed its certificate.
    """

    def __init__(self, tls: bool = False) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        self.https_url: str | None = None
        self.grpcs_url: str | None = None
        self.ca_file: str | None = None

    def _setUp(self) -> None:
        paths: tuple[str, ...] = ()
        if self._tls:
            own = self.useFixture(support.Certificates())
            other = self.useFixture(support.Certificates())
            self.ca_file = own.ca
            paths = (*own.server, *other.server)
        self._process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', sink.__name__, *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self._end)
        ports = self._answered()
        self.http_url = f'http://127.0.0.1:{ports["http"]}'
        self.grpc_url = f'http://127.0.0.1:{ports["grpc"]}'
        if self._tls:
            self.https_url = f'https://127.0.0.1:{ports["https"]}'
            self.grpcs_url = f'https://127.0.0.1:{ports["grpcs"]}'

    def behave(self, behaviour: str, seconds: float = 1.0) -> dict[str, Any]:
        """Behave otherwise from now on, at all ports alike.

        Connections that were swallowed by a black hole are reset when it
        ends, as where the collector is started again.

        :param behaviour: one of ``BEHAVIOURS``.
        :param seconds: how long a slow answer takes, and when to come again.
        :returns: the totals at that moment.
        """
        if behaviour not in BEHAVIOURS:
            raise ValueError(behaviour)
        return self._ask({'behave': behaviour, 'seconds': seconds})

    def totals(self) -> dict[str, Any]:
        """Return what arrived until now.

        :returns: ``requests`` that could be read, by what was answered in
            ``answers``; ``undecodable`` ones; those that ``followed`` a
            redirect; ``connections`` by port; different ``spans`` kept, in
            how many more copies they came (``doubled``), how many were
            ``rejected``, their ``names`` (of a thousand at most), and
            ``processes``: a list of process.pid, service.instance.id and
            number of different spans.
        """
        return self._ask({})

    def wait_for(
        self, predicate: Callable[[dict[str, Any]], Any], timeout: float = 30.0
    ) -> dict[str, Any]:
        """Return the totals as soon as ``predicate`` is true of them.

        :param timeout: seconds.
        :raises AssertionError: when that is over.
        """
        until = time.monotonic() + timeout
        while True:
            totals = self.totals()
            if predicate(totals):
                return totals
            if time.monotonic() > until:
                raise AssertionError(f'still so after {timeout} s: {totals}')
            time.sleep(0.02)

    def _ask(self, command: dict[str, Any]) -> Any:
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(command) + '\n')
            self._process.stdin.flush()
            return self._answered()

    def _answered(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError('the collector has ended')
        return json.loads(line)

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

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

"""A message bus inside of one process, for tests of what passes over it."""

from __future__ import annotations

import queue
import threading
from typing import Any

import fixtures
from kombu.transport import memory
from opentelemetry import trace
from oslo_config import cfg
import oslo_messaging
from oslo_messaging import conffixture

from oslo_tracing import attributes as names
from oslo_tracing import fixture
from oslo_tracing.tests import base

#: Seconds after which something that does not come is missing.
PATIENCE = 20

#: For ``TestCase.of_kind``.
CLIENT = trace.SpanKind.CLIENT
SERVER = trace.SpanKind.SERVER
PRODUCER = trace.SpanKind.PRODUCER
CONSUMER = trace.SpanKind.CONSUMER


class Refused(Exception):
    """What an endpoint raises."""


class Endpoint:
    """Answers RPC and remembers what it saw."""

    target = oslo_messaging.Target(version='1.3')

    def __init__(self) -> None:
        #: Contexts and the span that was current, in order of arrival.
        self.seen: queue.Queue[Any] = queue.Queue()
        self.release = threading.Event()

    def note(self, ctxt, value=None):
        self.seen.put((ctxt, trace.get_current_span().get_span_context()))
        return value

    def fail(self, ctxt):
        raise Refused('s3cret')

    @oslo_messaging.expected_exceptions(Refused)
    def expect(self, ctxt):
        raise Refused('s3cret')

    def slow(self, ctxt):
        self.release.wait(PATIENCE)

    def _hidden(self, ctxt):
        raise AssertionError('must not be called')


class TestCase(base.TestCase):
    """Sends and receives on ``url``.

    oslo.messaging registers some of its options on ``cfg.CONF`` alone, so
    that is what it is given.
    """

    url = 'fake://'
    #: What the spans must say of the transport.
    system = 'fake'
    address: str | None = None

    def setUp(self) -> None:
        super().setUp()
        self.conf = cfg.CONF
        self.conf([], project='oslo_tracing_test', default_config_files=[])
        self.addCleanup(self.conf.reset)
        self.useFixture(conffixture.ConfFixture(self.conf, self.url))
        # How long an idle worker of a pool takes to see that it is over.
        self.useFixture(
            fixtures.MonkeyPatch(
                'futurist._thread.ThreadWorker.MAX_IDLE_FOR', 0.05
            )
        )
        # Else the next test gets what nobody has read.
        self.addCleanup(memory.Channel.queues.clear)
        self.addCleanup(memory.Transport.global_state.clear)
        self.servers: list[Any] = []
        self.addCleanup(self.finish)

    @property
    def where(self) -> dict[str, str]:
        """The attributes that tell of the transport."""
        where = {names.MESSAGING_SYSTEM: self.system}
        if self.address is not None:
            where[names.SERVER_ADDRESS] = self.address
        return where

    def record(self, **options: Any) -> fixture.SpanRecorder:
        """Turn tracing on, for oslo.messaging only."""
        options.setdefault('sample_ratio', 1.0)
        self.spans = self.useFixture(
            fixture.SpanRecorder('oslo_messaging', **options)
        )
        return self.spans

    def transport(self) -> Any:
        transport = oslo_messaging.get_rpc_transport(self.conf)
        self.addCleanup(transport.cleanup)
        return transport

    def serve(
        self,
        transport: Any,
        *endpoints: Any,
        topic: str = 'compute',
        server: str = 'host1',
        workers: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Start an RPC server."""
        target = oslo_messaging.Target(topic=topic, server=server)
        return self.start(
            oslo_messaging.get_rpc_server(
                transport, target, list(endpoints), **kwargs
            ),
            workers,
        )

    def start(self, server: Any, workers: int | None = None) -> Any:
        """Start an RPC server or a listener, until :meth:`finish`."""
        server.start(override_pool_size=workers)
        self.servers.append(server)
        return server

    def client(self, transport: Any, topic: str = 'compute', **kwargs) -> Any:
        kwargs.setdefault('version', '1.0')
        return oslo_messaging.get_rpc_client(
            transport, oslo_messaging.Target(topic=topic, **kwargs)
        )

    def finish(self) -> None:
        """Stop all servers, so that all of their spans have ended."""
        for server in self.servers:
            server.stop()
            server.wait()
        self.servers.clear()

    def of_kind(self, kind: trace.SpanKind) -> list[Any]:
        """Return the ended spans of a kind."""
        return [span for span in self.spans.finished if span.kind is kind]

    def one(self, kind: trace.SpanKind) -> Any:
        """Return the only ended span of a kind."""
        (span,) = self.of_kind(kind)
        return span

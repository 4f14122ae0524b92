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

"""Where messages come from and go to, told once for each transport."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import MutableMapping
from typing import Any
import weakref

from oslo_tracing import _guard
from oslo_tracing import attributes as names

#: What is kept of one place: so many entries, with keys of that many
#: characters.
MAX_KEPT = 1024
MAX_KEY = 512

_UNKNOWN_SYSTEM = 'oslo.messaging'
# Names of oslo.messaging's drivers that the conventions call otherwise.
_DRIVERS = {'rabbit': 'rabbitmq', 'kombu': 'rabbitmq'}
# The same for what follows ``kombu+``; what is not here, such as memory and
# redis, is called what kombu calls it.
_KOMBU = {
    'amqp': 'rabbitmq',
    'amqps': 'rabbitmq',
    'azureservicebus': 'servicebus',
    'confluentkafka': 'kafka',
    'gcpubsub': 'gcp_pubsub',
    'librabbitmq': 'rabbitmq',
    'pyamqp': 'rabbitmq',
    'rabbit': 'rabbitmq',
    'sqs': 'aws_sqs',
}


class Place:
    """One end of a transport: a sender's, or a server's with its topics.

    :ivar owner: keeps it no longer than its transport or dispatcher.
    :ivar attributes: those that all messages here have.
    :ivar topics: what a server listens to.
    :ivar topic: that, unless there are several or it is not known.
    :ivar server: what a server calls itself.
    :ivar kept: for those who use it, at most ``MAX_KEPT``.
    """

    __slots__ = ('attributes', 'kept', 'owner', 'server', 'topic', 'topics')

    owner: weakref.ref[Any]

    def __init__(
        self,
        attributes: Mapping[str, str],
        topics: tuple[str, ...] = (),
        server: str | None = None,
    ) -> None:
        self.attributes = attributes
        self.topics = topics
        self.topic = topics[0] if len(topics) == 1 else None
        self.server = server
        self.kept: dict[Any, Any] = {}

    def keep(self, key: tuple[str | None, ...], value: Any) -> None:
        """Keep something, unless it is too much."""
        if len(self.kept) < MAX_KEPT and (
            sum(len(part) for part in key if part is not None) <= MAX_KEY
        ):
            self.kept[key] = value


def _until_gone(
    owner: Any, known: MutableMapping[int, Any]
) -> weakref.ref[Any]:
    """Return what takes an object out of what is known when it is gone.

    That is before anything else gets the same ``id()``.
    """
    key = id(owner)
    return weakref.ref(owner, lambda _gone: known.pop(key, None))


class Places:
    """The transports and dispatchers that were seen, while they live."""

    def __init__(self) -> None:
        #: Not a dictionary with weak keys, which has Python look for each of
        #: them: by what ``id()`` says.
        self._of: dict[int, Place] = {}
        #: Servers whose dispatchers are known, by what ``id()`` says.
        self._servers: dict[int, weakref.ref[Any]] = {}

    def of_transport(self, transport: Any) -> Place:
        """Return where a sender's transport leads."""
        place = self._of.get(id(transport))
        if place is None:
            place = self._put(transport, Place(_of_url(transport)))
        return place

    def of_dispatcher(self, dispatcher: Any) -> Place:
        """Return where the messages of a dispatcher come from.

        All is known of a dispatcher whose server was seen at work.
        """
        place = self._of.get(id(dispatcher))
        if place is None:
            place = self._put(dispatcher, Place(_of_url(None)))
        return place

    def _put(self, owner: Any, place: Place) -> Place:
        place.owner = _until_gone(owner, self._of)
        self._of[id(owner)] = place
        return place

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``_process_incoming`` of a server.

        The dispatcher that it calls knows neither topic nor transport.
        """

        servers = self._servers

        def _process_incoming(
            server: Any, /, *args: Any, **kwargs: Any
        ) -> Any:
            if id(server) not in servers:
                self._look_at(server)
            return original(server, *args, **kwargs)

        return _process_incoming

    def _look_at(self, server: Any) -> None:
        try:
            self._see(server)
            self._remember(server)
        except Exception:
            _guard.report('looking at a message server')

    def _remember(self, server: Any) -> None:
        if len(self._servers) >= MAX_KEPT:
            self._servers.clear()
        self._servers[id(server)] = _until_gone(server, self._servers)

    def _see(self, server: Any) -> None:
        dispatcher = server.dispatcher
        if self.of_dispatcher(dispatcher).topics:
            return
        target = getattr(server, '_target', None)
        targets = getattr(server, 'targets', None) or [target]
        topics = dict.fromkeys(
            topic
            for topic in (getattr(each, 'topic', None) for each in targets)
            if isinstance(topic, str)
        )
        self._put(
            dispatcher,
            Place(
                _of_url(server.transport),
                tuple(topics),
                getattr(target, 'server', None),
            ),
        )


def _of_url(transport: Any) -> dict[str, str]:
    driver = getattr(transport, '_driver', None)
    url = getattr(driver, '_url', None)
    told = {names.MESSAGING_SYSTEM: _system(getattr(url, 'transport', None))}
    hosts = getattr(url, 'hosts', None)
    # Of several it is the driver that chooses, and it may change its mind.
    if isinstance(hosts, list) and len(hosts) == 1:
        address = getattr(hosts[0], 'hostname', None)
        if address and isinstance(address, str):
            told[names.SERVER_ADDRESS] = address
    return told


def _system(scheme: Any) -> str:
    if not scheme or not isinstance(scheme, str):
        return _UNKNOWN_SYSTEM
    driver, _plus, through = scheme.partition('+')
    if driver == 'kombu' and through:
        return _KOMBU.get(through, through)
    return _DRIVERS.get(driver, driver)


class Delivery:
    """What the driver tells of how a message came.

    :param exchange: of AMQP, None elsewhere.
    :param routing_key: the same.
    """

    __slots__ = ('exchange', 'routing_key')

    def __init__(self, exchange: str | None, routing_key: str | None) -> None:
        self.exchange = exchange
        self.routing_key = routing_key


_UNTOLD = Delivery(None, None)


def delivery(incoming: Any) -> Delivery:
    """Return how a received message came, where the driver tells."""
    raw = getattr(incoming.message, '_raw_message', None)
    info = getattr(raw, 'delivery_info', None)
    if not isinstance(info, dict):
        return _UNTOLD
    exchange = info.get('exchange')
    routing_key = info.get('routing_key')
    return Delivery(
        exchange if isinstance(exchange, str) else None,
        routing_key if isinstance(routing_key, str) else None,
    )


def bounded(text: Any, limit: int = 128) -> str | None:
    """Return a short text that came with a message, or None."""
    if not text or not isinstance(text, str) or len(text) > limit:
        return None
    return text if text.isprintable() else None

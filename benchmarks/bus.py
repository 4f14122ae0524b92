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

"""oslo.messaging inside of one process, without its driver's naps."""

from __future__ import annotations

import threading
import time
from typing import Any

from oslo_config import cfg
from oslo_context import context
import oslo_messaging
from oslo_messaging._drivers import impl_fake

TOPIC = 'conductor'
EVENTS = 'notifications'
_URL = 'fake://'


class Serializer(oslo_messaging.NoOpSerializer):  # type: ignore[misc]
    """Sends a RequestContext as a dictionary, as every service does."""

    def serialize_context(self, ctxt: Any) -> dict[str, Any]:
        values: dict[str, Any] = ctxt.to_dict()
        return values

    def deserialize_context(self, ctxt: Any) -> context.RequestContext:
        return context.RequestContext.from_dict(ctxt)


class _Prompt:
    """Stands in for ``time`` in the driver, whose listeners look and nap.

    They go on as soon as there is something to look at: a benchmark that
    sleeps between its messages measures little else in the same time.
    """

    time = staticmethod(time.time)

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self._count = 0
        self._seen = threading.local()

    def sleep(self, seconds: float) -> None:
        with self._arrived:
            if getattr(self._seen, 'count', -1) == self._count:
                # Longer: a process that waits for its turn shall be quiet.
                self._arrived.wait(max(seconds, 1.0))
            self._seen.count = self._count

    def wake(self) -> None:
        with self._arrived:
            self._count += 1
            self._arrived.notify_all()


def be_prompt() -> None:
    """Let what is sent in this process be seen at once."""
    prompt = _Prompt()
    deliver = impl_fake.FakeExchange.deliver_message

    def deliver_and_wake(*args: Any, **kwargs: Any) -> None:
        deliver(*args, **kwargs)
        prompt.wake()

    impl_fake.FakeExchange.deliver_message = deliver_and_wake
    impl_fake.time = prompt


class Heard:
    """Counts the notifications that were handled."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def one(self) -> None:
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Wait until so many were handled since the process began."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= count, 60):
                raise TimeoutError('A notification was not heard.')


def client(conf: cfg.ConfigOpts, serializer: Any) -> Any:
    """Return a client of the conductor."""
    return oslo_messaging.get_rpc_client(
        oslo_messaging.get_rpc_transport(conf, _URL),
        oslo_messaging.Target(topic=TOPIC, version='1.0'),
        serializer=serializer,
        timeout=30,
    )


def notifier(conf: cfg.ConfigOpts, serializer: Any) -> Any:
    """Return what notifications are sent with."""
    return oslo_messaging.Notifier(
        oslo_messaging.get_notification_transport(conf, _URL),
        'compute.benchmark',
        driver='messagingv2',
        topics=[EVENTS],
        serializer=serializer,
    )


def start_servers(
    conf: cfg.ConfigOpts, endpoint: Any, listener: Any, serializer: Any
) -> None:
    """Answer RPC and hear notifications for the life of the process."""
    target = oslo_messaging.Target(topic=TOPIC, server='benchmark')
    for server in (
        oslo_messaging.get_rpc_server(
            oslo_messaging.get_rpc_transport(conf, _URL),
            target,
            [endpoint],
            executor='threading',
            serializer=serializer,
        ),
        oslo_messaging.get_notification_listener(
            oslo_messaging.get_notification_transport(conf, _URL),
            [oslo_messaging.Target(topic=EVENTS)],
            [listener],
            executor='threading',
            serializer=serializer,
        ),
    ):
        server.start()

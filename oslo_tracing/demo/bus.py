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

"""RPC and notifications of the demo."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg
from oslo_context import context
import oslo_messaging

TOPIC = 'conductor'


class Serializer(oslo_messaging.NoOpSerializer):  # type: ignore[misc]
    """Sends a RequestContext as a dictionary, as every service does."""

    def serialize_context(self, ctxt: Any) -> dict[str, Any]:
        values: dict[str, Any] = ctxt.to_dict()
        return values

    def deserialize_context(self, ctxt: Any) -> context.RequestContext:
        return context.RequestContext.from_dict(ctxt)


def client(conf: cfg.ConfigOpts) -> Any:
    """Return a client of the conductor."""
    return oslo_messaging.get_rpc_client(
        oslo_messaging.get_rpc_transport(conf),
        oslo_messaging.Target(topic=TOPIC, version='1.0'),
        serializer=Serializer(),
        timeout=30,
    )


def notifier(conf: cfg.ConfigOpts) -> Any:
    """Return a notifier that speaks for the conductor."""
    return oslo_messaging.Notifier(
        oslo_messaging.get_notification_transport(conf),
        'conductor.demo',
        driver='messagingv2',
        topics=['notifications'],
        serializer=Serializer(),
    )


def servers(
    conf: cfg.ConfigOpts, endpoints: list[Any], listeners: list[Any]
) -> list[Any]:
    """Return the servers that answer RPC and hear notifications."""
    target = oslo_messaging.Target(topic=TOPIC, server='demo')
    return [
        oslo_messaging.get_rpc_server(
            oslo_messaging.get_rpc_transport(conf),
            target,
            endpoints,
            executor='threading',
            serializer=Serializer(),
        ),
        oslo_messaging.get_notification_listener(
            oslo_messaging.get_notification_transport(conf),
            [oslo_messaging.Target(topic='notifications')],
            listeners,
            executor='threading',
            serializer=Serializer(),
        ),
    ]

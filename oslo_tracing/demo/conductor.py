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

"""What stands behind the compute API: builds servers, by RPC."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg
import oslo_messaging

import oslo_tracing
from oslo_tracing.demo import bus
from oslo_tracing.demo import db


class NoValidHost(Exception):
    """There is no room for a server."""


class Conductor:
    """The RPC endpoint.

    :param conf: configuration of the messaging.
    """

    target = oslo_messaging.Target(version='1.0')

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._client = bus.client(conf)
        self._notifier = bus.notifier(conf)

    def build(self, ctxt: Any, server_id: str, name: str) -> str:
        """Build a server, and say so."""
        with oslo_tracing.span('claim resources', {'host': 'node-1'}):
            if name == 'doomed':
                raise NoValidHost(f'no host for {name}')
            db.set_state(ctxt, server_id, 'active')
        self._notifier.info(
            ctxt, 'compute.instance.create.end', {'server_id': server_id}
        )
        self._client.cast(ctxt, 'update_cache', server_id=server_id)
        return 'node-1'

    def update_cache(self, ctxt: Any, server_id: str) -> None:
        """Look at a server, after the caller got its answer."""
        db.state_of(ctxt, server_id)


class Actions:
    """The notification endpoint."""

    def info(
        self,
        ctxt: Any,
        publisher_id: str,
        event_type: str,
        payload: dict[str, Any],
        metadata: dict[str, Any],
    ) -> None:
        """Keep what was done."""
        db.add_action(ctxt, event_type, payload['server_id'])


def start(conf: cfg.ConfigOpts) -> list[Any]:
    """Start the conductor's servers and return them."""
    started = bus.servers(conf, [Conductor(conf)], [Actions()])
    for server in started:
        server.start()
    return started

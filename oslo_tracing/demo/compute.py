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

"""The compute API: stores, asks block storage, has the conductor build."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keystoneauth1 import adapter
from keystoneauth1 import noauth
from keystoneauth1 import session
from oslo_config import cfg
import webob

import oslo_tracing
from oslo_tracing.demo import bus
from oslo_tracing.demo import db
from oslo_tracing.demo import wsgi


class Servers:
    """The resource of this API.

    :param conf: the service's configuration.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conductor = bus.client(conf)
        self._volumes = adapter.Adapter(
            session.Session(
                auth=noauth.NoAuth(endpoint=conf.block_storage_url)
            ),
            service_type='block-storage',
        )

    def create(self, ctxt: Any, request: webob.Request) -> dict[str, Any]:
        """Boot a server."""
        server_id = db.add_server(ctxt, request.json['name'])
        self._volumes.get('/volumes')
        host = self._conductor.call(
            ctxt, 'build', server_id=server_id, name=request.json['name']
        )
        return {'id': server_id, 'host': host}

    def console(
        self, ctxt: Any, request: webob.Request, server_id: str
    ) -> webob.Response:
        """Stream a server's console, from block storage, piece by piece."""

        def pieces() -> Iterator[bytes]:
            log = self._volumes.get(f'/logs/{server_id}', stream=True)
            yield from log.iter_content(64)
            with oslo_tracing.span('read state'):
                yield db.state_of(ctxt, server_id).encode()

        return webob.Response(app_iter=pieces(), content_type='text/plain')


def app_factory(global_conf: Any, **local_conf: Any) -> wsgi.Application:
    """Make the application, for paste."""
    servers = Servers(cfg.CONF)
    return wsgi.Application(
        {
            ('POST', '/v2.1/servers'): servers.create,
            ('GET', '/v2.1/servers/{server_id}/console'): servers.console,
        }
    )

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

"""The service that is measured: an API, a conductor and a listener.

One process has all three, so that its CPU time is that of one request
wherever it goes.
"""

from __future__ import annotations

import io
import json
import logging
import time
from typing import Any

from oslo_config import cfg
from oslo_context import context
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import engines
from oslo_middleware import request_id
import requests
import routes
import sqlalchemy as sa
import webob.dec
import webob.exc

from benchmarks import bus
from benchmarks import frames

LOG = logging.getLogger(__name__)

_METADATA = sa.MetaData()
INSTANCES = sa.Table(
    'instances',
    _METADATA,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('uuid', sa.String(36), index=True),
    sa.Column('host', sa.String(64)),
    sa.Column('state', sa.String(16)),
)
FLAVORS = sa.Table(
    'flavors',
    _METADATA,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('name', sa.String(64)),
)
#: Of each request for volume: nine of ten read, fast.
_READS = 52
_PAUSE = 0.012
_UUID = '2b1f4a53-7c0e-4d7e-9d0a-1f6f0f6a1c11'
_HEADERS = {
    'HTTP_HOST': 'compute.example.com:8774',
    'HTTP_USER_AGENT': 'python-novaclient',
    'HTTP_X_PROJECT_ID': '9d1c1cbd6a3f4a0c8d5d9e0a3f5a7b11',
    'HTTP_X_USER_ID': '0f2a7d4c3b1e4f6aa1b2c3d4e5f60718',
    'REMOTE_ADDR': '192.0.2.7',
    'SERVER_NAME': 'compute',
    'SERVER_PORT': '8774',
    'SERVER_PROTOCOL': 'HTTP/1.1',
    'wsgi.url_scheme': 'http',
}


class Service:
    """One process of all parts; variants add their spans to its methods.

    :param conf: what oslo.messaging is configured by.
    :param sink: URL of the other process.
    :param database: path of the file with the tables.
    :param messages: whether RPC and notifications are wanted.
    """

    serializer: Any = bus.Serializer()

    def __init__(
        self, conf: cfg.ConfigOpts, sink: str, database: str, messages: bool
    ) -> None:
        self.heard = bus.Heard()
        self.sent = 0
        self._depths = frames.Depths()
        # As many as there may be threads: nobody is to wait for one.
        self.engine = engines.create_engine(
            f'sqlite:///{database}', max_pool_size=40
        )
        _METADATA.create_all(self.engine)
        self._volumes = f'{sink}/v3/volumes'
        self._session = requests.Session()
        self._session.trust_env = False
        self._by_uuid = sa.select(INSTANCES).where(
            INSTANCES.c.uuid == sa.bindparam('uuid')
        )
        self._by_host = sa.select(INSTANCES.c.uuid).where(
            INSTANCES.c.host == sa.bindparam('host')
        )
        self._flavor = sa.select(FLAVORS).where(
            FLAVORS.c.id == sa.bindparam('id')
        )
        self._add = sa.insert(INSTANCES)
        self._change = (
            sa.update(INSTANCES)
            .where(INSTANCES.c.uuid == sa.bindparam('old'))
            .values(state=sa.bindparam('state'))
        )
        self._pause = sa.select(sa.func.pause(sa.bindparam('seconds')))
        if messages:
            bus.be_prompt()
            self._client = bus.client(conf, self.serializer)
            self._notifier = bus.notifier(conf, self.serializer)
            bus.start_servers(
                conf, self.endpoint(), self.listener(), self.serializer
            )
        self._map = routes.Mapper()
        self._map.connect(
            '/v2.1/servers/{id}/action', controller='boot', action='boot'
        )
        self._map.connect(
            '/v2.1/statements/{count}', controller='many', action='many'
        )
        self._map.connect('/v2.1/volume', controller='volume', action='volume')
        self.application = self.wrapped(request_id.RequestId(self._dispatch))

    def wrapped(self, application: Any) -> Any:
        """Return the pipeline with what is to be in front of it."""
        return application

    def endpoint(self) -> Any:
        """Return what answers RPC."""
        return Endpoint(self)

    def listener(self) -> Any:
        """Return what hears notifications."""
        return Listener(self)

    def ask(self, path: str, **more: Any) -> None:
        """Make a request of this service, as its server would."""
        environ = {
            **_HEADERS,
            'REQUEST_METHOD': 'POST',
            'SCRIPT_NAME': '',
            'PATH_INFO': path,
            'QUERY_STRING': '',
            'wsgi.input': io.BytesIO(b''),
            'wsgi.errors': io.StringIO(),
            **more,
        }
        said: list[str] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Any:
            said.append(status)

        body = self._depths.call(self.application, environ, start_response)
        try:
            b''.join(body)
        finally:
            if hasattr(body, 'close'):
                body.close()
        if said != ['200 OK']:
            raise RuntimeError(f'The service has answered {said}.')

    def boot(self) -> None:
        """Make the realistic request."""
        self.sent += 1
        self.ask(f'/v2.1/servers/{_UUID}/action')

    def wait(self) -> None:
        """Wait until all that was begun is done."""
        self.heard.wait_for(self.sent)

    @webob.dec.wsgify  # type: ignore[untyped-decorator]
    def _dispatch(self, request: webob.Request) -> webob.Response:
        found = self._map.routematch(environ=request.environ)
        if found is None:
            raise webob.exc.HTTPNotFound()
        values, request.environ['routes.route'] = found
        ctxt = context.RequestContext.from_environ(request.environ)
        request.environ['nova.context'] = ctxt
        if values['action'] == 'boot':
            answer = self._boot(ctxt, values['id'])
        elif values['action'] == 'volume':
            answer = self._volume()
        else:
            answer = self._many(int(values['count']))
        LOG.info('%s "%s" is done', request.method, request.path)
        return webob.Response(
            json.dumps(answer).encode(), content_type='application/json'
        )

    def _boot(self, ctxt: Any, uuid: str) -> dict[str, Any]:
        with self.connect() as conn:
            self.query(conn, self._by_uuid, uuid=uuid)
            self.query(conn, self._flavor, id=1)
            self.query(conn, self._by_host, host='compute-1')
        self.get(self._volumes)
        host = self.call(ctxt, 'select_destination', uuid=uuid)
        self.call(ctxt, 'build', uuid=uuid, host=host)
        self.notify(ctxt, 'compute.instance.create.start', {'uuid': uuid})
        return {'host': host}

    def _many(self, count: int) -> dict[str, Any]:
        with self.connect() as conn:
            for number in range(count):
                if number % 2:
                    self.query(conn, self._flavor, id=number)
                else:
                    self.query(conn, self._by_uuid, uuid=_UUID)
        return {'count': count}

    def connect(self) -> Any:
        """Take a connection; oslo.db begins a transaction on SQLite."""
        return self.engine.connect()

    def _volume(self) -> dict[str, Any]:
        """Execute what a request of keystone does: most of it reads."""
        with self.connect() as conn:
            # It needs no CPU time, only patience.
            driver: Any = conn.connection.driver_connection
            driver.create_function('pause', 1, time.sleep)
            for number in range(_READS):
                if number % 3:
                    self.query(conn, self._flavor, id=number)
                else:
                    self.query(conn, self._by_uuid, uuid=_UUID)
            for number in range(3):
                self.query(conn, self._add, id=number + 1, uuid=_UUID)
                self.query(conn, self._change, old=_UUID, state='active')
            self.query(conn, self._pause, seconds=_PAUSE)
            try:
                self.query(conn, self._add, id=1, uuid=_UUID)
            except db_exc.DBDuplicateEntry:
                self.rollback(conn)
        return {'count': _READS + 8}

    def query(self, conn: Any, statement: Any, **values: Any) -> Any:
        """Execute one statement."""
        result = conn.execute(statement, values)
        return result.fetchall() if result.returns_rows else result.rowcount

    def rollback(self, conn: Any) -> None:
        """Undo what was executed."""
        conn.rollback()

    def get(self, url: str) -> None:
        """Ask another service."""
        self._session.get(url).raise_for_status()

    def call(self, ctxt: Any, method: str, **arguments: Any) -> Any:
        """Ask the conductor."""
        return self._client.call(ctxt, method, **arguments)

    def notify(self, ctxt: Any, event_type: str, payload: Any) -> None:
        """Tell whoever listens."""
        self._notifier.info(ctxt, event_type, payload)

    def two_statements(self, uuid: str) -> None:
        """Do what the conductor does for a call."""
        self._depths.call(self._two_statements, uuid)

    def _two_statements(self, uuid: str) -> None:
        with self.connect() as conn:
            self.query(conn, self._by_uuid, uuid=uuid)
            self.query(conn, self._by_host, host='compute-1')


class Endpoint:
    """The conductor."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def select_destination(self, ctxt: Any, uuid: str) -> str:
        """Choose a host."""
        self._service.two_statements(uuid)
        return 'compute-1'

    def build(self, ctxt: Any, uuid: str, host: str) -> None:
        """Build on it."""
        self._service.two_statements(uuid)


class Listener:
    """Hears notifications."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def info(
        self,
        ctxt: Any,
        publisher_id: str,
        event_type: str,
        payload: Any,
        metadata: Any,
    ) -> None:
        """Hear one."""
        self._service.heard.one()

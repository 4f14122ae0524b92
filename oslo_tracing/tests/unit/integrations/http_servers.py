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

"""Real servers on 127.0.0.1 that remember what they were sent."""

from __future__ import annotations

import http.server
import json
import socket
import threading

import fixtures
from keystoneauth1 import adapter
from keystoneauth1 import fixture as keystone_fixture
from keystoneauth1.identity import v3
from keystoneauth1 import noauth
from keystoneauth1 import session as keystone_session

from oslo_tracing import fixture
from oslo_tracing.tests import base

SCOPE = 'oslo_tracing.http_client'


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def _answer(self):
        length = int(self.headers.get('Content-Length') or 0)
        self.rfile.read(length)
        self.server.seen.append(
            (self.command, self.path, self.headers.items())
        )
        route = self.server.routes.get(self.path.partition('?')[0])
        answer = route.pop(0) if isinstance(route, list) else route
        if callable(answer):
            answer(self)
            return
        status, headers, body = answer or (404, {}, b'{}')
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD' and status != 204:
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _answer
    do_PURGE = _answer

    def log_message(self, *args):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients that go away are part of the tests."""


class Server(fixtures.Fixture):
    """Answers by path, and notes every request.

    ``routes`` has for a path (status, headers, body), a function that takes
    the handler, or a list of these, one for each request.
    """

    def _setUp(self):
        self._server = _Server(('127.0.0.1', 0), _Handler)
        self._server.routes = self.routes = {}
        self._server.seen = self.seen = []
        self.port = self._server.server_address[1]
        self.url = f'http://127.0.0.1:{self.port}'
        thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self._server.server_close)
        self.addCleanup(self._server.shutdown)

    def header(self, name, number=-1):
        """Return the values of a header of one of the requests."""
        _method, _path, headers = self.seen[number]
        return [value for key, value in headers if key.lower() == name.lower()]

    def names(self, number=-1):
        """Return the names of all headers of one of the requests."""
        return {key.lower() for key, _value in self.seen[number][2]}


class Keystone(Server):
    """Gives tokens whose catalog has ``compute``, and what clients miss.

    That is keystone itself, and an image service that has nothing.
    """

    def __init__(self, compute_url):
        super().__init__()
        self._compute_url = compute_url
        self.tokens = 0

    def _setUp(self):
        super()._setUp()
        self.routes['/v3'] = (
            200,
            {'Content-Type': 'application/json'},
            json.dumps(
                {'version': keystone_fixture.V3Discovery(f'{self.url}/v3')}
            ).encode(),
        )
        self.routes['/v3/auth/tokens'] = self._token

    def _token(self, handler):
        self.tokens += 1
        token = keystone_fixture.V3Token(project_id='p' * 8)
        service = token.add_service('compute', name='nova')
        service.add_standard_endpoints(
            public=self._compute_url, region='RegionOne'
        )
        for name, path in (('identity', 'v3'), ('image', 'image/v2')):
            token.add_service(name).add_standard_endpoints(
                public=f'{self.url}/{path}', region='RegionOne'
            )
        body = json.dumps(token).encode()
        handler.send_response(201)
        handler.send_header('X-Subject-Token', f'secret-{self.tokens}')
        handler.send_header('Content-Type', 'application/json')
        handler.send_header('Content-Length', str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def closed_port():
    """Return a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        return taken.getsockname()[1]


def to(url, **kwargs):
    """Return a client whose endpoint is in the configuration."""
    session = keystone_session.Session(auth=noauth.NoAuth())
    return adapter.Adapter(
        session, service_type='image', endpoint_override=url, **kwargs
    )


class TestCase(base.TestCase):
    """Has a server that answers ``/``."""

    def setUp(self):
        super().setUp()
        # Neither a proxy nor a .netrc of who runs the tests.
        for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
            self.useFixture(fixtures.EnvironmentVariable(name))
        self.useFixture(fixtures.EnvironmentVariable('NO_PROXY', '*'))
        self.server = self.useFixture(Server())
        self.server.routes['/'] = (200, {}, b'{"hello": "world"}')

    def record(self, **options):
        return self.useFixture(fixture.SpanRecorder('http_client', **options))

    def assert_attributes(self, expected, span):
        self.assertEqual(expected, dict(span.attributes))

    def keystone(self, **kwargs):
        """A session with a catalog that leads to the server."""
        self.identity = self.useFixture(Keystone(f'{self.server.url}/v2.1'))
        self.server.routes.setdefault(
            '/v2.1/servers', (200, {}, b'{"servers": []}')
        )
        auth = v3.Password(
            f'{self.identity.url}/v3',
            username='demo',
            password='hunter2',
            user_domain_id='default',
            project_name='demo',
            project_domain_id='default',
        )
        session = keystone_session.Session(auth=auth, **kwargs)
        return adapter.Adapter(
            session,
            service_type='compute',
            interface='public',
            region_name='RegionOne',
        )

    def to_server(self, **kwargs):
        """A client whose endpoint is in the configuration."""
        return to(self.server.url, **kwargs)

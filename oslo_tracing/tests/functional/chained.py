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

"""A service in a process of its own, small but with a catalog.

``python -m oslo_tracing.tests.functional.chained NAME SOCKET CONFIG URLS``:
NAME is keystone, glance or nova; SOCKET the number of a listening socket that
was inherited; URLS is JSON, where each of the three is. It says ``ready`` when
it serves, and on SIGTERM finishes what it has begun.
"""

from __future__ import annotations

import json
import signal
import socket
import socketserver
import sys
import threading
from wsgiref import simple_server

from keystoneauth1 import adapter
from keystoneauth1 import fixture as keystone_fixture
from keystoneauth1.identity import v3
from keystoneauth1 import session as keystone_session
from oslo_config import cfg

import oslo_tracing
from oslo_tracing import middleware

TYPES = {'keystone': 'identity', 'glance': 'image', 'nova': 'compute'}


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = False

    def __init__(self, listening, application):
        super().__init__(
            listening.getsockname(), _Handler, bind_and_activate=False
        )
        self.socket.close()
        # Shared with the process that takes over, or has served until now:
        # who is told of a connection may come too late for it.
        listening.setblocking(False)
        self.socket = listening
        self.server_name, self.server_port = listening.getsockname()
        self.setup_environ()
        self.set_app(application)


class _Handler(simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


class Service:
    """One of the three.

    :param name: which.
    :param urls: where each of them is.
    """

    def __init__(self, name, urls):
        self._name = name
        self._urls = urls
        auth = v3.Password(
            f'{urls["keystone"]}/v3',
            username=name,
            password='secret',
            user_domain_id='default',
            project_name='service',
            project_domain_id='default',
        )
        self._session = keystone_session.Session(auth=auth)

    def __call__(self, environ, start_response):
        path = environ['PATH_INFO']
        headers = [('Content-Type', 'application/json')]
        status = '200 OK'
        traces = {self._name: [oslo_tracing.current_trace_id()]}
        answer = traces
        if self._name == 'keystone' and environ['REQUEST_METHOD'] == 'POST':
            status = '201 Created'
            headers.append(('X-Subject-Token', 'a-token'))
            answer = self._token()
        elif path == '/v3':
            answer = {
                'version': keystone_fixture.V3Discovery(
                    f'{self._urls["keystone"]}/v3'
                )
            }
        elif self._name != 'keystone':
            self._ask('keystone', '/auth/tokens', traces)
            if self._name == 'nova':
                self._ask('glance', '/images', traces)
        start_response(status, headers)
        return [json.dumps(answer).encode()]

    def _ask(self, name, path, traces):
        client = adapter.Adapter(
            self._session,
            service_type=TYPES[name],
            interface='public',
            connect_retries=3,
        )
        for who, ids in client.get(path).json().items():
            traces.setdefault(who, []).extend(ids)

    def _token(self):
        token = keystone_fixture.V3Token(project_id='p' * 8)
        for name, kind in TYPES.items():
            url = self._urls[name]
            if name == 'keystone':
                url += '/v3'
            token.add_service(kind, name=name).add_standard_endpoints(
                public=url, region='RegionOne'
            )
        return token


def main(name, number, config, urls):
    """Serve until SIGTERM."""
    conf = cfg.ConfigOpts()
    conf(['--config-file', config], project='chained')
    oslo_tracing.setup(conf, name)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_unused: stop.set())
    listening = socket.socket(fileno=int(number))
    server = _Server(
        listening,
        middleware.TracingMiddleware(Service(name, json.loads(urls)), conf),
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    print('ready', flush=True)
    while not stop.wait(1):
        pass
    server.shutdown()
    thread.join()
    # Waits for the requests that were begun.
    server.server_close()
    oslo_tracing.shutdown()


if __name__ == '__main__':
    main(*sys.argv[1:])

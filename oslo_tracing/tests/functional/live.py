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

"""A small API that tells whether each request is recorded.

A program: ``python -m oslo_tracing.tests.functional.live BACKEND FILE`` runs
it as a service of oslo.service with two workers, and prints its port. Under
uWSGI, ``application`` is the same, with the file from the environment.
"""

from __future__ import annotations

import os
import sys

if len(sys.argv) > 2 and sys.argv[1] == 'eventlet':
    import eventlet

    eventlet.monkey_patch()

import socketserver
import threading
import time
from wsgiref import simple_server

from opentelemetry import trace
from oslo_config import cfg

import oslo_tracing
from oslo_tracing import middleware
from oslo_tracing import watch

FILE = 'OSLO_TRACING_LIVE_FILE'


def is_recorded(environ, start_response):
    """Answer ``1`` where the span of the request is recorded, else ``0``."""
    recorded = trace.get_current_span().is_recording()
    time.sleep(0.002)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'1' if recorded else b'0']


def made(path):
    """Return the configuration and the API, as a service makes them."""
    conf = cfg.ConfigOpts()
    conf([], project='live', default_config_files=[path])
    oslo_tracing.setup(conf, 'live')
    return conf, middleware.TracingMiddleware(is_recorded)


class Quiet(simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


class Threads(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    # Closing it waits for the requests that it answers.
    daemon_threads = False
    request_queue_size = 128


def threading_service(conf, app):
    """Return a service that answers on threads, and its port."""
    from oslo_service import service

    class Api(service.ServiceBase):
        def __init__(self):
            self._server = simple_server.make_server(
                '127.0.0.1', 0, app, Threads, Quiet
            )
            self.port = self._server.server_port
            self._done = threading.Event()

        def start(self):
            threading.Thread(target=self._server.serve_forever).start()

        def stop(self):
            self._server.shutdown()
            self._server.server_close()
            self._done.set()

        def wait(self):
            self._done.wait()

        def reset(self):
            pass

    api = Api()
    return api, api.port


def eventlet_service(conf, app):
    """Return what nova's WSGIService is, and its port."""
    from oslo_service import service
    from oslo_service import wsgi

    server = wsgi.Server(conf, 'live', app, host='127.0.0.1', port=0)

    class Api(service.ServiceBase):
        def start(self):
            server.start()

        def stop(self):
            server.stop()

        def wait(self):
            server.wait()

        def reset(self):
            server.reset()

    return Api(), server.port


def main(name, path):
    from oslo_service import backend

    backend.init_backend(backend.BackendType(name))
    from oslo_service import service

    # So that it is the signal, and not the look at the file.
    watch.INTERVAL = 3600.0
    conf, app = made(path)
    make = eventlet_service if name == 'eventlet' else threading_service
    api, port = make(conf, app)
    print(port, flush=True)
    service.launch(conf, api, workers=2, restart_method='mutate').wait()


if __name__ == '__main__':
    main(*sys.argv[1:])
elif FILE in os.environ:
    _conf, application = made(os.environ[FILE])

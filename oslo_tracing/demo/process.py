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

"""One process of the demo: ``python -m oslo_tracing.demo.process NAME``.

What a service's command does, in small: parse the configuration, set
tracing up with one call, serve until SIGTERM.
"""

from __future__ import annotations

import importlib.resources
import signal
import socketserver
import sys
import threading
from typing import Any
from wsgiref import simple_server

from oslo_config import cfg
from oslo_log import log
from paste import deploy

import oslo_tracing
from oslo_tracing.demo import conductor
from oslo_tracing.demo import db

OPTS = [
    cfg.BoolOpt(
        'conductor_within',
        default=True,
        help='Run the conductor in the process of the compute API, where '
        'the transport does not leave it.',
    ),
    cfg.URIOpt('block_storage_url', help='Endpoint of block storage.'),
]


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


class _Handler(simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the traces are what is to be seen."""


def main(argv: list[str]) -> int:
    """Run one of the services until it is told to stop.

    :param argv: name of the service, then the options of oslo.config.
    """
    name, *arguments = argv
    conf = cfg.CONF
    log.register_options(conf)
    conf.register_cli_opts(OPTS)
    conf(arguments, project='oslo_tracing_demo')
    log.setup(conf, name)
    oslo_tracing.setup(conf, f'demo-{name}')

    db.configure(conf)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_unused: stop.set())

    running: list[Any] = []
    if name == 'conductor' or (name == 'compute' and conf.conductor_within):
        running = conductor.start(conf)
    if name == 'conductor':
        port = 0
    else:
        server = _serve(name)
        port = server.server_port
    print(f'ready {port}', flush=True)
    stop.wait()

    for one in running:
        one.stop()
        one.wait()
    # Also done at the end of any process; here so that it is seen.
    oslo_tracing.shutdown()
    return 0


def _serve(name: str) -> Any:
    paste = importlib.resources.files('oslo_tracing.demo') / 'api-paste.ini'
    app = deploy.loadapp(f'config:{paste}', name=name)
    server = simple_server.make_server(
        '127.0.0.1', 0, app, server_class=_Server, handler_class=_Handler
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

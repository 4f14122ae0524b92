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

"""A released service of a cloud: with trace points of OSProfiler in it.

``python -m oslo_tracing.tests.functional.profiled NAME SOCKET CONFIG URLS``:
SOCKET is the number of a listening socket that was inherited; URLS is JSON,
where each of the services is, and RPC, if it is. What a request is for is its
path: a part ``http.NAME`` or ``rpc.NAME`` says which service to ask for the
rest of it, and how. It says ``ready`` when it serves, and on SIGTERM finishes
what it has begun.

Nothing here knows of oslo.tracing but ``main``: all else is as services have
it.
"""

from __future__ import annotations

import functools
import json
import signal
import socket
import sys
import threading
from urllib import parse

from keystoneauth1 import adapter
from keystoneauth1 import noauth
from keystoneauth1 import session as keystone_session
from oslo_config import cfg
import oslo_messaging
from osprofiler.drivers import base as drivers
from osprofiler import initializer
from osprofiler import opts as osprofiler_opts
from osprofiler import profiler
from osprofiler import web

from oslo_tracing.tests.functional import chained

#: Name of the driver that writes lines into a file.
DRIVER = 'lines'
#: Where RPC is, among the services.
RPC = 'rpc'


class Lines(drivers.Driver):
    """Stores each notification of OSProfiler as a line of JSON."""

    def __init__(self, connection_string, **kwargs):
        super().__init__(connection_string, **kwargs)
        path = parse.urlsplit(connection_string).path
        self._lock = threading.Lock()
        self._file = open(path, 'a', buffering=1)

    @classmethod
    def get_name(cls):
        return DRIVER

    def notify(self, info, context=None):
        # What may be in it is anything.
        line = json.dumps({'service': self.service, **info}, default=str)
        with self._lock:
            self._file.write(f'{line}\n')


class Serializer(oslo_messaging.NoOpSerializer):
    """As nova, neutron, cinder and ironic have it."""

    def serialize_context(self, context):
        found = profiler.get()
        context = dict(context)
        if found:
            context['trace_info'] = {
                'hmac_key': found.hmac_key,
                'base_id': found.get_base_id(),
                'parent_id': found.get_id(),
            }
        return context

    def deserialize_context(self, context):
        info = context.pop('trace_info', None)
        if info:
            profiler.init(**info)
        return context


@profiler.trace_cls('manager')
class Manager:
    """What the service does: ask the next one.

    :param urls: where each of them is.
    :param transport: of RPC, None without.
    """

    target = oslo_messaging.Target(version='1.0')

    def __init__(self, urls, transport):
        self._urls = urls
        self._transport = transport

    def go(self, ctxt, rest):
        if not rest:
            return ['the end']
        how, _dot, name = rest[0].partition('.')
        if how == 'http':
            return [name, *self._over_http(name, rest[1:])]
        client = oslo_messaging.get_rpc_client(
            self._transport,
            oslo_messaging.Target(topic=name, version='1.0'),
            serializer=Serializer(),
        )
        return [name, *client.call(ctxt, 'go', rest=rest[1:])]

    def _over_http(self, name, rest):
        client = adapter.Adapter(
            keystone_session.Session(noauth.NoAuth()),
            endpoint_override=self._urls[name],
        )
        return client.get(f'/{"/".join(rest)}').json()


def _application(manager):
    def application(environ, start_response):
        rest = [part for part in environ['PATH_INFO'].split('/') if part]
        found = manager.go({'user': 'u'}, rest)
        start_response('200 OK', [('Content-Type', 'application/json')])
        return [json.dumps(found).encode()]

    return application


def main(name, number, config, urls):
    """Serve until SIGTERM."""
    conf = cfg.CONF
    osprofiler_opts.set_defaults(conf)
    conf(['--config-file', config], project='profiled')
    finish = _trace(conf, name)
    if conf.profiler.enabled:
        initializer.init_from_conf(
            conf, context={}, project='cloud', service=name, host='host'
        )
    transport = server = None
    places = json.loads(urls)
    if places[RPC]:
        transport = oslo_messaging.get_rpc_transport(conf, places[RPC])
    manager = Manager(places, transport)
    if transport is not None:
        server = oslo_messaging.get_rpc_server(
            transport,
            oslo_messaging.Target(topic=name, server=name),
            [manager],
            executor='threading',
            serializer=Serializer(),
        )
        server.start()
    # As the paste files of services have it.
    application = web.WsgiMiddleware(_application(manager))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_unused: stop.set())
    listening = socket.socket(fileno=int(number))
    serving = chained._Server(listening, finish.filtered(application))
    thread = threading.Thread(
        target=functools.partial(serving.serve_forever, 0.05)
    )
    thread.start()
    print('ready', flush=True)
    stop.wait()
    serving.shutdown()
    thread.join()
    serving.server_close()
    if server is not None:
        server.stop()
        server.wait()
        transport.cleanup()
    finish()


class _Untraced:
    """What a service without oslo.tracing does about it."""

    def __call__(self):
        pass

    def filtered(self, application):
        return application


class _Traced:
    """What one with it does, in its own code or around it."""

    def __init__(self, conf, name):
        import oslo_tracing

        self._conf = conf
        oslo_tracing.setup(conf, name)

    def __call__(self):
        import oslo_tracing

        oslo_tracing.shutdown()

    def filtered(self, application):
        from oslo_tracing import middleware

        return middleware.TracingMiddleware(application, self._conf)


def _trace(conf, name):
    with open(conf.config_file[0]) as file:
        has_it = '[tracing]' in file.read()
    return _Traced(conf, name) if has_it else _Untraced()


if __name__ == '__main__':
    main(*sys.argv[1:])

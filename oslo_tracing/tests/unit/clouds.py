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

"""A service that strangers reach, for the tests of what they can do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import socketserver
import threading
import time
from wsgiref import simple_server

import fixtures
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace.propagation import tracecontext
from oslo_context import context as oslo_context
import requests

from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing.tests.unit.integrations import http_servers

SIGNING_KEY = 'the signing key of all services of this cloud'
HMAC_KEY = 'developers-key'

TRACE = '0af7651916cd43dd8448eb211c80319c'
TRACE_ID = int(TRACE, 16)
SAMPLED = f'00-{TRACE}-b7ad6b7169203331-01'
NOT_SAMPLED = f'00-{TRACE}-b7ad6b7169203331-00'
ANOTHER = f'00-{"c" * 32}-{"d" * 16}-01'
BASE_ID = '0af76519-16cd-43dd-8448-eb211c80319c'

#: How often who floods asks.
MANY = 12


def signed(traceparent, tracestate='', baggage='', age=0, key=SIGNING_KEY):
    """Return the headers of a service, signed as the specification says."""
    now = int(time.time()) - age
    text = '\n'.join(
        ['oslo.tracing/v1', str(now), traceparent, tracestate, baggage]
    )
    digest = hmac.new(key.encode(), text.encode(), hashlib.sha256)
    found = {
        'traceparent': traceparent,
        'tracestate': tracestate,
        'baggage': baggage,
        'x-openstack-trace-signature': f'v1;t={now};s={digest.hexdigest()}',
    }
    return {name: value for name, value in found.items() if value}


def pair(base_id=BASE_ID, parent_id=None, key=HMAC_KEY, **more):
    """Return the headers of OSProfiler's clients."""
    told = {'base_id': base_id, 'parent_id': parent_id or base_id, **more}
    info = base64.urlsafe_b64encode(json.dumps(told).encode())
    digest = hmac.new(key.encode(), info, hashlib.sha1)
    return {'X-Trace-Info': info.decode(), 'X-Trace-HMAC': digest.hexdigest()}


class _QuietHandler(simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


class Cloud(fixtures.Fixture):
    """An API in one mode, a service that it asks, and a stranger's server.

    :param mode: of ``incoming``.
    """

    def __init__(self, mode, **options):
        super().__init__()
        self.mode = mode
        self._options = {
            'sample_ratio': 0.0,
            'max_forced_traces_per_second': 0.001,
            'propagators': ['tracecontext', 'baggage', 'b3'],
            'hmac_keys': [HMAC_KEY],
            'incoming': mode,
            'signing_keys': [] if mode == 'trust' else [SIGNING_KEY],
            **options,
        }

    def _setUp(self):
        self.spans = self.useFixture(
            fixture.SpanRecorder(
                'http_client', 'oslo_context', **self._options
            )
        )
        self.peer = self.useFixture(http_servers.Server())
        self.stranger = self.useFixture(http_servers.Server())
        self.peer.routes['/'] = self.stranger.routes['/'] = (200, {}, b'{}')
        self.peer.routes['/moved'] = (
            307,
            {'Location': f'{self.stranger.url}/'},
            b'',
        )
        self.saw = []
        self._server = simple_server.make_server(
            '127.0.0.1',
            0,
            middleware.TracingMiddleware(self._app),
            _Server,
            _QuietHandler,
        )
        thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self._server.server_close)
        self.addCleanup(self._server.shutdown)

    def _app(self, environ, start_response):
        self.saw.append(environ)
        doing = environ['PATH_INFO']
        request_id = oslo_context.generate_request_id()
        if doing == '/webhook':
            requests.get(f'{self.stranger.url}/', timeout=30)
        else:
            peer = http_servers.to(self.peer.url)
            token = None
            if doing == '/launder':
                # As another instrumentation does.
                given = {'traceparent': environ['HTTP_TRACEPARENT']}
                found = tracecontext.TraceContextTextMapPropagator().extract(
                    given, otel_context.Context()
                )
                token = otel_context.attach(found)
            peer.get('/moved' if doing == '/moved' else '/')
            if token is not None:
                otel_context.detach(token)
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [request_id.encode()]

    def ask(self, headers, path='/'):
        """Send a request; a list of values is as many headers."""
        connection = http.client.HTTPConnection(
            '127.0.0.1', self._server.server_port, timeout=60
        )
        try:
            connection.putrequest('GET', path)
            for name, values in headers.items():
                for value in [values] if isinstance(values, str) else values:
                    connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            assert response.status == 200, response.status
            return response.read().decode(), dict(response.getheaders())
        finally:
            connection.close()

    def joined(self, headers, trace_id=TRACE):
        """Say whether the trace of a request is the one."""
        self.ask(headers)
        (traceparent,) = self.peer.header('traceparent')
        return traceparent.split('-')[1] == trace_id

    def recorded(self, headers):
        """Say whether a request is recorded."""
        self.spans.clear()
        self.ask(headers)
        return bool(self._servers())

    def _servers(self):
        return [
            span
            for span in self.spans.finished
            if span.kind is trace.SpanKind.SERVER
        ]

    def flood(self, headers):
        """Return how many of many requests are recorded."""
        for _ in range(MANY):
            self.ask(headers)
        return len(self._servers())

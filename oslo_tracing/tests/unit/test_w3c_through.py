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

"""W3C Trace Context through a service: what comes in, and what goes on.

Each behaviour of the table goes through the middleware, the application
that it wraps, and that one's request to a real server.
"""

from __future__ import annotations

import http.client
import threading
from wsgiref import simple_server

import fixtures

from oslo_tracing import middleware
from oslo_tracing.tests.unit.integrations import http_servers
from oslo_tracing.tests.unit.propagation import w3c_cases
from oslo_tracing.tests import wsgi

# A line of a request may have 64 KiB at a common server, not more.
_MAX_LINE = 60000


def _environ(headers):
    """Return headers as a WSGI server hands them on."""
    found = {}
    for name, value in headers:
        key = 'HTTP_' + name.upper().replace('-', '_')
        found[key] = f'{found[key]},{value}' if key in found else value
    return found


class ThroughTest(http_servers.TestCase):
    """A service in the middle, between a caller and another service."""

    def setUp(self):
        super().setUp()
        self.spans = self.record()
        next_service = self.to_server()

        def app(environ, start_response):
            next_service.get('/')
            return wsgi.hello(environ, start_response)

        self.app = middleware.TracingMiddleware(app)

    def told(self, name, number=-1):
        return ','.join(self.server.header(name, number))

    def ask(self, headers):
        # wsgiref's validator refuses some of what real servers let pass.
        answer = wsgi.ask(self.app, checked=False, **_environ(headers))
        self.assertEqual('200 OK', answer.status)

    def check(self, case):
        self.assertEqual(1, len(self.server.seen))
        [traceparent] = self.server.header('traceparent')
        self.assertRegex(traceparent, '^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$')
        _version, trace_id, span_id, flags = traceparent.split('-')
        self.assertNotEqual('0' * 32, trace_id)
        self.assertNotEqual('0' * 16, span_id)
        self.assertNotEqual(w3c_cases.SPAN, span_id)
        sampled = int(flags, 16) & w3c_cases.SAMPLED
        if case.joins:
            self.assertEqual(w3c_cases.TRACE, trace_id)
            self.assertEqual(case.flags & w3c_cases.SAMPLED, sampled)
        else:
            self.assertNotIn(trace_id, (w3c_cases.TRACE, w3c_cases.OTHER))
            self.assertEqual(w3c_cases.SAMPLED, sampled)
        self.assertEqual(case.tracestate, self.told('tracestate'))
        self.assertEqual(case.baggage, self.told('baggage'))
        if sampled:
            self.check_spans(case, trace_id, span_id)
        else:
            self.assertEqual([], self.spans.finished)

    def check_spans(self, case, trace_id, span_id):
        client, server = self.spans.finished
        self.assertEqual(int(trace_id, 16), client.context.trace_id)
        self.assertEqual(int(span_id, 16), client.context.span_id)
        self.assertEqual(client.parent.span_id, server.context.span_id)
        if case.joins:
            self.assertEqual(int(w3c_cases.SPAN, 16), server.parent.span_id)
        else:
            self.assertIsNone(server.parent)
            self.assertEqual([], list(server.links))


class InTheEnvironmentTest(ThroughTest):
    """Each row, as a WSGI server hands it on."""

    def run_case(self, case):
        self.ask(case.headers)
        self.check(case)

    def test_two_requests_have_two_traces(self):
        self.ask([])
        self.ask([])
        first, second = (
            self.told('traceparent', number).split('-')[1]
            for number in range(2)
        )
        self.assertNotEqual(first, second)

    def test_two_requests_of_one_trace(self):
        for state in ('a=1', 'b=2'):
            self.ask([('traceparent', w3c_cases.VALID), ('tracestate', state)])
        told = [self.told('traceparent', number) for number in range(2)]
        self.assertEqual(
            [w3c_cases.TRACE] * 2, [one.split('-')[1] for one in told]
        )
        self.assertEqual(2, len({one.split('-')[2] for one in told}))
        self.assertEqual(
            ['a=1', 'b=2'],
            [self.told('tracestate', number) for number in range(2)],
        )

    def test_nothing_is_left_for_the_next_request(self):
        self.ask(
            [
                ('traceparent', w3c_cases.VALID),
                ('tracestate', 'a=1'),
                ('baggage', 'a=1'),
            ]
        )
        self.ask([])
        self.assertNotIn(w3c_cases.TRACE, self.told('traceparent'))
        self.assertEqual('', self.told('tracestate') + self.told('baggage'))

    def test_each_call_of_one_request_has_a_span_of_its_own(self):
        next_service = self.to_server()

        def app(environ, start_response):
            next_service.get('/')
            next_service.get('/')
            return wsgi.hello(environ, start_response)

        wsgi.ask(
            middleware.TracingMiddleware(app),
            **_environ(
                [('traceparent', w3c_cases.VALID), ('tracestate', 'a=1')]
            ),
        )
        told = [self.told('traceparent', number) for number in range(2)]
        self.assertEqual(
            [w3c_cases.TRACE] * 2, [one.split('-')[1] for one in told]
        )
        self.assertEqual(2, len({one.split('-')[2] for one in told}))
        for number in range(2):
            self.assertEqual('a=1', self.told('tracestate', number))

    def test_the_log_has_nothing_of_what_was_sent(self):
        log = self.useFixture(fixtures.FakeLogger())
        for case in w3c_cases.CASES.values():
            self.ask(case.headers)
        for text in (w3c_cases.TRACE, w3c_cases.SPAN, '\xe9', 'vvvv'):
            self.assertNotIn(text, log.output)


class ThroughAServerTest(ThroughTest):
    """Each row that a server lets in, over a real connection."""

    def setUp(self):
        super().setUp()
        front = simple_server.make_server(
            '127.0.0.1',
            0,
            self.app,
            handler_class=_QuietHandler,
        )
        self.port = front.server_port
        thread = threading.Thread(
            target=front.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(front.server_close)
        self.addCleanup(front.shutdown)

    def run_case(self, case):
        client = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        self.addCleanup(client.close)
        client.putrequest('GET', '/', skip_accept_encoding=True)
        for name, value in case.headers:
            client.putheader(name, value.encode('latin-1'))
        client.endheaders()
        response = client.getresponse()
        response.read()
        self.assertEqual(200, response.status)
        self.check(case)


class _QuietHandler(simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


def _method(case):
    def test(self):
        self.run_case(case)

    return test


for _name, _case in w3c_cases.CASES.items():
    setattr(InTheEnvironmentTest, f'test_{_name}', _method(_case))
    if sum(len(value) for _key, value in _case.headers) < _MAX_LINE:
        setattr(ThroughAServerTest, f'test_{_name}', _method(_case))

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
"""What a stranger can do to a service, and what not: attack by mode.

Every cell is tried through the real filter behind a real server, and the
real clients of the service. The page for administrators has the same table,
which a test compares.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import pathlib
import re
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

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing.tests.unit.integrations import http_servers

PAGE = (
    pathlib.Path(oslo_tracing.__file__).parents[1]
    / 'doc/source/admin/public-cloud.rst'
)

MODES = ('trust', 'link', 'ignore', 'signed')

SIGNING_KEY = 'the signing key of all services of this cloud'
HMAC_KEY = 'developers-key'

TRACE = '0af7651916cd43dd8448eb211c80319c'
TRACE_ID = int(TRACE, 16)
SAMPLED = f'00-{TRACE}-b7ad6b7169203331-01'
NOT_SAMPLED = f'00-{TRACE}-b7ad6b7169203331-00'
ANOTHER = f'00-{"c" * 32}-{"d" * 16}-01'
BASE_ID = '0af76519-16cd-43dd-8448-eb211c80319c'

NO = 'no'
YES = 'yes'
BOUNDED = 'bounded'
ONE_TRACE = 'that one trace'

MANY = 12
SECRETS = (
    'x-openstack-trace-signature',
    'x-trace-info',
    'x-trace-hmac',
    'baggage',
    'tracestate',
    'b3',
)


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
        """Say how many of many requests are recorded."""
        for _ in range(MANY):
            self.ask(headers)
        count = len(self._servers())
        assert count in (0, 1, MANY), count
        return {0: NO, 1: BOUNDED, MANY: YES}[count]


def _yes(said):
    return YES if said else NO


def joins(cloud):
    return _yes(cloud().joined({'traceparent': SAMPLED}))


def forces(cloud):
    return _yes(
        cloud().recorded({'traceparent': SAMPLED})
        or cloud().recorded({'b3': f'{"c" * 32}-{"d" * 16}-1'})
    )


def suppresses(cloud):
    return _yes(
        not cloud(sample_ratio=1.0).recorded({'traceparent': NOT_SAMPLED})
    )


def _sets(cloud, name, value):
    there = cloud()
    there.ask({'traceparent': SAMPLED, name: value})
    return _yes(there.peer.header(name) == [value])


def sets_baggage(cloud):
    return _sets(cloud, 'baggage', 'user=me')


def sets_tracestate(cloud):
    return _sets(cloud, 'tracestate', 'acme=1')


def picks_the_trace_id(cloud):
    return _yes(
        cloud().joined({'traceparent': SAMPLED})
        or cloud().joined({'b3': f'{TRACE}-{"d" * 16}-1'})
        or cloud().joined({'X-OpenStack-Request-ID': f'req-{BASE_ID}'})
    )


def picks_the_request_id(cloud):
    wanted = f'req-{BASE_ID}'
    for headers in (
        {'traceparent': SAMPLED},
        {'X-OpenStack-Request-ID': wanted},
        pair(),
    ):
        request_id, _headers = cloud().ask(headers)
        if request_id == wanted:
            return YES
    return NO


def learns_the_trace_id(cloud):
    there = cloud()
    _body, headers = there.ask({'traceparent': SAMPLED})
    told = [name for name in headers if name.lower() == 'traceresponse']
    return _yes(told)


def floods(cloud):
    return cloud().flood({'traceparent': SAMPLED})


def floods_with_b3_debug(cloud):
    single = cloud().flood({'b3': f'{"c" * 32}-{"d" * 16}-d'})
    several = cloud().flood(
        {
            'X-B3-TraceId': 'c' * 32,
            'X-B3-SpanId': 'd' * 16,
            'X-B3-Flags': '1',
        }
    )
    assert single == several, (single, several)
    return single


def asks_with_an_osprofiler_key(cloud):
    answer = cloud().flood(pair())
    # An id that every ratio keeps does not help.
    chosen = f'{"f" * 8}-ffff-4fff-bfff-{"f" * 12}'
    kept = cloud(sample_ratio=1e-9).flood(pair(chosen))
    assert kept == answer, kept
    if answer == BOUNDED:
        assert cloud().joined(pair())
    return answer


def forges_a_pair(cloud):
    info = pair()['X-Trace-Info']
    return _yes(
        any(
            cloud().recorded(headers)
            for headers in (
                pair(key='SECRET_KEY'),
                pair(key=SIGNING_KEY),
                pair(key=''),
                pair(hmac_key=HMAC_KEY),
                {**pair(), 'X-Trace-Info': info[:-4] + 'AAAA'},
                {**pair(), 'X-Trace-HMAC': 'é' * 40},
                {'X-Trace-Info': info},
                {**pair(), 'X-Trace-HMAC': [pair()['X-Trace-HMAC']] * 2},
            )
        )
    )


def adds_to_a_pair(cloud):
    there = cloud()
    there.ask(
        {
            **pair(),
            'traceparent': ANOTHER,
            'tracestate': 'acme=1',
            'baggage': 'user=me',
        }
    )
    return _yes(
        there.peer.header('baggage') or there.peer.header('tracestate')
    )


def replays_a_pair(cloud):
    taken = pair(parent_id='11111111-1111-4111-9111-111111111111')
    return cloud().flood(taken)


def _replays(cloud, headers, trace_id=TRACE):
    there = cloud(sample_ratio=1.0)
    return there.joined(headers, trace_id)


def replays_a_signature(cloud):
    if not _replays(cloud, signed(SAMPLED, 'acme=1', 'user=me')):
        return NO
    if cloud().mode == 'trust':
        return YES
    # Nothing of it can be changed.
    whole = signed(SAMPLED, 'acme=1', 'user=me')
    for name, value in (
        ('traceparent', ANOTHER),
        ('traceparent', NOT_SAMPLED),
        ('tracestate', 'acme=2'),
        ('baggage', 'user=you'),
    ):
        there = cloud(sample_ratio=1.0)
        there.ask({**whole, name: value})
        (traceparent,) = there.peer.header('traceparent')
        assert TRACE not in traceparent, (name, value)
        assert 'c' * 32 not in traceparent, (name, value)
        assert value not in there.peer.header(name), (name, value)
    return ONE_TRACE


def replays_an_old_signature(cloud):
    return _yes(
        _replays(cloud, signed(SAMPLED, age=75))
        or _replays(cloud, signed(SAMPLED, age=-75))
    )


def signs_with_a_key_of_osprofiler(cloud):
    return _yes(_replays(cloud, signed(SAMPLED, key=HMAC_KEY)))


def _without(headers, name):
    return {key: value for key, value in headers.items() if key != name}


def strips_a_header(cloud):
    whole = signed(SAMPLED, 'acme=1', 'user=me')
    names = ('tracestate', 'baggage', 'x-openstack-trace-signature')
    return _yes(
        any(_replays(cloud, _without(whole, name)) for name in names)
    )


def doubles_a_header(cloud):
    whole = signed(SAMPLED, 'acme=1', 'user=me')
    return _yes(
        any(
            _replays(cloud, {**whole, name: [value, value]})
            for name, value in whole.items()
        )
    )


def adds_a_header(cloud):
    return _yes(
        any(
            _replays(cloud, {**signed(SAMPLED), name: value})
            for name, value in (('baggage', 'a=b'), ('tracestate', 'a=b'))
        )
    )


def _harvest(cloud, path):
    """Return what the stranger's server gets of what the peer may see."""
    if cloud.mode == 'signed':
        headers = signed(SAMPLED, 'acme=1', 'user=me')
    else:
        headers = {
            'traceparent': SAMPLED,
            'tracestate': 'acme=1',
            'baggage': 'user=me',
        }
    # Of both, so that every header is there that could get away.
    cloud.ask({**headers, **pair()})
    cloud.ask({**headers, **pair()}, path)
    got = cloud.stranger.names()
    assert 'traceparent' in got
    return got & set(SECRETS)


def _had(cloud, mode):
    """Check that the service of the cloud had something to harvest."""
    names = cloud.peer.names(0)
    if mode != 'trust':
        assert 'x-openstack-trace-signature' in names
    if mode != 'ignore':
        assert 'x-trace-hmac' in names
    if mode == 'signed':
        assert set(SECRETS) <= names, names


def harvests_by_a_webhook(cloud):
    there = cloud()
    got = _harvest(there, '/webhook')
    _had(there, there.mode)
    return _yes(got)


def harvests_by_a_redirect(cloud):
    there = cloud()
    got = _harvest(there, '/moved')
    _had(there, there.mode)
    return _yes(got)


def reads_a_signature_from_the_application(cloud):
    there = cloud()
    there.ask(signed(SAMPLED, 'acme=1', 'user=me'))
    (environ,) = there.saw
    return _yes('HTTP_X_OPENSTACK_TRACE_SIGNATURE' in environ)


def gets_a_trace_signed(cloud):
    there = cloud()
    there.ask({'traceparent': SAMPLED}, '/launder')
    (traceparent,) = there.peer.header('traceparent')
    assert TRACE in traceparent
    return _yes(there.peer.header('x-openstack-trace-signature'))


#: What is tried; what comes of it in each of ``MODES``.
TABLE = {
    'joins a trace': (joins, YES, NO, NO, NO),
    'has a request recorded': (forces, YES, NO, NO, NO),
    'keeps a request from being recorded': (suppresses, YES, NO, NO, NO),
    'sets baggage': (sets_baggage, YES, NO, NO, NO),
    'sets tracestate': (sets_tracestate, YES, NO, NO, NO),
    'picks the trace id': (picks_the_trace_id, YES, NO, NO, NO),
    'picks the request id': (picks_the_request_id, NO, NO, NO, NO),
    'is told the trace id by traceresponse': (
        learns_the_trace_id,
        YES,
        NO,
        NO,
        NO,
    ),
    'floods with sampled requests': (floods, YES, NO, NO, NO),
    "floods with B3's debug flag": (
        floods_with_b3_debug,
        BOUNDED,
        NO,
        NO,
        NO,
    ),
    'has requests recorded with an OSProfiler key': (
        asks_with_an_osprofiler_key,
        BOUNDED,
        BOUNDED,
        NO,
        BOUNDED,
    ),
    'sets baggage or tracestate with an OSProfiler key': (
        adds_to_a_pair,
        NO,
        NO,
        NO,
        NO,
    ),
    'forges an OSProfiler pair': (forges_a_pair, NO, NO, NO, NO),
    'replays an OSProfiler pair': (
        replays_a_pair,
        BOUNDED,
        BOUNDED,
        NO,
        BOUNDED,
    ),
    'replays a signature': (replays_a_signature, YES, NO, NO, ONE_TRACE),
    'replays a signature after its time': (
        replays_an_old_signature,
        YES,
        NO,
        NO,
        NO,
    ),
    'signs with an OSProfiler key': (
        signs_with_a_key_of_osprofiler,
        YES,
        NO,
        NO,
        NO,
    ),
    'strips a header of what is signed': (strips_a_header, YES, NO, NO, NO),
    'doubles a header of what is signed': (doubles_a_header, YES, NO, NO, NO),
    'adds a header to what is signed': (adds_a_header, YES, NO, NO, NO),
    'harvests headers by a webhook': (harvests_by_a_webhook, NO, NO, NO, NO),
    'harvests headers by a redirect': (
        harvests_by_a_redirect,
        NO,
        NO,
        NO,
        NO,
    ),
    'reads a signature from the application': (
        reads_a_signature_from_the_application,
        NO,
        NO,
        NO,
        NO,
    ),
    'has a trace signed that is not believed': (
        gets_a_trace_signed,
        NO,
        NO,
        NO,
        NO,
    ),
}


class PublicCloudTest(http_servers.TestCase):
    def _clouds(self, mode):
        def cloud(**options):
            return self.useFixture(Cloud(mode, **options))

        return cloud

    def _try(self, mode):
        column = MODES.index(mode) + 1
        expected = {name: row[column] for name, row in TABLE.items()}
        found = {
            name: row[0](self._clouds(mode)) for name, row in TABLE.items()
        }
        self.assertEqual(expected, found)

    def test_trust(self):
        self._try('trust')

    def test_link(self):
        self._try('link')

    def test_ignore(self):
        self._try('ignore')

    def test_signed(self):
        self._try('signed')

    def test_where_strangers_come_every_cell_is_no(self):
        for name, (_try, *cells) in TABLE.items():
            answers = dict(zip(MODES, cells, strict=True))
            del answers['trust']
            allowed = {NO}
            if 'OSProfiler' in name:
                allowed.add(BOUNDED)
            if name == 'replays a signature':
                allowed.add(ONE_TRACE)
            self.assertLessEqual(set(answers.values()), allowed, name)

    def test_the_page_has_the_same_table(self):
        cells = re.findall(
            r'^   (?:\*| ) - (.*)$', PAGE.read_text(), re.MULTILINE
        )
        rows = [
            tuple(cells[start : start + 5])
            for start in range(0, len(cells), 5)
        ]
        expected = [
            ('A stranger', *(f'``{mode}``' for mode in MODES)),
            *((name, *row[1:]) for name, row in TABLE.items()),
        ]
        for wanted, found in itertools.zip_longest(expected, rows):
            self.assertEqual(wanted, found)

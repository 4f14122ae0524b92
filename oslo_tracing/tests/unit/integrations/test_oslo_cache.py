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

"""Through the real oslo.cache and its clients, to a server of a few lines."""

from __future__ import annotations

import socketserver
import threading

from dogpile.cache.backends import memcached
import fixtures
from opentelemetry import trace
from oslo_cache import core
from oslo_config import cfg

import oslo_tracing
from oslo_tracing import _guard
from oslo_tracing import fixture
from oslo_tracing.tests import base
from oslo_tracing.tests.functional import servers

_METHODS = (
    'get',
    'get_multi',
    'set',
    'set_multi',
    'delete',
    'delete_multi',
)


class _Handler(socketserver.StreamRequestHandler):
    """As much of memcached's text protocol as the clients speak."""

    def handle(self):
        for line in self.rfile:
            words = line.decode().split()
            command, rest = words[0], words[1:]
            if command in ('get', 'gets'):
                answer = self._get(rest)
            elif command == 'set':
                kept = self.rfile.read(int(rest[3]) + 2)
                self.server.kept[rest[0]] = (rest[1], kept)
                answer = b'STORED\r\n'
            elif command == 'delete':
                found = self.server.kept.pop(rest[0], None)
                answer = b'DELETED\r\n' if found else b'NOT_FOUND\r\n'
            else:
                answer = b'ERROR\r\n'
            if 'noreply' not in rest:
                self.wfile.write(answer)

    def _get(self, keys):
        found = b''
        for key in keys:
            if key in self.server.kept:
                flags, kept = self.server.kept[key]
                head = f'VALUE {key} {flags} {len(kept) - 2}\r\n'
                found += head.encode() + kept
        return found + b'END\r\n'


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


class TestCase(base.TestCase):
    backend = 'dogpile.cache.pymemcache'

    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(fixture.SpanRecorder('oslo_cache'))

    def serve(self):
        server = _Server(('127.0.0.1', 0), _Handler)
        server.kept = {}
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_address[1]

    def region(self, *ports, backend=None):
        conf = cfg.ConfigOpts()
        conf([], project='cached', default_config_files=[])
        core.configure(conf)
        conf.set_override('enabled', True, 'cache')
        conf.set_override('backend', backend or self.backend, 'cache')
        conf.set_override(
            'memcache_servers',
            [f'127.0.0.1:{port}' for port in ports],
            'cache',
        )
        return core.configure_cache_region(conf, core.create_region())

    def asked(self):
        return [s for s in self.spans.finished if s.name != 'boot']


class CacheTest(TestCase):
    def test_each_operation_is_a_span(self):
        port = self.serve()
        region = self.region(port)
        with oslo_tracing.span('boot', root=True) as request:
            region.set('S3CRETKEY', 'S3CRETVALUE')
            self.assertEqual('S3CRETVALUE', region.get('S3CRETKEY'))
            region.delete('S3CRETKEY')
            self.assertIs(core.NO_VALUE, region.get('S3CRETKEY'))
        self.assertEqual(
            ['SET', 'GET', 'DELETE', 'GET'], [s.name for s in self.asked()]
        )
        for span in self.asked():
            self.assertEqual(trace.SpanKind.CLIENT, span.kind)
            self.assertEqual(
                request.get_span_context().span_id, span.parent.span_id
            )
            self.assertEqual(
                {
                    'db.system.name': 'memcached',
                    'db.operation.name': span.name,
                    'server.address': '127.0.0.1',
                    'server.port': port,
                },
                dict(span.attributes),
            )
            self.assertNotIn('S3CRET', span.to_json())

    def test_several_keys_are_one_span(self):
        region = self.region(self.serve())
        with oslo_tracing.span('boot', root=True):
            region.set_multi({'a': 1, 'b': 2})
            self.assertEqual([1, 2], region.get_multi(['a', 'b']))
            region.delete_multi(['a', 'b'])
        self.assertEqual(
            [('SET', 2), ('GET', 2), ('DELETE', 2)],
            [
                (s.name, s.attributes['db.operation.batch.size'])
                for s in self.asked()
            ],
        )

    def test_of_several_servers_none_is_named(self):
        region = self.region(self.serve(), self.serve())
        with oslo_tracing.span('boot', root=True):
            region.set('a', 1)
        (span,) = self.asked()
        self.assertNotIn('server.address', span.attributes)

    def test_a_server_that_is_away_raises_as_ever(self):
        port = servers.free_port()
        region = self.region(port)
        with oslo_tracing.span('boot', root=True):
            self.assertRaises(ConnectionRefusedError, region.get, 'a')
        (span,) = self.asked()
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual(
            'ConnectionRefusedError', span.attributes['error.type']
        )

    def test_outside_of_a_trace_there_is_none(self):
        region = self.region(self.serve())
        region.set('a', 1)
        self.assertEqual(1, region.get('a'))
        self.assertEqual([], self.spans.finished)

    def test_our_own_errors_are_not_the_service_s(self):
        logged = self.useFixture(fixtures.FakeLogger())
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._guard._REPORTER', _guard._Reporter()
            )
        )
        region = self.region(self.serve())

        def refuse(*args, **kwargs):
            raise ValueError('S3CRET')

        span = trace.NonRecordingSpan(
            trace.SpanContext(1, 1, False, trace.TraceFlags(1))
        )
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing.tracer._tracer.Tracer.start_span', refuse
            )
        )
        with trace.use_span(span):
            region.set('a', 1)
            self.assertEqual(1, region.get('a'))
        self.assertIn('Tracing failed while starting', logged.output)
        self.assertNotIn('S3CRET', logged.output)

    def test_other_backends_have_none(self):
        region = self.region(backend='dogpile.cache.memory')
        with oslo_tracing.span('boot', root=True):
            region.set('a', 1)
        self.assertEqual([], self.asked())


class PythonMemcachedTest(CacheTest):
    """The same through python-memcached."""

    backend = 'dogpile.cache.memcached'

    def test_several_keys_are_one_span(self):
        region = self.region(self.serve())
        with oslo_tracing.span('boot', root=True):
            region.set_multi({'a': 1, 'b': 2})
            self.assertEqual([1, 2], region.get_multi(['a', 'b']))
        self.assertEqual(['SET', 'GET'], [s.name for s in self.asked()])

    def test_a_server_that_is_away_raises_as_ever(self):
        region = self.region(servers.free_port())
        with oslo_tracing.span('boot', root=True):
            self.assertIs(core.NO_VALUE, region.get('a'))
        (span,) = self.asked()
        # The client tells nobody.
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)


class PoolTest(PythonMemcachedTest):
    """The same through oslo.cache's own backend."""

    backend = 'oslo_cache.memcache_pool'


class OffTest(base.TestCase):
    def _methods(self):
        backend = memcached.GenericMemcachedBackend
        return [vars(backend)[name] for name in _METHODS]

    def test_the_very_same_methods_are_back(self):
        before = self._methods()
        spans = self.useFixture(fixture.SpanRecorder('oslo_cache'))
        for ours, original in zip(self._methods(), before, strict=True):
            self.assertIsNot(original, ours)
        spans.tracing.undo.close()
        for now, original in zip(self._methods(), before, strict=True):
            self.assertIs(original, now)

    def test_the_option_turns_it_off(self):
        before = self._methods()
        self.useFixture(fixture.SpanRecorder('oslo_cache', trace_cache=False))
        self.assertEqual(before, self._methods())

    def test_a_missing_seam_costs_one_line(self):
        logged = self.useFixture(fixtures.FakeLogger())
        backend = memcached.GenericMemcachedBackend
        self.addCleanup(setattr, memcached, 'GenericMemcachedBackend', backend)
        del memcached.GenericMemcachedBackend
        self.useFixture(fixture.SpanRecorder('oslo_cache'))
        self.assertEqual(
            1, logged.output.count('calls of memcached are not traced')
        )
        self.assertIn('dogpile.cache', logged.output)

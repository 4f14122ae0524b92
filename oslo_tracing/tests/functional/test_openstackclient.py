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
"""The real ``openstack`` command, against a small cloud of our own."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import uuid
from wsgiref import simple_server

import fixtures
from osprofiler import _utils as osprofiler_utils

from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing.report import sources
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.integrations import http_servers

# What the console script does.
_OPENSTACK = (
    'import sys; sys.argv[0] = "openstack"; '
    'from openstackclient import shell; sys.exit(shell.main())'
)
_TRACE_ID = re.compile('^Trace ID: ([0-9a-f]{32})$', re.MULTILINE)
_KEY = 'SECRET-KEY-OF-THE-CLOUD'
_LIST = '/v2.1/servers/detail'
_SERVER = {
    'id': '7b2ba6f7-8d85-4b9b-9e4a-7d7c2fb6a9ab',
    'name': 'one',
    'status': 'ACTIVE',
    'addresses': {},
    'image': '',
    'flavor': {'original_name': 'tiny'},
}


class OpenStackTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.nova = self.useFixture(http_servers.Server())
        url = f'{self.nova.url}/v2.1'
        version = {
            'id': 'v2.1',
            'status': 'CURRENT',
            'version': '2.1',
            'min_version': '2.1',
            'links': [{'rel': 'self', 'href': f'{url}/'}],
        }
        for path in ('/v2.1', '/v2.1/'):
            self.nova.routes[path] = _json({'version': version})
        self.nova.routes[_LIST] = _json({'servers': [_SERVER]})
        self.keystone = self.useFixture(http_servers.Keystone(url))
        self.home = self.useFixture(fixtures.TempDir()).path
        self.traces = pathlib.Path(self.home, 'traces')
        self.traces.mkdir(0o750)

    def openstack(self, *arguments, expect=0, said='', **more):
        """Run the command in an environment of its own."""
        environ = {
            'HOME': self.home,
            'PATH': os.environ.get('PATH', ''),
            'PYTHONWARNINGS': 'ignore',
            'NO_PROXY': '*',
            'OS_AUTH_URL': f'{self.keystone.url}/v3',
            'OS_USERNAME': 'demo',
            'OS_PASSWORD': 'hunter2',
            'OS_PROJECT_NAME': 'demo',
            'OS_USER_DOMAIN_ID': 'default',
            'OS_PROJECT_DOMAIN_ID': 'default',
            'OS_REGION_NAME': 'RegionOne',
            # However busy this host is, the spans arrive.
            'OS_TRACING__SHUTDOWN_TIMEOUT': '60',
            **more,
        }
        done = subprocess.run(
            [sys.executable, '-c', _OPENSTACK, *arguments],
            env=environ,
            cwd=self.home,
            input=said,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if expect is not None:
            self.assertEqual(expect, done.returncode, done.stderr)
        return done

    def to_files(self):
        """Return what makes the client write its spans into files."""
        return {
            'OTEL_TRACES_EXPORTER': 'file',
            'OS_TRACING__FILE_DIRECTORY': str(self.traces),
        }

    def write(self, path, *lines):
        path = pathlib.Path(self.home, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('\n'.join(['[tracing]', *lines, '']))
        return str(path)

    def trace_id(self, done):
        [trace_id] = _TRACE_ID.findall(done.stderr)
        return trace_id

    def trace(self, done):
        """Return the trace that was printed; it is the only one."""
        source = sources.open_source(str(self.traces))
        self.addCleanup(source.close)
        [summary] = source.summaries()
        self.assertEqual(self.trace_id(done), summary.trace_id)
        [trace] = source.find(summary.trace_id)
        return trace

    def told(self, name):
        """Return a header of all requests that the cloud has got."""
        return [
            value
            for server in (self.keystone, self.nova)
            for number in range(len(server.seen))
            for value in server.header(name, number)
        ]

    def requests(self):
        return len(self.keystone.seen) + len(self.nova.seen)


class TraceTest(OpenStackTest):
    def test_a_command_is_the_root_of_all_that_it_asks_for(self):
        done = self.openstack(
            '--trace', 'server', 'list', '-f', 'json', **self.to_files()
        )
        self.assertEqual('one', json.loads(done.stdout)[0]['Name'])
        trace = self.trace(done)
        [root] = trace.roots
        self.assertEqual('openstack server list', root.name)
        self.assertEqual('INTERNAL', str(root.kind).upper())
        self.assertEqual('openstackclient', root.service)
        self.assertEqual(
            {'process.executable.name': 'openstack', 'process.exit.code': 0},
            dict(root.attributes),
        )
        names = {span.name for span in trace.spans}
        self.assertLessEqual({'POST', 'GET compute'}, names)
        self.assertEqual(1 + self.requests(), len(trace.spans))
        self.assertEqual(
            {root.span_id},
            {span.parent_id for span in trace.spans if span is not root},
        )
        told = self.told('traceparent')
        self.assertEqual(self.requests(), len(told))
        self.assertEqual({trace.trace_id}, {one.split('-')[1] for one in told})
        self.assertEqual(
            {span.span_id for span in trace.spans if span is not root},
            {one.split('-')[2] for one in told},
        )
        for text in ('hunter2', 'secret-'):
            for path in self.traces.iterdir():
                self.assertNotIn(text, path.read_text())

    def test_nothing_but_the_id_is_on_standard_error(self):
        plain = self.openstack('server', 'list', '-f', 'json')
        traced = self.openstack(
            'server', 'list', '-f', 'json', '--trace', **self.to_files()
        )
        self.assertEqual(plain.stdout, traced.stdout)
        trace_id = self.trace_id(traced)
        self.assertEqual(f'Trace ID: {trace_id}\n', traced.stderr)

    def test_a_command_that_fails(self):
        arguments = ('server', 'show', 'nobody')
        plain = self.openstack(*arguments, expect=1)
        traced = self.openstack(
            '--trace', *arguments, expect=1, **self.to_files()
        )
        self.assertIn(plain.stderr, traced.stderr)
        [root] = self.trace(traced).roots
        self.assertEqual('openstack server show', root.name)
        self.assertEqual('ERROR', str(root.status).upper())
        self.assertEqual(1, root.attributes['process.exit.code'])
        self.assertNotIn('nobody', json.dumps(dict(root.attributes)))

    def test_a_command_that_is_misspelt(self):
        for arguments, name in (
            (('server', 'list', '--nonsense'), 'openstack server list'),
            (('servr', 'list'), 'openstack'),
        ):
            plain = self.openstack(*arguments, expect=2)
            traced = self.openstack(
                '--trace', *arguments, expect=2, **self.to_files()
            )
            self.assertEqual(plain.stdout, traced.stdout)
            [root] = self.trace(traced).roots
            self.assertEqual(name, root.name)
            self.assertEqual(2, root.attributes['process.exit.code'])
            self.assertEqual('2', root.attributes['error.type'])
            for path in self.traces.iterdir():
                path.unlink()

    def test_without_it_nothing_is_traced(self):
        done = self.openstack('server', 'list', **self.to_files())
        self.assertEqual('', done.stderr)
        self.assertEqual([], self.told('traceparent'))
        self.assertEqual([], list(self.traces.iterdir()))

    def test_where_nobody_says_where_to_nothing_is_sent(self):
        done = self.openstack('--trace', 'server', 'list')
        trace_id = self.trace_id(done)
        self.assertEqual(f'Trace ID: {trace_id}\n', done.stderr)
        self.assertEqual(
            {trace_id},
            {one.split('-')[1] for one in self.told('traceparent')},
        )

    def test_a_collector(self):
        collector = self.useFixture(http_servers.Server())
        collector.routes['/v1/traces'] = (200, {}, b'')
        self.openstack(
            '--trace',
            'server',
            'list',
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        )
        self.assertEqual(
            {('POST', '/v1/traces')},
            {(method, path) for method, path, _headers in collector.seen},
        )

    def test_a_collector_that_is_down(self):
        endpoint = f'http://127.0.0.1:{http_servers.closed_port()}'
        done = self.openstack(
            '--trace',
            'server',
            'list',
            '-f',
            'json',
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        )
        self.assertEqual('one', json.loads(done.stdout)[0]['Name'])
        self.assertIn('Spans are being lost', done.stderr)

    def test_a_ratio_does_not_apply(self):
        done = self.openstack(
            '--trace',
            'server',
            'list',
            OTEL_TRACES_SAMPLER='always_off',
            **self.to_files(),
        )
        self.trace(done)

    def test_a_session_has_a_trace_for_each_command(self):
        # The code is no matter: the shell has 1 for every session.
        done = self.openstack(
            '--trace', said='server list\nserver list\nexit\n', expect=None
        )
        self.assertEqual(2, done.stdout.count(_SERVER['id']))
        told = {one.split('-')[1] for one in self.told('traceparent')}
        self.assertEqual(2, len(told))
        # The shell tries the option once more, as a command.
        self.assertLessEqual(told, set(_TRACE_ID.findall(done.stderr)))

    def test_help_lists_it(self):
        done = self.openstack('--help')
        self.assertIn('--trace ', done.stdout)
        self.assertNotIn('Trace ID', done.stderr)


class ReadingTest(OpenStackTest):
    """``openstack trace ...`` reads traces, and asks no cloud."""

    def setUp(self):
        super().setUp()
        traced = self.openstack('--trace', 'server', 'list', **self.to_files())
        self.asked = self.trace_id(traced)
        self.before = self.requests()

    def read(self, *arguments, **more):
        return self.openstack(
            'trace', *arguments, '--source', str(self.traces), **more
        )

    def nobody_was_asked(self):
        self.assertEqual(self.before, self.requests())

    def test_list(self):
        done = self.read('list', '-f', 'json')
        [row] = json.loads(done.stdout)
        self.assertEqual(self.asked, row['Trace ID'])
        self.assertEqual('openstack server list', row['Root'])
        self.nobody_was_asked()

    def test_show(self):
        done = self.read('show', self.asked)
        self.assertIn('openstackclient: openstack server list', done.stdout)
        self.assertEqual('', done.stderr)
        self.nobody_was_asked()

    def test_report(self):
        done = self.read('report', self.asked)
        page = pathlib.Path(self.home, done.stdout.strip())
        self.assertIn(self.asked, page.read_text())
        self.nobody_was_asked()

    def test_without_any_credentials(self):
        nothing = {
            name: '' for name in ('OS_AUTH_URL', 'OS_USERNAME', 'OS_PASSWORD')
        }
        self.read('show', self.asked, **nothing)
        self.nobody_was_asked()

    def test_exit_codes(self):
        for code, arguments in (
            (2, ('show', 'f' * 32)),
            (2, ('list', '--service', 'nobody')),
            (1, ('show', 'zz')),
            (1, ('show', '--sauce')),
            (1, ('list', '--limit', '0')),
        ):
            done = self.read(*arguments, expect=code)
            self.assertNotIn('Traceback', done.stderr)
        self.openstack('trace', 'list', '--source', '/no/such', expect=1)
        self.nobody_was_asked()


class ConfigurationTest(OpenStackTest):
    def lines(self):
        return 'exporters = file', f'file_directory = {self.traces}'

    def test_the_file_of_the_user(self):
        self.write('.config/openstack/tracing.conf', *self.lines())
        self.trace(self.openstack('--trace', 'server', 'list'))

    def test_a_file_that_is_named(self):
        path = self.write('other.conf', *self.lines())
        done = self.openstack(
            '--trace', 'server', 'list', OSLO_TRACING_CONFIG=path
        )
        self.trace(done)

    def test_a_file_that_is_not_there(self):
        done = self.openstack(
            '--trace', 'server', 'list', OSLO_TRACING_CONFIG='/no/such.conf'
        )
        self.assertRegex(done.stderr, '^Not traced: /no/such.conf .*\n$')
        self.assertIn('one', done.stdout)
        self.assertEqual([], self.told('traceparent'))

    def test_a_wrong_value(self):
        path = self.write('other.conf', 'otlp_timeout = -1')
        done = self.openstack(
            '--trace', 'server', 'list', OSLO_TRACING_CONFIG=path
        )
        self.assertRegex(
            done.stderr, r'^Not traced: \[tracing\] otlp_timeout = .*\n$'
        )
        self.assertIn('one', done.stdout)

    def test_a_file_that_is_none_tells_nothing_of_what_it_says(self):
        path = pathlib.Path(self.home, 'other.conf')
        path.write_text(f'{_KEY}\n')
        done = self.openstack(
            '--trace', 'server', 'list', OSLO_TRACING_CONFIG=str(path)
        )
        self.assertIn('Not traced: ', done.stderr)
        self.assertNotIn(_KEY, done.stderr)

    def test_tracing_that_is_off_says_so(self):
        done = self.openstack(
            '--trace', 'server', 'list', OTEL_SDK_DISABLED='true'
        )
        self.assertIn('Not traced: ', done.stderr)
        self.assertIn('one', done.stdout)


class KeyTest(OpenStackTest):
    """With OSProfiler's key the cloud is asked to record the command."""

    def pairs(self):
        """Return what was told for each path, checked as OSProfiler does."""
        found = {}
        for server in (self.keystone, self.nova):
            for number, (_method, path, _headers) in enumerate(server.seen):
                infos = server.header('X-Trace-Info', number)
                signatures = server.header('X-Trace-HMAC', number)
                self.assertEqual(len(infos), len(signatures))
                for info, signature in zip(infos, signatures):
                    pair = osprofiler_utils.signed_unpack(
                        info, signature, [_KEY]
                    )
                    self.assertIsNotNone(pair)
                    found[path.partition('?')[0]] = pair
        return found

    def check(self, done):
        trace = self.trace(done)
        base_id = str(uuid.UUID(trace.trace_id))
        pairs = self.pairs()
        self.assertEqual(
            {base_id}, {pair['base_id'] for pair in pairs.values()}
        )
        parent_id = uuid.UUID(pairs[_LIST]['parent_id']).int % 2**64
        self.assertIn(
            f'{parent_id:016x}', {span.span_id for span in trace.spans}
        )
        self.assertEqual(
            {trace.trace_id},
            {one.split('-')[1] for one in self.told('traceparent')},
        )
        for text in (done.stdout, done.stderr):
            self.assertNotIn(_KEY, text)
        for path in self.traces.iterdir():
            self.assertNotIn(_KEY, path.read_text())
        return base_id

    def test_the_key_in_the_file(self):
        self.write('.config/openstack/tracing.conf', f'hmac_keys = {_KEY}')
        done = self.openstack('--trace', 'server', 'list', **self.to_files())
        self.check(done)
        self.assertEqual(
            f'Trace ID: {self.trace_id(done)}\n',
            done.stderr,
        )

    def test_the_key_in_the_environment(self):
        done = self.openstack(
            '--trace', 'server', 'list', OS_PROFILE=_KEY, **self.to_files()
        )
        base_id = self.check(done)
        self.assertIn(f'osprofiler trace show --html {base_id}', done.stderr)

    def test_the_key_in_the_environment_without_osprofiler(self):
        pathlib.Path(self.home, 'osprofiler').mkdir()
        pathlib.Path(self.home, 'osprofiler', '__init__.py').write_text(
            'raise ImportError("not installed")'
        )
        done = self.openstack(
            '--trace',
            'server',
            'list',
            OS_PROFILE=_KEY,
            PYTHONPATH=self.home,
            **self.to_files(),
        )
        self.check(done)
        self.assertEqual(
            f'Trace ID: {self.trace_id(done)}\n',
            done.stderr,
        )

    def test_os_profile_alone_is_what_it_was(self):
        done = self.openstack('--os-profile', _KEY, 'server', 'list')
        pairs = self.pairs()
        self.assertLessEqual({'/v3/auth/tokens', _LIST}, set(pairs))
        [base_id] = {pair['base_id'] for pair in pairs.values()}
        self.assertIn(f'Trace ID: {base_id}', done.stderr)
        self.assertEqual([], _TRACE_ID.findall(done.stderr))
        self.assertEqual([], self.told('traceparent'))


class CloudTest(OpenStackTest):
    """A service that records nothing by itself, and believes nobody."""

    def setUp(self):
        super().setUp()
        self.recorded = self.useFixture(
            fixture.SpanRecorder(
                'none', sample_ratio=0.0, incoming='link', hmac_keys=[_KEY]
            )
        )
        front = simple_server.make_server(
            '127.0.0.1',
            0,
            middleware.TracingMiddleware(self.answer),
            handler_class=_QuietHandler,
        )
        url = f'http://127.0.0.1:{front.server_port}/v2.1'
        self.keystone = self.useFixture(http_servers.Keystone(url))
        thread = threading.Thread(
            target=front.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(front.server_close)
        self.addCleanup(front.shutdown)

    def answer(self, environ, start_response):
        status, headers, body = self.nova.routes.get(
            environ['PATH_INFO'], (404, {}, b'{}')
        )
        start_response(f'{status} Something', list(headers.items()))
        return [body]

    def test_without_a_key(self):
        self.openstack('--trace', 'server', 'list')
        self.assertEqual([], self.recorded.finished)

    def test_with_the_key(self):
        done = self.openstack(
            '--trace',
            'server',
            'list',
            OS_TRACING__HMAC_KEYS=_KEY,
            **self.to_files(),
        )
        [span] = [
            span
            for span in self.recorded.finished
            if span.attributes['url.path'] == _LIST
        ]
        trace = self.trace(done)
        self.assertEqual(trace.trace_id, f'{span.context.trace_id:032x}')
        parent = {
            each.span_id: each.attributes.get('url.full', '')
            for each in trace.spans
        }[f'{span.parent.span_id:016x}']
        self.assertIn(_LIST, parent)


class _QuietHandler(simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


def _json(document):
    return (
        200,
        {'Content-Type': 'application/json'},
        json.dumps(document).encode(),
    )

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

import os
import pathlib
import sys

import fixtures
from oslo_config import cfg

from oslo_tracing import checks
from oslo_tracing import opts
from oslo_tracing.tests.unit.cmd import test_commands
from oslo_tracing.tests.unit.exporters import sinks

URL = 'https://nova/v2.1/servers/5f0a1f0e-3c3c-4b7e-8c1c-0d9a3b0f5d2e?x=1'


class CheckTest(test_commands.CommandTestCase):
    def _write(self, name, *lines):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as stream:
            stream.write('\n'.join(lines))
        return path

    def _check(self, *lines, options=()):
        path = self._write('service.conf', '[tracing]', *lines)
        code, out, _ = self.run_main('check', '--config-file', path, *options)
        return code, out

    def test_a_span_arrives(self):
        sink = self.useFixture(sinks.HttpSink())

        code, out = self._check(
            'enabled = True',
            'sample_ratio = 0',
            f'otlp_endpoint = {sink.endpoint}',
            options=('--service-name', 'nova-api'),
        )

        self.assertEqual(0, code, out)
        self.assertIn('ok: spans of nova-api go to otlp', out)
        ((_path, _headers, request),) = sink.requests
        (span,) = request.resource_spans[0].scope_spans[0].spans
        self.assertIn(f'trace {span.trace_id.hex()}', out)

    def test_a_span_that_does_not_arrive_fails_it(self):
        code, out = self._check(
            'enabled = True', 'otlp_endpoint = http://127.0.0.1:9'
        )

        self.assertEqual(1, code)
        self.assertIn(
            'error: the test span did not arrive: otlp: Connection', out
        )

    def test_what_is_off_is_not_traced(self):
        self.assertEqual(
            (1, 'error: tracing is off: [tracing] enabled is False\n'),
            self._check(),
        )

    def test_a_wrong_option_is_named(self):
        code, out = self._check(
            'enabled = True', 'sampling_rules = server "*" 7'
        )

        self.assertEqual(1, code)
        self.assertIn('error: [tracing] sampling_rules', out)
        self.assertIn('rule 1 of 1', out)

    def test_options_of_the_service_may_be_referred_to(self):
        lines = (
            'enabled = True',
            'exporters = file',
            'file_directory = $state_path/${of.them}',
            'ignored_paths = /$nobodys',
            '[DEFAULT]',
            f'state_path = {self.directory}',
            '[of]',
            'them = traces',
        )
        code, out = self._check(*lines, options=('--no-span',))
        self.assertEqual(1, code)
        self.assertIn("ignored_paths = '/$nobodys'", out)

        code, out = self._check(
            *(line for line in lines if 'nobodys' not in line)
        )
        self.assertEqual(0, code, out)
        self.assertTrue(os.listdir(os.path.join(self.directory, 'traces')))

    def test_whatever_stops_a_service_is_found_without_a_span_too(self):
        for line, why in (
            ('otlp_endpoint = http://u:S3CRET@h:4318', 'credentials'),
            ('otlp_ca_file = /dev/null', 'not a file'),
            ('sampling_rules = server "*', 'glob in double quotes'),
            ('sampler = sometimes', 'no such sampler'),
            ('propagators = nosuch', 'not installed'),
            ('exporters = nosuch', 'no such exporter'),
        ):
            code, out = self._check(
                'enabled = True', line, options=('--no-span',)
            )
            self.assertEqual(1, code, out)
            name = line.partition(' ')[0]
            self.assertTrue(out.startswith(f'error: [tracing] {name} = '), out)
            self.assertIn(why, out)
            self.assertEqual(1, len(out.splitlines()), out)
            self.assertNotIn('S3CRET', out)

    def test_a_line_that_is_no_option_is_not_shown(self):
        path = os.path.join(self.directory, 'odd.conf')
        with open(path, 'w') as stream:
            stream.write('[database]\nS3CRET\n')

        code, out, _ = self.run_main('check', '--config-file', path)

        self.assertEqual(
            (1, f'error: {path} cannot be parsed, see line 2\n'), (code, out)
        )

    def test_what_is_no_text(self):
        path = os.path.join(self.directory, 'binary.conf')
        with open(path, 'wb') as stream:
            stream.write(b'\xff\xfe[tracing]')
        for odd, why in ((path, 'is not text'), (self.directory, 'directory')):
            code, out, _ = self.run_main('check', '--config-file', odd)
            self.assertEqual(1, code)
            self.assertTrue(out.startswith('error: '), out)
            self.assertIn(why, out)

    def test_no_such_file(self):
        code, out, _ = self.run_main('check', '--config-file', '/nowhere')

        self.assertEqual(1, code)
        self.assertIn('error: Failed to find some config files', out)

    def test_who_is_believed(self):
        for line, expected in (
            ('', 'warning: incoming = trust: whoever can send a request'),
            ('incoming = link', 'ok: incoming = link'),
            (f'signing_keys = {"k" * 32}', 'ok: incoming = signed'),
            ('trace_http_server = False', 'warning: requests are not traced'),
        ):
            code, out = self._check(
                'enabled = True', line, options=('--no-span',)
            )
            self.assertEqual(0, code, out)
            self.assertIn(expected, out)
            self.assertNotIn('k' * 32, out)

    def test_which_rule_decides_on_a_request(self):
        for rule, expected in (
            ('server "GET /v2.1/*" 0.5', 'recorded as the rule says: server'),
            ('server "POST *" 0.5', 'no rule is for it'),
            ('rpc "*" 0.5', 'no rule is for it'),
        ):
            _, out = self._check(
                'enabled = True',
                f'sampling_rules = {rule}',
                options=('--no-span', URL),
            )
            self.assertIn('know the request as "GET /v2.1/servers/{id}"', out)
            self.assertIn(expected, out)
        _, out = self._check(
            'enabled = True', options=('--no-span', '--method', 'POST', URL)
        )
        self.assertIn('"POST /v2.1/servers/{id}"', out)

    def test_where_nothing_is_recorded(self):
        off = 'nothing is recorded: sampler {} and no rule has a share'
        for sampler, lines, code, expected in (
            ('always_off', (), 1, f'error: {off}\n'),
            ('Always_Off', (), 1, f'error: {off}\n'),
            ('traceidratio', ('sample_ratio = 0',), 1, f'error: {off}\n'),
            (
                'always_off',
                ('sampling_rules = rpc "*" 0.0', 'propagators = b3'),
                0,
                f'warning: {off}, but what is asked for\n',
            ),
            (
                'always_off',
                ('hmac_keys = ' + 'k' * 32,),
                0,
                f'warning: {off}, but what is asked for\n',
            ),
            (
                'always_off',
                (
                    'hmac_keys = ' + 'k' * 32,
                    'max_forced_traces_per_second = 0',
                ),
                1,
                f'error: {off}\n',
            ),
        ):
            found, out = self._on(f'sampler = {sampler}', *lines)
            self.assertEqual(code, found, out)
            self.assertIn(expected.format(sampler), out)
        for lines in (
            ('sampler = always_off', 'sampling_rules = rpc "*" 0.5'),
            ('sampler = parentbased_always_off',),
            ('sampler = traceidratio',),
        ):
            code, out = self._on(*lines)
            self.assertEqual(0, code, out)
            self.assertNotIn('nothing is recorded', out)

    def test_where_nothing_is_exported(self):
        expected = 'error: spans of nova-api go nowhere: exporters = none\n'
        for options in ((), ('--no-span',)):
            code, out = self._check(
                'enabled = True',
                'exporters = none',
                options=('--service-name', 'nova-api', *options),
            )
            self.assertEqual(1, code, out)
            self.assertEqual(1, out.count('error: '), out)
            self.assertIn(expected, out)

    def test_a_request_that_is_never_recorded(self):
        ignored = 'ok: not recorded: it is one of ignored_paths'
        for line, url, expected in (
            ('', '/healthcheck', ignored),
            ('', '/healthcheck?x=1', ignored),
            ('', '/v1/healthcheck', 'ok: no rule is for it'),
            ('ignored_paths = /v1/*', 'http://h/v1/x', ignored),
            ('ignored_paths = /', 'http://h', ignored),
            ('ignored_paths = /a?', 'http://h/a%C3%A4', 'ok: no rule'),
            ('ignored_paths = /a??', 'http://h/a%C3%A4', ignored),
            (
                'trace_http_server = False',
                '/x',
                'ok: not recorded: trace_http_server is False',
            ),
        ):
            _, out = self._on(
                line, 'sampling_rules = rpc "*" 1', options=(url,)
            )
            self.assertTrue(
                out.splitlines()[-1].startswith(expected), (line, url, out)
            )

    def _on(self, *lines, options=()):
        return self._check(
            'enabled = True', *lines, options=('--no-span', *options)
        )

    def test_what_is_traced_and_by_which_library(self):
        code, out = self._on('trace_cache = False')
        self.assertEqual(0, code, out)
        for line in (
            'ok: SQL: traced, SQLAlchemy ',
            'ok: RPC: traced, oslo.messaging ',
            'ok: those over privsep: traced, oslo.privsep ',
            "ok: those over rootwrap's daemon: traced, oslo.rootwrap ",
            'ok: memcached: not traced, trace_cache is False',
        ):
            self.assertIn(line, out)

    def test_a_library_without_the_place_to_attach_to(self):
        with fixtures.MonkeyPatch(
            'oslo_concurrency.processutils.execute', None
        ):
            code, out = self._on()
        self.assertEqual(0, code, out)
        self.assertIn('warning: oslo.concurrency ', out)
        self.assertIn('external commands are not traced', out)
        self.assertNotIn('ok: external commands', out)

    def test_others_that_trace_the_same(self):
        code, out = self._on(
            '[oslo_middleware_tracing]',
            'enabled = True',
            '[oslo_messaging_tracing]',
            'tracing_enabled = True',
        )
        self.assertEqual(0, code, out)
        self.assertIn('warning: [oslo_middleware_tracing] enabled', out)
        self.assertIn('RPC is left to oslo.messaging', out)
        self.assertNotIn('RPC: traced', out)

    def test_below_opentelemetry_instrument(self):
        path = '/x/opentelemetry/instrumentation/auto_instrumentation'
        self.useFixture(fixtures.EnvironmentVariable('PYTHONPATH', path))
        _code, out = self._on()
        self.assertIn('warning: opentelemetry-instrument is on here', out)

    def test_the_points_of_osprofiler(self):
        for lines, expected in (
            ((), 'none, [profiler] enabled is not True'),
            (('[profiler]', 'enabled = True'), '[profiler] enabled\n'),
            (
                ('[profiler]', 'enabled = 1', 'connection_string = otlp://h'),
                'which takes the global tracer provider',
            ),
        ):
            _code, out = self._on(*lines)
            self.assertIn(expected, out)

    def test_the_driver_of_osprofiler(self):
        on = ('[profiler]', 'enabled = True')
        for lines, expected in (
            (
                (*on, 'connection_string = otlp://h'),
                'ok: trace points of OSProfiler: [profiler] enabled; its OTLP '
                'driver, which takes the global tracer provider for itself, '
                'is not opened\n',
            ),
            (
                (*on, 'connection_string = redis://h'),
                'ok: trace points of OSProfiler: [profiler] enabled\n',
            ),
            (
                ('osprofiler = False', *on, 'connection_string = redis://h'),
                'ok: trace points of OSProfiler: left to it, osprofiler is '
                'False\n',
            ),
            (
                ('osprofiler = False', *on, 'connection_string = otlp://h'),
                "warning: [profiler] connection_string is of OSProfiler's "
                'OTLP driver, which takes the global tracer provider for '
                'itself, as osprofiler is False\n',
            ),
        ):
            _code, out = self._on(*lines)
            self.assertIn(expected, out)

    def test_grpc_where_eventlet_may_be(self):
        _code, out = self._on('otlp_protocol = grpc')
        self.assertIn('spans go over HTTP, to http://localhost:4318', out)

    def test_who_can_send_requests(self):
        for lines, url, expected in (
            ((), 'http://127.0.0.1:8774/', 'ok: incoming = trust: only this'),
            ((), 'http://[::1]/', 'ok: incoming = trust: only this host'),
            ((), 'https://nova.example/', 'service (nova.example) can join'),
            (
                ('[DEFAULT]', 'bind_host = 0.0.0.0'),
                None,
                'service (bind_host = 0.0.0.0) can join',
            ),
            (
                ('[api]', 'host_ip = 127.0.0.1'),
                None,
                'only this host can send requests (host_ip = 127.0.0.1)',
            ),
            (
                # How clients get there counts.
                ('[api]', 'host_ip = 127.0.0.1'),
                'https://ironic.example/',
                'warning: incoming = trust',
            ),
        ):
            _code, out = self._on(*lines, options=(url,) if url else ())
            self.assertIn(expected, out)

    def test_the_file_of_uwsgi(self):
        ours = 'module = oslo_tracing.wsgi:application'
        named = 'env = OSLO_TRACING_WSGI_APP=nova.wsgi.osapi_compute'
        for lines, code, expected in (
            (
                (ours, 'env = A=b', named, 'enable-threads = true'),
                0,
                'ok: uWSGI: requests to nova.wsgi.osapi_compute are traced',
            ),
            ((ours, 'enable-threads'), 0, "ok: uWSGI: Python's threads run"),
            ((ours, 'threads = 2'), 0, "ok: uWSGI: Python's threads run"),
            ((ours, named), 0, 'warning: uWSGI: without enable-threads'),
            (
                (ours, named, 'enable-threads = false'),
                0,
                'warning: uWSGI: without enable-threads',
            ),
            ((ours,), 1, 'error: uWSGI: module = oslo_tracing.wsgi'),
            (('skip-atexit = true',), 0, 'warning: uWSGI: with skip-atexit'),
            (
                ('module = nova.wsgi.osapi_compute:application',),
                0,
                'are traced where its pipeline has our filter',
            ),
            (('http-socket = :80',), 0, '(http-socket = :80) can join'),
            (('socket = /run/x',), 0, 'only this host can send requests'),
        ):
            path = self._write('uwsgi.ini', '; its file', '[uwsgi]', *lines)
            if ours in lines and named not in lines and not code:
                self.useFixture(
                    fixtures.EnvironmentVariable('OSLO_TRACING_WSGI_APP', 'x')
                )
            else:
                self.useFixture(
                    fixtures.EnvironmentVariable('OSLO_TRACING_WSGI_APP')
                )
            found, out = self._on(options=('--uwsgi', path))
            self.assertEqual(code, found, out)
            self.assertIn(expected, out)

    def test_an_application_that_is_not_there(self):
        def told(*lines):
            path = self._write('uwsgi.ini', '[uwsgi]', *lines)
            code, out = self._on(options=('--uwsgi', path))
            self.assertEqual(0, code, out)
            return 'is not found by this Python' in out

        self.useFixture(fixtures.EnvironmentVariable('OSLO_TRACING_WSGI_APP'))
        for name, is_told in (
            ('wsgiref.simple_server:demo_app', False),
            ('wsgiref.simple_server', False),
            ('wsgiref', False),
            ('wsgiref.complex_server:demo_app', True),
            ('wsgiref.simple_server.demo_app', True),
            ('nosuch.wsgi.api:application', True),
            ('nosuch', True),
            ('.wsgi', True),
            ('a b\0', True),
        ):
            self.assertIs(is_told, told(f'module = {name}'), name)
            self.assertIs(
                is_told,
                told(
                    'module = oslo_tracing.wsgi:application',
                    f'env = OSLO_TRACING_WSGI_APP={name}',
                ),
                name,
            )
        self.assertFalse(told('enable-threads = true'))

    def test_to_look_for_an_application_runs_nothing_of_it(self):
        directory = self.useFixture(fixtures.TempDir()).path
        package = pathlib.Path(directory, 'patchesatonce')
        package.mkdir()
        (package / '__init__.py').write_text('raise SystemExit(3)')
        (package / 'wsgi.py').write_text('raise SystemExit(4)')
        self.useFixture(
            fixtures.MonkeyPatch('sys.path', [*sys.path, directory])
        )
        path = self._write(
            'uwsgi.ini', '[uwsgi]', 'module = patchesatonce.wsgi'
        )
        code, out = self._on(options=('--uwsgi', path))
        self.assertEqual(0, code, out)
        self.assertNotIn('is not found', out)

    def test_no_such_file_of_uwsgi(self):
        code, out = self._on(options=('--uwsgi', '/nowhere.ini'))
        self.assertEqual(1, code)
        self.assertIn('error: ', out)
        self.assertIn('/nowhere.ini', out)

    def test_how_a_uwsgi_stops_its_workers(self):
        hook = 'hook-master-start = unix_signal:15 gracefully_kill_them_all'
        for lines, is_told in (
            ((hook, 'master = true'), False),
            ((hook,), True),
            (('master = true',), True),
            (('hook-master-start = unix_signal:15 x', 'master'), True),
        ):
            path = self._write('uwsgi.ini', '[uwsgi]', *lines)
            code, out = self._on(options=('--uwsgi', path))
            self.assertEqual(0, code, out)
            self.assertIs(is_told, 'stopped while it is busy' in out, lines)

    def test_a_file_that_is_none_of_uwsgi(self):
        path = self._write('uwsgi.yaml', 'uwsgi:', '  module: a:application')
        code, out = self._on(options=('--uwsgi', path))
        self.assertEqual(0, code, out)
        self.assertIn(
            f'warning: uWSGI: {path} says nothing in a section [uwsgi]', out
        )
        self.assertNotIn('enable-threads', out)

    def test_how_changes_get_there(self):
        _code, out = self._on()
        self.assertIn('service.conf every 10 s', out)

    def test_the_files_of_a_service_are_found(self):
        self.useFixture(fixtures.EnvironmentVariable('HOME', self.directory))
        code, out, _ = self.run_main('check', '--service-name', 'shelf-api')
        self.assertEqual(1, code)
        self.assertIn('none of shelf.conf, shelf.conf.d, shelf-api.conf', out)
        self.assertIn('/etc/shelf', out)
        path = self._write('.shelf/shelf.conf', '[tracing]', 'enabled = True')
        code, out, _ = self.run_main(
            'check', '--service-name', 'shelf-api', '--no-span'
        )
        self.assertEqual(0, code, out)
        self.assertIn(f'ok: read {path}\n', out)
        self.assertIn('spans of shelf-api go to otlp', out)

    def test_no_file_and_no_name(self):
        code, out, _ = self.run_main('check')
        self.assertEqual(1, code)
        self.assertIn('warning: no file was read: neither --config-file', out)

    def _unknown(self, *lines):
        code, out = self._on(*lines)
        self.assertEqual(0, code, out)
        return [line for line in out.splitlines() if 'unknown' in line]

    def test_a_misspelt_option_is_named_with_what_is_meant(self):
        path = os.path.join(self.directory, 'service.conf')
        for wrong, meant in (
            ('sampel_ratio', 'sample_ratio'),
            ('sample-ratio', 'sample_ratio'),
            ('Sampler', 'sampler'),
            ('otlp_endpiont', 'otlp_endpoint'),
        ):
            self.assertEqual(
                [
                    f'warning: unknown option [tracing] {wrong} in {path} has '
                    f'no effect; is {meant} meant?'
                ],
                self._unknown(f'{wrong} = 0.1', f'{wrong} = 0.2'),
            )

    def test_an_unknown_option_that_is_like_none(self):
        path = os.path.join(self.directory, 'service.conf')
        self.assertEqual(
            [f'warning: unknown option [tracing] qwx in {path} has no effect'],
            self._unknown('qwx = S3CRET'),
        )

    def test_part_of_a_value_is_not_shown_as_an_option(self):
        for part in ('c2VjcmV0S0VZ', 'f' * 32):
            (line,) = self._unknown('signing_keys =', f'{part}=')
            self.assertIn('(its name may be part of a value)', line)
            self.assertNotIn(part, line)

    def test_every_option_is_known_and_other_groups_are_let_be(self):
        self.assertEqual(
            [], self._looked(*(f'{name} = x' for name in opts.names()))
        )
        self.assertEqual(
            [],
            self._unknown(
                '[TRACING]',
                'sample_ratio = 0.5',
                '[tracing_of_others]',
                'sampel_ratio = 0.1',
                '[DEFAULT]',
                'sampel_ratio = 0.1',
            ),
        )
        (line,) = self._unknown('[Tracing]', 'sampel_ratio = 0.1')
        self.assertIn('is sample_ratio meant?', line)

    def test_an_option_that_turns_it_on_may_be_misspelt(self):
        code, out = self._check('enabeld = True')
        self.assertEqual(1, code)
        self.assertIn('is enabled meant?', out)
        self.assertIn('error: tracing is off', out)

    def test_every_file_of_every_directory_is_looked_at(self):
        self._write('x.d/a.conf', '[tracing]', 'enabled = True')
        odd = [
            self._write('x.d/b.conf', '[tracing]', 'traec_db = False'),
            self._write('y.d/b.conf', '[tracing]', 'traec_db = False'),
        ]
        self._write('x.d/c.txt', '[tracing]', 'sampel_ratio = 0.1')
        code, out, _ = self.run_main(
            'check',
            *('--config-dir', os.path.join(self.directory, 'x.d')),
            *('--config-dir', os.path.join(self.directory, 'y.d')),
            '--no-span',
        )
        self.assertEqual(0, code, out)
        self.assertEqual(
            [
                f'warning: unknown option [tracing] traec_db in {path} has '
                'no effect; is trace_db meant?'
                for path in odd
            ],
            [each for each in out.splitlines() if 'unknown' in each],
        )

    def test_the_directories_of_a_service_are_looked_at(self):
        self.useFixture(fixtures.EnvironmentVariable('HOME', self.directory))
        path = self._write(
            '.shelf/shelf.conf.d/a.conf',
            *('[tracing]', 'enabled = True', 'sampel_ratio = 0.1'),
        )
        code, out, _ = self.run_main(
            'check', '--service-name', 'shelf-api', '--no-span'
        )
        self.assertEqual(0, code, out)
        self.assertIn(f'unknown option [tracing] sampel_ratio in {path}', out)

    def _looked(self, *lines, register=None):
        path = self._write('service.conf', '[tracing]', *lines)
        conf = cfg.ConfigOpts()
        if register is not None:
            conf.register_opt(register, group='tracing')
        conf(['--config-file', path], default_config_files=[])
        return [
            result.text
            for result in checks.check(conf, send=False)
            if 'unknown' in result.text
        ]

    def test_a_deprecated_name_and_an_option_of_others_are_known(self):
        self.assertEqual(1, len(self._looked('of_others = 1')))
        self.assertEqual(
            [], self._looked('of_others = 1', register=cfg.IntOpt('of_others'))
        )
        renamed = cfg.StrOpt(
            'renamed',
            deprecated_opts=[
                cfg.DeprecatedOpt('as_of_old'),
                cfg.DeprecatedOpt('elsewhere', group='profiler'),
            ],
        )
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing.opts._OPTS', [*opts._OPTS, renamed]
            )
        )
        self.assertEqual([], self._looked('as_of_old = x'))
        self.assertEqual(1, len(self._looked('elsewhere = x')))

    def _first(self, conf):
        return next(iter(checks.check(conf))).text

    def test_what_cannot_be_read_again_is_let_be(self):
        path = self._write('service.conf', '[tracing]', 'sampel_ratio = 1')
        conf = cfg.ConfigOpts()
        conf(['--config-file', path], default_config_files=[])
        for text in (b'no section', b'\xff\xfe[tracing]'):
            with open(path, 'wb') as stream:
                stream.write(text)
            self.assertIn('off', self._first(conf))
        os.unlink(path)
        # Opened a second time it would wait for ever.
        os.mkfifo(path)
        self.assertIn('off', self._first(conf))

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

"""Options that change while the service runs."""

from __future__ import annotations

import io
import logging
import os
import time

import fixtures
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace
from oslo_config import cfg
from oslo_log import formatters
from oslo_log import log as oslo_log

import oslo_tracing
from oslo_tracing import _runtime
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing import opts
from oslo_tracing import service
from oslo_tracing.tests import base
from oslo_tracing.tests import wsgi
from oslo_tracing import watch


class WatchTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'service.conf'
        )
        self.now = 1000.0
        self.useFixture(
            fixtures.MonkeyPatch('time.monotonic', lambda: self.now)
        )

    def _write(self, text):
        with open(self.path, 'w') as stream:
            stream.write(f'[tracing]\nenabled = true\n{text}\n')
        # Two writes within one tick of the clock are one for a stat.
        stamp = os.stat(self.path).st_mtime_ns + len(text) * 1000000
        os.utime(self.path, ns=(stamp, stamp))

    def _set_up(self, text='sample_ratio = 1.0', **defaults):
        self._write(text)
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], project='x', default_config_files=[self.path])
        opts.set_defaults(conf, **defaults)
        recorder = self.useFixture(fixture.SpanRecorder('none', conf=conf))
        return conf, recorder

    def _trace(self, recorder, times=20):
        recorder.clear()
        tracer = recorder.tracing.tracer('test')
        for _number in range(times):
            tracer.start_span('work').end()
        return len(recorder.finished)

    def test_mutate_changes_the_ratio(self):
        conf, recorder = self._set_up()
        self.assertEqual(20, self._trace(recorder))
        self._write('sample_ratio = 0.0')
        conf.mutate_config_files()
        self.assertEqual(0, self._trace(recorder))
        self.assertIn('[tracing] sample_ratio is now 0.0', self.log.output)

    def test_what_the_service_has_overridden_stays(self):
        conf, recorder = self._set_up()
        conf.set_override('sample_ratio', 0.0, group='tracing')
        conf.mutate_config_files()
        for text, override, expected in (
            ('db_spans = slow', 0.0, 0),
            ('sample_ratio = 0.5', 1.0, 20),
            ('sample_ratio = 0.0', None, 0),
        ):
            if override is None:
                conf.clear_override('sample_ratio', group='tracing')
            else:
                conf.set_override('sample_ratio', override, group='tracing')
            self._write(text)
            self.now += watch.INTERVAL
            self._trace(recorder)
            self.assertEqual(expected, self._trace(recorder), text)

    def test_mutate_with_a_bad_value_keeps_the_old_one(self):
        conf, recorder = self._set_up('sample_ratio = 0.0')
        self._write('sample_ratio = lots')
        conf.mutate_config_files()
        self.assertEqual(0, self._trace(recorder))
        self.assertIn("sample_ratio = 'lots'", self.log.output)

    def test_mutate_changes_rules_and_limits(self):
        conf, recorder = self._set_up()
        app = middleware.TracingMiddleware(wsgi.hello)
        # The clock stands still, so the limit is one at all.
        for options, recorded in (
            ('sampling_rules = server "GET /x" 0', 0),
            ('sampling_rules = server "GET /y" 0', 3),
            ('sampling_rules = server "GET /y" 0.0', 3),
            ('max_traces_per_second = 1.0', 1),
            ('max_traces_per_second = 0.0', 3),
        ):
            self._write(options)
            conf.mutate_config_files()
            recorder.clear()
            for _number in range(3):
                wsgi.ask(app, '/x')
            self.assertEqual(recorded, len(recorder.finished), options)
        self._write('max_forced_traces_per_second = 7')
        conf.mutate_config_files()
        settings = recorder.tracing.settings
        self.assertEqual(7.0, settings.max_forced_traces_per_second)

    def _refuse_rules(self, notice):
        conf, recorder = self._set_up(
            'sampling_rules = server "GET /x" 0\nsample_ratio = 0.5'
        )
        self._write(
            'sampling_rules = rpc "*" 0\nsampling_rules = server /x\n'
            'sample_ratio = 0.25'
        )
        notice(conf)
        app = middleware.TracingMiddleware(wsgi.hello)
        for _number in range(20):
            wsgi.ask(app, '/x')
        self.assertEqual([], recorder.finished)
        settings = recorder.tracing.settings
        self.assertEqual(['server "GET /x" 0'], settings.sampling_rules)
        self.assertEqual(0.5, settings.sample_ratio)
        errors = [
            line
            for line in self.log.output.splitlines()
            if line.startswith('Kept')
        ]
        self.assertEqual(
            [
                'Kept the previous value: [tracing] sampling_rules = '
                "'server /x': rule 2 of 2: server must be followed by a glob "
                'in double quotes, as "*".'
            ],
            errors,
        )

    def test_mutate_with_wrong_rules_keeps_all_as_it_was(self):
        self._refuse_rules(lambda conf: conf.mutate_config_files())

    def test_a_file_with_wrong_rules_changes_nothing(self):
        def notice(conf):
            self.now += watch.INTERVAL

        self._refuse_rules(notice)

    def test_it_is_said_once_under_oslo_log(self):
        conf, _recorder = self._set_up('sample_ratio = 0.0')
        log_conf = cfg.ConfigOpts()
        oslo_log.register_options(log_conf)
        log_conf([], project='x', default_config_files=[])
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatters.ContextFormatter(config=log_conf))
        watch.LOG.addHandler(handler)
        self.addCleanup(watch.LOG.removeHandler, handler)
        self._write('sample_ratio = lots')
        conf.mutate_config_files()
        self.assertEqual(1, stream.getvalue().count("sample_ratio = 'lots'"))

    def test_a_changed_file_is_noticed_without_being_told(self):
        _conf, recorder = self._set_up()
        self._write('sample_ratio = 0.0\nignored_paths = /a,/b')
        self.assertEqual(20, self._trace(recorder), 'before it is time')
        self.now += watch.INTERVAL
        self.assertEqual(0, self._trace(recorder))
        settings = recorder.tracing.settings
        self.assertEqual(['/a', '/b'], settings.ignored_paths)

    def test_a_file_that_broke_changes_nothing(self):
        _conf, recorder = self._set_up('sample_ratio = 0.0')
        self._write('signing_keys = secret\nmax_queue_size')
        self.now += watch.INTERVAL
        self.assertEqual(0, self._trace(recorder))
        self.assertEqual(
            f'Kept the previous values: {self.path} cannot be parsed.',
            self.log.output.splitlines()[-1],
        )

    def test_options_of_the_service_may_be_referred_to(self):
        text = (
            'ignored_paths = $prefix/healthcheck,${wsgi.status}\n'
            'sample_ratio = {}\n[DEFAULT]\nprefix = /compute'
        )
        self._write(text.replace('{}', '1.0'))
        conf = cfg.ConfigOpts()
        conf.register_opt(cfg.StrOpt('prefix', default='/x'))
        conf.register_opt(cfg.StrOpt('status', default='/s'), group='wsgi')
        opts.register_opts(conf)
        conf([], project='x', default_config_files=[self.path])
        recorder = self.useFixture(fixture.SpanRecorder('none', conf=conf))
        paths = recorder.tracing.settings.ignored_paths
        self.assertEqual(['/compute/healthcheck', '/s'], paths)
        self._write(text.replace('{}', '0.0'))
        self.now += watch.INTERVAL
        self.assertEqual(0, self._trace(recorder))
        self.assertEqual(paths, recorder.tracing.settings.ignored_paths)

    def test_an_option_that_nobody_has_changes_nothing(self):
        _conf, recorder = self._set_up('sample_ratio = 0.0')
        self._write('sample_ratio = 1.0\nignored_paths = $nobodys')
        self.now += watch.INTERVAL
        self.assertEqual(0, self._trace(recorder))
        last = self.log.output.splitlines()[-1]
        self.assertTrue(last.startswith('Kept the previous value: '), last)
        self.assertIn('$nobodys', last)

    def test_a_file_that_is_not_text_changes_nothing(self):
        _conf, recorder = self._set_up('sample_ratio = 0.0')
        with open(self.path, 'wb') as stream:
            stream.write(b'[tracing]\nsigning_keys = s\xff\xfecret\n')
        self.now += watch.INTERVAL
        self.assertEqual(0, self._trace(recorder))
        self.assertEqual(
            f'Kept the previous values: {self.path} is not text.',
            self.log.output.splitlines()[-1],
        )
        self._write('sample_ratio = 1.0')
        self.now += watch.INTERVAL
        self.assertEqual(20, self._trace(recorder))

    def test_a_file_that_became_a_directory_changes_nothing(self):
        _conf, recorder = self._set_up('sample_ratio = 0.0')
        os.unlink(self.path)
        os.mkdir(self.path)
        self.now += watch.INTERVAL
        self.assertEqual(0, self._trace(recorder))
        last = self.log.output.splitlines()[-1]
        self.assertTrue(last.startswith('Kept the previous values: '), last)
        self.assertIn(self.path, last)

    def test_a_file_that_is_gone_changes_nothing(self):
        _conf, recorder = self._set_up('sample_ratio = 0.0')
        os.unlink(self.path)
        self.now += watch.INTERVAL
        self.assertEqual(0, self._trace(recorder))
        last = self.log.output.splitlines()[-1]
        self.assertTrue(last.startswith('Kept the previous values: '), last)
        self.assertIn(self.path, last)
        self._write('sample_ratio = 1.0')
        self.now += watch.INTERVAL
        self.assertEqual(20, self._trace(recorder))

    def test_a_new_process_looks_at_once(self):
        conf, recorder = self._set_up('sample_ratio = 0.0')
        settings = recorder.tracing.settings
        watched = watch.Watch(conf, settings, lambda values: None)
        self._write('sample_ratio = 0.5')
        watched.look()
        self.assertEqual(0.0, settings.sample_ratio)
        self.useFixture(fixtures.MonkeyPatch('os.getpid', lambda: -1))
        watched.look()
        self.assertEqual(0.5, settings.sample_ratio)

    def test_the_services_defaults_outlive_a_change(self):
        _conf, recorder = self._set_up('', sample_ratio=0.0)
        self.assertEqual(0, self._trace(recorder))
        self._write('ignored_paths = /x')
        self.now += watch.INTERVAL
        self.assertEqual(0, self._trace(recorder))
        self.assertEqual(['/x'], recorder.tracing.settings.ignored_paths)

    def test_files_in_a_directory_are_watched(self):
        directory = self.useFixture(fixtures.TempDir()).path
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf(
            [],
            project='x',
            default_config_files=[],
            default_config_dirs=[directory],
        )
        recorder = self.useFixture(fixture.SpanRecorder('none', conf=conf))
        self.assertEqual(20, self._trace(recorder))
        with open(os.path.join(directory, 'a.conf'), 'w') as stream:
            stream.write('[tracing]\nsample_ratio = 0\n')
        self.now += watch.INTERVAL
        self.assertEqual(0, self._trace(recorder))

    def test_files_in_each_of_several_directories_are_watched(self):
        first, second = (
            self.useFixture(fixtures.TempDir()).path for _ in range(2)
        )
        path = os.path.join(first, 'a.conf')
        with open(path, 'w') as stream:
            stream.write('[tracing]\nsample_ratio = 0\n')
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf(
            ['--config-dir', first, '--config-dir', second],
            project='x',
            default_config_files=[],
        )
        recorder = self.useFixture(fixture.SpanRecorder('none', conf=conf))
        # What the first says holds after a change in the second, too.
        with open(os.path.join(second, 'b.conf'), 'w') as stream:
            stream.write('[tracing]\nignored_paths = /x\n')
        self.now += watch.INTERVAL
        self.assertEqual(0, self._trace(recorder))
        self.assertEqual(['/x'], recorder.tracing.settings.ignored_paths)
        os.remove(path)
        self.now += watch.INTERVAL
        self.assertEqual(20, self._trace(recorder))

    def test_files_in_ones_home_are_watched(self):
        home = os.path.dirname(self.path)
        self.useFixture(fixtures.EnvironmentVariable('HOME', home))
        self._write('sample_ratio = 1.0')
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        # As `--config-file=~/service.conf` arrives: no shell replaces that.
        conf(['--config-file=~/service.conf'], project='x')
        recorder = self.useFixture(fixture.SpanRecorder('none', conf=conf))
        self.assertEqual(20, self._trace(recorder))
        self._write('sample_ratio = 0.0')
        self.now += watch.INTERVAL
        self.assertEqual(0, self._trace(recorder))

    def test_requests_that_are_ignored_look_too(self):
        _conf, recorder = self._set_up('ignored_paths = *')
        app = middleware.TracingMiddleware(wsgi.hello)
        wsgi.ask(app, '/x')
        self.assertEqual([], recorder.finished)
        self._write('ignored_paths = /healthcheck')
        self.now += watch.INTERVAL
        for _number in range(2):
            wsgi.ask(app, '/x')
        self.assertEqual(1, len(recorder.finished))

    def _set_up_beside(self, text):
        """Set up where somebody else has set a provider."""
        self._write(text)
        theirs = sdk_trace.TracerProvider(shutdown_on_exit=False)
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._global.foreign_provider', lambda: theirs
            )
        )
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], project='x', default_config_files=[self.path])
        return theirs, service.set_up(conf, 'x', only=()).settings

    def test_it_is_noticed_with_the_provider_of_others(self):
        _theirs, settings = self._set_up_beside('db_spans = all')
        app = middleware.TracingMiddleware(wsgi.hello)

        def own():
            with oslo_tracing.span('work', root=True):
                pass

        for text, work in (
            ('db_spans = summary', lambda: wsgi.ask(app, '/x')),
            ('db_spans = slow', own),
            ('db_spans = all', own),
        ):
            work()
            self._write(text)
            self.now += watch.INTERVAL
            work()
            self.assertEqual(text, f'db_spans = {settings.db_spans}')

    def test_it_is_noticed_where_others_record_the_requests(self):
        theirs, settings = self._set_up_beside('db_spans = all')
        app = middleware.TracingMiddleware(wsgi.hello)
        self._write('db_spans = summary')
        self.now += watch.INTERVAL
        tracer = theirs.get_tracer('opentelemetry.instrumentation.wsgi')
        with tracer.start_as_current_span('x', kind=trace.SpanKind.SERVER):
            wsgi.ask(app, '/x')
        self.assertEqual('summary', settings.db_spans)

    def test_statements_do_not_look(self):
        _theirs, settings = self._set_up_beside('db_spans = all')
        self._write('db_spans = summary')
        self.now += watch.INTERVAL
        tracer = _runtime.RUNTIME.tracing.tracer('sqlalchemy')
        for _number in range(2):
            tracer.start_span('SELECT', kind=trace.SpanKind.CLIENT).end()
        self.assertEqual('all', settings.db_spans)

    def test_a_process_of_calls_alone_notices_after_some(self):
        _theirs, settings = self._set_up_beside('db_spans = all')
        tracer = _runtime.RUNTIME.tracing.tracer('sqlalchemy')
        for text in ('db_spans = summary', 'db_spans = slow'):
            self._write(text)
            self.now += watch.INTERVAL
            for _number in range(100):
                tracer.start_span('SELECT', kind=trace.SpanKind.CLIENT).end()
            self.assertEqual(text, f'db_spans = {settings.db_spans}')

    def test_nothing_is_left_on_the_configuration(self):
        conf, _recorder = self._set_up()
        service.shutdown()
        self.assertEqual(set(), conf._mutate_hooks)

    def test_looks_are_rare(self):
        self._set_up()
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], project='x', default_config_files=[self.path])
        watched = watch.Watch(conf, object(), dict)
        before = time.monotonic()
        watched.look()
        self.assertEqual(before + watch.INTERVAL, watched._next)

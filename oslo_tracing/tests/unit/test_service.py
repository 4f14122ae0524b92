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

"""Set-up of a service, and everything undone."""

from __future__ import annotations

import glob
import json
import logging
import os
import subprocess
import sys
import textwrap
import threading

import fixtures
from oslo_config import cfg
from oslo_messaging import transport

import oslo_tracing
from oslo_tracing import _guard
from oslo_tracing import _runtime
from oslo_tracing import exceptions
from oslo_tracing import opts
from oslo_tracing import service
from oslo_tracing.tests import base

#: Every function of others that an integration may put another in front of.
SEAMS = """
    import logging
    from keystoneauth1 import session as ksa_session
    from oslo_context import context as oslo_context
    from oslo_db import api as db_api
    from oslo_messaging.notify import dispatcher as notify
    from oslo_messaging.rpc import dispatcher as rpc
    from oslo_messaging import transport
    import requests
    from sqlalchemy import engine
    from sqlalchemy.engine import default
    from sqlalchemy import pool
    import sqlalchemy.dialects.mysql.base
    import sqlalchemy.dialects.postgresql.base
    import sqlalchemy.dialects.sqlite.base

    def functions():
        owners = [
            ksa_session.Session, oslo_context, oslo_context.RequestContext,
            db_api.wrap_db_retry, notify.NotificationDispatcher,
            notify.BatchNotificationDispatcher, rpc.RPCDispatcher,
            transport.Transport, requests.Session, engine.Engine,
            engine.Connection, pool.Pool, pool.QueuePool,
        ]
        dialects = [default.DefaultDialect]
        while dialects:
            dialect = dialects.pop()
            owners.append(dialect)
            dialects.extend(dialect.__subclasses__())
        return {
            (owner.__name__, name): value
            for owner in owners
            for name, value in vars(owner).items()
            if callable(value) or name == '_has_events'
        }
"""


def _run(code):
    found = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(code)],
        capture_output=True,
        text=True,
    )
    if found.returncode:
        raise AssertionError(found.stderr)
    return found.stdout


def _interrupt(error=None, *args):
    raise error if isinstance(error, Exception) else KeyboardInterrupt


class SetupTest(base.TestCase):
    def setUp(self):
        super().setUp()
        # Else what an earlier test made it say is not said again.
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._guard._REPORTER', _guard._Reporter()
            )
        )

    def _conf(self, **values):
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], project='x', default_config_files=[])
        for name, value in {'enabled': True, **values}.items():
            conf.set_override(name, value, group='tracing')
        return conf

    def test_it_is_idempotent(self):
        conf = self._conf(exporters=['none'])
        first = oslo_tracing.setup(conf, 'one')
        self.assertIs(first, oslo_tracing.setup(conf, 'two'))
        self.assertEqual('one', first.settings.service_name)
        oslo_tracing.shutdown()
        oslo_tracing.shutdown()
        second = oslo_tracing.setup(conf, 'two')
        self.assertEqual('two', second.settings.service_name)

    def test_off_by_default(self):
        self.assertIsNone(oslo_tracing.setup(self._conf(enabled=False)))
        self.assertIsNone(oslo_tracing.current_trace_id())

    def test_options_are_registered_on_the_given_configuration_only(self):
        # A filter of another test may have registered them on the real one.
        self.useFixture(
            fixtures.MonkeyPatch('oslo_config.cfg.CONF', cfg.ConfigOpts())
        )
        oslo_tracing.setup(self._conf(exporters=['none']))
        self.assertNotIn('tracing', cfg.CONF)

    def test_wrong_options_stop_the_start_with_one_sentence(self):
        directory = self.useFixture(fixtures.TempDir()).path
        for values, name, shown in (
            ({'exporters': ['jaeger']}, 'exporters', 'jaeger'),
            ({'exporters': []}, 'exporters', 'say none'),
            ({'propagators': ['smoke']}, 'propagators', 'smoke'),
            ({'sampler': 'sometimes'}, 'sampler', 'sometimes'),
            ({'otlp_endpoint': 'collector'}, 'otlp_endpoint', 'collector'),
            ({'otlp_endpoint': 'http://'}, 'otlp_endpoint', 'http://'),
            (
                {'otlp_endpoint': 'http://u:S3CRET@c'},
                'otlp_endpoint',
                'credentials',
            ),
            (
                {'otlp_ca_file': f'{directory}/absent.pem'},
                'otlp_ca_file',
                'absent.pem',
            ),
            ({'exporters': ['file']}, 'file_directory', 'None'),
        ):
            error = self.assertRaises(
                exceptions.InvalidOption,
                oslo_tracing.setup,
                self._conf(**values),
            )
            self.assertIn(f'[tracing] {name} = ', str(error))
            self.assertIn(shown, str(error))
            self.assertNotIn('S3CRET', str(error))
            self.assertNotIn('\n', str(error))
            self.assertIsNone(oslo_tracing.current_trace_id())

    def test_what_only_the_environment_says_stops_nothing(self):
        log = self.useFixture(fixtures.FakeLogger())
        for name, value in {
            'OTEL_TRACES_SAMPLER': 'sometimes',
            'OTEL_PROPAGATORS': 'smoke',
            'OTEL_TRACES_EXPORTER': 'pigeon',
            'OTEL_EXPORTER_OTLP_CERTIFICATE': '/absent.pem',
        }.items():
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        tracing = oslo_tracing.setup(self._conf())
        self.assertEqual('parentbased_traceidratio', tracing.settings.sampler)
        self.assertEqual(['otlp'], tracing.settings.exporters)
        self.assertIsNone(tracing.settings.otlp_ca_file)
        for shown in ('sometimes', 'smoke', 'pigeon', 'absent.pem'):
            self.assertIn(shown, log.output)

    def test_what_the_environment_chooses_may_lack_an_option(self):
        log = self.useFixture(fixtures.FakeLogger())
        self.useFixture(
            fixtures.EnvironmentVariable('OTEL_TRACES_EXPORTER', 'file')
        )
        tracing = oslo_tracing.setup(self._conf())
        self.assertEqual(['otlp'], tracing.settings.exporters)
        self.assertIn('file_directory', log.output)

    def test_what_the_environment_chooses_may_not_go_with_an_option(self):
        log = self.useFixture(fixtures.FakeLogger())
        self.useFixture(
            fixtures.EnvironmentVariable('OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc')
        )
        tracing = oslo_tracing.setup(
            self._conf(otlp_endpoint='http://collector:4318/traces')
        )
        self.assertEqual('http/protobuf', tracing.settings.otlp_protocol)
        self.assertIn('a path has no meaning with grpc', log.output)

    def test_an_endpoint_that_is_ignored_leaves_that_of_the_protocol(self):
        for name, value in {
            'OTEL_EXPORTER_OTLP_PROTOCOL': 'grpc',
            'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://collector:4317/traces',
        }.items():
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        settings = oslo_tracing.setup(self._conf()).settings
        self.assertEqual(
            ('grpc', 'http://localhost:4317'),
            (settings.otlp_protocol, settings.otlp_endpoint),
        )

    def test_an_endpoint_that_is_ignored_was_the_whole_url(self):
        self.useFixture(
            fixtures.EnvironmentVariable(
                'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'http://h:4318/traces?a'
            )
        )
        settings = oslo_tracing.setup(self._conf()).settings
        self.assertEqual('http://localhost:4318', settings.otlp_endpoint)
        # So /v1/traces is appended to it.
        self.assertFalse(settings.otlp_endpoint_is_whole)

    def test_an_error_of_ours_stops_nothing(self):
        log = self.useFixture(fixtures.FakeLogger())
        self.useFixture(
            fixtures.MonkeyPatch('oslo_tracing.integrations.install', None)
        )
        before = logging.Logger.handle
        self.assertIsNone(oslo_tracing.setup(self._conf(exporters=['none'])))
        self.assertIn('Tracing failed while setting up', log.output)
        self.assertIsNone(oslo_tracing.current_trace_id())
        self.assertTrue(callable(before))

    def test_another_option_of_the_same_name_stops_nothing(self):
        log = self.useFixture(fixtures.FakeLogger())
        conf = cfg.ConfigOpts()
        conf.register_opt(cfg.StrOpt('enabled', default='x'), group='tracing')
        conf([], project='x', default_config_files=[])
        self.assertIsNone(oslo_tracing.setup(conf))
        self.assertIn('DuplicateOptError', log.output)

    def test_an_interrupted_set_up_leaves_nothing_behind(self):
        before = transport.Transport._send
        self.useFixture(fixtures.MonkeyPatch('atexit.register', _interrupt))
        self.assertRaises(
            KeyboardInterrupt,
            oslo_tracing.setup,
            self._conf(exporters=['none']),
        )
        self.assertIs(before, transport.Transport._send)
        self.assertIsNone(_runtime.RUNTIME.recorder)
        self.assertFalse(_runtime.RUNTIME.process().is_setting_up)

    def test_shutting_down_never_raises(self):
        log = self.useFixture(fixtures.FakeLogger())
        before = transport.Transport._send
        tracing = oslo_tracing.setup(self._conf(exporters=['none']))
        self.assertIsNot(before, transport.Transport._send)
        tracing.undo.callback(_interrupt, RuntimeError('S3CRET'))
        oslo_tracing.shutdown()
        self.assertIs(before, transport.Transport._send)
        self.assertIn('Tracing failed while shutting down', log.output)
        self.assertNotIn('S3CRET', log.output)

    def test_eight_threads_set_up_once(self):
        conf = self._conf(exporters=['none'])
        barrier = threading.Barrier(8)
        made = []

        def set_up():
            barrier.wait(10)
            made.append(oslo_tracing.setup(conf))

        threads = [threading.Thread(target=set_up) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        self.assertEqual(8, len(made))
        self.assertEqual(1, len(set(map(id, made))))
        self.assertIsNotNone(made[0])

    def test_a_signal_may_come_at_any_time(self):
        # As the handlers of signals do, which run in the midst of it.
        conf = self._conf(exporters=['none'])
        before = transport.Transport._send
        seen = []

        def interrupted(*args):
            seen.append(oslo_tracing.setup(conf))
            oslo_tracing.shutdown()

        with fixtures.MonkeyPatch('atexit.register', interrupted):
            tracing = oslo_tracing.setup(conf)
        self.assertEqual([None], seen)
        self.assertIs(tracing, oslo_tracing.setup(conf))
        tracing.undo.callback(oslo_tracing.shutdown)
        oslo_tracing.shutdown()
        self.assertIs(before, transport.Transport._send)

    def test_unset_options_of_other_libraries_are_none(self):
        conf = self._conf()
        self.assertIsNone(service._foreign_option(conf, 'no_group', 'x'))
        self.assertIsNone(service._foreign_option(conf, 'tracing', 'x'))
        self.assertTrue(service._foreign_option(conf, 'tracing', 'enabled'))

    def test_names_of_the_package(self):
        self.assertIn('setup', dir(oslo_tracing))
        self.assertRaises(AttributeError, getattr, oslo_tracing, 'absent')


class ProcessTest(base.TestCase):
    def test_a_child_is_not_held_up_by_what_the_parent_was_at(self):
        said = _run("""
            import os, threading
            from oslo_config import cfg
            import oslo_tracing
            from oslo_tracing import opts
            conf = cfg.ConfigOpts()
            opts.set_defaults(conf, enabled=True, exporters=['none'])
            conf([], project='x', default_config_files=[])
            tracing = oslo_tracing.setup(conf, 'parent')
            begun, forked = threading.Event(), threading.Event()

            def held_up():
                begun.set()
                forked.wait(60)

            tracing.undo.callback(held_up)
            thread = threading.Thread(target=oslo_tracing.shutdown)
            thread.start()
            begun.wait(60)
            pid = os.fork()
            if not pid:
                oslo_tracing.shutdown()
                made = oslo_tracing.setup(conf, 'child')
                print(made is not None, flush=True)
                oslo_tracing.shutdown()
                os._exit(0)
            for _ in range(600):
                done, _status = os.waitpid(pid, os.WNOHANG)
                if done or thread.join(0.1):
                    break
            else:
                os.kill(pid, 9)
            forked.set()
            """)
        self.assertEqual('True\n', said)

    def test_the_last_spans_are_written_at_exit(self):
        directory = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'traces'
        )
        _run(f"""
            from oslo_config import cfg
            import oslo_tracing
            from oslo_tracing import opts
            conf = cfg.ConfigOpts()
            opts.set_defaults(conf, enabled=True, exporters=['file'],
                              file_directory={directory!r})
            conf([], project='x', default_config_files=[])
            oslo_tracing.setup(conf, 'short-lived')
            with oslo_tracing.span('work', root=True):
                pass
            """)
        (path,) = glob.glob(os.path.join(directory, 'short_lived-*.jsonl'))
        with open(path) as stream:
            (line,) = stream.readlines()
        (of_resource,) = json.loads(line)['resourceSpans']
        (of_scope,) = of_resource['scopeSpans']
        self.assertEqual('oslo_tracing.service', of_scope['scope']['name'])
        self.assertEqual(['work'], [s['name'] for s in of_scope['spans']])
        attributes = {
            item['key']: item['value'].get('stringValue')
            for item in of_resource['resource']['attributes']
        }
        self.assertEqual('short-lived', attributes['service.name'])
        instance = attributes['service.instance.id']
        self.assertIn(instance.replace('-', '_'), path)

    def test_off_nothing_more_is_imported(self):
        # What a service has imported anyway, and what it calls.
        common = """
            import sys
            from oslo_config import cfg
            import logging
            conf = cfg.ConfigOpts()
            conf([], project='x', default_config_files=[])
            {call}
            import threading
            names = [m for m in sys.modules if m != 'oslo_tracing'
                     and not m.startswith('oslo_tracing.')]
            print(*sorted(names), threading.active_count())
            """
        without = _run(common.replace('{call}', 'import atexit, glob'))
        with_us = _run(
            common.replace(
                '{call}',
                'import atexit, glob; import oslo_tracing; '
                'oslo_tracing.setup(conf, "x"); '
                'oslo_tracing.span("x"); oslo_tracing.shutdown()',
            )
        )
        self.assertEqual(set(), set(with_us.split()) - set(without.split()))

    def test_off_every_function_is_the_original(self):
        printed = _run(
            SEAMS
            + """
    before = functions()
    from oslo_config import cfg
    import oslo_tracing
    conf = cfg.ConfigOpts()
    conf([], project='x', default_config_files=[])
    oslo_tracing.setup(conf, 'x')
    after = functions()
    print([key for key in before if before[key] is not after.get(key)])
    print(set(before) ^ set(after))
    """
        )
        self.assertEqual('[]\nset()\n', printed)

    def test_after_shutdown_every_function_is_the_original(self):
        printed = _run(
            SEAMS
            + """
    before = functions()
    from oslo_config import cfg
    import oslo_tracing
    from oslo_tracing import opts
    conf = cfg.ConfigOpts()
    opts.set_defaults(conf, enabled=True, exporters=['none'],
                      db_comment=True)
    conf([], project='x', default_config_files=[])
    oslo_tracing.setup(conf, 'x')
    during = functions()
    oslo_tracing.shutdown()
    after = functions()
    print(len([k for k in before if before[k] is not during.get(k)]) > 10)
    print([key for key in before if before[key] is not after.get(key)])
    print(set(before) ^ set(after))
    """
        )
        self.assertEqual('True\n[]\nset()\n', printed)

    def test_baggage_is_not_imported_before_there_can_be_some(self):
        printed = _run("""
            import sys
            from oslo_config import cfg
            import oslo_tracing
            from oslo_tracing import opts
            conf = cfg.ConfigOpts()
            opts.set_defaults(conf, enabled=True)
            conf([], project='x', default_config_files=[])
            oslo_tracing.setup(conf, 'x')
            print('opentelemetry.baggage' in sys.modules)
            with oslo_tracing.span('x', root=True):
                # Here a fork waits, and under eventlet set-up does it.
                print('opentelemetry.baggage' in sys.modules)
            """)
        self.assertEqual('False\nTrue\n', printed)

    def test_set_up_imports_no_library_that_is_traced(self):
        printed = _run("""
            import sys
            from oslo_config import cfg
            import oslo_tracing
            from oslo_tracing import opts
            conf = cfg.ConfigOpts()
            opts.set_defaults(conf, enabled=True)
            conf([], project='x', default_config_files=[])
            oslo_tracing.setup(conf, 'x')
            with oslo_tracing.span('x'):
                pass
            print([name for name in (
                'eventlet', 'keystoneauth1', 'oslo_db', 'oslo_messaging',
                'requests', 'sqlalchemy', 'grpc', 'urllib3',
                'oslo_middleware', 'oslo_context',
            ) if name in sys.modules])
            """)
        self.assertEqual('[]\n', printed)

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

"""What others get wrong in a process as a whole: one of its own for each."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap

import testtools

from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import sinks

_HAS_BUILTINS = (
    importlib.util.find_spec('oslo_middleware.tracing') is not None
    and importlib.util.find_spec('oslo_messaging._tracing') is not None
)

#: A server that answers, and a client of it.
BUS = """
    import sys, threading
    from oslo_config import cfg
    import oslo_messaging
    from oslo_messaging import conffixture
    import oslo_tracing
    from oslo_tracing import opts

    class Endpoint:
        def work(self, ctxt):
            return 1

    def set_up(*arguments, **options):
        options = {'enabled': True, 'otlp_endpoint': sys.argv[1], **options}
        opts.set_defaults(cfg.CONF, **options)
        cfg.CONF([*arguments], project='x', default_config_files=[])
        oslo_tracing.setup(cfg.CONF, 'mine')
        messaging = conffixture.ConfFixture(cfg.CONF, 'fake://')
        messaging.setUp()
        transport = oslo_messaging.get_rpc_transport(cfg.CONF)
        target = oslo_messaging.Target(topic='t', server='s')
        server = oslo_messaging.get_rpc_server(
            transport, target, [Endpoint()], executor='threading')
        server.start()
        client = oslo_messaging.get_rpc_client(
            transport, oslo_messaging.Target(topic='t'))
        def finish():
            server.stop()
            server.wait()
        return client, finish
"""


class ProcessesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.sink = self.useFixture(sinks.HttpSink())

    def run_process(self, code):
        done = subprocess.run(
            [
                sys.executable,
                '-W',
                'ignore',
                '-c',
                textwrap.dedent(BUS) + textwrap.dedent(code),
                self.sink.endpoint,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return done

    def exported(self):
        """Return (service, scope, trace id) of all spans."""
        return [
            (
                {
                    attribute.key: attribute.value.string_value
                    for attribute in of_resource.resource.attributes
                }['service.name'],
                of_scope.scope.name,
                span.trace_id,
            )
            for _path, _headers, request in self.sink.requests
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    def test_a_process_that_has_rpc_only(self):
        # The built-in imports its exporter by a name that nobody has loaded.
        done = self.run_process("""
            client, finish = set_up()
            for _ in range(10):
                client.call({}, 'work')
            finish()
            """)
        self.assertEqual('', done.stderr)
        spans = self.exported()
        self.assertEqual(20, len(spans))
        self.assertEqual(
            {('mine', 'oslo_tracing.oslo_messaging')},
            {span[:2] for span in spans},
        )
        self.assertEqual(10, len({trace_id for _s, _n, trace_id in spans}))

    @testtools.skipUnless(_HAS_BUILTINS, 'these libraries do not trace')
    def test_two_more_owners_make_neither_names_nor_ratios(self):
        code = """
            import os, tempfile
            path = os.path.join(tempfile.mkdtemp(), 'x.conf')
            with open(path, 'w') as file:
                file.write('''
            [oslo_middleware_tracing]
            enabled = True
            service_name = theirs
            otlp_endpoint = ''' + sys.argv[1] + '''
            [oslo_messaging_tracing]
            tracing_enabled = True
            tracing_service_name = theirs
            otel_exporter_otlp_endpoint = ''' + sys.argv[1])
            client, finish = set_up('--config-file', path, sample_ratio=RATIO)
            from oslo_middleware import tracing as theirs
            from oslo_tracing import middleware
            from oslo_tracing.tests import wsgi

            def work(environ, start_response):
                client.call({}, 'work')
                return wsgi.hello(environ, start_response)

            app = theirs.TracingMiddleware(
                middleware.TracingMiddleware(work, cfg.CONF), cfg.CONF)
            for _ in range(3):
                wsgi.ask(app)
            finish()
            oslo_tracing.shutdown()
            os._exit(0)
            """
        self.run_process(code.replace('RATIO', '0.0'))
        self.assertEqual([], self.exported())
        self.run_process(code.replace('RATIO', '1.0'))
        spans = self.exported()
        self.assertEqual({'mine'}, {service for service, _n, _t in spans})
        self.assertEqual(
            ['oslo.messaging'] * 6 + ['oslo_middleware.tracing'] * 3,
            sorted(scope for _s, scope, _t in spans),
        )
        self.assertEqual(3, len({trace_id for _s, _n, trace_id in spans}))

    def test_set_up_and_taken_off_again_and_again(self):
        done = self.run_process("""
            import atexit, gc, os
            import keystoneauth1.session, requests, sqlalchemy
            import oslo_db.api, oslo_context.context, oslo_log.log
            from oslo_messaging import transport
            from oslo_messaging.rpc import dispatcher

            def seams():
                return [
                    vars(transport.Transport)['_send'],
                    vars(transport.Transport)['_send_notification'],
                    vars(dispatcher.RPCDispatcher)['dispatch'],
                    vars(keystoneauth1.session.Session)['request'],
                    vars(requests.Session)['send'],
                    vars(oslo_context.context)['generate_request_id'],
                    vars(oslo_db.api.wrap_db_retry)['_is_exception_expected'],
                ]

            def state():
                gc.collect()
                return (
                    len(os.listdir('/proc/self/fd')),
                    threading.active_count(),
                    len(cfg.CONF._mutate_hooks),
                    sqlalchemy.engine.Engine._has_events,
                )

            opts.set_defaults(
                cfg.CONF, enabled=True, otlp_endpoint=sys.argv[1])
            cfg.CONF([], project='x', default_config_files=[])
            originals = seams()
            for number in range(40):
                if number == 10:
                    before, objects = state(), len(gc.get_objects())
                oslo_tracing.setup(cfg.CONF, 'mine')
                assert seams() != originals
                with oslo_tracing.span('work', root=True):
                    pass
                oslo_tracing.shutdown()
                assert all(a is b for a, b in zip(seams(), originals))
            assert state() == before, (state(), before)
            grown = len(gc.get_objects()) - objects
            print(grown // 30)
            """)
        self.assertEqual(40, len(self.exported()))
        # The SDK leaves a hook for forks behind, for each provider.
        self.assertLess(int(done.stdout), 40)

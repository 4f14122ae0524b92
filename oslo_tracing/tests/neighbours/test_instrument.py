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

"""Below the real ``opentelemetry-instrument``, with all its instrumentors.

And in the very environment that OpenTelemetry's operator for Kubernetes gives
to a container: its own directory of packages, whose sitecustomize is run.
"""

from __future__ import annotations

import collections
import os
import pathlib
import subprocess
import sys

import fixtures
import opentelemetry.instrumentation.auto_instrumentation as theirs
import yaml

from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import sinks

_RESOURCE = (
    pathlib.Path(__file__).parents[3]
    / 'etc/oslo.tracing/collector/kubernetes.yaml'
)
#: Knows nothing of us; what it does belongs to one trace by RPC alone.
SERVICE = """
import sys
from oslo_config import cfg
from oslo_log import log as logging
CONF = cfg.CONF
logging.register_options(CONF)
CONF(sys.argv[1:], project='shelf', default_config_files=[])
logging.setup(CONF, 'shelf')
import oslo_messaging
import requests
import sqlalchemy

class Endpoint:
    target = oslo_messaging.Target()
    def store(self, ctxt, name):
        with sqlalchemy.create_engine('sqlite://').connect() as connection:
            connection.execute(sqlalchemy.text('SELECT 1'))
        return name

transport = oslo_messaging.get_rpc_transport(CONF, 'fake://')
target = oslo_messaging.Target(topic='shelf', server='here')
server = oslo_messaging.get_rpc_server(
    transport, target, [Endpoint()], executor='threading')
server.start()
client = oslo_messaging.get_rpc_client(transport, target)
assert client.call({'user': 'u'}, 'store', name='book') == 'book'
server.stop()
server.wait()
print('done')
"""


class _Below(base.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.sink = self.useFixture(sinks.HttpSink())
        self.path = os.path.join(self.folder, 'shelf-api')
        with open(self.path, 'w') as file:
            file.write(SERVICE)
        self.environment = {
            **os.environ,
            'OTEL_EXPORTER_OTLP_ENDPOINT': self.sink.endpoint,
            'OTEL_EXPORTER_OTLP_PROTOCOL': 'http/protobuf',
            'OTEL_METRICS_EXPORTER': 'none',
            'OTEL_LOGS_EXPORTER': 'none',
            'OTEL_SERVICE_NAME': 'shelf',
        }
        self.environment.pop('PYTHONPATH', None)

    def run_it(self, *command, **environment):
        done = subprocess.run(
            [*command, sys.executable, self.path],
            env={**self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=100,
        )
        log = done.stdout + done.stderr
        self.assertEqual(0, done.returncode, log)
        self.assertEqual('done', done.stdout.splitlines()[-1], log)
        self.assertNotIn('Traceback', log)
        return log

    def arrived(self):
        """Return the scope and the span of all that was exported."""
        return [
            (of_scope.scope.name, span)
            for _path, _headers, request in self.sink.requests
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    def resources(self):
        return [
            {
                each.key: each.value.string_value
                for each in of.resource.attributes
            }
            for _path, _headers, request in self.sink.requests
            for of in request.resource_spans
        ]

    def assertOneOfEach(self, who):
        """Assert one span for each of the two sides and the statement.

        :param who: whose those of the call are.
        """
        arrived = self.arrived()
        kinds = collections.Counter(
            scope.rpartition('.')[2] + f' {span.kind}'
            for scope, span in arrived
            if 'sqlalchemy' not in scope
        )
        self.assertEqual(2, sum(kinds.values()), kinds)
        statements = [s for _scope, s in arrived if 'SELECT' in s.name]
        self.assertEqual(1, len(statements))
        for scope, span in arrived:
            if span.kind in (2, 5):
                self.assertIn(who, scope)
        self.assertEqual(1, len({span.trace_id for _scope, span in arrived}))
        ids = {span.span_id for _scope, span in arrived}
        roots = [s for _scope, s in arrived if s.parent_span_id not in ids]
        self.assertEqual([b''], [span.parent_span_id for span in roots])


class InstrumentTest(_Below):
    """A program that is started by ``opentelemetry-instrument``."""

    command = os.path.join(
        os.path.dirname(sys.executable), 'opentelemetry-instrument'
    )

    def test_without_their_instrumentors_all_is_ours(self):
        names = 'sqlalchemy,requests,oslo_messaging,keystoneauth1,oslo_service'
        log = self.run_it(
            self.command, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=names
        )
        # Their provider was there first.
        self.assertIn('it is used', log)
        self.assertOneOfEach('oslo_tracing.oslo_messaging')
        self.assertEqual(
            {'shelf'}, {each['service.name'] for each in self.resources()}
        )

    def test_with_them_nothing_is_twice(self):
        self.run_it(self.command)
        self.assertOneOfEach('opentelemetry')

    def test_without_their_provider_ours_exports(self):
        log = self.run_it(
            self.command,
            OTEL_PYTHON_DISTRO='distro',
            OTEL_PYTHON_CONFIGURATOR='nobody',
            OTEL_PYTHON_DISABLED_INSTRUMENTATIONS='oslo_messaging',
        )
        self.assertIn('Tracing is on: shelf to otlp', log)
        self.assertOneOfEach('oslo_tracing.oslo_messaging')
        self.assertEqual(
            {'oslo.tracing'},
            {each['telemetry.distro.name'] for each in self.resources()},
        )

    def test_it_is_idle_where_the_file_says_no(self):
        self.run_it(
            self.command,
            OS_TRACING__ENABLED='False',
            OTEL_PYTHON_DISABLED_INSTRUMENTATIONS='oslo_messaging',
        )
        scopes = {scope for scope, _span in self.arrived()}
        self.assertFalse([s for s in scopes if 'oslo_tracing' in s], scopes)

    def test_it_can_be_left_out_by_name(self):
        self.run_it(
            self.command,
            OTEL_PYTHON_DISABLED_INSTRUMENTATIONS='oslo_tracing',
        )
        scopes = {scope for scope, _span in self.arrived()}
        self.assertFalse([s for s in scopes if 'oslo_tracing' in s], scopes)


class OperatorTest(_Below):
    """A container that the operator has injected its packages into."""

    def setUp(self):
        super().setUp()
        # All that it brings is in a directory of its own.
        self.packages = os.path.join(
            self.folder, 'otel-auto-instrumentation-python'
        )
        os.mkdir(self.packages)
        os.symlink(
            os.path.dirname(os.path.dirname(theirs.__path__[0])),
            os.path.join(self.packages, 'opentelemetry'),
        )
        site = os.path.join(
            self.packages,
            'opentelemetry',
            'instrumentation',
            'auto_instrumentation',
        )
        # As it sets them for instrumentation.opentelemetry.io/inject-python.
        self.environment.update(
            {
                'PYTHONPATH': f'{site}:{self.packages}',
                'OTEL_TRACES_EXPORTER': 'otlp',
                'OTEL_NODE_IP': '127.0.0.1',
                'OTEL_POD_IP': '127.0.0.1',
                'OTEL_RESOURCE_ATTRIBUTES_POD_NAME': 'shelf-7d9f-x2x',
                'OTEL_RESOURCE_ATTRIBUTES_NODE_NAME': 'node-1',
                'OTEL_PROPAGATORS': 'tracecontext,baggage',
                'OTEL_TRACES_SAMPLER': 'parentbased_traceidratio',
                'OTEL_TRACES_SAMPLER_ARG': '1',
                'OTEL_RESOURCE_ATTRIBUTES': (
                    'k8s.container.name=shelf,k8s.namespace.name=openstack,'
                    'k8s.node.name=node-1,k8s.pod.name=shelf-7d9f-x2x,'
                    'service.version=1.0'
                ),
            }
        )

    def test_the_service_is_traced(self):
        self.run_it()
        self.assertOneOfEach('opentelemetry')
        (told,) = {each['k8s.pod.name'] for each in self.resources()}
        self.assertEqual('shelf-7d9f-x2x', told)

    def test_by_us_where_they_have_nothing(self):
        # Its image has no instrumentor of oslo.messaging.
        self.run_it(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS='oslo_messaging')
        self.assertOneOfEach('oslo_tracing.oslo_messaging')

    def test_with_the_resource_that_we_hand_out(self):
        handed_out = yaml.safe_load(_RESOURCE.read_text())['spec']['python']
        given = {each['name']: each['value'] for each in handed_out['env']}
        disabled = 'OTEL_PYTHON_DISABLED_INSTRUMENTATIONS'
        # Its image has no instrumentor of oslo.messaging.
        given[disabled] += ',oslo_messaging'
        self.run_it(**given)
        self.assertOneOfEach('oslo_tracing.oslo_messaging')
        (statement,) = (
            scope for scope, span in self.arrived() if 'SELECT' in span.name
        )
        self.assertIn('oslo_tracing', statement)

    def test_the_file_decides(self):
        self.run_it(
            OS_TRACING__ENABLED='False',
            OTEL_PYTHON_DISABLED_INSTRUMENTATIONS='oslo_messaging',
        )
        scopes = {scope for scope, _span in self.arrived()}
        self.assertFalse([s for s in scopes if 'oslo_tracing' in s], scopes)

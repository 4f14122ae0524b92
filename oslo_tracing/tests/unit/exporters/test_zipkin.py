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

from __future__ import annotations

import json
import os
import subprocess
import sys

from opentelemetry import trace

from oslo_tracing.exporters import zipkin
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import sinks
from oslo_tracing.tests.unit.exporters import support

SHORT = """
import sys
from oslo_config import cfg
import oslo_tracing
from oslo_tracing import opts
conf = cfg.ConfigOpts()
opts.set_defaults(conf, enabled=True, exporters=[sys.argv[1]])
conf([], default_config_files=[], default_config_dirs=[])
oslo_tracing.setup(conf, 'short')
with oslo_tracing.span('all', root=True):
    pass
"""


class ZipkinTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.tracing = self.useFixture(support.Tracer())
        self.sink = self.useFixture(
            sinks.HttpSink(status=202, read=json.loads)
        )

    def _exporter(self, path=''):
        settings = support.settings(
            zipkin_endpoint=f'{self.sink.endpoint}{path}',
            otlp_headers={'authorization': 'Bearer secret'},
        )
        exporter = zipkin.build(settings, support.resource())
        self.addCleanup(exporter.shutdown)
        return exporter

    def _sent(self):
        outcome = self._exporter().deliver(self.tracing.spans, 20.0)
        self.assertEqual(len(self.tracing.spans), outcome.delivered)
        return [span for _, _, spans in self.sink.requests for span in spans]

    def test_a_span_is_what_the_api_wants(self):
        parent = self.tracing.tracer.start_span(
            'GET /v2.1', kind=trace.SpanKind.SERVER, start_time=1_000_000
        )
        child = self.tracing.tracer.start_span(
            'SELECT instances',
            trace.set_span_in_context(parent),
            kind=trace.SpanKind.CLIENT,
            attributes={
                'db.system.name': 'mysql',
                'db.query.text': 'x' * 1000,
                'server.address': 'db1',
            },
            start_time=2_000_000,
        )
        child.add_event('woke', timestamp=2_500_000)
        child.set_status(trace.StatusCode.ERROR, 'DBDeadlock')
        child.end(4_000_000)
        parent.end(5_000_000)

        made, root = self._sent()

        ids = child.get_span_context()
        self.assertEqual(f'{ids.trace_id:032x}', made['traceId'])
        self.assertEqual(f'{ids.span_id:016x}', made['id'])
        self.assertEqual(root['id'], made['parentId'])
        self.assertNotIn('parentId', root)
        self.assertEqual('SELECT instances', made['name'])
        self.assertEqual('CLIENT', made['kind'])
        self.assertEqual((2000, 2000), (made['timestamp'], made['duration']))
        self.assertEqual({'serviceName': 'nova-api'}, made['localEndpoint'])
        self.assertEqual({'serviceName': 'db1'}, made['remoteEndpoint'])
        self.assertEqual('x' * 1000, made['tags']['db.query.text'])
        self.assertEqual('DBDeadlock', made['tags']['error'])
        self.assertEqual(2500, made['annotations'][0]['timestamp'])

    def test_what_the_server_decides_is_left_to_it(self):
        self.tracing.end()

        (made,) = self._sent()

        self.assertNotIn('debug', made)
        self.assertNotIn('kind', made)
        self.assertLessEqual(1, made['duration'])

    def test_credentials_are_for_somebody_else(self):
        self.tracing.end()
        self._sent()

        path, headers, _spans = self.sink.requests[0]
        self.assertEqual('/api/v2/spans', path)
        self.assertEqual('application/json', headers['content-type'])
        self.assertEqual('gzip', headers['content-encoding'])
        self.assertNotIn('authorization', headers)

    def test_a_path_is_taken_as_it_is(self):
        self.tracing.end()

        self._exporter('/zipkin/spans').deliver(self.tracing.spans, 20.0)

        self.assertEqual('/zipkin/spans', self.sink.requests[0][0])

    def test_what_it_refuses_is_counted(self):
        self.sink.status = 400
        self.tracing.end(3)

        outcome = self._exporter().deliver(self.tracing.spans, 20.0)

        self.assertEqual({'refused': 3}, dict(outcome.lost))

    def test_what_it_wants_later_is_handed_back(self):
        self.sink.status = 503
        self.tracing.end(3)

        outcome = self._exporter().deliver(self.tracing.spans, 20.0)

        self.assertEqual(self.tracing.spans, list(outcome.left))


class ShortTest(base.TestCase):
    """A process that ends before its first batch would have gone."""

    def _run(self, exporter, **variables):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', SHORT, exporter],
            capture_output=True,
            text=True,
            timeout=100,
            env={**os.environ, **variables},
        )
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual('', done.stderr)

    def test_zipkin_gets_its_spans(self):
        sink = self.useFixture(sinks.HttpSink(status=202, read=json.loads))

        self._run('zipkin', OTEL_EXPORTER_ZIPKIN_ENDPOINT=sink.endpoint)

        [(_path, _headers, [span])] = sink.requests
        self.assertEqual('all', span['name'])
        self.assertEqual('short', span['localEndpoint']['serviceName'])

    def test_so_does_an_exporter_of_others(self):
        sink = self.useFixture(sinks.GrpcSink())

        self._run(
            'otlp_proto_grpc',
            OTEL_EXPORTER_OTLP_ENDPOINT=f'http://{sink.address}',
        )

        self.assertEqual(1, len(sink.requests))

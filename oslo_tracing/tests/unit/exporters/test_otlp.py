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

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

import fixtures
from opentelemetry.sdk.trace import export

from oslo_tracing import exporters
from oslo_tracing.exporters import otlp
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import sinks
from oslo_tracing.tests.unit.exporters import support

#: What a service's environment may say, all of it wrong.
_ENVIRONMENT = {
    'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:9',
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT': 'http://127.0.0.1:9',
    'OTEL_EXPORTER_OTLP_HEADERS': 'x-environment=1',
    'OTEL_EXPORTER_OTLP_TRACES_HEADERS': 'x-environment=2',
    'OTEL_EXPORTER_OTLP_COMPRESSION': 'gzip',
    'OTEL_EXPORTER_OTLP_TRACES_COMPRESSION': 'gzip',
    'OTEL_EXPORTER_OTLP_TIMEOUT': '0.001',
    'OTEL_EXPORTER_OTLP_CERTIFICATE': '/nowhere/ca',
    'OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE': '/nowhere/ca',
    'OTEL_EXPORTER_OTLP_CLIENT_KEY': '/nowhere/key',
    'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE': '/nowhere/cert',
    'OTEL_EXPORTER_OTLP_INSECURE': 'true',
    'OTEL_EXPORTER_OTLP_TRACES_INSECURE': 'true',
}


class _Case(base.TestCase):
    def _export(self, **values):
        """Send two spans through the whole pipeline.

        :returns: whether they arrived, and the counters.
        """
        values.setdefault('otlp_timeout', 5.0)
        settings = support.settings(exporters=['otlp'], **values)
        exporters.validate(settings)
        pipeline = exporters.build(settings, support.resource)
        tracing = self.useFixture(support.Tracer(pipeline))
        tracing.end(name='one')
        tracing.end(name='two')
        arrived = pipeline.force_flush(8000)
        # What was not delivered is told when the next span ends.
        tracing.end(name='three')
        return arrived, pipeline.stats.snapshot()

    def _set_environment(self):
        for name, value in _ENVIRONMENT.items():
            self.useFixture(fixtures.EnvironmentVariable(name, value))

    def _arrived(self, **values):
        self.assertEqual(
            (True, {'exported': {'otlp': 2}, 'dropped': {}}),
            self._export(**values),
        )

    def _refused(self, **values):
        logged = self.useFixture(fixtures.FakeLogger())
        self.assertEqual(
            (False, {'exported': {}, 'dropped': {'refused': 2}}),
            self._export(**values),
        )
        (line,) = logged.output.splitlines()
        self.assertIn('Spans are being lost', line)
        return line

    def _waits(self, **values):
        logged = self.useFixture(fixtures.FakeLogger())
        self.assertEqual(
            (False, {'exported': {}, 'dropped': {}}), self._export(**values)
        )
        (line,) = logged.output.splitlines()
        self.assertIn('Spans wait for their receiver', line)
        return line


class HttpTest(_Case):
    def test_spans_arrive_compressed_with_the_headers(self):
        sink = self.useFixture(sinks.HttpSink())

        self._arrived(
            otlp_endpoint=sink.endpoint,
            otlp_headers={'X-Token': 'a=b, c', 'Authorization': 'Bearer x'},
        )

        ((path, headers, request),) = sink.requests
        self.assertEqual('/v1/traces', path)
        self.assertEqual(['one', 'two'], sinks.names(request))
        self.assertEqual('gzip', headers['content-encoding'])
        self.assertEqual('application/x-protobuf', headers['content-type'])
        self.assertEqual('a=b, c', headers['x-token'])
        self.assertEqual('Bearer x', headers['authorization'])

    def test_without_compression(self):
        sink = self.useFixture(sinks.HttpSink())

        self._arrived(otlp_endpoint=sink.endpoint, otlp_compression='none')

        ((_path, headers, request),) = sink.requests
        self.assertNotIn('content-encoding', headers)
        self.assertEqual(['one', 'two'], sinks.names(request))

    def test_the_path_is_appended_unless_it_is_there(self):
        for endpoint, whole, url in (
            ('http://c:1', False, 'http://c:1/v1/traces'),
            ('http://c:1/', False, 'http://c:1/v1/traces'),
            ('http://c:1/otlp', False, 'http://c:1/otlp/v1/traces'),
            ('http://c:1/v1/traces', False, 'http://c:1/v1/traces'),
            ('http://c:1/x/v1/traces/', False, 'http://c:1/x/v1/traces'),
            ('http://c:1/whole', True, 'http://c:1/whole'),
            ('http://c:1', True, 'http://c:1/'),
        ):
            settings = support.settings(
                otlp_endpoint=endpoint, otlp_endpoint_is_whole=whole
            )
            self.assertEqual(url, otlp.url(settings))

    def test_the_environment_does_not_override_what_is_set(self):
        sink = self.useFixture(sinks.HttpSink())
        self._set_environment()
        pipeline_settings = support.settings(
            exporters=['otlp'],
            otlp_endpoint=sink.endpoint,
            otlp_headers={'x-ours': '1'},
            otlp_compression='none',
            otlp_timeout=5.0,
            otlp_ca_file=None,
            otlp_cert_file=None,
            otlp_key_file=None,
            otlp_endpoint_is_whole=False,
        )
        pipeline = exporters.build(pipeline_settings, support.resource)
        tracing = self.useFixture(support.Tracer(pipeline))
        tracing.end()

        self.assertIs(True, pipeline.force_flush(8000))

        ((path, headers, _request),) = sink.requests
        self.assertEqual('/v1/traces', path)
        self.assertEqual('1', headers['x-ours'])
        self.assertNotIn('x-environment', headers)
        self.assertNotIn('content-encoding', headers)

    def test_credentials_of_netrc_are_not_sent(self):
        sink = self.useFixture(sinks.HttpSink())
        home = self.useFixture(fixtures.TempHomeDir()).path
        with open(os.path.join(home, '.netrc'), 'w') as netrc:
            netrc.write('machine 127.0.0.1 login u password S3CRET\n')
        os.chmod(netrc.name, 0o600)

        self._arrived(otlp_endpoint=sink.endpoint)

        ((_path, headers, _request),) = sink.requests
        self.assertNotIn('authorization', headers)

    def test_proxies_of_the_environment_are_not_used(self):
        sink = self.useFixture(sinks.HttpSink())
        proxy = self.useFixture(sinks.HttpSink())
        for name in ('http_proxy', 'all_proxy', 'HTTP_PROXY', 'grpc_proxy'):
            self.useFixture(fixtures.EnvironmentVariable(name, proxy.endpoint))
        for name in ('no_proxy', 'NO_PROXY', 'no_grpc_proxy'):
            self.useFixture(fixtures.EnvironmentVariable(name))

        self._arrived(otlp_endpoint=sink.endpoint)
        grpc_sink = self.useFixture(sinks.GrpcSink())
        self._arrived(
            otlp_protocol='grpc', otlp_endpoint=f'http://{grpc_sink.address}'
        )

        self.assertEqual([], proxy.requests)

    def test_who_we_are_unless_told_otherwise(self):
        sink = self.useFixture(sinks.HttpSink())
        self._arrived(otlp_endpoint=sink.endpoint)
        self._arrived(
            otlp_endpoint=sink.endpoint,
            otlp_headers={
                'User-Agent': 'me',
                'Host': 'collector',
                'Content-Length': '1',
                'Transfer-Encoding': 'chunked',
            },
        )

        (_path, first, _request), (_path, second, _request) = sink.requests
        self.assertRegex(
            first['user-agent'],
            r'\Aoslo\.tracing OTel-OTLP-Exporter-Python/[0-9.]+',
        )
        self.assertEqual(sink.endpoint, f'http://{first["host"]}')
        self.assertEqual('me', second['user-agent'])
        self.assertEqual('collector', second['host'])
        self.assertNotIn('transfer-encoding', second)

    def test_a_forked_child_lets_go_of_the_connection(self):
        sink = self.useFixture(sinks.ScriptedSink(sinks.http(200)))
        settings = support.settings(otlp_endpoint=sink.endpoint)
        exporter = otlp.build(settings, support.resource())
        self.addCleanup(exporter.shutdown)
        tracing = self.useFixture(support.Tracer())
        tracing.end()
        exporter.export(tracing.spans)
        stream = exporter._link._stream

        def work():
            exporter.forget()
            return stream._socket.fileno() == -1

        self.assertEqual(0, support.status_of_child(work))

        result = exporter.export(tracing.spans)
        self.assertIs(export.SpanExportResult.SUCCESS, result)
        self.assertEqual(1, sink.connections)

    def test_a_redirect_is_a_failure_and_not_followed(self):
        sink = self.useFixture(sinks.HttpSink(status=302))

        line = self._refused(otlp_endpoint=sink.endpoint)

        self.assertEqual(['/v1/traces'], [path for path, *_ in sink.requests])
        self.assertIn('redirect', line)

    def test_a_refusal_is_a_failure(self):
        sink = self.useFixture(sinks.HttpSink(status=400))
        self.assertIn('400', self._refused(otlp_endpoint=sink.endpoint))
        self.assertEqual(1, len(sink.requests))

    def test_nobody_there(self):
        self.assertIn(
            'refused', self._waits(otlp_endpoint='http://127.0.0.1:9')
        )


class HttpsTest(_Case):
    def setUp(self):
        super().setUp()
        self.files = self.useFixture(support.Certificates())

    def test_the_receiver_is_verified_with_our_authority(self):
        sink = self.useFixture(sinks.HttpSink(self.files))
        # Also where the environment has another idea of whom to trust.
        for name in ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'):
            self.useFixture(
                fixtures.EnvironmentVariable(name, self.files.other_ca)
            )

        self._arrived(otlp_endpoint=sink.endpoint, otlp_ca_file=self.files.ca)

        self.assertEqual(['one', 'two'], sinks.names(sink.requests[0][2]))

    def test_an_authority_of_the_environment_is_that_of_the_system(self):
        sink = self.useFixture(sinks.HttpSink(self.files))
        self.useFixture(
            fixtures.EnvironmentVariable('REQUESTS_CA_BUNDLE', self.files.ca)
        )
        self._arrived(otlp_endpoint=sink.endpoint)

    def test_nothing_is_sent_to_a_receiver_that_cannot_be_verified(self):
        sink = self.useFixture(sinks.HttpSink(self.files))
        for ca_file in (self.files.other_ca, None):
            line = self._waits(
                otlp_endpoint=sink.endpoint, otlp_ca_file=ca_file
            )
            self.assertIn('CERTIFICATE_VERIFY_FAILED', line)
        self.assertEqual([], sink.requests)

    def test_large_requests_on_one_connection(self):
        sink = self.useFixture(sinks.HttpSink(self.files))
        exporter = otlp.build(
            support.settings(
                otlp_endpoint=sink.endpoint,
                otlp_ca_file=self.files.ca,
                otlp_compression='none',
            ),
            support.resource(),
        )
        self.addCleanup(exporter.shutdown)
        tracing = self.useFixture(support.Tracer())
        tracing.end(3, attributes={'a': 'x' * 2**20})
        for _ in range(3):
            self.assertIs(
                export.SpanExportResult.SUCCESS,
                exporter.export(tracing.spans),
            )
        self.assertEqual(
            [3] * 3, [len(sinks.names(r)) for _p, _h, r in sink.requests]
        )

    def test_a_name_that_the_certificate_lacks_is_not_spoken_to(self):
        sink = self.useFixture(sinks.HttpSink(self.files, address='127.0.0.2'))
        line = self._waits(
            otlp_endpoint=sink.endpoint, otlp_ca_file=self.files.ca
        )
        self.assertIn('mismatch', line)
        self.assertEqual([], sink.requests)

    def test_a_handshake_without_end_is_given_up(self):
        # OpenSSL passes over each of them, until the answer comes.
        hello_request = bytes.fromhex('160303000400000000')
        server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(server.close)
        ended = threading.Event()

        def chatter():
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                while not ended.is_set():
                    connection.sendall(hello_request * 1000)

        thread = threading.Thread(target=chatter)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(ended.set)
        exporter = otlp.build(
            support.settings(
                otlp_endpoint=f'https://127.0.0.1:{server.getsockname()[1]}',
                otlp_timeout=60.0,
            ),
            support.resource(),
        )
        self.addCleanup(exporter.shutdown)
        tracing = self.useFixture(support.Tracer())
        tracing.end()

        outcome = exporter.deliver(tracing.spans, 60.0)

        self.assertIn('does not come to an end of TLS', outcome.why)

    def test_mutual_tls(self):
        sink = self.useFixture(sinks.HttpSink(self.files, mutual=True))
        cert, key = self.files.client

        line = self._waits(
            otlp_endpoint=sink.endpoint, otlp_ca_file=self.files.ca
        )
        self.assertIn('SSL', line)
        self.assertEqual([], sink.requests)
        self._arrived(
            otlp_endpoint=sink.endpoint,
            otlp_ca_file=self.files.ca,
            otlp_cert_file=cert,
            otlp_key_file=key,
        )

        self.assertEqual(1, len(sink.requests))


class GrpcTest(_Case):
    def _never_sent(self, sink, **values):
        """Send spans where they must not go; nothing else may suffer."""
        logged = self.useFixture(fixtures.FakeLogger())
        settings = support.settings(
            exporters=['otlp'],
            otlp_protocol='grpc',
            otlp_timeout=0.5,
            shutdown_timeout=1.0,
            **values,
        )
        exporters.validate(settings)
        pipeline = exporters.build(settings, support.resource)
        tracing = self.useFixture(support.Tracer(pipeline))
        tracing.end(2)
        begun = time.monotonic()

        self.assertIs(False, pipeline.force_flush(3000))
        pipeline.shutdown()

        self.assertLess(time.monotonic() - begun, 3 + 1 + 2)
        self.assertEqual([], sink.requests)
        self.assertEqual(
            {'exported': {}, 'dropped': {'shut down': 2}},
            pipeline.stats.snapshot(),
        )
        # One line of ours, none of the SDK's.
        (line,) = logged.output.splitlines()
        self.assertIn('Spans are being lost', line)

    def test_spans_arrive_with_the_headers(self):
        sink = self.useFixture(sinks.GrpcSink())

        self._arrived(
            otlp_endpoint=f'http://{sink.address}',
            otlp_protocol='grpc',
            otlp_headers={'X-Token': 'abc'},
        )

        ((metadata, request),) = sink.requests
        self.assertEqual(['one', 'two'], sinks.names(request))
        self.assertEqual('abc', metadata['x-token'])

    def test_without_a_scheme_an_option_decides_on_tls(self):
        sink = self.useFixture(sinks.GrpcSink())

        self._never_sent(sink, otlp_endpoint=sink.address)
        self._arrived(
            otlp_endpoint=sink.address,
            otlp_protocol='grpc',
            otlp_insecure=True,
            otlp_compression='none',
        )

    def test_the_environment_does_not_override_what_is_set(self):
        sink = self.useFixture(sinks.GrpcSink())
        self._set_environment()
        settings = support.settings(
            exporters=['otlp'],
            otlp_endpoint=f'http://{sink.address}',
            otlp_protocol='grpc',
            otlp_headers={},
            otlp_compression='none',
            otlp_timeout=5.0,
            otlp_ca_file=None,
        )
        pipeline = exporters.build(settings, support.resource)
        tracing = self.useFixture(support.Tracer(pipeline))
        tracing.end()

        self.assertIs(True, pipeline.force_flush(8000))

        ((metadata, _request),) = sink.requests
        self.assertNotIn('x-environment', metadata)

    def test_tls_and_mutual_tls(self):
        files = self.useFixture(support.Certificates())
        cert, key = files.client
        for mutual in (False, True):
            sink = self.useFixture(sinks.GrpcSink(files, mutual))
            for endpoint in (f'https://{sink.address}', sink.address):
                values = {
                    'otlp_endpoint': endpoint,
                    'otlp_protocol': 'grpc',
                    'otlp_ca_file': files.ca,
                }
                if mutual:
                    values.update(otlp_cert_file=cert, otlp_key_file=key)
                self._arrived(**values)
            self.assertEqual(2, len(sink.requests))

    def test_files_that_cannot_be_used_are_told_as_over_http(self):
        files = self.useFixture(support.Certificates())
        (cert, key), (other, _) = files.client, files.server
        empty = os.path.join(files.path, 'empty')
        with open(empty, 'w'):
            pass
        for values in (
            {'otlp_ca_file': empty},
            {'otlp_ca_file': key},
            {'otlp_ca_file': f'{cert}.gone'},
            {'otlp_cert_file': empty, 'otlp_key_file': key},
            {'otlp_cert_file': cert, 'otlp_key_file': cert},
            {'otlp_cert_file': other, 'otlp_key_file': key},
        ):
            said = []
            for protocol in ('http/protobuf', 'grpc'):
                error = self.assertRaises(
                    OSError,
                    otlp.build,
                    support.settings(
                        otlp_endpoint='https://127.0.0.1:9',
                        otlp_protocol=protocol,
                        **values,
                    ),
                    support.resource(),
                )
                # Without the line of C that noticed.
                said.append(str(error).partition(' (')[0])
            self.assertEqual(said[0], said[1], values)

    def test_nothing_is_sent_to_a_receiver_that_cannot_be_verified(self):
        files = self.useFixture(support.Certificates())
        sink = self.useFixture(sinks.GrpcSink(files))

        self._never_sent(
            sink,
            otlp_endpoint=f'https://{sink.address}',
            otlp_ca_file=files.other_ca,
        )


class InstalledTest(_Case):
    def test_an_exporter_of_an_entry_point_reads_its_own_environment(self):
        sink = self.useFixture(sinks.HttpSink())
        settings = support.settings(exporters=['otlp_proto_http'])
        exporters.validate(settings)
        pipeline = exporters.build(settings, support.resource)
        tracing = self.useFixture(support.Tracer(pipeline))
        self.useFixture(
            fixtures.EnvironmentVariable(
                'OTEL_EXPORTER_OTLP_ENDPOINT', sink.endpoint
            )
        )
        tracing.end()

        self.assertIs(True, pipeline.force_flush(8000))

        self.assertEqual(['a'], sinks.names(sink.requests[0][2]))
        self.assertEqual(
            {'exported': {'otlp_proto_http': 1}, 'dropped': {}},
            pipeline.stats.snapshot(),
        )

    def test_only_the_protocol_that_is_used_is_imported(self):
        for protocol, other in (
            ('http/protobuf', 'grpc'),
            ('grpc', 'requests'),
        ):
            program = (
                'import sys\n'
                'from oslo_tracing.exporters import otlp\n'
                'from oslo_tracing.tests.unit.exporters import support\n'
                f's = support.settings(otlp_protocol={protocol!r})\n'
                'exporter = otlp.build(s, support.resource())\n'
                f'assert {other!r} not in sys.modules\n'
            )
            done = subprocess.run(
                [sys.executable, '-c', program],
                capture_output=True,
                text=True,
            )
            self.assertEqual((0, ''), (done.returncode, done.stderr))

    def test_our_exporters_are_ones_of_the_sdk(self):
        for protocol in ('http/protobuf', 'grpc'):
            built = otlp.build(
                support.settings(
                    otlp_protocol=protocol, otlp_endpoint='http://127.0.0.1:9'
                ),
                support.resource(),
            )
            self.addCleanup(built.shutdown)
            self.assertIsInstance(built, export.SpanExporter)

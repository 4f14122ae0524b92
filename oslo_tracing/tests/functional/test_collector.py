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

"""The collector of the other tests does what it is told."""

from __future__ import annotations

import gzip
from http import client
import ssl
from urllib import parse

from google.rpc import error_details_pb2
from google.rpc import status_pb2
import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from oslo_tracing.tests import base
from oslo_tracing.tests.functional import collector

# No other channel's failures make this one wait.
_ALONE = [('grpc.use_local_subchannel_pool', 1)]


def _request(first, count=2):
    request = trace_service_pb2.ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    pid = of_resource.resource.attributes.add(key='process.pid')
    pid.value.int_value = 7
    spans = of_resource.scope_spans.add().spans
    for number in range(first, first + count):
        spans.add(
            name='a', trace_id=b't' * 16, span_id=number.to_bytes(8, 'big')
        )
    return request


class CollectorTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.collector = self.useFixture(collector.Collector(tls=True))
        self._first = 0

    def _post(self, timeout=5.0, body=None, url=None, context=None):
        """Return status, headers and body of the answer."""
        if body is None:
            self._first += 2
            body = gzip.compress(_request(self._first).SerializeToString())
        where = parse.urlsplit(url or self.collector.http_url)
        if where.scheme == 'https':
            connection = client.HTTPSConnection(
                where.netloc, timeout=timeout, context=context
            )
        else:
            connection = client.HTTPConnection(where.netloc, timeout=timeout)
        self.addCleanup(connection.close)
        connection.request(
            'POST', '/v1/traces', body, {'Content-Encoding': 'gzip'}
        )
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def _call(self, timeout=5.0, url=None, ca_file=None):
        """Return the answer, raise grpc.RpcError."""
        where = parse.urlsplit(url or self.collector.grpc_url)
        if where.scheme == 'https':
            with open(ca_file, 'rb') as file:
                credentials = grpc.ssl_channel_credentials(file.read())
            channel = grpc.secure_channel(where.netloc, credentials, _ALONE)
        else:
            channel = grpc.insecure_channel(where.netloc, _ALONE)
        self.addCleanup(channel.close)
        self._first += 2
        return trace_service_pb2_grpc.TraceServiceStub(channel).Export(
            _request(self._first), timeout=timeout
        )

    def _code(self, **kwargs):
        error = self.assertRaises(grpc.RpcError, self._call, **kwargs)
        self.error = error
        return error.code()

    def test_spans_are_counted_exactly(self):
        same = gzip.compress(_request(1000, 3).SerializeToString())
        self._post()
        self._call()
        for _ in range(3):
            self._post(body=same)
        self.assertEqual(400, self._post(body=b'none')[0])
        totals = self.collector.totals()
        self.assertEqual(
            (5, 1, 7, 6),
            tuple(
                totals[name]
                for name in ('requests', 'undecodable', 'spans', 'doubled')
            ),
        )
        self.assertEqual([[7, None, 7]], totals['processes'])
        self.assertEqual({'a': 7}, totals['names'])

    def test_http_faults(self):
        for behaviour, status, header in (
            ('unavailable', 503, 'Retry-After'),
            ('unavailable for long', 503, None),
            ('exhausted', 429, None),
            ('exhausted for now', 429, 'Retry-After'),
            ('redirect', 302, 'Location'),
            ('too large', 413, None),
            ('bad request', 400, None),
            ('healthy', 200, None),
        ):
            self.collector.behave(behaviour)
            told, headers, _body = self._post()
            self.assertEqual(status, told, behaviour)
            self.assertEqual(
                {header} - {None},
                {'Retry-After', 'Location'} & set(headers),
                behaviour,
            )
        self.assertEqual(2, self.collector.totals()['spans'])

    def test_grpc_faults(self):
        for behaviour, code, again in (
            ('unavailable', 'UNAVAILABLE', True),
            ('unavailable for long', 'UNAVAILABLE', False),
            ('exhausted', 'RESOURCE_EXHAUSTED', False),
            ('exhausted for now', 'RESOURCE_EXHAUSTED', True),
            ('bad request', 'INVALID_ARGUMENT', False),
        ):
            self.collector.behave(behaviour, 0.5)
            self.assertEqual(code, self._code().name, behaviour)
            details = dict(self.error.trailing_metadata()).get(
                'grpc-status-details-bin'
            )
            self.assertEqual(again, details is not None, behaviour)
            if details is not None:
                info = error_details_pb2.RetryInfo()
                told = status_pb2.Status.FromString(details).details[0]
                self.assertTrue(told.Unpack(info))
                self.assertEqual(500, info.retry_delay.ToMilliseconds())
        self.assertEqual(0, self.collector.totals()['spans'])

    def test_partial_success(self):
        self.collector.behave('partial')
        status, _headers, body = self._post()
        answer = trace_service_pb2.ExportTraceServiceResponse.FromString(body)
        self.assertEqual(
            (200, 1), (status, answer.partial_success.rejected_spans)
        )
        self.assertEqual(1, self._call().partial_success.rejected_spans)
        totals = self.collector.totals()
        self.assertEqual((2, 2), (totals['spans'], totals['rejected']))

    def test_connections_refused_swallowed_and_reset(self):
        self.collector.behave('closed')
        self.assertRaises(ConnectionRefusedError, self._post)
        self.assertEqual('UNAVAILABLE', self._code().name)
        self.collector.behave('black hole')
        self.assertRaises(TimeoutError, self._post, timeout=0.2)
        self.assertEqual('DEADLINE_EXCEEDED', self._code(timeout=0.2).name)
        self.collector.behave('reset')
        self.assertRaises(ConnectionResetError, self._post)
        self.assertEqual('UNAVAILABLE', self._code().name)
        self.assertEqual(0, self.collector.totals()['requests'])
        self.collector.behave('healthy')
        self.assertEqual(200, self._post()[0])
        self._call()

    def test_answers_lost_and_late(self):
        self.collector.behave('lost answer')
        self.assertRaises(ConnectionError, self._post)
        self.assertEqual('UNAVAILABLE', self._code().name)
        self.assertEqual(4, self.collector.totals()['spans'])
        self.collector.behave('slow', 0.3)
        self.assertRaises(TimeoutError, self._post, timeout=0.2)
        self.assertEqual('DEADLINE_EXCEEDED', self._code(timeout=0.2).name)
        self.assertEqual(200, self._post()[0])

    def test_certificates(self):
        ca_file = self.collector.ca_file
        context = ssl.create_default_context(cafile=ca_file)
        https = {'url': self.collector.https_url, 'context': context}
        grpcs = {'url': self.collector.grpcs_url, 'ca_file': ca_file}
        self.assertEqual(200, self._post(**https)[0])
        self._call(**grpcs)
        self.collector.behave('untrusted')
        self.assertRaises(ssl.SSLCertVerificationError, self._post, **https)
        self.assertEqual('UNAVAILABLE', self._code(**grpcs).name)
        self.collector.behave('healthy')
        self.assertEqual(200, self._post(**https)[0])

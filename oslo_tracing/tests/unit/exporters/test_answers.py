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

"""What becomes of spans, by what the receiver answers."""

from __future__ import annotations

import email.utils
import socket

from google.protobuf import any_pb2
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from google.rpc import status_pb2
import grpc

from oslo_tracing import counters
from oslo_tracing.exporters import _answer
from oslo_tracing.exporters import _owed
from oslo_tracing.exporters import otlp
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import sinks
from oslo_tracing.tests.unit.exporters import support

_ONE = {counters.REFUSED: 1}
_REFUSED = {counters.REFUSED: 2}


class _Case(base.TestCase):
    def setUp(self):
        super().setUp()
        self.tracing = self.useFixture(support.Tracer())
        self.tracing.end(name='one')
        self.tracing.end(name='two')
        self.spans = self.tracing.spans

    def _exporter(self, **values):
        values.setdefault('otlp_timeout', 20.0)
        exporter = otlp.build(support.settings(**values), support.resource())
        self.addCleanup(exporter.shutdown)
        return exporter

    def _deliver(self, exporter, spans=None):
        """Return how many are delivered, lost and left."""
        outcome = exporter.deliver(spans or self.spans, 60.0)
        return outcome, (outcome.delivered, outcome.lost, len(outcome.left))


class HttpTest(_Case):
    def _answered(self, *answers):
        sink = self.useFixture(sinks.ScriptedSink(*answers))
        exporter = self._exporter(otlp_endpoint=sink.endpoint)
        return self._deliver(exporter)

    def test_only_2xx_is_a_success(self):
        kind = 'content-type: application/x-protobuf'
        for answer, expected in (
            (sinks.http(200), (2, {}, 0)),
            (sinks.http(202), (2, {}, 0)),
            (sinks.http(299), (2, {}, 0)),
            (sinks.http(200, b'<html>no protobuf'), (2, {}, 0)),
            (b'HTTP/1.0 200 OK\r\nconnection: close\r\n\r\n', (2, {}, 0)),
            (b'HTTP/1.1 100 Go on\r\n\r\n' + sinks.http(200), (2, {}, 0)),
            (sinks.http(200, sinks.partial(1, 'x'), kind), (1, _ONE, 0)),
            (sinks.http(200, sinks.partial(999, 'x'), kind), (0, _REFUSED, 0)),
            (sinks.http(200, sinks.partial(-5, ''), kind), (2, {}, 0)),
            *((sinks.http(code), (0, _REFUSED, 0)) for code in (
                300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 408,
                413, 415, 422, 431, 500, 501, 505, 599,
            )),
            *((sinks.http(code), (0, {}, 2)) for code in (429, 502, 503, 504)),
        ):  # fmt: skip
            outcome, found = self._answered(answer)
            self.assertEqual(expected, found, answer)
            if outcome.lost or outcome.left:
                self.assertNotEqual('', outcome.why, answer)

    def test_a_page_is_no_success(self):
        # As Jaeger's user interface gives to every path.
        for kind in ('text/html', 'Text/HTML; charset=utf-8'):
            outcome, found = self._answered(
                sinks.http(200, b'<!doctype html>', f'content-type: {kind}')
            )
            self.assertEqual((0, _REFUSED, 0), found)
            self.assertIn('a page', outcome.why)

    def test_a_warning_without_a_rejection_loses_nothing(self):
        outcome, found = self._answered(
            sinks.http(200, sinks.partial(0, 'deprecated'))
        )
        self.assertEqual((2, {}, 0), found)
        self.assertEqual('deprecated', outcome.said)

    def test_a_redirect_is_never_followed(self):
        other = self.useFixture(sinks.HttpSink())
        for code in (301, 302, 303, 307, 308):
            outcome, found = self._answered(
                sinks.http(code, b'', f'location: {other.endpoint}/v1/traces')
            )
            self.assertEqual((0, _REFUSED, 0), found)
            self.assertNotIn(other.endpoint, outcome.why)
        self.assertEqual([], other.requests)

    def test_what_is_no_answer_is_tried_again(self):
        for said in (
            None,
            b'SSH-2.0-OpenSSH_9.2\r\n',
            b'HTTP/1.1 2000000 OK\r\n\r\n',
            b'HTTP/1.1 200 OK\r\nx: ' + b'y' * 2**20,
            b'HTTP/1.1 200 OK\r\n' + b'x: y\r\n' * 100000,
            b'HTTP/1.1 100 Go on\r\n\r\n' * 100000,
        ):
            _outcome, found = self._answered(said)
            self.assertEqual((0, {}, 2), found, (said or b'')[:40])

    def test_an_answer_of_a_megabyte_is_a_success_and_not_read(self):
        sink = self.useFixture(
            sinks.ScriptedSink(sinks.http(200, b'x' * 2**20))
        )
        exporter = self._exporter(otlp_endpoint=sink.endpoint)
        for _ in range(2):
            _outcome, found = self._deliver(exporter)
            self.assertEqual((2, {}, 0), found)
        # What is left of it is not taken for the next answer.
        self.assertEqual(2, sink.connections)

    def test_a_connection_is_used_again(self):
        sink = self.useFixture(sinks.ScriptedSink(sinks.http(200)))
        exporter = self._exporter(otlp_endpoint=sink.endpoint)
        for _ in range(3):
            self._deliver(exporter)
        self.assertEqual(1, sink.connections)
        self.assertEqual(3, len(sink.requests))

    def test_a_connection_that_was_closed_meanwhile_costs_nothing(self):
        sink = self.useFixture(
            sinks.ScriptedSink(
                sinks.http(200), None, sinks.http(200), sinks.http(200)
            )
        )
        exporter = self._exporter(otlp_endpoint=sink.endpoint)
        for _ in range(2):
            _outcome, found = self._deliver(exporter)
            self.assertEqual((2, {}, 0), found)
        self.assertEqual(2, sink.connections)

    def test_nobody_there_and_no_such_name(self):
        with socket.create_server(('127.0.0.1', 0)) as closed:
            port = closed.getsockname()[1]
        for endpoint, why in (
            (f'http://127.0.0.1:{port}', 'refused'),
            ('http://no-such-host.invalid:4318', 'gaierror'),
        ):
            exporter = self._exporter(otlp_endpoint=endpoint)
            outcome, found = self._deliver(exporter)
            self.assertEqual((0, {}, 2), found)
            self.assertIn(why, outcome.why)

    def test_one_who_never_answers_is_left_in_time(self):
        hole = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(hole.close)
        exporter = self._exporter(
            otlp_endpoint=f'http://127.0.0.1:{hole.getsockname()[1]}',
            otlp_timeout=0.2,
        )
        outcome, found = self._deliver(exporter)
        self.assertEqual((0, {}, 2), found)
        self.assertIn('timed out', outcome.why)

    def test_one_that_was_silent_is_asked_first_whether_it_is_back(self):
        sink = self.useFixture(
            sinks.ScriptedSink(None, None, sinks.http(200), sinks.http(200))
        )
        exporter = self._exporter(otlp_endpoint=sink.endpoint)
        self._deliver(exporter)
        _outcome, found = self._deliver(exporter)
        self.assertEqual((0, {}, 2), found)
        self.assertEqual((1, 1), (len(sink.requests), sink.asked))

        _outcome, found = self._deliver(exporter)

        self.assertEqual((2, {}, 0), found)
        self.assertEqual((2, 2), (len(sink.requests), sink.asked))

    def test_a_batch_that_is_never_answered_blocks_nobody_for_ever(self):
        # Empty requests are answered, this batch is not.
        sink = self.useFixture(
            sinks.ScriptedSink(
                None, sinks.http(200), None, None, sinks.http(200), None,
                None, sinks.http(200), None, None, sinks.http(200),
            )
        )  # fmt: skip
        exporter = self._exporter(otlp_endpoint=sink.endpoint)
        for _ in range(3):
            _outcome, found = self._deliver(exporter)
            self.assertEqual((0, {}, 2), found)
        _outcome, found = self._deliver(exporter)
        self.assertEqual((0, {counters.EXPORT_FAILED: 2}, 0), found)
        sink.answers = [sinks.http(200)]
        _outcome, found = self._deliver(exporter)
        self.assertEqual((2, {}, 0), found)


class SplitTest(_Case):
    def _large(self, count, size):
        for number in range(count):
            self.tracing.end(name=f's{number}', attributes={'a': 'x' * size})
        return self.spans[2:]

    def test_requests_are_no_larger_than_four_mebibytes(self):
        sink = self.useFixture(sinks.HttpSink())
        exporter = self._exporter(otlp_endpoint=sink.endpoint)

        _outcome, found = self._deliver(exporter, self._large(10, 2**20))

        self.assertEqual((10, {}, 0), found)
        arrived = [request for _path, _headers, request in sink.requests]
        self.assertGreater(len(arrived), 2)
        for request in arrived:
            self.assertLessEqual(request.ByteSize(), 4 * 2**20)
        self.assertEqual(
            [f's{number}' for number in range(10)],
            [name for request in arrived for name in sinks.names(request)],
        )

    def test_a_span_that_is_too_large_alone_is_lost_alone(self):
        sink = self.useFixture(sinks.HttpSink())
        exporter = self._exporter(otlp_endpoint=sink.endpoint)
        (large,) = self._large(1, 5 * 2**20)

        _outcome, found = self._deliver(
            exporter, [self.spans[0], large, self.spans[1]]
        )

        self.assertEqual((2, {counters.TOO_LARGE: 1}, 0), found)

    def test_only_what_had_no_answer_is_sent_again(self):
        sink = self.useFixture(
            sinks.ScriptedSink(
                sinks.http(200), sinks.http(400), sinks.http(503)
            )
        )
        exporter = self._exporter(otlp_endpoint=sink.endpoint)

        outcome, found = self._deliver(exporter, self._large(8, 2**20))

        self.assertEqual((2, _REFUSED, 4), found)
        self.assertEqual(
            ['s4', 's5', 's6', 's7'], [span.name for span in outcome.left]
        )


class GrpcTest(_Case):
    def setUp(self):
        super().setUp()
        self.sink = self.useFixture(sinks.GrpcSink())
        self.exporter = self._exporter(
            otlp_protocol='grpc', otlp_endpoint=f'http://{self.sink.address}'
        )

    def _answered(self, code, after=None):
        def behave(context):
            if after is not None:
                info = error_details_pb2.RetryInfo(
                    retry_delay=duration_pb2.Duration(
                        seconds=int(after), nanos=int(after % 1 * 1e9)
                    )
                )
                detail = any_pb2.Any()
                detail.Pack(info)
                status = status_pb2.Status(
                    code=code.value[0], message='x', details=[detail]
                )
                context.set_trailing_metadata(
                    (
                        (
                            'grpc-status-details-bin',
                            status.SerializeToString(),
                        ),
                    )
                )
            context.abort(code, 'the words')

        self.sink.behave = behave
        return self._deliver(self.exporter)

    def test_codes(self):
        again = {
            'CANCELLED', 'DEADLINE_EXCEEDED', 'ABORTED', 'OUT_OF_RANGE',
            'UNAVAILABLE', 'DATA_LOSS',
        }  # fmt: skip
        for code in grpc.StatusCode:
            if code is grpc.StatusCode.OK:
                continue
            self.exporter._in_doubt = False
            outcome, found = self._answered(code)
            expected = (0, {}, 2) if code.name in again else (0, _REFUSED, 0)
            self.assertEqual(expected, found, code)
            self.assertIn(code.name, outcome.why)

    def test_exhausted_resources_come_back_if_it_says_when(self):
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        outcome, found = self._answered(code, 2.5)
        self.assertEqual((0, {}, 2), found)
        self.assertEqual(2.5, outcome.after)
        outcome, found = self._answered(grpc.StatusCode.UNAVAILABLE, 7)
        self.assertEqual(7.0, outcome.after)

    def test_partial_success(self):
        partial = self.sink.response.partial_success
        partial.error_message = 'too old'
        outcome, found = self._deliver(self.exporter)
        self.assertEqual(((2, {}, 0), 'too old'), (found, outcome.said))
        partial.rejected_spans = 1
        outcome, found = self._deliver(self.exporter)
        self.assertEqual((1, {counters.REFUSED: 1}, 0), found)

    def test_an_answer_of_a_megabyte_is_not_read(self):
        self.sink.response.partial_success.error_message = 'x' * 2**20
        _outcome, found = self._deliver(self.exporter)
        self.assertEqual((0, _REFUSED, 0), found)

    def test_nobody_there_and_no_such_name(self):
        for address in ('127.0.0.1:9', 'no-such-host.invalid:4317'):
            exporter = self._exporter(
                otlp_protocol='grpc',
                otlp_endpoint=f'http://{address}',
                otlp_timeout=2.0,
            )
            _outcome, found = self._deliver(exporter)
            self.assertEqual((0, {}, 2), found)

    def test_one_who_never_answers_is_left_in_time(self):
        hole = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(hole.close)
        exporter = self._exporter(
            otlp_protocol='grpc',
            otlp_endpoint=f'http://127.0.0.1:{hole.getsockname()[1]}',
            otlp_timeout=0.2,
        )
        _outcome, found = self._deliver(exporter)
        self.assertEqual((0, {}, 2), found)


class PauseTest(base.TestCase):
    def test_retry_after(self):
        now = 1700000000.0
        for text, seconds in (
            ('7', 7.0),
            (' 0 ', 0.0),
            ('9' * 400, 1e9),
            (email.utils.formatdate(now + 30, usegmt=True), 30.0),
            (email.utils.formatdate(now - 30, usegmt=True), 0.0),
            ('Fri, 31 Dec 9999 23:59:59 GMT', 253402300799 - now),
            ('', None),
            (None, None),
            ('-1', None),
            ('1.5', None),
            ('soon', None),
            ('\u0663', None),
            ('x' * 100000, None),
        ):
            self.assertEqual(seconds, _answer.retry_after(text, now), text)

    def test_the_receiver_is_left_alone_as_long_as_it_wants(self):
        for after, low, high in (
            (0.0, 0.4, 0.5),
            (5.0, 5.0, 6.0),
            (59.0, 59.0, 60.0),
            (60.0, 48.0, 60.0),
            (1e9, 48.0, 60.0),
        ):
            found = {_owed.pause(0, after) for _ in range(100)}
            self.assertGreaterEqual(min(found), low)
            self.assertLessEqual(max(found), high)
            self.assertGreater(len(found), 1)

    def test_who_does_not_say_is_asked_less_often_up_to_a_bound(self):
        for tries, low, high in (
            (0, 0.4, 0.5),
            (1, 0.8, 1.0),
            (2, 1.6, 2.0),
            (3, 2.4, 3.0),
            (10**6, 2.4, 3.0),
        ):
            found = {_owed.pause(tries, None) for _ in range(100)}
            self.assertGreaterEqual(min(found), low)
            self.assertLessEqual(max(found), high)
            self.assertGreater(len(found), 1)

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

import errno
import os
import re
import socket

import fixtures
from opentelemetry.sdk.trace import export
from opentelemetry import trace

from oslo_tracing import counters
from oslo_tracing.exporters import statsd
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support

# What statsd, Graphite's and Prometheus' servers read without a guess.
_LINE = re.compile(r'[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*:[0-9.]+\|(ms|c)')


class StatsdTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.tracing = self.useFixture(support.Tracer())
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        self.socket.bind(('127.0.0.1', 0))
        self.socket.settimeout(20)

    def _lines(self, service='nova-api'):
        port = self.socket.getsockname()[1]
        exporter = statsd.build(
            support.settings(statsd_address=f'127.0.0.1:{port}'),
            support.resource(**{'service.name': service}),
        )
        exporter.export(self.tracing.spans)
        exporter.shutdown()
        wanted = sum(
            2 if span.status.status_code is trace.StatusCode.ERROR else 1
            for span in self.tracing.spans
        )
        lines = []
        while len(lines) < wanted:
            lines += self.socket.recv(65536).decode('ascii').splitlines()
        for line in lines:
            self.assertRegex(line, _LINE)
        self.assertEqual(wanted, len(lines))
        return lines

    def test_a_span_is_a_timer(self):
        span = self.tracing.tracer.start_span(
            'GET /v2.1/servers/{id}',
            kind=trace.SpanKind.SERVER,
            start_time=1_000_000,
        )
        span.end(3_500_000)

        self.assertEqual(
            ['oslo_tracing.nova-api.server.GET_v2_1_servers_id:2.500000|ms'],
            self._lines(),
        )

    def test_one_that_failed_is_counted_too(self):
        span = self.tracing.tracer.start_span('COMMIT')
        span.set_status(trace.StatusCode.ERROR)
        span.end()

        timer, counter = self._lines()

        self.assertTrue(
            timer.startswith('oslo_tracing.nova-api.internal.COMMIT:')
        )
        self.assertEqual(
            'oslo_tracing.nova-api.internal.COMMIT.error:1|c', counter
        )

    def test_no_name_can_say_more_than_a_name(self):
        for name in (
            'a:1|c\nforged:9|g',
            'x|@0.1',
            '../../etc',
            '\u202e\ud800\0',
            '',
            'n' * 5000,
        ):
            self.tracing.end(name=name)

        lines = self._lines(service='..:evil\n|c')

        for line in lines:
            self.assertTrue(
                line.startswith('oslo_tracing.evil_c.internal.'), line
            )
            self.assertLess(len(line), 256)

    def test_there_is_a_bound_on_names(self):
        for number in range(statsd.NAMES + 100):
            self.tracing.end(name=f'name-{number}')

        seen = {line.partition(':')[0] for line in self._lines()}

        self.assertEqual(statsd.NAMES + 1, len(seen))
        self.assertIn('oslo_tracing.nova-api.internal._other', seen)

    def test_an_address_may_be_of_ipv6(self):
        self.assertEqual(('::1', 8125), statsd.address('[::1]'))
        self.assertEqual(('stats', 9125), statsd.address('stats:9125'))

    def _exporter(self, host='127.0.0.1'):
        port = self.socket.getsockname()[1]
        exporter = statsd.build(
            support.settings(statsd_address=f'{host}:{port}'),
            support.resource(),
        )
        self.addCleanup(exporter.shutdown)
        return exporter

    def test_what_the_system_refuses_to_send_is_lost(self):
        # Nobody may send to all without having asked for that.
        exporter = self._exporter(host='255.255.255.255')
        self.tracing.end(30)
        span = self.tracing.tracer.start_span('COMMIT')
        span.set_status(trace.StatusCode.ERROR)
        span.end()

        for _ in range(2):
            lost = self.assertRaises(
                counters.SpansLost, exporter.export, self.tracing.spans
            )

            self.assertEqual(
                (counters.EXPORT_FAILED, 31), (lost.cause, lost.count)
            )
            self.assertRegex(lost.why, r'^\w+Error: ')

    def test_one_datagram_that_is_refused_costs_no_other(self):
        exporter = self._exporter()
        self.tracing.end(30)
        sent = []

        def sendto(_socket, data, _address):
            sent.append(data)
            if len(sent) == 2:
                raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

        with fixtures.MonkeyPatch('socket.socket.sendto', sendto):
            lost = self.assertRaises(
                counters.SpansLost, exporter.export, self.tracing.spans
            )

        self.assertLess(2, len(sent))
        self.assertEqual(sent[1].count(b'\n') + 1, lost.count)
        self.assertIn(os.strerror(errno.ENOBUFS), lost.why)
        self.assertIs(
            export.SpanExportResult.SUCCESS,
            exporter.export(self.tracing.spans),
        )

    def test_a_server_that_is_not_there_is_not_heard_of(self):
        exporter = self._exporter()
        self.socket.close()
        self.tracing.end(30)

        for _ in range(3):
            self.assertIs(
                export.SpanExportResult.SUCCESS,
                exporter.export(self.tracing.spans),
            )

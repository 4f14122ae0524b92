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

from opentelemetry.sdk.trace import export
from opentelemetry import trace

from oslo_tracing import counters
from oslo_tracing.exporters import log
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support


class LogTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.tracing = self.useFixture(support.Tracer())

    def _lines(self):
        lines = []
        exporter = log.build(lambda more: lines.extend(more) or len(more))
        self.assertIs(
            export.SpanExportResult.SUCCESS,
            exporter.export(self.tracing.spans),
        )
        return lines

    def test_a_span_is_one_line_with_what_one_wants_to_know(self):
        root = self.tracing.tracer.start_span(
            'GET /v2.1', kind=trace.SpanKind.SERVER, start_time=1_000_000
        )
        child = self.tracing.tracer.start_span(
            'SELECT',
            trace.set_span_in_context(root),
            attributes={'db.system.name': 'mysql', 'server.port': 3306},
            start_time=1_000_000,
        )
        child.set_status(trace.StatusCode.ERROR, 'DBError')
        child.end(3_500_000)
        root.end(5_000_000)

        child_line, root_line = self._lines()

        ids = root.get_span_context()
        self.assertEqual(
            f'GET /v2.1 (server) trace={ids.trace_id:032x} '
            f'span={ids.span_id:016x} parent=- 4.000ms status=UNSET',
            root_line,
        )
        self.assertIn(f' parent={ids.span_id:016x} 2.500ms ', child_line)
        self.assertTrue(
            child_line.endswith(
                ' status=ERROR(DBError) db.system.name=mysql server.port=3306'
            )
        )

    def test_what_there_is_no_room_for_is_lost(self):
        self.tracing.end(5)
        exporter = log.build(lambda more: 2)

        lost = self.assertRaises(
            counters.SpansLost, exporter.export, self.tracing.spans
        )

        self.assertEqual((counters.QUEUE_FULL, 3), (lost.cause, lost.count))

    def test_a_hostile_span_cannot_forge_a_line(self):
        self.tracing.end(
            name='a\nERROR root forged', attributes={'k\x1b[2J': 'v\r\n\u202e'}
        )

        (line,) = self._lines()

        self.assertTrue(line.startswith('a\\nERROR root forged (internal)'))
        self.assertTrue(line.endswith('k\\x1b[2J=v\\r\\n\\u202e'))

    def test_a_line_is_bounded(self):
        self.tracing.end(
            attributes={f'{n}' * 9: 'x' * 4096 for n in range(128)}
        )

        (line,) = self._lines()

        self.assertLess(len(line), 5000)
        self.assertTrue(line.endswith('…'))

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

import subprocess
import sys
import threading
import time
import types

from opentelemetry.sdk.trace import export
from oslo_config import cfg

import oslo_tracing
from oslo_tracing import _runtime
from oslo_tracing import fixture
from oslo_tracing import health
from oslo_tracing import opts
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support


class Exporter(export.SpanExporter):
    """Does what it is told."""

    def __init__(self, behave):
        self.behave = behave

    def export(self, spans):
        return self.behave(spans)


class Case(base.TestCase):
    def set_up(self, behave=None, **values):
        """Set tracing up, with an exporter that does as it is told."""
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], project='x', default_config_files=[])
        for name, value in {
            'enabled': True,
            'exporters': ['otlp'],
            'schedule_delay': 3600.0,
            **values,
        }.items():
            conf.set_override(name, value, group='tracing')
        tracing = oslo_tracing.setup(conf, 'nova-api')
        behave = behave or (lambda spans: export.SpanExportResult.SUCCESS)
        for name in tracing.processor._builders:
            tracing.processor._builders[name] = lambda _r: Exporter(behave)
        return tracing

    def end(self, count=1):
        for _ in range(count):
            with oslo_tracing.span('a', root=True):
                pass

    def break_it(self, tracing):
        """Make asking for its state fail."""
        tracing.processor = types.SimpleNamespace(state=lambda: 1 // 0)

    def fail(self, spans):
        raise ConnectionError('Bearer S3CRET of http://u:S3CRET@collector/')


class StatsTest(Case):
    def setUp(self):
        super().setUp()
        # What an earlier test of this process has left.
        self.addCleanup(
            setattr, _runtime.RUNTIME, 'counters', _runtime.RUNTIME.counters
        )
        _runtime.RUNTIME.counters = None

    def test_before_it_is_set_up(self):
        found = oslo_tracing.stats()

        self.assertIs(False, found['enabled'])
        self.assertIsNone(found['service_name'])
        self.assertEqual(({}, {}), (found['exported'], found['dropped']))
        self.assertEqual(0, found['max_queue_size'])
        self.assertIs(False, found['exporter_alive'])
        self.assertEqual(set(health.Stats.__annotations__), set(found))
        self.assertIn('Tracing is off in process', health.text())
        self.assertEqual('OK (tracing is off)', health.summary())

    def test_what_was_exported_and_what_waits(self):
        tracing = self.set_up(max_queue_size=100)
        self.assertIs(False, oslo_tracing.stats()['exporter_alive'])
        self.end(3)
        self.assertTrue(tracing.processor.force_flush(20000))
        self.end(4)

        found = oslo_tracing.stats()

        self.assertIs(True, found['enabled'])
        self.assertEqual('nova-api', found['service_name'])
        self.assertEqual(['otlp'], found['exporters'])
        self.assertEqual({'otlp': 3}, found['exported'])
        self.assertEqual(
            (4, 100), (found['queue_length'], found['max_queue_size'])
        )
        self.assertIs(True, found['exporter_alive'])
        text = health.text()
        self.assertIn(', as nova-api.', text)
        self.assertIn('Exporters: otlp; the thread runs.', text)
        self.assertIn('Queue: 4 of 100.', text)
        self.assertIn('Exported: 3 (otlp).\nDropped: 0.', text)
        self.assertEqual(
            'OK (tracing is on, exported: 3 (otlp); dropped: 0)',
            health.summary(),
        )

    def test_why_spans_were_lost(self):
        tracing = self.set_up(
            self.fail, otlp_headers={'authorization': 'Bearer S3CRET'}
        )
        began = time.time()
        self.end(5)
        self.assertFalse(tracing.processor.force_flush(20000))

        found = oslo_tracing.stats()

        self.assertEqual({'export failed': 5}, found['dropped'])
        trouble = found['troubles']['export failed']
        self.assertTrue(began <= trouble['at'] <= time.time())
        self.assertIn('otlp: ConnectionError: ', trouble['why'])
        self.assertRegex(
            health.text(),
            r'\nLast export failed: \d{4}-\d\d-\d\dT[\d:]{8}Z, otlp: Conn',
        )
        self.assertIn('dropped: 5 (export failed)', health.summary())
        for shown in (str(found), health.text(), health.summary()):
            self.assertNotIn('S3CRET', shown)

    def test_the_last_numbers_stay_after_shutdown(self):
        self.set_up()
        self.end(3)
        oslo_tracing.shutdown()

        found = oslo_tracing.stats()

        self.assertIs(False, found['enabled'])
        self.assertIs(False, found['exporter_alive'])
        self.assertEqual({'otlp': 3}, found['exported'])
        self.assertIn('Exported: 3 (otlp).', health.text())
        # And begin anew with the next set-up.
        self.set_up()
        self.assertEqual({}, oslo_tracing.stats()['exported'])

    def test_a_child_counts_for_itself(self):
        tracing = self.set_up()
        self.end(3)
        self.assertTrue(tracing.processor.force_flush(20000))

        def work():
            found = oslo_tracing.stats()
            return (
                found['enabled']
                and found['exported'] == {}
                and found['queue_length'] == 0
                and not found['exporter_alive']
                and found['pid'] != pid
            )

        pid = oslo_tracing.stats()['pid']
        self.assertEqual(0, support.status_of_child(work))

    def test_it_is_a_copy(self):
        self.set_up()
        oslo_tracing.stats()['exporters'].append('x')
        oslo_tracing.stats()['exported']['x'] = 1
        self.assertEqual(['otlp'], oslo_tracing.stats()['exporters'])
        self.assertEqual({}, oslo_tracing.stats()['exported'])

    def test_it_never_raises(self):
        tracing = self.set_up()
        self.break_it(tracing)

        self.assertIs(True, oslo_tracing.stats()['enabled'])
        self.assertIn('Tracing is on', health.text())
        self.assertIn('OK', health.summary())

    def test_in_the_test_of_a_service(self):
        self.useFixture(fixture.SpanRecorder('none'))
        self.assertEqual('test', oslo_tracing.stats()['service_name'])
        self.assertEqual([], oslo_tracing.stats()['exporters'])

    def test_names_cannot_forge_lines(self):
        tracing = self.set_up()
        tracing.settings.service_name = 'a\nTracing is off\x1b[2J'
        self.assertIn('as a\\nTracing is off\\x1b[2J.', health.text())

    def test_while_spans_end_in_other_threads(self):
        self.set_up(self.fail, max_queue_size=10, max_export_batch_size=5)
        stop = threading.Event()

        def work():
            while not stop.is_set():
                self.end()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(300):
                found = oslo_tracing.stats()
                self.assertLess(found['queue_length'], 20)
                self.assertLessEqual(
                    set(found['dropped']), set(found['troubles'])
                )
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def test_it_loads_nothing_while_tracing_is_off(self):
        program = (
            'import sys\n'
            'import oslo_tracing\n'
            'assert oslo_tracing.stats()["enabled"] is False\n'
            'wrong = [n for n in sys.modules if n.partition(".")[0] in '
            '("opentelemetry", "oslo_config", "oslo_middleware", "wrapt")]\n'
            'assert not wrong, wrong\n'
        )
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', program],
            capture_output=True,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stderr)

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
import textwrap

import fixtures
from oslo_reports import guru_meditation_report

import oslo_tracing
from oslo_tracing.tests.unit import test_health

_TITLE = '====                            Tracing'


class _Version:
    """What a service tells of itself."""

    def vendor_string(self):
        return 'OpenStack Foundation'

    def product_string(self):
        return 'OpenStack Nova'

    def version_string_with_package(self):
        return '34.0.0'


def _report():
    return guru_meditation_report.TextGuruMeditation(_Version()).run()


class OsloReportsTest(test_health.Case):
    def setUp(self):
        super().setUp()
        # It looks for green threads by asking all objects what they are,
        # and those of other tests may be made to raise then.
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_reports.guru_meditation_report.greenlet', None
            )
        )

    def test_a_report_has_a_section(self):
        tracing = self.set_up()
        self.end(3)
        self.assertTrue(tracing.processor.force_flush(20000))

        said = _report()

        self.assertEqual(1, said.count(_TITLE))
        self.assertIn('Tracing is on in process', said)
        self.assertIn('Exported: 3 (otlp).', said)

    def test_it_is_current_each_time(self):
        tracing = self.set_up()
        one = guru_meditation_report.TextGuruMeditation(_Version())
        self.assertIn('Exported: 0.', one.run())
        self.end(3)
        self.assertTrue(tracing.processor.force_flush(20000))

        said = one.run()

        self.assertEqual(1, said.count(_TITLE))
        self.assertIn('Exported: 3 (otlp).', said)

    def test_it_comes_off(self):
        report = guru_meditation_report.TextGuruMeditation
        before = vars(report).get('persistent_sections')
        self.assertIsNone(before)
        kept = report(_Version())
        for _ in range(3):
            self.set_up()
            self.assertEqual(1, _report().count(_TITLE))
            self.assertEqual(1, kept.run().count(_TITLE))
            oslo_tracing.shutdown()
            self.assertEqual(0, _report().count(_TITLE))
            self.assertEqual(0, kept.run().count(_TITLE))
            self.assertNotIn('persistent_sections', vars(report))

    def test_sections_of_the_service_stay(self):
        report = guru_meditation_report.TextGuruMeditation
        self.addCleanup(delattr, report, 'persistent_sections')
        report.register_section('Of nova, before', lambda: 'one')
        self.set_up()
        report.register_section('Of nova, after', lambda: 'two')
        self.assertEqual(1, _report().count(_TITLE))

        oslo_tracing.shutdown()

        self.assertEqual(
            ['Of nova, before', 'Of nova, after'],
            [section[0] for section in report.persistent_sections],
        )

    def test_those_of_the_base_class_stay(self):
        base = guru_meditation_report.GuruMeditation
        report = guru_meditation_report.TextGuruMeditation
        self.addCleanup(delattr, base, 'persistent_sections')
        base.register_section('Of nova', lambda: 'one')
        self.set_up()
        self.assertEqual(1, _report().count(_TITLE))

        oslo_tracing.shutdown()

        self.assertEqual(
            ['Of nova'], [one[0] for one in base.persistent_sections]
        )
        self.assertNotIn('persistent_sections', vars(report))

    def test_while_spans_are_lost(self):
        tracing = self.set_up(
            self.fail, otlp_headers={'authorization': 'Bearer S3CRET'}
        )
        self.end(5)
        self.assertFalse(tracing.processor.force_flush(20000))

        said = _report()

        self.assertIn('Dropped: 5 (export failed).', said)
        section = said[said.index(_TITLE) :]
        self.assertIn('otlp: ConnectionError', section)
        self.assertNotIn('S3CRET', section)

    def test_an_error_of_ours_does_not_cost_the_report(self):
        tracing = self.set_up()
        self.break_it(tracing)
        self.assertIn('Tracing is on', _report())

    def test_it_waits_for_who_imports_it_and_comes_by_a_signal(self):
        program = """
            import os
            import signal
            import sys
            from oslo_config import cfg
            import oslo_tracing
            from oslo_tracing import opts
            conf = cfg.ConfigOpts()
            opts.set_defaults(conf, enabled=True, exporters=['none'])
            conf([], project='x', default_config_files=[])
            oslo_tracing.setup(conf, 'nova-compute')
            assert 'oslo_reports' not in sys.modules
            from oslo_reports import guru_meditation_report
            from oslo_tracing.tests.unit.integrations import (
                test_oslo_reports)
            guru_meditation_report.TextGuruMeditation.setup_autorun(
                test_oslo_reports._Version())
            os.kill(os.getpid(), signal.SIGUSR2)
            oslo_tracing.shutdown()
            print('off', file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGUSR2)
            """
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(program)],
            capture_output=True,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        first, second = done.stderr.split('off\n')
        self.assertEqual(1, first.count(_TITLE), first)
        self.assertIn(', as nova-compute.', first)
        self.assertEqual(0, second.count(_TITLE))
        self.assertIn('Guru Meditation', second)

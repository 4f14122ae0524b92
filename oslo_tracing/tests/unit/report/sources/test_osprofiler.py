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
import io
import json
import os
import uuid

import fixtures
from osprofiler.drivers import base as osprofiler_base
from osprofiler import notifier
from osprofiler import profiler

from oslo_tracing.cmd import main
from oslo_tracing.report import sources
from oslo_tracing.tests import base

_BASE = '6f6e7b1e-4d3e-4a5b-8c7d-9e0f1a2b3c4d'


class _Memory(osprofiler_base.Driver):
    """Keeps notifications as OSProfiler's drivers do, and reports them."""

    def notify(self, info, **kwargs):
        self._append_results(
            info['trace_id'],
            info['parent_id'],
            info['name'],
            'nova',
            'api',
            'host1',
            info['timestamp'],
            {**info, 'project': 'nova', 'service': 'api', 'host': 'host1'},
        )

    def get_report(self, base_id):
        return self._parse_results()


@profiler.trace('rpc')
def _work(secret):
    statement = {'statement': 'SELECT 1', 'params': {'p': secret}}
    with profiler.Trace('db', info={'db': statement}):
        pass


def _report():
    """Let OSProfiler record a request, and return what it reports."""
    driver = _Memory('memory://')
    before = notifier.get()
    notifier.set(driver.notify)
    profiler.init('key', base_id=_BASE, parent_id=_BASE)
    try:
        request = {'path': '/v2.1/servers', 'method': 'GET', 'query': 'S3CRET'}
        with profiler.Trace('wsgi', info={'request': request}):
            _work('S3CRET')
            with contextlib.suppress(ValueError):
                with profiler.Trace('bad'):
                    raise ValueError('S3CRET')
    finally:
        profiler.clean()
        notifier.set(before)
    return driver.get_report(_BASE)


class OSProfilerTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'trace.json'
        )

    def _write(self, report):
        with open(self.path, 'w') as stream:
            # As its command prints it.
            json.dump(report, stream, indent=2, separators=(',', ': '))
            stream.write('\n')

    def _read(self):
        with contextlib.closing(sources.open_source(self.path)) as source:
            traces = list(source.traces())
            return traces, [str(one) for one in source.problems]

    def test_a_report_is_a_trace(self):
        self._write(_report())

        (trace,), problems = self._read()

        self.assertEqual([], problems)
        self.assertEqual(uuid.UUID(_BASE).hex, trace.trace_id)
        self.assertEqual(
            [
                (0, 'wsgi GET', 'SERVER', False),
                (1, 'rpc test_osprofiler._work', 'INTERNAL', False),
                (2, 'db', 'CLIENT', False),
                (1, 'bad', 'INTERNAL', True),
            ],
            [
                (depth, span.name, span.kind, span.failed)
                for depth, span in trace.walk()
            ],
        )
        by_name = {span.name: span for span in trace.spans}
        self.assertEqual('nova-api', by_name['db'].service)
        self.assertEqual('SELECT 1', by_name['db'].attributes['db.query.text'])
        self.assertEqual('ValueError', by_name['bad'].error_type)
        self.assertLessEqual(by_name['wsgi GET'].start, by_name['bad'].start)

    def test_export_takes_it_along_without_arguments(self):
        self.useFixture(base.LogOfACommand())
        self._write(_report())
        out = io.StringIO()

        with contextlib.redirect_stdout(out):
            code = main.main(
                ['export', '--source', self.path, uuid.UUID(_BASE).hex]
            )

        self.assertEqual(0, code)
        self.assertIn('resourceSpans', out.getvalue())
        self.assertIn('SELECT 1', out.getvalue())
        self.assertNotIn('S3CRET', out.getvalue())

    def test_a_point_that_never_stopped_took_no_time(self):
        report = _report()
        info = report['children'][0]['info']
        del info['meta.raw_payload.wsgi-stop']
        self._write(report)

        (trace,), problems = self._read()

        self.assertEqual([], problems)
        self.assertEqual(0, trace.spans[0].duration)
        self.assertEqual(4, len(trace.spans))

    def test_what_is_broken_is_told_and_passed_over(self):
        report = _report()
        first = report['children'][0]
        first['children'][0]['trace_id'] = 'nonsense'
        first['children'][1]['info'] = 7
        first['children'].append('text')
        self._write(report)

        (trace,), problems = self._read()

        self.assertEqual(
            {'wsgi GET', 'db'}, {span.name for span in trace.spans}
        )
        self.assertEqual(2, len(problems), problems)

    def test_an_empty_report_is_no_trace(self):
        self._write({'info': {'name': 'total'}, 'children': [], 'stats': {}})

        self.assertEqual(([], []), self._read())

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

"""The index of a run of tests, in a browser."""

import os
import pathlib

from oslo_tracing.cmd import main
from oslo_tracing.tests import base
from oslo_tracing.tests.functional import test_report_page
from oslo_tracing.tests.unit.report import data
from oslo_tracing.tests.unit.report import test_results


class TestsPageTest(test_report_page.PageTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(base.LogOfACommand())
        self.run_ = self.useFixture(test_results.Run())
        source = os.path.join(self.directory, 'spans.jsonl')
        with open(source, 'w') as stream:
            stream.writelines(data.boot())
            stream.write(
                data.line('glance', data.span(1, trace_id='5' * 32, took=7))
            )
        self.run_.test('image.test_list', took=1, oslo_tracing='5' * 32)
        self.run_.test('compute.test_resize', took=9)
        self.run_.test(
            'compute.test_boot', 'fail', took=2, oslo_tracing=data.TRACE
        )
        for name in test_report_page.HOSTILE:
            # The stream itself refuses these.
            if not {'\ud800', '\x00'} & set(name):
                self.run_.test(name, 'skip', took=0)
        self.pages = os.path.join(self.directory, 'pages')
        self.assertEqual(
            0,
            main.main(
                [
                    'report',
                    '--source',
                    source,
                    '--tests',
                    self.run_.path,
                    '--output',
                    self.pages,
                    '--title',
                    'Tests and their traces',
                ]
            ),
        )
        self._get(pathlib.Path(self.pages, 'index.html'))

    def _tests(self):
        return [
            cell.text
            for cell in self.browser.driver.find_elements(
                'css selector', '#tests td.test'
            )
        ]

    def test_failures_are_on_top_and_lead_to_their_traces(self):
        self.assertEqual(
            ['compute.test_boot', 'compute.test_resize', 'image.test_list'],
            self._tests()[:3],
        )
        self._harmless()
        self._one('#tests tr.failed a').click()
        self._until(lambda: self._one('#trace-id').text)
        self.assertEqual(data.TRACE, self._one('#trace-id').text)
        # Following the link is what was asked for.
        self.browser.requests()
        self._harmless()

    def test_tests_are_found_and_sorted(self):
        self._one('#search').send_keys('compute')
        self.assertEqual('2 shown', self._one('#hits').text)
        self._one('#errors').click()
        self.assertEqual(['compute.test_boot'], self._tests())
        self._one('#errors').click()
        self._one('#search').clear()
        self._one('#search').send_keys('test_')
        for button in self.browser.driver.find_elements(
            'css selector', '#tests thead button'
        ):
            if button.text == 'Test':
                button.click()
        self.assertEqual(
            ['compute.test_boot', 'compute.test_resize', 'image.test_list'],
            self._tests(),
        )
        self._harmless()

    def test_raw_spans_lie_beside_each_page(self):
        raw = self._one('#tests tr.failed .raw a').get_attribute('href')
        name = raw.rpartition('/')[2]
        self.assertTrue(os.path.exists(os.path.join(self.pages, name)))


class ClassesPageTest(test_report_page.PageTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(base.LogOfACommand())
        run = self.useFixture(test_results.Run())
        source = os.path.join(self.directory, 'spans.jsonl')
        with open(source, 'w') as stream:
            for number in '56':
                stream.write(
                    data.line('nova', data.span(1, trace_id=number * 32))
                )
        details = {'oslo_tracing_class': '5' * 32}
        run.test('compute.Boot.test_a', oslo_tracing='6' * 32, **details)
        run.test('compute.Boot.test_b', 'fail', **details)
        run.test('setUpClass (compute.Resize)', 'fail')
        self.pages = os.path.join(self.directory, 'pages')
        main.main(
            [
                'report',
                '--source',
                source,
                '--tests',
                run.path,
                '--output',
                self.pages,
            ]
        )
        self._get(pathlib.Path(self.pages, 'index.html'))

    def test_a_row_that_no_runner_told_of_is_no_test(self):
        self.assertEqual(
            'Tests\n3\nFailed\n2\nWith a trace\n1', self._one('#facts').text
        )
        self.assertEqual('4 shown', self._one('#hits').text)
        self._harmless()

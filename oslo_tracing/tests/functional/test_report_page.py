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

"""The report page in a browser, as people use it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import time

import fixtures
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import select
from selenium.webdriver.support import wait
from testtools import content

from oslo_tracing.report import model
from oslo_tracing.report.render import html
from oslo_tracing.report import sources
from oslo_tracing.tests import base
from oslo_tracing.tests.functional import browser
from oslo_tracing.tests.unit.report import maker

#: Seconds; the aim is one. A busy machine must not fail the test.
_USABLE_WITHIN = 15
_READY = "return document.documentElement.dataset.ready === 'yes'"
#: Where one of these were run or loaded, somebody would be told.
HOSTILE = (
    '</script><script>window.hurt = 1</script>',
    '<img src=x onerror="window.hurt = 1">',
    '"><svg onload=window.hurt=1>',
    'javascript:window.hurt=1',
    'https://192.0.2.1/track.png',
    '<!--<script>',
    '\u2028window.hurt = 1//\u202e\x00\x1b[31m',
    '\ud800',
    "');window.hurt=1;('",
)


def _boot(count):
    """Return a trace of ``count`` spans, the last of which failed."""
    made = maker.Maker()
    root = made.span(
        'POST /servers', 0, count + 100, kind='SERVER', service='nova-api'
    )
    parent = root
    for number in range(1, count):
        if number % 20 == 1:
            parent = made.span(
                f'step {number}',
                number,
                number + 20,
                root,
                service=f'service-{number // 20 % 9}',
            )
            continue
        more = {'status': 'ERROR'} if number == count - 1 else {}
        made.span(
            'SELECT instances',
            number + 0.2,
            number + 0.9,
            parent,
            kind='CLIENT',
            service=parent.service,
            attributes={
                'db.system.name': 'mysql',
                'db.query.text': 'SELECT a FROM instances WHERE '
                f'instances.id = ? AND number = {number}',
            },
            **more,
        )
    return made.trace()


class PageTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.browser = self.useFixture(browser.Browser(self))
        self.driver = self.browser.driver
        self.directory = self.useFixture(fixtures.TempDir()).path

    def _open(self, text, fragment=''):
        path = pathlib.Path(self.directory, 'page.html')
        path.write_text(text, encoding='utf-8')
        return self._get(path, fragment)

    def _get(self, path, fragment=''):
        self.browser.requests()
        address = path.as_uri()
        begun = time.monotonic()
        self.driver.get(address + fragment)
        self._until(lambda: self.driver.execute_script(_READY))
        took = time.monotonic() - begun
        asked = {
            url.partition('#')[0]
            for url in self.browser.requests()
            # The page's empty icon is in the page.
            if not url.startswith('data:')
        }
        self.assertEqual({address}, asked)
        return took

    def _until(self, condition):
        wait.WebDriverWait(self.driver, 60, 0.02).until(lambda _: condition())

    def _harmless(self):
        self.assertEqual([], self.browser.complaints())
        loaded = self.driver.execute_script(
            "return performance.getEntriesByType('resource').map(e => e.name)"
            ".filter(name => !name.startsWith('data:'))"
        )
        self.assertEqual([], loaded)
        self.assertEqual([], self.browser.requests())
        self.assertIsNone(
            self.driver.execute_script('return window.hurt ?? null')
        )

    def _one(self, css):
        # Rows are drawn with the next frame.
        self._until(lambda: self._all(css))
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def _all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)


class ReportPageTest(PageTestCase):
    def _shows(self, rows):
        """Wait until there are so many rows: they are drawn by frames."""
        self._until(lambda: self._rows() == rows)

    def _rows(self):
        """Return how many rows the list has, drawn or scrolled away."""
        return self.driver.execute_script(
            "return Number(document.querySelector('.row')"
            "?.getAttribute('aria-setsize') ?? 0)"
        )

    def _chosen(self):
        """Return the chosen row's text, if it can be seen."""
        return self.driver.execute_script(
            "const row = document.querySelector('.row.chosen');"
            "const pane = document.getElementById('waterfall');"
            'if (!row) return null;'
            'const [a, b] = [row, pane].map(e => e.getBoundingClientRect());'
            'return a.top >= b.top - 1 && a.bottom <= b.bottom + 1'
            "  ? row.querySelector('.name').textContent : null"
        )

    def _press(self, *keys):
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def _axis(self):
        return self._one('#axis').text

    def test_clicks_searches_zooms_folds_and_filters(self):
        self._open(html.page(_boot(1000)))
        self._shows(1000)

        self._one('#search').send_keys('number = 777')
        self.assertEqual('1 hit', self._one('#hits').text)
        self._one('#next').click()
        self.assertEqual('SELECT instances', self._chosen())
        self._one('.row.chosen').click()
        statement = self._one('#details pre').text
        self.assertIn('\nWHERE instances.id = ?\n', statement)
        self.assertIn('number = 777', statement)

        whole = self._axis()
        self._one('#zoom-span').click()
        self.assertNotEqual(whole, self._axis())
        bar = self._one('.row.chosen .bar').rect['width']
        self.assertGreater(bar, 0.8 * self._one('#axis').rect['width'])
        self._one('#zoom-all').click()
        self.assertEqual(whole, self._axis())

        self._one('#collapse').click()
        self._shows(1)
        self._one('#next').click()
        self.assertEqual('SELECT instances', self._chosen())
        self._one('#collapse').click()
        self._one('.row .fold').click()
        self._shows(51)
        self._one('#expand').click()
        self._shows(1000)

        self._one('#errors').click()
        self._shows(1)
        self._one('#errors').click()
        select.Select(self._one('#kind')).select_by_value('client')
        self._shows(949)
        select.Select(self._one('#service')).select_by_visible_text(
            'service-3'
        )
        self.assertLess(0, self._rows())
        self.assertLess(self._rows(), 949)
        self._harmless()

    def test_a_service_is_seen_alone_by_its_own_time(self):
        self._open(html.page(_boot(200)))
        chip = self._one('#chips [data-service="3"]')
        self.assertIn('service-2', chip.text)
        self.assertNotEqual(
            '',
            self._one('#stack .c3').value_of_css_property('background-color'),
        )
        chip.click()
        self.assertEqual('true', chip.get_attribute('aria-pressed'))
        self._shows(20)
        self.assertFalse(self._one('#none').is_displayed())
        self._one('#errors').click()
        self._shows(0)
        self.assertTrue(self._one('#none').is_displayed())
        self._one('#errors').click()
        chip.click()
        self.assertEqual('false', chip.get_attribute('aria-pressed'))
        self._shows(200)
        self._harmless()

    def test_statements_without_spans_are_told(self):
        made = maker.Maker()
        root = made.span('GET /servers', 0, 100, kind='SERVER')
        for text in ('load', *HOSTILE):
            made.span(
                'load',
                1,
                50,
                root,
                attributes={
                    'openstack.db.count': 50,
                    'openstack.db.duration': 0.04,
                    'openstack.db.rows': 7,
                    'openstack.db.top.statements': [text, 'SELECT tags'],
                    'openstack.db.top.counts': [40, 4],
                    'openstack.db.top.durations': [0.03, 0.002],
                },
            )
        self._open(html.page(made.trace()))
        self.assertEqual('+50 SQL, 40.00 ms', self._one('.sums').text)
        finding = self._one('#answers [title="repeated statement"] button')
        finding.click()
        details = self._one('#details').text
        self.assertIn('50 statements without a span: 40.00 ms, 7', details)
        self.assertIn('SELECT tags 4 \u00d7, 2.00 ms', details)
        self.assertIn('(other statements) 6 \u00d7, 8.00 ms', details)
        self._one('#search').send_keys('select tags')
        self.assertEqual(f'{len(HOSTILE) + 1} hits', self._one('#hits').text)
        self._harmless()

    def test_a_finding_leads_to_the_rows_that_prove_it(self):
        self._open(html.page(_boot(1000)))
        first = self._one('#answers .error button')
        self.assertIn('failed first', first.text)
        first.click()
        self.assertEqual('SELECT instances', self._chosen())
        self.assertIn('number = 999', self._one('#details').text)
        self._harmless()

    def test_a_finding_outside_of_the_filter_takes_it_off(self):
        self._open(html.page(_boot(200)))
        self._one('#search').send_keys('step 1')
        everywhere = self._one('#hits').text
        chip = self._one('#chips [data-service="3"]')
        chip.click()
        self._shows(20)
        self.assertNotEqual(everywhere, self._one('#hits').text)
        self._one('#answers .error button').click()
        self._shows(200)
        self.assertEqual('SELECT instances', self._chosen())
        self.assertEqual('false', chip.get_attribute('aria-pressed'))
        self.assertEqual(everywhere, self._one('#hits').text)
        self._press(Keys.HOME, Keys.ARROW_DOWN)
        self.assertEqual('step 1', self._chosen())
        self.assertIn('hit', self._one('.row.chosen').get_attribute('class'))
        self._harmless()

    def test_lengths_below_zero(self):
        trace = maker.Maker().across_hosts(65_000)
        (answer,) = (span for span in trace.spans if span.name == 'answer')
        self._open(html.page(trace), f'#span={answer.span_id}')
        details = self._one('#details').text
        self.assertIn('Clock set by\n-1 min -5 s\n', details)
        self._harmless()

    def test_a_link_leads_to_its_span(self):
        trace = _boot(1000)
        span = trace.spans[500]
        self._open(html.page(trace), f'#span={span.span_id}')
        self.assertEqual(span.name, self._chosen())
        self.assertIn(span.span_id, self._one('#details').text)
        other = trace.spans[41]
        self.driver.execute_script(
            'location.hash = arguments[0]', f'span={other.span_id}'
        )
        self._until(lambda: self._chosen() == other.name)
        for bad in ('span=<b>', 'span=', 'x', 'span=ffffffffffffffff'):
            self.driver.execute_script('location.hash = arguments[0]', bad)
        self.assertEqual(other.name, self._chosen())
        self._harmless()

    def test_needs_nothing_but_a_keyboard(self):
        self._open(html.page(_boot(200)))
        self._press('/')
        self._press('number = 105', Keys.ENTER, Keys.ESCAPE)
        self.assertEqual('SELECT instances', self._chosen())
        self._press(Keys.ENTER)
        self.assertIn('number = 105', self._one('#details').text)
        self._press(Keys.ESCAPE)
        self.assertFalse(self._one('#details').is_displayed())
        self._press(Keys.ARROW_LEFT)
        self.assertEqual('step 101', self._chosen())
        self._press(Keys.ARROW_LEFT)
        self._shows(181)
        self._press(Keys.ARROW_RIGHT)
        self._shows(200)
        self._press(Keys.END)
        self.assertEqual('SELECT instances', self._chosen())
        self._press(Keys.HOME, Keys.ARROW_DOWN)
        self.assertEqual('step 1', self._chosen())
        whole = self._axis()
        self._press('z')
        self.assertNotEqual(whole, self._axis())
        self._press('0')
        self.assertEqual(whole, self._axis())
        self._press('C')
        self._shows(1)
        self._press('E')
        self._shows(200)
        self._harmless()

    def test_keys_go_on_after_a_click(self):
        self._open(html.page(_boot(200)))
        finding = self._one('#answers .error button')
        finding.click()
        self.assertTrue(self._one('#details').is_displayed())
        self._press(Keys.ESCAPE)
        self.assertFalse(self._one('#details').is_displayed())
        # Those who came with Tab press it again.
        for key in (Keys.ENTER, Keys.SPACE):
            self._press(key)
            self.assertIn('number = 199', self._one('#details').text)
            self._press(Keys.ESCAPE)
        self._press(Keys.HOME, Keys.ARROW_DOWN, Keys.ENTER)
        self.assertEqual('step 1', self._chosen())
        self.assertIn('step 1', self._one('#details').text)

        whole = self._axis()
        for css in ('#chips button', '#errors', '#zoom-out'):
            with self.subTest(css=css):
                self._one(css).click()
                self._press('z')
                self.assertNotEqual(whole, self._axis())
                self._one(css).click()
                self._press('0')
                self.assertEqual(whole, self._axis())
        self._one('#errors').send_keys(Keys.SPACE)
        self._shows(1)
        self._one('#service').send_keys('nova-api')
        self._shows(0)
        self._harmless()

    def test_keys_in_the_details_scroll_them(self):
        made = maker.Maker()
        attributes = {f'key {number}': 'value' for number in range(200)}
        made.span('long', 0, 10, attributes=attributes)
        made.span('other', 1, 2)
        self._open(html.page(made.trace()))
        self._press(Keys.ENTER)
        self._one('#details a').send_keys(Keys.ARROW_DOWN, Keys.END)
        self.assertEqual('long', self._chosen())
        self._until(
            lambda: self.driver.execute_script(
                "return document.getElementById('details').scrollTop > 0"
            )
        )
        self._one('#details .close').send_keys(Keys.ESCAPE)
        self.assertFalse(self._one('#details').is_displayed())
        self._press(Keys.ARROW_DOWN)
        self.assertEqual('other', self._chosen())
        self._harmless()

    def test_details_say_what_they_leave_out(self):
        made = maker.Maker()
        made.span(
            'many',
            0,
            10,
            attributes={f'key {number}': 'value' for number in range(300)},
            events=tuple(model.Event('half', 5, {}) for _ in range(257)),
            links=tuple(
                model.Link('c' * 32, 'd' * 16, {}) for _ in range(300)
            ),
        )
        self._open(html.page(made.trace()))
        self._press(Keys.ENTER)
        details = self._one('#details').text.splitlines()
        self.assertIn('and 44 more', details)
        self.assertIn('and 1 more event', details)
        self.assertIn('and 44 more links', details)
        self._harmless()

    def test_hits_are_gone_through_by_keys(self):
        made = maker.Maker()
        root = made.span('root', 0, 100)
        for number in range(4):
            made.span(f'found {number}', number, number + 1, root)
        self._open(html.page(made.trace()))
        for leave in (Keys.ESCAPE, Keys.TAB):
            with self.subTest(leave=leave):
                self._press('/', 'found', Keys.ENTER, leave)
                self.assertEqual('4 hits', self._one('#hits').text)
                self.assertEqual('found 0', self._chosen())
                self._press('n', 'n')
                self.assertEqual('found 2', self._chosen())
                self._press('N')
                self.assertEqual('found 1', self._chosen())
                self._press(Keys.HOME)
        self._harmless()

    def test_hostile_values_do_nothing(self):
        made = maker.Maker()
        root = made.span(
            HOSTILE[0], 0, 10, service=HOSTILE[1], host=HOSTILE[2]
        )
        for text in HOSTILE:
            made.span(
                text,
                1,
                2,
                root,
                kind='CLIENT',
                service=text,
                attributes={
                    text: text,
                    'db.query.text': text,
                    'url.full': text,
                    'exception.stacktrace': f'{text}\n{text}' * 1000,
                    'error.type': text,
                },
                status='ERROR',
                description=text,
            )
        self._open(html.page(made.trace()))
        self.assertEqual(len(HOSTILE) + 1, self._rows())
        for number in range(len(HOSTILE) + 1):
            self._press(Keys.HOME, *[Keys.ARROW_DOWN] * number, Keys.ENTER)
        self.assertIn('window.hurt', self._one('#details').text)
        outside = self.driver.execute_script(
            "return [...document.querySelectorAll('a')]"
            ".map(e => e.getAttribute('href'))"
            ".filter(a => !/^#span=[0-9a-f]{16}$/.test(a))"
        )
        self.assertEqual([], outside)
        self._harmless()

    def test_long_ways_and_circles_can_be_looked_at(self):
        made = maker.Maker()
        parent = None
        for number in range(100_000):
            parent = made.span(f'deep {number}', 0, 10, parent)
        round_about = [
            made.span(f'round {number}', 1, 2) for number in range(1000)
        ]
        for span, before in zip(
            round_about, round_about[-1:] + round_about[:-1], strict=True
        ):
            span.parent_id = before.span_id
        self._open(html.page(made.trace()))
        self._shows(101_000)
        self._press(Keys.END, Keys.ENTER)
        self.assertIn('round', self._chosen())
        self._press('C', Keys.HOME)
        self._shows(2)
        self._one('#search').send_keys('deep 99999')
        self.assertEqual('1 hit', self._one('#hits').text)
        self._one('#next').click()
        self.assertEqual('deep 99999', self._chosen())
        self._harmless()

    def test_many_spans_are_usable_at_once(self):
        took = self._open(html.page(_boot(10_000)))
        begun = time.monotonic()
        self._press(Keys.END)
        self.assertEqual('SELECT instances', self._chosen())
        answered = time.monotonic() - begun
        figures = f'{took:.2f} s to open, {answered:.2f} s to answer a key'
        self.addDetail('time', content.text_content(figures))
        print(f'A page of 10 000 spans: {figures}')
        self.assertLess(took, _USABLE_WITHIN)
        self._one('#search').send_keys('number = 9999')
        self.assertEqual('1 hit', self._one('#hits').text)
        self._harmless()

    def test_a_recorded_boot_of_a_server(self):
        """One of a real cloud: nine services, and most of it SQL."""
        data = pathlib.Path(__file__).parents[1] / 'data'
        recorded = str(data / 'server-create.otlp.jsonl.gz')
        with contextlib.closing(sources.open_source(recorded)) as source:
            trace = max(source.traces(), key=lambda one: len(one.spans))
        self.assertEqual(1067, len(trace.spans))

        self._open(html.page(trace))

        self._shows(1067)
        services = {span.service for span in trace.spans}
        self.assertEqual(
            len(services), len(self._all('#chips [data-service]'))
        )
        self._one('#search').send_keys('build_and_run_instance')
        self._until(lambda: 'hit' in self._one('#hits').text)
        self._one('#next').click()
        self.assertIn('build_and_run_instance', self._chosen())
        whole = self._axis()
        self._one('#zoom-span').click()
        self.assertNotEqual(whole, self._axis())
        self._one('#zoom-all').click()
        self._one('#answers button').click()
        self.assertIsNotNone(self._chosen())
        self.assertTrue(self._one('#details').is_displayed())
        self._harmless()

    def test_the_demo_has_pages_and_an_index(self):
        traces = os.path.join(self.directory, 'traces')
        subprocess.run(
            [
                sys.executable,
                '-W',
                'ignore',
                '-m',
                'oslo_tracing.demo',
                '--directory',
                traces,
            ],
            capture_output=True,
            check=True,
            timeout=300,
        )
        pages = os.path.join(self.directory, 'pages')
        subprocess.run(
            [
                sys.executable,
                '-m',
                'oslo_tracing.cmd.main',
                'report',
                '--all',
                '--source',
                traces,
                '--output',
                pages,
            ],
            check=True,
            timeout=120,
        )
        found = sources.open_source(traces).summaries()
        failed = [each for each in found if each.errors]
        self.assertEqual(3, len(found))
        found_most = max(found, key=lambda each: each.duration).name

        self._get(pathlib.Path(pages, 'index.html'))
        self.assertEqual(f'{len(found)} shown', self._one('#hits').text)
        order = [column.text for column in self._all('#traces td.duration')]
        self._all('#traces th button')[4].click()
        self.assertEqual(
            'descending',
            self._one('#traces th.number[aria-sort]').get_attribute(
                'aria-sort'
            ),
        )
        longest = [column.text for column in self._all('#traces td.duration')]
        self.assertEqual(sorted(order), sorted(longest))
        self.assertEqual(found_most, self._all('#traces a')[0].text)
        self._one('#errors').click()
        self.assertEqual(f'{len(failed)} shown', self._one('#hits').text)
        self._harmless()
        self._one('#traces a').click()
        self._until(lambda: self._one('#trace-id').text)
        shown = self._one('#trace-id').text
        self.assertIn(shown, {each.trace_id for each in failed})
        self._one('#answers .error button').click()
        self.assertIsNotNone(self._chosen())
        self.assertTrue(self._one('#details').is_displayed())
        self.browser.requests()
        self._harmless()

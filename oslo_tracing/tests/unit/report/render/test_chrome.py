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

import json
import random

from oslo_tracing.report import model
from oslo_tracing.report.render import chrome
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import maker


def _by_a_scan(spans):
    """The first row in which each stands inside of, or after, all others."""
    rows, found = [], []
    for span in sorted(spans, key=lambda each: (each.start, -each.duration)):
        for row in rows:
            if all(
                before.end <= span.start or span.end <= before.end
                for before in row
            ):
                break
        else:
            row = []
            rows.append(row)
        row.append(span)
        found.append((span.name, rows.index(row)))
    return dict(found)


class ChromeTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.make = maker.Maker()

    def _events(self):
        document = json.loads('\n'.join(chrome.render([self.make.trace()])))
        return document['traceEvents']

    def _rows(self, *traces):
        events = json.loads('\n'.join(chrome.render(traces)))['traceEvents']
        return {e['name']: e['tid'] for e in events if e['ph'] == 'X'}

    def test_a_service_is_a_process(self):
        root = self.make.span('POST', 1, 5, kind='SERVER')
        self.make.span('GET', 2, 3, root, kind='SERVER', service='glance')

        events = self._events()

        self.assertEqual(
            [('M', 1), ('X', 1), ('M', 2), ('X', 2)],
            [(event['ph'], event['pid']) for event in events],
        )
        self.assertEqual('glance', events[2]['args']['name'])
        self.assertEqual(
            (1000.0, 4000.0, 'server'),
            (events[1]['ts'], events[1]['dur'], events[1]['cat']),
        )

    def test_what_overlaps_is_on_a_row_of_its_own(self):
        root = self.make.span('root', 0, 100)
        self.make.span('a', 10, 50, root)
        self.make.span('b', 30, 60, root)
        self.make.span('c', 50, 55, root)
        self.make.span('d', 70, 80, root)

        rows = {e['name']: e['tid'] for e in self._events() if e['ph'] == 'X'}

        self.assertEqual({'root': 0, 'a': 0, 'b': 1, 'c': 0, 'd': 0}, rows)

    def test_what_overlaps_in_another_trace_is_on_a_row_of_its_own(self):
        root = self.make.span('A', 0, 10)
        self.make.span('B', 20, 30, root)
        other = maker.Maker()
        other.span('C', 5, 15)
        other.span('D', 21, 22)

        rows = self._rows(
            self.make.trace(), model.Trace('b' * 32, other.spans)
        )

        self.assertEqual({'A': 0, 'B': 0, 'C': 1, 'D': 0}, rows)

    def test_of_spans_that_start_together_the_longer_is_outside(self):
        self.make.span('inner', 0, 5)
        self.make.span('outer', 0, 10)

        self.assertEqual(
            [('outer', 0), ('inner', 0)],
            list(self._rows(self.make.trace()).items()),
        )

    def test_each_row_is_the_first_that_has_room(self):
        choice = random.Random(1)
        for most in (2, 10, 40):
            spans = [maker.Maker(), maker.Maker()]
            for number in range(200):
                start = choice.randrange(100)
                spans[number % 2].span(
                    str(number), start, start + choice.randrange(most)
                )
            one, two = (each.spans for each in spans)

            rows = self._rows(
                model.Trace('a' * 32, one), model.Trace('b' * 32, two)
            )

            self.assertEqual(_by_a_scan([*one, *two]), rows)

    def test_values_that_json_has_not(self):
        self.make.span(
            'x</script>',
            0,
            1,
            attributes={'nan': float('nan'), 'big': 2**62, 'b': b'\xff'},
        )

        def no_constant(text):
            raise AssertionError(text)

        text = '\n'.join(chrome.render([self.make.trace()]))
        (_process, event) = json.loads(text, parse_constant=no_constant)[
            'traceEvents'
        ]
        self.assertEqual(str(2**62), event['args']['big'])

    def test_no_traces(self):
        self.assertEqual(
            [], json.loads('\n'.join(chrome.render([])))['traceEvents']
        )

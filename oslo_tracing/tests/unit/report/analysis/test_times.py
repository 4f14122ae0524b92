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

from oslo_tracing.report.analysis import clock
from oslo_tracing.report.analysis import times
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import maker


class TimesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.make = maker.Maker()

    def _own(self):
        trace = self.make.trace()
        own = times.self_times(trace, clock.of(trace))
        return {span.name: time / maker.MS for span, time in own.items()}

    def test_children_that_overlap_count_once(self):
        root = self.make.span('root', 0, 100)
        self.make.span('a', 10, 50, root)
        self.make.span('b', 30, 60, root)
        self.make.span('c', 35, 40, root)

        self.assertEqual(50, self._own()['root'])

    def test_what_runs_on_takes_nothing(self):
        root = self.make.span('root', 0, 100)
        self.make.span('late', 90, 500, root)
        self.make.span('later', 200, 300, root)

        self.assertEqual({'root': 90, 'late': 410, 'later': 100}, self._own())

    def test_shares_by_service_and_kind(self):
        root = self.make.span('GET', 0, 100, kind='SERVER')
        self.make.span('SELECT', 0, 60, root, kind='CLIENT')
        self.make.span('SELECT', 60, 90, root, kind='CLIENT')
        self.make.span('GET', 90, 95, root, kind='SERVER', service='glance')
        trace = self.make.trace()

        shares = times.shares(times.self_times(trace, clock.of(trace)))

        self.assertEqual(
            [
                ('nova', 'CLIENT', 2, 90.0),
                ('nova', 'SERVER', 1, 5.0),
                ('glance', 'SERVER', 1, 5.0),
            ],
            [
                (each.service, each.kind, each.spans, each.time / maker.MS)
                for each in shares
            ],
        )

    def test_gaps_are_of_spans_that_have_children(self):
        root = self.make.span('root', 0, 100)
        self.make.span('leaf', 0, 40, root)
        self.make.span('leaf', 90, 100, root)
        trace = self.make.trace()

        (gap,) = times.gaps(trace, clock.of(trace), 20 * maker.MS)

        self.assertIs(root, gap.span)
        self.assertEqual((40 * maker.MS, 90 * maker.MS), (gap.start, gap.end))

    def test_a_clock_that_went_backwards(self):
        root = self.make.span('root', 100, 50)
        self.make.span('child', 70, 60, root)

        self.assertEqual({'root': 0, 'child': 0}, self._own())

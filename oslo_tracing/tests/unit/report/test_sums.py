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

from oslo_tracing.report import analysis
from oslo_tracing.report.analysis import clock
from oslo_tracing.report.analysis import findings
from oslo_tracing.report.analysis import times
from oslo_tracing.report import callers
from oslo_tracing.report.render.html import data as html_data
from oslo_tracing.report.render import text
from oslo_tracing.report.render import tree
from oslo_tracing.report import sums
from oslo_tracing.report import top
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import maker

MS = maker.MS


def added_up(count, milliseconds, rows=0, **statements):
    """Return attributes as a service writes them."""
    return {
        'openstack.db.count': count,
        'openstack.db.duration': milliseconds / 1000,
        'openstack.db.rows': rows,
        'openstack.db.top.statements': [
            name.replace('_', ' ') for name in statements
        ],
        'openstack.db.top.counts': [one[0] for one in statements.values()],
        'openstack.db.top.durations': [
            one[1] / 1000 for one in statements.values()
        ],
    }


class SumsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.make = maker.Maker()
        self.root = self.make.span(
            'GET /servers',
            0,
            100,
            kind='SERVER',
            attributes=added_up(
                50, 60, 7, SELECT_instances=(40, 48), SELECT_tags=(4, 8)
            ),
        )

    def found(self, kind):
        found = analysis.analyse(self.make.trace())
        return [each for each in found.findings if each.kind == kind]

    def test_they_are_read_with_what_is_left_of_them(self):
        self.assertEqual(
            sums.Sums(
                50,
                60 * MS,
                7,
                (
                    sums.Statement('SELECT instances', 40, 48 * MS),
                    sums.Statement('SELECT tags', 4, 8 * MS),
                    sums.Statement(sums.UNNAMED, 6, 4 * MS),
                ),
            ),
            sums.of(self.root),
        )

    def test_they_are_read_as_text_too(self):
        whole = sums.of(self.root)
        self.root.attributes = {
            key: json.dumps(value)
            for key, value in self.root.attributes.items()
        }
        self.assertEqual(whole, sums.of(self.root))

    def test_a_span_without_them_has_none(self):
        span = self.make.span('b', 0, 1, attributes={'openstack.db.rows': 5})
        self.assertIsNone(sums.of(span))

    def test_values_that_make_no_sense_are_passed_over(self):
        good = added_up(3, 5, 1, SELECT_a=(3, 5))
        odd = (
            None,
            '',
            'x' * 1000,
            -1,
            10**400,
            1e308,
            float('inf'),
            True,
            [],
            [None] * 1000,
            [10**400] * 3,
            [-1, 'a', {}],
            {'a': 1},
            b'x',
            '[' * 16384,
            '[' * 10**6,
            '9' * 5000,
            '1e999',
            'NaN',
            '[NaN, null, [[]]]',
            '{"a": 1}',
        )
        for name in good:
            for value in odd:
                self.make = maker.Maker()
                span = self.make.span(
                    'a', 0, 10, attributes={**good, name: value}
                )
                self.make.span('b', 1, 2, span)
                found = sums.of(span)
                if found is not None:
                    self.assertEqual(3, found.count)
                    self.assertEqual(3, sum(s.count for s in found.top))
                trace = self.make.trace()
                top.count(trace.spans)
                callers.calls([trace])
                html_data.of_trace(trace, analysis.analyse(trace))
                list(tree.render(trace, text.Style()))

    def test_more_named_than_there_are_is_not_believed(self):
        span = self.make.span(
            'a', 0, 9, attributes=added_up(2, 5, SELECT_a=(900, 5))
        )
        self.assertEqual(
            (sums.Statement(sums.UNNAMED, 2, 5 * MS),), sums.of(span).top
        )

    def test_top_counts_them_like_spans(self):
        for number in range(3):
            self.make.span(
                'SELECT instances',
                number,
                number + 20,
                self.root,
                kind='CLIENT',
                attributes={'db.system.name': 'mariadb'},
            )
        rows = {
            each.name: (
                each.kind,
                each.durations.count,
                each.durations.total // MS,
            )
            for each in top.count(self.make.spans)
        }
        self.assertEqual(
            {
                'GET /servers': ('route', 1, 100),
                'SELECT instances': ('statement', 43, 108),
                'SELECT tags': ('statement', 4, 8),
                sums.UNNAMED: ('statement', 6, 4),
            },
            rows,
        )

    def test_the_map_has_them(self):
        (call,) = callers.calls([self.make.trace()])
        self.assertEqual(
            ('nova', 'database', 'sql', 50, 60 * MS),
            (
                call.caller,
                call.callee,
                call.how,
                call.durations.count,
                call.durations.total,
            ),
        )

    def test_repeated_ones_are_found(self):
        (found,) = self.found(findings.REPEATED_STATEMENT)
        self.assertEqual(
            'SELECT instances ran 40 times under nova: GET /servers, 48.0 ms '
            'in all, without spans of its own',
            found.text,
        )
        self.assertEqual((self.root,), found.spans)

    def test_their_time_is_sql_and_not_their_span_s(self):
        self.make.span('inner', 0, 30, self.root)
        trace = self.make.trace()
        own = times.self_times(trace, clock.of(trace))
        self.assertEqual(
            {('SQL', 60.0), ('SERVER', 10.0), ('INTERNAL', 30.0)},
            {(s.kind, s.time / MS) for s in times.shares(own)},
        )

    def test_no_more_time_than_the_span_has(self):
        # Statements of two threads.
        self.root.attributes = added_up(2, 900, SELECT_a=(2, 900))
        trace = self.make.trace()
        own = times.self_times(trace, clock.of(trace))
        self.assertEqual(
            {('SQL', 100.0), ('SERVER', 0.0)},
            {(s.kind, s.time / MS) for s in times.shares(own)},
        )

    def test_their_time_is_no_gap(self):
        self.make.span('inner', 0, 36, self.root)
        self.assertEqual([], self.found(findings.GAP))

    def test_a_gap_beside_them_is_told_without_them(self):
        self.make.span('inner', 0, 10, self.root)
        (gap,) = self.found(findings.GAP)
        self.assertEqual(
            'nothing is recorded for 90.0 ms in nova: GET /servers, from '
            '10.0 ms after the start on, save for 60.0 ms of SQL without '
            'spans',
            gap.text,
        )
        self.assertEqual(30 * MS, gap.time)

    def test_the_tree_and_the_page_tell_them(self):
        trace = self.make.trace()
        lines = '\n'.join(tree.render(trace, text.Style()))
        self.assertIn('(server, 50 statements in 60.00 ms)', lines)
        told = html_data.of_trace(trace, analysis.analyse(trace))
        self.assertEqual(
            [
                50,
                60 * MS,
                7,
                [
                    ['SELECT instances', 40, 48 * MS],
                    ['SELECT tags', 4, 8 * MS],
                    [sums.UNNAMED, 6, 4 * MS],
                ],
            ],
            told['spans'][0]['q'],
        )

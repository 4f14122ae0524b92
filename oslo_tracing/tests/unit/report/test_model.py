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

from oslo_tracing.report import model
from oslo_tracing.tests import base

_RESOURCE = model.Resource('nova')
_SCOPE = model.Scope()


def _span(number, parent=None, start=0, end=None, **more):
    return model.Span(
        trace_id='a' * 32,
        span_id=f'{number:016x}',
        parent_id=None if parent is None else f'{parent:016x}',
        name=more.pop('name', f'span {number}'),
        kind='INTERNAL',
        start=start,
        end=start + 1 if end is None else end,
        resource=more.pop('resource', _RESOURCE),
        scope=_SCOPE,
        **more,
    )


def _trace(*spans):
    return model.Trace('a' * 32, spans)


def _walked(trace):
    return [(depth, int(span.span_id, 16)) for depth, span in trace.walk()]


class TraceTest(base.TestCase):
    def test_spans_in_any_order_become_a_tree_in_order_of_time(self):
        trace = _trace(
            _span(4, 2, 30), _span(3, 1, 50), _span(2, 1, 20), _span(1)
        )

        self.assertEqual([(0, 1), (1, 2), (2, 4), (1, 3)], _walked(trace))
        self.assertTrue(trace.is_one_tree())
        self.assertIs(trace.roots[0], trace.parent(trace.spans[1]))
        self.assertIsNone(trace.parent(trace.roots[0]))

    def test_a_span_whose_parent_is_not_there_is_an_orphan(self):
        trace = _trace(_span(1), _span(3, 2), _span(4, 3))

        self.assertEqual(['span 3'], [s.name for s in trace.orphans])
        self.assertEqual([(0, 1), (0, 3), (1, 4)], _walked(trace))
        self.assertFalse(trace.is_one_tree())
        self.assertIsNone(trace.parent(trace.orphans[0]))

    def test_two_roots_are_not_one_tree(self):
        self.assertFalse(_trace(_span(1), _span(2)).is_one_tree())

    def test_nothing_is_not_a_tree(self):
        trace = _trace()

        self.assertFalse(trace.is_one_tree())
        self.assertEqual((0, 0, 0), (trace.start, trace.end, trace.duration))

    def test_circles_are_cut_open_and_every_span_comes_once(self):
        trace = _trace(
            _span(1),
            _span(2, 2, 5),
            _span(3, 5, 7),
            _span(4, 3, 6),
            _span(5, 4, 8),
            _span(6, 5, 1),
            _span(7, 6, 0),
        )

        self.assertEqual(
            ['span 4', 'span 2'], [s.name for s in trace.circular]
        )
        self.assertEqual(
            [(0, 1), (0, 4), (1, 5), (2, 6), (3, 7), (2, 3), (0, 2)],
            _walked(trace),
        )
        self.assertFalse(trace.is_one_tree())

    def test_the_same_span_written_twice_counts_once(self):
        trace = _trace(_span(1), _span(2, 1), _span(2, 1), _span(1))

        self.assertEqual(2, len(trace.spans))
        self.assertEqual(2, trace.duplicates)
        self.assertTrue(trace.is_one_tree())

    def test_two_spans_of_one_id_are_both_there(self):
        trace = _trace(
            _span(1), _span(2, 1, 1), _span(2, 1, 2, name='x'), _span(3, 2)
        )

        self.assertEqual([(0, 1), (1, 2), (2, 3), (1, 2)], _walked(trace))

    def test_a_chain_of_100000_is_walked(self):
        chain = [_span(n, n - 1 or None, n) for n in range(1, 100_001)]

        trace = _trace(*reversed(chain))

        self.assertEqual(
            list(range(100_000)), [depth for depth, _ in trace.walk()]
        )

    def test_a_circle_of_100000_is_cut(self):
        circle = [_span(n, n % 100_000 + 1, n) for n in range(1, 100_001)]

        trace = _trace(*circle)

        self.assertEqual(['span 1'], [s.name for s in trace.circular])
        self.assertEqual(100_000, len(list(trace.walk())))

    def test_it_lasts_from_the_first_start_to_the_last_end(self):
        trace = _trace(
            _span(1, None, 10, 20), _span(2, 1, 5, 8), _span(3, 1, 15, 90)
        )

        self.assertEqual((5, 90, 85), (trace.start, trace.end, trace.duration))

    def test_time_that_goes_backwards_is_no_time(self):
        trace = _trace(_span(1, None, 10, 4))

        self.assertEqual(0, trace.spans[0].duration)
        self.assertEqual(0, trace.duration)

    def test_services_and_errors_are_counted(self):
        other = model.Resource('glance')
        trace = _trace(
            _span(1),
            _span(2, 1, status='ERROR'),
            _span(3, 1, resource=other, attributes={'error.type': 404}),
            _span(4, 1),
        )

        self.assertEqual({'nova': 3, 'glance': 1}, trace.services)
        self.assertEqual(['span 2'], [s.name for s in trace.errors])
        self.assertEqual('404', trace.spans[2].error_type)
        self.assertEqual('', trace.spans[1].error_type)

    def test_the_first_error_is_the_one_that_ended_first(self):
        trace = _trace(
            _span(1, None, 0, 90, status='ERROR'),
            _span(2, 1, 10, 80, status='ERROR'),
            _span(3, 2, 20, 70, status='ERROR'),
            _span(4, 2, 15, 60),
        )
        self.assertEqual(3, int(trace.first_error.span_id, 16))
        self.assertIsNone(_trace(_span(1)).first_error)

    def test_the_request_id_of_a_trace_of_which_the_root_is_missing(self):
        sub = {'openstack.request_id': 'req-of-a-sub-request'}
        later = _trace(_span(3, 1, 5), _span(4, 3, 6, attributes=sub))
        self.assertIsNone(later.request_id)
        first = _trace(_span(3, 1, 5, attributes=sub), _span(4, 3, 6))
        self.assertEqual('req-of-a-sub-request', first.request_id)

    def test_the_request_that_started_the_trace_gave_it_its_id(self):
        own = model.own_request_id(_trace(_span(1)).trace_id)
        trace = _trace(
            _span(1, None, 0, attributes={'openstack.request_id': 'req-x'}),
            _span(2, 1, 5, attributes={'openstack.request_id': own}),
        )
        self.assertEqual(own, trace.request_id)
        self.assertEqual(
            'req-4bf92f35-77b3-4da6-a3ce-929d0e0e4736',
            model.own_request_id('4bf92f3577b34da6a3ce929d0e0e4736'),
        )

    def test_request_ids_are_those_of_the_first_span_that_has_them(self):
        trace = _trace(
            _span(3, 1, 9, attributes={'openstack.request_id': 'req-b'}),
            _span(1, None, 1, attributes={'openstack.request_id': 7}),
            _span(2, 1, 5, attributes={'openstack.request_id': 'req-a'}),
            _span(
                4, 1, 6, attributes={'openstack.global_request_id': 'req-c'}
            ),
        )

        self.assertEqual('req-a', trace.request_id)
        self.assertEqual('req-c', trace.global_request_id)
        self.assertIsNone(_trace(_span(1)).request_id)


class WithoutStartTest(base.TestCase):
    def _unstarted(self, number, parent=None, end=0):
        return model.Unstarted(
            'a' * 32,
            f'{number:016x}',
            None if parent is None else f'{parent:016x}',
            'unstarted',
            'INTERNAL',
            0,
            end,
            _RESOURCE,
            _SCOPE,
        )

    def _starts(self, *spans):
        trace = _trace(*spans)
        return trace, {int(s.span_id, 16): s.start for s in trace.spans}

    def test_it_stands_at_the_start_of_what_is_below_it(self):
        trace, starts = self._starts(
            _span(1, None, 1000, 2000),
            self._unstarted(2, 1, 1900),
            self._unstarted(3, 2, 1800),
            _span(4, 3, 1200, 1700),
        )

        self.assertEqual({1: 1000, 2: 1200, 3: 1200, 4: 1200}, starts)
        self.assertEqual((1000, 1000), (trace.start, trace.duration))

    def test_else_at_its_end(self):
        trace, starts = self._starts(
            _span(1, None, 1000, 2000), self._unstarted(2, 1, 1900)
        )

        self.assertEqual(1900, starts[2])
        self.assertEqual(0, trace.spans[1].duration)

    def test_else_where_its_parent_starts_and_else_the_trace(self):
        _, starts = self._starts(
            _span(1, None, 1000, 2000),
            _span(2, 1, 1500, 1600),
            self._unstarted(3, 2),
            self._unstarted(4, 9),
        )

        self.assertEqual(1500, starts[3])
        self.assertEqual(1000, starts[4])

    def test_a_root_without_one_takes_no_decades(self):
        trace, _ = self._starts(
            self._unstarted(1, None, 10**18 + 50),
            _span(2, 1, 10**18, 10**18 + 40),
        )

        self.assertEqual((10**18, 50), (trace.start, trace.duration))
        self.assertEqual([(0, 1), (1, 2)], _walked(trace))

    def test_what_is_below_it_may_go_by_a_clock_of_its_own(self):
        _, starts = self._starts(
            _span(1, None, 5000, 6000),
            self._unstarted(2, 1, 5900),
            _span(3, 2, 200, 1100),
        )

        self.assertEqual(5000, starts[2])

    def test_where_nothing_is_known_nothing_is_made_up(self):
        trace, starts = self._starts(self._unstarted(1), self._unstarted(2, 1))

        self.assertEqual({1: 0, 2: 0}, starts)
        self.assertEqual(0, trace.duration)

    def test_in_circles_too(self):
        trace, starts = self._starts(
            self._unstarted(1, 2, 500), self._unstarted(2, 1), _span(3, 2, 400)
        )

        self.assertEqual(3, len(starts))
        self.assertEqual(400, trace.start)

    def test_the_span_that_was_given_stays_as_it_was_recorded(self):
        given = self._unstarted(2, 1, 1900)

        self._starts(_span(1, None, 1000, 2000), given)

        self.assertEqual(
            (0, 1900, 0), (given.start, given.end, given.duration)
        )

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
from oslo_tracing.report.analysis import waits
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import maker


class ClockTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.make = maker.Maker()

    def test_one_host_is_taken_as_it_is(self):
        root = self.make.span('call', 10, 20, kind='CLIENT')
        self.make.span('odd', 5, 8, root, kind='SERVER')

        self.assertEqual({}, clock.of(self.make.trace()).offsets)

    def test_an_answer_before_its_call_moves_all_of_its_host(self):
        call = self.make.span('call', 100, 200, kind='CLIENT')
        answer = self.make.span(
            'answer', 40, 100, call, kind='SERVER', host='two'
        )
        inner = self.make.span('inner', 50, 60, answer, host='two')

        found = clock.of(self.make.trace())

        # 60 ms of work in 100 ms of call: 20 ms each way.
        self.assertEqual(120 * maker.MS, found.start(answer))
        self.assertEqual(130 * maker.MS, found.start(inner))
        self.assertEqual(140 * maker.MS, found.end(inner))
        self.assertFalse(found.differs(call))

    def test_a_way_back_undoes_it(self):
        call = self.make.span('call', 100, 200, kind='CLIENT')
        answer = self.make.span(
            'answer', 40, 100, call, kind='SERVER', host='two'
        )
        back = self.make.span('back', 50, 90, answer, 'CLIENT', host='two')
        self.make.span('home', 140, 150, back, kind='SERVER')

        found = clock.of(self.make.trace())

        self.assertEqual(
            {'answer', 'back'}, {span.name for span in found.offsets}
        )

    def test_a_message_is_not_received_before_it_is_sent(self):
        cast = self.make.span('cast', 100, 101, kind='PRODUCER')
        build = self.make.span(
            'build', 90, 500, cast, kind='CONSUMER', host='two'
        )

        found = clock.of(self.make.trace())

        self.assertEqual(100 * maker.MS, found.start(build))

    def test_a_long_queue_is_no_wrong_clock(self):
        cast = self.make.span('cast', 100, 101, kind='PRODUCER')
        self.make.span('build', 900, 950, cast, kind='CONSUMER', host='two')
        trace = self.make.trace()

        found = clock.of(trace)

        self.assertEqual({}, found.offsets)
        (queued,) = waits.queues(trace, found)
        self.assertEqual(800 * maker.MS, queued.time)

    def test_where_clocks_differ_no_queue_is_told(self):
        cast = self.make.span('cast', 100, 101, kind='PRODUCER')
        build = self.make.span(
            'build', 90, 500, cast, kind='CONSUMER', host='two'
        )
        trace = self.make.trace()
        found = clock.of(trace)

        self.assertEqual([], list(waits.queues(trace, found)))
        self.assertIsNone(waits.queue_time(found, cast, build))
        (finding,) = waits.clock_skew(trace, found)
        self.assertIn('the clock of two is off by about 10.0 ms', finding.text)
        self.assertEqual((build,), finding.spans)

    def test_a_trace_starts_and_ends_by_the_clock_of_its_root(self):
        for shift in (-3_600_000, 0, 3_600_000):
            with self.subTest(shift=shift):
                make = maker.Maker()
                trace = make.across_hosts(shift)

                found = clock.extent(trace, clock.of(trace))

                self.assertEqual((0, 100 * maker.MS), found)

    def test_a_trace_of_nothing_has_no_extent(self):
        trace = self.make.trace()

        self.assertEqual((0, 0), clock.extent(trace, clock.of(trace)))

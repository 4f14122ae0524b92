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

import dataclasses

from oslo_tracing.report import analysis
from oslo_tracing.report.analysis import findings
from oslo_tracing.report.analysis import repeats
from oslo_tracing.report import model
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import maker


class AnalyseTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.make = maker.Maker()

    def _found(self, kind):
        found = analysis.analyse(self.make.trace()).findings
        return [each for each in found if each.kind == kind]

    def _select(self, parent, number, text='SELECT 1', **more):
        return self.make.span(
            'SELECT t',
            number,
            number + 0.5,
            parent,
            kind='CLIENT',
            attributes={
                'db.system.name': 'mariadb',
                'db.query.text': text,
                **more,
            },
        )

    def _get(self, parent, start, **more):
        return self.make.span(
            'GET identity',
            start,
            start + 2,
            parent,
            kind='CLIENT',
            attributes={
                'http.request.method': 'GET',
                'url.full': 'http://keystone/v3/auth/tokens',
                'openstack.service_type': 'identity',
                **more,
            },
        )

    def test_nothing_to_say_of_nothing(self):
        found = analysis.analyse(model.Trace(maker.TRACE, []))

        self.assertEqual([], found.findings)
        self.assertEqual([], found.path)

    def test_the_same_statement_many_times_under_one_parent(self):
        root = self.make.span('GET', 0, 100, kind='SERVER')
        other = self.make.span('other', 50, 100, root)
        many = [self._select(root, number) for number in range(6)]
        for number in range(4):
            self._select(other, 60 + number)
            self._select(root, 20 + number, f'SELECT {number + 2}')

        (finding,) = self._found(findings.REPEATED_STATEMENT)

        self.assertEqual(tuple(many), finding.spans)
        self.assertEqual(3 * maker.MS, finding.time)
        self.assertEqual(
            'SELECT t ran 6 times with the same text under nova: GET, '
            '3.0 ms in all',
            finding.text,
        )

    def test_the_same_request_in_one_piece_of_work(self):
        root = self.make.span('POST', 0, 100, kind='SERVER')
        inner = self.make.span('inner', 0, 50, root)
        many = [
            self._get(root, 0),
            self._get(inner, 10),
            self._get(inner, 20),
        ]
        apart = self.make.span('build', 60, 90, root, kind='CONSUMER')
        self._get(apart, 70)

        (finding,) = self._found(findings.REPEATED_CALL)

        self.assertEqual(tuple(many), finding.spans)
        self.assertIn(
            'GET http://keystone/v3/auth/tokens was asked 3 times in '
            'nova: POST',
            finding.text,
        )

    def test_attempts_are_retries_and_no_repeated_calls(self):
        root = self.make.span('POST', 0, 100, kind='SERVER')
        self._get(root, 0)
        for number in (1, 2, 3):
            self._get(
                root, 10 * number, **{'http.request.resend_count': number}
            )

        self.assertEqual([], self._found(findings.REPEATED_CALL))
        self.assertEqual(
            ['attempt 2', 'attempt 3', 'attempt 4'],
            [
                each.text.partition(' is ')[2].partition(' of ')[0]
                for each in self._found(findings.RETRY)
            ],
        )

    def test_database_work_that_began_again(self):
        retry = model.Event(
            'oslo.db.retry', 5, {'error.type': 'oslo_db.exc.DBDeadlock'}
        )
        root = self.make.span('POST', 0, 100, events=(retry, retry))
        lost = self._select(root, 5, **{'db.response.status_code': '1213'})

        (retried,) = self._found(findings.RETRY)
        (deadlock,) = self._found(findings.DEADLOCK)

        self.assertEqual((root,), retried.spans)
        self.assertIn(
            'again 2 times, the first after oslo_db.exc.DBDeadlock',
            retried.text,
        )
        self.assertEqual((lost,), deadlock.spans)

    def test_waiting_for_locks_and_connections(self):
        wait = model.Event(
            'db.pool.wait', 5, {'openstack.db.pool.wait.duration': 0.25}
        )
        root = self.make.span('POST', 0, 1000, events=(wait, wait))
        lock = self.make.span(
            'lock vcpus',
            0,
            300,
            root,
            attributes={'openstack.lock.wait': 0.2},
        )

        (pool,) = self._found(findings.POOL_WAIT)
        (waited,) = self._found(findings.LOCK_WAIT)

        self.assertEqual((root, 500 * maker.MS), (pool.spans[0], pool.time))
        self.assertEqual(
            (lock, 200 * maker.MS), (waited.spans[0], waited.time)
        )

    def test_made_up_durations_are_no_waits(self):
        self.make.span(
            'lock', 0, 1, attributes={'openstack.lock.wait': float('nan')}
        )
        self.make.span(
            'lock', 0, 1, attributes={'openstack.lock.wait': 10**5000}
        )
        self.make.span('lock', 0, 1, attributes={'openstack.lock.wait': 'x'})

        self.assertEqual([], self._found(findings.LOCK_WAIT))

    def test_the_first_error_and_how_far_it_went(self):
        root = self.make.span('POST', 0, 100, kind='SERVER', status='ERROR')
        call = self.make.span(
            'call', 10, 90, root, kind='CLIENT', status='ERROR'
        )
        first = self.make.span(
            'INSERT',
            20,
            30,
            call,
            service='placement',
            status='ERROR',
            attributes={'error.type': 'DBDuplicateEntry'},
        )
        late = self.make.span(
            'notify', 95, 96, root, service='neutron', status='ERROR'
        )

        found = analysis.analyse(self.make.trace()).findings[0]

        self.assertEqual(findings.ERROR, found.kind)
        self.assertEqual((first, call, root, late), found.spans)
        self.assertEqual(
            'placement: INSERT failed first (DBDuplicateEntry); 3 spans '
            'failed after it, also in nova, neutron',
            found.text,
        )

    def test_of_errors_that_end_together_the_inner_one_is_the_first(self):
        root = self.make.span('POST', 0, 100, kind='SERVER', status='ERROR')
        self.make.span('INSERT', 50, 100, root, status='ERROR')

        (found,) = self._found(findings.ERROR)

        self.assertEqual(
            'nova: INSERT failed first; 1 span failed after it', found.text
        )

    def test_the_first_error_is_found_whatever_the_clocks_say(self):
        for shift in (0, 3_600_000, -3_600_000):
            with self.subTest(shift):
                trace = maker.Maker().failed_on_another_host(shift)

                found = analysis.analyse(trace).findings[0]

                self.assertEqual(
                    'compute: build failed first (NoSpace); 2 spans failed '
                    'after it, also in nova',
                    found.text,
                )

    def test_a_service_that_recorded_nothing(self):
        root = self.make.span('POST', 0, 100, kind='SERVER')
        self._get(root, 0)
        volume = self._get(root, 10, **{'openstack.service_type': 'volume'})
        self._get(root, 20, **{'openstack.service_type': 'image'})
        image = self._get(root, 30, **{'openstack.service_type': 'image'})
        self.make.span('GET', 31, 32, image, kind='SERVER', service='glance')
        self._get(root, 40, **{'openstack.service_type': 'volume'})

        found = self._found(findings.NO_ANSWER)

        self.assertEqual(
            ['volume was asked 2 times', 'identity was asked 1 time'],
            [each.text.partition(' and ')[0] for each in found],
        )
        self.assertIs(volume, found[0].spans[0])

    def test_orphans_are_told_by_the_parent_that_they_lack(self):
        self.make.span('root', 0, 100)
        lost = [
            self.make.span('SELECT', 10, 20, parent_id='f' * 16),
            self.make.span('SELECT', 20, 30, parent_id='f' * 16),
        ]

        (finding,) = self._found(findings.ORPHANS)

        self.assertEqual(tuple(lost), finding.spans)

    def test_a_stretch_that_nothing_explains(self):
        root = self.make.span('POST', 0, 100, kind='SERVER')
        self.make.span('early', 0, 10, root)
        self.make.span('late', 60, 100, root)

        (finding,) = self._found(findings.GAP)

        self.assertEqual((root,), finding.spans)
        self.assertEqual(
            'nothing is recorded for 50.0 ms in nova: POST, from 10.0 ms '
            'after the start on',
            finding.text,
        )

    def test_what_is_long_is_told_by_corrected_clocks(self):
        for shift in (-3_600_000, 0, 3_600_000):
            with self.subTest(shift=shift):
                make = maker.Maker()

                found = analysis.analyse(make.across_hosts(shift))

                self.assertEqual(0, found.start)
                self.assertEqual(100 * maker.MS, found.duration)
                gap = next(
                    each
                    for each in found.findings
                    if each.kind == findings.GAP
                )
                self.assertEqual(
                    'nothing is recorded for 45.0 ms in glance: answer, '
                    'from 25.0 ms after the start on',
                    gap.text,
                )

    def test_many_findings_of_a_kind_are_bounded(self):
        root = self.make.span('POST', 0, 1000, kind='SERVER')
        for number in range(25):
            self._get(
                root, number, **{'http.request.resend_count': number + 1}
            )

        found = analysis.analyse(self.make.trace())

        self.assertEqual(10, len(self._found(findings.RETRY)))
        self.assertEqual({findings.RETRY: 15}, found.left_out)

    def test_entry_points(self):
        root = self.make.span('client', 0, 100)
        inner = self.make.span('inner', 0, 50, root)
        server = self.make.span('GET', 0, 40, inner, kind='SERVER')
        leaf = self.make.span('leaf', 0, 30, server)

        self.assertEqual(
            {root: root, inner: root, server: server, leaf: server},
            repeats.entry_points(self.make.trace()),
        )

    def test_a_span_without_a_start_distorts_nothing_else(self):
        make = maker.Maker()
        root = make.span('GET', 1000, 1100, kind='SERVER')
        make.span('first', 1010, 1020, root)
        lost = make.span('lost', 0, 0, root, kind='CLIENT')
        make.span('answer', 1030, 1090, lost, kind='SERVER', host='two')
        spans = [
            _without_start(each, 1095 * maker.MS) if each is lost else each
            for each in make.spans
        ]

        found = analysis.analyse(model.Trace(maker.TRACE, spans))

        self.assertEqual(100 * maker.MS, found.duration)
        self.assertEqual({}, found.clock.offsets)
        self.assertEqual(
            ['GET', 'first', 'GET', 'answer', 'lost', 'GET'],
            [step.span.name for step in found.path if step.duration],
        )
        self.assertEqual(
            [findings.NO_START],
            [
                each.kind
                for each in found.findings
                if each.kind != findings.GAP
            ],
        )

    def test_what_may_have_run_is_no_gap(self):
        make = maker.Maker()
        root = make.span('GET', 1000, 1100, kind='SERVER')
        lost = _without_start(make.span('lost', 0, 0, root), 1090 * maker.MS)

        found = analysis.analyse(model.Trace(maker.TRACE, [root, lost]))

        gaps = [each for each in found.findings if each.kind == findings.GAP]
        self.assertEqual([10 * maker.MS], [each.time for each in gaps])

    def test_a_clock_is_compared_past_a_span_without_a_start(self):
        for shift in (-3_600_000, 3_600_000):
            with self.subTest(shift=shift):
                make = maker.Maker()
                make.across_hosts(5_000_000 + shift)
                root, call, *rest = make.spans
                for span in (root, call):
                    span.start += 5_000_000 * maker.MS
                    span.end += 5_000_000 * maker.MS
                call = _without_start(call, call.end)

                found = analysis.analyse(
                    model.Trace(maker.TRACE, [root, call, *rest])
                )

                self.assertEqual(root.start, found.start)
                self.assertEqual(100 * maker.MS, found.duration)

    def test_nor_is_one_clock_taken_for_another(self):
        for shift in (-3_600_000, 3_600_000):
            with self.subTest(shift=shift):
                make = maker.Maker()
                base = 5_000_000
                root = make.span('GET', base, base + 100, kind='SERVER')
                lost = make.span(
                    'lost', 0, base + 90 + shift, root, host='two'
                )
                make.span('back', base + 40, base + 60, lost)
                lost = _without_start(lost, lost.end)
                spans = [root, lost, make.spans[2]]

                found = analysis.analyse(model.Trace(maker.TRACE, spans))

                self.assertEqual(root.start, found.start)
                self.assertEqual(100 * maker.MS, found.duration)

    def test_what_goes_by_the_clock_of_its_process_moves_with_it(self):
        make = maker.Maker()
        shift = 3_600_000
        root = make.span('GET', 1000, 1100, kind='SERVER')
        lost = make.span('lost', 0, shift + 1090, root, host='two')
        for number in (20, 50):
            make.span(
                'work',
                shift + 1000 + number,
                shift + 1020 + number,
                lost,
                host='two',
            )
        lost = _without_start(lost, lost.end)
        first, second = make.spans[2:]
        trace = model.Trace(maker.TRACE, [root, lost, first, second])

        clock = analysis.analyse(trace).clock

        self.assertEqual(
            30 * maker.MS, clock.start(second) - clock.start(first)
        )
        self.assertLessEqual(clock.start(root), clock.start(first))
        self.assertLessEqual(clock.end(second), clock.end(root))


def _without_start(span, end):
    about = {
        field.name: getattr(span, field.name)
        for field in dataclasses.fields(span)
    }
    return model.Unstarted(**{**about, 'start': 0, 'end': end})

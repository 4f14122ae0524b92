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

"""What benchmarks compare, how sure they are, and what they say of targets."""

from __future__ import annotations

import inspect
import math
import os
import subprocess
import sys

import fixtures
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from benchmarks import content
from benchmarks import frames
from benchmarks import instructions
from benchmarks import intervals
from benchmarks import targets
from oslo_tracing.tests import base


def _body(*spans):
    request = trace_service_pb2.ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for name, attributes in spans:
        span = scope.spans.add(
            trace_id=b'1' * 16,
            name=name,
            kind=trace_pb2.Span.SPAN_KIND_CLIENT,
        )
        for key, value in attributes.items():
            span.attributes.append(
                common_pb2.KeyValue(
                    key=key, value=common_pb2.AnyValue(string_value=value)
                )
            )
    return request.SerializeToString()


class ContentTest(base.TestCase):
    def differences(self, ours, theirs):
        mine, others = (
            content.told([_body(*spans)])['content']
            for spans in (ours, theirs)
        )
        return content.differences(mine, others)

    def test_spans_and_attributes_are_counted(self):
        body = _body(('a', {'x': '1', 'y': '2'}), ('b', {'x': '1'}))
        told = content.told([body, body])
        self.assertEqual(
            (4, 6, 1, 2 * len(body)),
            tuple(
                told[what]
                for what in ('spans', 'attributes', 'traces', 'bytes')
            ),
        )

    def test_the_same_spans_do_not_differ(self):
        spans = [('a', {'x': '1'}), ('b', {})]
        self.assertEqual([], self.differences(spans, spans[::-1]))

    def test_ids_may_differ(self):
        spans = [
            [('a', {'openstack.request_id': value})] for value in ('r1', 'r2')
        ]
        self.assertEqual([], self.differences(*spans))

    def test_a_span_that_only_one_has_is_found(self):
        self.assertEqual(
            ['CLIENT b: only ours'],
            self.differences([('a', {}), ('b', {})], [('a', {})]),
        )

    def test_another_number_of_spans_is_found(self):
        self.assertIn(
            'CLIENT a: 2 and 1 spans',
            self.differences([('a', {}), ('a', {})], [('a', {})]),
        )

    def test_an_attribute_that_only_one_has_is_found(self):
        self.assertEqual(
            ['CLIENT a: x: only theirs'],
            self.differences([('a', {})], [('a', {'x': '1'})]),
        )

    def test_another_value_is_found(self):
        self.assertEqual(
            ["CLIENT a: x: [\"'1'\"] and [\"'2'\"]"],
            self.differences([('a', {'x': '1'})], [('a', {'x': '2'})]),
        )

    def test_no_time_is_told_where_spans_differ(self):
        ours, theirs = (
            content.told([_body(('a', {'x': value}))]) for value in ('1', '2')
        )
        received = {'ours': ours, 'floor': theirs, 'same': ours}
        content.check(received, 'same')
        error = self.assertRaises(
            RuntimeError, content.check, received, 'floor'
        )
        self.assertIn('CLIENT a: x', str(error))
        self.assertRaises(RuntimeError, content.check, {'ours': ours}, 'floor')


class DepthsTest(base.TestCase):
    def depths(self):
        made = frames.Depths()
        return [
            made.call(lambda: len(inspect.stack(context=0)))
            for _ in range(frames.MOST)
        ]

    def test_calls_are_at_each_depth_once(self):
        found = self.depths()
        self.assertEqual(
            list(range(min(found), min(found) + frames.MOST)), sorted(found)
        )

    def test_a_few_calls_are_far_from_each_other(self):
        few = sorted(self.depths()[:7])
        self.assertGreater(few[-1] - few[0], frames.MOST / 2)

    def test_what_is_called_gets_its_arguments(self):
        self.assertEqual(
            [7, 7],
            [frames.below(levels, max, 3, 7) for levels in (0, 5)],
        )


class IntervalsTest(base.TestCase):
    def test_the_slowdown_of_rounds_that_agree_is_sure(self):
        told = intervals.slowdown([1.0, 2.0, 4.0], [1.1, 2.2, 4.4])
        self.assertAlmostEqual(10.0, told['percent'])
        self.assertAlmostEqual(10.0, told['low'])
        self.assertAlmostEqual(10.0, told['high'])

    def test_the_interval_is_that_of_student(self):
        # Of 1 to 5: a deviation of 1.5811, and 2.776 for 4 degrees.
        self.assertAlmostEqual(
            2.776 * math.sqrt(2.5) / math.sqrt(5),
            intervals.half_width([1, 2, 3, 4, 5]),
        )

    def test_more_rounds_are_surer(self):
        few, many = (
            intervals.half_width([0.0, 1.0] * times) for times in (5, 500)
        )
        self.assertLess(many, few / 5)

    def test_one_round_alone_is_not_sure(self):
        told = intervals.slowdown([1.0], [2.0])
        self.assertAlmostEqual(100.0, told['percent'])
        self.assertEqual((-100.0, math.inf), (told['low'], told['high']))

    def test_what_happens_to_one_of_a_pair_does_not_count(self):
        # The machine is slower by the call, and halts once in each round.
        usual = [(1.9, 2.0), (2.0, 2.1), (2.0, 2.1), (2.1, 2.2)]
        rounds = [
            {'GET': [*usual, (halted, 2.1)], 'POST': [(2.0, 2.1)] * 5}
            for halted in (5.0, 1.0, 9.0)
        ]
        told = intervals.of_pairs(rounds)
        self.assertAlmostEqual(5.0, told['percent'], delta=0.5)
        self.assertLess(told['off'], 0.5)

    def test_pairs_of_one_round_alone_are_not_sure(self):
        told = intervals.of_pairs([{'GET': [(1.0, 1.5)]}])
        self.assertAlmostEqual(50.0, told['percent'])
        self.assertEqual(math.inf, told['high'])

    def test_rounds_that_differ_are_less_sure(self):
        alike, apart = (
            intervals.of_pairs([{'GET': [(1.0, 1.0 + more)]} for more in told])
            for told in ([0.1, 0.11, 0.12], [0.01, 0.11, 0.21])
        )
        self.assertAlmostEqual(alike['percent'], apart['percent'])
        self.assertGreater(apart['off'], 5 * alike['off'])


class InstructionsTest(base.TestCase):
    def written(self, text):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'out')
        with open(path, 'w') as file:
            file.write(text)
        return path

    def test_what_callgrind_has_counted_is_read(self):
        path = self.written('events: Ir\nfn=(1) main\n7 12\ntotals: 4711\n')
        self.assertEqual(4711, instructions.total(path))

    def test_a_file_without_a_total_is_an_error(self):
        path = self.written('events: Ir\n')
        error = self.assertRaises(RuntimeError, instructions.total, path)
        self.assertIn(path, str(error))


class TargetsTest(base.TestCase):
    def outcome(self, title, found):
        [told] = [
            each
            for each in targets.outcomes(found)
            if each['target'].startswith(title)
        ]
        return told

    def test_what_was_not_run_is_neither_met_nor_missed(self):
        told = targets.outcomes({})
        self.assertEqual({None}, {each['met'] for each in told})
        self.assertEqual(len(told), targets.show(told).count('not measured'))

    def test_a_target_is_met_up_to_its_limit(self):
        for ours, met in ((10.0, True), (11.0, False)):
            found = {
                'memory': {'ours': {'bytes': ours}, 'SDK': {'bytes': 30.0}}
            }
            self.assertIs(met, self.outcome('memory', found)['met'])
        self.assertIn('not met', targets.show(targets.outcomes(found)))

    def test_more_is_better_for_the_exporter(self):
        for ours, met in ((6.0, True), (2.9, False)):
            found = {
                'exporter': {
                    'ours': {'times_the_sdk': ours},
                    'ours, gzip': {'of_uncompressed': 1.0},
                    'ours, gzip by isal': {'of_uncompressed': 1.0},
                }
            }
            told = self.outcome('exporter alone, spans', found)
            self.assertIs(met, told['met'])

    def test_variants_are_compared_within_a_round(self):
        found = {
            'request': {
                name: {'added_us': added}
                for name, added in (
                    ('floor', [100.0, 1000.0, 100.0]),
                    ('ours', [30.0, 300.0, 90.0]),
                    ('ours-0', [1.0, 1.0, 1.0]),
                    ('ours-1%', [1.0, 1.0, 1.0]),
                    ('built-in', [200.0, 2000.0, 200.0]),
                    ('third-party', [200.0, 2000.0, 200.0]),
                )
            }
        }
        told = self.outcome('all sampled, of the SDK floor', found)
        self.assertAlmostEqual(0.3, told['measured'])

    def test_instructions_are_compared_with_those_of_others(self):
        found = {
            'instructions': {
                name: {'instructions': count}
                for name, count in (
                    ('floor', 100),
                    ('built-in', 120),
                    ('third-party', 150),
                    ('ours', 39),
                )
            }
        }
        met = [
            each['met']
            for each in targets.outcomes(found)
            if each['target'].startswith('instructions')
        ]
        self.assertEqual([True, False, True], met)

    def test_a_cost_that_grows_is_uneven(self):
        for last, met in ((11.0, True), (13.0, False)):
            found = {
                'scaling': [
                    {'span_us': {'floor': 1.0, 'ours': cost}}
                    for cost in (10.0, 10.0, 10.0, last)
                ]
            }
            told = self.outcome('a span, 5 to 500', found)
            self.assertIs(met, told['met'])


class CommandLineTest(base.TestCase):
    def said(self, *argv):
        """Run them; return what is wrong with the command line."""
        ended = subprocess.run(
            [sys.executable, '-m', 'benchmarks', *argv],
            capture_output=True,
            text=True,
        )
        self.assertEqual((2, ''), (ended.returncode, ended.stdout))
        return ended.stderr.splitlines()[-1]

    def test_a_benchmark_that_there_is_not(self):
        self.assertIn('no such benchmark: speed', self.said('speed'))

    def test_files_are_looked_at_before_minutes_are_spent(self):
        home = self.useFixture(fixtures.TempDir())
        nowhere = home.join('no', 'file.json')
        self.assertIn(nowhere, self.said('--released', nowhere))
        self.assertIn(nowhere, self.said('--json', nowhere))
        odd = home.join('odd.json')
        with open(odd, 'w') as file:
            file.write('{')
        self.assertIn(f'{odd}: Expecting', self.said('--released', odd))

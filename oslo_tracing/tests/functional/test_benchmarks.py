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

"""The benchmarks run, and what they compare has equal spans.

Times are no tests: these ask for too few to say anything. Bytecodes are.
"""

from __future__ import annotations

from benchmarks import bytecodes
from benchmarks import calls
from benchmarks import exporter
from benchmarks import growing
from benchmarks import memory
from benchmarks import readers
from benchmarks import request
from benchmarks import start
from benchmarks import targets
from benchmarks import variants
from benchmarks import volume
from oslo_tracing.tests import base


class BenchmarksTest(base.TestCase):
    def test_the_request_has_the_spans_that_are_placed_by_hand(self):
        """It raises where their content differs."""
        found = request.measure(
            rounds=1,
            turns=2,
            requests=2,
            names=['none', 'floor', 'ours', 'ours-0', 'ours-1%', 'ours-off'],
        )
        self.assertEqual(
            {'none': 0, 'floor': 18, 'ours': 18, 'ours-0': 0, 'ours-off': 0},
            {
                name: each['spans']
                for name, each in found.items()
                if name != 'ours-1%'
            },
        )
        self.assertEqual(
            found['floor']['attributes'], found['ours']['attributes']
        )
        for each in found.values():
            self.assertIn(each['title'], request.show(found))

    def test_requests_with_few_and_many_statements_have_them_too(self):
        found = growing.measure(
            [
                (5, {'count': 2, 'statements': 3}),
                (50, {'count': 4, 'statements': 48, 'threads': 2}),
            ],
            2,
        )
        self.assertEqual([5, 50], [each['point'] for each in found])
        self.assertIn('floor', growing.show('title', 'spans', found))

    def test_less_of_sql_has_spans(self):
        found = volume.measure(rounds=1, turns=2, requests=2)
        self.assertEqual(63, found['floor']['spans'])
        self.assertEqual(63, found['ours']['spans'])
        # A machine that is busy makes statements slow, which are recorded.
        for name, least in (('ours-slow', 10), ('ours-summary', 3)):
            self.assertGreaterEqual(found[name]['spans'], least)
            self.assertLess(found[name]['spans'], 63)
        self.assertIn('db_spans = slow', volume.show(found))

    def test_a_request_executes_little(self):
        """No time, so that it says the same on every machine."""
        found = bytecodes.measure(
            requests=20, names=['none', 'floor', 'ours', 'ours-0']
        )
        self.assertLess(found['ours']['of_floor'], 0.4)
        self.assertLess(found['ours-0']['of_floor'], 0.12)
        for each in found:
            self.assertIn(variants.TITLES[each], bytecodes.show(found))

    def test_calls_are_counted(self):
        found = calls.measure(requests=3)
        self.assertGreater(found['none']['calls'], 500)
        self.assertEqual(0, found['none']['ours'])
        self.assertIn('disabled', calls.show(found))

    def test_the_exporters_send_the_same(self):
        found = exporter.measure(rounds=1)
        self.assertIn('ours, gzip by isal', exporter.show(found))

    def test_spans_that_wait_take_memory(self):
        found = memory.measure()
        self.assertGreater(found['ours']['bytes'], memory.QUEUE)
        self.assertIn('SDK', memory.show(found))

    def test_traces_are_read(self):
        found = readers.measure((1, 2))
        self.assertEqual(
            [(1, 1000), (2, 2000)],
            [(each['traces'], each['spans']) for each in found],
        )
        self.assertIn('2000', readers.show(found))

    def test_a_process_starts_and_its_targets_are_told(self):
        found = start.measure(rounds=1)
        self.assertIn('setup()', start.show(found))
        told = targets.outcomes({'start': found})
        self.assertEqual(2, sum(each['met'] is not None for each in told))

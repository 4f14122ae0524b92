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

from oslo_tracing.report import compare
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import maker


def _trace(*spans):
    make = maker.Maker()
    for name, took in spans:
        make.span(name, 0, took)
    return make.trace()


class CompareTest(base.TestCase):
    def test_slower_new_and_gone(self):
        found = compare.compare(
            [_trace(('same', 5), ('slower', 10), ('gone', 3))],
            [_trace(('same', 5), ('slower', 30), ('new', 8), ('new', 1))],
        )

        self.assertEqual(
            [('slower', 20), ('new', 9), ('gone', -3), ('same', 0)],
            [(each.name, each.change / maker.MS) for each in found],
        )
        self.assertIsNone(found[1].before)
        self.assertEqual(2, found[1].after.count)
        self.assertIsNone(found[2].after)

    def test_sets_of_different_sizes(self):
        found = compare.compare(
            [_trace(('work', 10))] * 2, [_trace(('work', 12))] * 7
        )

        self.assertEqual([2 * maker.MS], [each.change for each in found])
        self.assertEqual((1, 1), (found[0].before.count, found[0].after.count))

    def test_nothing(self):
        self.assertEqual([], compare.compare([], []))

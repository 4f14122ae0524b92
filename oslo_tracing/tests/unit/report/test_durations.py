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

import random

from oslo_tracing.report import durations
from oslo_tracing.tests import base


class DurationsTest(base.TestCase):
    def test_none(self):
        none = durations.Durations()
        self.assertEqual(0, none.percentile(0.95))
        self.assertEqual(0, none.mean)

    def test_one(self):
        one = durations.Durations()
        one.add(12345)
        for share in (0, 0.5, 0.99, 1):
            self.assertEqual(12345, one.percentile(share))

    def test_percentiles_are_at_most_five_percent_too_high(self):
        source = random.Random(1)
        values = sorted(int(source.lognormvariate(15, 3)) for _ in range(5000))
        many = durations.Durations()
        for value in values:
            many.add(value)

        self.assertEqual(sum(values), many.total)
        self.assertEqual(values[-1], many.longest)
        for share in (0.5, 0.95, 0.99):
            exact = values[int(share * len(values)) - 1]
            self.assertGreaterEqual(many.percentile(share), exact)
            self.assertLessEqual(many.percentile(share), exact * 1.051)

    def test_zero_and_a_century(self):
        odd = durations.Durations()
        odd.add(0)
        odd.add(2**63)
        self.assertEqual(0, odd.percentile(0.5) // 2)
        self.assertEqual(2**63, odd.percentile(1))

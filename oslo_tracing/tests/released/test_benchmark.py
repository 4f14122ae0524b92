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

"""The end-to-end benchmark compares what it says, whatever it takes."""

from __future__ import annotations

from benchmarks import released
from oslo_tracing.tests import base
from oslo_tracing.tests.functional import servers


class BenchmarkTest(base.TestCase):
    def test_all_spend_the_same_days(self):
        # Skips where there is none.
        servers.mariadb_url(self)

        found = released.measure(rounds=1, days=1)

        none, ours, few = (found[name] for name in ('none', 'ours', 'ours-1%'))
        # Each call was recorded, or it had raised.
        self.assertGreater(ours['calls'], 200)
        self.assertGreater(ours['spans'], 20 * ours['calls'])
        self.assertEqual(0, none['spans'])
        # The first day is recorded by both.
        self.assertLess(few['spans'], 0.7 * ours['spans'])
        for name, each in found.items():
            # Services ask each other as often as their caches have it.
            self.assertAlmostEqual(
                none['calls'], each['calls'], delta=none['calls'] / 20
            )
            for what in ('wall', 'typical', 'cpu'):
                (value,) = each['rounds'][what]
                self.assertGreater(value, 0, (name, what))
                # Nothing is said of what one round cannot say.
                self.assertEqual(float('inf'), each['slowdown'][what]['off'])
            self.assertIn(each['title'], released.show(found))

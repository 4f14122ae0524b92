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

import itertools

from oslo_tracing.report.analysis import clock
from oslo_tracing.report.analysis import critical_path
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import maker


class CriticalPathTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.make = maker.Maker()

    def _path(self):
        trace = self.make.trace()
        return [
            (
                step.span.name + (' on the way' if step.on_the_way else ''),
                step.start / maker.MS,
                step.end / maker.MS,
            )
            for step in critical_path.critical_path(trace, clock.of(trace))
        ]

    def test_one_after_the_other(self):
        root = self.make.span('root', 0, 100)
        self.make.span('first', 10, 30, root)
        self.make.span('second', 40, 90, root)

        self.assertEqual(
            [
                ('root', 0, 10),
                ('first', 10, 30),
                ('root', 30, 40),
                ('second', 40, 90),
                ('root', 90, 100),
            ],
            self._path(),
        )

    def test_of_parallel_work_only_the_last_one_matters(self):
        root = self.make.span('root', 0, 100)
        self.make.span('short', 10, 50, root)
        self.make.span('long', 10, 80, root)

        self.assertEqual(
            [('root', 0, 10), ('long', 10, 80), ('root', 80, 100)],
            self._path(),
        )

    def test_a_cast_goes_on_after_its_request(self):
        root = self.make.span('POST', 0, 50, kind='SERVER')
        cast = self.make.span('cast', 20, 22, root, kind='PRODUCER')
        build = self.make.span('build', 60, 200, cast, kind='CONSUMER')
        self.make.span('plug', 100, 150, build)

        self.assertEqual(
            [
                ('POST', 0, 20),
                ('cast', 20, 22),
                ('build on the way', 22, 60),
                ('build', 60, 100),
                ('plug', 100, 150),
                ('build', 150, 200),
            ],
            self._path(),
        )

    def test_nobody_waits_for_a_cast_that_ends_early(self):
        root = self.make.span('POST', 0, 100, kind='SERVER')
        cast = self.make.span('cast', 20, 22, root, kind='PRODUCER')
        self.make.span('log', 23, 60, cast, kind='CONSUMER')

        self.assertEqual(
            [('POST', 0, 20), ('cast', 20, 22), ('POST', 22, 100)],
            self._path(),
        )

    def test_work_that_outlives_its_parent(self):
        root = self.make.span('root', 0, 10)
        self.make.span('greenthread', 5, 80, root)

        self.assertEqual(
            [('root', 0, 5), ('greenthread', 5, 80)], self._path()
        )

    def test_it_adds_up_to_the_whole_trace(self):
        root = self.make.span('root', 0, 1000)
        parents = [root]
        for number in range(200):
            parent = parents[number // 3]
            start = parent.start / maker.MS + number % 7
            end = max(start, parent.end / maker.MS - number % 5)
            parents.append(self.make.span(f's{number}', start, end, parent))

        path = self._path()

        self.assertEqual(1000, sum(end - start for _, start, end in path))
        for (_, _, end), (_, start, _) in itertools.pairwise(path):
            self.assertEqual(end, start)

    def test_deep_chains_circles_and_nothing_at_all(self):
        self.assertEqual([], self._path())
        span = None
        for number in range(100_000):
            span = self.make.span('deep', number, 200_000 - number, span)
        self.make.span('a', 0, 10, parent_id=f'{100_002:016x}')
        self.make.span('b', 0, 10, parent_id=f'{100_001:016x}')

        self.assertEqual(199_999, len(self._path()))

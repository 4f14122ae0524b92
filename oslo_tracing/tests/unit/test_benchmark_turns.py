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

"""Clouds that are compared make their calls in turns."""

from __future__ import annotations

from concurrent import futures
import threading

from benchmarks import turns
from oslo_tracing.tests import base


class TurnsTest(base.TestCase):
    def spend(self, calls, nested=0):
        """Return who was asked, in that order.

        :param calls: how many each makes, by name.
        :param nested: calls that each answer needs of another service.
        """
        among = turns.Turns(list(calls))
        asked = []
        busy = threading.Lock()

        def ask(name):
            with among.take(name):
                # Nobody else is asked meanwhile.
                self.assertTrue(busy.acquire(blocking=False))
                asked.append(name)
                for _ in range(nested):
                    with among.take(name):
                        pass
                busy.release()

        def spend(name):
            try:
                for _ in range(calls[name]):
                    ask(name)
            finally:
                among.leave(name)

        with futures.ThreadPoolExecutor(len(calls)) as pool:
            list(pool.map(spend, calls))
        return asked

    def test_each_is_asked_once_before_anyone_is_asked_again(self):
        asked = self.spend({'a': 40, 'b': 40, 'c': 40})
        for at in range(0, len(asked), 3):
            self.assertEqual({'a', 'b', 'c'}, set(asked[at : at + 3]))

    def test_each_comes_first_in_turn(self):
        self.assertEqual(
            ['a', 'b', 'c', 'a'],
            self.spend({'a': 4, 'b': 4, 'c': 4})[::3],
        )

    def test_who_is_done_is_not_waited_for(self):
        asked = self.spend({'a': 2, 'b': 5, 'c': 0})
        self.assertEqual(
            ['a', 'b', 'b', 'a', 'b', 'b', 'b'],
            asked,
        )

    def test_what_an_answer_needs_does_not_wait(self):
        self.assertEqual(6, len(self.spend({'a': 3, 'b': 3}, nested=2)))

    def test_one_alone_does_not_wait(self):
        self.assertEqual(['a'] * 3, self.spend({'a': 3}))

    def test_a_failure_stops_nobody(self):
        among = turns.Turns(['a', 'b'])
        failures = []

        def fail():
            try:
                with among.take('a'):
                    raise RuntimeError('no')
            except RuntimeError as error:
                failures.append(str(error))
            finally:
                among.leave('a')

        def go_on():
            for _ in range(3):
                with among.take('b'):
                    pass
            among.leave('b')

        with futures.ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(fail), pool.submit(go_on)]:
                done.result(60)
        self.assertEqual(['no'], failures)

    def test_it_does_not_wait_for_ever(self):
        among = turns.Turns(['a', 'b'], patience=0.01)

        def take():
            with among.take('a'):
                self.fail('The other one has not come.')

        self.assertRaises(TimeoutError, take)

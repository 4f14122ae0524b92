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

import subprocess
import sys
import threading

import fixtures

from oslo_tracing.sampling import rate_limit
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support

# In a process of its own: monkey patching cannot be taken back.
_UNDER_EVENTLET = '''
import eventlet
eventlet.monkey_patch()
from eventlet import patcher
from oslo_tracing.sampling import rate_limit

bucket = rate_limit.TokenBucket(lambda: 50.0)
real = patcher.original('threading')
assert type(bucket._process.lock).__module__ == '_thread'
taken = []


def take():
    taken.append(bucket.take())


# Green threads and real ones: a green lock would raise in one of them.
green = [eventlet.spawn(take) for _number in range(20)]
threads = [real.Thread(target=take) for _number in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for thread in green:
    thread.wait()
assert taken == [True] * 40, taken
'''


class TokenBucketTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.now = 1000.0
        self.rate = 2.0
        self.useFixture(
            fixtures.MonkeyPatch('time.monotonic', lambda: self.now)
        )
        self.bucket = rate_limit.TokenBucket(lambda: self.rate)

    def _take_all(self):
        taken = 0
        while self.bucket.take():
            taken += 1
        return taken

    def test_a_seconds_worth_at_once_and_then_the_rate(self):
        self.assertEqual(2, self._take_all())
        for _second in range(5):
            self.now += 0.5
            self.assertEqual(1, self._take_all())
        self.now += 0.25
        self.assertEqual(0, self._take_all())
        self.now += 0.25
        self.assertEqual(1, self._take_all())

    def test_a_long_pause_saves_up_one_second_only(self):
        self._take_all()
        self.now += 86400.0
        self.assertEqual(2, self._take_all())

    def test_a_rate_below_one_is_a_rate(self):
        self.rate = 0.125
        self.assertEqual(1, self._take_all())
        self.now += 7.0
        self.assertEqual(0, self._take_all())
        self.now += 1.0
        self.assertEqual(1, self._take_all())

    def test_of_zero_nothing_is_let_through(self):
        self.rate = 0.0
        self.assertEqual(0, self._take_all())
        self.now += 100.0
        self.assertEqual(0, self._take_all())

    def test_the_rate_can_change(self):
        self._take_all()
        self.rate = 8.0
        self.now += 1.0
        self.assertEqual(8, self._take_all())
        self.now += 1.0
        self.rate = 4.0
        self.assertEqual(4, self._take_all(), 'what was saved is cut')
        self.rate = 0.0
        self.now += 1.0
        self.assertEqual(0, self._take_all())

    def test_time_that_stands_still_or_goes_back_gives_nothing(self):
        self._take_all()
        self.assertEqual(0, self._take_all())
        self.now -= 10.0
        self.assertEqual(0, self._take_all())

    def test_threads_share_the_tokens(self):
        self.rate = 100.0
        start = threading.Barrier(8)
        taken = []

        def take():
            start.wait(60)
            for _number in range(50):
                if self.bucket.take():
                    taken.append(1)

        threads = [threading.Thread(target=take) for _number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(100, len(taken))

    def test_two_threads_do_not_take_at_once(self):
        taken = []
        thread = threading.Thread(
            target=lambda: taken.append(self.bucket.take())
        )
        with self.bucket._process.lock:
            thread.start()
            thread.join(0.2)
            self.assertEqual([], taken)
        thread.join()
        self.assertEqual([True], taken)

    def test_it_can_be_asked_while_it_answers(self):
        # As by a span that the garbage collector starts within take().
        answers = []

        def nested():
            with self.bucket._process.lock:
                answers.append(self.bucket.take())

        thread = threading.Thread(target=nested, daemon=True)
        thread.start()
        thread.join(10)
        self.assertEqual([True], answers)

    def test_a_forked_child_has_a_bucket_of_its_own(self):
        self._take_all()
        locked, forked = threading.Event(), threading.Event()

        def hold():
            with self.bucket._process.lock:
                locked.set()
                forked.wait(60)

        holder = threading.Thread(target=hold, daemon=True)
        holder.start()
        self.assertTrue(locked.wait(60))
        status = support.status_of_child(lambda: self._take_all() == 2)
        forked.set()
        holder.join()
        self.assertEqual(0, status)
        self.assertEqual(0, self._take_all())

    def test_under_eventlet_real_threads_can_ask_too(self):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _UNDER_EVENTLET],
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(0, done.returncode, done.stderr)

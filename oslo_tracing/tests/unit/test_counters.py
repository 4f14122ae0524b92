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


from __future__ import annotations

import threading
import time

from oslo_tracing import counters
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support


class CountersTest(base.TestCase):
    def test_counts_by_exporter_and_by_cause(self):
        counted = counters.Counters()

        counted.exported('otlp', 3)
        counted.exported('otlp')
        counted.exported('file', 4)
        counted.dropped(counters.QUEUE_FULL)
        counted.dropped(counters.DISK, 7)

        self.assertEqual(
            {
                'exported': {'otlp': 4, 'file': 4},
                'dropped': {'queue full': 1, 'disk': 7},
            },
            counted.snapshot(),
        )

    def test_the_last_trouble_of_each_cause_is_kept(self):
        counted = counters.Counters()
        began = time.time()
        counted.dropped(counters.DISK, why='no space')
        counted.dropped(counters.QUEUE_FULL, 3)
        counted.dropped(counters.DISK, why='read only')

        found = counted.troubles()

        self.assertEqual(
            {'disk': 'read only', 'queue full': 'queue full'},
            {cause: trouble['why'] for cause, trouble in found.items()},
        )
        for trouble in found.values():
            self.assertTrue(began <= trouble['at'] <= time.time())

    def test_made_up_names_do_not_make_it_grow(self):
        counted = counters.Counters()

        for number in range(1000):
            counted.dropped(f'cause {number}')
            counted.exported(f'exporter {number}')

        found = counted.snapshot()
        self.assertEqual({'other': 1000}, found['dropped'])
        self.assertLessEqual(len(found['exported']), 33)
        self.assertEqual(1000, sum(found['exported'].values()))

    def test_no_count_is_lost_between_threads(self):
        counted = counters.Counters()
        go = threading.Barrier(4)

        def count():
            go.wait()
            for _ in range(2000):
                counted.dropped(counters.QUEUE_FULL)

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        self.assertEqual({'queue full': 8000}, counted.snapshot()['dropped'])

    def test_a_snapshot_is_a_copy(self):
        counted = counters.Counters()
        counted.snapshot()['dropped']['disk'] = 5

        self.assertEqual({}, counted.snapshot()['dropped'])

    def test_a_forked_child_starts_at_zero_whatever_was_locked(self):
        counted = counters.Counters()
        counted.dropped(counters.DISK, 5)
        counted._counters().lock.acquire()
        self.addCleanup(counted._counters().lock.release)

        def work():
            counted.dropped(counters.DISK)
            return counted.snapshot()['dropped'] == {'disk': 1}

        self.assertEqual(0, support.status_of_child(work))

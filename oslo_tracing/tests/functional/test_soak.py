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

"""Minutes with a collector that fails in every way, in no order."""

from __future__ import annotations

import os
import random
import statistics
import time

from oslo_tracing.tests import base
from oslo_tracing.tests.functional import collector
from oslo_tracing.tests.functional import faults

FULL = bool(os.environ.get('OSLO_TRACING_FULL'))
SECONDS = float(
    os.environ.get('OSLO_TRACING_SOAK_SECONDS', 600 if FULL else 120)
)
SEED = int(os.environ.get('OSLO_TRACING_SOAK_SEED', time.time_ns() % 10**6))
QUEUE = 1024
OPTIONS = {
    'schedule_delay': 0.2,
    'otlp_timeout': 2.0,
    'max_queue_size': QUEUE,
    'max_export_batch_size': 128,
}
#: So many times it is well, and what a process holds is looked at.
LOOKS = max(8, round(SECONDS / 10))
MIB = 2**20
GROWTH = 4 * MIB


class SoakTest(base.TestCase):
    """Four services and one collector.

    Every span is either at the collector or counted as dropped. It may be
    both, and at the collector twice, where an answer was lost: whoever gets
    none cannot know whether the spans arrived. OTLP wants them sent again
    then ("Duplicate Data" of its specification), and what the collector
    says to the second copy is what counts.
    """

    def test_nothing_grows_and_nothing_is_lost_in_silence(self):
        print(f'OSLO_TRACING_SOAK_SEED={SEED}, {SECONDS:.0f} s')
        self.random = random.Random(SEED)
        self.collector = self.useFixture(collector.Collector(tls=True))
        self.services = {
            'threads, HTTP': self._service('threads', 'http'),
            'threads, gRPC and TLS': self._service('threads', 'grpcs'),
            'eventlet, HTTP and TLS': self._service('eventlet', 'https'),
            'eventlet, HTTP': self._service('eventlet', 'http'),
        }
        looks = []
        begun = time.monotonic()
        for number in range(LOOKS):
            self._faults(begun + SECONDS * (number + 1) / LOOKS)
            looks.append(self._look())
        self._nothing_grows(looks)
        self._nothing_is_lost(looks[-1])
        for name, service in self.services.items():
            of_tracing, _whole = service.exit()
            self.assertLess(of_tracing, 3.0, name)

    def _service(self, runtime, scheme):
        options = dict(OPTIONS)
        if scheme.endswith('s'):
            options['otlp_ca_file'] = self.collector.ca_file
        return self.useFixture(
            faults.Service(
                runtime,
                otlp_endpoint=getattr(self.collector, f'{scheme}_url'),
                otlp_protocol=(
                    'grpc' if scheme.startswith('grpc') else 'http/protobuf'
                ),
                **options,
            )
        )

    def _faults(self, until):
        """Serve requests while one fault follows the other."""
        switch = 0.0
        while time.monotonic() < until:
            if time.monotonic() > switch:
                self.collector.behave(
                    self.random.choice(collector.BEHAVIOURS),
                    self.random.choice((0.1, 1.0, 3.0)),
                )
                switch = time.monotonic() + self.random.uniform(0.2, 3.0)
            for service in self.services.values():
                service.do('requests', self.random.randrange(8))
            if self.random.random() < 0.02:
                # More than the queue can hold.
                service = self.random.choice(list(self.services.values()))
                service.do('spans', 2 * QUEUE, 'burst')
            time.sleep(0.05)

    def _look(self):
        """Return what each process holds when nothing is under way."""
        self.collector.behave('healthy')
        return {
            name: faults.settled(service)
            for name, service in self.services.items()
        }

    def _nothing_grows(self, looks):
        # The first ones have yet to meet each fault.
        looks = looks[len(looks) // 4 :]
        half = len(looks) // 2
        for name in self.services:
            for what, most in (('rss', GROWTH), ('threads', 3), ('files', 3)):
                found = [look[name][what] for look in looks]
                first, second = found[:half], found[half:]
                grown = statistics.median(second) - statistics.median(first)
                print(f'{name}: {what} grew by {grown}: {found}')
                self.assertLess(grown, most, f'{name}: {what}: {found}')

    def _nothing_is_lost(self, look):
        totals = self.collector.totals()
        print(totals)
        self.assertEqual((0, 0), (totals['undecodable'], totals['followed']))
        at_collector = {pid: count for pid, _i, count in totals['processes']}
        self.assertEqual(len(self.services), len(at_collector), totals)
        for name, state in look.items():
            dropped = state['dropped']
            exported = state['exported']['otlp']
            arrived = at_collector[state['pid']]
            both = arrived - exported
            print(f'{name}: {state}, {arrived} arrived, {both} also dropped')
            self.assertEqual(state['made'], exported + sum(dropped.values()))
            self.assertLessEqual(exported, arrived, name)
            # An answer was lost, and to the second copy it said no, or
            # nothing at all.
            self.assertLessEqual(
                both,
                dropped.get('refused', 0) + dropped.get('export failed', 0),
                name,
            )

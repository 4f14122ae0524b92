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

"""That nobody can tell which ids come next."""

from __future__ import annotations

import os
import random
import threading

from opentelemetry.sdk.trace import id_generator

from oslo_tracing import fixture
from oslo_tracing import provider
from oslo_tracing.tests import base

_OBSERVED = 1000
_WORDS = 624


def _words(number, bits):
    """Return the outputs of a Mersenne Twister that a number is made of."""
    return [number >> shift & 0xFFFFFFFF for shift in range(0, bits, 32)]


def _untempered(output):
    """Return the word of a Mersenne Twister's state behind an output."""
    word = output
    word ^= word >> 18
    word ^= word << 15 & 0xEFC60000
    undone = word
    for _turn in range(5):
        undone = word ^ (undone << 7 & 0x9D2C5680)
    word = undone & 0xFFFFFFFF
    undone = word
    for _turn in range(3):
        undone = word ^ undone >> 11
    return undone & 0xFFFFFFFF


def _rebuilt(outputs):
    """Return the generator that gave these outputs, if they are of one."""
    state = [_untempered(output) for output in outputs[-_WORDS:]]
    generator = random.Random()
    generator.setstate((3, (*state, _WORDS), None))
    return generator


def _foretold(observed, generate):
    """Say how many of the next ids somebody knows who has seen some.

    :param observed: pairs of a trace id and a span id.
    :param generate: gives the next pair.
    """
    outputs = []
    for trace_id, span_id in observed:
        outputs += _words(trace_id, 128) + _words(span_id, 64)
    attacker = _rebuilt(outputs)
    known = 0
    for _number in range(100):
        guessed = (attacker.getrandbits(128), attacker.getrandbits(64))
        known += sum(
            guess == fact
            for guess, fact in zip(guessed, generate(), strict=True)
        )
    return known


class IdsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(fixture.SpanRecorder('none'))
        self.tracer = self.spans.tracing.tracer('test')

    def pair(self):
        """Return the ids of a span that starts a trace."""
        context = self.tracer.start_span('root').get_span_context()
        return context.trace_id, context.span_id

    def pairs(self, count):
        return [self.pair() for _number in range(count)]

    def test_the_next_ids_of_the_sdk_can_be_foretold(self):
        # So the next test tries what does work on others.
        ids = id_generator.RandomIdGenerator()

        def pair():
            return ids.generate_trace_id(), ids.generate_span_id()

        # Several tries: a thread that another test has left may draw too.
        known = [
            _foretold([pair() for _number in range(_OBSERVED)], pair)
            for _try in range(5)
        ]
        self.assertEqual(200, max(known))

    def test_ours_cannot(self):
        self.assertEqual(0, _foretold(self.pairs(_OBSERVED), self.pair))

    def test_who_rewinds_random_gets_no_id_again(self):
        self.addCleanup(random.setstate, random.getstate())
        random.seed(4)
        first = self.pairs(100)
        random.seed(4)
        again = self.pairs(100)
        ids = {one for pair in first + again for one in pair}
        self.assertEqual(400, len(ids))

    def test_ids_tell_nothing_of_the_services_own_random(self):
        unchanged = False
        # Several tries: a thread that another test has left may draw.
        for _try in range(5):
            before = random.getstate()
            self.pairs(100)
            unchanged = unchanged or before == random.getstate()
        self.assertTrue(unchanged)

    def test_every_bit_is_random(self):
        # No version or variant of a UUID: others decide by some of the bits.
        ones, zeros = [0, 0], [0, 0]
        for pair in self.pairs(_OBSERVED):
            for place, one in enumerate(pair):
                ones[place] |= one
                zeros[place] |= ~one
        for place, bits in enumerate((128, 64)):
            every = (1 << bits) - 1
            self.assertEqual(every, ones[place] & every)
            self.assertEqual(every, zeros[place] & every)

    def test_the_flag_of_random_ids_is_set_where_the_sdk_knows_it(self):
        self.assertTrue(provider.UrandomIds().is_trace_id_random())

    def test_threads_get_ids_of_their_own(self):
        found = []
        start = threading.Barrier(8)

        def work():
            start.wait(60)
            found.extend(self.pairs(500))

        threads = [threading.Thread(target=work) for _number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(4000, len({pair[0] for pair in found}))
        self.assertEqual(4000, len({pair[1] for pair in found}))

    def test_forked_children_get_ids_of_their_own(self):
        found = self.pairs(100)
        for _number in range(4):
            found += self._in_child()
        found += self.pairs(100)
        self.assertEqual(600, len({pair[0] for pair in found}))
        self.assertEqual(600, len({pair[1] for pair in found}))

    def _in_child(self):
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                for pair in self.pairs(100):
                    os.write(writer, b'%x %x\n' % pair)
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader) as stream:
            lines = stream.read().splitlines()
        os.waitpid(pid, 0)
        return [
            tuple(int(number, 16) for number in line.split()) for line in lines
        ]

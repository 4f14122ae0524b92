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

"""What a stranger can do to a service, and what not: attack by mode.

Every cell is tried through the real filter behind a real server, and the
real clients of the service. The page for administrators has the same table,
which a test compares.
"""

from __future__ import annotations

import itertools
import pathlib
import re

import oslo_tracing
from oslo_tracing.tests.unit import attacks
from oslo_tracing.tests.unit import clouds
from oslo_tracing.tests.unit.integrations import http_servers

PAGE = (
    pathlib.Path(oslo_tracing.__file__).parents[1]
    / 'doc/source/admin/public-cloud.rst'
)

MODES = ('trust', 'link', 'ignore', 'signed')

NO = attacks.NO
YES = attacks.YES
BOUNDED = attacks.BOUNDED
ONE_TRACE = attacks.ONE_TRACE

#: What is tried; what comes of it in each of ``MODES``.
TABLE = {
    'joins a trace': (attacks.joins, YES, NO, NO, NO),
    'has a request recorded': (attacks.forces, YES, NO, NO, NO),
    'keeps a request from being recorded': (
        attacks.suppresses,
        YES,
        NO,
        NO,
        NO,
    ),
    'sets baggage': (attacks.sets_baggage, YES, NO, NO, NO),
    'sets tracestate': (attacks.sets_tracestate, YES, NO, NO, NO),
    'picks the trace id': (attacks.picks_the_trace_id, YES, NO, NO, NO),
    'picks the request id': (attacks.picks_the_request_id, NO, NO, NO, NO),
    'is told the trace id by traceresponse': (
        attacks.learns_the_trace_id,
        YES,
        NO,
        NO,
        NO,
    ),
    'floods with sampled requests': (attacks.floods, YES, NO, NO, NO),
    "floods with B3's debug flag": (
        attacks.floods_with_b3_debug,
        BOUNDED,
        NO,
        NO,
        NO,
    ),
    'has requests recorded with an OSProfiler key': (
        attacks.asks_with_an_osprofiler_key,
        BOUNDED,
        BOUNDED,
        NO,
        BOUNDED,
    ),
    'sets baggage or tracestate with an OSProfiler key': (
        attacks.adds_to_a_pair,
        NO,
        NO,
        NO,
        NO,
    ),
    'forges an OSProfiler pair': (attacks.forges_a_pair, NO, NO, NO, NO),
    'replays an OSProfiler pair': (
        attacks.replays_a_pair,
        BOUNDED,
        BOUNDED,
        NO,
        BOUNDED,
    ),
    'replays a signature': (
        attacks.replays_a_signature,
        YES,
        NO,
        NO,
        ONE_TRACE,
    ),
    'replays a signature after its time': (
        attacks.replays_an_old_signature,
        YES,
        NO,
        NO,
        NO,
    ),
    'signs with an OSProfiler key': (
        attacks.signs_with_a_key_of_osprofiler,
        YES,
        NO,
        NO,
        NO,
    ),
    'strips a header of what is signed': (
        attacks.strips_a_header,
        YES,
        NO,
        NO,
        NO,
    ),
    'doubles a header of what is signed': (
        attacks.doubles_a_header,
        YES,
        NO,
        NO,
        NO,
    ),
    'adds a header to what is signed': (
        attacks.adds_a_header,
        YES,
        NO,
        NO,
        NO,
    ),
    'harvests headers by a webhook': (
        attacks.harvests_by_a_webhook,
        NO,
        NO,
        NO,
        NO,
    ),
    'harvests headers by a redirect': (
        attacks.harvests_by_a_redirect,
        NO,
        NO,
        NO,
        NO,
    ),
    'reads a signature from the application': (
        attacks.reads_a_signature_from_the_application,
        NO,
        NO,
        NO,
        NO,
    ),
    'has a trace signed that is not believed': (
        attacks.gets_a_trace_signed,
        NO,
        NO,
        NO,
        NO,
    ),
}


class PublicCloudTest(http_servers.TestCase):
    def _clouds(self, mode):
        def cloud(**options):
            return self.useFixture(clouds.Cloud(mode, **options))

        return cloud

    def _try(self, mode):
        column = MODES.index(mode) + 1
        expected = {name: row[column] for name, row in TABLE.items()}
        found = {
            name: row[0](self._clouds(mode)) for name, row in TABLE.items()
        }
        self.assertEqual(expected, found)

    def test_trust(self):
        self._try('trust')

    def test_link(self):
        self._try('link')

    def test_ignore(self):
        self._try('ignore')

    def test_signed(self):
        self._try('signed')

    def test_where_strangers_come_every_cell_is_no(self):
        for name, (_try, *cells) in TABLE.items():
            answers = dict(zip(MODES, cells, strict=True))
            del answers['trust']
            allowed = {NO}
            if 'OSProfiler' in name:
                allowed.add(BOUNDED)
            if name == 'replays a signature':
                allowed.add(ONE_TRACE)
            self.assertLessEqual(set(answers.values()), allowed, name)

    def test_the_page_has_the_same_table(self):
        cells = re.findall(
            r'^   (?:\*| ) - (.*)$', PAGE.read_text(), re.MULTILINE
        )
        rows = [
            tuple(cells[start : start + 5])
            for start in range(0, len(cells), 5)
        ]
        expected = [
            ('A stranger', *(f'``{mode}``' for mode in MODES)),
            *((name, *row[1:]) for name, row in TABLE.items()),
        ]
        for wanted, found in itertools.zip_longest(expected, rows):
            self.assertEqual(wanted, found)

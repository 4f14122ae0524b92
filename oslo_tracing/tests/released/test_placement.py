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

"""Placement's own functional tests go the same way with us as without."""

from __future__ import annotations

import os

from testtools import content

from oslo_tracing.tests import base
from oslo_tracing.tests.borrowed import compare
from oslo_tracing.tests.borrowed import suites

# They do not come by the API, and take half of the time.
_SLOW = ('placement.tests.functional.db',)

_SUITE = suites.Suite(
    'placement.tests.functional',
    tests=1000,
    spans=('oslo_tracing.wsgi SERVER', 'oslo_tracing.sqlalchemy CLIENT'),
    without=() if os.environ.get('OSLO_TRACING_FULL') else _SLOW,
    loader='placement.deploy:loadapp',
    # Both runs of a pair share what processors there are.
    seconds=1500,
)


class PlacementTest(base.TestCase):
    def test_each_test_has_the_same_outcome(self):
        found = compare.compare(_SUITE)
        self.addDetail('figures', content.text_content(found.report()))
        self.assertEqual('', '\n'.join(found.problems()))

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

"""What a failed export may tell of our credentials: nothing."""

from __future__ import annotations

import base64

from oslo_tracing.exporters import _answer
from oslo_tracing.exporters import _telling
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support


class TellingTest(base.TestCase):
    def told(self, why, **headers):
        return _telling.may_be_told(
            why, support.settings(otlp_headers=headers)
        )

    def test_a_receiver_that_quotes_a_key_at_length(self):
        # Wherever the text is cut: half a key is too much.
        for key in ('k3y!-' * 3, 'k3y!-' * 100):
            for before in range(300):
                said = 'x' * before + ' ' + key
                for answer in (
                    _answer.of_http(401, said, {}, b'', 0.0),
                    _answer.of_http(302, said, {}, b'', 0.0),
                    _answer.of_grpc('UNAUTHENTICATED', said, None),
                    _answer.no_answer(OSError(said)),
                ):
                    self.assertNotIn('k3y', self.told(answer.why, key=key))

    def test_in_other_letters(self):
        told = self.told('no such key: "HUSH-hush"', key='Hush-Hush')
        self.assertEqual('no such key: "***"', told)

    def test_whom_a_basic_header_names(self):
        pair = base64.b64encode(b'ingest:hunter2').decode()
        for said in (pair, 'ingest:hunter2', 'hunter2'):
            told = self.told(f'401 {said}!', authorization=f'Basic {pair}')
            self.assertEqual('401 ***!', told)

    def test_what_only_looks_like_one(self):
        for value in ('Basic', 'Basic ?', 'Basic /w==', 'basic x y'):
            self.assertEqual('why', self.told('why', authorization=value))

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

from oslo_tracing import _printable
from oslo_tracing.tests import base


class PrintableTest(base.TestCase):
    def test_plain_text_of_any_language_stays(self):
        for text in ('', 'GET /v3 {id}', 'žluťoučký kůň', '服务', 'a\\b'):
            self.assertEqual(text, _printable.printable(text))

    def test_what_moves_the_cursor_or_hides_text_is_escaped(self):
        for text, expected in (
            ('\x1b[2Jx', r'\x1b[2Jx'),
            ('a\nb\r\tc', r'a\nb\r\tc'),
            ('\x00\x7f\x9b1m', r'\x00\x7f\x9b1m'),
            ('\u202egnp.exe\u2066', r'\u202egnp.exe\u2066'),
            ('a\u2028b\u200bc', r'a\u2028b\u200bc'),
            ('\U000e0041', r'\U000e0041'),
        ):
            self.assertEqual(expected, _printable.printable(text))

    def test_half_characters_can_be_encoded_afterwards(self):
        shown = _printable.printable('\ud800x\udcff')

        self.assertEqual(rb'\ud800x\udcff', shown.encode('utf-8'))

    def test_the_limit_counts_before_escaping_and_is_told(self):
        self.assertEqual('ab\u2026', _printable.printable('abc', 2))
        self.assertEqual('abc', _printable.printable('abc', 3))
        self.assertEqual(
            '\\x1b\\x1b\u2026', _printable.printable('\x1b' * 10**6, 2)
        )

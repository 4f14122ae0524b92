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

from oslo_tracing.report.sources import _json
from oslo_tracing.tests import base


class LoadsTest(base.TestCase):
    def test_plain_values(self):
        self.assertEqual(
            ({'a': [1, -2.5, 'x', None, True]}, True),
            _json.loads(b'\xef\xbb\xbf{"a": [1, -2.5, "x", null, true]}'),
        )

    def test_bad_utf8_is_replaced_and_told(self):
        self.assertEqual(('a\ufffdb', False), _json.loads(b'"a\xffb"'))

    def test_numbers_that_fit_nowhere_are_refused_alone(self):
        for text in (
            b'NaN',
            b'Infinity',
            b'-Infinity',
            b'1e999',
            b'9' * 5000,
            b'-' + b'1' * 5000,
        ):
            (refused, kept), _ = _json.loads(b'[%b, 7]' % text)
            self.assertIs(_json.REFUSED, refused)
            self.assertEqual(7, kept)

    def test_depth_is_counted_without_what_is_in_text(self):
        deep = b'[' * 64 + b']' * 64
        self.assertIsInstance(_json.loads(deep)[0], list)
        text = b'["' + b'[' * 100 + b'\\"[\\\\", ' + deep[1:-1] + b']'
        self.assertEqual(2, len(_json.loads(text)[0]))
        self.assertRaises(_json.NotJson, _json.loads, b'[' + deep + b']')
        hidden = b'["]]]]\\\\\\"]]]]", ' + deep + b']'
        self.assertRaises(_json.NotJson, _json.loads, hidden)

    def test_a_million_brackets_are_refused_and_nothing_breaks(self):
        for text in (b'[', b'{"a":', b'[]]', b'[{'):
            self.assertRaises(_json.NotJson, _json.loads, text * 1_000_000)

    def test_what_is_no_json_is_refused(self):
        for text in (b'', b'{', b'{"a": }', b'nul', b'\x00', b'\xff\xfe'):
            self.assertRaises(_json.NotJson, _json.loads, text)

    def test_open_brackets_are_counted_outside_of_text(self):
        self.assertEqual(2, _json.unclosed(b'{"a}": [ '))
        self.assertEqual(-1, _json.unclosed(b'], "[": {} '))

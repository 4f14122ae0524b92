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

from oslo_tracing.report import model
from oslo_tracing.report import query
from oslo_tracing.tests import base


def _has(value, wanted):
    span = model.Span(
        'a' * 32,
        'b' * 16,
        None,
        'work',
        'INTERNAL',
        1,
        2,
        model.Resource(),
        model.Scope(),
        {'key': value},
    )
    return query.Query(attributes=(('key', wanted),)).of_span(span)


class AttributeTest(base.TestCase):
    def test_values_are_matched_as_json_has_them(self):
        for value, wanted in (
            ([1, 2], '[1,2]'),
            ([1, 2], '[1, 2]'),
            ([1, 2], ' [ 1,2 ] '),
            ([1, 2], '[1.0,2e0]'),
            (['a', 'b'], '["a","b"]'),
            (['a', 'b'], '["a", "b"]'),
            (['a', 'b'], '["a*","?"]'),
            (['ü'], '["ü"]'),
            (['ü'], '["\\u00fc"]'),
            ([True, None, False], '[true,null,false]'),
            ([True, None], '[true, *]'),
            ([], '[]'),
            ([[1], []], '[[1],[]]'),
            ({'a': 1, 'b': [2]}, '{"b":[2],"a":1}'),
            (None, 'null'),
            (True, 'true'),
            (1.0, '1'),
            (1, '1.0'),
            (100, '1e2'),
            (1e20, '1e20'),
            # Jaeger keeps lists as text.
            ('["a","b"]', '["a", "b"]'),
            ('["a", "b"]', '["a","b"]'),
        ):
            self.assertTrue(_has(value, wanted), (value, wanted))

    def test_values_are_matched_as_show_prints_them(self):
        for value, wanted in (
            ([1, 2], '[1, 2]'),
            (['a', 'b'], "['a', 'b']"),
            (['a', None, True], "['a', None, True]"),
            ({'a': 1}, "{'a': 1}"),
            (None, 'None'),
            (True, 'True'),
            (1.5, '1.5'),
            ([1, 2], '*1*'),
            (b'a', "b'a'"),
            ('1', '1'),
            ('null', 'null'),
            ('[x', '[x'),
            ('[x', '[*'),
        ):
            self.assertTrue(_has(value, wanted), (value, wanted))

    def test_what_is_another_value_does_not_match(self):
        for value, wanted in (
            ([1, 2], '[2,1]'),
            ([1, 2], '[1,2,3]'),
            ([1, 2], '1,2'),
            ([1], '[true]'),
            ([True], '[1]'),
            (['1'], '[1]'),
            ([1], '["1"]'),
            (1, 'true'),
            (True, '1'),
            (0, 'false'),
            (None, 'false'),
            (None, '0'),
            (None, ''),
            ('1', '1.0'),
            ('true', 'True'),
            ('null', 'None'),
            ({'a': 1}, '{"a":true}'),
            ({'a': 1}, '{"b":1}'),
            ({'a': 1}, '[["a",1]]'),
            ([1], '[' * 100_000),
            ('[' * 100_000, '[1]'),
            ('[1', '[1]'),
        ):
            self.assertFalse(_has(value, wanted), (value, wanted))

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

from oslo_tracing import exceptions
from oslo_tracing import opts
from oslo_tracing.sampling import ratio
from oslo_tracing.sampling import rules
from oslo_tracing.tests import base

ALL = ratio.threshold(1.0)
NONE = ratio.threshold(0.0)
HALF = ratio.threshold(0.5)


class RulesTest(base.TestCase):
    def _threshold(self, texts, kind, name):
        return rules.compiled(texts)[kind].threshold(name)

    def test_the_first_that_matches_decides(self):
        texts = (
            'server "GET /v2.1/servers/{id}" 0.5',
            'server "GET /v2.1/*" 1',
            'server "POST *" 0',
        )
        for name, least in (
            ('GET /v2.1/servers/{id}', HALF),
            ('GET /v2.1/servers', ALL),
            ('POST /v2.1/servers', NONE),
            ('POST /v2.1/servers', NONE),
            ('GET /', None),
            ('GET /', None),
            ('get /v2.1/servers', None),
        ):
            self.assertEqual(
                least, self._threshold(texts, 'server', name), name
            )

    def test_each_kind_has_its_own(self):
        tables = rules.compiled(
            [f'{kind} "{kind}*" 0.5' for kind in rules.KINDS]
        )
        for kind in rules.KINDS:
            self.assertEqual(HALF, tables[kind].threshold(f'{kind}/x'))
            self.assertIsNone(tables[kind].threshold('other'))

    def test_what_no_rule_is_for_is_not_there(self):
        self.assertEqual({'periodic', 'rpc'}, set(rules.compiled(_DEFAULTS)))
        self.assertEqual({}, rules.compiled([]))
        self.assertEqual({}, rules.compiled(['', '  ']))

    def test_the_default_spares_what_nobody_asked_for(self):
        for kind, name, least in (
            ('periodic', 'update_available_resource', NONE),
            ('rpc', 'q-reports-plugin/report_state', NONE),
            ('rpc', 'conductor/report_states', None),
            ('rpc', 'conductor/build_instances', None),
        ):
            self.assertEqual(
                least, self._threshold(_DEFAULTS, kind, name), name
            )

    def test_space_is_free_and_so_is_how_a_number_is_written(self):
        for text in (
            'rpc "*" 0.5',
            '  rpc   "*"   .5  ',
            '\trpc\t"*"\t0.50',
            'rpc"*"0.5',
            'rpc "*" 5e-1',
        ):
            self.assertEqual(HALF, self._threshold([text], 'rpc', 'a/b'))

    def test_globs(self):
        for glob, name, matches in (
            ('*', '', True),
            ('GET /a?', 'GET /ab', True),
            ('GET /a?', 'GET /a', False),
            ('GET /[ab]', 'GET /b', True),
            ('GET /{id}', 'GET /{id}', True),
            ('GET /a.b', 'GET /axb', False),
            ('*a*a*a*a*a*a*a*a*a*b', 'a' * 500, False),
            ('a', 'a\nb', False),
        ):
            found = self._threshold([f'server "{glob}" 1'], 'server', name)
            self.assertEqual(matches, found is not None, glob)

    def test_a_wrong_rule_is_named_with_its_reason(self):
        for text, why in (
            ('nonsense', 'must begin with one of server, client, rpc'),
            ('"*" 0', 'must begin with one of'),
            ('Server "*" 0', 'must begin with one of'),
            ('serverless "*" 0', 'must begin with one of'),
            ('server', 'followed by a glob in double quotes'),
            ('server * 0', 'followed by a glob in double quotes'),
            ("server '*' 0", 'followed by a glob in double quotes'),
            ('server "* 0', 'followed by a glob in double quotes'),
            ('server "" 0', 'an empty glob'),
            ('server "*"', 'the share is missing'),
            ('server "*" 2', 'a number from 0 to 1'),
            ('server "*" -0.1', 'a number from 0 to 1'),
            ('server "*" 10%', 'a number from 0 to 1'),
            ('server "*" nan', 'a number from 0 to 1'),
            ('server "*" inf', 'a number from 0 to 1'),
            ('server "*" 1_0', 'a number from 0 to 1'),
            ('server "*" \u0661', 'a number from 0 to 1'),
            ('server "*" 0 0', 'a number from 0 to 1'),
            ('server "*" 0 # why', 'a number from 0 to 1'),
            ('server "' + '*' * 1024 + '" 0', 'longer than 1024'),
        ):
            error = self.assertRaises(
                exceptions.InvalidOption,
                rules.compiled,
                ['periodic "*" 0', text, 'rpc "*" 0'],
            )
            told = str(error)
            self.assertIn('[tracing] sampling_rules = ', told)
            self.assertIn(repr(text[:256]), told)
            self.assertIn('rule 2 of 3: ', told)
            self.assertIn(why, told)
            self.assertLess(len(told), 600)

    def test_there_is_a_most_of_them(self):
        rules.compiled(['rpc "a" 0'] * rules.MAX_RULES)
        error = self.assertRaises(
            exceptions.InvalidOption,
            rules.compiled,
            ['rpc "a" 0'] * (rules.MAX_RULES + 1),
        )
        self.assertIn('(257 rules): 256 rules are the most', str(error))

    def test_names_that_a_stranger_makes_up_do_not_add_up(self):
        table = rules.compiled(['server "*9" 0'])['server']
        for number in range(3 * rules.MAX_KEPT):
            name = f'GET /{number}'
            least = NONE if name.endswith('9') else None
            self.assertEqual(least, table.threshold(name))
        table.threshold('x' * (rules.MAX_NAME + 1))
        self.assertEqual(rules.MAX_KEPT, len(table._kept))


_DEFAULTS = next(
    option.default
    for option in opts.list_opts()[0][1]
    if option.name == 'sampling_rules'
)

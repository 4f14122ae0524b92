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

"""What is told at a glance is what reading it tells."""

from __future__ import annotations

import random

import fixtures

from oslo_tracing.scrub import _sql_plain
from oslo_tracing.scrub import sql
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.scrub import sql_cases

_DIALECTS = ('mysql', 'postgresql', 'sqlite', 'mssql', '')
_PIECES = (
    *('SELECT ', 'DISTINCT ', 'a.b AS c', ', ', '`t`.`key` AS k', ' \nFROM '),
    *('"x".y AS z', 'FROM', 't', 'user', ' WHERE ', 'a.b = ', ' AND '),
    *('%s', '%(x_1)s', '%(1)s', '?', '::VARCHAR', ':name', '$1', '%', '%sx'),
    *(' IN (', ' in(', 'IN\n(', '(', ')', ' VALUES (', 'VALUES', 'min('),
    *('password ', 'password(', 'PASSWORD (', 'set password', 'SET ROLE x'),
    *('grant ', 'create user ', 'ALTER ROLE ', 'identified by ', 'created_at'),
    *('1', '.5', 'a1', '_1', '1a', "'x'", '"x"', '`x`', 'N', '0xFF', '1e3'),
    *('--', '- -', '/*', '*/', '#', '\n', '\t', '  ', ':', '::', '.', '*'),
    *('+', '||', '<>', '\u00e4', '\x1c', '\x0b', '@x', '\\', '[x]', ';'),
    *('UPDATE t SET a=%s', 'INSERT INTO t (a) VALUES (%s)', ' UNION ALL '),
    *('WITH x AS (SELECT a.b AS c FROM t) ', 'COUNT(*) AS n', 'FROM DUAL'),
)
_CASES = [
    text for _, _, text, _ in sql_cases.STATEMENTS if isinstance(text, str)
]
_QUERY = (
    'SELECT instances.id AS instances_id, instances_1.uuid AS u \nFROM '
    'instances LEFT OUTER JOIN instances AS instances_1 ON instances.id = '
    'instances_1.id \nWHERE instances.deleted = {} \n LIMIT {}'
)


def _generated(some):
    kind = some.randrange(3)
    if kind == 0:
        return ''.join(some.choices(_PIECES, k=some.randrange(1, 14)))
    if kind == 1:
        columns = ', '.join(
            f't{some.randrange(3)}.c{number} AS t_{number}'
            for number in range(some.randrange(1, 9))
        )
        rest = ''.join(some.choices(_PIECES, k=some.randrange(10)))
        return f'SELECT {columns}{some.choice((" ", " ", ""))}\nFROM {rest}'
    text = some.choice(_CASES)
    for _ in range(some.randrange(3)):
        where = some.randrange(len(text) + 1)
        after = text[where + some.randrange(3) :]
        text = f'{text[:where]}{some.choice(_PIECES)}{after}'
    return text


class PlainTest(base.TestCase):
    def _told(self, texts):
        return [
            (
                text,
                dialect,
                sql.statement(text, True, dialect),
                sql.statement(text, False, dialect),
                sql.summary(text, dialect),
            )
            for text in texts
            for dialect in _DIALECTS
        ]

    def test_at_a_glance_is_told_what_reading_tells(self):
        some = random.Random(1)
        texts = [_generated(some) for _ in range(1500)]
        self.assertGreater(sum(map(_sql_plain.is_plain, texts)), 100)
        found = self._told(texts)
        for name, reading in (
            ('is_plain', lambda text: False),
            ('without_columns', lambda text: text),
        ):
            self.useFixture(
                fixtures.MonkeyPatch(
                    f'oslo_tracing.scrub._sql_plain.{name}', reading
                )
            )
        self.assertEqual(self._told(texts), found)

    def test_what_sqlalchemy_writes_is_told_at_a_glance(self):
        for place in ('%s', '?', '%(x_1)s', '%(x_1)s::INTEGER'):
            self.assertTrue(_sql_plain.is_plain(_QUERY.format(place, place)))

    def test_what_has_more_in_it_is_read(self):
        for other in (
            "'x'",
            '"x"',
            '`x`',
            '1',
            '$1',
            '%(x)sset',
            ':x',
            '-x',
            'x -- y',
            'x /* y */',
            '(SELECT x) # y',
            'x\u00e4',
            'PASSWORD (x)',
            'x OR y IN (z)',
        ):
            self.assertFalse(_sql_plain.is_plain(_QUERY.format('?', other)))

    def test_a_text_that_is_made_to_take_long_does_not(self):
        for text, plain in (
            ('a' * 4096, True),
            ('a.b AS ' * 600, True),
            ('(' * 4096, True),
            ('a.b AS c, ' * 400, True),
            ('%' * 4096, False),
            (':' * 4096, False),
        ):
            self.assertEqual(plain, _sql_plain.is_plain(text))
            self.assertFalse(_sql_plain.is_plain(f'{text};'))
            query = f'SELECT {text};'
            self.assertEqual(query, _sql_plain.without_columns(query))

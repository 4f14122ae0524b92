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

from __future__ import annotations

import random

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite

from oslo_tracing.scrub import sql
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.scrub import hostile
from oslo_tracing.tests.unit.scrub import sql_cases


class StatementTest(base.TestCase):
    def test_every_case_of_the_table(self):
        self.assertGreaterEqual(len(sql_cases.STATEMENTS), 60)
        wrong = []
        for dialect, parameters, given, expected in sql_cases.STATEMENTS:
            said = sql.statement(given, parameters, dialect)
            if expected is None:
                expected = given
            elif expected == 'never':
                expected = None
            if said != expected:
                wrong.append((dialect, given, said, expected))
        self.assertEqual([], wrong)

    def test_what_sqlalchemy_compiles_stays_but_for_the_list(self):
        users = sa.table('user', sa.column('id'), sa.column('name'))
        query = sa.select(users).where(
            users.c.id.in_([1, 2, 3]), users.c.name == 'Hunter2'
        )
        for dialect in (
            mysql.dialect(),
            postgresql.dialect(),
            sqlite.dialect(),
        ):
            compiled = query.compile(
                dialect=dialect,
                compile_kwargs={'render_postcompile': True},
            )
            text = str(compiled)
            said = sql.statement(text, True, dialect.name)
            start, _in, rest = text.partition(' IN (')
            first = rest.partition(',')[0]
            end = rest[rest.index(' AND ') :]
            self.assertEqual(f'{start} IN ({first}){end}', said)
            self.assertEqual('SELECT user', sql.summary(text, dialect.name))

            literal = str(
                query.compile(
                    dialect=dialect, compile_kwargs={'literal_binds': True}
                )
            )
            said = sql.statement(literal, False, dialect.name)
            self.assertIn('Hunter2', literal)
            self.assertNotIn('Hunter2', said)
            self.assertIn(' IN (?)', said)

    def test_a_literal_is_not_said_wherever_the_text_is_cut(self):
        for dialect in ('mysql', 'postgresql', 'sqlite', ''):
            for literal in ("'Hunter2'", "E'Hunter2'", '$a$Hunter2$a$'):
                if dialect in ('mysql', 'sqlite') and literal[0] == '$':
                    continue
                for length in range(4070, 4110, 3):
                    text = 'SELECT ' + 'a, ' * ((length - 7) // 3) + literal
                    for parameters in (True, False):
                        said = sql.statement(
                            text + ' FROM t', parameters, dialect
                        )
                        self.assertNotIn('Hunt', said)
                        self.assertLessEqual(len(said), 4096)

    def test_a_list_of_any_length_makes_one_text(self):
        said = {
            sql.statement(
                f'SELECT a FROM b WHERE c IN ({", ".join(["%s"] * count)})',
                True,
            )
            for count in range(1, 100)
        }

        self.assertEqual({'SELECT a FROM b WHERE c IN (%s)'}, said)

    def test_whatever_comes_in_something_bounded_comes_out(self):
        for text in hostile.texts(random.Random(2), 150):
            for dialect in ('mysql', 'postgresql', 'sqlite', ''):
                for parameters in (True, False):
                    said = sql.statement(text, parameters, dialect)
                    if said is None:
                        continue
                    self.assertLessEqual(len(said), 4096)
                    self.assertEqual(
                        said,
                        sql.statement(said, parameters, dialect),
                        (text, dialect),
                    )

    def test_quotes_around_a_secret_hide_it_whatever_is_around_them(self):
        rng = random.Random(4)
        pieces = (
            ' a ', "'b'", "''", '1', '/* c */', '(', ')', ',', ' IN (', '"d"',
            '`e`', ' VALUES (', '\\', '::int', '%s', '?', '\n',
        )  # fmt: skip
        for _ in range(500):
            before = ''.join(rng.choices(pieces, k=rng.randrange(12)))
            after = ''.join(rng.choices(pieces, k=rng.randrange(12)))
            text = f"SELECT {before} 'Hunter2' {after}"
            for dialect in ('mysql', 'postgresql', 'sqlite', ''):
                for parameters in (True, False):
                    said = sql.statement(text, parameters, dialect)
                    self.assertNotIn('Hunter2', said or '', (text, dialect))

    def test_sessions_that_escape_otherwise_than_their_dialect(self):
        both = ('mysql', 'postgresql')
        for dialects, given, expected in (
            # With NO_BACKSLASH_ESCAPES there is a secret.
            (
                ('mysql', 'mariadb'),
                r"SELECT 'C:\', 'Hunter2', 'x' FROM t",
                'SELECT...',
            ),
            (
                ('mysql', 'mariadb'),
                r'SELECT "C:\", "Hunter2", "x" FROM t',
                'SELECT...',
            ),
            (
                ('postgresql',),
                r"SELECT 'C:\', 'x' FROM t",
                'SELECT ?, ? FROM t',
            ),
            # And with standard_conforming_strings = off.
            (('postgresql',), r"SELECT 'a\' Hunter2 ', b FROM t", 'SELECT...'),
            (
                ('mysql',),
                r"SELECT 'a\' Hunter2 ', b FROM t",
                'SELECT ?, b FROM t',
            ),
            (
                ('postgresql',),
                r"SELECT a LIKE b ESCAPE '\' OR c LIKE d ESCAPE '\' FROM t",
                'SELECT a LIKE b ESCAPE ? OR c LIKE d ESCAPE ? FROM t',
            ),
            # Both have an end, or none has.
            (both, r"SELECT a, 'C:\', 'Hunter2' -- it's", 'SELECT a,...'),
            (
                ('postgresql',),
                r"SELECT a, 'C:\', 'Hunter2', 'x'' FROM t",
                'SELECT a,...',
            ),
            (
                both,
                r"SELECT a, '\', ' FROM Hunter2 ', '\' -- 'z",
                'SELECT a,...',
            ),
            # It is the same.
            (
                both,
                r"SELECT 'x\\', 'Hunter2', 'y\z' FROM t",
                'SELECT ?, ?, ? FROM t',
            ),
        ):
            for dialect in dialects:
                for parameters in (True, False):
                    said = sql.statement(given, parameters, dialect)
                    self.assertEqual(expected, said, (given, dialect))
                self.assertEqual(
                    'SELECT t' if expected.endswith('t') else 'SELECT',
                    sql.summary(given, dialect),
                )

    def test_whatever_postgresql_takes_for_the_tag_of_a_literal(self):
        for tag in ('', 'a', '_', 'é', 'aé1', '\N{GRINNING FACE}', 'a' * 300):
            for dialect in ('postgresql', ''):
                quotes = f'${tag}$'
                for inside in ("it's Hunter2", 'Hunter2', ' $b$Hunter2$b$ '):
                    given = f'SELECT {quotes}{inside}{quotes}, b FROM t'
                    for parameters in (True, False):
                        self.assertEqual(
                            'SELECT ?, b FROM t',
                            sql.statement(given, parameters, dialect),
                        )
                    self.assertEqual('SELECT t', sql.summary(given, dialect))
                self.assertEqual(
                    'SELECT a,...',
                    sql.statement(f'SELECT a, {quotes}Hunter2', True, dialect),
                )

    def test_the_end_of_half_a_text_says_nothing(self):
        for literal in (r"'C:\'", r"'a\' Hunter2 '"):
            for fill in range(4050, 4100):
                text = f"SELECT {literal}, {'a, ' * (fill // 3)}'Hunter2', 'b'"
                for dialect in ('mysql', 'postgresql'):
                    said = sql.statement(text, True, dialect)
                    self.assertNotIn('Hunter2', said)

    def test_only_the_start_of_a_huge_statement_is_read(self):
        for text in hostile.huge():
            said = sql.statement(text, False, 'mysql')
            self.assertLessEqual(len(said or ''), 4096)


class SummaryTest(base.TestCase):
    def test_every_case_of_the_table(self):
        said = [
            (
                given,
                sql.summary(given),
                sql.operation(given),
                sql.is_write(given),
            )
            for given, *_ in sql_cases.SUMMARIES
        ]

        self.assertEqual(
            [], [one for one in said if one not in sql_cases.SUMMARIES]
        )

    def test_what_changes_data_in_other_words(self):
        said = [
            (dialect, given, sql.is_write(given, dialect))
            for dialect, given, _ in sql_cases.WRITES
        ]

        self.assertEqual(list(sql_cases.WRITES), said)

    def test_what_changes_data_behind_very_many_columns(self):
        columns = ', '.join(f'b.c{n} AS b_{n}' for n in range(900))

        self.assertTrue(
            sql.is_write(f'SELECT {columns} INTO t FROM b', 'postgresql')
        )
        self.assertTrue(
            sql.is_write(f'SELECT {columns} FROM b; DROP TABLE b', 'mysql')
        )
        self.assertFalse(
            sql.is_write(f'SELECT {columns} FROM b JOIN c;', 'mysql')
        )

    def test_names_in_brackets(self):
        for given, expected in (
            ("SELECT [it's FROM x] FROM [t], [u]", 'SELECT t u'),
            ('SELECT a FROM [dbo].[t]', 'SELECT dbo.t'),
            ('INSERT INTO [song list] VALUES (1)', 'INSERT [song list]'),
            ('DROP TABLE [t]', 'DROP TABLE t'),
        ):
            for dialect in ('mssql', 'sqlite'):
                self.assertEqual(expected, sql.summary(given, dialect))
        self.assertEqual(
            'SELECT t', sql.summary('SELECT a[1] FROM t', 'postgresql')
        )

    def test_tables_behind_very_many_columns_are_found(self):
        columns = ', '.join(f'instances.c{n} AS i_{n}' for n in range(700))
        text = f'SELECT {columns} FROM instances JOIN extra ON 1'

        self.assertGreater(len(text), 16384)
        self.assertEqual('SELECT instances extra', sql.summary(text))

    def test_it_ends_with_a_whole_name(self):
        names = [f'{letter}' * 90 for letter in 'wxyz']

        said = sql.summary(f'SELECT 1 FROM {", ".join(names)}')

        self.assertEqual(f'SELECT {names[0]} {names[1]}', said)

    def test_whatever_comes_in_something_bounded_comes_out(self):
        for text in hostile.texts(random.Random(6), 150):
            for dialect in ('mysql', 'postgresql', ''):
                self.assertLessEqual(len(sql.summary(text, dialect)), 255)
                self.assertLessEqual(len(sql.operation(text, dialect)), 16)
                self.assertIn(sql.is_write(text, dialect), (True, False))

    def test_only_the_start_of_a_huge_statement_is_read(self):
        for text in hostile.huge():
            self.assertLessEqual(len(sql.summary(text)), 255)
            self.assertLessEqual(len(sql.operation(text)), 16)

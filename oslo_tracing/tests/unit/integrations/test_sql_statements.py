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

import gc

import pymysql
import sqlalchemy

from oslo_tracing.integrations import _sql_comments
from oslo_tracing.integrations import _sql_engines
from oslo_tracing.integrations import _sql_errors
from oslo_tracing.integrations import _sql_statements
from oslo_tracing.tests import base
from oslo_tracing.tests import database


def _characters(cache):
    return sum(
        len(key[0])
        for generation in (cache._young, cache._old)
        for key in generation
    )


class StatementCacheTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.cache = _sql_statements.StatementCache(True)

    def _get(self, statement):
        return self.cache.get(statement, None, False, 'sqlite', False)

    def test_what_is_known_is_not_found_out_again(self):
        first = self._get('SELECT 1 FROM tags')
        self.assertIs(first, self._get('SELECT 1 FROM ' + 'tags'))

    def test_ten_thousand_statements_keep_it_bounded(self):
        for number in range(10000):
            self._get(f'SELECT {number} FROM tags')
        self.assertLessEqual(len(self.cache), 2 * _sql_statements.MAX_ENTRIES)

    def test_long_statements_keep_it_bounded_too(self):
        filler = 'x' * (_sql_statements.MAX_TEXT - 100)
        for number in range(600):
            self._get(f'SELECT {number} FROM tags -- {filler}')
        self.assertLessEqual(
            _characters(self.cache), 2 * _sql_statements.MAX_CHARACTERS
        )

    def test_too_long_a_statement_is_not_kept(self):
        facts = self._get('SELECT ' + '1, ' * 6000 + '1 FROM tags')
        self.assertEqual(0, len(self.cache))
        self.assertEqual('SELECT tags', facts.name)

    def test_what_is_used_outlives_what_is_not(self):
        first = self._get('SELECT 1 FROM tags')
        for number in range(5 * _sql_statements.MAX_ENTRIES):
            self._get(f'SELECT {number} FROM other')
            if number % 100 == 0:
                self.assertIs(first, self._get('SELECT 1 FROM tags'))

    def test_dialects_and_parameters_are_kept_apart(self):
        texts = {
            self.cache.get(
                'SELECT "a", 5', None, has_parameters, dialect, False
            ).attributes['db.query.text']
            for has_parameters in (True, False)
            for dialect in ('mysql', 'postgresql')
        }
        self.assertEqual(4, len(texts), texts)

    def test_what_sqlite_may_take_for_a_text_is_told_of_compiled_ones(self):
        for statement, expected in (
            (None, 'SELECT a FROM u WHERE pw = ?'),
            (
                sqlalchemy.text('SELECT 1'),
                'SELECT a FROM u WHERE pw = ?',
            ),
            (
                sqlalchemy.text('SELECT 1').columns(),
                'SELECT a FROM u WHERE pw = ?',
            ),
            (sqlalchemy.DDL('SELECT 1'), 'SELECT a FROM u WHERE pw = ?'),
            (
                sqlalchemy.select(sqlalchemy.literal(1)),
                'SELECT a FROM u WHERE pw = "hunter2"',
            ),
        ):
            compiled = None if statement is None else statement.compile()
            for has_parameters in (True, False):
                facts = self.cache.get(
                    'SELECT a FROM u WHERE pw = "hunter2"',
                    compiled,
                    has_parameters,
                    'sqlite',
                    False,
                )
                self.assertEqual(expected, facts.attributes['db.query.text'])
                self.assertEqual('SELECT u', facts.name)

    def test_what_sets_a_password_is_not_told(self):
        facts = self._get("ALTER USER 'a' IDENTIFIED BY 'hunter2'")
        self.assertNotIn('db.query.text', facts.attributes)

    def test_what_is_no_sql_has_no_name(self):
        for batch in (False, True):
            facts = self.cache.get('nonsense', None, False, 'sqlite', batch)
            self.assertEqual('', facts.name)
            self.assertNotIn('db.query.summary', facts.attributes)


class EnginesTest(base.TestCase):
    def _attributes(self, url, **dialect):
        engine = sqlalchemy.create_engine(url, future=True)
        for name, value in dialect.items():
            setattr(engine.dialect, name, value)
        return _sql_engines._attributes(engine.dialect, engine.url)

    def test_what_is_said_of_a_database(self):
        for url, dialect, expected in (
            (
                'mysql+pymysql://u:hunter2@db.example:3307/nova',
                {},
                ('mysql', 'nova', 'db.example', 3307),
            ),
            (
                'mysql+pymysql://u:hunter2@db.example/nova',
                {'is_mariadb': True},
                ('mariadb', 'nova', 'db.example', 3306),
            ),
            (
                'mariadb+pymysql://u:hunter2@db.example/nova',
                {},
                ('mariadb', 'nova', 'db.example', 3306),
            ),
            (
                'mysql+pymysql://u:hunter2@/nova?unix_socket=/run/my.sock',
                {},
                ('mysql', 'nova', '/run/my.sock', None),
            ),
            (
                'mysql+pymysql://u@localhost:3306/nova?unix_socket=/run/my.sock',
                {},
                ('mysql', 'nova', '/run/my.sock', None),
            ),
            (
                'mysql+pymysql://u@localhost/nova?unix_socket=my.sock',
                {},
                ('mysql', 'nova', 'my.sock', None),
            ),
            (
                'postgresql+psycopg2://u@localhost/nova?host=/run/pg&port=6',
                {},
                ('postgresql', 'nova', '/run/pg', None),
            ),
            (
                'postgresql+psycopg2://u@a.example:5/nova?host=b&port=6',
                {},
                ('postgresql', 'nova', 'b', 6),
            ),
            (
                'postgresql+psycopg2://u:hunter2@db.example/nova',
                {},
                ('postgresql', 'nova', 'db.example', 5432),
            ),
            (
                'postgresql+psycopg2://u:hunter2@/nova?host=/run/pg&port=6',
                {},
                ('postgresql', 'nova', '/run/pg', None),
            ),
            (
                'postgresql+psycopg2://u:hunter2@/nova?host=a:1&host=b:2',
                {},
                ('postgresql', 'nova', None, None),
            ),
            ('sqlite://', {}, ('sqlite', None, None, None)),
            ('sqlite:///x.db', {}, ('sqlite', 'x.db', None, None)),
            ('sqlite://', {'name': 'else'}, ('other_sql', None, None, None)),
        ):
            found = self._attributes(url, **dialect)
            self.assertEqual(
                expected,
                (
                    found['db.system.name'],
                    found.get('db.namespace'),
                    found.get('server.address'),
                    found.get('server.port'),
                ),
                url,
            )
            self.assertNotIn('hunter2', repr(found))

    def test_an_engine_is_forgotten_with_its_dialect(self):
        seen = []
        engines = _sql_engines.Engines(seen.append)
        engine = sqlalchemy.create_engine('sqlite://', future=True)
        with engine.connect() as conn:
            first = engines.get(conn)
            self.assertIs(first, engines.get(conn))
        with engine.execution_options(a=1).connect() as conn:
            self.assertIs(first, engines.get(conn))
        self.assertEqual([type(engine.dialect)], seen)
        engine.dispose()
        del engine, conn
        gc.collect()
        self.assertEqual(0, len(engines))


class StatusCodeTest(base.TestCase):
    def test_where_drivers_keep_it(self):
        class Error(Exception):
            pass

        for code, attributes, arguments in (
            ('23505', {'pgcode': '23505'}, ('x',)),
            ('23505', {'sqlstate': '23505'}, ('x',)),
            ('1062', {}, (1062, 'Duplicate entry')),
            ('1062', {'sqlstate': '23000'}, (1062, 'Duplicate entry')),
            ('1062', {'errno': 1062, 'sqlstate': '23000'}, ('x',)),
            ('2067', {'sqlite_errorcode': 2067}, ('UNIQUE',)),
            (None, {}, ('x',)),
            (None, {}, ()),
            (None, {}, ('no', 'number')),
            (None, {'pgcode': None}, ('x',)),
            (None, {'pgcode': 'password is hunter2'}, ('x',)),
            (None, {'pgcode': '9' * 33}, ('x',)),
        ):
            error = Error(*arguments)
            for name, value in attributes.items():
                setattr(error, name, value)
            self.assertEqual(code, _sql_errors.status_code(error))

    def test_a_number_of_what_is_no_driver_s_error_is_no_code(self):
        class Timeout(BaseException):
            pass

        for error in (Timeout(30), KeyError(5), SystemExit(3), ValueError(7)):
            self.assertIsNone(_sql_errors.status_code(error))
        self.assertEqual(
            '1205',
            _sql_errors.status_code(pymysql.err.OperationalError(1205, 'x')),
        )

    def test_where_looking_for_it_raises_there_is_none(self):
        def detached(self):
            raise RuntimeError

        for error in (
            type('Error', (Exception,), {'pgcode': property(detached)})(),
            type('Error', (Exception,), {'sqlstate': property(detached)})(),
            type('Error', (Exception,), {'args': property(detached)})(),
            type('Error', (Exception,), {'__class__': property(detached)})(),
            type('Error', (Exception,), {})(10**5000),
        ):
            self.assertIsNone(_sql_errors.status_code(error))

    def test_an_error_of_the_network_is_no_response(self):
        self.assertIsNone(
            _sql_errors.status_code(ConnectionRefusedError(111, 'refused'))
        )


class CommentTest(database.TestCase):
    def test_where_a_comment_goes(self):
        said = '/*c*/'
        for statement, expected in (
            ('SELECT 1', 'SELECT 1 /*c*/'),
            ('SELECT 1;', 'SELECT 1 /*c*/;'),
            ('SELECT 1 ; \n', 'SELECT 1 /*c*/;'),
            ('SELECT 1 -- why', 'SELECT 1 -- why'),
            ('SELECT 1 # why', 'SELECT 1 # why'),
            ('SELECT 1 -- why\nFROM x', 'SELECT 1 -- why\nFROM x /*c*/'),
            ('SELECT 1 /* theirs */', 'SELECT 1 /* theirs */'),
        ):
            self.assertEqual(expected, _sql_comments.append(statement, said))

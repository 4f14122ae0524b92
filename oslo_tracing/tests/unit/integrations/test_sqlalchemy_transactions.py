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

import sqlite3
import time

import fixtures
from opentelemetry import trace
import sqlalchemy
from sqlalchemy.engine import default
from sqlalchemy import event
from sqlalchemy import orm

from oslo_tracing.integrations import _sql_errors
from oslo_tracing.tests import database

INSTANCES = database.INSTANCES
select = sqlalchemy.select
text = sqlalchemy.text


class TransactionTest(database.TestCase):
    def _insert(self, conn, name='a'):
        conn.execute(INSTANCES.insert().values(name=name))

    def test_a_commit_of_what_was_written_is_a_span(self):
        with self.request() as request, self.engine.begin() as conn:
            self._insert(conn)
        insert, commit = self.sql()
        self.assertEqual('COMMIT', commit.name)
        self.assertEqual(trace.SpanKind.CLIENT, commit.kind)
        self.assertEqual(
            request.get_span_context().span_id, commit.parent.span_id
        )
        self.assertEqual(
            {
                'db.system.name': 'sqlite',
                'db.namespace': self.engine.url.database,
                'db.operation.name': 'COMMIT',
                'db.query.summary': 'COMMIT',
                'db.query.text': 'COMMIT',
            },
            dict(commit.attributes),
        )
        self.assertLess(insert.end_time, commit.end_time)

    def test_the_span_is_around_the_work(self):
        seen = []

        class Connection(sqlite3.Connection):
            def commit(connection):
                seen.append(time.time_ns())
                super().commit()
                seen.append(time.time_ns())

        engine = self.make_engine(
            self.engine.url, connect_args={'factory': Connection}
        )
        with self.request(), engine.connect() as conn:
            self._insert(conn)
            del seen[:]
            conn.commit()
        before, after = seen
        commit = self.sql()[1]
        self.assertLessEqual(commit.start_time, before)
        self.assertGreaterEqual(commit.end_time, after)

    def test_a_rollback_of_what_was_written_is_a_span(self):
        with self.request(), self.engine.connect() as conn:
            self._insert(conn)
            conn.rollback()
            conn.execute(select(INSTANCES))
            conn.rollback()
        self.assertEqual(
            ['INSERT instances', 'ROLLBACK', 'SELECT instances'],
            self.sql_names(),
        )

    def test_a_connection_closed_without_a_word_is_rolled_back(self):
        with self.request(), self.engine.connect() as conn:
            self._insert(conn)
        self.assertEqual(['INSERT instances', 'ROLLBACK'], self.sql_names())

    def test_nothing_is_told_where_nothing_was_written(self):
        with self.request(), self.engine.begin() as conn:
            conn.execute(select(INSTANCES))
            conn.execute(text('SELECT 1'))
        self.assertEqual(['SELECT instances', 'SELECT'], self.sql_names())

    def test_while_nothing_is_written_no_connection_is_asked(self):
        class Asked:
            asked = 0

            @property
            def info(asked):
                asked.asked += 1
                return {}

            def rollback(asked):
                pass

        def end():
            asked = Asked()
            self.engine.dialect.do_rollback(asked)
            return asked.asked

        with self.request(), self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
            self.assertEqual(0, end())
            self._insert(conn)
            self.assertEqual(1, end())
            conn.commit()
            self.assertEqual(0, end())
            self._insert(conn, 'b')
            # Its transaction goes with it, and nobody ends that.
            conn.invalidate()
            conn.rollback()
            conn.execute(select(INSTANCES))
            self.assertEqual(0, end())

    def test_a_transaction_after_one_that_wrote_starts_anew(self):
        with self.request(), self.engine.connect() as conn:
            self._insert(conn)
            conn.commit()
            conn.execute(select(INSTANCES))
            conn.commit()
        self.assertEqual(
            ['INSERT instances', 'COMMIT', 'SELECT instances'],
            self.sql_names(),
        )

    def test_plain_text_that_writes_counts(self):
        with self.request(), self.engine.begin() as conn:
            conn.exec_driver_sql("INSERT INTO tags (tag) VALUES ('x')")
        self.assertEqual(['INSERT tags', 'COMMIT'], self.sql_names())

    def test_what_was_written_without_a_span_counts_too(self):
        for write in (
            INSTANCES.insert().values(name='a'),
            text("INSERT INTO tags (tag) VALUES ('x')"),
        ):
            self.spans.clear()
            with self.engine.connect() as conn:
                conn.execute(write)
                with self.request():
                    conn.commit()
            self.assertEqual(['COMMIT'], self.sql_names())

    def test_no_span_where_none_is_active(self):
        with self.engine.connect() as conn:
            with self.request():
                self._insert(conn)
            conn.commit()
            with self.request():
                conn.commit()
        self.assertEqual(['INSERT instances'], self.sql_names())

    def test_savepoints_are_ordinary_statements(self):
        with self.request(), self.engine.begin() as conn:
            with conn.begin_nested():
                self._insert(conn)
            nested = conn.begin_nested()
            self._insert(conn, 'b')
            nested.rollback()
        self.assertEqual(
            [
                'SAVEPOINT',
                'INSERT instances',
                'RELEASE SAVEPOINT',
                'SAVEPOINT',
                'INSERT instances',
                'ROLLBACK TO SAVEPOINT',
                'COMMIT',
            ],
            self.sql_names(),
        )

    def test_no_commit_where_each_statement_is_its_own(self):
        for engine in (
            self.engine.execution_options(isolation_level='AUTOCOMMIT'),
            self.make_engine(self.engine.url, isolation_level='AUTOCOMMIT'),
        ):
            self.spans.clear()
            with self.request(), engine.begin() as conn:
                conn.execute(text("INSERT INTO tags (tag) VALUES ('x')"))
            self.assertEqual(['INSERT tags'], self.sql_names())

    def test_legacy_autocommit_is_a_commit(self):
        if database.IS_2:
            self.skipTest('SQLAlchemy 1.4 only')
        engine = sqlalchemy.create_engine(self.engine.url)
        self.addCleanup(engine.dispose)
        with self.request(), engine.connect() as conn:
            self._insert(conn)
        self.assertEqual(['INSERT instances', 'COMMIT'], self.sql_names())

    def _check_late(self):
        """Have a table in which only a COMMIT finds out what is wrong."""
        event.listen(
            self.engine,
            'connect',
            lambda raw, record: raw.execute('PRAGMA foreign_keys = ON'),
        )
        self.engine.dispose()
        with self.engine.begin() as conn:
            conn.execute(text(database.DEFERRED))

    def test_a_failing_commit_is_marked_and_still_raises(self):
        self._check_late()
        with self.request(), self.engine.connect() as conn:
            conn.execute(text('INSERT INTO links VALUES (4711)'))
            self.assertRaises(sqlalchemy.exc.IntegrityError, conn.commit)
        _insert, commit = self.sql()
        self.assertEqual('COMMIT', commit.name)
        self.assertEqual(trace.StatusCode.ERROR, commit.status.status_code)
        self.assertEqual(
            'sqlite3.IntegrityError', commit.attributes['error.type']
        )
        self.assertNotIn('FOREIGN', self.everything_said())

    def test_what_a_failing_commit_leaves_is_rolled_back(self):
        self._check_late()

        def fail():
            with self.engine.begin() as conn:
                conn.execute(text('INSERT INTO links VALUES (4711)'))

        with self.request():
            self.assertRaises(sqlalchemy.exc.IntegrityError, fail)
            with self.engine.begin() as conn:
                conn.execute(select(INSTANCES))
        self.assertEqual(
            ['INSERT links', 'COMMIT', 'ROLLBACK', 'SELECT instances'],
            self.sql_names(),
        )
        self.assertEqual(
            trace.StatusCode.UNSET, self.sql()[2].status.status_code
        )

    def test_only_a_failed_commit_leaves_something_to_end(self):
        class Connection(sqlite3.Connection):
            def commit(connection):
                raise sqlite3.OperationalError('locked')

            def rollback(connection):
                if failing:
                    raise sqlite3.OperationalError('locked')
                super().rollback()

        engine = self.make_engine(
            self.engine.url, connect_args={'factory': Connection}
        )
        failing = []
        wanted = sqlalchemy.exc.OperationalError
        with self.request(), engine.connect() as conn:
            raw = conn.connection
            self._insert(conn)
            self.assertRaises(wanted, conn.commit)
            conn.rollback()
            engine.dialect.do_rollback(raw)
            engine.dialect.do_rollback(raw)
            self._insert(conn)
            failing.append(True)
            self.assertRaises(wanted, conn.rollback)
            failing.clear()
            engine.dialect.do_rollback(raw)
        self.assertEqual(
            [
                'INSERT instances',
                'COMMIT',
                'ROLLBACK',
                'INSERT instances',
                'ROLLBACK',
            ],
            self.sql_names(),
        )

    def test_a_failing_commit_that_cannot_be_described_has_a_span(self):
        class Odd(Exception):
            @property
            def pgcode(self):
                raise RuntimeError

        class Connection(sqlite3.Connection):
            def commit(connection):
                raise Odd

        def raising(*args):
            raise RuntimeError

        engine = self.make_engine(
            self.engine.url, connect_args={'factory': Connection}
        )
        for name, record, status in (
            ('a', _sql_errors.record, trace.StatusCode.ERROR),
            ('b', raising, trace.StatusCode.UNSET),
        ):
            self.spans.clear()
            self.useFixture(
                fixtures.MonkeyPatch(
                    'oslo_tracing.integrations._sql_errors.record', record
                )
            )
            with self.request(), engine.connect() as conn:
                self._insert(conn, name)
                self.assertRaises(Odd, conn.commit)
            self.assertEqual(
                [status],
                [
                    span.status.status_code
                    for span in self.sql()
                    if span.name == 'COMMIT'
                ],
            )

    def test_sessions_commit_and_roll_back(self):
        with self.request(), orm.Session(self.engine, future=True) as session:
            session.execute(INSTANCES.insert().values(name='a'))
            session.commit()
            session.execute(INSTANCES.insert().values(name='b'))
            session.rollback()
        self.assertEqual(
            ['INSERT instances', 'COMMIT', 'INSERT instances', 'ROLLBACK'],
            self.sql_names(),
        )

    def test_a_dialect_of_its_own_mind_is_covered_and_given_back(self):
        class Dialect(type(self.engine.dialect)):
            supports_statement_cache = True
            calls = 0

            def do_commit(self, dbapi_connection):
                type(self).calls += 1
                super().do_commit(dbapi_connection)

        original = vars(Dialect)['do_commit']
        engine = self.make_engine(self.engine.url)
        engine.dialect.__class__ = Dialect
        with self.request(), engine.begin() as conn:
            self._insert(conn)
        self.assertEqual(['INSERT instances', 'COMMIT'], self.sql_names())
        self.assertEqual(1, Dialect.calls)
        self.assertIsNot(original, vars(Dialect)['do_commit'])
        self.spans.tracing.undo.close()
        self.assertIs(original, vars(Dialect)['do_commit'])
        self.assertEqual(
            'do_commit', default.DefaultDialect.do_commit.__name__
        )

    def test_the_mark_of_an_earlier_set_up_means_nothing(self):
        with self.engine.connect() as conn:
            with self.request():
                self._insert(conn)
            self.spans.tracing.undo.close()
            conn.commit()
            self.spans = self.record()
            with self.request():
                conn.execute(select(INSTANCES))
                conn.commit()
        self.assertEqual(['SELECT instances'], self.sql_names())


class TwoPhaseTest(database.TestCase):
    def test_the_ends_of_two_phases_are_statements_and_no_more(self):
        dialect = self.engine.dialect

        class TwoPhase(type(dialect)):
            supports_statement_cache = True

            def do_begin_twophase(self, connection, xid):
                pass

            def do_prepare_twophase(self, connection, xid):
                connection.execute(text('SELECT 1'))

            def do_commit_twophase(
                self, connection, xid, is_prepared=True, recover=False
            ):
                connection.execute(text('SELECT 2'))
                self.do_commit(connection.connection)

        dialect.__class__ = TwoPhase
        with self.request(), self.engine.connect() as conn:
            transaction = conn.begin_twophase()
            conn.execute(INSTANCES.insert().values(name='a'))
            transaction.prepare()
            transaction.commit()
        self.assertEqual(
            ['INSERT instances', 'SELECT', 'SELECT'], self.sql_names()
        )

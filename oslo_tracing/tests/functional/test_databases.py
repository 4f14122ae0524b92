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

"""SQL on the databases that services run on."""

from __future__ import annotations

import threading

from opentelemetry import trace
from oslo_db import api
from oslo_db import exception
from oslo_db.sqlalchemy import enginefacade
import sqlalchemy
from sqlalchemy import event
from sqlalchemy import orm
from sqlalchemy import pool

from oslo_tracing.tests import database
from oslo_tracing.tests.functional import servers

INSTANCES = database.INSTANCES
TAGS = database.TAGS
select = sqlalchemy.select
text = sqlalchemy.text


class Context:
    """What services hand to enginefacade."""


enginefacade.transaction_context_provider(Context)


class _OnADatabase:
    """The tests, for each of the databases."""

    def setUp(self):
        self.url = self.database_url()
        super().setUp()

    def make_engine(self, url=None, **options):
        return super().make_engine(url or self.url, **options)

    def only_slow(self):
        settings = self.spans.tracing.settings
        settings.db_spans = 'slow'
        settings.db_slow_threshold = 3600.0

    def _check(self, span):
        self.assertEqual(trace.SpanKind.CLIENT, span.kind)
        self.assertEqual(self.system, span.attributes['db.system.name'])
        self.assertEqual(
            self.engine.url.database, span.attributes['db.namespace']
        )
        self.assertIn('server.address', span.attributes)

    def test_a_transaction(self):
        with self.request(), self.engine.begin() as conn:
            conn.execute(INSTANCES.insert().values(name='a', password='x'))
            rows = conn.execute(select(INSTANCES)).all()
            conn.execute(INSTANCES.update().values(password='y'))
        self.assertEqual(1, len(rows))
        self.assertEqual(
            [
                'INSERT instances',
                'SELECT instances',
                'UPDATE instances',
                'COMMIT',
            ],
            self.sql_names(),
        )
        for span in self.sql():
            self._check(span)
        self.assertEqual(
            [1, 1, 1, None],
            [s.attributes.get('openstack.db.rows') for s in self.sql()],
        )
        self.assertEqual(
            'SELECT instances.id, instances.name, instances.password \n'
            'FROM instances',
            self.sql()[1].attributes['db.query.text'],
        )

    def test_batches(self):
        with self.request(), self.engine.begin() as conn:
            conn.execute(
                INSTANCES.insert(), [{'name': str(n)} for n in range(2500)]
            )
            conn.execute(INSTANCES.delete())
        insert, delete, commit = self.sql()
        self.assertEqual('BATCH INSERT instances', insert.name)
        self.assertEqual(2500, insert.attributes['db.operation.batch.size'])
        self.assertEqual(2500, delete.attributes['openstack.db.rows'])
        self.assertEqual('COMMIT', commit.name)

    def test_batches_of_the_orm(self):
        class Instance:
            pass

        registry = orm.registry()
        registry.map_imperatively(Instance, INSTANCES)
        self.addCleanup(registry.dispose)
        with self.request(), orm.Session(self.engine, future=True) as session:
            for number in range(50):
                one = Instance()
                one.name = str(number)
                session.add(one)
            session.commit()
        names = self.sql_names()
        self.assertEqual('COMMIT', names[-1])
        self.assertTrue(
            all(name.endswith('INSERT instances') for name in names[:-1]),
            names,
        )

    def test_a_stream(self):
        with self.engine.begin() as conn:
            conn.execute(
                INSTANCES.insert(), [{'name': str(n)} for n in range(500)]
            )
        with self.request(), self.engine.connect() as conn:
            streamed = conn.execution_options(
                stream_results=True, max_row_buffer=10
            )
            rows = streamed.execute(select(INSTANCES))
            self.assertEqual(500, len(rows.fetchall()))
        (span,) = self.sql()
        self.assertEqual('SELECT instances', span.name)
        # The server's side knows it, the driver does not yet.
        rows = span.attributes.get('openstack.db.rows')
        self.assertNotEqual(2**64 - 1, rows)

    def test_a_violated_constraint(self):
        with self.request(), self.engine.connect() as conn:
            one = INSTANCES.insert().values(
                name='admin', password='S3CRETHASH'
            )
            conn.execute(one)
            self.assertRaises(sqlalchemy.exc.IntegrityError, conn.execute, one)
        _, failed, rollback = self.sql()
        self.assertEqual('INSERT instances', failed.name)
        self.assertEqual(trace.StatusCode.ERROR, failed.status.status_code)
        self.assertEqual(
            self.duplicate, failed.attributes['db.response.status_code']
        )
        self.assertEqual(self.duplicate_type, failed.attributes['error.type'])
        self.assertEqual('ROLLBACK', rollback.name)
        said = self.everything_said()
        for secret in ('S3CRETHASH', 'admin', '[SQL', 'uplicate'):
            self.assertNotIn(secret, said)

    def test_savepoints(self):
        with self.request(), self.engine.begin() as conn:
            with conn.begin_nested():
                conn.execute(TAGS.insert().values(tag='a'))
        self.assertEqual(
            ['SAVEPOINT', 'INSERT tags', 'RELEASE SAVEPOINT', 'COMMIT'],
            self.sql_names(),
        )

    def test_a_lost_connection(self):
        with self.request(), self.engine.connect() as conn:
            other = self.make_engine()
            with other.connect() as killer:
                number = conn.execute(text(self.own_number)).scalar()
                try:
                    killer.execute(text(self.kill.format(number)))
                except sqlalchemy.exc.DBAPIError:
                    # MariaDB may tell the one that asks, too.
                    pass
            self.spans.clear()
            self.assertRaises(
                sqlalchemy.exc.DBAPIError, conn.execute, select(INSTANCES)
            )
            self.assertTrue(conn.invalidated)
            conn.rollback()
            conn.execute(select(INSTANCES))
        failed, works = self.sql()
        self.assertEqual(trace.StatusCode.ERROR, failed.status.status_code)
        self.assertEqual(trace.StatusCode.UNSET, works.status.status_code)

    def test_a_wait_for_a_connection(self):
        engine = self.make_engine(
            poolclass=pool.QueuePool,
            pool_size=1,
            max_overflow=0,
            pool_timeout=0.05,
        )
        with engine.connect(), self.request():
            self.assertRaises(sqlalchemy.exc.TimeoutError, engine.connect)
        (waited,) = self.spans.named('request').events
        self.assertEqual('db.pool.wait', waited.name)

    def test_a_comment_reaches_the_driver_and_no_span(self):
        self.spans = self.record(db_comment=True)
        executed = []

        @event.listens_for(self.engine, 'before_cursor_execute')
        def note(conn, cursor, statement, *args):
            executed.append(statement)

        with self.request(), self.engine.begin() as conn:
            conn.execute(INSTANCES.insert().values(name='a'))
            conn.execute(
                INSTANCES.insert(), [{'name': str(n)} for n in range(50)]
            )
            self.assertEqual(51, len(conn.execute(select(INSTANCES)).all()))
        first, _batch, last, _commit = self.sql()
        self.assertIn(f'-{first.context.span_id:016x}-01', executed[0])
        self.assertIn(f'-{last.context.span_id:016x}-01', executed[-1])
        self.assertNotIn('traceparent', self.everything_said())

    def test_enginefacade(self):
        facade = enginefacade.transaction_context()
        facade.configure(
            connection=self.engine.url.render_as_string(hide_password=False)
        )

        @facade.writer
        def create(context, name):
            context.session.execute(INSTANCES.insert().values(name=name))

        @facade.reader
        def count(context):
            return len(context.session.execute(select(INSTANCES)).all())

        count(Context())
        self.addCleanup(facade.writer.get_engine().dispose)
        with self.request():
            create(Context(), 'a')
            self.assertEqual(1, count(Context()))
            self.assertRaises(
                exception.DBDuplicateEntry, create, Context(), 'a'
            )
        names = self.sql_names()
        if not database.IS_2:
            # oslo.db's own, on every connection.
            names = [name for name in names if name != 'SELECT']
        self.assertEqual(
            [
                'INSERT instances',
                'COMMIT',
                'SELECT instances',
                'INSERT instances',
                'ROLLBACK',
            ],
            names,
        )

    def test_a_deadlock_is_retried_and_told(self):
        facade = enginefacade.transaction_context()
        facade.configure(
            connection=self.engine.url.render_as_string(hide_password=False)
        )
        with self.engine.begin() as conn:
            conn.execute(INSTANCES.insert(), [{'name': 'a'}, {'name': 'b'}])
        together = threading.Barrier(2, timeout=30)
        failures = []

        @api.wrap_db_retry(
            retry_on_deadlock=True, retry_interval=0, inc_retry_interval=False
        )
        def update(first, second, attempts):
            attempts.append(1)
            with facade.writer.using(Context()) as session:
                for name in (first, second):
                    session.execute(
                        INSTANCES.update()
                        .where(INSTANCES.c.name == name)
                        .values(password=first)
                    )
                    if name == first and len(attempts) == 1:
                        together.wait()

        def work(first, second):
            try:
                with self.request():
                    update(first, second, [])
            except Exception as error:
                failures.append(error)

        other = threading.Thread(target=work, args=('b', 'a'))
        other.start()
        work('a', 'b')
        other.join()
        self.addCleanup(facade.writer.get_engine().dispose)
        self.assertEqual([], failures)
        (retry,) = [
            happened
            for span in self.spans.finished
            for happened in span.events
            if happened.name == 'oslo.db.retry'
        ]
        self.assertEqual(
            {
                'error.type': 'oslo_db.exception.DBDeadlock',
                'openstack.db.retry.attempt': 1,
                'openstack.db.retry.sleep': 0.0,
            },
            dict(retry.attributes),
        )
        failed = [
            span
            for span in self.sql()
            if span.status.status_code == trace.StatusCode.ERROR
        ]
        self.assertEqual(
            [self.deadlock],
            [s.attributes['db.response.status_code'] for s in failed],
        )


class MariadbTest(_OnADatabase, database.TestCase):
    system = 'mariadb'
    duplicate = '1062'
    duplicate_type = 'pymysql.err.IntegrityError'
    deadlock = '1213'
    own_number = 'SELECT CONNECTION_ID()'
    kill = 'KILL {}'

    def database_url(self):
        return servers.mariadb_url(self)

    def _in_two_phases(self):
        with self.request(), self.engine.connect() as conn:
            transaction = conn.begin_twophase()
            conn.execute(TAGS.insert().values(tag='a'))
            transaction.prepare()
            transaction.commit()

    def test_two_phases_are_statements(self):
        self._in_two_phases()
        self.assertEqual(
            ['XA BEGIN', 'INSERT tags', 'XA END', 'XA PREPARE', 'XA COMMIT'],
            self.sql_names(),
        )

    def test_the_end_of_two_phases_is_a_write(self):
        self.only_slow()
        self._in_two_phases()
        self.assertEqual(['INSERT tags', 'XA COMMIT'], self.sql_names())


class PostgresqlTest(_OnADatabase, database.TestCase):
    system = 'postgresql'
    duplicate = '23505'
    duplicate_type = 'psycopg2.errors.UniqueViolation'
    deadlock = '40P01'
    own_number = 'SELECT pg_backend_pid()'
    kill = 'SELECT pg_terminate_backend({})'

    def database_url(self):
        return servers.postgresql_url(self)

    def test_what_writes_in_other_words_is_a_write(self):
        self.only_slow()
        for statement, name in (
            ('SELECT tag INTO TEMP t FROM tags', 'SELECT t tags'),
            ('EXPLAIN ANALYZE DELETE FROM tags', 'EXPLAIN DELETE tags'),
            ('SELECT 1; DELETE FROM tags', 'SELECT DELETE tags'),
        ):
            self.spans.clear()
            with self.request(), self.engine.begin() as conn:
                conn.execute(text('SELECT tag FROM tags'))
                conn.execute(text(statement))
            self.assertEqual([name, 'COMMIT'], self.sql_names())

    def test_a_commit_that_fails(self):
        with self.engine.begin() as conn:
            conn.execute(text(database.DEFERRED))
        with self.request(), self.engine.connect() as conn:
            conn.execute(text('INSERT INTO links VALUES (4711)'))
            self.assertRaises(sqlalchemy.exc.IntegrityError, conn.commit)
        commit = self.spans.named('COMMIT')
        self.assertEqual(trace.StatusCode.ERROR, commit.status.status_code)
        self.assertEqual('23503', commit.attributes['db.response.status_code'])
        self.assertNotIn('4711', self.everything_said())

    def test_credentials_are_not_told(self):
        with self.request(), self.engine.connect() as conn:
            conn.execute(text("CREATE ROLE someone PASSWORD 'hunter2'"))
            conn.rollback()
        self.assertNotIn('hunter2', self.everything_said())
        self.assertNotIn('db.query.text', self.sql()[0].attributes)

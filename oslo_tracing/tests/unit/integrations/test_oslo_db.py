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

"""Through the real oslo.db: sessions, pings, translated errors, retries."""

from __future__ import annotations

import contextlib
import sys

import fixtures
from opentelemetry import trace
from oslo_db import api
from oslo_db import exception
from oslo_db.sqlalchemy import enginefacade
from oslo_db.sqlalchemy import models
import sqlalchemy
from sqlalchemy import orm

from oslo_tracing import integrations
from oslo_tracing.integrations import oslo_db as integration
from oslo_tracing.tests import base
from oslo_tracing.tests import database

INSTANCES = database.INSTANCES
text = sqlalchemy.text


class Context:
    """What services hand to enginefacade."""


enginefacade.transaction_context_provider(Context)


class EnginefacadeTest(database.TestCase):
    def setUp(self):
        super().setUp()
        self.facade = enginefacade.transaction_context()
        self.facade.configure(connection=str(self.engine.url), sqlite_fk=True)
        # What the first connection does is not of interest.
        with self.facade.reader.using(Context()) as session:
            session.execute(text('SELECT 1'))
        self.addCleanup(self.facade.writer.get_engine().dispose)

    def sql(self):
        spans = super().sql()
        # With SQLAlchemy before 2.0.5, oslo.db itself executes a SELECT on
        # each connection that is taken from the pool.
        if not database.IS_2:
            spans = [span for span in spans if span.name != 'SELECT']
        return spans

    def test_a_writer_is_traced(self):
        with self.request() as request:
            with self.facade.writer.using(Context()) as session:
                session.execute(INSTANCES.insert().values(name='a'))
                session.execute(sqlalchemy.select(INSTANCES)).all()
        self.assertEqual(
            ['BEGIN', 'INSERT instances', 'SELECT instances', 'COMMIT'],
            self.sql_names(),
        )
        for span in self.sql():
            self.assertEqual(
                request.get_span_context().span_id, span.parent.span_id
            )

    def test_a_reader_has_no_commit_and_no_ping(self):
        for _ in range(3):
            self.spans.clear()
            with self.request():
                with self.facade.reader.using(Context()) as session:
                    session.execute(sqlalchemy.select(INSTANCES)).all()
            self.assertEqual(['BEGIN', 'SELECT instances'], self.sql_names())

    def test_models_and_the_decorators_are_traced(self):
        base_class = orm.declarative_base()

        class Tag(models.ModelBase, base_class):
            __tablename__ = 'tags'
            id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
            tag = sqlalchemy.Column(sqlalchemy.String(64))

        @self.facade.writer
        def create(context, tag):
            row = Tag(tag=tag)
            row.save(context.session)

        @self.facade.reader
        def read(context):
            return context.session.query(Tag.tag).all()

        with self.request():
            create(Context(), 'a')
            self.assertEqual([('a',)], [tuple(r) for r in read(Context())])
        self.assertEqual(
            ['BEGIN', 'INSERT tags', 'COMMIT', 'BEGIN', 'SELECT tags'],
            [n for n in self.sql_names() if 'SAVEPOINT' not in n],
        )

    def test_the_legacy_facade_is_traced(self):
        if not hasattr(enginefacade, 'LegacyEngineFacade'):
            self.skipTest('this oslo.db has no legacy facade any more')
        facade = enginefacade.LegacyEngineFacade(str(self.engine.url))
        self.addCleanup(facade.get_engine().dispose)
        with self.request(), facade.get_session() as session:
            session.execute(sqlalchemy.select(INSTANCES))
        self.assertIn('SELECT instances', self.sql_names())
        self.assertEqual(1, self.sql_names().count('SELECT instances'))

    def test_a_translated_error_is_told_as_the_driver_s(self):
        def insert():
            with self.facade.writer.using(Context()) as session:
                session.execute(
                    INSTANCES.insert().values(
                        name='admin', password='S3CRETHASH'
                    )
                )

        insert()
        with self.request():
            error = self.assertRaises(exception.DBDuplicateEntry, insert)
        self.assertIn('S3CRETHASH', str(error.inner_exception))
        _begin, failed, rollback = self.sql()
        self.assertEqual('INSERT instances', failed.name)
        self.assertEqual(trace.StatusCode.ERROR, failed.status.status_code)
        self.assertEqual(
            'sqlite3.IntegrityError', failed.attributes['error.type']
        )
        self.assertEqual('ROLLBACK', rollback.name)
        said = self.everything_said()
        for secret in ('S3CRETHASH', 'admin', '[SQL', 'UNIQUE'):
            self.assertNotIn(secret, said)

    def test_what_goes_through_a_span_of_the_service_leaks_nothing(self):
        self.spans = self.record(exception_messages=True)

        def insert():
            with self.request():
                with self.facade.writer.using(Context()) as session:
                    for _ in range(2):
                        session.execute(
                            INSTANCES.insert().values(
                                name='admin', password='S3CRETHASH'
                            )
                        )

        self.assertRaises(exception.DBDuplicateEntry, insert)
        request = self.spans.named('request')
        self.assertIn('DBDuplicateEntry', request.attributes['error.type'])
        said = self.everything_said()
        for secret in ('S3CRETHASH', 'admin', '[SQL', 'UNIQUE'):
            self.assertNotIn(secret, said)


class RetryTest(database.TestCase):
    def _flaky(self, errors, **options):
        errors = list(errors)
        options.setdefault('retry_interval', 0)
        options.setdefault('inc_retry_interval', False)

        @api.wrap_db_retry(retry_on_deadlock=True, **options)
        def work():
            if errors:
                raise errors.pop(0)
            return 'done'

        return work

    def _retries(self):
        return [
            dict(event.attributes)
            for event in self.spans.named('request').events
            if event.name == 'oslo.db.retry'
        ]

    def test_each_retry_is_an_event(self):
        work = self._flaky([exception.DBDeadlock(), exception.DBDeadlock()])
        for _ in range(2):
            self.spans.clear()
        with self.request():
            self.assertEqual('done', work())
        self.assertEqual(
            [
                {
                    'error.type': 'oslo_db.exception.DBDeadlock',
                    'openstack.db.retry.attempt': attempt,
                    'openstack.db.retry.sleep': 0.0,
                }
                for attempt in (1, 2)
            ],
            self._retries(),
        )

    def test_each_call_counts_from_one(self):
        errors = [exception.DBDeadlock()]

        @api.wrap_db_retry(
            retry_on_deadlock=True, retry_interval=0, inc_retry_interval=False
        )
        def work():
            if errors:
                raise errors.pop()

        with self.request():
            work()
            errors.append(exception.DBDeadlock())
            work()
        self.assertEqual(
            [1, 1], [r['openstack.db.retry.attempt'] for r in self._retries()]
        )

    def test_the_sleep_is_the_one_that_follows(self):
        slept = []
        self.useFixture(fixtures.MonkeyPatch('time.sleep', slept.append))
        errors = [exception.RetryRequest(ValueError()) for _ in range(3)]
        work = self._flaky(errors, retry_interval=1, inc_retry_interval=True)
        with self.request():
            work()
        self.assertEqual([1, 2, 4], slept)
        self.assertEqual(
            [('ValueError', 1.0), ('ValueError', 2.0), ('ValueError', 4.0)],
            [
                (r['error.type'], r['openstack.db.retry.sleep'])
                for r in self._retries()
            ],
        )

    def test_a_function_decorated_before_is_covered(self):
        self.spans.tracing.undo.close()
        work = self._flaky([exception.DBDeadlock()])
        self.spans = self.record()
        with self.request():
            work()
        self.assertEqual(1, len(self._retries()))

    def test_what_is_not_retried_is_no_event(self):
        with self.request():
            self.assertRaises(ValueError, self._flaky([ValueError()]))
            self.assertRaises(
                exception.DBDeadlock,
                self._flaky(
                    [exception.DBDeadlock() for _ in range(3)],
                    max_retries=2,
                ),
            )
        self.assertEqual(
            [1, 2], [r['openstack.db.retry.attempt'] for r in self._retries()]
        )

    def test_without_a_span_and_unsampled_it_works_as_ever(self):
        self.assertEqual('done', self._flaky([exception.DBDeadlock()])())
        with database.parent(sampled=False):
            self.assertEqual('done', self._flaky([exception.DBDeadlock()])())
        self.assertEqual([], self.spans.finished)

    def test_no_exception_is_kept_alive_by_our_look_at_the_loop(self):
        seen = []

        class Deadlock(exception.DBDeadlock):
            pass

        def work():
            if not seen:
                seen.append(sys._getframe(1))
                raise Deadlock()

        wrapped = api.wrap_db_retry(
            retry_on_deadlock=True, retry_interval=0, inc_retry_interval=False
        )(work)
        with self.request():
            wrapped()
        self.assertEqual(1, len(self._retries()))
        self.assertNotIn('e', seen[0].f_locals)

    def test_undo_leaves_nothing_behind(self):
        during = vars(api.wrap_db_retry)['_is_exception_expected']
        self.spans.tracing.undo.close()
        after = vars(api.wrap_db_retry)['_is_exception_expected']
        self.assertIsNot(during, after)
        self.assertIs(during.__wrapped__, after)


class MissingSeamTest(base.TestCase):
    def test_a_missing_seam_costs_one_line(self):
        logged = self.useFixture(fixtures.FakeLogger())
        original = vars(api.wrap_db_retry)['_is_exception_expected']
        self.addCleanup(
            setattr, api.wrap_db_retry, '_is_exception_expected', original
        )
        del api.wrap_db_retry._is_exception_expected
        undo = contextlib.ExitStack()
        self.addCleanup(undo.close)
        integration.install(
            integrations.Toolbox(
                settings=None,
                propagation=None,
                make_tracer=None,
                foreign_option=None,
            ),
            undo,
        )
        self.assertIn('oslo.db', logged.output)
        self.assertIn(
            'retries of database calls are not traced', logged.output
        )
        self.assertEqual(1, logged.output.count('\n'))

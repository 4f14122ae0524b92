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

import sys

from opentelemetry import trace
import sqlalchemy
from sqlalchemy import event

from oslo_tracing.tests import database

INSTANCES = database.INSTANCES
text = sqlalchemy.text


class BatchTest(database.TestCase):
    def test_executemany_is_one_span_of_a_batch(self):
        with self.request(), self.engine.connect() as conn:
            conn.execute(
                INSTANCES.insert(), [{'name': str(n)} for n in range(3)]
            )
        span = self.sql()[0]
        self.assertEqual('BATCH INSERT instances', span.name)
        self.assertEqual(
            {
                'db.query.summary': 'BATCH INSERT instances',
                'db.operation.name': 'BATCH INSERT',
                'db.operation.batch.size': 3,
                'db.collection.name': 'instances',
                'db.query.text': 'INSERT INTO instances (name) VALUES (?)',
                'openstack.db.rows': 3,
            },
            {
                key: value
                for key, value in span.attributes.items()
                if key not in ('db.system.name', 'db.namespace')
            },
        )

    def test_one_row_is_no_batch(self):
        with self.request(), self.engine.connect() as conn:
            conn.execute(INSTANCES.insert(), [{'name': 'a'}])
        span = self.sql()[0]
        self.assertEqual('INSERT instances', span.name)
        self.assertNotIn('db.operation.batch.size', span.attributes)

    def _returning(self, conn, count):
        return conn.execute(
            INSTANCES.insert().returning(INSTANCES.c.id),
            [{'name': str(n)} for n in range(count)],
        )

    def _need_insertmanyvalues(self):
        if not database.IS_2:
            self.skipTest('SQLAlchemy 1.4 has no insertmanyvalues')

    def test_the_batches_of_one_insertmanyvalues_are_one_span(self):
        self._need_insertmanyvalues()
        batches = []
        event.listen(
            self.engine,
            'before_cursor_execute',
            lambda *args: batches.append(args),
        )
        with self.request(), self.engine.connect() as conn:
            self._returning(conn, 2500)
        self.assertGreater(len(batches), 1)
        insert, rollback = self.sql()
        self.assertEqual('BATCH INSERT instances', insert.name)
        self.assertEqual(2500, insert.attributes['db.operation.batch.size'])
        self.assertEqual(
            'INSERT INTO instances (name) VALUES (?) RETURNING id',
            insert.attributes['db.query.text'],
        )
        self.assertEqual('ROLLBACK', rollback.name)

    def test_a_failing_batch_is_one_failed_span(self):
        self._need_insertmanyvalues()
        with self.request(), self.engine.connect() as conn:
            conn.execute(INSTANCES.insert().values(name='2400'))
            self.assertRaises(
                sqlalchemy.exc.IntegrityError, self._returning, conn, 2500
            )
        _, insert, _ = self.sql()
        self.assertEqual('BATCH INSERT instances', insert.name)
        self.assertEqual(trace.StatusCode.ERROR, insert.status.status_code)
        self.assertEqual(
            'sqlite3.IntegrityError', insert.attributes['error.type']
        )
        self.assertEqual(1, len(insert.events))


class ErrorTest(database.TestCase):
    def test_a_failing_statement_is_marked_and_still_raises(self):
        with self.request(), self.engine.connect() as conn:
            error = self.assertRaises(
                sqlalchemy.exc.OperationalError,
                conn.execute,
                text('SELECT * FROM nowhere'),
            )
        self.assertIn('[SQL: SELECT * FROM nowhere]', str(error))
        (span,) = self.sql()
        self.assertEqual('SELECT nowhere', span.name)
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual('sqlite3.OperationalError', span.status.description)
        self.assertEqual(
            'sqlite3.OperationalError', span.attributes['error.type']
        )
        (happened,) = span.events
        self.assertEqual('exception', happened.name)
        self.assertEqual(
            {'exception.type', 'exception.stacktrace'},
            set(happened.attributes),
        )

    def test_a_failure_outside_of_the_driver_is_recorded_too(self):
        class Odd:
            pass

        with self.request(), self.engine.connect() as conn:
            self.assertRaises(
                sqlalchemy.exc.InterfaceError
                if sys.version_info < (3, 11)
                else sqlalchemy.exc.ProgrammingError,
                conn.execute,
                text('SELECT :odd'),
                {'odd': Odd()},
            )
        (span,) = self.sql()
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)

    def test_an_integrity_error_leaks_no_parameter(self):
        for messages in (False, True):
            self.spans = self.record(exception_messages=messages)
            with self.request() as request, self.engine.begin() as conn:
                conn.execute(
                    INSTANCES.insert().values(
                        name=f'admin{messages}', password='S3CRETHASH'
                    )
                )
                error = self.assertRaises(
                    sqlalchemy.exc.IntegrityError,
                    conn.execute,
                    INSTANCES.insert().values(
                        name=f'admin{messages}', password='S3CRETHASH'
                    ),
                )
                # As somebody around it might.
                request.set_attribute('seen', type(error).__name__)
            self.assertIn('S3CRETHASH', str(error))
            said = self.everything_said()
            for secret in (
                'S3CRETHASH',
                'admin',
                '[SQL',
                '[parameters',
                'UNIQUE',
            ):
                self.assertNotIn(secret, said)

    def test_the_driver_s_code_is_told(self):
        with self.request(), self.engine.connect() as conn:
            conn.execute(INSTANCES.insert().values(name='a'))
            self.assertRaises(
                sqlalchemy.exc.IntegrityError,
                conn.execute,
                INSTANCES.insert().values(name='a'),
            )
        failed = self.sql()[1]
        # Of sqlite3 since Python 3.11.
        self.assertEqual(
            '2067' if sys.version_info >= (3, 11) else None,
            failed.attributes.get('db.response.status_code'),
        )

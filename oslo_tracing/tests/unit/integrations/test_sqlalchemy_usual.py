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

"""What goes the straight way, and what must not."""

from __future__ import annotations

import contextlib
import copy
import logging
import threading

import fixtures
from opentelemetry import context as otel_context
from opentelemetry import trace
import sqlalchemy

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import context
from oslo_tracing import integrations
from oslo_tracing.integrations import _sql_known
from oslo_tracing.integrations import sqlalchemy as integration
from oslo_tracing.tests import database

INSTANCES = database.INSTANCES
text = sqlalchemy.text

_NAMED = trace.SpanContext(5, 7, True, trace.TraceFlags(0))


class Odd(trace.NonRecordingSpan):
    """Somebody's span that is none."""

    def get_span_context(self):
        raise RuntimeError('hunter2')


class UsualTest(database.TestCase):
    @contextlib.contextmanager
    def _unrecorded(self):
        """Be in a request of which nothing is recorded."""
        found = _current.Unrecorded(
            f'00-{_NAMED.trace_id:032x}-{_NAMED.span_id:016x}-00',
            False,
            _NAMED.trace_state,
        )
        token = _current.attach(
            context.unrecorded_root(found, otel_context.Context())
        )
        self.assertIs(found, _current.unrecorded(_current.context()))
        try:
            yield
        finally:
            _current.detach(token)

    def test_what_nobody_records_has_no_spans(self):
        with self._unrecorded(), self.engine.begin() as conn:
            conn.execute(sqlalchemy.select(INSTANCES))
            conn.execute(text('SELECT 1'))
            conn.execute(INSTANCES.insert().values(name='a'))
            conn.execute(INSTANCES.insert(), [{'name': 'b'}, {'name': 'c'}])
        self.assertEqual([], self.sql())

    def test_the_end_of_what_an_unrecorded_request_wrote(self):
        for write in (
            INSTANCES.insert().values(name='a'),
            text("UPDATE instances SET name = 'b'"),
        ):
            self.spans.clear()
            with self.engine.connect() as conn:
                with self._unrecorded():
                    conn.execute(write)
                with self.request():
                    conn.commit()
            self.assertEqual(['COMMIT'], self.sql_names())
        self.spans.clear()
        with self.engine.connect() as conn:
            with self._unrecorded():
                conn.execute(sqlalchemy.select(INSTANCES))
                conn.execute(text('SELECT 1'))
            with self.request():
                conn.commit()
        self.assertEqual([], self.sql())

    def test_where_it_is_suppressed_there_is_no_span(self):
        for key in (_current.SUPPRESS_ALL, _current.SUPPRESS_PLAIN):
            for value, expected in ((True, []), (False, ['SELECT'])):
                self.spans.clear()
                with self.request(), self.engine.connect() as conn:
                    token = otel_context.attach(
                        otel_context.set_value(key, value)
                    )
                    conn.execute(text('SELECT 1'))
                    otel_context.detach(token)
                self.assertEqual(expected, self.sql_names())

    def test_a_span_that_is_none_breaks_nothing(self):
        # Else an earlier test may have said it.
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._guard._REPORTER', _guard._Reporter()
            )
        )
        logged = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))
        with self.engine.connect() as conn, trace.use_span(Odd(_NAMED)):
            self.assertEqual(1, conn.execute(text('SELECT 1')).scalar())
        self.assertEqual([], self.sql())
        self.assertIn('RuntimeError', logged.output)
        self.assertNotIn('hunter2', logged.output)

    def test_the_same_text_of_a_table_and_of_nobody_are_told_apart(self):
        statement = sqlalchemy.select(INSTANCES.c.id)
        written = str(statement.compile(self.engine))
        for _ in range(2):
            self.spans.clear()
            with self.request(), self.engine.connect() as conn:
                conn.execute(statement)
                conn.execute(text(written))
                conn.exec_driver_sql(written)
            self.assertEqual(
                ['instances', None, None],
                [s.attributes.get('db.collection.name') for s in self.sql()],
            )
            self.assertEqual(['SELECT instances'] * 3, self.sql_names())

    def test_rows_that_come_with_returning_are_not_counted(self):
        if not database.IS_2:
            self.skipTest('SQLite has no RETURNING in SQLAlchemy 1.4')
        with self.request(), self.engine.connect() as conn:
            conn.execute(INSTANCES.insert().values(name='a'))
            conn.execute(INSTANCES.update().values(name='b'))
            conn.execute(
                INSTANCES.update().values(name='c').returning(INSTANCES.c.id)
            ).all()
        self.assertEqual(
            [1, None],
            [
                span.attributes.get('openstack.db.rows')
                for span in self.sql()
                if span.name == 'UPDATE instances'
            ],
        )

    def test_two_that_record_and_one_of_them_comments(self):
        logged = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))
        tracing = self.spans.tracing
        commenting = copy.copy(tracing.settings)
        commenting.db_comment = True
        undo = contextlib.ExitStack()
        self.addCleanup(undo.close)
        integration.install(
            integrations.Toolbox(
                settings=commenting,
                propagation=tracing.propagation,
                make_tracer=tracing.tracer,
                foreign_option=lambda group, name: None,
            ),
            undo,
        )
        executed = []

        def note(conn, cursor, statement, *args):
            executed.append(statement)

        sqlalchemy.event.listen(self.engine, 'before_cursor_execute', note)
        with self.request(), self.engine.connect() as conn:
            conn.execute(text('SELECT 1'))
        (said,), (span,) = executed, self.sql()
        self.assertIn(f'{span.context.span_id:016x}', said)
        self.assertEqual('', logged.output)

    def test_threads_with_ever_new_texts_get_what_is_theirs(self):
        each = _sql_known.MAX_ENTRIES // 2
        ready = threading.Barrier(4)

        def execute(name):
            engine = self.make_engine('sqlite://')
            with self.request(), engine.connect() as conn:
                ready.wait(60)
                for number in range(each):
                    conn.exec_driver_sql(f'SELECT 1 AS {name}{number}')
            # A connection of SQLite's is its thread's.
            engine.dispose()

        threads = [
            threading.Thread(target=execute, args=(name,)) for name in 'abcd'
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(
            sorted(
                f'SELECT ? AS {name}{number}'
                for name in 'abcd'
                for number in range(each)
            ),
            sorted(span.attributes['db.query.text'] for span in self.sql()),
        )

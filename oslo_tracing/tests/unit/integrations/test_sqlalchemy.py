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

from opentelemetry import context as otel_context
from opentelemetry import trace
import sqlalchemy
from sqlalchemy import event
from sqlalchemy import orm

from oslo_tracing.tests import database

INSTANCES = database.INSTANCES
TAGS = database.TAGS
select = sqlalchemy.select
text = sqlalchemy.text


class StatementTest(database.TestCase):
    def test_a_statement_becomes_one_client_span_under_the_active_one(self):
        with self.request() as request, self.engine.connect() as conn:
            conn.execute(select(INSTANCES).where(INSTANCES.c.id == 5))

        (span,) = self.sql()
        self.assertEqual('SELECT instances', span.name)
        self.assertEqual(trace.SpanKind.CLIENT, span.kind)
        self.assertEqual(
            request.get_span_context().span_id, span.parent.span_id
        )
        self.assertEqual(
            request.get_span_context().trace_id, span.context.trace_id
        )
        self.assertEqual(
            'oslo_tracing.sqlalchemy', span.instrumentation_scope.name
        )
        self.assertEqual(
            {
                'db.system.name': 'sqlite',
                'db.namespace': self.engine.url.database,
                'db.query.summary': 'SELECT instances',
                'db.query.text': 'SELECT instances.id, instances.name, '
                'instances.password \nFROM instances \n'
                'WHERE instances.id = ?',
                'db.operation.name': 'SELECT',
                'db.collection.name': 'instances',
            },
            dict(span.attributes),
        )
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)
        self.assertEqual((), span.events)

    def test_a_span_lasts_as_long_as_its_statement(self):
        with self.request(), self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
        (span,) = self.sql()
        request = self.spans.named('request')
        self.assertLess(request.start_time, span.start_time)
        self.assertLess(span.start_time, span.end_time)
        self.assertLess(span.end_time, request.end_time)

    def test_the_active_span_is_not_changed(self):
        seen = []

        @event.listens_for(self.engine, 'after_cursor_execute')
        def look(*args):
            seen.append(trace.get_current_span())

        with self.request() as request, self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
            self.assertIs(request, trace.get_current_span())
        self.assertEqual([request], seen)

    def test_an_engine_made_after_set_up_is_traced_too(self):
        engine = self.make_engine('sqlite://')
        with self.request(), engine.connect() as conn:
            conn.execute(text('SELECT 1'))
        self.assertEqual(['SELECT'], self.sql_names())

    def test_a_connection_made_before_set_up_is_traced_too(self):
        self.spans.tracing.undo.close()
        with self.engine.connect() as conn:
            self.spans = self.record()
            with self.request():
                conn.execute(select(INSTANCES))
            self.assertEqual(['SELECT instances'], self.sql_names())

    def test_an_engine_with_options_is_traced_once(self):
        engine = self.engine.execution_options(something='else')
        with self.request(), engine.connect() as conn:
            conn.execute(select(INSTANCES))
        self.assertEqual(['SELECT instances'], self.sql_names())

    def test_without_a_span_nothing_is_recorded(self):
        with self.engine.begin() as conn:
            conn.execute(INSTANCES.insert().values(name='a'))
            conn.execute(select(INSTANCES))
        self.assertEqual([], self.spans.finished)

    def test_under_an_unsampled_span_no_span_is_even_started(self):
        started = self.balance.started
        with database.parent(sampled=False), self.engine.begin() as conn:
            conn.execute(INSTANCES.insert().values(name='a'))
            conn.execute(text('INSERT INTO tags (tag) VALUES (1)'))
            conn.execute(select(INSTANCES))
        self.assertEqual(started, self.balance.started)

    def test_under_a_sampled_span_of_elsewhere_it_is_recorded(self):
        with database.parent(sampled=True) as named:
            with self.engine.connect() as conn:
                conn.execute(select(INSTANCES))
        (span,) = self.sql()
        self.assertEqual(named.span_id, span.parent.span_id)

    def test_suppressed_means_nothing_is_recorded(self):
        for key in (
            'suppress_instrumentation',
            otel_context._SUPPRESS_INSTRUMENTATION_KEY,
        ):
            with database.parent(sampled=True):
                token = otel_context.attach(otel_context.set_value(key, True))
                try:
                    with self.engine.begin() as conn:
                        conn.execute(INSTANCES.insert().values(name=str(key)))
                finally:
                    otel_context.detach(token)
        self.assertEqual([], self.spans.finished)

    def test_text_has_no_literal_and_no_name_from_the_text(self):
        with self.request(), self.engine.connect() as conn:
            conn.execute(
                text(
                    "SELECT * FROM instances WHERE password = 'hunter2'"
                    # Of more digits than ids have by chance.
                    ' AND id = 471147114711'
                )
            )
        (span,) = self.sql()
        self.assertEqual('SELECT instances', span.name)
        self.assertEqual(
            'SELECT * FROM instances WHERE password = ? AND id = ?',
            span.attributes['db.query.text'],
        )
        self.assertNotIn('db.operation.name', span.attributes)
        self.assertNotIn('db.collection.name', span.attributes)
        said = self.everything_said()
        self.assertNotIn('hunter2', said)
        self.assertNotIn('47114711', said)

    def test_a_literal_next_to_parameters_is_not_told_either(self):
        with self.request(), self.engine.connect() as conn:
            conn.execute(
                text(
                    "SELECT * FROM instances WHERE password = 'hunter2'"
                    ' AND id = :id'
                ),
                {'id': 4711},
            )
        self.assertNotIn('hunter2', self.everything_said())
        self.assertNotIn('4711', self.everything_said())

    def test_a_long_text_is_cut(self):
        with self.request(), self.engine.connect() as conn:
            columns = ', '.join(f'id AS column_{n}' for n in range(1900))
            conn.execute(text(f'SELECT {columns} FROM tags'))
        (span,) = self.sql()
        self.assertLessEqual(len(span.attributes['db.query.text']), 4096)

    def test_a_long_list_does_not_make_another_text(self):
        with self.request(), self.engine.connect() as conn:
            for count in (3, 300):
                conn.execute(
                    select(INSTANCES.c.id).where(
                        INSTANCES.c.id.in_(range(count))
                    )
                )
        texts = {s.attributes['db.query.text'] for s in self.sql()}
        self.assertEqual(1, len(texts), texts)

    def test_rows_are_told_where_the_driver_knows_them(self):
        with self.request(), self.engine.begin() as conn:
            conn.execute(INSTANCES.insert(), [{'name': 'a'}, {'name': 'b'}])
            conn.execute(INSTANCES.update().values(password='x'))
            conn.execute(select(INSTANCES))
            conn.execute(TAGS.delete())
            conn.execute(text('CREATE TABLE other (id INTEGER)'))
        self.assertEqual(
            [2, 2, None, 0, None],
            [
                s.attributes.get('openstack.db.rows')
                for s in self.sql()
                if s.name != 'COMMIT'
            ],
        )

    def test_what_sqlalchemy_compiled_names_operation_and_table(self):
        alias = INSTANCES.alias('i')
        join = INSTANCES.join(TAGS, TAGS.c.instance_id == INSTANCES.c.id)
        with self.request(), self.engine.begin() as conn:
            for statement in (
                INSTANCES.insert().values(name='a'),
                INSTANCES.update().values(name='b'),
                INSTANCES.delete(),
                select(alias),
                select(INSTANCES.c.id).select_from(join),
                select(INSTANCES.c.id).union(select(TAGS.c.id)),
                select(sqlalchemy.literal(1)),
            ):
                conn.execute(statement)
        self.assertEqual(
            [
                ('INSERT', 'instances'),
                ('UPDATE', 'instances'),
                ('DELETE', 'instances'),
                ('SELECT', 'instances'),
                ('SELECT', None),
                ('SELECT', None),
                ('SELECT', None),
            ],
            [
                (
                    s.attributes.get('db.operation.name'),
                    s.attributes.get('db.collection.name'),
                )
                for s in self.sql()
                if s.name != 'COMMIT'
            ],
        )

    def test_what_is_executed_for_another_is_told_by_its_own_text(self):
        # As dialects do for a sequence, and SQL Server's with SET.
        @event.listens_for(self.engine, 'before_cursor_execute')
        def ask(conn, cursor, statement, parameters, context, many):
            if not asked and context.isinsert:
                asked.append(statement)
                for before in ('SELECT 1 FROM tags', 'PRAGMA foreign_keys'):
                    conn._cursor_execute(cursor, before, (), context)

        for _ in range(2):
            asked = []
            self.spans.clear()
            with self.request(), self.engine.begin() as conn:
                conn.execute(INSTANCES.insert())
            self.assertEqual(
                [
                    ('SELECT tags', None, None),
                    ('PRAGMA foreign_keys', None, None),
                    ('INSERT instances', 'INSERT', 'instances'),
                    ('COMMIT', 'COMMIT', None),
                ],
                [
                    (
                        s.name,
                        s.attributes.get('db.operation.name'),
                        s.attributes.get('db.collection.name'),
                    )
                    for s in self.sql()
                ],
            )

    def test_the_same_text_compiled_and_not_are_two_things(self):
        compiled = select(TAGS.c.id)
        with self.request(), self.engine.connect() as conn:
            for statement in (text(str(compiled)), compiled):
                conn.execute(statement)
        first, second = self.sql()
        self.assertNotIn('db.operation.name', first.attributes)
        self.assertEqual('SELECT', second.attributes['db.operation.name'])
        self.assertEqual(
            first.attributes['db.query.text'],
            second.attributes['db.query.text'],
        )

    def test_orm_sessions_are_traced(self):
        class Instance:
            pass

        registry = orm.registry()
        registry.map_imperatively(Instance, INSTANCES)
        self.addCleanup(registry.dispose)
        with self.request(), orm.Session(self.engine, future=True) as session:
            one = Instance()
            one.name = 'a'
            session.add(one)
            session.commit()
            session.execute(select(Instance)).scalars().all()
        self.assertEqual(
            ['INSERT instances', 'COMMIT', 'SELECT instances'],
            self.sql_names(),
        )
        self.assertEqual(
            'instances', self.sql()[2].attributes['db.collection.name']
        )

    def test_a_stream_has_one_span_for_its_execution(self):
        with self.request(), self.engine.begin() as conn:
            conn.execute(
                INSTANCES.insert(), [{'name': str(n)} for n in range(50)]
            )
            streamed = conn.execution_options(stream_results=True)
            rows = streamed.execute(select(INSTANCES))
            self.assertEqual(50, len(list(rows.partitions(7))) * 7 - 6)
        self.assertEqual(
            ['BATCH INSERT instances', 'SELECT instances', 'COMMIT'],
            self.sql_names(),
        )

    def test_no_text_where_none_is_wanted(self):
        self.spans = self.record(db_query_text='none')
        with self.request(), self.engine.begin() as conn:
            conn.execute(INSTANCES.insert().values(name='a'))
        for span in self.sql():
            self.assertNotIn('db.query.text', span.attributes)
        self.assertEqual(['INSERT instances', 'COMMIT'], self.sql_names())

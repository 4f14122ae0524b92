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

"""What other listeners and drivers do must neither leak nor get lost."""

from __future__ import annotations

import contextlib
import gc
import logging
import re
import weakref

import fixtures
from opentelemetry import context
from opentelemetry import trace
import sqlalchemy
from sqlalchemy import event

from oslo_tracing.tests import base
from oslo_tracing.tests import database

INSTANCES = database.INSTANCES
Engine = sqlalchemy.engine.Engine
select = sqlalchemy.select
text = sqlalchemy.text


class Odd(Exception):
    pass


class Killed(BaseException):
    """As GreenletExit and eventlet's Timeout are."""


def _raise(error):
    def listener(*args):
        raise error

    return listener


class TestCase(database.TestCase):
    def _listen(self, target, name, listener, **options):
        if isinstance(target, type):
            # Not taken back by our own clean-up, which goes first.
            flags = [
                (kind, vars(kind)['_has_events'])
                for kind in (Engine, sqlalchemy.engine.interfaces.Dialect)
            ]
            self.addCleanup(
                lambda: [setattr(k, '_has_events', f) for k, f in flags]
            )
        event.listen(target, name, listener, **options)
        self.addCleanup(event.remove, target, name, listener)


class ListenerTest(TestCase):
    def _select(self, statement=None):
        if statement is None:
            statement = select(INSTANCES)
        with self.request() as request, self.engine.connect() as conn:
            try:
                conn.execute(statement)
            except (Odd, Killed, KeyboardInterrupt) as error:
                raised = error
            else:
                raised = None
            self.assertIs(request, trace.get_current_span())
            return raised

    def _works(self):
        """Check that what follows is recorded as ever."""
        self.spans.clear()
        self.assertIsNone(self._select(text('SELECT 1')))
        self.assertEqual(['SELECT'], self.sql_names())

    def test_a_later_listener_raises_before_the_statement(self):
        error = Odd()
        listener = _raise(error)
        event.listen(self.engine, 'before_cursor_execute', listener)
        self.assertIs(error, self._select())
        # Nothing was executed, and before 2.1 nobody is told of the error.
        self.assertIn(self.sql_names(), ([], ['SELECT instances']))
        for span in self.sql():
            self.assertIn('Odd', span.attributes['error.type'])
        event.remove(self.engine, 'before_cursor_execute', listener)
        self._works()

    def test_an_earlier_listener_raises_before_the_statement(self):
        self.spans.tracing.undo.close()
        error = Odd()
        self._listen(Engine, 'before_cursor_execute', _raise(error))
        self.spans = self.record()
        self.assertIs(error, self._select())
        self.assertEqual([], self.sql())

    def test_an_error_that_cannot_be_described_costs_no_span(self):
        def detached(self):
            raise RuntimeError

        for name in ('pgcode', 'args'):
            error = type('OddError', (Odd,), {name: property(detached)})()
            listener = _raise(error)
            event.listen(self.engine, 'do_execute', listener)
            self.assertIs(error, self._select())
            event.remove(self.engine, 'do_execute', listener)
            (span,) = self.sql()
            self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
            self.assertIn('OddError', span.attributes['error.type'])
            self.assertNotIn('db.response.status_code', span.attributes)
            self._works()
            self.spans.clear()

    def test_what_describes_an_error_raises(self):
        error = Odd()
        listener = _raise(error)
        with fixtures.MonkeyPatch(
            'oslo_tracing.integrations._sql_errors.record', _raise(Odd())
        ):
            event.listen(self.engine, 'do_execute', listener)
            self.assertIs(error, self._select())
            event.remove(self.engine, 'do_execute', listener)
        self.assertEqual(['SELECT instances'], self.sql_names())
        self._works()

    def test_a_later_listener_raises_after_the_statement(self):
        error = Odd()
        listener = _raise(error)
        event.listen(self.engine, 'after_cursor_execute', listener)
        self.assertIs(error, self._select())
        (span,) = self.sql()
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)
        event.remove(self.engine, 'after_cursor_execute', listener)
        self._works()

    def test_an_earlier_listener_raises_after_the_statement(self):
        self.spans.tracing.undo.close()
        error = Odd()
        self._listen(Engine, 'after_cursor_execute', _raise(error))
        self.spans = self.record()
        self.assertIs(error, self._select())
        # Nothing was wrong with the statement.
        (span,) = self.sql()
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)

    def test_an_earlier_handler_of_errors_raises(self):
        self.spans.tracing.undo.close()
        error = Odd()
        self._listen(Engine, 'handle_error', _raise(error))
        self.spans = self.record()
        self.assertIs(error, self._select(text('SELECT * FROM nowhere')))
        (span,) = self.sql()
        self.assertEqual(
            'sqlite3.OperationalError', span.attributes['error.type']
        )

    def test_a_handler_of_errors_that_translates(self):
        error = Odd()
        event.listen(
            self.engine, 'handle_error', lambda failure: error, retval=True
        )
        self.assertIs(error, self._select(text('SELECT * FROM nowhere')))
        (span,) = self.sql()
        self.assertEqual(
            'sqlite3.OperationalError', span.attributes['error.type']
        )
        self.assertIsInstance(
            error.__cause__, self.engine.dialect.dbapi.OperationalError
        )

    def test_errors_that_no_listener_hears_of(self):
        with self.request(), self.engine.connect() as conn:
            quiet = conn.execution_options(skip_user_error_events=True)
            self.assertRaises(
                sqlalchemy.exc.OperationalError,
                quiet.execute,
                text('SELECT * FROM nowhere'),
            )
        self.assertEqual(['SELECT nowhere'], self.sql_names())

    def test_interruptions_within_the_driver(self):
        for kind in (KeyboardInterrupt, Killed, Odd):
            self.spans.clear()
            error = kind()
            listener = _raise(error)
            event.listen(self.engine, 'do_execute', listener)
            self.assertIs(error, self._select())
            event.remove(self.engine, 'do_execute', listener)
            (span,) = self.sql()
            self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
            self.assertIn(kind.__name__, span.attributes['error.type'])
            self._works()

    def test_a_listener_that_executes_in_the_driver_s_place(self):
        def execute(cursor, statement, parameters, context):
            cursor.execute('SELECT 1, 2, 3 LIMIT 0')
            return True

        event.listen(self.engine, 'do_execute', execute)
        self.assertIsNone(self._select())
        self.assertEqual(['SELECT instances'], self.sql_names())

    def test_each_of_several_listeners_is_asked_once(self):
        asked = []

        def look(name, answer):
            def listener(*args):
                asked.append(name)
                return answer

            return listener

        self.spans.tracing.undo.close()
        self._listen(Engine, 'do_execute', look('before us', False))
        self.spans = self.record()
        self._listen(Engine, 'do_execute', look('after us', None))
        event.listen(self.engine, 'do_execute', look('of the engine', False))
        self._works()
        self.assertEqual(['before us', 'after us', 'of the engine'], asked)
        with self.engine.connect() as conn:
            conn.execute(text('SELECT 1'))
        self.assertEqual(asked[:3], asked[3:])
        event.listen(self.engine, 'do_execute', look('has executed', True))
        event.listen(self.engine, 'do_execute', look('is not asked', True))
        with self.engine.connect() as conn:
            conn.execute(INSTANCES.insert().values(name='a'))
            with self.request():
                conn.execute(INSTANCES.insert().values(name='a'))
        self.assertEqual([*asked[:3], 'has executed'], asked[6:10])
        self.assertEqual(asked[6:10], asked[10:])

    def test_it_is_taken_off_while_a_statement_is_noted(self):
        from oslo_tracing.scrub import sql

        def summary(*args):
            self.spans.tracing.undo.close()
            return described(*args)

        def execute(cursor, statement, parameters, context):
            cursor.execute('SELECT 99')
            return True

        described = sql.summary
        for before in ((), (lambda *args: None,)):
            for listener in (*before, execute):
                event.listen(self.engine, 'do_execute', listener)
            with fixtures.MonkeyPatch(
                'oslo_tracing.scrub.sql.summary', summary
            ):
                with self.request(), self.engine.connect() as conn:
                    self.assertEqual(99, conn.scalar(text('SELECT 1')))
            self.spans = self.record()

    def test_a_listener_that_executes_statements_itself(self):
        def more(conn, cursor, statement, *args):
            if 'instances' in statement:
                conn.execute(select(database.TAGS))

        event.listen(self.engine, 'before_cursor_execute', more)
        event.listen(self.engine, 'after_cursor_execute', more)
        self._select()
        self.assertEqual(
            ['SELECT tags', 'SELECT instances', 'SELECT tags'],
            self.sql_names(),
        )

    def test_what_a_later_listener_makes_of_it_is_what_is_told(self):
        def rewrite(conn, cursor, statement, parameters, context, many):
            return statement.replace('instances', 'tags'), parameters

        event.listen(
            self.engine, 'before_cursor_execute', rewrite, retval=True
        )
        with self.request(), self.engine.connect() as conn:
            conn.execute(text('SELECT id FROM instances'))
        (span,) = self.sql()
        self.assertEqual('SELECT tags', span.name)
        self.assertEqual(
            'SELECT id FROM tags', span.attributes['db.query.text']
        )

    def test_one_raw_cursor_used_again_and_again_has_no_spans(self):
        with self.request():
            raw = self.engine.raw_connection()
            cursor = raw.cursor()
            for _ in range(3):
                cursor.execute('SELECT 1')
            raw.close()
        self.assertEqual([], self.sql())

    def test_nothing_keeps_a_context_alive(self):
        contexts = []

        def look(conn, cursor, statement, parameters, context, many):
            contexts.append(weakref.ref(context))
            raise Odd

        event.listen(self.engine, 'before_cursor_execute', look)
        self._select()
        gc.collect()
        (context,) = contexts
        self.assertIsNone(context())

    def test_ten_thousand_texts_keep_nothing_growing(self):
        from oslo_tracing.integrations import _sql_statements

        caches = base.instances_of(_sql_statements.StatementCache)
        with self.request(), self.engine.connect() as conn:
            for number in range(3000):
                conn.exec_driver_sql(f'SELECT {number} AS column_{number}')
        self.assertEqual(3000, len(self.sql()))
        for cache in caches:
            self.assertLessEqual(len(cache), 2 * _sql_statements.MAX_ENTRIES)
        self.assertTrue(any(len(cache) for cache in caches))
        self.spans.clear()


class CommentTest(TestCase):
    def options(self):
        return {'db_comment': True}

    def setUp(self):
        super().setUp()
        self.executed = []

        def note(conn, cursor, statement, *args):
            self.executed.append(statement)

        # The engine's own come after those of the class.
        event.listen(self.engine, 'before_cursor_execute', note)

    def test_a_statement_names_its_span_and_the_span_does_not_tell(self):
        with self.request(), self.engine.connect() as conn:
            conn.execute(text('SELECT 1'))
        (span,) = self.sql()
        named = span.context
        self.assertEqual(
            [
                f"SELECT 1 /*traceparent='00-{named.trace_id:032x}"
                f"-{named.span_id:016x}-01'*/"
            ],
            self.executed,
        )
        self.assertEqual('SELECT ?', span.attributes['db.query.text'])

    def test_without_a_span_and_unsampled_there_is_no_comment(self):
        with self.engine.connect() as conn:
            conn.execute(text('SELECT 1'))
            with database.parent(sampled=False):
                conn.execute(text('SELECT 1'))
        self.assertEqual(['SELECT 1', 'SELECT 1'], self.executed)

    def test_what_a_dialect_wants_to_know_itself_is_left_as_it_is(self):
        logged = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))
        with self.request(), self.engine.connect() as conn:
            with contextlib.closing(conn.connection.cursor()) as cursor:
                conn._cursor_execute(cursor, 'SELECT 1', ())
                self.assertEqual((1,), cursor.fetchone())
        self.assertEqual(['SELECT 1'], self.executed)
        self.assertEqual([], self.sql())
        self.assertEqual('', logged.output)

    def test_what_somebody_before_us_has_executed(self):
        def execute(cursor, statement, parameters, context):
            cursor.execute(statement, parameters)
            return True

        self.spans.tracing.undo.close()
        self._listen(Engine, 'do_execute', execute)
        self.spans = self.record(**self.options())
        with self.request(), self.engine.connect() as conn:
            conn.execute(text('SELECT 1'))
        (span,) = self.sql()
        self.assertIn(f'-{span.context.span_id:016x}-01', self.executed[0])

    def test_who_makes_another_context_current_before_others_look(self):
        tokens = []

        def attach(*args):
            unsampled = trace.NonRecordingSpan(trace.SpanContext(1, 2, False))
            tokens.append(context.attach(trace.set_span_in_context(unsampled)))

        def detach(*args):
            context.detach(tokens.pop())

        event.listen(self.engine, 'before_cursor_execute', attach)
        event.listen(self.engine, 'after_cursor_execute', detach)
        with self.request(), self.engine.connect() as conn:
            conn.execute(text('SELECT 1'))
        (span,) = self.sql()
        self.assertIn(f'-{span.context.span_id:016x}-01', self.executed[0])

    def test_executemany_is_left_as_it_is(self):
        with self.request(), self.engine.connect() as conn:
            conn.execute(INSTANCES.insert(), [{'name': 'a'}, {'name': 'b'}])
        self.assertEqual(
            ['INSERT INTO instances (name) VALUES (?)'], self.executed
        )

    def test_every_batch_names_the_one_span(self):
        if not database.IS_2:
            self.skipTest('SQLAlchemy 1.4 has no insertmanyvalues')
        with self.request(), self.engine.connect() as conn:
            result = conn.execute(
                INSTANCES.insert().returning(INSTANCES.c.id),
                [{'name': str(n)} for n in range(2500)],
            )
            self.assertEqual(2500, len(result.all()))
        span = self.sql()[0]
        self.assertGreater(len(self.executed), 1)
        for statement in self.executed:
            self.assertIn(f'-{span.context.span_id:016x}-01', statement)
        self.assertNotIn('traceparent', self.everything_said())

    def test_a_failing_statement_ends_its_span(self):
        with self.request(), self.engine.connect() as conn:
            error = self.assertRaises(
                sqlalchemy.exc.OperationalError,
                conn.execute,
                text('SELECT * FROM nowhere'),
            )
        self.assertTrue(re.search('traceparent', str(error)))
        (span,) = self.sql()
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)

    def test_what_a_later_listener_makes_of_it_is_told_uncommented(self):
        def rewrite(conn, cursor, statement, parameters, context, many):
            return statement.replace('instances', 'tags'), parameters

        event.listen(
            self.engine, 'before_cursor_execute', rewrite, retval=True
        )
        with self.request(), self.engine.connect() as conn:
            conn.execute(text('SELECT id FROM instances'))
        (span,) = self.sql()
        self.assertEqual('SELECT tags', span.name)
        self.assertEqual(
            'SELECT id FROM tags', span.attributes['db.query.text']
        )

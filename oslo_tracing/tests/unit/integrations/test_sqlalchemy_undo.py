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

import contextlib
import logging
import subprocess
import sys

import fixtures
import sqlalchemy
from sqlalchemy import event

from oslo_tracing import _runtime
from oslo_tracing import fixture
from oslo_tracing import integrations
from oslo_tracing.integrations import sqlalchemy as integration
from oslo_tracing.tests import base
from oslo_tracing.tests import database

INSTANCES = database.INSTANCES
select = sqlalchemy.select
text = sqlalchemy.text


class OffTest(base.TestCase):
    def _listened_to(self):
        from sqlalchemy.engine import interfaces

        dialect = interfaces.Dialect
        return {
            name: list(
                getattr(dialect.dispatch, name)._clslevel.get(dialect, ())
            )
            for name in (
                'do_execute',
                'do_executemany',
                'do_execute_no_params',
            )
        }

    def _state(self):
        from sqlalchemy.engine import base as engine_base
        from sqlalchemy.engine import default
        from sqlalchemy.engine import interfaces
        from sqlalchemy.util import queue

        return [
            self._listened_to(),
            vars(engine_base.Engine)['_has_events'],
            vars(interfaces.Dialect)['_has_events'],
            *(
                vars(owner).get(name)
                for owner, name in (
                    (engine_base.Connection, '_exec_insertmany_context'),
                    (engine_base.Connection, '_handle_dbapi_exception'),
                    (default.DefaultDialect, 'do_commit'),
                    (default.DefaultDialect, 'do_rollback'),
                    (queue.Queue, 'get'),
                    (queue.AsyncAdaptedQueue, 'get'),
                )
            ),
        ]

    def _install(self):
        spans = fixture.SpanRecorder('sqlalchemy', sample_ratio=1.0)
        spans.setUp()
        return spans

    def test_undo_leaves_nothing_behind(self):
        engine = sqlalchemy.create_engine('sqlite://', future=True)
        before = self._state()
        spans = self._install()
        during = self._state()
        for index, one in enumerate(before):
            # 1.4 has no such batches, and its engines handle errors.
            if one is not None and (index != 1 or not database.IS_2):
                self.assertNotEqual(one, during[index])
        with database.parent(sampled=True), engine.begin() as conn:
            conn.execute(text('CREATE TABLE t (id INTEGER)'))
        self.assertEqual(2, len(spans.finished))
        spans.cleanUp()
        after = self._state()
        self.assertEqual(before, after)
        for one, other in zip(before[3:], after[3:]):
            self.assertIs(one, other)
        self.assertFalse(engine._has_events)
        self.assertFalse(engine.dialect._has_events)
        with database.parent(sampled=True), engine.begin() as conn:
            conn.execute(text('CREATE TABLE u (id INTEGER)'))
        self.assertEqual(2, len(spans.finished))

    def test_somebody_else_s_listener_goes_on_being_called(self):
        heard = []

        def listener(*args):
            heard.append(args[2])

        spans = self._install()
        event.listen(
            sqlalchemy.engine.Engine, 'before_cursor_execute', listener
        )
        self.addCleanup(
            setattr, sqlalchemy.engine.Engine, '_has_events', False
        )
        self.addCleanup(
            event.remove,
            sqlalchemy.engine.Engine,
            'before_cursor_execute',
            listener,
        )
        spans.cleanUp()
        engine = sqlalchemy.create_engine('sqlite://', future=True)
        with engine.connect() as conn:
            conn.execute(text('SELECT 1'))
        self.assertEqual(['SELECT 1'], heard)

    def test_it_can_be_put_on_and_taken_off_again(self):
        engine = sqlalchemy.create_engine('sqlite://', future=True)
        for _ in range(3):
            spans = self._install()
            with database.parent(sampled=True), engine.connect() as conn:
                conn.execute(text('SELECT 1'))
            self.assertEqual(1, len(spans.finished))
            spans.cleanUp()

    def _end(self, spans):
        _runtime.RUNTIME.is_ending = True
        try:
            spans.cleanUp()
        finally:
            _runtime.RUNTIME.is_ending = False

    def _take_off(self, listened):
        from sqlalchemy.engine import interfaces

        for target, name, listener in listened:
            event.remove(target, name, listener)
        for kind in (sqlalchemy.engine.Engine, interfaces.Dialect):
            kind._has_events = False

    def test_at_the_end_of_a_process_nothing_listens_but_nothing_is_off(self):
        before = self._state()
        for commented in (False, True):
            spans = fixture.SpanRecorder(
                'sqlalchemy', sample_ratio=1.0, db_comment=commented
            )
            listened = []

            def listen(*args, listened=listened, **options):
                listened.append(args)
                original(*args, **options)

            original = event.listen
            with fixtures.MonkeyPatch('sqlalchemy.event.listen', listen):
                spans.setUp()
            during = self._listened_to()
            self._end(spans)
            # Another thread may go through them just now.
            self.assertEqual(during, self._listened_to())
            engine = sqlalchemy.create_engine('sqlite://', future=True)
            heard = []
            event.listen(
                engine,
                'after_cursor_execute',
                lambda conn, cursor, said, *args, heard=heard: heard.append(
                    said
                ),
            )
            with database.parent(sampled=True), engine.begin() as conn:
                database.METADATA.create_all(conn, checkfirst=False)
                conn.execute(
                    INSTANCES.insert(), [{'name': str(n)} for n in range(3)]
                )
                self.assertEqual(3, len(conn.execute(select(INSTANCES)).all()))
                self.assertRaises(
                    sqlalchemy.exc.OperationalError,
                    conn.execute,
                    text('nonsense'),
                )
            self.assertEqual([], spans.finished)
            self.assertNotIn('traceparent', ''.join(heard))
            self.assertEqual(4, len(heard))
            self._take_off(listened)
            self.assertEqual(before, self._state())

    def test_installed_twice_it_records_once(self):
        before = self._state()
        spans = self._install()
        again = contextlib.ExitStack()
        tracing = spans.tracing
        toolbox = integrations.Toolbox(
            settings=tracing.settings,
            propagation=tracing.propagation,
            make_tracer=tracing.tracer,
            foreign_option=lambda group, name: None,
        )
        integration.install(toolbox, again)
        engine = sqlalchemy.create_engine('sqlite://', future=True)
        with database.parent(sampled=True), engine.begin() as conn:
            database.METADATA.create_all(conn, checkfirst=False)
            conn.execute(
                INSTANCES.insert(), [{'name': str(n)} for n in range(3)]
            )
            if database.IS_2:
                conn.execute(
                    INSTANCES.insert().returning(INSTANCES.c.id),
                    [{'name': f'x{n}'} for n in range(3)],
                )
            try:
                conn.execute(text('nonsense'))
            except sqlalchemy.exc.OperationalError:
                pass
        self.assertEqual(
            [
                'CREATE TABLE instances',
                'CREATE TABLE tags',
                'BATCH INSERT instances',
                *(['BATCH INSERT instances'] * database.IS_2),
                'sqlite',
                'COMMIT',
            ],
            [span.name for span in spans.finished],
        )
        again.close()
        spans.cleanUp()
        self.assertEqual(before, self._state())


_ENDING = '''
import atexit

from oslo_config import cfg
import oslo_tracing
from oslo_tracing import opts
import sqlalchemy

def look():
    with engine.connect() as conn:
        print(conn.execute(sqlalchemy.text('SELECT 47')).scalar())
    kind = sqlalchemy.engine.interfaces.Dialect
    print(len(kind.dispatch.do_execute._clslevel.get(kind, ())))

# What is registered before is called after.
atexit.register(look)
engine = sqlalchemy.create_engine('sqlite://', future=True)
conf = cfg.ConfigOpts()
opts.set_defaults(conf, enabled=True, exporters=['none'])
conf([], project='x', default_config_files=[])
oslo_tracing.setup(conf, 'service')
{before_the_end}
'''


class EndingTest(base.TestCase):
    def _run(self, before_the_end):
        done = subprocess.run(
            [sys.executable, '-c', _ENDING.format(**locals())],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.split()

    def test_the_end_of_the_interpreter_leaves_the_listeners(self):
        self.assertEqual(['47', '1'], self._run(''))

    def test_before_the_end_they_are_taken_off(self):
        self.assertEqual(['47', '0'], self._run('oslo_tracing.shutdown()'))


_LATE = '''
import sys

from oslo_tracing import fixture
import oslo_tracing

spans = fixture.SpanRecorder('sqlalchemy', 'oslo_db', sample_ratio=1.0)
spans.setUp()
loaded = [n for n in ('sqlalchemy', 'oslo_db') if n in sys.modules]
{before_import}
import sqlalchemy

from oslo_db import api

engine = sqlalchemy.create_engine('sqlite://', future=True)
with oslo_tracing.span('request', root=True), engine.begin() as conn:
    conn.execute(sqlalchemy.text('CREATE TABLE t (id INTEGER)'))
print(
    loaded,
    [span.name for span in spans.finished],
    hasattr(api.wrap_db_retry._is_exception_expected, '__wrapped__'),
    sqlalchemy.engine.interfaces.Dialect._has_events,
)
'''


class LateTest(base.TestCase):
    def _run(self, before_import):
        done = subprocess.run(
            [sys.executable, '-c', _LATE.format(before_import=before_import)],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def test_it_waits_for_the_service_to_import_the_library(self):
        self.assertEqual(
            "[] ['CREATE TABLE t', 'COMMIT', 'request'] True True",
            self._run(''),
        )

    def test_nothing_is_attached_once_it_is_undone(self):
        self.assertEqual('[] [] False False', self._run('spans.cleanUp()'))


class _Broken:
    def __init__(self, tracer):
        self.asked = 0

    def start_span(self, *args, **kwargs):
        self.asked += 1
        raise RuntimeError('broken on purpose')

    start_ready = add_ready = start_span


class BrokenTracerTest(base.TestCase):
    def test_a_broken_tracer_does_not_reach_the_service(self):
        logged = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))
        for commented in (False, True):
            spans = self.useFixture(
                fixture.SpanRecorder(
                    'oslo_context', sample_ratio=1.0, db_comment=commented
                )
            )
            broken = _Broken(None)
            undo = contextlib.ExitStack()
            self.addCleanup(undo.close)
            integration.install(
                integrations.Toolbox(
                    settings=spans.tracing.settings,
                    propagation=spans.tracing.propagation,
                    make_tracer=lambda name, broken=broken: broken,
                    foreign_option=lambda group, name: None,
                ),
                undo,
            )
            engine = sqlalchemy.create_engine('sqlite://', future=True)
            with database.parent(sampled=True), engine.begin() as conn:
                database.METADATA.create_all(conn)
                result = conn.execute(
                    INSTANCES.insert(), [{'name': str(n)} for n in range(3)]
                )
                self.assertEqual(3, result.rowcount)
                if database.IS_2:
                    result = conn.execute(
                        INSTANCES.insert().returning(INSTANCES.c.id),
                        [{'name': f'x{n}'} for n in range(3)],
                    )
                    self.assertEqual(3, len(result.all()))
                self.assertRaises(
                    sqlalchemy.exc.OperationalError,
                    conn.execute,
                    text('nonsense'),
                )
            with engine.connect() as conn:
                self.assertEqual(
                    6 if database.IS_2 else 3,
                    len(conn.execute(select(INSTANCES)).all()),
                )
            self.assertGreater(broken.asked, 5)
            undo.close()
        self.assertIn('RuntimeError', logged.output)
        self.assertNotIn('broken on purpose', logged.output)

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

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
import time
import weakref

import fixtures
from opentelemetry import context as otel_context
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace
from oslo_config import cfg
from oslo_db import api
from oslo_db import exception
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.ext import asyncio as sqlalchemy_asyncio

import oslo_tracing
from oslo_tracing import context
from oslo_tracing.exporters import _otlp_json
from oslo_tracing import fixture
from oslo_tracing.integrations import _sql_sums
from oslo_tracing import opts
from oslo_tracing.report import sources
from oslo_tracing.report import sums
from oslo_tracing.tests import database

INSTANCES = database.INSTANCES
select = sqlalchemy.select
text = sqlalchemy.text
#: Nothing that a test does takes so many seconds.
NEVER = 3600.0


class TestCase(database.TestCase):
    spans_wanted = 'summary'

    def options(self):
        return {
            'db_spans': self.spans_wanted,
            'db_slow_threshold': NEVER,
        }

    @property
    def settings(self):
        return self.spans.tracing.settings

    def request_span(self):
        return self.spans.named('request')

    def sums(self, span=None):
        """Return what was added up, without the seconds."""
        span = span or self.request_span()
        said = span.attributes
        if 'openstack.db.count' not in said:
            self.assertNotIn('openstack.db.duration', said)
            return None
        durations = said['openstack.db.top.durations']
        self.assertEqual(sorted(durations, reverse=True), list(durations))
        self.assertLessEqual(
            sum(durations), said['openstack.db.duration'] + 1e-9
        )
        self.assertGreater(said['openstack.db.duration'], 0)
        return (
            said['openstack.db.count'],
            said['openstack.db.rows'],
            dict(
                zip(
                    said['openstack.db.top.statements'],
                    said['openstack.db.top.counts'],
                    strict=True,
                )
            ),
        )

    def write_and_read(self, reads=2):
        with self.engine.begin() as conn:
            conn.execute(INSTANCES.insert().values(name='a'))
            for _ in range(reads):
                conn.execute(select(INSTANCES)).all()


class SummaryTest(TestCase):
    def test_no_fast_statement_has_a_span_and_all_are_added_up(self):
        with self.request():
            self.write_and_read()
        self.assertEqual([], self.sql())
        self.assertEqual(
            (
                4,
                1,
                {'INSERT instances': 1, 'SELECT instances': 2, 'COMMIT': 1},
            ),
            self.sums(),
        )

    def test_the_time_of_the_request_is_explained(self):
        with self.request():
            started = time.monotonic()
            self.write_and_read(reads=20)
            took = time.monotonic() - started
        said = self.request_span().attributes['openstack.db.duration']
        self.assertLess(said, took)

    def test_a_slow_statement_has_a_span_of_its_real_length(self):
        self.settings.db_slow_threshold = 0.06
        self.engine.dispose()

        @event.listens_for(self.engine, 'connect')
        def connected(connection, record):
            connection.create_function('wait', 1, time.sleep)

        with self.request() as request, self.engine.connect() as conn:
            conn.execute(text('SELECT wait(0.07)')).all()
        (span,) = [
            s for s in self.sql() if 'wait' in s.attributes['db.query.text']
        ]
        self.assertEqual(
            request.get_span_context().span_id, span.parent.span_id
        )
        self.assertGreaterEqual(span.end_time - span.start_time, 60000000)
        whole = self.request_span()
        self.assertLess(whole.start_time, span.start_time)
        self.assertLess(span.end_time, whole.end_time)

    def test_everything_is_slow_from_a_threshold_of_nothing_on(self):
        self.settings.db_slow_threshold = 0.0
        with self.request():
            self.write_and_read()
        self.assertEqual(
            [
                'INSERT instances',
                'SELECT instances',
                'SELECT instances',
                'COMMIT',
            ],
            self.sql_names(),
        )
        self.assertIsNone(self.sums())

    def test_a_statement_that_fails_has_its_span(self):
        with self.request(), self.engine.begin() as conn:
            conn.execute(INSTANCES.insert().values(name='a'))
            self.assertRaises(
                sqlalchemy.exc.IntegrityError,
                conn.execute,
                INSTANCES.insert().values(name='a'),
            )
        (span,) = self.sql()
        self.assertEqual('INSERT instances', span.name)
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual(
            (2, 1, {'INSERT instances': 1, 'COMMIT': 1}), self.sums()
        )

    def test_a_commit_that_fails_has_its_span(self):
        with self.engine.begin() as conn:
            conn.execute(text(database.DEFERRED))

        def fail():
            with self.engine.begin() as conn:
                conn.execute(text('PRAGMA foreign_keys = ON'))
                conn.execute(text('INSERT INTO links VALUES (17)'))

        @event.listens_for(self.engine, 'connect')
        def connected(connection, record):
            connection.execute('PRAGMA foreign_keys = ON')

        self.engine.dispose()
        with self.request():
            self.assertRaises(sqlalchemy.exc.IntegrityError, fail)
        failed = [
            s.name
            for s in self.sql()
            if s.status.status_code is trace.StatusCode.ERROR
        ]
        self.assertEqual(['COMMIT'], failed)
        self.assertEqual(1, self.sums()[2]['ROLLBACK'])

    def test_each_span_has_the_sums_of_its_own_statements(self):
        with self.request(), self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
            with oslo_tracing.span('inner'):
                conn.execute(text('SELECT 1'))
                conn.execute(text('SELECT 1'))
            conn.execute(select(INSTANCES))
        self.assertEqual((2, 0, {'SELECT instances': 2}), self.sums())
        self.assertEqual(
            (2, 0, {'SELECT': 2}), self.sums(self.spans.named('inner'))
        )

    def test_batches_are_one_statement(self):
        with self.request(), self.engine.begin() as conn:
            conn.execute(
                INSTANCES.insert(), [{'name': str(n)} for n in range(7)]
            )
        self.assertEqual(
            (2, 7, {'BATCH INSERT instances': 1, 'COMMIT': 1}), self.sums()
        )

    def test_a_stream_of_rows_counts_once(self):
        with self.engine.begin() as conn:
            conn.execute(
                INSTANCES.insert(), [{'name': str(n)} for n in range(50)]
            )
        with self.request(), self.engine.connect() as conn:
            streamed = conn.execution_options(
                stream_results=True, yield_per=5
            ).execute(select(INSTANCES))
            self.assertEqual(50, len(list(streamed)))
        self.assertEqual((1, 0, {'SELECT instances': 1}), self.sums())

    def test_only_the_first_few_names_are_told_and_all_time_is(self):
        with self.request(), self.engine.connect() as conn:
            for number in range(200):
                conn.execute(text(f'CREATE TEMP TABLE t{number} (id INTEGER)'))
        count, _rows, top = self.sums()
        # With the ROLLBACK.
        self.assertEqual(201, count)
        self.assertEqual(_sql_sums.TOP, len(top))
        self.assertEqual([], self.sql())

    def test_what_is_remembered_is_bounded(self):
        sums = _sql_sums.Sums()
        for number in range(100000):
            sums.add(f'SELECT t{number}', number, 1)
        self.assertEqual(_sql_sums.MAX_NAMES, len(sums._by_name))
        said = sums.close()
        self.assertEqual(100000, said['openstack.db.count'])
        self.assertAlmostEqual(
            sum(range(100000)) / 1e9, said['openstack.db.duration']
        )
        self.assertEqual(
            'SELECT t99999', said['openstack.db.top.statements'][0]
        )

    def test_a_span_that_ended_gets_no_more(self):
        with self.request() as request:
            pass
        with trace.use_span(request), self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
        self.assertEqual(['SELECT instances'], self.sql_names())
        self.assertIsNone(self.sums())

    def test_after_its_end_a_span_with_sums_gets_no_more(self):
        with self.request() as request, self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
        with trace.use_span(request), self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
        self.assertEqual(['SELECT instances'], self.sql_names())
        self.assertEqual((1, 0, {'SELECT instances': 1}), self.sums())

    def test_under_a_span_of_elsewhere_each_statement_has_its_span(self):
        with database.parent(sampled=True), self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
        self.assertEqual(['SELECT instances'], self.sql_names())

    def test_a_span_of_another_provider_gets_its_sums(self):
        ended = []

        class Keep(sdk_trace.SpanProcessor):
            def on_end(self, span):
                ended.append(span)

        theirs = sdk_trace.TracerProvider(shutdown_on_exit=False)
        theirs.add_span_processor(Keep())
        tracer = theirs.get_tracer('theirs')
        with tracer.start_as_current_span('work'):
            with self.engine.connect() as conn:
                conn.execute(select(INSTANCES))
        self.assertEqual((1, 0, {'SELECT instances': 1}), self.sums(ended[0]))
        self.assertEqual([], self.sql())

    def test_threads_under_one_span_lose_nothing(self):
        workers, times = 8, 40
        # Together, so that some have to give way to others.
        ready = threading.Barrier(workers)

        def work():
            with self.engine.connect() as conn:
                ready.wait(60)
                for _ in range(times):
                    conn.execute(select(INSTANCES)).all()

        with self.request():
            with concurrent.futures.ThreadPoolExecutor(workers) as pool:
                done = [
                    pool.submit(context.Carried(work)) for _ in range(workers)
                ]
                for one in done:
                    one.result(120)
        count, _rows, _top = self.sums()
        self.assertEqual(workers * times, count + len(self.sql()))

    def test_who_has_to_wait_for_another_gets_a_span(self):
        with self.request() as request, self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
            sums = vars(request)['_oslo_tracing_sql_sums']
            with sums._lock:
                conn.execute(text('SELECT 1'))
        self.assertEqual(['SELECT'], self.sql_names())
        self.assertEqual((1, 0, {'SELECT instances': 1}), self.sums())

    def test_a_lock_that_nobody_opens_does_not_keep_a_span_from_its_end(self):
        with self.request() as request, self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
            vars(request)['_oslo_tracing_sql_sums']._lock.acquire()
        self.assertEqual((1, 0, {'SELECT instances': 1}), self.sums())

    def test_the_parent_may_end_in_another_thread(self):
        span = self.spans.tracing.tracer('test').start_span('request')
        with trace.use_span(span), self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
        ender = threading.Thread(target=span.end)
        ender.start()
        ender.join()
        self.assertEqual((1, 0, {'SELECT instances': 1}), self.sums())

    def test_an_end_that_was_looked_up_before_has_them_too(self):
        span = self.spans.tracing.tracer('test').start_span('request')
        with contextlib.ExitStack() as at_end:
            at_end.callback(span.end)
            with trace.use_span(span), self.engine.connect() as conn:
                conn.execute(select(INSTANCES))
        self.assertEqual((1, 0, {'SELECT instances': 1}), self.sums())

    def test_the_end_that_was_asked_for_is_kept_and_is_only_one(self):
        span = self.spans.tracing.tracer('test').start_span(
            'request', start_time=1
        )
        with trace.use_span(span), self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
        span.end(end_time=4711)
        self.assertEqual(4711, self.request_span().end_time)
        self.assertNotIn('end', vars(span))

    def test_a_span_with_sums_goes_when_nobody_holds_it(self):
        span = self.spans.tracing.tracer('test').start_span('request')
        with trace.use_span(span), self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
        span.end()
        gone = weakref.ref(span)
        del span
        self.spans.clear()
        self.assertIsNone(gone())

    def test_a_fault_of_ours_costs_only_the_sums(self):
        self.useFixture(fixtures.FakeLogger())
        with self.request() as request, self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
            del vars(request)['_oslo_tracing_sql_sums']
        self.assertIsNone(self.sums())

    def test_the_clock_set_back_takes_no_time_away(self):
        clock = iter([10**18, 10**18 - 10**12])

        @event.listens_for(self.engine, 'before_cursor_execute')
        def earlier(*args):
            self.useFixture(
                fixtures.MonkeyPatch('time.time_ns', clock.__next__)
            )

        request = self.spans.tracing.tracer('test').start_span('request')
        with trace.use_span(request), self.engine.connect() as conn:
            conn.execute(select(INSTANCES))
        request.end(2 * 10**18)
        said = self.request_span().attributes
        self.assertEqual(1, said['openstack.db.count'])
        self.assertEqual(0.0, said['openstack.db.duration'])

    def test_names_that_are_not_plain_are_told_as_they_are(self):
        with self.request(), self.engine.connect() as conn:
            conn.execute(text('CREATE TEMP TABLE \u00e4rger (id INTEGER)'))
        _count, _rows, top = self.sums()
        self.assertIn('CREATE TABLE \u00e4rger', top)
        request = self.request_span()
        self.assertTrue(request.rough)

    def test_the_report_reads_what_was_recorded(self):
        with self.request():
            self.write_and_read()
        directory = self.useFixture(fixtures.TempDir()).path
        with open(f'{directory}/spans.jsonl', 'wb') as written:
            written.write(_otlp_json.encode(self.spans.finished))
        (read,) = sources.open_source(directory).spans()
        found = sums.of(read)
        said = self.request_span().attributes
        self.assertEqual(
            (4, 1, list(said['openstack.db.top.statements'])),
            (found.count, found.rows, [each.name for each in found.top]),
        )
        self.assertAlmostEqual(
            said['openstack.db.duration'] * 1e9, found.duration, delta=1
        )

    def test_undone_at_shutdown(self):
        with self.request():
            with self.engine.connect() as conn:
                conn.execute(select(INSTANCES))
            self.spans.tracing.undo.close()
            with self.engine.connect() as conn:
                conn.execute(select(INSTANCES))
        self.assertEqual((1, 0, {'SELECT instances': 1}), self.sums())
        self.assertNotIn('_oslo_tracing_sql_sums', vars(sdk_trace.Span))


class SlowTest(TestCase):
    spans_wanted = 'slow'

    def test_what_writes_has_spans_and_what_reads_is_added_up(self):
        with self.request():
            self.write_and_read()
        self.assertEqual(['INSERT instances', 'COMMIT'], self.sql_names())
        self.assertEqual((2, 0, {'SELECT instances': 2}), self.sums())

    def test_what_is_slow_or_fails_has_a_span(self):
        with self.request(), self.engine.connect() as conn:
            self.assertRaises(
                sqlalchemy.exc.OperationalError,
                conn.execute,
                text('SELECT * FROM nowhere'),
            )
            self.settings.db_slow_threshold = 0.0
            conn.execute(select(INSTANCES))
        self.assertEqual(
            ['SELECT nowhere', 'SELECT instances'], self.sql_names()
        )
        self.assertIsNone(self.sums())

    def test_what_is_tried_again_has_spans(self):
        tried = []

        @api.wrap_db_retry(max_retries=3, retry_on_deadlock=True)
        def work():
            with self.engine.connect() as conn:
                conn.execute(select(INSTANCES))
            tried.append(1)
            if len(tried) < 3:
                raise exception.DBDeadlock()

        with self.request():
            work()
        # The first attempt was one like any other.
        self.assertEqual(['SELECT instances'] * 2, self.sql_names())
        self.assertEqual((1, 0, {'SELECT instances': 1}), self.sums())

    def test_what_is_tried_again_has_spans_below_spans_of_the_service(self):
        tried = []

        @api.wrap_db_retry(max_retries=3, retry_on_deadlock=True)
        @oslo_tracing.traced(name='outer')
        def work():
            with (
                oslo_tracing.span('inner'),
                self.engine.connect() as conn,
            ):
                conn.execute(select(INSTANCES))
            tried.append(1)
            if len(tried) < 3:
                raise exception.DBDeadlock()

        with self.request():
            work()
        first, *again = [s for s in self.spans.finished if s.name == 'inner']
        self.assertEqual((1, 0, {'SELECT instances': 1}), self.sums(first))
        self.assertEqual([None, None], [self.sums(span) for span in again])
        for span in again:
            self.assertEqual(
                ['SELECT instances'],
                [
                    s.name
                    for s in self.sql()
                    if s.parent.span_id == span.context.span_id
                ],
            )

    def test_a_retry_is_over_with_the_span_that_tells_of_it(self):
        tried = []

        @api.wrap_db_retry(max_retries=3, retry_on_deadlock=True)
        def work():
            tried.append(1)
            if len(tried) < 3:
                raise exception.DBDeadlock()

        before = otel_context.get_current()
        with self.request():
            with oslo_tracing.span('tried'):
                work()
            with oslo_tracing.span('other'), self.engine.connect() as conn:
                conn.execute(select(INSTANCES))
        self.assertIs(before, otel_context.get_current())
        other = self.spans.named('other')
        self.assertEqual((1, 0, {'SELECT instances': 1}), self.sums(other))

    def test_the_sampler_is_asked_for_nothing_that_is_added_up(self):
        started = self.balance.started
        with self.request(), self.engine.connect() as conn:
            for _ in range(10):
                conn.execute(select(INSTANCES))
        self.assertEqual(started + 1, self.balance.started)


class AllTest(TestCase):
    spans_wanted = 'all'

    def test_by_default_each_statement_has_a_span(self):
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        self.assertEqual('all', conf.tracing.db_spans)
        self.assertEqual(0.05, conf.tracing.db_slow_threshold)
        with self.request() as request:
            self.write_and_read()
            self.assertNotIn('end', vars(request))
        self.assertEqual(4, len(self.sql()))
        self.assertIsNone(self.sums())


class CommentTest(TestCase):
    def options(self):
        return {**super().options(), 'db_comment': True}

    def setUp(self):
        super().setUp()
        self.said = []

        @event.listens_for(self.engine, 'after_cursor_execute')
        def look(conn, cursor, statement, parameters, given, many):
            self.said.append(statement)

    def test_a_comment_names_the_span_that_there_is(self):
        with self.request() as request:
            self.write_and_read(reads=1)
        named = f'{request.get_span_context().span_id:016x}'
        for statement in self.said:
            self.assertIn(named, statement)
        self.assertEqual([], self.sql())
        self.assertEqual(
            (
                3,
                1,
                {'INSERT instances': 1, 'SELECT instances': 1, 'COMMIT': 1},
            ),
            self.sums(),
        )

    def test_a_statement_that_is_sure_to_have_a_span_names_it(self):
        self.settings.db_spans = 'slow'
        with self.request() as request:
            self.write_and_read(reads=1)
        insert, _commit = self.sql()
        self.assertIn(f'{insert.context.span_id:016x}', self.said[0])
        self.assertIn(
            f'{request.get_span_context().span_id:016x}', self.said[1]
        )

    def test_the_text_of_a_slow_one_has_no_comment(self):
        self.settings.db_slow_threshold = 0.0
        with self.request():
            self.write_and_read(reads=1)
        self.assertNotIn('traceparent', self.everything_said())


class LiveTest(TestCase):
    def setUp(self):
        super().setUp()
        directory = self.useFixture(fixtures.TempDir()).path
        self.path = f'{directory}/service.conf'

    def _say(self, *lines):
        with open(self.path, 'w', encoding='utf-8') as opened:
            opened.write('\n'.join(('[tracing]', 'enabled = true', *lines)))

    def test_it_changes_while_the_service_runs(self):
        self._say()
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], project='', default_config_files=[self.path])
        self.spans = self.useFixture(
            fixture.SpanRecorder('sqlalchemy', conf=conf)
        )
        logger = self.useFixture(fixtures.FakeLogger(level=logging.INFO))

        def names():
            self.spans.clear()
            with self.request():
                self.write_and_read(reads=1)
            with self.engine.begin() as conn:
                conn.execute(INSTANCES.delete())
            return self.sql_names()

        every = ['INSERT instances', 'SELECT instances', 'COMMIT']
        self.assertEqual(every, names())
        self._say('db_spans = slow', 'db_slow_threshold = 3000')
        conf.mutate_config_files()
        self.assertEqual(['INSERT instances', 'COMMIT'], names())
        self._say('db_spans = summary', 'db_slow_threshold = 3000')
        conf.mutate_config_files()
        self.assertEqual([], names())
        self._say('db_spans = summary', 'db_slow_threshold = 0')
        conf.mutate_config_files()
        self.assertEqual(every, names())
        self._say('db_spans = some', 'db_slow_threshold = 0')
        conf.mutate_config_files()
        self.assertEqual('summary', self.settings.db_spans)
        self.assertIn('db_spans', logger.output)


class AsyncTest(TestCase):
    def test_statements_of_tasks_are_added_up_on_their_own_spans(self):
        logging.getLogger('aiosqlite').setLevel(logging.WARNING)
        directory = self.useFixture(fixtures.TempDir()).path

        async def one(engine, name, times):
            with oslo_tracing.span(name, root=True):
                async with engine.connect() as conn:
                    for _ in range(times):
                        await conn.execute(text('SELECT 1'))

        async def main():
            engine = sqlalchemy_asyncio.create_async_engine(
                f'sqlite+aiosqlite:///{directory}/async.db'
            )
            try:
                await asyncio.gather(
                    *(one(engine, f'task {n}', n) for n in range(1, 5))
                )
            finally:
                await engine.dispose()

        asyncio.run(main())
        for number in range(1, 5):
            self.assertEqual(
                (number, 0, {'SELECT': number}),
                self.sums(self.spans.named(f'task {number}')),
            )
        self.assertEqual(4, len(self.spans.finished))

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
import logging

import fixtures
from opentelemetry import trace
import sqlalchemy
from sqlalchemy.ext import asyncio as sqlalchemy_asyncio

from oslo_tracing.tests import database

INSTANCES = database.INSTANCES
select = sqlalchemy.select
text = sqlalchemy.text


class AsyncTest(database.TestCase):
    def setUp(self):
        # It logs each call at DEBUG.
        logging.getLogger('aiosqlite').setLevel(logging.WARNING)
        directory = self.useFixture(fixtures.TempDir()).path
        self.url = f'sqlite+aiosqlite:///{directory}/async.db'
        self.before = sqlalchemy_asyncio.create_async_engine(self.url)
        super().setUp()

    def run_all(self, work, engine=None, **options):
        async def main():
            used = engine or sqlalchemy_asyncio.create_async_engine(
                self.url, **options
            )
            try:
                await work(used)
            finally:
                await used.dispose()

        asyncio.run(main())

    async def _create(self, engine):
        async with engine.begin() as conn:
            await conn.run_sync(database.METADATA.create_all)

    def test_a_statement_has_exactly_one_span(self):
        async def work(engine):
            await self._create(engine)
            with self.request():
                async with engine.begin() as conn:
                    await conn.execute(INSTANCES.insert().values(name='a'))
                    await conn.execute(select(INSTANCES))

        self.run_all(work)
        self.assertEqual(
            ['INSERT instances', 'SELECT instances', 'COMMIT'],
            self.sql_names(),
        )
        request = self.spans.named('request')
        for span in self.sql():
            self.assertEqual(request.context.span_id, span.parent.span_id)
            self.assertEqual('sqlite', span.attributes['db.system.name'])

    def test_an_engine_made_before_set_up_is_traced(self):
        async def work(engine):
            with self.request():
                async with engine.connect() as conn:
                    await conn.execute(text('SELECT 1'))

        self.run_all(work, self.before)
        self.assertEqual(['SELECT'], self.sql_names())

    def test_a_stream_has_one_span(self):
        async def work(engine):
            await self._create(engine)
            async with engine.begin() as conn:
                await conn.execute(
                    INSTANCES.insert(), [{'name': str(n)} for n in range(9)]
                )
            with self.request():
                async with engine.connect() as conn:
                    result = await conn.stream(select(INSTANCES))
                    self.assertEqual(9, len([row async for row in result]))

        self.run_all(work)
        self.assertEqual(['SELECT instances'], self.sql_names())

    def test_sessions_and_batches(self):
        async def work(engine):
            await self._create(engine)
            with self.request():
                async with sqlalchemy_asyncio.AsyncSession(engine) as session:
                    await session.execute(
                        INSTANCES.insert(),
                        [{'name': str(n)} for n in range(9)],
                    )
                    await session.commit()

        self.run_all(work)
        self.assertEqual(
            ['BATCH INSERT instances', 'COMMIT'], self.sql_names()
        )

    def test_concurrent_tasks_do_not_mix(self):
        async def work(engine):
            async def one():
                with self.request() as request:
                    async with engine.connect() as conn:
                        for _ in range(5):
                            await conn.execute(text('SELECT 1'))
                return request.get_span_context().span_id

            self.parents = await asyncio.gather(*(one() for _ in range(5)))

        self.run_all(work)
        found = [span.parent.span_id for span in self.sql()]
        self.assertEqual(sorted(self.parents * 5), sorted(found))

    def test_a_failing_statement_is_marked_and_still_raises(self):
        async def work(engine):
            with self.request():
                async with engine.connect() as conn:
                    try:
                        await conn.execute(text('SELECT * FROM nowhere'))
                    except sqlalchemy.exc.OperationalError:
                        self.raised = True

        self.run_all(work)
        self.assertTrue(self.raised)
        (span,) = self.sql()
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)

    def test_a_cancelled_statement_ends_its_span(self):
        async def work(engine):
            with self.request():
                async with engine.connect() as conn:
                    forever = asyncio.create_task(
                        conn.execute(
                            text(
                                'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL'
                                ' SELECT i + 1 FROM n WHERE i < 3000000)'
                                ' SELECT max(i) FROM n'
                            )
                        )
                    )
                    while not self.begun:
                        await asyncio.sleep(0)
                    forever.cancel()
                    try:
                        await forever
                    except asyncio.CancelledError:
                        self.cancelled = True

        self.begun = []
        self.cancelled = False
        sqlalchemy.event.listen(
            self.before.sync_engine,
            'before_cursor_execute',
            lambda *args: self.begun.append(1),
        )
        self.run_all(work, self.before)
        self.assertTrue(self.cancelled)
        (span,) = self.sql()
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertIn('Cancelled', span.attributes['error.type'])

    def test_a_wait_for_a_connection_is_an_event(self):
        async def work(engine):
            async with engine.connect():
                with self.request():
                    try:
                        await engine.connect()
                    except sqlalchemy.exc.TimeoutError:
                        self.raised = True

        self.run_all(
            work,
            poolclass=sqlalchemy.pool.AsyncAdaptedQueuePool,
            pool_size=1,
            max_overflow=0,
            pool_timeout=0.05,
        )
        self.assertTrue(self.raised)
        (event,) = self.spans.named('request').events
        self.assertEqual('db.pool.wait', event.name)
        self.assertGreaterEqual(
            event.attributes['openstack.db.pool.wait.duration'], 0.045
        )

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

"""Beside opentelemetry-instrumentation-sqlalchemy."""

from __future__ import annotations

import logging

import fixtures
from opentelemetry.instrumentation import sqlalchemy as their_sqlalchemy
import sqlalchemy

from oslo_tracing.tests import database

INSTANCES = database.INSTANCES
text = sqlalchemy.text


class NeighbourTest(database.TestCase):
    def _instrument(self, **options):
        instrumentor = their_sqlalchemy.SQLAlchemyInstrumentor()
        instrumentor.instrument(
            tracer_provider=self.spans.tracing.provider, **options
        )
        self.addCleanup(instrumentor.uninstrument)
        return instrumentor

    def _kinds(self):
        return [
            (span.instrumentation_scope.name, span.name)
            for span in self.sql()
            if span.name != 'connect'
        ]

    def _use(self, engine):
        with self.request(), engine.begin() as conn:
            conn.execute(INSTANCES.insert().values(name='a'))
            conn.execute(INSTANCES.insert(), [{'name': 'b'}, {'name': 'c'}])
            if database.IS_2:
                conn.execute(
                    INSTANCES.insert().returning(INSTANCES.c.id),
                    [{'name': str(n)} for n in range(5)],
                )
            conn.execute(sqlalchemy.select(INSTANCES))
        with self.request(), engine.connect() as conn:
            self.assertRaises(
                sqlalchemy.exc.OperationalError,
                conn.execute,
                text('SELECT * FROM nowhere'),
            )

    def _check(self):
        ours = [
            name
            for scope, name in self._kinds()
            if scope == 'oslo_tracing.sqlalchemy'
        ]
        others = [
            name
            for scope, name in self._kinds()
            if scope != 'oslo_tracing.sqlalchemy'
        ]
        if others:
            # All statements are theirs, and no COMMIT is.
            self.assertEqual(['COMMIT'], ours)
            self.assertEqual(4 + database.IS_2, len(others), others)
        else:
            self.assertEqual(5 + database.IS_2, len(ours), ours)

    def test_an_engine_of_theirs_made_after(self):
        logged = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self._instrument()
        engine = sqlalchemy.create_engine(self.engine.url, future=True)
        self.addCleanup(engine.dispose)
        self._use(engine)
        self._check()
        self.assertLessEqual(logged.output.count('for those that it has'), 1)

    def test_an_engine_of_theirs_made_before(self):
        self._use(self.engine)
        self.assertEqual(5 + database.IS_2, len(self._kinds()))
        self.spans.clear()
        self._instrument(engine=self.engine)
        with self.request(), self.engine.connect() as conn:
            conn.execute(INSTANCES.delete())
            conn.commit()
        self.spans.clear()
        self._use(self.engine)
        self._check()

    def test_an_engine_that_they_miss_is_ours(self):
        self._instrument()
        self._use(self.engine)
        scopes = {scope for scope, _ in self._kinds()}
        self.assertEqual({'oslo_tracing.sqlalchemy'}, scopes)
        self._check()

    def test_once_they_are_gone_all_is_ours(self):
        instrumentor = self._instrument(engine=self.engine)
        instrumentor.uninstrument()
        self._use(self.engine)
        scopes = {scope for scope, _ in self._kinds()}
        self.assertEqual({'oslo_tracing.sqlalchemy'}, scopes)

    def test_comments_of_ours_leave_no_span_open(self):
        self.spans = self.record(db_comment=True)
        self._instrument(engine=self.engine)
        with self.request(), self.engine.connect() as conn:
            conn.execute(text('SELECT 1'))
        self.assertEqual(1, len(self._kinds()))

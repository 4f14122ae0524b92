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

import fixtures
import sqlalchemy

from oslo_tracing.integrations import _sql_engines
from oslo_tracing.integrations import _sql_known
from oslo_tracing.integrations import _sql_statements
from oslo_tracing.tests import base
from oslo_tracing.tests import database


class MemoryTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.memory = _sql_known.Memory(
            self, _sql_statements.StatementCache(True)
        )
        self.engines = _sql_engines.Engines(lambda dialect: None)

    def _engine(self, url):
        # Its dialect lives as long as the test.
        made = sqlalchemy.create_engine(url, future=True)
        self.addCleanup(made.dispose)
        with made.connect() as conn:
            return self.engines.get(conn)

    def _get(self, engine, statement, batch=False):
        return self.memory.get(engine, statement, None, False, batch)

    def test_what_is_known_is_not_made_again(self):
        engine = self._engine('sqlite://')
        first = self._get(engine, 'SELECT 1 FROM tags')
        self.assertIs(first, self._get(engine, 'SELECT 1 FROM ' + 'tags'))
        self.assertEqual('SELECT tags', first.ready.name)
        many = self._get(engine, 'SELECT 1 FROM tags', batch=True)
        self.assertEqual('BATCH SELECT tags', many.ready.name)

    def test_engines_share_what_is_said_of_the_statement_alone(self):
        directory = self.useFixture(fixtures.TempDir()).path
        files = [f'{directory}/{name}' for name in 'ab']
        first, second = (
            self._get(self._engine(f'sqlite:///{file}'), 'SELECT 1')
            for file in files
        )
        self.assertIs(first.facts, second.facts)
        self.assertEqual(
            files,
            [k.ready.attributes['db.namespace'] for k in (first, second)],
        )

    def test_ten_thousand_statements_keep_it_bounded(self):
        engine = self._engine('sqlite://')
        for number in range(10000):
            self._get(engine, f'SELECT {number} FROM tags')
            self.assertLessEqual(len(self.memory), _sql_known.MAX_ENTRIES)

    def test_long_statements_keep_it_bounded_too(self):
        engine = self._engine('sqlite://')
        filler = 'x' * (_sql_statements.MAX_TEXT - 100)
        for number in range(300):
            self._get(engine, f'SELECT {number} FROM tags -- {filler}')
            self.assertLessEqual(
                len(self.memory) * len(filler), _sql_statements.MAX_CHARACTERS
            )

    def test_too_long_a_statement_is_not_kept(self):
        engine = self._engine('sqlite://')
        known = self._get(engine, 'SELECT ' + '1, ' * 6000 + '1 FROM tags')
        self.assertEqual(0, len(self.memory))
        self.assertEqual('SELECT tags', known.ready.name)


class NumberTest(database.TestCase):
    def test_a_number_that_another_dialect_had_misleads_nobody(self):
        other = self.make_engine('sqlite://')
        memories = base.instances_of(_sql_known.Memory)
        self._select(self.engine)
        for memory in memories:
            for key, known in list(memory._found.items()):
                _id, *rest = key
                moved = (id(other.dialect), *rest)
                memory._found[moved] = known
        self.spans.clear()
        for _ in range(2):
            self._select(other)
        self.assertEqual(
            [None, None],
            [s.attributes.get('db.namespace') for s in self.sql()],
        )

    def _select(self, engine):
        with self.request(), engine.connect() as conn:
            conn.execute(sqlalchemy.text('SELECT 1'))

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
from opentelemetry import trace
import sqlalchemy

from oslo_tracing.tests import database

INSTANCES = database.INSTANCES
text = sqlalchemy.text


class LookAlikeTest(database.TestCase):
    """What they leave on the context, without the package."""

    def _leave(self, span):
        def before(conn, cursor, statement, parameters, context, many):
            context._otel_span = span

        sqlalchemy.event.listen(self.engine, 'before_cursor_execute', before)

    def test_a_statement_that_has_their_span_gets_none_of_ours(self):
        logged = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        tracer = self.spans.tracing.tracer('theirs')
        with self.request(), self.engine.connect() as conn:
            span = tracer.start_span('theirs')
            self._leave(span)
            conn.execute(text('SELECT 1'))
            conn.execute(INSTANCES.insert(), [{'name': 'a'}, {'name': 'b'}])
            self.assertRaises(
                sqlalchemy.exc.OperationalError,
                conn.execute,
                text('nonsense'),
            )
            conn.commit()
            span.end()
        self.assertEqual(['COMMIT', 'theirs'], self.sql_names())
        self.assertEqual(1, logged.output.count('for those that it has'))

    def test_a_span_of_theirs_that_records_nothing_does_not_count(self):
        self._leave(trace.INVALID_SPAN)
        with self.request(), self.engine.connect() as conn:
            conn.execute(text('SELECT 1'))
        self.assertEqual(['SELECT'], self.sql_names())

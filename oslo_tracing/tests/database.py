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

"""What tests of SQL start from: a small schema, and a count of spans."""

from __future__ import annotations

import contextlib

import fixtures
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace
import sqlalchemy

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing.tests import base

#: With insertmanyvalues, among other things.
IS_2 = sqlalchemy.__version__ >= '2'

METADATA = sqlalchemy.MetaData()
INSTANCES = sqlalchemy.Table(
    'instances',
    METADATA,
    sqlalchemy.Column('id', sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column('name', sqlalchemy.String(64), unique=True),
    sqlalchemy.Column('password', sqlalchemy.String(64)),
)
TAGS = sqlalchemy.Table(
    'tags',
    METADATA,
    sqlalchemy.Column('id', sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column(
        'instance_id',
        sqlalchemy.Integer,
        sqlalchemy.ForeignKey(INSTANCES.c.id),
    ),
    sqlalchemy.Column('tag', sqlalchemy.String(64)),
)
#: Here it is the COMMIT that fails; MariaDB knows no such thing.
DEFERRED = (
    'CREATE TABLE links (instance_id INTEGER REFERENCES instances (id)'
    ' DEFERRABLE INITIALLY DEFERRED)'
)


class Balance(sdk_trace.SpanProcessor):
    """Counts the spans that were started and not ended."""

    def __init__(self):
        self.open = 0
        self.started = 0

    def on_start(self, span, parent_context=None):
        self.open += 1
        self.started += 1

    def on_end(self, span):
        self.open -= 1


class TestCase(base.TestCase):
    """Has an engine, made before tracing was, and a recorder."""

    def setUp(self):
        super().setUp()
        self.engine = self.make_engine()
        METADATA.create_all(self.engine)
        self.spans = self.record(**self.options())

    def options(self):
        return {}

    def make_engine(self, url=None, **options):
        if url is None:
            directory = self.useFixture(fixtures.TempDir()).path
            url = f'sqlite:///{directory}/test.db'
        engine = sqlalchemy.create_engine(url, future=True, **options)
        self.addCleanup(engine.dispose)
        return engine

    def record(self, **options):
        options.setdefault('sample_ratio', 1.0)
        spans = self.useFixture(
            fixture.SpanRecorder('sqlalchemy', 'oslo_db', **options)
        )
        self.balance = Balance()
        spans.tracing.provider.add_span_processor(self.balance)
        self.addCleanup(self.assert_nothing_open)
        return spans

    def assert_nothing_open(self):
        self.assertEqual(0, self.balance.open)

    @contextlib.contextmanager
    def request(self):
        with oslo_tracing.span('request', root=True) as span:
            yield span

    def sql(self):
        """Return the spans of SQL, those around them left out."""
        return [s for s in self.spans.finished if s.name != 'request']

    def sql_names(self):
        return [s.name for s in self.sql()]

    def everything_said(self):
        """Return every text of every span."""
        return '\n'.join(span.to_json() for span in self.spans.finished)


@contextlib.contextmanager
def parent(sampled, trace_id=0xABC, span_id=0xDEF):
    """Make somebody else's span the active one."""
    named = trace.SpanContext(
        trace_id,
        span_id,
        is_remote=True,
        trace_flags=trace.TraceFlags(1 if sampled else 0),
    )
    with trace.use_span(trace.NonRecordingSpan(named)):
        yield named

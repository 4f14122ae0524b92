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

"""All of them at once, with everything that we attach to."""

from __future__ import annotations

import collections

import fixtures
import flask
from keystoneauth1 import adapter
from keystoneauth1 import noauth
from keystoneauth1 import session as keystone_session
from opentelemetry.instrumentation import flask as their_flask
from opentelemetry.instrumentation import keystoneauth1 as their_keystone
from opentelemetry.instrumentation import oslo_messaging as their_messaging
from opentelemetry.instrumentation import oslo_service as their_service
from opentelemetry.instrumentation import requests as their_requests
from opentelemetry.instrumentation import sqlalchemy as their_sqlalchemy
from opentelemetry.instrumentation import wsgi as their_wsgi
import oslo_messaging
import requests
import sqlalchemy

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing.tests import base
from oslo_tracing.tests import bus
from oslo_tracing.tests import database
from oslo_tracing.tests.unit.integrations import http_servers
from oslo_tracing.tests.unit.integrations import messaging_neighbours
from oslo_tracing.tests import wsgi

INSTRUMENTORS = (
    their_flask.FlaskInstrumentor,
    their_keystone.KeystoneAuth1Instrumentor,
    their_messaging.OsloMessagingInstrumentor,
    their_requests.RequestsInstrumentor,
    their_service.OsloServiceInstrumentor,
    their_sqlalchemy.SQLAlchemyInstrumentor,
)
# From the inside; theirs has no instrumentor.
FILTERS = (
    middleware.TracingMiddleware,
    their_wsgi.OpenTelemetryMiddleware,
)
HTTP = ('http.method', 'http.request.method')
KEYSTONE = their_keystone.__name__
_SIDES = {
    bus.CLIENT: 'sent',
    bus.PRODUCER: 'sent',
    bus.SERVER: 'received',
    bus.CONSUMER: 'received',
}


class Conductor(bus.Endpoint):
    """Answers RPC after some SQL."""

    def __init__(self, engine):
        super().__init__()
        self._engine = engine

    def create(self, ctxt, name):
        with self._engine.begin() as conn:
            conn.execute(database.INSTANCES.insert().values(name=name))
        self.seen.put(name)


class TogetherTest(http_servers.TestCase, bus.TestCase):
    """One request that does all that a service does."""

    def setUp(self):
        super().setUp()
        self.statements = 0
        self.exchange = oslo_messaging.get_rpc_transport(self.conf)
        self.addCleanup(self.exchange.cleanup)

    def record(self):
        self.spans = self.useFixture(fixture.SpanRecorder(sample_ratio=1.0))

    def instrument(self):
        for make in INSTRUMENTORS:
            instrumentor = make()
            instrumentor.instrument()
            self.addCleanup(instrumentor.uninstrument)

    def make_engine(self):
        path = self.useFixture(fixtures.TempDir()).path
        engine = sqlalchemy.create_engine(f'sqlite:///{path}/test.db')
        self.addCleanup(engine.dispose)
        database.METADATA.create_all(engine)
        sqlalchemy.event.listen(engine, 'before_cursor_execute', self.count)
        return engine

    def count(self, *args):
        self.statements += 1

    def application(self, engine):
        """Return an API: SQL, RPC, a notification and HTTP for a request."""
        image = adapter.Adapter(
            keystone_session.Session(auth=noauth.NoAuth()),
            endpoint_override=self.server.url,
        )
        notifier = oslo_messaging.Notifier(
            self.exchange,
            'api',
            driver='messagingv2',
            topics=['notifications'],
        )
        rpc = self.client(self.exchange)
        app = flask.Flask('compute')

        @app.route('/servers/<name>', methods=['POST'])
        def create(name):
            with engine.connect() as conn:
                conn.execute(sqlalchemy.select(database.INSTANCES))
            image.get('/')
            requests.get(self.server.url + '/', timeout=5)
            rpc.call({'user': 'u'}, 'create', name=name)
            rpc.cast({'user': 'u'}, 'create', name=f'{name}-2')
            notifier.info({'user': 'u'}, 'compute.create', {})
            return 'done'

        return app

    def ask(self, filters=FILTERS):
        """Send a request and wait until all that it causes is over."""
        engine = self.make_engine()
        app = self.application(engine)
        conductor = Conductor(engine)
        listener = messaging_neighbours.Listener()
        self.serve(self.exchange, conductor)
        self.start(
            oslo_messaging.get_notification_listener(
                self.exchange,
                [oslo_messaging.Target(topic='notifications')],
                [listener],
            )
        )
        for make in filters:
            app = make(app)
        self.spans.clear()
        self.statements = 0
        answer = wsgi.ask(app, '/servers/a', 'POST', checked=False)
        self.assertEqual(b'done', answer.body)
        for queue in (conductor.seen, conductor.seen, listener.seen):
            queue.get(timeout=bus.PATIENCE)
        self.finish()

    def where(self, *names):
        """Return the spans that have one of these attributes."""
        return [
            span
            for span in self.spans.finished
            if not set(names).isdisjoint(span.attributes)
        ]

    def assertNothingTwice(self, calls):
        """Assert that each thing has the one span of it.

        :param calls: spans of whole calls of keystoneauth, of which its own
            instrumentor has one and we have none.
        """
        kinds = collections.Counter(
            ('call' if span.instrumentation_scope.name == KEYSTONE else 'http')
            + f' {span.kind.name}'
            for span in self.where(*HTTP)
        )
        kinds.update(
            f'message {_SIDES[span.kind]}'
            for span in self.where('messaging.system')
        )
        kinds.update(
            'commit' if span.name == 'COMMIT' else 'statement'
            for span in self.where('db.statement', 'db.query.text')
        )
        # That of Flask is for what the application itself does.
        kinds.pop('http INTERNAL', None)
        self.assertEqual(
            {
                'http SERVER': 1,
                **({'call CLIENT': calls} if calls else {}),
                'http CLIENT': len(self.server.seen),
                'message sent': 3,
                'message received': 3,
                'statement': self.statements,
                'commit': 2,
            },
            dict(kinds),
            '\n'.join(
                f'{span.instrumentation_scope.name} {span.name}'
                for span in self.spans.finished
            ),
        )
        self.assertEqual((2, 3), (len(self.server.seen), self.statements))

    def assertOneTree(self):
        spans = self.spans.finished
        self.assertEqual(1, len({span.context.trace_id for span in spans}))
        ids = {span.context.span_id for span in spans}
        parents = [span.parent.span_id for span in spans if span.parent]
        self.assertEqual(len(spans) - 1, len(parents))
        self.assertEqual(set(), set(parents) - ids)
        # Each request went out with the span that was recorded for it.
        sent = [
            header
            for number in range(len(self.server.seen))
            for header in self.server.header('traceparent', number)
        ]
        self.assertEqual(
            {
                base.traceparent(span)
                for span in self.where(*HTTP)
                if span.kind is bus.CLIENT
                and span.instrumentation_scope.name != KEYSTONE
            },
            set(sent),
        )
        self.assertEqual(len(self.server.seen), len(sent))

    def test_when_they_come_first(self):
        self.instrument()
        self.record()
        # Ours goes first, so that each finds what it left.
        self.addCleanup(oslo_tracing.shutdown)
        self.ask()
        self.assertNothingTwice(calls=1)
        self.assertOneTree()

    def test_when_they_come_later(self):
        self.record()
        self.instrument()
        self.ask()
        self.assertNothingTwice(calls=1)
        self.assertOneTree()

    def test_when_they_have_left_all_is_ours(self):
        self.record()
        self.instrument()
        for make in INSTRUMENTORS:
            make().uninstrument()
        self.ask(filters=(middleware.TracingMiddleware,))
        self.assertNothingTwice(calls=0)
        self.assertOneTree()
        scopes = {
            span.instrumentation_scope.name for span in self.spans.finished
        }
        self.assertEqual(
            {
                f'oslo_tracing.{name}'
                for name in (
                    'http_client',
                    'oslo_messaging',
                    'sqlalchemy',
                    'wsgi',
                )
            },
            scopes,
        )

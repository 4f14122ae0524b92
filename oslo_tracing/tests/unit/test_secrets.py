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

"""Secrets, planted wherever a request can carry them, never leave.

A real pipeline, RPC, notifications, SQL and outgoing HTTP, with spans that
go into files and to an OTLP receiver: every byte of these, and of our log
at DEBUG, is searched.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import threading

import fixtures
import keystoneauth1.exceptions
from keystoneauth1 import noauth
from keystoneauth1 import session as keystone_session
import oslo_messaging
import requests
import sqlalchemy as sa

import oslo_tracing
from oslo_tracing import middleware
from oslo_tracing import opts
from oslo_tracing.tests import bus
from oslo_tracing.tests.unit.exporters import sinks
from oslo_tracing.tests.unit.integrations import http_servers
from oslo_tracing.tests import wsgi

FERNET = 'gAAAAABn' + 'V3ryS3cr3tF3rn3tT0k3n_-' * 6
JWT = '.'.join(('eyJhbGciOiJIUzI1NiJ9', 'eyJzdWIiOiJzM2NyM3QifQ', 'S1gn4tur3'))
DIGEST = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'


class _Secrets:
    """Makes secrets that tell where they were planted."""

    def __init__(self):
        self.planted = [FERNET, JWT, DIGEST]

    def __call__(self, where):
        secret = f'S3CRET-of-{where}'
        self.planted.append(secret)
        return secret


class _DriverError(Exception):
    """As pymysql and psycopg2 have them: with the row in the sentence."""


_DriverError.__module__ = 'pymysql.err'


class Manager:
    target = oslo_messaging.Target(version='1.0')

    def __init__(self, secret):
        self._secret = secret
        self.was_notified = threading.Event()

    def build(self, ctxt, password):
        return password

    def fail(self, ctxt, password):
        raise ValueError(self._secret('rpc-error'), password)

    @oslo_messaging.expected_exceptions(KeyError)
    def expect(self, ctxt, password):
        raise KeyError(self._secret('rpc-expected'))

    def info(self, ctxt, publisher_id, event_type, payload, metadata):
        self.was_notified.set()
        raise ValueError(self._secret('listener-error'))


class SecretsTest(bus.TestCase):
    def setUp(self):
        super().setUp()
        for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
            self.useFixture(fixtures.EnvironmentVariable(name))
        self.useFixture(fixtures.EnvironmentVariable('NO_PROXY', '*'))
        self.secret = _Secrets()
        self.log = self.useFixture(
            fixtures.FakeLogger('oslo_tracing', level=logging.DEBUG)
        )
        self.directory = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'traces'
        )
        self.sink = self.useFixture(sinks.HttpSink())
        self.server = self.useFixture(http_servers.Server())
        opts.register_opts(self.conf)
        for name, value in {
            'enabled': True,
            'exporters': ['file', 'otlp'],
            'file_directory': self.directory,
            'otlp_endpoint': self.sink.endpoint,
            'otlp_headers': {
                'authorization': 'Bearer ' + self.secret('otlp-header')
            },
        }.items():
            self.conf.set_override(name, value, group='tracing')
            self.addCleanup(self.conf.clear_override, name, group='tracing')
        oslo_tracing.setup(self.conf, 'secretive')

    def exported(self):
        """Return all that has left the process, as one."""
        tracing = oslo_tracing.setup(self.conf)
        self.finish()
        oslo_tracing.shutdown()
        self.assertEqual({}, tracing.stats.snapshot()['dropped'])
        found = []
        for path in glob.glob(os.path.join(self.directory, '*')):
            with open(path, 'rb') as stream:
                found.append(stream.read())
        for _path, _headers, request in self.sink.requests:
            found.append(request.SerializeToString())
        self.assertGreater(len(found), 1)
        found.append(self.log.output.encode())
        return b'\n'.join(found)

    def assert_secrets_are_safe(self, *names):
        exported = self.exported()
        for name in names:
            self.assertIn(name.encode(), exported)
        leaked = [
            secret
            for secret in self.secret.planted
            if secret.encode() in exported
        ]
        self.assertEqual([], leaked)

    def ask(self, app, path='/v1/things', **more):
        app = middleware.TracingMiddleware(app, self.conf)
        try:
            return wsgi.ask(app, path, **more)
        except Exception as error:
            return error

    def test_what_a_client_sends(self):
        plant = self.secret
        headers = {
            f'HTTP_{name}': f'{plant(name)}'
            for name in (
                'AUTHORIZATION',
                'X_AUTH_TOKEN',
                'X_SUBJECT_TOKEN',
                'X_SERVICE_TOKEN',
                'COOKIE',
                'TRACEPARENT',
                'TRACESTATE',
                'BAGGAGE',
                'X_TRACE_INFO',
                'X_TRACE_HMAC',
                'B3',
                'X_B3_TRACEID',
                'X_OPENSTACK_REQUEST_ID',
                'X_USER_ID',
                'X_PROJECT_ID',
                'FORWARDED',
                'X_FORWARDED_PREFIX',
            )
        }
        query = f'token={plant("query")}&sig={DIGEST}&x={plant("other")}'
        for path in (
            f'/v3/auth/tokens/{FERNET}',
            f'/v3/{JWT}/x',
            f'/v1/webhooks/{plant("webhook")}/invoke',
            f'/v1/AUTH_a/c/o/{DIGEST}',
            f'/v1/c;temp_url_sig={plant("matrix")}',
            f'/v1/tokens//{plant("slashes")}',
            f'/v1/%74okens/{plant("encoded")}',
        ):
            self.ask(wsgi.hello, path, QUERY_STRING=query, **headers)
        self.assert_secrets_are_safe('GET /v3/auth/tokens')

    def test_what_an_application_raises(self):
        plant = self.secret

        def chained():
            try:
                raise KeyError(plant('context'))
            except KeyError:
                error = ValueError(plant('error'))
                error.__notes__ = [plant('note')]
                raise error from _DriverError(1062, plant('driver'))

        def grouped():
            try:
                kind = ExceptionGroup
            except NameError:
                raise OSError(plant('group')) from None
            raise kind(plant('group'), [ValueError(plant('member'))])

        def own():
            with oslo_tracing.span('own work', {'host': 'c1'}):
                raise RuntimeError(plant('own-span'))

        def local():
            password = plant('local')
            [][len(password)]

        for raises in (chained, grouped, own, local):

            def app(environ, start_response, raises=raises):
                raises()

            self.ask(app)

            def body(environ, start_response, raises=raises):
                start_response('200 OK', [('Content-Type', 'text/plain')])
                yield b'x'
                raises()

            self.ask(body)
        self.assert_secrets_are_safe('own work', 'ValueError', 'pymysql.err')

    def test_what_goes_over_the_bus(self):
        plant = self.secret
        url = f'fake://user:{plant("transport")}@broker:5672/'
        transport = oslo_messaging.get_rpc_transport(self.conf, url)
        self.addCleanup(transport.cleanup)
        manager = Manager(plant)
        self.serve(transport, manager)
        client = self.client(transport)
        ctxt = {'auth_token': plant('context'), 'user': 'u'}
        topic = 'notifications'
        target = oslo_messaging.Target(topic=topic)
        self.start(
            oslo_messaging.get_notification_listener(
                transport, [target], [manager]
            )
        )
        notifier = oslo_messaging.Notifier(
            transport, 'publisher', driver='messaging', topics=[topic]
        )

        def app(environ, start_response):
            client.call(ctxt, 'build', password=plant('argument'))
            for method in ('fail', 'expect', 'unknown'):
                with contextlib.suppress(Exception):
                    client.call(ctxt, method, password=plant(method))
            client.cast(ctxt, 'build', password=plant('cast'))
            notifier.info(ctxt, 'thing.create', {'pw': plant('payload')})
            return wsgi.hello(environ, start_response)

        self.ask(app)
        # A listener that is stopped before it has looked would lose it.
        self.assertTrue(manager.was_notified.wait(20))
        self.assert_secrets_are_safe('compute/build', 'process thing.create')

    def test_what_a_database_is_told_and_says(self):
        plant = self.secret
        engine = sa.create_engine('sqlite://')
        elsewhere = sa.create_engine(
            f'sqlite:///file:x?mode=memory&key={plant("db-query")}&uri=true'
        )
        table = sa.Table(
            'users',
            sa.MetaData(),
            sa.Column('name', sa.String, primary_key=True),
            sa.Column('password', sa.String),
        )

        def app(environ, start_response):
            table.metadata.create_all(engine)
            with engine.begin() as connection:
                row = {'name': 'admin', 'password': plant('parameter')}
                connection.execute(table.insert(), row)
                for statement in (
                    f"UPDATE users SET password = '{plant('literal')}'",
                    f"SELECT '{plant('select')}' -- {plant('comment')}",
                    f'SELECT 1 /* {plant("block-comment")} */',
                    f"INSERT INTO users VALUES ('x', '{plant('values')}')",
                ):
                    connection.execute(sa.text(statement))
                connection.execute(
                    table.insert(),
                    [
                        {'name': f'n{number}', 'password': plant(number)}
                        for number in range(3)
                    ],
                )
            for statement in (
                f"CREATE USER u IDENTIFIED BY '{plant('identified')}'",
                f"SET PASSWORD FOR u = '{plant('set-password')}'",
                f"ALTER USER u WITH PASSWORD '{plant('alter')}'",
                f"GRANT ALL ON *.* TO u IDENTIFIED BY '{plant('grant')}'",
                f"SELECT '{plant('unterminated')}",
                f"INSERT INTO users VALUES ('admin', '{plant('double')}')",
            ):
                with engine.connect() as connection:
                    with contextlib.suppress(sa.exc.DatabaseError):
                        connection.execute(sa.text(statement))
            with elsewhere.connect() as connection:
                connection.execute(sa.text('SELECT 2'))
            with engine.begin() as connection:
                connection.execute(table.insert(), row)

        self.ask(app)
        self.assert_secrets_are_safe('INSERT users', 'IntegrityError')

    def test_what_a_driver_says(self):
        plant = self.secret
        engine = sa.create_engine('sqlite://')

        def fails(cursor, statement, parameters, context=None):
            raise sa.exc.IntegrityError(
                statement,
                parameters,
                _DriverError(
                    1062, f"Duplicate entry '{plant('entry')}' for key 'x'"
                ),
            )

        sa.event.listen(engine, 'do_execute', fails)

        def app(environ, start_response):
            with engine.connect() as connection:
                connection.execute(
                    sa.text('SELECT :x'), {'x': plant('parameter')}
                )

        self.ask(app)
        self.assert_secrets_are_safe('IntegrityError')

    def test_what_is_asked_of_others(self):
        plant = self.secret
        self.server.routes['/'] = (200, {}, b'{}')
        closed = http_servers.closed_port()
        session = keystone_session.Session(auth=noauth.NoAuth())

        def app(environ, start_response):
            for url in (
                f'{self.server.url}/?token={plant("query")}&sig={DIGEST}',
                f'{self.server.url}/tokens/{FERNET}',
                f'{self.server.url}/#access_token={plant("fragment")}',
                f'{self.server.url}/?next=http%3A%2F%2Fa%3A'
                f'{plant("nested")}%40h%2F',
                f'http://127.0.0.1:{closed}/?temp_url_sig={plant("refused")}',
                f'http://u:{plant("userinfo")}@127.0.0.1:{closed}/',
                f'http://no-such-host.invalid/?password={plant("no-host")}',
            ):
                headers = {'X-Auth-Token': plant('x-auth-token')}
                with contextlib.suppress(requests.RequestException):
                    requests.get(url, headers=headers, timeout=5)
                    requests.post(url, data={'password': plant('body')})
                with contextlib.suppress(
                    keystoneauth1.exceptions.ClientException
                ):
                    session.get(url, headers=headers)
            response = requests.get(f'http://u:{plant("last")}@127.0.0.1:1/')
            return [response.content]

        self.ask(app)
        self.assert_secrets_are_safe('REDACTED', 'ConnectionError')

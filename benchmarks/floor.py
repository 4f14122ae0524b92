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

"""The leanest use of the OpenTelemetry SDK: spans placed by hand.

What is constant is made once, attributes are given at the start, a span is
made current only where something is below it, and nothing is guarded,
cleaned or looked up. Names and attributes are those of oslo.tracing, so that
spans are equal in number and content.
"""

from __future__ import annotations

import functools
from typing import Any
from urllib import parse

from opentelemetry import context
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace import sampling
from opentelemetry import trace
from opentelemetry.trace.propagation import tracecontext
from oslo_db import exception as db_exc
from oslo_messaging._drivers import impl_fake

from benchmarks import bus
from benchmarks import service

_SERVER = trace.SpanKind.SERVER
_CLIENT = trace.SpanKind.CLIENT
_PRODUCER = trace.SpanKind.PRODUCER
_CONSUMER = trace.SpanKind.CONSUMER
_TRACER = trace.get_tracer('benchmarks')
_CONTEXT = tracecontext.TraceContextTextMapPropagator()

_MESSAGE_ID = 'benchmark_message_id'
_STATEMENTS_PATH = '/v2.1/statements/'
_BOOT, _MANY = '/v2.1/servers/{id}/action', f'{_STATEMENTS_PATH}{{count}}'
_VOLUME = '/v2.1/volume'
_EVENT = 'compute.instance.create.start'
_REQUESTS: dict[str, dict[str, Any]] = {
    route: {
        'http.request.method': 'POST',
        'http.route': route,
        'url.scheme': 'http',
        'server.address': 'compute.example.com',
        'server.port': 8774,
        'client.address': '192.0.2.7',
        'user_agent.original': 'python-novaclient',
        'network.protocol.version': '1.1',
        # It is told before the route is known.
        'openstack.sampling.name': f'POST {route.replace("count", "id")}',
    }
    for route in (_BOOT, _MANY, _VOLUME)
}
_RPC = {
    'rpc.system.name': 'oslo.messaging',
    'openstack.rpc.type': 'call',
    'openstack.rpc.version': '1.0',
    'messaging.system': 'fake',
    'messaging.destination.name': bus.TOPIC,
}
_ASKS = {
    name: {**_RPC, 'rpc.method': name}
    for name in ('select_destination', 'build')
}
_ANSWERS = {
    name: {
        **attributes,
        'openstack.rpc.server': 'benchmark',
        'code.function.name': f'benchmarks.service.Endpoint.{name}',
    }
    for name, attributes in _ASKS.items()
}
_BEGIN = {
    'db.system.name': 'sqlite',
    'db.query.summary': 'BEGIN',
    'db.query.text': 'BEGIN',
}
_ROLLBACK = {
    'db.system.name': 'sqlite',
    'db.operation.name': 'ROLLBACK',
    'db.query.summary': 'ROLLBACK',
    'db.query.text': 'ROLLBACK',
}
_SENT, _HEARD = (
    {
        'messaging.system': 'fake',
        'messaging.destination.name': f'{bus.EVENTS}.info',
        'messaging.operation.type': operation,
        'messaging.operation.name': operation,
        'openstack.notification.event_type': _EVENT,
        'openstack.notification.priority': 'info',
        'openstack.notification.publisher_id': 'compute.benchmark',
    }
    for operation in ('send', 'process')
)


def set_up(endpoint: str, ratio: float) -> Any:
    """Record and export; return what flushes."""
    provider = sdk_trace.TracerProvider(
        resource=resources.Resource.create({'service.name': 'benchmark'}),
        sampler=sampling.ParentBased(sampling.TraceIdRatioBased(ratio)),
        shutdown_on_exit=False,
    )
    from opentelemetry.exporter.otlp.proto.http import trace_exporter

    provider.add_span_processor(
        export.BatchSpanProcessor(
            trace_exporter.OTLPSpanExporter(f'{endpoint}/v1/traces')
        )
    )
    trace.set_tracer_provider(provider)
    return provider.force_flush


class Floor(service.Service):
    """The service with spans of the SDK in it."""

    def __init__(self, *args: Any) -> None:
        impl_fake.FakeIncomingMessage = _Incoming
        self._statements: dict[int, tuple[str, dict[str, Any]]] = {}
        super().__init__(*args)
        where = parse.urlsplit(self._volumes)
        self._get: dict[str, Any] = {
            'http.request.method': 'GET',
            'url.full': self._volumes,
            'server.address': where.hostname,
            'server.port': where.port,
            'http.response.status_code': 200,
        }

    def wrapped(self, application: Any) -> Any:
        """Record requests."""

        def serve(environ: dict[str, Any], start_response: Any) -> Any:
            path = environ['PATH_INFO']
            route = _route(path)
            span = _TRACER.start_span(
                f'POST {route}',
                kind=_SERVER,
                attributes={**_REQUESTS[route], 'url.path': path},
            )
            token = context.attach(trace.set_span_in_context(span))
            try:
                return application(environ, start_response)
            finally:
                context.detach(token)
                if span.is_recording():
                    ctxt = environ['nova.context']
                    span.set_attributes(
                        {
                            'http.response.status_code': 200,
                            'openstack.request_id': ctxt.request_id,
                            'openstack.project_id': ctxt.project_id,
                            'openstack.user_id': ctxt.user_id,
                        }
                    )
                span.end()

        return serve

    @functools.cached_property
    def _beginning(self) -> dict[str, Any]:
        return {**_BEGIN, 'db.namespace': self.engine.url.database}

    def connect(self) -> Any:
        """Record the statement that oslo.db begins with on SQLite."""
        span = _TRACER.start_span(
            'BEGIN', kind=_CLIENT, attributes=self._beginning
        )
        try:
            return super().connect()
        finally:
            span.end()

    def query(self, conn: Any, statement: Any, **values: Any) -> Any:
        """Record a statement."""
        name, attributes = self._of(statement, values)
        span = _TRACER.start_span(name, kind=_CLIENT, attributes=attributes)
        try:
            found = super().query(conn, statement, **values)
            if not statement.is_select:
                span.set_attribute('openstack.db.rows', found)
            return found
        except db_exc.DBError as error:
            cause: Any = error.inner_exception.orig
            span.record_exception(cause)
            span.set_status(trace.StatusCode.ERROR, str(cause))
            span.set_attribute('error.type', 'sqlite3.IntegrityError')
            # Since Python 3.11.
            code = getattr(cause, 'sqlite_errorcode', None)
            if code is not None:
                span.set_attribute('db.response.status_code', str(code))
            raise
        finally:
            span.end()

    def rollback(self, conn: Any) -> None:
        """Record that what was executed is undone."""
        span = _TRACER.start_span(
            'ROLLBACK',
            kind=_CLIENT,
            attributes={**_ROLLBACK, 'db.namespace': self.engine.url.database},
        )
        try:
            super().rollback(conn)
        finally:
            span.end()

    def get(self, url: str) -> None:
        """Record a request of another service."""
        span = _TRACER.start_span('GET', kind=_CLIENT, attributes=self._get)
        headers: dict[str, str] = {}
        _CONTEXT.inject(headers, trace.set_span_in_context(span))
        try:
            self._session.get(url, headers=headers).raise_for_status()
        finally:
            span.end()

    def call(self, ctxt: Any, method: str, **arguments: Any) -> Any:
        """Record an RPC call."""
        span = _TRACER.start_span(
            f'{bus.TOPIC}/{method}', kind=_CLIENT, attributes=_ASKS[method]
        )
        token = context.attach(trace.set_span_in_context(span))
        try:
            return super().call(ctxt, method, **arguments)
        finally:
            context.detach(token)
            span.end()

    def notify(self, ctxt: Any, event_type: str, payload: Any) -> None:
        """Record a notification."""
        span = _TRACER.start_span(
            f'send {event_type}', kind=_PRODUCER, attributes=_SENT
        )
        token = context.attach(trace.set_span_in_context(span))
        try:
            super().notify(ctxt, event_type, payload)
        finally:
            context.detach(token)
            span.end()

    class _Serializer(bus.Serializer):
        def serialize_context(self, ctxt: Any) -> dict[str, Any]:
            values = super().serialize_context(ctxt)
            _CONTEXT.inject(values)
            return values

        def deserialize_context(self, ctxt: Any) -> Any:
            made: Any = super().deserialize_context(ctxt)
            made.message_id = ctxt[_MESSAGE_ID]
            made.parent = _CONTEXT.extract(ctxt, context.Context())
            return made

    serializer = _Serializer()

    def endpoint(self) -> Any:
        """Return a conductor with spans."""
        return _Endpoint(self)

    def listener(self) -> Any:
        """Return a listener with spans."""
        return _Listener(self)

    def _of(
        self, statement: Any, values: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """Return name and attributes of a statement, found out once."""
        known = self._statements.get(id(statement))
        if known is not None:
            return known
        text = str(statement.compile(self.engine, column_keys=[*values]))
        verb = text.partition(' ')[0]
        tables = (
            statement.get_final_froms()
            if statement.is_select
            else [statement.table]
        )
        name = ' '.join([verb, *(table.name for table in tables)])
        attributes = {
            'db.system.name': 'sqlite',
            'db.namespace': self.engine.url.database,
            'db.query.summary': name,
            'db.query.text': text,
            'db.operation.name': verb,
        }
        if tables:
            attributes['db.collection.name'] = tables[0].name
        self._statements[id(statement)] = name, attributes
        return name, attributes


def _route(path: str) -> str:
    if path == _VOLUME:
        return _VOLUME
    return _MANY if path.startswith(_STATEMENTS_PATH) else _BOOT


class _Incoming(impl_fake.FakeIncomingMessage):  # type: ignore[misc]
    """Tells an endpoint the id of its message."""

    def __init__(self, ctxt: Any, *args: Any) -> None:
        super().__init__(ctxt, *args)
        ctxt[_MESSAGE_ID] = self.msg_id


class _Endpoint(service.Endpoint):
    def select_destination(self, ctxt: Any, uuid: str) -> str:
        span, token = self._begin(ctxt, 'select_destination')
        try:
            return super().select_destination(ctxt, uuid)
        finally:
            context.detach(token)
            span.end()

    def build(self, ctxt: Any, uuid: str, host: str) -> None:
        span, token = self._begin(ctxt, 'build')
        try:
            super().build(ctxt, uuid, host)
        finally:
            context.detach(token)
            span.end()

    def _begin(self, ctxt: Any, method: str) -> Any:
        span = _TRACER.start_span(
            f'{bus.TOPIC}/{method}',
            ctxt.parent,
            _SERVER,
            {**_ANSWERS[method], 'messaging.message.id': ctxt.message_id},
        )
        current = trace.set_span_in_context(span, ctxt.parent)
        return span, context.attach(current)


class _Listener(service.Listener):
    def info(self, ctxt: Any, *args: Any) -> None:
        span = _TRACER.start_span(
            f'process {_EVENT}', ctxt.parent, _CONSUMER, _HEARD
        )
        try:
            super().info(ctxt, *args)
        finally:
            span.end()

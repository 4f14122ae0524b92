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

"""What is compared: no tracing, the alternatives, and oslo.tracing.

Each is set up as its documentation says, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any
from typing import NamedTuple
import uuid

from oslo_config import cfg

from benchmarks import bus
from benchmarks import service

_KEY = 'benchmark'
_RULES = [
    'periodic "*" 0',
    'rpc "*/report_state" 0',
    'server "GET /" 0',
    'server "GET /v2.1/" 0',
    'server "GET /healthcheck*" 0',
    'server "GET /v2.1/flavors*" 0.001',
    'server "DELETE *" 1',
    'rpc "*/sync_*" 0',
    'notification "*.exists" 0',
    'server "POST /v2.1/os-keypairs*" 0.1',
]


class Ready(NamedTuple):
    """A variant that is set up.

    :param make: the service's class.
    :param flush: sends what is still queued.
    """

    make: Callable[..., service.Service]
    flush: Callable[[], Any]


def _nothing() -> None:
    """Flush nothing."""


def _plain(endpoint: str) -> Ready:
    return Ready(service.Service, _nothing)


def _floor(endpoint: str, ratio: float) -> Ready:
    from benchmarks import floor

    return Ready(floor.Floor, floor.set_up(endpoint, ratio))


def _sql_and_http() -> None:
    """Install what both families need beside them."""
    from opentelemetry.instrumentation import requests
    from opentelemetry.instrumentation import sqlalchemy

    sqlalchemy.SQLAlchemyInstrumentor().instrument()
    requests.RequestsInstrumentor().instrument()


def _built_in(endpoint: str, ratio: float) -> Ready:
    from opentelemetry import trace
    import oslo_messaging  # noqa: F401 - registers its options
    from oslo_middleware import tracing

    conf = cfg.CONF
    tracing._register_opts(conf)
    for group, values in (
        (
            'oslo_middleware_tracing',
            {
                'enabled': True,
                'otlp_endpoint': endpoint,
                'service_name': 'benchmark',
                'sampling_rate': ratio,
            },
        ),
        ('oslo_messaging_tracing', {'tracing_enabled': True}),
    ):
        for name, value in values.items():
            conf.set_override(name, value, group)
    tracing.init_tracing(conf)
    _sql_and_http()

    class Service(service.Service):
        def wrapped(self, application: Any) -> Any:
            return tracing.TracingMiddleware(application, conf)

    provider: Any = trace.get_tracer_provider()
    return Ready(Service, provider.force_flush)


def _third_party(endpoint: str) -> Ready:
    from opentelemetry.instrumentation import oslo_messaging
    from opentelemetry.instrumentation import wsgi

    from benchmarks import floor

    flush = floor.set_up(endpoint, 1.0)
    oslo_messaging.OsloMessagingInstrumentor().instrument()
    _sql_and_http()

    class Service(service.Service):
        def wrapped(self, application: Any) -> Any:
            return wsgi.OpenTelemetryMiddleware(application)

    return Ready(Service, flush)


def _osprofiler(endpoint: str) -> Ready:
    """As services use it: a header asks, each context hands it on."""
    from opentelemetry import trace
    from osprofiler import _utils
    from osprofiler import initializer
    from osprofiler import opts
    from osprofiler import profiler
    from osprofiler import sqlalchemy as profiled
    from osprofiler import web
    import sqlalchemy as sa

    conf = cfg.CONF
    opts.set_defaults(
        conf,
        enabled=True,
        trace_sqlalchemy=True,
        hmac_keys=_KEY,
        connection_string=endpoint.replace('http:', 'otlp:'),
    )
    conf.set_override('trace_requests', True, 'profiler')
    initializer.init_from_conf(conf, None, 'benchmark', 'api', 'localhost')

    class Serializer(bus.Serializer):
        def serialize_context(self, ctxt: Any) -> dict[str, Any]:
            values = super().serialize_context(ctxt)
            active = profiler.get()
            if active is not None:
                values['trace_info'] = {
                    'hmac_key': active.hmac_key,
                    'base_id': active.get_base_id(),
                    'parent_id': active.get_id(),
                }
            return values

        def deserialize_context(self, ctxt: Any) -> Any:
            told = ctxt.pop('trace_info', None)
            if told:
                profiler.init(**told)
            return super().deserialize_context(ctxt)

    class Service(service.Service):
        serializer = Serializer()

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            profiled.add_tracing(sa, self.engine, 'db')

        def wrapped(self, application: Any) -> Any:
            return web.WsgiMiddleware(application, _KEY, enabled=True)

        def endpoint(self) -> Any:
            return profiler.trace_cls('rpc')(service.Endpoint)(self)

        def ask(self, path: str, **more: Any) -> None:
            told = {'base_id': str(uuid.uuid4())}
            packed, signature = _utils.signed_pack(told, _KEY)
            super().ask(
                path,
                HTTP_X_TRACE_INFO=packed.decode(),
                HTTP_X_TRACE_HMAC=signature,
                **more,
            )

    provider: Any = trace.get_tracer_provider()
    return Ready(Service, provider.force_flush)


def _ours(endpoint: str, **options: Any) -> Ready:
    import oslo_tracing
    from oslo_tracing import _runtime
    from oslo_tracing import middleware
    from oslo_tracing import opts

    conf = cfg.CONF
    opts.register_opts(conf)
    given = {'enabled': True, 'otlp_endpoint': endpoint, **options}
    for name, value in given.items():
        conf.set_override(name, value, 'tracing')
    oslo_tracing.setup(conf, 'benchmark')

    class Service(service.Service):
        def wrapped(self, application: Any) -> Any:
            return middleware.TracingMiddleware.factory({})(application)

    tracing = _runtime.RUNTIME.tracing
    if tracing is None:
        return Ready(Service, _nothing)
    return Ready(Service, lambda: tracing.processor.force_flush(30000))


#: By name what sets a variant up, given the endpoint of its spans.
VARIANTS: dict[str, Callable[[str], Ready]] = {
    'none': _plain,
    'floor': lambda endpoint: _floor(endpoint, 1.0),
    'floor-0': lambda endpoint: _floor(endpoint, 0.0),
    'third-party': _third_party,
    'built-in': lambda endpoint: _built_in(endpoint, 1.0),
    'built-in-0': lambda endpoint: _built_in(endpoint, 0.0),
    'osprofiler': _osprofiler,
    'ours': _ours,
    'ours-0': lambda endpoint: _ours(endpoint, sample_ratio=0.0),
    'ours-1%': lambda endpoint: _ours(
        endpoint, sample_ratio=0.01, sampling_rules=_RULES
    ),
    'ours-off': lambda endpoint: _ours(endpoint, enabled=False),
}

#: Others, for what of SQL has a span. What is slow is less than a pause of the
#: service, and more than anything else that it does.
VOLUMES: dict[str, Callable[[str], Ready]] = {
    f'ours-{wanted}': functools.partial(
        _ours, db_spans=wanted, db_slow_threshold=0.01
    )
    for wanted in ('slow', 'summary')
}

#: The same in words.
TITLES = {
    'none': 'no tracing',
    'floor': 'SDK floor: hand-placed spans, leanest use',
    'floor-0': 'SDK floor at ratio 0',
    'third-party': 'third-party oslo instrumentors, contrib wsgi, SQL, HTTP',
    'built-in': 'oslo.middleware, oslo.messaging; contrib SQL, HTTP',
    'built-in-0': 'the same at ratio 0',
    'osprofiler': 'osprofiler with its otlp driver',
    'ours': 'oslo.tracing, all sampled',
    'ours-0': 'oslo.tracing, ratio 0',
    'ours-1%': 'oslo.tracing, 1 % with ten rules',
    'ours-off': 'oslo.tracing, disabled',
    'ours-slow': 'oslo.tracing, db_spans = slow',
    'ours-summary': 'oslo.tracing, db_spans = summary',
}

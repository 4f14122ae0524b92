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

"""The exporter alone: spans encoded and sent in a second of CPU time.

Beside the exporter of OpenTelemetry, over HTTP to a process of its own that
says nothing but 200, in rounds that take turns. What is counted is the CPU
time of this process; compared are those of the same round.
"""

from __future__ import annotations

from http import server
import importlib
import itertools
import multiprocessing
import statistics
import sys
import time
from typing import Any
import urllib.parse

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace
from oslo_config import cfg

from benchmarks import content
from benchmarks import processes
from benchmarks import tables
from oslo_tracing.exporters import _clean
from oslo_tracing.exporters import otlp
from oslo_tracing import opts
from oslo_tracing import settings as settings_module
from oslo_tracing.tracer import provider

BATCH = 512
RESOURCE = resources.Resource(
    {
        'service.name': 'nova-api',
        'service.namespace': 'openstack',
        'service.version': '31.0.0',
        'service.instance.id': 'f4f5a3a6-2c3f-4d6c-9d0a-6a3f0a7f6b11',
        'host.name': 'controller-1',
        'telemetry.sdk.language': 'python',
        'telemetry.sdk.name': 'opentelemetry',
        'telemetry.sdk.version': '1.45.0',
    }
)
_STATEMENT = (
    'SELECT {0}.id, {0}.uuid, {0}.created_at FROM {0} '
    'WHERE {0}.uuid = %(uuid_1)s AND {0}.deleted = %(deleted_1)s'
)
_STATEMENTS = [
    _STATEMENT.format(table)
    for table in ('instances', 'services', 'quotas', 'cells', 'projects')
]


class _Sink(server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers['content-length']))
        self.send_response(200)
        self.send_header('content-length', '0')
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


def _serve(ready: Any) -> None:
    sink = server.ThreadingHTTPServer(('127.0.0.1', 0), _Sink)
    ready.put(sink.server_port)
    sink.serve_forever()


def spans(kind: Any, first: int = 0) -> list[Any]:
    """Return a batch as a request with some SQL gives it.

    :param kind: a tracer provider's class.
    :param first: number of the first; no other number of this batch is that
        of a batch that begins with 1000 more.
    """
    ended: list[Any] = []

    class Keep(sdk_trace.SpanProcessor):
        def on_end(self, span: sdk_trace.ReadableSpan) -> None:
            ended.append(span)

    made = kind(
        resource=RESOURCE,
        shutdown_on_exit=False,
        span_limits=sdk_trace.SpanLimits(max_attribute_length=4096),
    )
    made.add_span_processor(Keep())
    tracer = made.get_tracer('oslo_tracing.sqlalchemy', '1.0')
    number = first
    while len(ended) < BATCH:
        attributes: dict[str, Any] = {
            'http.request.method': 'GET',
            'http.route': '/v2.1/servers/{id}',
            'url.path': f'/v2.1/servers/{number:032x}',
            'url.scheme': 'http',
            'server.address': 'controller-1',
            'server.port': 8774,
            'client.address': '192.0.2.7',
            'user_agent.original': 'python-novaclient',
            'http.response.status_code': 200,
            'openstack.request_id': f'req-{number:032x}',
        }
        with tracer.start_as_current_span(
            'GET /v2.1/servers/{id}',
            kind=trace.SpanKind.SERVER,
            attributes=attributes,
        ):
            for statement in _STATEMENTS:
                number += 1
                tracer.start_span(
                    'SELECT',
                    kind=trace.SpanKind.CLIENT,
                    attributes={
                        'db.system.name': 'mysql',
                        'db.namespace': 'nova',
                        'db.query.text': statement,
                        'db.query.summary': 'SELECT',
                        'db.operation.name': 'SELECT',
                        'server.address': 'database',
                        'server.port': 3306,
                        'db.response.returned_rows': number % 7,
                    },
                ).end()
    return ended[:BATCH]


def _settings(endpoint: str, compression: str) -> settings_module.Settings:
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    conf.set_override('otlp_endpoint', endpoint, 'tracing')
    conf.set_override('otlp_compression', compression, 'tracing')
    return settings_module.read(conf, 'nova-api')


def _ours(port: int, compression: str, path: str = 'ours') -> Any:
    settings = _settings(f'http://127.0.0.1:{port}/{path}', compression)
    exporter = otlp.build(settings, None)
    cleaner = _clean.Cleaner(settings, lambda: RESOURCE)

    def export(batch: list[Any]) -> None:
        outcome = exporter.deliver([cleaner.clean(s) for s in batch], 30.0)
        if outcome.delivered != len(batch):
            raise RuntimeError(f'not delivered: {outcome}')

    return export


def _with_zlib(port: int) -> Any:
    """Return the same, as it is where isal is not installed."""
    modules: dict[str, Any] = sys.modules
    isal = importlib.import_module('isal.isal_zlib')
    modules[isal.__name__] = None
    try:
        return _ours(port, 'gzip')
    finally:
        modules[isal.__name__] = isal


def _theirs(port: int, compression: str, path: str = 'SDK') -> Any:
    exporter = trace_exporter.OTLPSpanExporter(
        endpoint=f'http://127.0.0.1:{port}/{path}/v1/traces',
        compression=Compression.Gzip
        if compression == 'gzip'
        else Compression.NoCompression,
    )

    def export(batch: list[Any]) -> None:
        if exporter.export(batch).name != 'SUCCESS':
            raise RuntimeError('not delivered')

    return export


def _cpu(export: Any, batches: list[list[Any]]) -> float:
    """Return microseconds of CPU time a span."""
    begun = time.process_time()
    for batch in batches:
        export(batch)
    took = time.process_time() - begun
    return took / len(batches) / BATCH * 1e6


def measure(rounds: int = 25) -> dict[str, dict[str, float]]:
    """Return what a span takes, and how many the SDK takes as long for."""
    _compare()
    return _told(_times(rounds))


def _compare() -> None:
    """Refuse to go on where what is sent differs."""
    with processes.sink() as url:
        port = urllib.parse.urlsplit(url).port
        assert port is not None
        ways = {
            'SDK': (sdk_trace.TracerProvider, _theirs),
            'ours': (provider.Provider, _ours),
        }
        for name, (kind, way) in ways.items():
            way(port, 'none', name)(spans(kind))
        content.check(processes.received(url), 'SDK')


def _times(rounds: int) -> dict[str, list[float]]:
    """Return microseconds a span, of each round."""
    context = multiprocessing.get_context('spawn')
    ready = context.Queue()
    sink = context.Process(target=_serve, args=(ready,), daemon=True)
    sink.start()
    port = ready.get(timeout=30)
    sdk, own = sdk_trace.TracerProvider, provider.Provider
    subjects = {
        'SDK': (sdk, _theirs(port, 'none')),
        'SDK, gzip': (sdk, _theirs(port, 'gzip')),
        'ours, spans of the SDK': (sdk, _ours(port, 'none')),
        'ours': (own, _ours(port, 'none')),
        'ours, gzip': (own, _with_zlib(port)),
        'ours, gzip by isal': (own, _ours(port, 'gzip')),
    }
    found: dict[str, list[float]] = {name: [] for name in subjects}
    # None is sent a second time: what recurs in them is what recurs in a
    # service.
    first = itertools.count(0, 1000)
    try:
        for kind, export in subjects.values():
            export(spans(kind, next(first)))
        for _ in range(rounds):
            for name, (kind, export) in subjects.items():
                batches = [spans(kind, next(first)) for _ in range(2)]
                found[name].append(_cpu(export, batches))
    finally:
        sink.terminate()
        sink.join()
    return found


def _told(found: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    rows = {}
    for name, times in found.items():
        base = found['SDK, gzip' if 'gzip' in name else 'SDK']
        rows[name] = {
            'us': statistics.median(times),
            'min': min(times),
            'max': max(times),
            'spans_per_cpu_second': 1e6 / statistics.median(times),
            'times_the_sdk': statistics.median(
                [b / t for b, t in zip(base, times, strict=True)]
            ),
        }
    for name, row in rows.items():
        who, is_gzip, _by = name.partition(', gzip')
        if is_gzip:
            pairs = zip(found[name], found[who], strict=True)
            row['of_uncompressed'] = statistics.median(
                [compressed / plain for compressed, plain in pairs]
            )
    return rows


def show(found: dict[str, dict[str, float]]) -> str:
    """Return it as a table."""
    return tables.table(
        'The exporter alone: CPU time of a span, median (least to most)',
        ['', 'us', 'spans per CPU s', 'times the SDK', 'of uncompressed'],
        [
            [
                name,
                f'{row["us"]:.1f} ({row["min"]:.1f} to {row["max"]:.1f})',
                f'{row["spans_per_cpu_second"]:.0f}',
                f'{row["times_the_sdk"]:.2f}',
                f'{row["of_uncompressed"]:.3f}'
                if 'of_uncompressed' in row
                else '',
            ]
            for name, row in found.items()
        ],
    )

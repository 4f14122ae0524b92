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

    python -m benchmarks.exporter [--json]

Beside the exporter of OpenTelemetry, over HTTP to a process of its own that
says nothing but 200, in rounds that take turns. What is counted is the CPU
time of this process, and of each round the best of the two that belong
together is compared: ratios travel, microseconds do not.
"""

from __future__ import annotations

import argparse
from http import server
import json
import multiprocessing
import statistics
import time
from typing import Any

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace
from oslo_config import cfg

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


def spans(kind: Any) -> list[Any]:
    """Return a batch as a request with some SQL gives it.

    :param kind: a tracer provider's class.
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
    number = 0
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


def _settings(port: int, compression: str) -> settings_module.Settings:
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    conf.set_override('otlp_endpoint', f'http://127.0.0.1:{port}', 'tracing')
    conf.set_override('otlp_compression', compression, 'tracing')
    return settings_module.read(conf, 'nova-api')


def _ours(port: int, compression: str, batch: list[Any]) -> Any:
    settings = _settings(port, compression)
    exporter = otlp.build(settings, None)
    cleaner = _clean.Cleaner(settings, lambda: RESOURCE)

    def export() -> None:
        outcome = exporter.deliver([cleaner.clean(s) for s in batch], 30.0)
        if outcome.delivered != len(batch):
            raise RuntimeError(f'not delivered: {outcome}')

    return export


def _theirs(port: int, compression: str, batch: list[Any]) -> Any:
    exporter = trace_exporter.OTLPSpanExporter(
        endpoint=f'http://127.0.0.1:{port}/v1/traces',
        compression=Compression.Gzip
        if compression == 'gzip'
        else Compression.NoCompression,
    )

    def export() -> None:
        if exporter.export(batch).name != 'SUCCESS':
            raise RuntimeError('not delivered')

    return export


def _cpu(export: Any) -> float:
    """Return microseconds of CPU time a span."""
    begun = time.process_time()
    for _ in range(4):
        export()
    return (time.process_time() - begun) / 4 / BATCH * 1e6


def measure(rounds: int) -> dict[str, list[float]]:
    """Return microseconds a span, of each round."""
    context = multiprocessing.get_context('spawn')
    ready = context.Queue()
    sink = context.Process(target=_serve, args=(ready,), daemon=True)
    sink.start()
    port = ready.get(timeout=30)
    their_spans, our_spans = (
        spans(sdk_trace.TracerProvider),
        spans(provider.Provider),
    )
    subjects = {
        'SDK': _theirs(port, 'none', their_spans),
        'SDK, gzip': _theirs(port, 'gzip', their_spans),
        'ours, spans of the SDK': _ours(port, 'none', their_spans),
        'ours': _ours(port, 'none', our_spans),
        'ours, gzip': _ours(port, 'gzip', our_spans),
    }
    found: dict[str, list[float]] = {name: [] for name in subjects}
    try:
        for export in subjects.values():
            export()
        for _ in range(rounds):
            for name, export in subjects.items():
                found[name].append(_cpu(export))
    finally:
        sink.terminate()
        sink.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', action='store_true')
    parser.add_argument('--rounds', type=int, default=25)
    arguments = parser.parse_args()
    found = measure(arguments.rounds)
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
    rows['ours, gzip']['of_uncompressed'] = statistics.median(
        [
            g / p
            for g, p in zip(found['ours, gzip'], found['ours'], strict=True)
        ]
    )
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print(f'{"":24} {"us/span":>8} {"min":>7} {"max":>7} {"x SDK":>7}')
    for name, row in rows.items():
        print(
            f'{name:24} {row["us"]:8.2f} {row["min"]:7.2f} '
            f'{row["max"]:7.2f} {row["times_the_sdk"]:7.2f}'
        )
    more = rows['ours, gzip']['of_uncompressed']
    print(f'gzip takes {more:.2f} times what none takes')


if __name__ == '__main__':
    main()

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
"""Who else traces the same, or might."""

from __future__ import annotations

from collections.abc import Iterator
import importlib.metadata
import importlib.util
import os

from oslo_config import cfg

from oslo_tracing.checks import results
from oslo_tracing.exporters import _green
from oslo_tracing import settings as settings_module

_SITE = os.path.join('opentelemetry', 'instrumentation', 'auto_instr')


def look(
    conf: cfg.ConfigOpts, settings: settings_module.Settings
) -> Iterator[results.Result]:
    """Look for other tracers, and for what eventlet forbids."""
    yield from _built_in(conf, settings)
    yield from _instrumentors()
    yield from _osprofiler(conf, settings)
    if (
        settings.otlp_protocol == 'grpc'
        and 'otlp' in settings.exporters
        and importlib.util.find_spec('eventlet') is not None
    ):
        endpoint = _green.without_grpc(settings).otlp_endpoint
        yield results.Result(
            results.WARNING,
            'otlp_protocol = grpc: where this service runs on eventlet, which '
            f'is installed here, spans go over HTTP, to {endpoint}',
        )


def rpc_is_theirs(conf: cfg.ConfigOpts) -> bool:
    """Say whether oslo.messaging traces RPC itself."""
    return bool(
        results.said(
            conf, 'oslo_messaging_tracing', 'tracing_enabled', cfg.BoolOpt
        )
    )


def _built_in(
    conf: cfg.ConfigOpts, settings: settings_module.Settings
) -> Iterator[results.Result]:
    found = []
    if settings.trace_http_server and results.said(
        conf, 'oslo_middleware_tracing', 'enabled', cfg.BoolOpt
    ):
        found.append(
            '[oslo_middleware_tracing] enabled is True: requests are left to '
            'oslo.middleware where its filter is in the pipeline'
        )
    if settings.trace_rpc and rpc_is_theirs(conf):
        found.append(
            '[oslo_messaging_tracing] tracing_enabled is True: RPC is left '
            'to oslo.messaging'
        )
    for text in found:
        yield results.Result(
            results.WARNING, f'{text}, whose options say where its spans go'
        )


def _instrumentors() -> Iterator[results.Result]:
    found = sorted(
        point.name
        for point in importlib.metadata.entry_points(
            group='opentelemetry_instrumentor'
        )
        if point.name != 'oslo_tracing'
    )
    path = os.environ.get('PYTHONPATH', '').split(os.pathsep)
    names = ', '.join(found) or 'none'
    if any(_SITE in each for each in path):
        yield results.Result(
            results.WARNING,
            'opentelemetry-instrument is on here: its tracer provider is '
            'used, and OTEL_* variables say where spans go; its instrumentors '
            f'({names}) come first',
        )
    elif found:
        yield results.Result(
            results.OK,
            f'installed instrumentors of others ({names}): what they record '
            'under opentelemetry-instrument is left to them',
        )


def _osprofiler(
    conf: cfg.ConfigOpts, settings: settings_module.Settings
) -> Iterator[results.Result]:
    if importlib.util.find_spec('osprofiler') is None:
        return
    if not results.said(conf, 'profiler', 'enabled', cfg.BoolOpt):
        text = 'none, [profiler] enabled is not True'
        if settings.osprofiler:
            text += ', but those that a service has in any case, as neutron'
        yield results.Result(results.OK, f'trace points of OSProfiler: {text}')
        return
    driver = str(
        results.said(conf, 'profiler', 'connection_string') or ''
    ).partition(':')[0]
    takes = 'OTLP driver, which takes the global tracer provider for itself, '
    level, text = results.OK, 'trace points of OSProfiler: [profiler] enabled'
    if settings.osprofiler:
        if driver == 'otlp':
            text += f'; its {takes}is not opened'
    elif driver == 'otlp':
        level = results.WARNING
        text = (
            f"[profiler] connection_string is of OSProfiler's {takes}as "
            'osprofiler is False'
        )
    else:
        text = 'trace points of OSProfiler: left to it, osprofiler is False'
    yield results.Result(level, text)

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

"""What an experiment says of tracing, as options of ``[tracing]``.

The names are those of the settings and configurations that experiments have
for chaostoolkit-opentracing, so that they need no others.
"""

from __future__ import annotations

from collections.abc import Mapping
import ipaddress
import logging
from typing import Any
from typing import Final

from oslo_config import types

LOG = logging.getLogger(__name__)

_HTTP_PORT: Final = 4318
_GRPC: Final = ('oltp-grpc', 'otlp-grpc')
_HTTP: Final = ('oltp-http', 'otlp-http')
_GONE: Final = ('jaeger-grpc', 'jaeger-thrift')
_JAEGER: Final = 'jaeger'
_NOOP: Final = 'noop'
_OPENTELEMETRY: Final = 'opentelemetry'

# An argument of the control, and the same in a configuration.
_ENDPOINT: Final = 'collector_endpoint'
_INSECURE: Final = 'collector_endpoint_insecure'
_CONFIGURED: Final = {
    'provider': 'tracing_provider',
    'host': 'tracing_host',
    'propagation': 'tracing_propagation',
    'exporter': 'tracing_opentelemetry_exporter',
    _ENDPOINT: 'tracing_opentelemetry_collector_endpoint',
    _INSECURE: 'tracing_opentelemetry_collector_endpoint_insecure',
}
_B3: Final = 'tracecontext,baggage,b3multi'
_PROPAGATIONS: Final = {
    'b3': _B3,
    'b3multi': _B3,
    'b3single': 'tracecontext,baggage,b3',
    'jaeger': 'tracecontext,baggage,jaeger',
    'w3c': 'tracecontext,baggage',
}


def read(
    arguments: Mapping[str, Any], configuration: Mapping[str, Any]
) -> dict[str, Any]:
    """Return options by name; what is not said is not among them.

    :param arguments: of the control; they win.
    :param configuration: of the experiment.
    """
    said = {
        name: arguments.get(name, configuration.get(configured))
        for name, configured in _CONFIGURED.items()
    }
    found: dict[str, Any] = {'enabled': said['provider'] != _NOOP}
    propagators = _PROPAGATIONS.get(str(said['propagation']).lower())
    if propagators is not None:
        found['propagators'] = propagators.split(',')
    elif said['propagation']:
        LOG.warning(
            'Ignored the propagation %r of the experiment, known are %s.',
            said['propagation'],
            ', '.join(sorted(_PROPAGATIONS)),
        )
    found.update(_receiver(said))
    return found


def _receiver(said: Mapping[str, Any]) -> dict[str, Any]:
    provider, exporter = said['provider'], said['exporter']
    if provider == _JAEGER or exporter in _GONE:
        endpoint = f'http://{_bracketed(said["host"] or "localhost")}'
        endpoint += f':{_HTTP_PORT}'
        LOG.warning(
            'Jaeger takes no spans at its ports of old any more: those of '
            'the experiment are sent over OTLP to %s. Say provider '
            'opentelemetry, exporter otlp-http and collector_endpoint.',
            endpoint,
        )
        return {'otlp_endpoint': endpoint, 'otlp_protocol': 'http/protobuf'}
    if provider not in (None, _NOOP, _OPENTELEMETRY):
        LOG.warning(
            'Ignored the provider %r of the experiment: spans go where '
            '[tracing] says.',
            provider,
        )
    found: dict[str, Any] = {}
    if exporter in _GRPC:
        found['otlp_protocol'] = 'grpc'
    elif exporter in _HTTP:
        found['otlp_protocol'] = 'http/protobuf'
    elif exporter is not None:
        LOG.warning(
            'Ignored the exporter %r of the experiment, known are %s.',
            exporter,
            ', '.join(_HTTP + _GRPC),
        )
    if said[_ENDPOINT]:
        found['otlp_endpoint'] = said[_ENDPOINT]
    if said[_INSECURE] is not None:
        # Text where the toolkit has it from a variable of the environment.
        try:
            found['otlp_insecure'] = types.Boolean()(str(said[_INSECURE]))
        except ValueError:
            LOG.warning(
                'Ignored the %s %r of the experiment: it is no boolean.',
                _INSECURE,
                said[_INSECURE],
            )
    return found


def _bracketed(host: str) -> str:
    try:
        return f'[{host}]' if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host

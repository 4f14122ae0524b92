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

"""The ``OTEL_*`` variables, turned into values of our options.

Read as the OpenTelemetry specification says ("Environment Variable
Specification", "OpenTelemetry Protocol Exporter"): an empty variable is
unset, a bad value is ignored with a warning, the ``_TRACES_`` variant of a
variable wins, times are in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import logging
from typing import Any
from urllib import parse

LOG = logging.getLogger(__name__)

_SAMPLER_ARG = 'OTEL_TRACES_SAMPLER_ARG'
_MAX_SHOWN = 64


def read(environ: Mapping[str, str], tell: bool = True) -> dict[str, Any]:
    """Return the settings that the variables give, by name of the option.

    :param environ: the process's environment.
    :param tell: whether to warn of what is ignored.
    """
    found: dict[str, Any] = {}
    for setting, variables, convert in _VARIABLES:
        for variable in variables:
            text = environ.get(variable, '').strip()
            if not text or (variable == _SAMPLER_ARG and '=' in text):
                continue
            try:
                found[setting] = convert(text)
            except (ValueError, TypeError):
                if tell:
                    # Not the value: headers carry credentials.
                    LOG.warning(
                        'Ignored %s: its value cannot be used for tracing.',
                        variable,
                    )
                continue
            if setting == 'otlp_endpoint':
                found['otlp_endpoint_is_whole'] = '_TRACES_' in variable
            break
    found.update(_sampler_argument(environ, tell))
    if found.get('enabled') is True:
        # OTEL_SDK_DISABLED=false turns nothing on.
        del found['enabled']
    return found


def sampler_argument(text: str) -> tuple[dict[str, Any], list[str]]:
    """Read OTEL_TRACES_SAMPLER_ARG of ``jaeger_remote``.

    :param text: such as ``endpoint=http://host:5778/sampling,``
        ``pollingIntervalMs=5000,initialSamplingRate=0.25``, in any order;
        what is missing is left alone.
    :returns: settings by the name of their option, and what of the text
        cannot be used.
    """
    found: dict[str, Any] = {}
    wrong = []
    for item in text.split(','):
        key, _equals, value = item.partition('=')
        key = key.strip()
        if not item.strip():
            continue
        if key not in _SAMPLER_ARGUMENTS:
            wrong.append(key[:_MAX_SHOWN])
            continue
        setting, convert = _SAMPLER_ARGUMENTS[key]
        try:
            found[setting] = convert(value.strip())
        except (ValueError, TypeError):
            wrong.append(key)
    return found, wrong


def _sampler_argument(
    environ: Mapping[str, str], tell: bool
) -> dict[str, Any]:
    text = environ.get(_SAMPLER_ARG, '')
    if '=' not in text:
        # Then it is the ratio of another sampler, or nothing.
        return {}
    found, wrong = sampler_argument(text)
    for key in wrong if tell else ():
        LOG.warning(
            'Ignored %r in %s: it cannot be used for tracing.',
            key,
            _SAMPLER_ARG,
        )
    return found


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ('true', 'false'):
        raise ValueError
    return lowered == 'true'


def _not(text: str) -> bool:
    return not _boolean(text)


def _number(low: float, high: float) -> Callable[[str], int]:
    def convert(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return convert


def _milliseconds(low: float, high: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        seconds = float(text) / 1000
        if not low <= seconds <= high:
            raise ValueError
        return seconds

    return convert


def _ratio(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise ValueError
    return value


def _names(text: str) -> list[str]:
    return [name for name in (n.strip() for n in text.split(',')) if name]


def _pairs(text: str) -> dict[str, str]:
    """Parse the Baggage-like form of resource attributes and headers."""
    pairs = {}
    for item in text.split(','):
        if not item.strip():
            continue
        key, found, value = item.partition('=')
        key = parse.unquote(key.strip())
        if not found or not key:
            raise ValueError
        pairs[key] = parse.unquote(value.strip())
    return pairs


def _one_of(*names: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in names:
            raise ValueError
        return text

    return convert


def _endpoint(text: str) -> str:
    parts = parse.urlsplit(text)
    if parts.scheme in ('http', 'https') and (
        not parts.hostname or parts.username or parts.password
    ):
        raise ValueError
    return text


def _otlp(name: str) -> tuple[str, str]:
    return f'OTEL_EXPORTER_OTLP_TRACES_{name}', f'OTEL_EXPORTER_OTLP_{name}'


_SAMPLER_ARGUMENTS: dict[str, tuple[str, Callable[[str], Any]]] = {
    'endpoint': ('sampling_server_url', _endpoint),
    'pollingIntervalMs': (
        'sampling_refresh_interval',
        _milliseconds(0.1, 86400.0),
    ),
    'initialSamplingRate': ('sample_ratio', _ratio),
}

_VARIABLES: tuple[tuple[str, tuple[str, ...], Callable[[str], Any]], ...] = (
    ('enabled', ('OTEL_SDK_DISABLED',), _not),
    ('service_name', ('OTEL_SERVICE_NAME',), str),
    ('resource_attributes', ('OTEL_RESOURCE_ATTRIBUTES',), _pairs),
    ('exporters', ('OTEL_TRACES_EXPORTER',), _names),
    ('otlp_endpoint', _otlp('ENDPOINT'), _endpoint),
    ('otlp_protocol', _otlp('PROTOCOL'), _one_of('grpc', 'http/protobuf')),
    ('otlp_headers', _otlp('HEADERS'), _pairs),
    ('zipkin_endpoint', ('OTEL_EXPORTER_ZIPKIN_ENDPOINT',), _endpoint),
    ('otlp_timeout', _otlp('TIMEOUT'), _milliseconds(0.1, 600.0)),
    ('otlp_compression', _otlp('COMPRESSION'), _one_of('gzip', 'none')),
    ('otlp_ca_file', _otlp('CERTIFICATE'), str),
    ('otlp_cert_file', _otlp('CLIENT_CERTIFICATE'), str),
    ('otlp_key_file', _otlp('CLIENT_KEY'), str),
    ('otlp_insecure', _otlp('INSECURE'), _boolean),
    ('sampler', ('OTEL_TRACES_SAMPLER',), str),
    ('sample_ratio', (_SAMPLER_ARG,), _ratio),
    ('propagators', ('OTEL_PROPAGATORS',), _names),
    (
        'attribute_length_limit',
        (
            'OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT',
            'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT',
        ),
        _number(64, 65536),
    ),
    (
        'attribute_count_limit',
        ('OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', 'OTEL_ATTRIBUTE_COUNT_LIMIT'),
        _number(1, 1024),
    ),
    ('event_count_limit', ('OTEL_SPAN_EVENT_COUNT_LIMIT',), _number(0, 1024)),
    ('link_count_limit', ('OTEL_SPAN_LINK_COUNT_LIMIT',), _number(0, 1024)),
    ('max_queue_size', ('OTEL_BSP_MAX_QUEUE_SIZE',), _number(1, 1048576)),
    (
        'max_export_batch_size',
        ('OTEL_BSP_MAX_EXPORT_BATCH_SIZE',),
        _number(1, 65536),
    ),
    (
        'schedule_delay',
        ('OTEL_BSP_SCHEDULE_DELAY',),
        _milliseconds(0.01, 3600.0),
    ),
)

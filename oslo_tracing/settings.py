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

"""The values that tracing works with, and where they come from.

An option that is set in a file, on the command line or by oslo.config's
``OS_TRACING__*`` environment wins (in oslo.config's own order); then the
``OTEL_*`` environment; then ``set_defaults()`` and the arguments of
``setup()``; then the default. Only options can stop a start: a bad
``OTEL_*`` value is ignored with a warning, as the OpenTelemetry
specification asks.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import fnmatch
import logging
import os
import re
import sys
from typing import Any

from oslo_config import cfg

from oslo_tracing import _environment
from oslo_tracing import _keys
from oslo_tracing import exceptions
from oslo_tracing import opts

LOG = logging.getLogger(__name__)

_HTTP_ENDPOINT = 'http://localhost:4318'
_GRPC_ENDPOINT = 'http://localhost:4317'

#: What may be refused, and what a variable may have chosen instead.
_CHOSEN_BY = {'file_directory': 'exporters', 'otlp_endpoint': 'otlp_protocol'}

# An endpoint with a password is refused later, and not shown either.
_MAY_BE_SECRET = (
    'otlp_headers',
    'otlp_endpoint',
    'zipkin_endpoint',
    'sampling_server_url',
    'signing_keys',
    'hmac_keys',
)
_MAX_SHOWN = 256

#: Options that can be given several times, one value each.
_MULTIPLE = ('sampling_rules',)

MUTABLE = (
    'sample_ratio',
    'sampling_rules',
    'max_traces_per_second',
    'max_forced_traces_per_second',
    'ignored_paths',
    'db_spans',
    'db_slow_threshold',
    'excluded_attributes',
)


class Settings:
    """What the options say, as plain values; one field for each option.

    The fields in ``MUTABLE`` change while the service runs, each by one
    assignment of a new object; all others are fixed once they were read.

    :param values: of all fields that have no default.
    """

    enabled: bool
    service_name: str
    resource_attributes: dict[str, str]
    exporters: list[str]
    otlp_endpoint: str
    otlp_protocol: str
    otlp_headers: dict[str, str]
    otlp_timeout: float
    otlp_compression: str
    otlp_ca_file: str | None
    otlp_cert_file: str | None
    otlp_key_file: str | None
    otlp_insecure: bool
    file_directory: str | None
    file_max_bytes: int
    file_total_max_bytes: int
    zipkin_endpoint: str
    statsd_address: str
    sampler: str
    sample_ratio: float
    sampling_rules: list[str]
    max_traces_per_second: float
    max_forced_traces_per_second: float
    sampling_server_url: str
    sampling_refresh_interval: float
    propagators: list[str]
    incoming: str
    incoming_rpc: str
    signing_keys: list[str]
    signature_max_age: float
    hmac_keys: list[str]
    propagate_to: list[str]
    request_id_is_trace_id: bool
    traceresponse: bool
    trace_http_server: bool
    trace_http_client: bool
    trace_rpc: bool
    trace_notifications: bool
    trace_db: bool
    trace_periodic: bool
    trace_locks: bool
    trace_commands: bool
    trace_cache: bool
    ignored_paths: list[str]
    db_query_text: str
    db_spans: str
    db_slow_threshold: float
    db_comment: bool
    osprofiler: bool
    osprofiler_record_arguments: bool
    exception_messages: bool
    excluded_attributes: list[str]
    attribute_length_limit: int
    max_queue_size: int
    max_export_batch_size: int
    schedule_delay: float
    shutdown_timeout: float
    context_store: str
    log_correlation: bool

    #: What the options say where OTEL_* variables say something else.
    without_environment: dict[str, Any]
    #: ``otlp_endpoint`` is the whole URL, nothing is appended to it: so the
    #: specification wants OTEL_EXPORTER_OTLP_TRACES_ENDPOINT to be read.
    otlp_endpoint_is_whole: bool = False
    #: Limits that have an OTEL_* variable but no option, in pieces.
    attribute_count_limit: int = 128
    event_count_limit: int = 128
    link_count_limit: int = 128

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    def but(self, **changes: Any) -> Settings:
        """Return a copy with other values in some fields."""
        return Settings(**{**vars(self), **changes})

    def drop_environment(self, option: str) -> bool:
        """Take back what an OTEL_* variable says of an option.

        Or of what made that option matter, or mean something else.

        :returns: False where no such variable was used.
        """
        for name in (option, _CHOSEN_BY.get(option)):
            if name in self.without_environment:
                setattr(self, name, self.without_environment.pop(name))
                if name == 'otlp_endpoint':
                    self.otlp_endpoint_is_whole = False
                return True
        return False


def read(conf: cfg.ConfigOpts, service_name: str | None = None) -> Settings:
    """Read every option once, so that a bad value is found at the start.

    :param conf: where the options of ``opts`` are registered.
    :param service_name: what the service calls itself in code.
    :raises InvalidOption: naming the option and its value.
    """
    environment = _environment.read(os.environ)
    values: dict[str, Any] = {'without_environment': {}}
    for name in Settings.__annotations__:
        if name in _OPTION_NAMES:
            values[name] = _value(conf, name, environment)
            if name in environment and not _is_set(conf, name):
                values['without_environment'][name] = _value(conf, name, {})
        elif name in environment:
            values[name] = environment[name]
    if _is_set(conf, 'otlp_endpoint'):
        values['otlp_endpoint_is_whole'] = False
    elif values['otlp_protocol'] == 'grpc':
        for said in (values, values['without_environment']):
            if said.get('otlp_endpoint') == _HTTP_ENDPOINT:
                said['otlp_endpoint'] = _GRPC_ENDPOINT
    _merge_resource(conf, values, environment)
    values['service_name'] = (
        values['service_name'] or service_name or _program()
    )
    values['context_store'] = values['context_store'] or _context_store()
    if values['enabled']:
        given = values['hmac_keys']
        values['hmac_keys'] = _keys.of_osprofiler(
            conf, given if given or _is_set(conf, 'hmac_keys') else None
        )
    _keys.check(values)
    return Settings(**values)


def read_mutable(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """Read the options that may change while the service runs.

    :raises InvalidOption: naming the option and its value.
    """
    environment = _environment.read(os.environ, tell=False)
    return {name: _value(conf, name, environment) for name in MUTABLE}


def path_matcher(patterns: Sequence[str]) -> Callable[[str], object]:
    """Return what says whether a request is ignored, by its path.

    That is the whole path as WSGI has it, which is bytes in disguise.

    :param patterns: the value of ``ignored_paths``.
    """
    exact = frozenset(patterns)
    globs = [name for name in patterns if any(char in name for char in '*?[')]
    if not globs:
        return exact.__contains__
    return re.compile(
        '|'.join(
            [*(re.escape(name) + r'\Z' for name in exact)]
            + [fnmatch.translate(name) for name in globs]
        )
    ).match


_OPTION_NAMES = frozenset(opts.names())


def _value(
    conf: cfg.ConfigOpts, name: str, environment: dict[str, Any]
) -> Any:
    try:
        value = conf[opts.GROUP.name][name]
    except (cfg.ConfigFileValueError, cfg.ConfigSourceValueError) as error:
        # oslo.config's own message names neither the group nor, for
        # bounds, the value.
        why = str(error).partition(' is not valid: ')[2] or 'not valid'
        raise exceptions.InvalidOption(
            name, _raw(conf, name), why.rstrip('.')[:_MAX_SHOWN]
        ) from None
    except (
        cfg.NoSuchGroupError,
        cfg.NoSuchOptError,
        cfg.TemplateSubstitutionError,
    ):
        # Its message names what follows the sign: part of a password?
        raise exceptions.InvalidOption(
            name,
            _raw(conf, name),
            'there is no such option as it refers to with $; for the sign '
            'itself write $$',
        ) from None
    if value != value:
        # Neither bound of an option is crossed by what is not a number.
        raise exceptions.InvalidOption(name, _raw(conf, name), 'not a number')
    if name in environment and not _is_set(conf, name):
        return environment[name]
    if name in _MULTIPLE and _is_from_environment(conf, name):
        # oslo.config takes the text for a list, of its letters.
        return ''.join(value).splitlines()
    return value


def _is_set(conf: cfg.ConfigOpts, name: str) -> bool:
    """Whether somebody chose the value, be it the same as the default."""
    info = conf.get_location(name, opts.GROUP.name)
    return info is not None and (
        info.location.is_user_controlled
        or info.location == cfg.Locations.set_override
    )


def _is_from_environment(conf: cfg.ConfigOpts, name: str) -> bool:
    info = conf.get_location(name, opts.GROUP.name)
    return info is not None and info.location == cfg.Locations.environment


def _raw(conf: cfg.ConfigOpts, name: str) -> str:
    if name in _MAY_BE_SECRET:
        return '(secret)'
    variable = f'OS_{opts.GROUP.name}__{name}'.upper()
    if variable in os.environ:
        return repr(os.environ[variable][:_MAX_SHOWN])
    namespaces: tuple[Any, ...] = (
        getattr(conf, '_mutable_ns', None),
        getattr(conf, '_namespace', None),
    )
    for namespace in namespaces:
        try:
            found, _location = namespace._get_value([(opts.GROUP.name, name)])
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        said = str(found[-1] if isinstance(found, list) else found)
        return repr(said[:_MAX_SHOWN])
    return '(value)'


def _merge_resource(
    conf: cfg.ConfigOpts, values: dict[str, Any], environment: dict[str, Any]
) -> None:
    """Merge, where other options choose: attributes add up by name."""
    merged = dict(environment.get('resource_attributes', {}))
    configured = conf[opts.GROUP.name].resource_attributes
    if _is_set(conf, 'resource_attributes'):
        merged.update(configured)
    else:
        merged = {**configured, **merged}
    named = merged.pop('service.name', None)
    values['service_name'] = values['service_name'] or named
    values['resource_attributes'] = merged


def _program() -> str:
    """Return the name of the program, as the operator knows it."""
    name = os.path.basename(sys.argv[0] if sys.argv else '')
    name = name.removesuffix('.py')
    return name if name and name not in ('-c', '-m') else 'unknown_service'


def _context_store() -> str:
    """Return what suits the place from which tracing is set up."""
    asyncio: Any = sys.modules.get('asyncio')
    try:
        asyncio.get_running_loop()
    except (AttributeError, RuntimeError):
        return 'thread'
    return 'contextvars'

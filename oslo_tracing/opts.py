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

"""Every option of the ``[tracing]`` group.

Names follow OpenTelemetry's where it has one; times are in seconds.
``settings`` reads them, nothing else does.
"""

from __future__ import annotations

import copy
from typing import Any

from oslo_config import cfg
from oslo_config import types

GROUP = cfg.OptGroup(
    'tracing',
    title='Distributed tracing with OpenTelemetry',
    help='One trace for each request, from the first API to the last SQL '
    'statement. Where an option is not set, the OTEL_* environment variable '
    'of the same meaning is used if there is one.',
)

_OPTS = [
    cfg.BoolOpt(
        'enabled',
        default=False,
        help='Trace this service. When False no library is hooked, no thread '
        'is started and nothing is imported. OTEL_SDK_DISABLED=true turns '
        'tracing off where this option is not set in a file.',
    ),
    cfg.StrOpt(
        'service_name',
        help='The name that this service has in every trace (the resource '
        'attribute service.name), for example nova-api. Default: '
        'OTEL_SERVICE_NAME, else the service.name of resource_attributes, '
        'else the name that the service passes to setup(), else the name of '
        'the program.',
    ),
    cfg.DictOpt(
        'resource_attributes',
        default={},
        help='What describes this process in every span, as key:value '
        'pairs, for example '
        'cloud.region:RegionOne,deployment.environment.name:prod. '
        'service.namespace is openstack unless it is set here.',
    ),
    cfg.ListOpt(
        'exporters',
        default=['otlp'],
        help='Where finished spans go, one or several of: otlp (a '
        'collector, Jaeger, Tempo), file (OTLP JSON lines in '
        'file_directory), log (one line for each span in the log of the '
        'service), zipkin (its API v2), statsd (a timer for each span name), '
        'none, or any exporter that an installed package offers under the '
        'entry point group opentelemetry_traces_exporter.',
    ),
    cfg.StrOpt(
        'otlp_endpoint',
        default='http://localhost:4318',
        help='Base URL of the OTLP receiver. /v1/traces is appended for '
        'HTTP unless it is there already. https turns TLS on. Credentials '
        'do not belong here but in otlp_headers.',
    ),
    cfg.StrOpt(
        'otlp_protocol',
        default='http/protobuf',
        choices=[
            ('http/protobuf', 'Protocol Buffers over HTTP, port 4318'),
            ('grpc', 'gRPC, port 4317'),
        ],
        help='How to speak to the OTLP receiver. A service on eventlet '
        'speaks HTTP whatever is chosen here. gRPC can make commands fail '
        'that a service runs through oslo.concurrency.',
    ),
    cfg.Opt(
        'otlp_headers',
        type=types.Dict(),
        default={},
        secret=True,
        help='Headers for every export request, as key:value pairs, for '
        'example to authenticate with the receiver.',
    ),
    cfg.FloatOpt(
        'otlp_timeout',
        default=10.0,
        min=0.1,
        max=600.0,
        help='How long one export request may take, in seconds. Requests of '
        'the service never wait for it. A request that had no answer is sent '
        'again, for as long as the queue has room.',
    ),
    cfg.StrOpt(
        'otlp_compression',
        default='gzip',
        choices=[('none', 'Send as is'), ('gzip', 'Compress')],
        help='Compression of export requests. Over HTTP gzip takes a seventh '
        'of the time where the package isal is installed.',
    ),
    cfg.StrOpt(
        'otlp_ca_file',
        help='PEM file with the certificates of the authorities that the '
        'OTLP receiver is verified with. Default: for HTTP what '
        'REQUESTS_CA_BUNDLE names, else those of certifi; for gRPC those '
        'that come with it.',
    ),
    cfg.StrOpt(
        'otlp_cert_file',
        help='PEM file with the client certificate, for mutual TLS.',
    ),
    cfg.StrOpt(
        'otlp_key_file',
        help='PEM file with the private key of otlp_cert_file.',
    ),
    cfg.BoolOpt(
        'otlp_insecure',
        default=False,
        help='Speak gRPC without TLS where otlp_endpoint has no scheme. '
        'With a scheme, http or https decides.',
    ),
    cfg.StrOpt(
        'file_directory',
        help='Directory for the file exporter, required by it. Made with '
        'mode 0750 where it is missing; refused where everybody may write '
        'to it.',
    ),
    cfg.IntOpt(
        'file_max_bytes',
        default=64 * 1024 * 1024,
        min=64 * 1024,
        help='A trace file of this size, in bytes, is closed and a new one '
        'is begun; of half of file_total_max_bytes where that is less.',
    ),
    cfg.IntOpt(
        'file_total_max_bytes',
        default=2 * 1024 * 1024 * 1024,
        min=64 * 1024,
        help='How much all trace files in file_directory may hold together, '
        'in bytes. The oldest closed files are removed.',
    ),
    cfg.StrOpt(
        'zipkin_endpoint',
        default='http://localhost:9411/api/v2/spans',
        help='Where the exporter zipkin sends spans, in the form of its API '
        'v2. /api/v2/spans is appended where the URL has no path. It needs '
        'the package opentelemetry-exporter-zipkin-json. otlp_timeout is for '
        'its requests too.',
    ),
    cfg.StrOpt(
        'statsd_address',
        default='localhost:8125',
        help='Host and UDP port where the exporter statsd sends a timer for '
        'each span, and a counter where it has failed.',
    ),
    cfg.StrOpt(
        'sampler',
        default='parentbased_traceidratio',
        help='Which requests are traced: parentbased_traceidratio (follow '
        'the caller, else sample_ratio), traceidratio (sample_ratio, '
        'whatever the caller decided), always_on, always_off, '
        'parentbased_always_on, parentbased_always_off, '
        'parentbased_jaeger_remote (follow the caller, else do as '
        'sampling_server_url says, and as sample_ratio until it has '
        'answered), jaeger_remote, or any sampler that '
        'an installed package offers under the entry point group '
        'opentelemetry_traces_sampler.',
    ),
    cfg.FloatOpt(
        'sample_ratio',
        default=1.0,
        min=0.0,
        max=1.0,
        mutable=True,
        help='Share of the traces that start in this service which are '
        'recorded: 1.0 is all of them, 0.01 one in a hundred. A request '
        'that is not recorded still passes its ids on.',
    ),
    cfg.MultiStrOpt(
        'sampling_rules',
        default=['periodic "*" 0', 'rpc "*/report_state" 0'],
        mutable=True,
        help='What is recorded of the traces that start in this service, by '
        'what starts them. Each is: server, client, rpc, notification, '
        'periodic or batch, a glob in double quotes, and the share that is '
        'recorded, from 0 to 1. The first that matches decides, the sampler '
        'where none does. The glob is compared with what is known at the '
        'start: of a request to an API its method and path with {id} for '
        'ids, as in ``server "GET /v2.1/servers/{id}" 0.1``; of an outgoing '
        'HTTP request method and service type (``client "GET identity" '
        '0``); of RPC topic, or namespace, and method (``rpc '
        '"conductor/*" 0.5``); of a notification its event type, of a batch '
        'of them the topic, and of periodic work the name of its function. '
        'Rules that are set replace those of the default; a single empty '
        'one means none.',
    ),
    cfg.FloatOpt(
        'max_traces_per_second',
        default=0.0,
        min=0.0,
        max=1000000.0,
        mutable=True,
        help='How many of the traces that start in one process of this '
        'service are recorded in a second, at the most, whatever rules and '
        'sampler say. A trace that a caller has begun is not counted. 0 '
        'means no limit.',
    ),
    cfg.FloatOpt(
        'max_forced_traces_per_second',
        default=10.0,
        min=0.0,
        max=1000000.0,
        mutable=True,
        help='How many traces in a second one process of this service '
        'records because somebody has asked for them, by an OSProfiler key '
        "or by B3's debug flag. Past that rules and sampler decide. 0 means "
        'that nobody can ask.',
    ),
    cfg.StrOpt(
        'sampling_server_url',
        default='http://localhost:5778/sampling',
        help='Whom the sampler parentbased_jaeger_remote asks: the '
        'remote_sampling extension of Jaeger, or jaegerremotesampling of '
        'the OpenTelemetry Collector, over HTTP. /sampling is appended '
        'where there is no path. With https, otlp_ca_file, otlp_cert_file '
        'and otlp_key_file are used as for the OTLP receiver.',
    ),
    cfg.FloatOpt(
        'sampling_refresh_interval',
        default=60.0,
        min=0.1,
        max=86400.0,
        help='How often each process asks the sampling server, in seconds. '
        'While the server is away its last answer holds.',
    ),
    cfg.ListOpt(
        'propagators',
        default=['tracecontext', 'baggage'],
        help='How the trace travels in HTTP headers, the first that an '
        'incoming request carries wins: tracecontext and baggage (W3C), '
        'none, or any propagator that an installed package offers under '
        'the entry point group opentelemetry_propagator, as b3 or jaeger.',
    ),
    cfg.StrOpt(
        'incoming',
        choices=[
            ('signed', 'Believe what a service has signed, else as link'),
            ('trust', 'Callers may continue their trace and decide on it'),
            ('link', 'Start a new trace with a link to that of the caller'),
            ('ignore', 'Start a new trace'),
        ],
        help='Whose trace context an API believes. signed, the default where '
        'signing_keys are set: that of services which have one of the keys; '
        'for all others the same as link. trust, the default without keys, '
        'is for services that only other services reach: there anybody who '
        'can send a request can join a trace and have it recorded or not. '
        'link and ignore believe nobody; ignore does not read the headers of '
        'OSProfiler either. trust together with signing_keys is refused: it '
        'would let strangers into signed traces.',
    ),
    cfg.StrOpt(
        'incoming_rpc',
        default='trust',
        choices=[
            ('trust', 'Senders may continue their trace and decide on it'),
            ('link', 'Start a new trace with a link to that of the sender'),
        ],
        help='The same for messages. link is for services whose topics can '
        'be reached by agents inside of guests.',
    ),
    cfg.ListOpt(
        'signing_keys',
        default=[],
        secret=True,
        help='Keys that services sign their trace context with, so that they '
        'stay in one trace where strangers send requests too: random texts '
        'of at least 32 bytes each. The first signs, each verifies. Give all '
        'services of the cloud the same. To change a key without tearing a '
        'trace, restart the services one after the other with the new key '
        'added at the end; then with the new key first; then without the old '
        'one.',
    ),
    cfg.FloatOpt(
        'signature_max_age',
        default=60.0,
        min=1.0,
        max=3600.0,
        help='How far the time in a signature may be from the clock of this '
        'host, in seconds, in either direction. That long a signed trace '
        'context that somebody has got hold of continues its one trace.',
    ),
    cfg.ListOpt(
        'hmac_keys',
        default=[],
        secret=True,
        help='Keys of OSProfiler, for example that of openstack '
        '--os-profile. A request that is signed with one of them is traced '
        'whatever sample_ratio says, under the id that the client prints, '
        'at most max_forced_traces_per_second of them. Default: hmac_keys '
        'in the [profiler] section. SECRET_KEY, which OSProfiler comes with, '
        'is dropped from the list.',
    ),
    cfg.ListOpt(
        'propagate_to',
        default=['*'],
        help='Hosts to which outgoing HTTP requests carry the trace, as '
        'globs, for example ``*.internal.example.com``. Requests to other '
        'hosts are traced, but carry nothing. Signatures, baggage and the '
        'headers of OSProfiler go only to endpoints of the catalog, or of '
        'the configuration of the service.',
    ),
    cfg.BoolOpt(
        'request_id_is_trace_id',
        default=True,
        help='Where a request starts a trace its request id is req- and the '
        'trace id, so that either finds the other.',
    ),
    cfg.BoolOpt(
        'traceresponse',
        default=True,
        help='Answer callers whose trace context was believed with a '
        'traceresponse header (W3C Trace Context level 2).',
    ),
    cfg.BoolOpt(
        'trace_http_server',
        default=True,
        help='Trace the requests that the WSGI API of this service gets.',
    ),
    cfg.BoolOpt(
        'trace_http_client',
        default=True,
        help='Trace outgoing HTTP requests (keystoneauth1, requests).',
    ),
    cfg.BoolOpt(
        'trace_rpc',
        default=True,
        help='Trace RPC over oslo.messaging, asking and answering.',
    ),
    cfg.BoolOpt(
        'trace_notifications',
        default=True,
        help='Trace notifications over oslo.messaging, sent and received.',
    ),
    cfg.BoolOpt(
        'trace_db',
        default=True,
        help='Trace SQL statements, commits and rollbacks of SQLAlchemy.',
    ),
    cfg.BoolOpt(
        'trace_periodic',
        default=True,
        help='Trace periodic tasks and looping calls of futurist and '
        'oslo.service and heartbeats of tooz, each run outside of a request '
        'as a trace of its own.',
    ),
    cfg.BoolOpt(
        'trace_locks',
        default=True,
        help='Trace waiting for a lock of oslo.concurrency or tooz, where it '
        'took more than 10 ms. A lock that is free makes no span.',
    ),
    cfg.BoolOpt(
        'trace_commands',
        default=True,
        help='Trace external commands that oslo.concurrency runs, in this '
        'process and in the daemons of oslo.privsep, and those that the '
        'daemon of oslo.rootwrap runs: which program and how it ended, never '
        'its arguments.',
    ),
    cfg.BoolOpt(
        'trace_cache',
        default=True,
        help='Trace what is asked of memcached through oslo.cache, without '
        'the keys.',
    ),
    cfg.ListOpt(
        'ignored_paths',
        default=['/healthcheck'],
        mutable=True,
        help='Paths of requests that get no span at all, exact or as globs, '
        'compared with the whole path of the request.',
    ),
    cfg.StrOpt(
        'db_query_text',
        default='auto',
        choices=[
            ('auto', 'The text with its bind markers, literals taken out'),
            ('none', 'No text'),
        ],
        help='What of an SQL statement is recorded. Values of bind '
        'parameters never are.',
    ),
    cfg.StrOpt(
        'db_spans',
        default='all',
        choices=[
            ('all', 'A span for each statement'),
            ('slow', 'For those that are slow, fail, are retried or write'),
            ('summary', 'For those that are slow or fail'),
        ],
        mutable=True,
        help='Which SQL statements and commits get a span of their own. The '
        'others are added up on the span that they run under: how many, how '
        'long, how many rows, and which took most of that time.',
    ),
    cfg.FloatOpt(
        'db_slow_threshold',
        default=0.05,
        min=0.0,
        max=3600.0,
        mutable=True,
        help='From which duration on a statement is slow, in seconds; for '
        'db_spans = slow and summary.',
    ),
    cfg.BoolOpt(
        'db_comment',
        default=False,
        help="Append ``/*traceparent='...'*/`` to SQL statements, so that the "
        "database's own logs lead to the trace. Statements of one text then "
        'differ in the comment, which defeats caches keyed by the text.',
    ),
    cfg.BoolOpt(
        'osprofiler',
        default=True,
        help='Make spans of the trace points of OSProfiler that the service '
        'has, where they are in use: most services want [profiler] enabled '
        'for that, neutron has some in any case. They are spans of '
        'the trace that is under way; connection_string in the [profiler] '
        'section is then not opened, and no hmac_keys are needed. The trace '
        'of services that have OSProfiler alone goes on here, and the other '
        'way round. False leaves OSProfiler to itself.',
    ),
    cfg.BoolOpt(
        'osprofiler_record_arguments',
        default=False,
        help='Record the arguments and results that trace points of '
        'OSProfiler tell, scrubbed and cut. They can hold what users sent. '
        'To tell them the service makes texts of all arguments of each '
        'call, which takes time.',
    ),
    cfg.BoolOpt(
        'exception_messages',
        default=False,
        help='Record the messages of exceptions, scrubbed. They can hold '
        'what users sent. Never those of database errors, nor of commands '
        'that failed.',
    ),
    cfg.ListOpt(
        'excluded_attributes',
        default=[],
        mutable=True,
        help='Attributes that are never recorded, as globs, for example '
        'client.address,openstack.user_id.',
    ),
    cfg.IntOpt(
        'attribute_length_limit',
        default=4096,
        min=64,
        max=65536,
        help='Longest value of an attribute, in characters. Longer ones '
        'are cut.',
    ),
    cfg.IntOpt(
        'max_queue_size',
        default=2048,
        min=1,
        max=1048576,
        help='How many finished spans may wait for export, in spans. When '
        'the queue is full new spans are dropped and counted; requests '
        'never wait.',
    ),
    cfg.IntOpt(
        'max_export_batch_size',
        default=512,
        min=1,
        max=65536,
        help='How many spans one export sends at the most, in spans.',
    ),
    cfg.FloatOpt(
        'schedule_delay',
        default=5.0,
        min=0.01,
        max=3600.0,
        help='How long a finished span waits for others before it is '
        'exported, in seconds.',
    ),
    cfg.FloatOpt(
        'shutdown_timeout',
        default=2.0,
        min=0.0,
        max=60.0,
        help='How long the end of the process may be delayed to send the '
        'last spans, in seconds.',
    ),
    cfg.StrOpt(
        'context_store',
        choices=[
            ('thread', 'One for each thread; oslo.context is left as it is'),
            ('contextvars', 'One for each task, handed on with the trace'),
        ],
        help='Where oslo.context keeps the RequestContext that '
        'oslo_context.context.get_current() returns. Default: thread, and '
        'contextvars where setup() is called under a running event loop, '
        'since the tasks of a loop share its thread.',
    ),
    cfg.BoolOpt(
        'log_correlation',
        default=True,
        help='Put trace_id and span_id on every log record, for '
        'logging_context_format_string and the JSON formatter.',
    ),
]


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """Return the options for ``oslo-config-generator`` and the docs.

    :returns: a copy, as the entry point group ``oslo.config.opts`` asks.
    """
    return [(copy.deepcopy(GROUP), copy.deepcopy(_OPTS))]


def names() -> list[str]:
    """Return what the options are called."""
    return [option.dest for option in _OPTS]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options on ``conf``, and on nothing else.

    :param conf: any configuration object; registering twice is harmless.
    """
    try:
        if set(names()) <= set(conf[GROUP.name]):
            return
    except cfg.NoSuchOptError:
        # Nor is there the group.
        pass
    # oslo.config keeps options and their new defaults in the group, of which
    # its own copy is a shallow one: one ConfigOpts would change the others.
    conf.register_group(copy.deepcopy(GROUP))
    conf.register_opts(_OPTS, group=GROUP.name)


def set_defaults(conf: cfg.ConfigOpts, **defaults: Any) -> None:
    """Give a service's own defaults for ``[tracing]`` options.

    What an operator sets in a file, and an ``OTEL_*`` variable, is stronger.

    :param conf: the configuration that the options are registered on.
    :param defaults: option names with their new defaults.
    :raises oslo_config.cfg.NoSuchOptError: for an unknown option.
    """
    register_opts(conf)
    for name, value in defaults.items():
        conf.set_default(name, value, group=GROUP.name)

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


"""Spans to an OTLP receiver: a collector, Jaeger, Tempo.

OpenTelemetry's own exporters do the work. They also look into the
``OTEL_EXPORTER_OTLP_*`` environment, which our settings have weighed already:
all they could find there is passed, so that no variable overrides the
service's configuration file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from typing import Final
from typing import TYPE_CHECKING
from urllib import parse

from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export

from oslo_tracing import counters

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

_PATH: Final = '/v1/traces'


class _Headers(tuple[tuple[str, str], ...]):
    """Headers that count as given even where there are none."""

    def __bool__(self) -> bool:
        return True


class _ToldWhy(export.SpanExporter):
    """An exporter over our session, which knows why a request failed.

    The exporter itself only tells that it gave up.
    """

    def __init__(self, exporter: Any, session: Any) -> None:
        self._exporter = exporter
        self._session = session

    def export(
        self, spans: Sequence[sdk_trace.ReadableSpan]
    ) -> export.SpanExportResult:
        self._session.error = None
        result: export.SpanExportResult = self._exporter.export(spans)
        error = self._session.error
        if error is not None and result is export.SpanExportResult.FAILURE:
            raise counters.SpansLost(
                counters.EXPORT_FAILED,
                len(spans),
                f'{type(error).__name__}: {error}',
            )
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def build(
    settings: settings_module.Settings, resource: Any
) -> export.SpanExporter:
    """Return an exporter for the chosen protocol; imports only that one.

    :param settings: the ``otlp_*`` values, already validated.
    :param resource: not needed, each span has its own.
    :raises Exception: when a file is gone or a library missing.
    """
    if settings.otlp_protocol == 'grpc':
        return _grpc(settings)
    return _http(settings)


def url(settings: settings_module.Settings) -> str:
    """Return where OTLP/HTTP requests are sent.

    ``/v1/traces`` is appended to the base URL, unless it is there already or
    the URL is known to be whole.
    """
    endpoint = settings.otlp_endpoint
    if settings.otlp_endpoint_is_whole:
        # "used as-is ... except that a URL without a path gets the root",
        # OTLP exporter specification.
        return endpoint if parse.urlsplit(endpoint).path else f'{endpoint}/'
    if endpoint.rstrip('/').endswith(_PATH):
        return endpoint.rstrip('/')
    return endpoint.rstrip('/') + _PATH


def _http(settings: settings_module.Settings) -> export.SpanExporter:
    from opentelemetry.exporter.otlp.proto import http
    from opentelemetry.exporter.otlp.proto.http import trace_exporter

    from oslo_tracing.exporters import _session

    certificate: tuple[str, str] | str | None = settings.otlp_cert_file
    if settings.otlp_cert_file and settings.otlp_key_file:
        certificate = (settings.otlp_cert_file, settings.otlp_key_file)
    session = _session.Session(
        settings.otlp_headers, settings.otlp_ca_file, certificate
    )
    exporter = trace_exporter.OTLPSpanExporter(
        endpoint=url(settings),
        certificate_file=settings.otlp_ca_file,
        client_key_file=settings.otlp_key_file,
        client_certificate_file=settings.otlp_cert_file,
        headers=dict(settings.otlp_headers),
        timeout=settings.otlp_timeout,
        compression=(
            http.Compression.Gzip
            if settings.otlp_compression == 'gzip'
            else http.Compression.NoCompression
        ),
        session=session,
    )
    return _ToldWhy(exporter, session)


def _grpc(settings: settings_module.Settings) -> export.SpanExporter:
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc import trace_exporter

    scheme, found, _rest = settings.otlp_endpoint.partition('://')
    insecure = scheme == 'http' if found else settings.otlp_insecure
    credentials = None
    if not insecure:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_content(settings.otlp_ca_file),
            private_key=_content(settings.otlp_key_file),
            certificate_chain=_content(settings.otlp_cert_file),
        )
    exporter: export.SpanExporter = trace_exporter.OTLPSpanExporter(
        endpoint=settings.otlp_endpoint,
        insecure=insecure,
        credentials=credentials,
        headers=_Headers(
            # Metadata keys are lower case in HTTP/2.
            (key.lower(), value)
            for key, value in settings.otlp_headers.items()
        ),
        timeout=settings.otlp_timeout,
        compression=(
            grpc.Compression.Gzip
            if settings.otlp_compression == 'gzip'
            else grpc.Compression.NoCompression
        ),
    )
    return exporter


def _content(path: str | None) -> bytes | None:
    if not path:
        return None
    with open(path, 'rb') as file:
        return file.read()

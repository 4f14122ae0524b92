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

"""Spans to Zipkin, or whatever takes its API v2.

OpenTelemetry's exporter for Zipkin makes the messages, its own way to send
them is left alone: ours is that of OTLP, which waits for a receiver, follows
no redirect and takes no proxy or password from the environment.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Final
from typing import TYPE_CHECKING
from urllib import parse

from opentelemetry.exporter.zipkin.json import v2
from opentelemetry.exporter.zipkin import node_endpoint
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace

from oslo_tracing import attributes as names
from oslo_tracing.exporters import _otlp_http
from oslo_tracing.exporters import otlp

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

_PATH: Final = '/api/v2/spans'
_REMOTE: Final = (trace.SpanKind.CLIENT, trace.SpanKind.PRODUCER)
# In the order of the "Remote endpoint" table of the specification's "Zipkin
# exporter": the first that a span has names whom it called.
_CALLED: Final = (
    names.OPENSTACK_SERVICE_TYPE,
    names.SERVER_ADDRESS,
    names.DB_NAMESPACE,
    names.MESSAGING_SYSTEM,
)


def build(
    settings: settings_module.Settings, resource: resources.Resource
) -> otlp.HttpSpanExporter:
    """Return the exporter.

    :param settings: ``zipkin_endpoint``; ``otlp_timeout`` bounds a request.
    :param resource: names the service.
    """
    link = _otlp_http.Link(
        url(settings),
        # They are for the receiver of OTLP, and nobody else.
        settings.but(
            otlp_headers={},
            otlp_ca_file=None,
            otlp_cert_file=None,
            otlp_key_file=None,
            otlp_compression='gzip',
        ),
        otlp.USER_AGENT,
        'application/json',
    )
    return otlp.HttpSpanExporter(
        link, settings.otlp_timeout, Encoding(resource)
    )


def url(settings: settings_module.Settings) -> str:
    """Return where spans are sent: ``/api/v2/spans`` of a bare server."""
    endpoint = settings.zipkin_endpoint
    if parse.urlsplit(endpoint).path in ('', '/'):
        return endpoint.rstrip('/') + _PATH
    return endpoint


class Encoding:
    """Makes requests of spans.

    :param resource: names the service, of which a process has one.
    """

    #: A request without spans.
    probe: bytes = b'[]'

    def __init__(self, resource: resources.Resource) -> None:
        self._node = _Node(
            str(resource.attributes.get(names.SERVICE_NAME, ''))
        )
        # No limit: values have been cut already.
        self._encoder = _Encoder(0)

    def request(
        self,
        spans: Sequence[sdk_trace.ReadableSpan],
        lose: Callable[[sdk_trace.ReadableSpan, Exception], object],
    ) -> bytes:
        """Return a request with the spans.

        :param spans: ended spans.
        :param lose: called with each that cannot be encoded, and why.
        """
        encoded = []
        for span in spans:
            try:
                encoded.append(self._encoded(span))
            except Exception as error:
                lose(span, error)
        return b'[%s]' % b','.join(encoded)

    def _encoded(self, span: sdk_trace.ReadableSpan) -> bytes:
        spans: list[Any] = [span]
        text = self._encoder.serialize(spans, self._node)
        # It makes lists of spans.
        return text[1:-1].encode('utf-8', 'backslashreplace')


class _Node(node_endpoint.NodeEndpoint):
    """Where spans come from.

    OpenTelemetry's asks for the resource once more, in threads, which an
    interpreter refuses that ends.

    :param service_name: of the process.
    """

    def __init__(self, service_name: str) -> None:
        self.ipv4 = self.ipv6 = self.port = None
        self.service_name = service_name


class _Encoder(v2.JsonV2Encoder):
    """OpenTelemetry's, without what Zipkin would take amiss.

    It marks each sampled span as ``debug``, at which a server forgets its
    own sampling, and has no ``remoteEndpoint``, without which it draws no
    dependencies on what is not traced.
    """

    def _encode_span(
        self, span: Any, encoded_local_endpoint: Any
    ) -> dict[str, Any]:
        encoded: dict[str, Any] = super()._encode_span(
            span, encoded_local_endpoint
        )
        encoded.pop('debug', None)
        if encoded.get('kind') is None:
            encoded.pop('kind', None)
        # "MUST be at least 1", Zipkin's API.
        encoded['duration'] = max(1, encoded['duration'])
        called = _called(span)
        if called:
            encoded['remoteEndpoint'] = {'serviceName': called}
        return encoded


def _called(span: sdk_trace.ReadableSpan) -> str | None:
    if span.kind not in _REMOTE:
        return None
    for name in _CALLED:
        value = (span.attributes or {}).get(name)
        if value:
            return str(value)
    return None

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

"""A timer and a counter of errors for each span name, for statsd.

Lines go out over UDP by the statsd client that oslo.middleware requires.
Nothing is heard back, so all that is known to be lost is what the system
refused to send.
"""

from __future__ import annotations

from collections.abc import Sequence
import re
from typing import Final
from typing import TYPE_CHECKING
from urllib import parse

from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export
from opentelemetry import trace
import statsd

from oslo_tracing import attributes as names
from oslo_tracing import counters

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

#: How many span names a process has timers for; the rest are one.
NAMES: Final = 500
#: The timer of all further names.
OTHER: Final = '_other'

_PREFIX: Final = 'oslo_tracing'
_LENGTH: Final = 128
# Each span has one line that ends so, and no name has a bar.
_TIMER: Final = '|ms'
# A dot, a colon, a bar or an at sign would have a meaning to a server.
_STRANGE: Final = re.compile('[^A-Za-z0-9-]+')


def build(
    settings: settings_module.Settings, resource: resources.Resource
) -> StatsdSpanExporter:
    """Return the exporter.

    :param settings: ``statsd_address``.
    :param resource: names the service.
    :raises OSError: when the name of the server cannot be looked up.
    """
    host, port = address(settings.statsd_address)
    service = str(resource.attributes.get(names.SERVICE_NAME, ''))
    client = _Client(
        host,
        port,
        prefix=f'{_PREFIX}.{sanitised(service)}',
        ipv6=':' in host,
    )
    return StatsdSpanExporter(client)


def address(text: str) -> tuple[str, int]:
    """Return host and port of ``statsd_address``, already validated."""
    parts = parse.urlsplit(f'//{text}')
    return parts.hostname or '', parts.port or 8125


def sanitised(name: str) -> str:
    """Return a name in the alphabet that every server takes.

    :param name: anything; its letters and digits of ASCII and hyphens stay,
        each run of others becomes ``_``.
    :returns: 1 to 128 characters, no dot among them.
    """
    text = _STRANGE.sub('_', name[: 2 * _LENGTH]).strip('_')
    return text[:_LENGTH] or '_'


class _Client(statsd.StatsClient):  # type: ignore[misc]
    """Remembers what was refused, where statsd's own says nothing.

    :ivar lost: how many timers were in refused datagrams.
    :ivar why: what the system said last.
    """

    lost = 0
    why = ''

    def _send(self, data: str) -> None:
        # Not connected, so a server that is not there is none of the errors.
        # The next datagram may have more luck: a full buffer is soon empty.
        try:
            self._sock.sendto(data.encode('ascii'), self._addr)
        except (OSError, RuntimeError) as error:
            self.lost += data.count(_TIMER)
            self.why = f'{type(error).__name__}: {error}'


class StatsdSpanExporter(export.SpanExporter):
    """Sends ``PREFIX.SERVICE.KIND.NAME``; one thread uses it.

    :param client: sends lines.
    """

    def __init__(self, client: _Client) -> None:
        self._client = client
        self._stats: dict[tuple[trace.SpanKind, str], str] = {}

    def export(
        self, spans: Sequence[sdk_trace.ReadableSpan]
    ) -> export.SpanExportResult:
        """Send the lines of some spans, several in a datagram.

        :raises SpansLost: for those that the system refused to send.
        """
        pipeline = self._client.pipeline()
        for span in spans:
            stat = self._stat(span)
            took = (span.end_time or 0) - (span.start_time or 0)
            pipeline.timing(stat, max(0.0, took / 1e6))
            if span.status.status_code is trace.StatusCode.ERROR:
                pipeline.incr(f'{stat}.error')
        self._client.lost = 0
        pipeline.send()
        if self._client.lost:
            raise counters.SpansLost(
                counters.EXPORT_FAILED, self._client.lost, self._client.why
            )
        return export.SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the socket."""
        self._client.close()

    def forget(self) -> None:
        """Close a forked child's copy of the socket."""
        self._client.close()

    def _stat(self, span: sdk_trace.ReadableSpan) -> str:
        key = (span.kind, span.name)
        stat = self._stats.get(key)
        if stat is None:
            room = len(self._stats) < NAMES
            name = sanitised(span.name) if room else OTHER
            stat = f'{span.kind.name.lower()}.{name}'
            if room:
                self._stats[key] = stat
        return stat

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

Messages and delivery are our own, and take spans of any provider. What is not
delivered and may be sent again is handed back, with a time: nobody waits
in here, so that a receiver that is down holds up no other exporter.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import importlib
import time
from typing import Any
from typing import Final
from typing import Protocol
from typing import TYPE_CHECKING
from urllib import parse

from opentelemetry.exporter.otlp.proto.common.version import __version__
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export

from oslo_tracing import _real
from oslo_tracing import counters
from oslo_tracing.exporters import _answer
from oslo_tracing.exporters import _green
from oslo_tracing.exporters import _otlp_encoder
from oslo_tracing.exporters import _owed

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

#: Bytes of a request before it is compressed, and of a single span.
REQUEST_LIMIT: Final = 4 * 1024 * 1024

_PATH: Final = '/v1/traces'
#: "User Agent" of the OTLP exporter specification: whose it is comes first.
USER_AGENT: Final = f'oslo.tracing OTel-OTLP-Exporter-Python/{__version__}'
# Of otlp_timeout, for asking a receiver that was silent whether it is there.
_PROBE: Final = 1 / 3
# So often it may answer the question, and then not the batch.
_STRIKES: Final = 3

_Spans = Sequence[sdk_trace.ReadableSpan]


class Link(Protocol):
    """A way to a receiver."""

    def send(self, body: bytes, timeout: float) -> _answer.Answer: ...

    def close(self) -> None: ...


def load(settings: settings_module.Settings) -> None:
    """Import what the chosen protocol needs, and no other."""
    _transport(_usable(settings))


def build(
    settings: settings_module.Settings, resource: Any
) -> OtlpSpanExporter:
    """Return an exporter for the chosen protocol.

    :param settings: the ``otlp_*`` values, already validated.
    :param resource: not needed, each span has its own.
    :raises Exception: when a file is gone or a library missing.
    """
    settings = _usable(settings)
    transport = _transport(settings)
    timeout = settings.otlp_timeout
    if settings.otlp_protocol == 'grpc':
        return OtlpSpanExporter(transport.Link(settings, USER_AGENT), timeout)
    return HttpSpanExporter(
        transport.Link(url(settings), settings, USER_AGENT), timeout
    )


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


class Encoding(Protocol):
    """Makes requests of spans.

    :ivar probe: a request without any.
    """

    probe: bytes

    def request(
        self,
        spans: _Spans,
        lose: Callable[[sdk_trace.ReadableSpan, Exception], object],
    ) -> bytes: ...


class OtlpSpanExporter(export.SpanExporter):
    """Sends batches over a link; one thread uses it.

    :param link: how to reach the receiver.
    :param timeout: seconds that one request may take.
    :param encoding: makes the requests, OTLP's where there is none.
    """

    def __init__(
        self, link: Link, timeout: float, encoding: Encoding | None = None
    ) -> None:
        self._link = link
        self._timeout = timeout
        self._encoder: Encoding = encoding or _otlp_encoder.Encoder()
        self._in_doubt = False
        self._strikes = 0

    def deliver(self, spans: _Spans, timeout: float) -> _owed.Outcome:
        """Send a batch, once.

        :param spans: ended and cleaned spans.
        :param timeout: seconds that are left for all of it; no request
            takes longer than ``otlp_timeout`` either.
        :returns: what became of each span.
        """
        outcome = _owed.Outcome()
        until = time.monotonic() + timeout
        probed = self._in_doubt
        if probed:
            # One that was silent may be so again, for as long as we let it,
            # and may have taken what it did not answer: an empty request
            # tells whether it is back, and costs it nothing.
            answer = self._send(
                self._encoder.probe, self._timeout * _PROBE, until
            )
            if answer.meaning == _answer.SILENT:
                outcome.leave(spans, answer.why, answer.after)
                return outcome
            self._in_doubt = False
        requests = self._fitting(spans, outcome)
        for body, inside in requests:
            answer = self._send(body, self._timeout, until)
            if answer.meaning in (_answer.TAKEN, _answer.REFUSED):
                self._strikes = 0
                _settle(outcome, answer, len(inside))
                continue
            if self._struck_out(answer, probed):
                outcome.lose(counters.EXPORT_FAILED, len(inside), answer.why)
                inside = ()
            rest = [span for _body, others in requests for span in others]
            outcome.leave([*inside, *rest], answer.why, answer.after)
        return outcome

    def export(self, spans: _Spans) -> export.SpanExportResult:
        """Send a batch, once, for those who know no better."""
        outcome = self.deliver(spans, self._timeout)
        if outcome.left or outcome.lost:
            return export.SpanExportResult.FAILURE
        return export.SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the connection; the next batch would open another one."""
        self._link.close()

    def _send(
        self, body: bytes, timeout: float, until: float
    ) -> _answer.Answer:
        return self._link.send(
            body, max(0.0, min(timeout, until - time.monotonic()))
        )

    def _fitting(
        self, spans: _Spans, outcome: _owed.Outcome
    ) -> Iterator[tuple[bytes, _Spans]]:
        """Make as many requests of spans as their size demands.

        One that cannot be encoded, is too large, or has no sound resource,
        is lost alone.
        """
        bad: list[sdk_trace.ReadableSpan] = []

        def lose(span: sdk_trace.ReadableSpan, error: Exception) -> None:
            bad.append(span)
            outcome.lose(counters.ENCODING, 1, _words(error))

        body = None
        try:
            cause, why = counters.TOO_LARGE, 'a span is larger than a request'
            body = self._encoder.request(spans, lose)
        except Exception as error:
            cause, why = counters.ENCODING, _words(error)
        if bad:
            gone = {id(span) for span in bad}
            spans = [span for span in spans if id(span) not in gone]
        if not spans:
            return
        if body is not None and len(body) <= REQUEST_LIMIT:
            yield body, spans
            return
        if len(spans) == 1:
            outcome.lose(cause, 1, why)
            return
        middle = len(spans) // 2
        yield from self._fitting(spans[:middle], outcome)
        yield from self._fitting(spans[middle:], outcome)

    def _struck_out(self, answer: _answer.Answer, probed: bool) -> bool:
        """Say whether this batch is what the receiver cannot stomach.

        It is there, it has just answered; but whenever it gets this, it
        does not. Sent for ever it would let nothing else through.
        """
        if answer.meaning != _answer.SILENT:
            return False
        self._in_doubt = True
        self._strikes += probed
        if self._strikes < _STRIKES:
            return False
        self._strikes = 0
        return True


class HttpSpanExporter(OtlpSpanExporter):
    """One whose connection a forked child can close for itself."""

    def forget(self) -> None:
        """Close a forked child's copy of the connection."""
        self._link.close()


def _usable(settings: settings_module.Settings) -> settings_module.Settings:
    return _green.without_grpc(settings) if _real.is_green() else settings


def _transport(settings: settings_module.Settings) -> Any:
    name = '_otlp_grpc' if settings.otlp_protocol == 'grpc' else '_otlp_http'
    return importlib.import_module(f'oslo_tracing.exporters.{name}')


def _words(error: Exception) -> str:
    return f'{type(error).__name__}: {error}'


def _settle(
    outcome: _owed.Outcome, answer: _answer.Answer, count: int
) -> None:
    """Count the spans of a request that had an answer."""
    refused = count
    if answer.meaning == _answer.TAKEN:
        refused = min(answer.rejected, count)
        if not refused:
            outcome.said = answer.why
    outcome.delivered += count - refused
    outcome.lose(counters.REFUSED, refused, answer.why)

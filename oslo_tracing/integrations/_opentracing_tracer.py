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

"""OpenTelemetry's shim for OpenTracing, with our formats on the wire.

Imported only where a service has imported opentracing.
"""

from __future__ import annotations

from typing import Any
from typing import Final

from opentelemetry.shim import opentracing_shim
from opentelemetry import trace
import opentracing

from oslo_tracing import integrations

_FORMATS: Final = (
    opentracing.Format.HTTP_HEADERS,
    opentracing.Format.TEXT_MAP,
)


class Tracer(opentracing_shim.TracerShim):
    """Answers to OpenTracing's API.

    The shim would speak the formats of OpenTelemetry's global propagator,
    which is not where an operator configures ours.

    :param toolbox: with the configured formats.
    """

    def __init__(self, toolbox: integrations.Toolbox) -> None:
        # Not a scope of ours: what exceptions say in spans of others is
        # taken out when they are exported.
        super().__init__(trace.get_tracer('opentracing'))
        self._propagation = toolbox.propagation

    def inject(self, span_context: Any, format: object, carrier: Any) -> None:
        """Write a span's context into headers, in all configured formats.

        It is not signed: who will get it is not known here.

        :param span_context: a span or the context of one.
        :param format: HTTP headers or a text map.
        :param carrier: where they are set.
        :raises UnsupportedFormatException: for another format.
        """
        _check(format)
        found = span_context.unwrap() if span_context else None
        if isinstance(found, trace.SpanContext):
            found = trace.NonRecordingSpan(found)
        self._propagation.to_carrier(
            carrier, trace.set_span_in_context(found or trace.INVALID_SPAN)
        )

    def extract(self, format: object, carrier: Any) -> Any:
        """Return the context that headers hold, None where there is none.

        Whoever calls this believes the sender: ``[tracing] incoming`` is
        not asked.

        :param format: HTTP headers or a text map.
        :param carrier: a mapping of headers, whatever their letters.
        :raises UnsupportedFormatException: for another format.
        """
        _check(format)
        environ = {
            f'HTTP_{str(name).upper().replace("-", "_")}': value
            for name, value in carrier.items()
        }
        incoming = self._propagation.from_environ(environ)
        if incoming.span_context is None:
            return None
        return opentracing_shim.SpanContextShim(incoming.span_context)


def _check(format: object) -> None:
    if format not in _FORMATS:
        raise opentracing.UnsupportedFormatException(format)

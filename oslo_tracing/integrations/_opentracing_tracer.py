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
from opentracing import logs
from opentracing import tags as tag_names

from oslo_tracing import attributes as names
from oslo_tracing import integrations

_FORMATS: Final = (
    opentracing.Format.HTTP_HEADERS,
    opentracing.Format.TEXT_MAP,
)
#: What a log may say of an error, and what OpenTelemetry calls it.
_OF_ERRORS: Final = {
    logs.ERROR_KIND: names.EXCEPTION_TYPE,
    logs.MESSAGE: names.EXCEPTION_MESSAGE,
}


class Span(opentracing_shim.SpanShim):
    """A span whose errors are told as the specification says.

    OpenTelemetry's, "OpenTracing Compatibility", sections "Set Tag" and
    "Log"; the shim makes tags and events like others of them, whose message
    nobody would take for one of an exception.
    """

    def set_tag(self, key: str, value: Any) -> Span:
        """Set an attribute, or the status where the tag is ``error``."""
        if key == tag_names.ERROR:
            is_error = value not in (False, 'false')
            self._otel_span.set_status(
                trace.StatusCode.ERROR if is_error else trace.StatusCode.OK
            )
        else:
            super().set_tag(key, value)
        return self

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> Span:
        """Add an event, or an exception where it tells of an error."""
        error = key_values.get(logs.ERROR_OBJECT)
        if key_values.get(logs.EVENT) != tag_names.ERROR and error is None:
            super().log_kv(key_values, timestamp)
            return self
        when = None
        if timestamp is not None:
            when = int(timestamp * 1e9)
        if isinstance(error, BaseException):
            self._otel_span.record_exception(error, timestamp=when)
            return self
        found = {}
        for key, name in _OF_ERRORS.items():
            value = key_values.get(key)
            # The kind may be a class.
            text = getattr(value, '__name__', value)
            if isinstance(text, str):
                found[name] = text
        self._otel_span.add_event(names.EVENT_EXCEPTION, found, when)
        return self


class _Scopes(opentracing_shim.ScopeManagerShim):
    """Knows the current span also where OpenTracing has not activated it."""

    def activate(self, span: Any, finish_on_close: bool) -> Any:
        scope = super().activate(span, finish_on_close)
        # The shim makes another one of the same.
        scope._span = span
        return scope

    @property
    def active(self) -> Any:
        current = trace.get_current_span()
        found = current.get_span_context()
        if not found.is_valid:
            return None
        scope = super().active
        if scope is not None and scope.span.unwrap() is current:
            return scope
        # Whoever has begun it ends it: to close this scope does nothing.
        return opentracing.Scope(
            self,
            Span(
                self.tracer, opentracing_shim.SpanContextShim(found), current
            ),
        )


class Tracer(opentracing_shim.TracerShim):
    """Answers to OpenTracing's API.

    The shim would speak the formats of OpenTelemetry's global propagator,
    which is not where an operator configures ours; and it knows of no span
    but its own.

    :param toolbox: with the configured formats.
    """

    def __init__(self, toolbox: integrations.Toolbox) -> None:
        # Not a scope of ours: what exceptions say in spans of others is
        # taken out when they are exported.
        super().__init__(trace.get_tracer('opentracing'))
        self._scope_manager = _Scopes(self)
        self._propagation = toolbox.propagation

    def start_span(
        self,
        operation_name: str | None = None,
        child_of: Any = None,
        references: list[Any] | None = None,
        tags: Any = None,
        start_time: float | None = None,
        ignore_active_span: bool = False,
    ) -> Span:
        """Start a span, below the current one unless another is named."""
        said = dict(tags or {})
        is_error = said.pop(tag_names.ERROR, None)
        started = super().start_span(
            operation_name,
            child_of,
            references,
            said,
            start_time,
            ignore_active_span or bool(references),
        )
        span = Span(self, started.context, started._otel_span)
        if is_error is not None:
            span.set_tag(tag_names.ERROR, is_error)
        return span

    def start_active_span(
        self,
        operation_name: str,
        child_of: Any = None,
        references: list[Any] | None = None,
        tags: Any = None,
        start_time: float | None = None,
        ignore_active_span: bool = False,
        finish_on_close: bool = True,
    ) -> Any:
        """Start a span, which is the current one until its scope closes."""
        span = self.start_span(
            operation_name,
            child_of,
            references,
            tags,
            start_time,
            ignore_active_span,
        )
        return self._scope_manager.activate(span, finish_on_close)

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

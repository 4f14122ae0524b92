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

"""Spans for the trace points of OSProfiler.

A point is begun and ended by two calls, wherever they stand. What is open is
kept in the current context, beside the span: so it is handed on, and is
over, with the unit of work that it belongs to, in every runtime, and a point
that nobody ends spoils nothing that comes after.
"""

from __future__ import annotations

import contextvars
import sys
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import context
from oslo_tracing.integrations import _osprofiler_info as told
from oslo_tracing import recording
from oslo_tracing import settings as settings_module

_POINT = otel_context.create_key('oslo_tracing.osprofiler_point')
_SAMPLED = trace.TraceFlags.SAMPLED
_INTERNAL = trace.SpanKind.INTERNAL


class _Point:
    """A point that was begun.

    :ivar span: None where it has none, but stands between others.
    :ivar parent: the span around it, None where there is none.
    :ivar is_sql: begun by osprofiler for a statement.
    """

    __slots__ = ('is_sql', 'parent', 'span', 'token')

    def __init__(
        self, span: trace.Span | None, parent: trace.SpanContext, is_sql: bool
    ) -> None:
        self.span = span
        self.parent = parent
        self.is_sql = is_sql
        self.token: Any = None


class Points:
    """Begins and ends points.

    :param tracer: of the integration.
    :param settings: what to record of them.
    """

    def __init__(
        self, tracer: trace.Tracer, settings: settings_module.Settings
    ) -> None:
        self._tracer = tracer
        self._settings = settings
        self._names = told.Names()
        #: Whether arguments and results are to be told.
        self.records_arguments = settings.osprofiler_record_arguments
        self.is_on = True

    def stop(self) -> None:
        """Begin no more, should somebody still hold our functions."""
        self.is_on = False

    def wanted(self) -> bool:
        """Say whether a point here is more than nothing."""
        try:
            current = otel_context.get_current()
            found: Any = current.get(_current.SPAN_KEY)
            if found is not None:
                span_context = found.get_span_context()
                if span_context.trace_flags & _SAMPLED:
                    return True
            return _POINT in current
        except Exception:
            _guard.report('looking for the trace of a point')
            return False

    def begin(self, name: Any, info: Any) -> None:
        """Begin a point. Never raises.

        :param name: as ``profiler.start`` gets it.
        :param info: the same; not changed.
        """
        try:
            self._begin(name, info)
        except Exception:
            _guard.report('beginning a trace point')

    def end(self, info: Any) -> None:
        """End the point that was begun last. Never raises.

        :param info: as ``profiler.stop`` gets it; not changed.
        """
        try:
            self._end(info)
        except Exception:
            _guard.report('ending a trace point')

    def _begin(self, name: Any, info: Any) -> None:
        current = otel_context.get_current()
        around: Any = current.get(_current.SPAN_KEY, trace.INVALID_SPAN)
        parent = around.get_span_context()
        span, is_sql = None, False
        try:
            is_sql = told.is_sql(info)
            if (
                parent.trace_flags & _SAMPLED
                and parent.is_valid
                and not is_sql
                and not told.is_http(info)
                and not context.is_suppressed()
            ):
                span = self._start(name, info, current)
        except Exception:
            # Its end shall not be that of the point around it.
            _guard.report('starting the span of a trace point')
        if span is None and _POINT not in current:
            # Its end will find nothing either.
            return
        point = _Point(span, parent, is_sql)
        values = current.copy()
        values[_POINT] = point
        if span is not None:
            values[_current.SPAN_KEY] = span
        point.token = otel_context.attach(otel_context.Context(values))

    def _start(
        self, name: Any, info: Any, current: otel_context.Context
    ) -> trace.Span:
        span_name, fixed = self._names.describe(name, info)
        given = told.attributes(info, self.records_arguments)
        return self._tracer.start_span(
            span_name,
            current,
            _INTERNAL,
            {**given, **fixed} if given else fixed,
        )

    def _end(self, info: Any) -> None:
        point: Any = otel_context.get_current().get(_POINT)
        if point is None:
            return
        if told.is_sql_error(info) and not point.is_sql:
            # Of a statement for which nothing was begun.
            return
        if not _detach(point.token) or point.span is None:
            return
        try:
            if point.span.is_recording():
                self._tell(point.span, info)
        finally:
            point.span.end()

    def _tell(self, span: trace.Span, info: Any) -> None:
        if not isinstance(info, dict):
            return
        span.set_attributes(told.attributes(info, self.records_arguments))
        kind = told.error_class(info)
        if kind is None:
            return
        error = sys.exc_info()[1]
        # The one that is told, and not one that is being handled further up.
        if error is None or not told.is_of_class(error, kind):
            recording.record_class(span, kind)
        elif issubclass(type(error), Exception):
            recording.record_error(span, error, self._settings)


def parent_of(current: otel_context.Context) -> trace.SpanContext | None:
    """Return the span around the point that is open in a context."""
    point: Any = current.get(_POINT)
    return None if point is None else point.parent


def _detach(token: Any) -> bool:
    """Put back what was current before a point.

    :returns: False where that is not for us to do: the point was begun in
        another thread or task, which has handed its context on.
    """
    if not isinstance(token, contextvars.Token):
        context.detach(token)
        return True
    try:
        # detach() of the API would log what is no error.
        token.var.reset(token)
        return True
    except (RuntimeError, ValueError):
        return False

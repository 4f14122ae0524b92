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

"""What ``profiler.get()`` returns: OSProfiler's view of the active span.

Services ask it for the ids and the key that they put into headers, into
messages and into threads of their own. Here the ids are those of the trace
that is under way, so whoever gets them goes on in it.

A profiler with ids of a service's own choice, which are of no trace that is
under way here, is osprofiler's own, where osprofiler keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
import types
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _guard
from oslo_tracing import context
from oslo_tracing.integrations import _osprofiler_following as following
from oslo_tracing.integrations import _osprofiler_points as points_module
from oslo_tracing.propagation import osprofiler
from oslo_tracing.propagation import w3c

#: Set by ``clean()``.
_CLEANED = otel_context.create_key('oslo_tracing.osprofiler_cleaned')
_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)


class Profilers:
    """Makes what stands in for the functions about the current profiler.

    :param points: begins and ends points.
    :param pairs: knows the keys.
    """

    def __init__(
        self, points: points_module.Points, pairs: osprofiler.Pairs
    ) -> None:
        self.points = points
        self._pairs = pairs
        self._module: Any = None
        #: Returns what osprofiler keeps for this thread.
        self.kept: Callable[[], Any] = _no_profiler

    def attach(self, module: types.ModuleType) -> None:
        """Take the module ``osprofiler.profiler``, as it is."""
        self._module = module
        self.kept = vars(module)['get']

    def around_get(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``profiler.get``."""

        def get() -> Any:
            if not self.points.is_on:
                return original()
            try:
                found = self._following(otel_context.get_current())
            except Exception:
                _guard.report('looking for a profiler')
                found = None
            return self.own() if found is None else found

        return get

    def around_init(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``profiler.init``."""

        def init(
            hmac_key: Any, base_id: Any = None, parent_id: Any = None
        ) -> Any:
            if not self.points.is_on:
                return original(hmac_key, base_id, parent_id)
            found = self._module.get()
            if found is not None:
                return found
            try:
                found, noted = self._adopted(hmac_key, base_id, parent_id)
                if found is not None:
                    base_id = found.get_base_id()
            except Exception:
                _guard.report('making a profiler')
                found = noted = None
            if found is None:
                return original(hmac_key, base_id, parent_id)
            if noted is not None:
                if not context.is_unit(noted):
                    # Nothing ends here at which to forget it: it is kept
                    # until clean(), also when the trace is over.
                    original(hmac_key, base_id, parent_id)
                otel_context.attach(noted)
            return found

        return init

    def around_clean(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``profiler.clean``."""

        def clean() -> None:
            original()
            if not self.points.is_on:
                return
            try:
                current = otel_context.get_current()
                if self._following(current) is not None:
                    otel_context.attach(
                        otel_context.set_value(_CLEANED, True, current)
                    )
            except Exception:
                _guard.report('forgetting a profiler')

        return clean

    def around_start(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``profiler.start``."""

        def start(name: Any, info: Any = None) -> None:
            points = self.points
            if not points.is_on:
                original(name, info)
                return
            if points.wanted():
                points.begin(name, info)
            own = self.own()
            if own:
                own.start(name, info=info)

        return start

    def around_stop(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``profiler.stop``."""

        def stop(info: Any = None) -> None:
            points = self.points
            if not points.is_on:
                original(info)
                return
            if points.wanted():
                points.end(info)
            own = self.own()
            if own:
                try:
                    own.stop(info=info)
                except IndexError:
                    # Of older releases, where nothing was begun there.
                    pass

        return stop

    def around_is_valid(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``WsgiMiddleware._trace_is_valid``.

        Where our own filter has had the request before, it has decided.
        """

        def _trace_is_valid(middleware: Any, trace_info: Any) -> Any:
            valid = original(middleware, trace_info)
            try:
                return valid and not (
                    self.points.is_on and self._was_refused()
                )
            except Exception:
                _guard.report('asking who may have a trace')
                return valid

        return _trace_is_valid

    def own(self) -> Any:
        """Return the profiler that osprofiler keeps for this thread, if any.

        Not where one follows the active span, nor in a request or message
        that is in a trace: there it would be what an earlier one has left on
        the thread.
        """
        own = self.kept()
        if own is None:
            return None
        try:
            current = otel_context.get_current()
            if _is_decided(current) or self._following(current) is not None:
                return None
            return own
        except Exception:
            _guard.report('looking for a profiler')
            return own

    def _was_refused(self) -> bool:
        current = otel_context.get_current()
        return _is_decided(current) and self._pairs.asked_with(current) is None

    def _following(self, current: otel_context.Context) -> Any:
        if current.get(_CLEANED):
            return None
        key = self._pairs.asked_with(current)
        if key is None:
            return None
        span_context = trace.get_current_span(current).get_span_context()
        if not span_context.is_valid or not span_context.trace_flags.sampled:
            return None
        return self._follow(span_context, key.reveal())

    def _follow(
        self, span_context: trace.SpanContext, hmac_key: str
    ) -> following.Following:
        return following.Following(
            self.points, self._module.utils.shorten_id, span_context, hmac_key
        )

    def _adopted(
        self, hmac_key: Any, base_id: Any, parent_id: Any
    ) -> tuple[following.Following | None, otel_context.Context | None]:
        """Return the profiler for what was given, and where it is noted.

        Inside of a unit of work, that is a request or a message, it was
        decided before which trace that belongs to.

        :returns: no profiler where it is to be one of theirs; no context
            where nobody else is to get it.
        """
        wanted = osprofiler.ids(base_id, parent_id or base_id)
        current = otel_context.get_current()
        in_unit = context.is_unit(current)
        span_context = trace.get_current_span(current).get_span_context()
        if in_unit and not span_context.is_valid and wanted is not None:
            trace_id, span_id = wanted
            if span_id is not None:
                context.restore(
                    trace.SpanContext(
                        trace_id, span_id, True, _SAMPLED, w3c.NO_TRACESTATE
                    )
                )
                current = otel_context.get_current()
                span_context = trace.get_current_span(
                    current
                ).get_span_context()
        if not span_context.is_valid:
            return None, None
        follows = span_context.trace_flags.sampled and (
            not base_id
            or (wanted is not None and wanted[0] == span_context.trace_id)
        )
        if not isinstance(hmac_key, str) or not hmac_key:
            # Such a profiler signs nothing: nobody would hear of it.
            follows = False
        if not follows and not in_unit:
            return None, None
        found = self._follow(span_context, hmac_key)
        if not follows:
            return found, None
        values = current.copy()
        values.pop(_CLEANED, None)
        noted = osprofiler.asked_for_with(
            otel_context.Context(values), osprofiler.Key(hmac_key)
        )
        return found, noted


def _is_decided(current: otel_context.Context) -> bool:
    """Say whether a context is that of work whose trace is known."""
    return (
        context.is_unit(current)
        and trace.get_current_span(current).get_span_context().is_valid
    )


def _no_profiler() -> None:
    return None

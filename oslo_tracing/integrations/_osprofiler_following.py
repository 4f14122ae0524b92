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

"""OSProfiler's view of the active span."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing.integrations import _osprofiler_points as points_module
from oslo_tracing.propagation import osprofiler


class Following:
    """A profiler whose ids are those of the active span.

    :param points: begins and ends points.
    :param shorten: osprofiler's own, for an id.
    :param span_context: of the span that is active now.
    :param hmac_key: what signs headers.
    """

    def __init__(
        self,
        points: points_module.Points,
        shorten: Callable[[Any], int],
        span_context: trace.SpanContext,
        hmac_key: str,
    ) -> None:
        self.hmac_key = hmac_key
        self._points = points
        self._shorten = shorten
        self._known = span_context

    def get_shorten_id(self, uuid_id: Any) -> str:
        """Return the low half of an id in hexadecimal."""
        return format(self._shorten(uuid_id), 'x')

    def get_base_id(self) -> str:
        """Return the trace's id."""
        return osprofiler.base_id(self._now())

    def get_parent_id(self) -> str:
        """Return the id of the span around the point that is open."""
        parent = points_module.parent_of(otel_context.get_current())
        if parent is None:
            return self.get_base_id()
        return osprofiler.element_id(parent)

    def get_id(self) -> str:
        """Return the active span's id."""
        return osprofiler.element_id(self._now())

    def start(self, name: str, info: dict[str, Any] | None = None) -> None:
        """Begin a point."""
        self._points.begin(name, info)

    def stop(self, info: dict[str, Any] | None = None) -> None:
        """End the point that was begun last."""
        self._points.end(info)

    def _now(self) -> trace.SpanContext:
        found = trace.get_current_span().get_span_context()
        return found if found.is_valid else self._known

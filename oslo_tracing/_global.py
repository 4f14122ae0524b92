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

"""OpenTelemetry's global tracer provider, and how it leads to ours."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.util import types


class DelegatingProvider(trace.TracerProvider):
    """The global provider, which can be set once in a process.

    ``setup()`` attaches what records, ``shutdown()`` detaches it; a tracer
    that somebody took in between goes on working.
    """

    def __init__(self) -> None:
        self._current: Any = trace.NoOpTracerProvider()

    def attach(self, provider: Any) -> None:
        """Send everything to what has the ``get_tracer`` of a provider."""
        self._current = provider

    def detach(self) -> None:
        """Record nothing from now on."""
        self._current = trace.NoOpTracerProvider()

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: types.Attributes | None = None,
    ) -> trace.Tracer:
        return _DelegatingTracer(
            self,
            (
                instrumenting_module_name,
                instrumenting_library_version,
                schema_url,
                attributes,
            ),
        )


class _DelegatingTracer(trace.Tracer):
    def __init__(
        self, provider: DelegatingProvider, scope: tuple[Any, ...]
    ) -> None:
        self._provider = provider
        self._scope = scope
        self._made: tuple[Any, trace.Tracer] = (None, trace.NoOpTracer())

    def _tracer(self) -> trace.Tracer:
        made_by, tracer = self._made
        current = self._provider._current
        if made_by is not current:
            tracer = current.get_tracer(*self._scope)
            if not isinstance(tracer, trace.NoOpTracer):
                # Else what records may only be under way.
                self._made = (current, tracer)
        return tracer

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        return self._tracer().start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        return self._tracer().start_as_current_span(*args, **kwargs)


def foreign_provider() -> trace.TracerProvider | None:
    """Return the global provider if somebody else set it before us."""
    present = trace.get_tracer_provider()
    if isinstance(present, DelegatingProvider | trace.ProxyTracerProvider):
        return None
    return present


def attach_globally(
    provider: Any,
) -> DelegatingProvider | None:
    """Make a provider the global one, unless somebody else's is set.

    :param provider: what has the ``get_tracer`` of one.
    :returns: what to detach it from later, or None.
    """
    present = trace.get_tracer_provider()
    if isinstance(present, trace.ProxyTracerProvider):
        trace.set_tracer_provider(DelegatingProvider())
        present = trace.get_tracer_provider()
    if not isinstance(present, DelegatingProvider):
        return None
    present.attach(provider)
    return present

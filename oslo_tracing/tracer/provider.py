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

"""The tracer provider that records."""

from __future__ import annotations

import atexit
from collections.abc import Callable
import logging
import os
import traceback
from typing import Any
from typing import Final

from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import id_generator as ids
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.util import instrumentation
from opentelemetry import trace
from opentelemetry.util import types

from oslo_tracing import attributes as names
from oslo_tracing.tracer import _processors
from oslo_tracing.tracer import _tracer

LOG = logging.getLogger(__name__)

#: Tracers that are kept.
_TRACERS: Final = 1024


def everything(error: BaseException) -> dict[str, Any]:
    """Return what the SDK would say of an exception, its message too."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ('builtins', None):
        name = f'{kind.__module__}.{name}'
    return {
        names.EXCEPTION_TYPE: name,
        names.EXCEPTION_MESSAGE: str(error),
        names.EXCEPTION_STACKTRACE: ''.join(
            traceback.format_exception(kind, error, error.__traceback__)
        ),
        names.EXCEPTION_ESCAPED: 'False',
    }


class Provider(sdk_trace.TracerProvider):
    """Makes tracers whose spans are ours, on the SDK's interfaces.

    It has no hook of its own after a fork: what belongs to one process is
    found by the pid, by who makes ids, exports, and describes the resource.

    :param sampler: decides on every span, by default as OTEL_TRACES_SAMPLER
        says.
    :param resource: what the process is, by default the SDK's.
    :param shutdown_on_exit: shut down when the interpreter exits.
    :param active_span_processor: gets what the processors get, in a way of
        its own; None to call them one after the other.
    :param id_generator: makes ids, by default the SDK's.
    :param span_limits: by default the SDK's, as OTEL_*_LIMIT say.
    :param describe: gives the attributes of an exception's event, by default
        all that the SDK would say.
    """

    def __init__(
        self,
        sampler: sampling.Sampler | None = None,
        resource: resources.Resource | None = None,
        shutdown_on_exit: bool = True,
        active_span_processor: Any = None,
        id_generator: ids.IdGenerator | None = None,
        span_limits: sdk_trace.SpanLimits | None = None,
        *,
        describe: Callable[[BaseException], dict[str, Any]] = everything,
    ) -> None:
        # Not the SDK's own: it registers a hook for forks with each one.
        self._processors = _processors.Processors()
        self._active_span_processor = active_span_processor or self._processors
        if active_span_processor is not None:
            self._processors.add_span_processor(active_span_processor)
        self.id_generator: Any = id_generator or ids.RandomIdGenerator()
        self._resource = resource or resources.Resource.create({})
        self.sampler = sampler or sampling._get_from_env_or_default()
        self._span_limits = span_limits or sdk_trace.SpanLimits()
        self._describe = describe
        self._tracers: Any = {}
        disabled = os.environ.get('OTEL_SDK_DISABLED', '')
        self._disabled = disabled.strip().lower() == 'true'
        self._atexit_handler: Any = None
        if shutdown_on_exit:
            self._atexit_handler = atexit.register(self.shutdown)

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: types.Attributes | None = None,
    ) -> trace.Tracer:
        if self._disabled:
            return trace.NoOpTracer()
        if not instrumenting_module_name:
            instrumenting_module_name = ''
            LOG.error('get_tracer called with missing module name.')
        scope = instrumentation.InstrumentationScope(
            instrumenting_module_name,
            instrumenting_library_version or '',
            schema_url,
            attributes,
        )
        tracer = _tracer.Tracer(
            self.sampler,
            self._processors,
            self.id_generator,
            self._span_limits,
            self._resource,
            scope,
            self._describe,
        )
        if len(self._tracers) >= _TRACERS:
            # Whoever takes so many does not want the same one again.
            return tracer
        try:
            # setdefault is atomic: all threads get the same.
            kept: trace.Tracer = self._tracers.setdefault(scope, tracer)
        except TypeError:
            # Some attribute of the scope cannot be hashed.
            return tracer
        return kept

    def add_span_processor(
        self, span_processor: sdk_trace.SpanProcessor
    ) -> None:
        self._active_span_processor.add_span_processor(span_processor)

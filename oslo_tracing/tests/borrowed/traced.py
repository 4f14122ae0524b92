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

"""Tracing in a process that runs a borrowed suite: all of it, all sampled."""

from __future__ import annotations

import collections
import contextvars
import importlib
import logging
import traceback
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from oslo_context import context as oslo_context

from oslo_tracing import _guard
from oslo_tracing import _runtime
from oslo_tracing import context
from oslo_tracing import fixture
from oslo_tracing.integrations import oslo_context as binding

# Of the spans that only show whether tracing is on; they are not counted.
_PROBE = 'probe'


class _Reporter(_guard._Reporter):
    """Remembers each error of ours that the guards kept from the service."""

    def __init__(self) -> None:
        super().__init__()
        self.reported: list[str] = []

    def report(self, doing: str) -> None:
        self.reported.append(f'{doing}: {traceback.format_exc(limit=-8)}')
        super().report(doing)


class _Keep(logging.Handler):
    """Keeps the last record."""

    record: Any = None

    def emit(self, record: logging.LogRecord) -> None:
        self.record = record


class Traced:
    """Keeps tracing on, and a span active around each test.

    :param through_filter: send what WebOb requests through our filter.
    :param options: of ``[tracing]``, with their values.
    :param loader: a function whose applications get our filter in front.
    """

    def __init__(
        self,
        through_filter: bool,
        options: dict[str, Any],
        loader: str | None = None,
    ) -> None:
        self._options = options
        self._reporter = _Reporter()
        # Whoever reports asks the module for it.
        setattr(_guard, '_REPORTER', self._reporter)
        self._spans: collections.Counter[str] = collections.Counter()
        self._wrong: list[str] = []
        self._recorder: Any = None
        self._token: Any = None
        self._span: Any = trace.INVALID_SPAN
        self._set_up()
        if through_filter:
            _send_through_filter()
        if loader is not None:
            _put_in_front(loader)

    def enter(self, test: Any) -> None:
        """Make a span of its own active for a test."""
        tracer = self._recorder.tracing.tracer('borrowed')
        self._span = tracer.start_span(
            test.id(), context=otel_context.Context()
        )
        self._token = context.attach(self._span)
        if hasattr(test, '_asyncioTestContext'):
            # Such a test runs in a context that was copied when it was made.
            test._asyncioTestContext = contextvars.copy_context()

    def leave(self, test: Any) -> None:
        """End the test's span, and see that it left all as it was."""
        if self._token is None:
            # Python 3.12.1 stops what it skips without having started it.
            return
        if trace.get_current_span() is not self._span:
            self._wrong.append(f'{test.id()} left another span active')
        context.detach(self._token)
        self._token = None
        self._span.end()
        if not self._is_on():
            self._wrong.append(f'{test.id()} took tracing off')
            self._set_up()

    def findings(self) -> dict[str, Any]:
        """Return what was recorded, and what is wrong."""
        self._wrong.extend(self._unbound())
        self._count()
        return {
            'spans': dict(self._spans),
            'wrong': self._wrong,
            'guarded': self._reporter.reported,
        }

    def _set_up(self) -> None:
        if self._recorder is not None:
            self._count()
            self._recorder.cleanUp()
        self._recorder = fixture.SpanRecorder(
            sample_ratio=1.0, sampling_rules=[], **self._options
        )
        self._recorder.setUp()
        self._wrong.extend(self._unbound())

    def _count(self) -> None:
        for span in self._recorder.finished:
            if span.name != _PROBE:
                scope = span.instrumentation_scope.name
                self._spans[f'{scope} {span.kind.name}'] += 1
        self._recorder.clear()

    def _is_on(self) -> bool:
        tracing = self._recorder.tracing
        if _runtime.RUNTIME.tracing is not tracing:
            return False
        tracer = trace.get_tracer(_PROBE)
        with tracer.start_as_current_span(_PROBE) as span:
            return bool(span.is_recording())

    def _unbound(self) -> list[str]:
        """Return which of the integrations without spans do not work."""
        wrong = []
        keep = _Keep()
        # One that no test's configuration can have reached.
        logger = logging.Logger('borrowed')  # noqa: LOG001
        logger.addHandler(keep)
        tracer = self._recorder.tracing.tracer('borrowed')
        with tracer.start_as_current_span(_PROBE) as span:
            made = oslo_context.RequestContext(overwrite=False)
            logger.warning('probe')
        expected = span.get_span_context()
        if binding.bound_to(made) != expected:
            wrong.append('request contexts are not bound to the trace')
        trace_id = trace.format_trace_id(expected.trace_id)
        if getattr(keep.record, 'trace_id', None) != trace_id:
            wrong.append('log records have no trace id')
        return wrong


def _send_through_filter() -> None:
    """Put our filter before every application that WebOb calls."""
    from webob import request

    from oslo_tracing import middleware

    original = request.BaseRequest.call_application

    def call_application(
        self: Any, application: Any, *args: Any, **kwargs: Any
    ) -> Any:
        traced = middleware.TracingMiddleware(application)
        return original(self, traced, *args, **kwargs)

    setattr(request.BaseRequest, 'call_application', call_application)


def _put_in_front(loader: str) -> None:
    """Put our filter before every application that a function returns."""
    from oslo_tracing import middleware

    name, _colon, function = loader.partition(':')
    module = importlib.import_module(name)
    original = getattr(module, function)

    def load(*args: Any, **kwargs: Any) -> Any:
        return middleware.TracingMiddleware(original(*args, **kwargs))

    setattr(module, function, load)

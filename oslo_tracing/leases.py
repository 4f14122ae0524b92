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

"""A trace that is lent to a thread, for a time.

Nobody can tell a thread that does a piece of work from one that was started
by chance in a request and goes on for ever: so what such a thread has of the
trace runs out.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

#: Seconds for which a trace is lent after its part in this process ended.
RUNS_OUT_AFTER = 300.0


class LocalRoot:
    """What is first of a trace in this process: a request, a message."""

    #: As ``time.monotonic()`` has it, None while it lasts.
    ended_at: float | None = None


class Lease(trace.Span):
    """Stands for a span until its lease runs out, then for none.

    :param span: what is lent.
    :param root: of its trace in this process. Without it the end of the
        span itself counts, and where that is not known, now.
    """

    def __init__(self, span: trace.Span, root: LocalRoot | None) -> None:
        self._span = span
        self._root = root
        self._since = time.monotonic()
        self._over = False

    @property
    def lent(self) -> trace.Span:
        """The span, whether the lease is over or not."""
        return self._span

    def is_over(self) -> bool:
        """Say whether the lease has run out."""
        if not self._over:
            ended = self._ended()
            self._over = ended is not None and ended >= RUNS_OUT_AFTER
        return self._over

    def _ended(self) -> float | None:
        """Return for how many seconds the trace has been over here."""
        if self._root is not None:
            ended_at = self._root.ended_at
            return None if ended_at is None else time.monotonic() - ended_at
        end_time = getattr(self._span, 'end_time', None)
        if isinstance(end_time, int):
            return (time.time_ns() - end_time) / 1e9
        if self._span.is_recording():
            return None
        return time.monotonic() - self._since

    def _now(self) -> trace.Span:
        return trace.INVALID_SPAN if self.is_over() else self._span

    def get_span_context(self) -> trace.SpanContext:
        return self._now().get_span_context()

    def is_recording(self) -> bool:
        return self._now().is_recording()

    def end(self, end_time: int | None = None) -> None:
        self._now().end(end_time)

    def set_attribute(self, key: str, value: Any) -> None:
        self._now().set_attribute(key, value)

    def set_attributes(self, attributes: Any) -> None:
        self._now().set_attributes(attributes)

    def add_event(self, *args: Any, **kwargs: Any) -> None:
        self._now().add_event(*args, **kwargs)

    def add_link(self, *args: Any, **kwargs: Any) -> None:
        self._now().add_link(*args, **kwargs)

    def update_name(self, name: str) -> None:
        self._now().update_name(name)

    def set_status(self, *args: Any, **kwargs: Any) -> None:
        self._now().set_status(*args, **kwargs)

    def record_exception(self, *args: Any, **kwargs: Any) -> None:
        self._now().record_exception(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        # What the SDK's spans have more, as ``attributes``.
        return getattr(self._now(), name)


class LentContext(otel_context.Context):
    """A context that goes with the lease of its trace.

    When that runs out, so does what else the request had in its context:
    its baggage, and that somebody has asked for its trace. Only the lease
    is still seen, for the links of what starts then.

    :param current: what is lent.
    :param lease: the same that is the span in it.
    """

    def __init__(self, current: otel_context.Context, lease: Lease) -> None:
        super().__init__(trace.set_span_in_context(lease, current))
        self._lease = lease
        self._rest = trace.set_span_in_context(lease, otel_context.Context())

    def __contains__(self, key: object) -> bool:
        if self._lease.is_over():
            return key in self._rest
        return super().__contains__(key)

    def __getitem__(self, key: str) -> object:
        if self._lease.is_over():
            return self._rest[key]
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        if self._lease.is_over():
            return self._rest.get(key, default)
        return super().get(key, default)

    def copy(self) -> dict[str, object]:
        # What every context that is made from this one begins with.
        if self._lease.is_over():
            return self._rest.copy()
        return super().copy()


class LentRequest:
    """A ``RequestContext`` that goes with the lease of its trace."""

    __slots__ = ('_lease', '_request_context')

    def __init__(self, request_context: Any, lease: Lease) -> None:
        self._request_context = request_context
        self._lease = lease

    def get(self) -> Any:
        """Return it until the lease runs out, then None."""
        return None if self._lease.is_over() else self._request_context

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

"""What is the same for many spans, made once.

Nearly every span of a seam has been there before but for its times and ids:
another statement, another call of the same method. Such a description is
looked at once, encoded once, and shared by the spans, which only have of
their own what makes them different.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace


class Ready:
    """Name, kind and attributes that spans have in common.

    :param name: of the spans.
    :param kind: of the spans.
    :param attributes: never changed from now on.
    :ivar checked_for: of whose limits it is known whether it keeps to them.
    :ivar whole_for: the same where it does, so that spans may share it.
    :ivar encoded: what an encoder has made of it; the same, whoever does.
    """

    __slots__ = (
        'attributes',
        'checked_for',
        'encoded',
        'kind',
        'name',
        'whole_for',
    )

    def __init__(
        self,
        name: str,
        kind: trace.SpanKind,
        attributes: dict[str, Any],
    ) -> None:
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self.checked_for: object = None
        self.whole_for: object = None
        self.encoded: tuple[bytes, bytes] | None = None


class Span(trace.Span):
    """A span that takes what is ready."""

    @abc.abstractmethod
    def set_ready(self, own: dict[str, Any]) -> None:
        """Set attributes that need no second look.

        :param own: of names of ours: numbers of 64 bits at most, texts of at
            most 255 characters, all of ASCII, and tuples of a few of those,
            all of them texts, integers or floats.
        """

    @abc.abstractmethod
    def before_end(self, tell: Callable[[], object]) -> None:
        """Have a span told of what it is to say when it ends.

        :param tell: called once, while it still records, by whoever ends it;
            it must not raise. Of several the last one is called.
        """


class Tracer(trace.Tracer):
    """A tracer that takes what is ready."""

    @abc.abstractmethod
    def start_ready(
        self,
        ready: Ready,
        where: otel_context.Context,
        own: dict[str, Any] | None = None,
        links: Sequence[trace.Link] | None = None,
        start_time: int | None = None,
    ) -> trace.Span:
        """Start a span of which all is known but its ids and times.

        :param ready: shared with other spans, where the limits allow that.
        :param where: the context with its parent.
        :param own: what it has beside that, a dict of its own: names of
            ours, numbers of 64 bits at most, and texts in ASCII that are no
            longer than the limit for attributes.
        :param links: to other spans.
        :param start_time: nanoseconds since the epoch, by default now.
        """

    def start_drawn(
        self,
        ready: Ready,
        where: otel_context.Context,
        own: dict[str, Any],
        trace_id: int,
    ) -> trace.Span | None:
        """Start the root of a trace that is recorded, as was decided before.

        :param ready: shared with other spans.
        :param where: a context without a span.
        :param own: as for :meth:`start_ready`.
        :param trace_id: as the provider makes them, at random.
        :returns: None where the sampler has to be asked.
        """
        return None

    def add_ready(
        self,
        ready: Ready,
        where: otel_context.Context,
        own: dict[str, Any] | None,
        start_time: int,
        end_time: int,
    ) -> None:
        """Add a span that has ended already, as for :meth:`start_ready`.

        :param own: what it has beside what is shared; others may have the
            same dict.
        """
        own = None if own is None else own.copy()
        self.start_ready(ready, where, own, None, start_time).end(end_time)


def starter(tracer: trace.Tracer) -> Callable[..., trace.Span]:
    """Return the ``start_ready`` of a tracer, whoever's it is."""
    if isinstance(tracer, Tracer):
        return tracer.start_ready

    def start_ready(
        ready: Ready,
        where: otel_context.Context,
        own: dict[str, Any] | None = None,
        links: Sequence[trace.Link] | None = None,
        start_time: int | None = None,
    ) -> trace.Span:
        return tracer.start_span(
            ready.name,
            where,
            ready.kind,
            # A copy: nobody knows what becomes of it there.
            {**ready.attributes, **(own or {})},
            links,
            start_time,
        )

    return start_ready

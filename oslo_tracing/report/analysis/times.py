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

"""Where the time of a trace was spent: self times, and stretches of none."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
from typing import Final

from oslo_tracing.report.analysis import clock as clocks
from oslo_tracing.report import model
from oslo_tracing.report import sums

#: The kind of what was added up, in place of a span's.
SQL: Final = 'SQL'


@dataclasses.dataclass(slots=True)
class Share:
    """The self time of all spans of a service that are of one kind.

    :param service: name of the service.
    :param kind: kind of the spans, as ``model.KINDS``, or ``SQL``.
    :param spans: how many there are, none of ``SQL``.
    :param time: nanoseconds in which none of their children ran.
    """

    service: str
    kind: str
    spans: int = 0
    time: int = 0


@dataclasses.dataclass(slots=True)
class Gap:
    """A stretch of a span in which nothing below it was recorded.

    :param span: the span, which has children before or after.
    :param start: nanoseconds since 1970, by the clock of the root.
    :param end: likewise.
    :param statements: nanoseconds of it that statements without a span may
        have taken: all of theirs, since nobody knows when they ran.
    """

    span: model.Span
    start: int
    end: int
    statements: int = 0

    @property
    def duration(self) -> int:
        """Nanoseconds."""
        return self.end - self.start


def self_times(
    trace: model.Trace, clock: clocks.Clock
) -> dict[model.Span, int]:
    """Return of each span in how many nanoseconds no child of it ran.

    Children that overlap count once; what runs after the end of its
    parent takes nothing from it.
    """
    return {
        span: sum(end - start for start, end in idle(trace, clock, span))
        for span in trace.spans
    }


def shares(own: dict[model.Span, int]) -> list[Share]:
    """Add self times up by service and kind, the largest first.

    What the statements took that have no span is ``SQL``, not their
    parent's.
    """
    found: dict[tuple[str, str], Share] = {}
    for span, time in own.items():
        added_up = sums.of(span)
        if added_up is not None:
            key = span.service_name, SQL
            taken = min(time, added_up.duration)
            found.setdefault(key, Share(*key)).time += taken
            time -= taken
        key = span.service_name, span.kind
        share = found.setdefault(key, Share(*key))
        share.spans += 1
        share.time += time
    return sorted(found.values(), key=lambda each: -each.time)


def gaps(trace: model.Trace, clock: clocks.Clock, least: int) -> list[Gap]:
    """Return the stretches that nothing explains, the longest first.

    A span without children is its own explanation.

    :param least: nanoseconds from which on a stretch is told, beside those
        that statements without a span may have taken.
    """
    found = []
    for span in trace.spans:
        if not trace.children(span):
            continue
        added_up = sums.of(span)
        known = 0 if added_up is None else added_up.duration
        # When it began is not known, so neither is that nothing ran before.
        blurred = {
            clock.start(child)
            for child in trace.children(span)
            if not child.has_start
        }
        for start, end in idle(trace, clock, span):
            if end - start - known >= least and end not in blurred:
                found.append(Gap(span, start, end, known))
    return sorted(found, key=lambda gap: -gap.duration)


def idle(
    trace: model.Trace, clock: clocks.Clock, span: model.Span
) -> Iterable[tuple[int, int]]:
    """Yield the stretches of a span in which none of its children ran."""
    at, end = clock.start(span), clock.end(span)
    children = sorted(trace.children(span), key=clock.start)
    for child in children:
        begun = min(clock.start(child), end)
        if begun > at:
            yield at, begun
        at = max(at, min(clock.end(child), end))
    if end > at:
        yield at, end

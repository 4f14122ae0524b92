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

"""What the end of a trace waited for, moment by moment.

The path is followed backwards from the last thing that ended. A cast is
part of it like a call is: who asked for a server waits for the build, not
for the API's ``202 Accepted``.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses

from oslo_tracing.report.analysis import clock as clocks
from oslo_tracing.report import model


@dataclasses.dataclass(slots=True)
class Step:
    """A stretch of the path, spent in one span itself.

    :param span: the span.
    :param start: nanoseconds since 1970, by the clock of the root.
    :param end: likewise.
    :param on_the_way: whether the span had not begun yet: it was asked for,
        by something that did not wait, and the message was queued.
    """

    span: model.Span
    start: int
    end: int
    on_the_way: bool = False

    @property
    def duration(self) -> int:
        """Nanoseconds."""
        return self.end - self.start


def critical_path(trace: model.Trace, clock: clocks.Clock) -> list[Step]:
    """Return the path of a trace, by time.

    Every moment between its first step and its last belongs to exactly one
    step.

    :param trace: any trace; orphans are followed as far as they lead.
    :param clock: of that trace.
    """
    if not trace.spans:
        return []
    last = max(trace.spans, key=clock.end)
    steps = list(_backwards(trace, clock, last))
    steps.reverse()
    return steps


def _backwards(
    trace: model.Trace, clock: clocks.Clock, span: model.Span
) -> Iterator[Step]:
    at = clock.end(span)
    seen: set[model.Span] = set()
    left: dict[model.Span, list[model.Span]] = {}
    current: model.Span | None = span
    while current is not None:
        seen.add(current)
        begun = clock.start(current)
        waited = left.get(current)
        if waited is None:
            waited = left[current] = _waited_for(trace, clock, current)
        child = _last_before(waited, clock, seen, begun, at)
        if child is not None:
            end = clock.end(child)
            if at > end:
                yield Step(current, end, at)
            current, at = child, end
            continue
        if at > begun:
            yield Step(current, begun, at)
        at = min(at, begun)
        below, current = current, _above(trace, current)
        if current is not None and clock.end(current) < at:
            yield Step(below, clock.end(current), at, on_the_way=True)
            at = clock.end(current)


def _waited_for(
    trace: model.Trace, clock: clocks.Clock, span: model.Span
) -> list[model.Span]:
    """Return what a span can have waited for, the first that ended first."""
    if span.kind == 'PRODUCER':
        return []
    end = clock.end(span)
    found = [each for each in trace.children(span) if clock.end(each) <= end]
    return sorted(found, key=clock.end)


def _last_before(
    waited: list[model.Span],
    clock: clocks.Clock,
    seen: set[model.Span],
    begun: int,
    at: int,
) -> model.Span | None:
    while waited:
        child = waited.pop()
        if child in seen or clock.end(child) > at:
            # What ended later was not waited for at this moment, nor is it
            # at an earlier one.
            continue
        return child if clock.end(child) > begun else None
    return None


def _above(trace: model.Trace, span: model.Span) -> model.Span | None:
    return None if span in trace.circular else trace.parent(span)

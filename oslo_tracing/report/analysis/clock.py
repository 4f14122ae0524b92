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

"""Clocks of different hosts, as far as a trace gives them away.

A call cannot be answered before it was made. Where the data says so, the
clocks of two hosts differ, and all that the answering host recorded below
that call is shifted. Jaeger's front end corrects traces in the same way.
"""

from __future__ import annotations

import dataclasses

from oslo_tracing.report import model

_ASYNCHRONOUS = ('PRODUCER', 'CONSUMER')


@dataclasses.dataclass(slots=True)
class Clock:
    """By how many nanoseconds each span's host is to be set forward.

    :param offsets: of those spans whose times are not taken as they are.
    """

    offsets: dict[model.Span, int]

    def start(self, span: model.Span) -> int:
        """Return when a span started, by the clock of the trace's root."""
        return span.start + self.offsets.get(span, 0)

    def end(self, span: model.Span) -> int:
        """Return when a span ended, by the clock of the trace's root."""
        start = self.start(span)
        return start + span.duration

    def differs(self, span: model.Span) -> bool:
        """Whether the times of a span had to be corrected."""
        return span in self.offsets


def of(trace: model.Trace) -> Clock:
    """Compare the clocks of a trace's hosts.

    :param trace: any trace.
    :returns: what to add; nothing where one host is all there is.
    """
    clock = Clock({})
    above: dict[model.Span, model.Span | None] = {}
    for _depth, span in trace.walk():
        parent = trace.parent(span)
        if not span.has_start:
            above[span] = None
            if parent is not None and span not in trace.circular:
                above[span] = above.get(parent, parent)
        if parent is None or span in trace.circular:
            continue
        offset = clock.offsets.get(parent, 0)
        if parent.host != span.host:
            # Nothing can be told by a span that has no start.
            known = above.get(parent, parent)
            if known is not None:
                offset = clock.offsets.get(known, 0)
                if known.host != span.host:
                    offset = _offset(clock, known, span)
        if offset:
            clock.offsets[span] = offset
    return clock


def extent(trace: model.Trace, clock: Clock) -> tuple[int, int]:
    """Return when a trace starts and when it ends, by the clock of its root.

    :param trace: any trace; one of nothing starts and ends at 0.
    :param clock: of that trace.
    """
    return (
        min(map(clock.start, trace.spans), default=0),
        max(map(clock.end, trace.spans), default=0),
    )


def first_error(trace: model.Trace, clock: Clock) -> model.Span | None:
    """Return the failed span that ended first, by the clock of the root.

    :param trace: any trace.
    :param clock: of that trace.
    """
    if not clock.offsets:
        return trace.first_error
    return min(
        trace.errors,
        key=lambda span: (clock.end(span), -clock.start(span)),
        default=None,
    )


def _offset(clock: Clock, parent: model.Span, span: model.Span) -> int:
    begun, ended = clock.start(parent), clock.end(parent)
    if parent.kind in _ASYNCHRONOUS or span.duration > parent.duration:
        # It may well go on when its parent is over.
        return max(0, begun - span.start)
    if begun <= span.start and span.start + span.duration <= ended:
        return 0
    # Nothing tells how the rest was spent on the two ways: half and half.
    return begun + (parent.duration - span.duration) // 2 - span.start

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

"""What a trace tells whoever asks why it was slow, or why it failed.

Each finding names the spans that prove it. Nothing here recurses, and no
step takes more than the spans' number times its logarithm.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Final

from oslo_tracing.report.analysis import clock as clocks
from oslo_tracing.report.analysis import critical_path
from oslo_tracing.report.analysis import failures
from oslo_tracing.report.analysis import findings
from oslo_tracing.report.analysis import repeats
from oslo_tracing.report.analysis import times
from oslo_tracing.report.analysis import waits
from oslo_tracing.report import model

__all__ = ['Analysis', 'analyse']

#: A stretch that nothing explains is told from this share of the trace on.
_GAP_SHARE: Final = 0.05
#: And from so many nanoseconds on.
_GAP_LEAST: Final = 1_000_000
#: Of each kind; a trace of 10 000 retries is told by the longest ones.
_MOST_OF_A_KIND: Final = 10


@dataclasses.dataclass(slots=True)
class Analysis:
    """All that was found out about one trace.

    :param clock: how far the clocks of its hosts are apart.
    :param start: when it started, by the clock of its root.
    :param duration: nanoseconds from then to the last end, by that clock.
    :param path: what its end waited for, by time.
    :param own: of each span the nanoseconds in which no child of it ran.
    :param shares: the same, added up by service and kind.
    :param findings: errors first, then by the time they concern.
    :param left_out: how many findings of each kind are not listed.
    """

    clock: clocks.Clock
    start: int
    duration: int
    path: list[critical_path.Step]
    own: dict[model.Span, int]
    shares: list[times.Share]
    findings: list[findings.Finding]
    left_out: dict[str, int]


def analyse(trace: model.Trace) -> Analysis:
    """Find out where a trace's time went and what failed.

    :param trace: any trace; no shape of it is too odd.
    """
    clock = clocks.of(trace)
    own = times.self_times(trace, clock)
    start, end = clocks.extent(trace, clock)
    least = max(_GAP_LEAST, int((end - start) * _GAP_SHARE))
    found = itertools.chain(
        failures.first_error(trace, clock),
        waits.deadlocks(trace),
        repeats.repeated_statements(trace),
        repeats.repeated_without_spans(trace),
        repeats.repeated_calls(trace),
        waits.retries(trace),
        waits.locks(trace),
        waits.queues(trace, clock),
        _gaps(trace, clock, start, least),
        failures.unanswered(trace),
        failures.orphans(trace),
        failures.without_start(trace),
        waits.clock_skew(trace, clock),
    )
    kept, left_out = _longest(list(found))
    return Analysis(
        clock=clock,
        start=start,
        duration=end - start,
        path=critical_path.critical_path(trace, clock),
        own=own,
        shares=times.shares(own),
        findings=kept,
        left_out=left_out,
    )


def _gaps(
    trace: model.Trace, clock: clocks.Clock, start: int, least: int
) -> list[findings.Finding]:
    return [
        findings.Finding(
            findings.GAP,
            f'nothing is recorded for {findings.length(gap.duration)} in '
            f'{findings.named(gap.span)}, from '
            f'{findings.length(gap.start - start)} after the start on'
            + (
                f', save for {findings.length(gap.statements)} of SQL '
                'without spans'
                if gap.statements
                else ''
            ),
            (gap.span,),
            gap.duration - gap.statements,
        )
        for gap in times.gaps(trace, clock, least)
    ]


def _longest(
    found: list[findings.Finding],
) -> tuple[list[findings.Finding], dict[str, int]]:
    found.sort(key=lambda each: (each.kind != findings.ERROR, -each.time))
    kept: list[findings.Finding] = []
    seen: dict[str, int] = {}
    for each in found:
        seen[each.kind] = seen.get(each.kind, 0) + 1
        if seen[each.kind] <= _MOST_OF_A_KIND:
            kept.append(each)
    return kept, {
        kind: number - _MOST_OF_A_KIND
        for kind, number in seen.items()
        if number > _MOST_OF_A_KIND
    }

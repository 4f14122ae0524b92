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

"""A trace for Chrome's tracing pages, Perfetto and speedscope.

The Trace Event Format, complete events ("ph": "X").
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
import heapq
import json
import math
from typing import Any

from oslo_tracing.report import model


def render(traces: list[model.Trace]) -> Iterator[str]:
    """Write traces as one JSON document.

    Each service is a process there; spans of one service that overlap
    without one holding the other are on threads of their own.

    :param traces: by start time.
    :returns: lines without newlines.
    """
    yield '{"displayTimeUnit": "ms", "traceEvents": ['
    last = None
    for event in _events(traces):
        if last is not None:
            yield last + ','
        last = json.dumps(event)
    if last is not None:
        yield last
    yield ']}'


def _events(traces: list[model.Trace]) -> Iterator[dict[str, Any]]:
    services: dict[str, int] = {}
    rows: dict[int, _Rows] = collections.defaultdict(_Rows)
    for span in _outer_first(traces):
        if span.service_name not in services:
            number = services[span.service_name] = len(services) + 1
            yield {
                'ph': 'M',
                'name': 'process_name',
                'pid': number,
                'args': {'name': span.service_name},
            }
        process = services[span.service_name]
        yield {
            'ph': 'X',
            'name': span.name,
            'cat': span.kind.lower(),
            'pid': process,
            'tid': rows[process].place(span.start, span.start + span.duration),
            'ts': span.start / 1000,
            'dur': span.duration / 1000,
            'args': {
                'trace': span.trace_id,
                'span': span.span_id,
                'status': span.status,
                **{str(k): _plain(v) for k, v in span.attributes.items()},
            },
        }


def _outer_first(traces: list[model.Trace]) -> list[model.Span]:
    """Return the spans of all traces by start, the longest first.

    So no span comes after one that it holds, whichever traces they are of.
    """
    return sorted(
        (span for trace in traces for span in trace.spans),
        key=lambda span: (span.start, -span.duration),
    )


class _Rows:
    """The threads of one process.

    In each, every span stands inside of, or after, all that came before it.
    They are kept below a tree that knows the most room in each half, quarter
    and so on of them: a service of n spans at once has n rows, and a look at
    each of them for each span takes minutes from some ten thousand up.
    """

    def __init__(self) -> None:
        #: The ends of the spans that are open in each row, the inmost last.
        self._open: list[list[int]] = [[]]
        #: The same ends with the numbers of their rows, the next one first.
        self._ends: list[tuple[int, int]] = []
        #: Until when a span may last, as a binary tree: in each row in the
        #: second half, and at n the later of 2 n and 2 n + 1. 0 is unused.
        self._room: list[float] = [math.inf, math.inf]

    def place(self, start: int, end: int) -> int:
        """Return the first row that has room for a span.

        :param start: not before that of the span placed last.
        """
        self._close(start)
        if self._room[1] < end:
            self._double()
        row = self._first(end)
        self._open[row].append(end)
        heapq.heappush(self._ends, (end, row))
        self._tell_room(row)
        return row

    def _close(self, now: int) -> None:
        while self._ends and self._ends[0][0] <= now:
            _, row = heapq.heappop(self._ends)
            self._open[row].pop()
            self._tell_room(row)

    def _double(self) -> None:
        count = len(self._open)
        self._open += [[] for _ in range(count)]
        rows = [*self._room[count:], *[math.inf] * count]
        self._room = [math.inf] * len(rows) + rows
        for node in range(len(rows) - 1, 0, -1):
            self._sum_up(node)

    def _first(self, end: int) -> int:
        node = 1
        while node < len(self._open):
            node *= 2
            if self._room[node] < end:
                node += 1
        return node - len(self._open)

    def _tell_room(self, row: int) -> None:
        ends = self._open[row]
        node = len(self._open) + row
        self._room[node] = ends[-1] if ends else math.inf
        while node > 1:
            node //= 2
            self._sum_up(node)

    def _sum_up(self, node: int) -> None:
        self._room[node] = max(self._room[2 * node], self._room[2 * node + 1])


def _plain(value: Any) -> Any:
    """Return what every JSON reader takes: NaN is none, nor is bytes."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    return str(value)

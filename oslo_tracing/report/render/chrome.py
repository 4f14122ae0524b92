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

from collections.abc import Iterator
import json
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
    rows: dict[int, list[list[int]]] = {}
    for trace in traces:
        for span in trace.spans:
            if span.service not in services:
                number = services[span.service] = len(services) + 1
                yield {
                    'ph': 'M',
                    'name': 'process_name',
                    'pid': number,
                    'args': {'name': span.service or '(no service)'},
                }
            process = services[span.service]
            row = _row(rows.setdefault(process, []), span)
            yield {
                'ph': 'X',
                'name': span.name,
                'cat': span.kind.lower(),
                'pid': process,
                'tid': row,
                'ts': span.start / 1000,
                'dur': span.duration / 1000,
                'args': {
                    'trace': span.trace_id,
                    'span': span.span_id,
                    'status': span.status,
                    **{str(k): _plain(v) for k, v in span.attributes.items()},
                },
            }


def _row(rows: list[list[int]], span: model.Span) -> int:
    """Return the first row in which a span stands inside of, or after, all.

    Each row keeps the ends of the spans that are open in it.
    """
    end = span.start + span.duration
    for number, ends in enumerate(rows):
        while ends and ends[-1] <= span.start:
            ends.pop()
        if not ends or end <= ends[-1]:
            ends.append(end)
            return number
    rows.append([end])
    return len(rows) - 1


def _plain(value: Any) -> Any:
    """Return what every JSON reader takes: NaN is none, nor is bytes."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    return str(value)

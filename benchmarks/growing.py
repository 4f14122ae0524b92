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

"""What a span costs as there are more of them, for several benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import content
from benchmarks import processes
from benchmarks import tables

_NAMES = ['none', 'floor', 'ours']
#: Spans of a request that are not its statements: its own, and a BEGIN.
_OTHERS = 2


def measure(
    points: Sequence[tuple[int, dict[str, Any]]],
    turns: int,
    *how: str,
    names: Sequence[str] = _NAMES,
) -> list[dict[str, Any]]:
    """Return what each span adds, for requests with statements.

    :param points: for each what it is called in the table, and the work:
        ``count`` of requests, ``statements`` of each and ``threads``.
    :param turns: of each variant at each point.
    :param how: told to the workers.
    :param names: of the variants; the first is without tracing.
    """
    found = []
    with processes.sink() as url:
        workers = processes.Workers(list(names), url, *how)
        try:
            workers.take_turns(1, what='statements', statements=13, count=20)
            for point, work in points:
                times = workers.take_turns(turns, what='statements', **work)
                quick = {name: processes.quick(times[name]) for name in names}
                spans = work['count'] * (work['statements'] + _OTHERS)
                found.append(
                    {
                        'point': point,
                        'span_us': {
                            name: round(
                                1e6 * (quick[name] - quick[names[0]]) / spans,
                                2,
                            )
                            for name in names[1:]
                        },
                    }
                )
        finally:
            workers.end()
        if {'floor', 'ours'} <= set(names):
            content.check(processes.received(url), 'floor')
    return found


def show(title: str, what: str, found: list[dict[str, Any]]) -> str:
    """Return it as a table."""
    names = list(found[0]['span_us'])
    return tables.table(
        title,
        [what, *names],
        [
            [
                str(each['point']),
                *(f'{each["span_us"][name]:.1f}' for name in names),
            ]
            for each in found
        ],
    )

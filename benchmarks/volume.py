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

"""What there is of a request with much SQL, by ``db_spans``.

Sixty statements, of which 87 % read and are fast; some write, one is slow and
one fails.
"""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks import content
from benchmarks import processes
from benchmarks import tables
from benchmarks import variants

_NAMES = ['none', 'floor', 'ours', 'ours-slow', 'ours-summary']
_TITLES = {**variants.TITLES, 'ours': 'oslo.tracing, db_spans = all'}
_WARM = 5


def measure(
    rounds: int = 2, turns: int = 8, requests: int = 10
) -> dict[str, Any]:
    """Return what a request costs, and how much of it is sent.

    :param rounds: of fresh processes.
    :param turns: of each process.
    :param requests: of one turn.
    """
    added: dict[str, list[float]] = {name: [] for name in _NAMES}
    asked = rounds * (turns * requests + _WARM)
    with processes.sink() as url:
        for _ in range(rounds):
            workers = processes.Workers(_NAMES, url)
            try:
                workers.take_turns(1, what='volume', count=_WARM)
                times = workers.take_turns(
                    turns, what='volume', count=requests
                )
            finally:
                workers.end()
            quick = {
                name: processes.quick(times[name]) / requests
                for name in _NAMES
            }
            for name in _NAMES:
                added[name].append(1e6 * (quick[name] - quick['none']))
        received = processes.received(url)
    content.check(received, 'floor')
    return {
        name: {
            'title': _TITLES[name],
            'added_us': [round(value, 1) for value in added[name]],
            'of_floor': _ratios(added[name], added['floor']),
            'of_all': _ratios(added[name], added['ours']),
            **{
                what: received.get(name, {}).get(what, 0) / asked
                for what in ('spans', 'attributes', 'bytes', 'sent_bytes')
            },
        }
        for name in _NAMES[1:]
    }


def _ratios(values: list[float], whole: list[float]) -> list[float]:
    return [
        round(value / one, 4) for value, one in zip(values, whole, strict=True)
    ]


def show(found: dict[str, Any]) -> str:
    """Return it as a table."""
    statements = max(round(each['spans']) for each in found.values())
    return tables.table(
        f'One request of {statements} spans, most of them SQL: volume, and '
        'added CPU time, median (least to most of the rounds)',
        ['', 'spans', 'bytes', 'sent', 'us', 'of SDK floor', 'of all'],
        [
            [
                each['title'],
                f'{each["spans"]:.1f}',
                f'{each["bytes"]:.0f}',
                f'{each["sent_bytes"]:.0f}',
                f'{statistics.median(each["added_us"]):.0f}',
                tables.spread(each['of_floor'], 3),
                tables.spread(each['of_all'], 3),
            ]
            for each in found.values()
        ],
    )

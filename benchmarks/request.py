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

"""One realistic request: what each variant adds to its CPU time."""

from __future__ import annotations

from typing import Any

from benchmarks import content
from benchmarks import processes
from benchmarks import tables
from benchmarks import variants

#: Of all that is compared, what a time is a multiple of.
_UNIT = 'floor'
_WARM = 30


def measure(
    rounds: int = 3,
    turns: int = 8,
    requests: int = 40,
    names: list[str] | None = None,
) -> dict[str, Any]:
    """Return, for each variant, what a request costs more than without it.

    :param rounds: of fresh processes.
    :param turns: of each process.
    :param requests: of one turn.
    :param names: of the variants; all by default.
    """
    names = list(variants.VARIANTS) if names is None else names
    added: dict[str, list[float]] = {name: [] for name in names}
    whole: dict[str, list[float]] = {name: [] for name in names}
    asked = rounds * (turns * requests + _WARM)
    with processes.sink() as url:
        for _ in range(rounds):
            workers = processes.Workers(names, url)
            try:
                workers.take_turns(1, what='boot', count=_WARM)
                times = workers.take_turns(turns, what='boot', count=requests)
            finally:
                workers.end()
            quick = {
                name: processes.quick(times[name]) / requests for name in names
            }
            for name in names:
                added[name].append(quick[name] - quick['none'])
                whole[name].append(quick[name])
        received = processes.received(url)
    if {'floor', 'ours'} <= set(names):
        content.check(received, 'floor')
    return {
        name: {
            'title': variants.TITLES[name],
            'request_us': [round(1e6 * value, 1) for value in whole[name]],
            'added_us': [round(1e6 * value, 1) for value in added[name]],
            'of_floor': [
                round(value / floor, 4)
                for value, floor in zip(added[name], added[_UNIT], strict=True)
            ],
            **{
                what: received.get(name, {}).get(what, 0) / asked
                for what in ('spans', 'attributes')
            },
        }
        for name in names
    }


def show(found: dict[str, Any]) -> str:
    """Return it as a table."""
    rows = [
        [
            each['title'],
            tables.spread(each['added_us'], 0),
            tables.spread(each['of_floor'], 3),
            f'{each["spans"]:.1f}',
            f'{each["attributes"]:.0f}',
        ]
        for each in found.values()
    ]
    return tables.table(
        'One request: added CPU time, median (least to most of the rounds)',
        ['', 'us', 'of SDK floor', 'spans', 'attributes'],
        rows,
    )

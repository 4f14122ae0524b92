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

"""How many bytecodes a request executes more than without tracing.

They are counted, so that the result is the same on every machine, however
busy, and a change of one per cent is seen. CPU time follows it closely: it
is the first thing to look at, and what a test can hold on to.
"""

from __future__ import annotations

from concurrent import futures
import os
from typing import Any

from benchmarks import processes
from benchmarks import tables
from benchmarks import variants

_NAMES = ['none', 'floor', 'ours', 'ours-0', 'built-in', 'third-party']
_UNIT = 'floor'
#: Until what is made once has been made, and caches know what comes.
_WARM = 60


def measure(
    requests: int = 20, names: list[str] | None = None
) -> dict[str, dict[str, float]]:
    """Return for each variant what one request executes, all threads.

    :param requests: how many are counted.
    :param names: of the variants.
    """
    names = _NAMES if names is None else names

    def executes(name: str) -> dict[str, float]:
        workers = processes.Workers([name], url, 'stepped')
        try:
            workers.ask(name, what='boot', count=_WARM)
            return workers.ask(name, what='boot', count=requests)
        finally:
            workers.end()

    with (
        processes.sink() as url,
        # They take no times: nobody is in anybody's way.
        futures.ThreadPoolExecutor(os.cpu_count()) as together,
    ):
        executed = dict(zip(names, together.map(executes, names), strict=True))
    added = {
        name: {
            what: (found[what] - executed['none'][what]) / requests
            for what in ('bytecodes', 'calls')
        }
        for name, found in executed.items()
    }
    return {
        name: {
            **found,
            'of_floor': found['bytecodes'] / added[_UNIT]['bytecodes'],
        }
        for name, found in added.items()
    }


def show(found: dict[str, Any]) -> str:
    """Return it as a table."""
    return tables.table(
        'One request: bytecodes and calls more than without tracing',
        ['', 'bytecodes', 'of SDK floor', 'calls'],
        [
            [
                variants.TITLES[name],
                f'{each["bytecodes"]:.0f}',
                f'{each["of_floor"]:.3f}',
                f'{each["calls"]:.0f}',
            ]
            for name, each in found.items()
        ],
    )

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

"""What a request executes: instructions of the processor.

Valgrind counts them, in C as well as in Python, of all threads and with the
export. Like bytecodes they do not depend on who else works; unlike these they
have in them what compression, copies and memory take. Of the kernel there is
nothing in them, nor of waiting for memory.
"""

from __future__ import annotations

from concurrent import futures
import functools
import os
import shutil
import tempfile
from typing import Any

from benchmarks import processes
from benchmarks import tables
from benchmarks import variants

_NAMES = [
    'none',
    'floor',
    'third-party',
    'built-in',
    'ours',
    'ours-0',
    'ours-off',
]
_PLAIN = 'none'
_UNIT = 'floor'
_TOOLS = ('valgrind', 'callgrind_control')
# As for bytecodes.
_WARM = 60
_TOTALS = 'totals:'


def measure(
    rounds: int = 3, requests: int = 40
) -> dict[str, dict[str, float]]:
    """Return for each variant what one request executes more.

    :param rounds: of fresh processes, of which the least counts: some threads
        look every few milliseconds whether there is something to do, and the
        slower all is the more often they do.
    :param requests: how many are counted.
    """
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise SystemExit(
            f'instructions: {" and ".join(missing)} of Valgrind not found'
        )
    with (
        processes.sink() as url,
        # No times are taken.
        futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        count = functools.partial(_executed, url, requests)
        counts = list(pool.map(count, _NAMES * rounds))
    executed = {
        name: min(counts[number :: len(_NAMES)])
        for number, name in enumerate(_NAMES)
    }
    added = {
        name: (found - executed[_PLAIN]) / requests
        for name, found in executed.items()
    }
    return {
        name: {'instructions': found, 'of_floor': found / added[_UNIT]}
        for name, found in added.items()
    }


def _executed(url: str, requests: int, name: str) -> int:
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, 'callgrind.out')
        _count(url, requests, name, path)
        return total(path)


def _count(url: str, requests: int, name: str, path: str) -> None:
    workers = processes.Workers(
        [name],
        url,
        under=[
            'valgrind',
            '--quiet',
            '--tool=callgrind',
            '--instr-atstart=no',
            f'--callgrind-out-file={path}',
        ],
    )
    try:
        workers.ask(name, what='boot', count=_WARM)
        workers.ask(name, what='boot', count=requests, metered=True)
    finally:
        workers.end()


def total(path: str) -> int:
    """Return what callgrind has counted in all.

    :param path: of the file that it has written.
    """
    with open(path) as file:
        for line in file:
            if line.startswith(_TOTALS):
                return int(line.removeprefix(_TOTALS))
    raise RuntimeError(f'{path}: callgrind has written no totals')


def show(found: dict[str, Any]) -> str:
    """Return it as a table."""
    return tables.table(
        'One request: instructions more than without tracing, in user space',
        ['', 'thousands', 'of SDK floor'],
        [
            [
                variants.TITLES[name],
                f'{each["instructions"] / 1e3:.0f}',
                f'{each["of_floor"]:.3f}',
            ]
            for name, each in found.items()
        ],
    )

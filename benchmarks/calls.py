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

"""How many calls of Python functions tracing adds that is disabled.

Counted, not timed: those of the thread that serves the realistic request, of
whatever code, and those of ours in any thread.
"""

from __future__ import annotations

from benchmarks import processes
from benchmarks import tables
from benchmarks import variants

_NAMES = ['none', 'ours-off']


def measure(requests: int = 30) -> dict[str, dict[str, int]]:
    """Return what the request calls that calls least.

    :param requests: of which others may have waited, which takes calls.
    """
    found = {}
    with processes.sink() as url:
        workers = processes.Workers(_NAMES, url, 'counted')
        try:
            for name in _NAMES:
                found[name] = workers.ask(name, what='calls', count=requests)
        finally:
            workers.end()
    return found


def show(found: dict[str, dict[str, int]]) -> str:
    """Return it as a table."""
    return tables.table(
        'Calls of Python functions in one request',
        ['', 'calls', 'of ours'],
        [
            [variants.TITLES[name], str(row['calls']), str(row['ours'])]
            for name, row in found.items()
        ],
    )

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

"""What set-up adds to the start of a process."""

from __future__ import annotations

import json
import statistics
from typing import Any

from benchmarks import processes
from benchmarks import tables

_TIMES = {
    'import': 'import oslo_tracing, register options',
    'setup': 'setup()',
    'first_span': 'first span: SDK, exporter thread, its client, sent',
}


def measure(rounds: int = 5) -> dict[str, Any]:
    """Return CPU times in ms, of processes that have imported the rest."""
    told = []
    with processes.sink() as url:
        for _ in range(rounds):
            child = processes.Child('starting', url)
            told.append(json.loads(child.read()))
            child.end()
    times = {
        name: [round(1e3 * one[name], 2) for one in told] for name in _TIMES
    }
    return {
        'ms': times,
        'start_ms': statistics.median(
            one['import'] * 1e3 + one['setup'] * 1e3 for one in told
        ),
        **{
            name: told[0][name]
            for name in ('modules', 'later_modules', 'grpc', 'client_at_setup')
        },
    }


def show(found: dict[str, Any]) -> str:
    """Return it as a table."""
    return tables.table(
        'Start of a process that has imported oslo.config, oslo.messaging '
        'and SQLAlchemy',
        ['', 'ms'],
        [
            [title, tables.spread(found['ms'][name], 1)]
            for name, title in _TIMES.items()
        ],
    )

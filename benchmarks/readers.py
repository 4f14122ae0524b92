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

"""What ``oslo-tracing list`` takes to read traces: time, and memory.

    python -m benchmarks readers
    python -m benchmarks.readers TRACES ...

The latter is a process of its own, which prints JSON.

Traces have 1000 spans each, of ten services, one file for each service, as
processes write them; a thousand of them are a million spans, in 500 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks import processes
from benchmarks import tables

_SPANS = 1000
_SERVICES = 10
_START = 1_700_000_000 * 10**9
_MS = 10**6


def measure(sizes: Sequence[int] = (10, 30, 100)) -> list[dict[str, Any]]:
    """Return seconds and MiB for each number of traces.

    :param sizes: in rising order: memory is that of the largest so far.
    """
    # A process counts the memory of the one that has started it as its own,
    # up to then: it shall be a small one.
    child = processes.Child('readers', *map(str, sizes))
    try:
        return [json.loads(child.read()) for _ in sizes]
    finally:
        child.end()


def _measured(traces: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        _write(directory, traces)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.monotonic()
        told = subprocess.run(  # noqa: S603 - it is our own
            [
                os.path.join(os.path.dirname(sys.executable), 'oslo-tracing'),
                *('list', '--source', directory, '-f', 'csv'),
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        took = time.monotonic() - begun
    listed = told.count('\n') - 1
    if listed != traces:
        raise RuntimeError(f'{listed} of {traces} traces were listed')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        'traces': traces,
        'spans': traces * _SPANS,
        'seconds': took,
        'cpu_seconds': cpu,
        'mib': after.ru_maxrss / 1024,
    }


def show(found: list[dict[str, Any]]) -> str:
    """Return it as a table."""
    return tables.table(
        'Reading: oslo-tracing list, of traces in files',
        ['traces', 'spans', 's', 'CPU us a span', 'MiB'],
        [
            [
                str(each['traces']),
                str(each['spans']),
                f'{each["seconds"]:.1f}',
                f'{1e6 * each["cpu_seconds"] / each["spans"]:.0f}',
                f'{each["mib"]:.0f}',
            ]
            for each in found
        ],
    )


def _write(directory: str, traces: int) -> None:
    with contextlib.ExitStack() as stack:
        files = [
            stack.enter_context(
                open(os.path.join(directory, f'service-{number}.jsonl'), 'w')
            )
            for number in range(_SERVICES)
        ]
        for trace in range(traces):
            for number, file in enumerate(files):
                spans = [
                    _span(trace, span)
                    for span in range(number, _SPANS, _SERVICES)
                ]
                json.dump(_document(f'service-{number}', spans), file)
                file.write('\n')


def _document(service: str, spans: list[dict[str, Any]]) -> dict[str, Any]:
    name = {'key': 'service.name', 'value': {'stringValue': service}}
    return {
        'resourceSpans': [
            {
                'resource': {'attributes': [name]},
                'scopeSpans': [{'scope': {'name': 'oslo'}, 'spans': spans}],
            }
        ]
    }


def _span(trace: int, number: int) -> dict[str, Any]:
    start = _START + trace * 10**9 + number * _MS
    made: dict[str, Any] = {
        'traceId': f'{trace + 1:032x}',
        'spanId': f'{trace * _SPANS + number + 1:016x}',
        'name': 'SELECT instances',
        'kind': 3,
        'startTimeUnixNano': str(start),
        'endTimeUnixNano': str(start + _MS // 2),
        'attributes': [
            {'key': key, 'value': {'stringValue': value}}
            for key, value in (
                ('db.system.name', 'mysql'),
                ('db.namespace', 'nova'),
                ('db.query.text', 'SELECT a, b FROM instances WHERE id = ?'),
            )
        ],
        'status': {},
    }
    if number:
        made['parentSpanId'] = f'{trace * _SPANS + (number - 1) // 5 + 1:016x}'
    return made


if __name__ == '__main__':
    for wanted in sys.argv[1:]:
        print(json.dumps(_measured(int(wanted))), flush=True)

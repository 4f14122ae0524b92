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

"""What spans that wait for their export take: memory, and the collector.

A full queue of 2048 spans with attributes as requests with SQL have them,
each provider in a process of its own, and what a full garbage collection
takes while they wait, on top of one without them.
"""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import time
import tracemalloc
from typing import Any

from opentelemetry.sdk import trace as sdk_trace

from benchmarks import exporter
from benchmarks import tables
from oslo_tracing.tracer import provider

QUEUE = 2048
_PROVIDERS: dict[str, Any] = {
    'SDK': sdk_trace.TracerProvider,
    'ours': provider.Provider,
}


def _collection() -> float:
    """Return milliseconds of CPU time of a full collection."""
    times = []
    for _ in range(9):
        begun = time.process_time()
        gc.collect()
        times.append((time.process_time() - begun) * 1e3)
    return statistics.median(times)


def _batches(name: str) -> list[Any]:
    kept: list[Any] = []
    for _ in range(QUEUE // exporter.BATCH):
        kept += exporter.spans(_PROVIDERS[name])
    return kept


def _measured(name: str, answer: Any) -> None:
    # Once before, for all that is made only once.
    exporter.spans(_PROVIDERS[name])
    gc.collect()
    objects, before = len(gc.get_objects()), _collection()
    kept = _batches(name)
    gc.collect()
    objects = len(gc.get_objects()) - objects
    collection = _collection() - before
    kept.clear()
    gc.collect()
    tracemalloc.start()
    kept = _batches(name)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    answer.put(
        {
            'bytes': taken,
            'bytes_per_span': taken / len(kept),
            'objects_per_span': objects / len(kept),
            'collection_ms': collection,
        }
    )


def measure() -> dict[str, dict[str, float]]:
    """Return what each provider's spans take."""
    context = multiprocessing.get_context('spawn')
    found = {}
    for name in _PROVIDERS:
        answer = context.Queue()
        process = context.Process(target=_measured, args=(name, answer))
        process.start()
        found[name] = answer.get(timeout=120)
        process.join()
    return found


def show(found: dict[str, dict[str, float]]) -> str:
    """Return it as a table."""
    sdk = found['SDK']
    return tables.table(
        f'A full queue: {QUEUE} spans that wait, and what a garbage '
        'collection takes more',
        ['', 'KiB', 'of SDK', 'bytes/span', 'objects/span', 'ms'],
        [
            [
                name,
                f'{row["bytes"] / 1024:.0f}',
                f'{row["bytes"] / sdk["bytes"]:.3f}',
                f'{row["bytes_per_span"]:.0f}',
                f'{row["objects_per_span"]:.1f}',
                f'{row["collection_ms"]:.2f}',
            ]
            for name, row in found.items()
        ],
    )

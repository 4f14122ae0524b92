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
"""How tracing itself is, in this process: for operators."""

from __future__ import annotations

import os
import time
from typing import TypedDict

from oslo_tracing import _printable
from oslo_tracing import _runtime
from oslo_tracing import counters

_NAME_LIMIT = 256


class Stats(TypedDict):
    """What :func:`stats` returns.

    :ivar enabled: whether tracing is set up.
    :ivar service_name: of the spans, None where tracing is off.
    :ivar pid: the process that all of this is about.
    :ivar exporters: their names, none where tracing is off or somebody
        else's tracer provider records.
    :ivar exported: delivered spans by exporter.
    :ivar dropped: lost spans by cause.
    :ivar troubles: by cause, when (``at``, seconds since the epoch) and why
        (``why``, in words) spans were lost last.
    :ivar queue_length: spans that wait for export.
    :ivar max_queue_size: how many may wait; 0 where none can.
    :ivar exporter_alive: whether the exporter thread runs. It starts when
        the first span has ended.
    """

    enabled: bool
    service_name: str | None
    pid: int
    exporters: list[str]
    exported: dict[str, int]
    dropped: dict[str, int]
    troubles: dict[str, counters.Trouble]
    queue_length: int
    max_queue_size: int
    exporter_alive: bool


def stats() -> Stats:
    """Say how tracing is doing in this process.

    Cheap, never raises, and can be called at any time: also before
    ``setup()``, while tracing is off, from the handler of a signal, and
    after ``shutdown()``, when the numbers are those of the last set-up. A
    forked child starts at zero.

    :returns: a dict of its own; its keys are those of :class:`Stats`.
    """
    found = Stats(
        enabled=False,
        service_name=None,
        pid=os.getpid(),
        exporters=[],
        exported={},
        dropped={},
        troubles={},
        queue_length=0,
        max_queue_size=0,
        exporter_alive=False,
    )
    try:
        _look(found)
    except Exception:  # noqa: S110 - what is known is better than nothing
        pass
    return found


def text() -> str:
    """Return the same for people, in a few lines; never raises."""
    try:
        return '\n'.join(_lines(stats()))
    except Exception as error:
        return f'Not known: {type(error).__name__}.'


def summary() -> str:
    """Return the same in a few words, without any reasons; never raises."""
    try:
        found = stats()
        if not found['enabled']:
            return 'OK (tracing is off)'
        return (
            f'OK (tracing is on, exported: {_counts(found["exported"])}; '
            f'dropped: {_counts(found["dropped"])})'
        )
    except Exception:
        return 'OK (tracing is not known)'


def _look(found: Stats) -> None:
    runtime = _runtime.RUNTIME
    counted = runtime.counters
    if counted is not None:
        numbers = counted.snapshot()
        # One that takes back what it has counted can be below for a moment.
        found['exported'] = {
            name: max(0, count) for name, count in numbers['exported'].items()
        }
        found['dropped'] = numbers['dropped']
        found['troubles'] = counted.troubles()
    tracing = runtime.tracing
    if tracing is None:
        return
    found['enabled'] = True
    found['service_name'] = tracing.settings.service_name
    state = tracing.state()
    if state is None:
        return
    found['exporters'] = list(tracing.settings.exporters)
    found['max_queue_size'] = tracing.settings.max_queue_size
    found['queue_length'], found['exporter_alive'] = state


def _lines(found: Stats) -> list[str]:
    pid = found['pid']
    if found['enabled']:
        name = _printable.printable(found['service_name'] or '', _NAME_LIMIT)
        lines = [f'Tracing is on in process {pid}, as {name}.']
    else:
        lines = [f'Tracing is off in process {pid}.']
    if found['exporters']:
        thread = 'runs' if found['exporter_alive'] else 'does not run'
        lines += [
            f'Exporters: {", ".join(found["exporters"])}; '
            f'the thread {thread}.',
            f'Queue: {found["queue_length"]} of {found["max_queue_size"]}.',
        ]
    lines += [
        f'Exported: {_counts(found["exported"])}.',
        f'Dropped: {_counts(found["dropped"])}.',
    ]
    troubles = sorted(found['troubles'].items(), key=lambda one: one[1]['at'])
    for cause, trouble in troubles:
        when = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(trouble['at']))
        why = _printable.printable(trouble['why'])
        lines.append(
            f'Last {cause}: {when}' + (f', {why}' if why != cause else '')
        )
    return lines


def _counts(counts: dict[str, int]) -> str:
    return ', '.join(f'{n} ({name})' for name, n in counts.items()) or '0'

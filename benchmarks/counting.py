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

"""Counts calls of Python functions, and what they execute."""

from __future__ import annotations

import collections
from collections.abc import Callable
import gc
import os
import sys
import threading
from typing import Any

#: Of modules that do more the longer a thread waits.
_WAITING = tuple(
    os.path.join(*parts)
    for parts in (
        ('', 'threading.py'),
        ('', 'queue.py'),
        ('', 'selectors.py'),
        ('futurist', '_thread.py'),
    )
)
_OURS = f'{os.sep}oslo_tracing{os.sep}'


class Counter:
    """Counts calls: of this thread, and those of our code in all others.

    It has to be there before the other threads are.
    """

    def __init__(self) -> None:
        self._counted: collections.Counter[bool] = collections.Counter()
        self._others = 0
        self._on = False
        threading.setprofile(self._in_another)

    def of(self, work: Callable[[], Any]) -> dict[str, int]:
        """Return how many there were while something was done."""
        self._counted.clear()
        self._others = 0
        # Nobody else's finalizers.
        gc.collect()
        gc.disable()
        self._on = True
        sys.setprofile(self._in_this)
        try:
            work()
        finally:
            sys.setprofile(None)
            self._on = False
            gc.enable()
        return {
            'calls': self._counted.total(),
            'ours': self._counted[True] + self._others,
        }

    def _in_this(self, frame: Any, event: str, argument: Any) -> None:
        if event == 'call':
            self._counted[_OURS in frame.f_code.co_filename] += 1

    def _in_another(self, frame: Any, event: str, argument: Any) -> None:
        if self._on and event == 'call':
            self._others += _OURS in frame.f_code.co_filename


class Steps:
    """Counts calls and bytecodes of all threads.

    It has to be there before the other threads are.
    """

    def __init__(self) -> None:
        self._bytecodes = 0
        self._calls = 0
        self._on = False
        threading.settrace(self._trace)

    def of(self, work: Callable[[], Any]) -> dict[str, int]:
        """Return how many there were while something was done."""
        self._bytecodes = self._calls = 0
        patcher = sys.modules.get('eventlet.patcher')
        if patcher is not None:
            # Of which our exporter's thread is, wherever eventlet is loaded.
            patcher.original('threading').settrace(self._trace)
        gc.collect()
        gc.disable()
        self._on = True
        sys.settrace(self._trace)
        try:
            work()
        finally:
            sys.settrace(None)
            self._on = False
            gc.enable()
        return {'bytecodes': self._bytecodes, 'calls': self._calls}

    def _trace(self, frame: Any, event: str, argument: Any) -> Any:
        if event == 'call':
            if frame.f_code.co_filename.endswith(_WAITING):
                return None
            frame.f_trace_lines = False
            frame.f_trace_opcodes = True
            self._calls += self._on
        elif event == 'opcode' and self._on:
            self._bytecodes += 1
        return self._trace

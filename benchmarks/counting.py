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

"""Counts calls of Python functions."""

from __future__ import annotations

import collections
from collections.abc import Callable
import gc
import os
import sys
import threading
from typing import Any

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

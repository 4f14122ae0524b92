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

"""How far a long reading has come, for who sits before it."""

from __future__ import annotations

import os
import time
from typing import Final
from typing import TextIO

#: What is read sooner than that, in seconds, needs no bar.
_PATIENCE: Final = 1.0
_BETWEEN: Final = 0.1
_WIDTH: Final = 30
_TO_START_AND_ERASE: Final = '\r\x1b[K'


class Bar:
    """A line on a terminal; on anything else, nothing.

    :param stream: standard error: standard output may be JSON.
    :param patience: seconds before the line appears; default: 1.
    """

    def __init__(self, stream: TextIO, patience: float | None = None) -> None:
        self._stream = stream
        if patience is None:
            patience = _PATIENCE
        self._next = time.monotonic() + patience
        self._drawn = False
        self._on = stream.isatty() and os.environ.get('TERM') != 'dumb'

    def __call__(self, done: int, size: int) -> None:
        """Draw how far it is, now and then, and erase it at the end.

        :param done: bytes that were read; ``size`` when that was all.
        :param size: bytes that there are.
        """
        if not self._on:
            return
        if done >= size:
            self._erase()
            return
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _BETWEEN
        self._drawn = True
        full = '#' * (_WIDTH * done // size)
        self._write(
            f'{_TO_START_AND_ERASE}reading [{full:<{_WIDTH}}] '
            f'{done / size:4.0%} of {size / 2**20:.1f} MiB'
        )

    def _erase(self) -> None:
        if self._drawn:
            self._drawn = False
            self._write(_TO_START_AND_ERASE)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            # A terminal that is gone must not end the reading.
            self._on = False

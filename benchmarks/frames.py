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

"""Calls below some more frames, now few and now many.

CPython keeps frames in chunks of 16 KiB, and takes and gives back a whole one
each time that calls go to and fro over its end. A loop that happens to be
there costs a service some percent of a request, and the one of these
benchmarks two fifths; each frame above moves it away or there, ours and those
of others as well. So what is compared takes all depths in turn.
"""

from __future__ import annotations

from collections.abc import Callable
import itertools
from typing import Any

#: Some 16 KiB of frames.
MOST = 128
# Has no factor in common with it, and is far from a few of them.
_STEP = 37


class Depths:
    """Gives each call another depth: in each process the same ones.

    What a request executes is counted as well, and has to be the same.
    """

    def __init__(self) -> None:
        self._calls = itertools.count()

    def call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Call it below as many frames as it is the turn of."""
        return below(next(self._calls) * _STEP % MOST, work, *arguments)


def below(levels: int, work: Callable[..., Any], *arguments: Any) -> Any:
    """Call something below some frames.

    :param levels: how many.
    """
    if levels:
        return below(levels - 1, work, *arguments)
    return work(*arguments)

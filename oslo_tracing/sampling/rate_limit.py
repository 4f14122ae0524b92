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

"""How often something may be done: token buckets."""

from __future__ import annotations

from collections.abc import Callable
import os
import time

from oslo_tracing import _real


class TokenBucket:
    """Lets so many through in a second, and none beyond.

    It starts full. After a pause it lets through at once what one second
    would have, and one at the least, so that a rate below one is a rate.

    :param rate: asked at each :meth:`take`, so that it can change while
        the service runs: tokens a second. Of zero nothing is let through;
        where zero means that there is no limit, do not ask.
    """

    __slots__ = ('_process', '_rate')

    def __init__(self, rate: Callable[[], float]) -> None:
        self._rate = rate
        self._process = _Process(os.getpid())

    def take(self) -> bool:
        """Take a token if there is one; never waits for one."""
        rate = self._rate()
        if rate <= 0.0:
            return False
        process = self._process
        pid = os.getpid()
        if process.pid != pid:
            # A fork does not ask what other threads hold: the lock of the
            # parent may be locked here for ever. Two first threads make two
            # of these, and one is forgotten with the token it gave.
            process = self._process = _Process(pid)
        with process.lock:
            return process.take(rate)


class _Process:
    """The bucket of one process."""

    __slots__ = ('lock', 'pid', '_last', '_tokens')

    def __init__(self, pid: int) -> None:
        self.pid = pid
        # Reentrant: within it the garbage collector, or the handler of a
        # signal, may start a span.
        self.lock = _real.threading_module().RLock()
        self._last = time.monotonic()
        self._tokens: float | None = None

    def take(self, rate: float) -> bool:
        now = time.monotonic()
        most = max(1.0, rate)
        if self._tokens is None:
            self._tokens = most
        else:
            # Not before the last time: another thread may have been faster.
            passed = max(0.0, now - self._last)
            self._tokens = min(most, self._tokens + passed * rate)
        self._last = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

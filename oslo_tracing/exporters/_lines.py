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

"""Lines for the log of the service, written by the service.

The exporter's thread is a real one and may not call ``logging``: under
eventlet its handlers have locks that greenthreads hold while they yield, and
a greenthread cannot be woken from another real thread. So it only leaves the
lines here. Where threads are patched a greenthread looks for them from time
to time, for nothing could wake it either; elsewhere a thread of their own
waits for them, so that a slow handler does not hold up other exporters.
"""

from __future__ import annotations

import collections
import logging
import os
import sys
import time
from typing import Any
from typing import Final
from typing import TYPE_CHECKING

from oslo_tracing import _real
from oslo_tracing import context
from oslo_tracing import counters

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

#: The logger, and the exporter that the lines are counted for.
LOGGER: Final = 'oslo_tracing.exporters.log'
EXPORTER: Final = 'log'

#: Seconds between two looks of a greenthread.
LOOK_EVERY: Final = 0.2
#: Seconds after which a greenthread that has not looked is taken for gone:
#: its hub was left behind by a fork, or belongs to a thread that does not
#: run it.
GONE_AFTER: Final = 10.0

_LINES_AT_A_TIME: Final = 32


class Lines:
    """Lines between the exporter's thread and who writes them.

    Each process has its own: what waits at a fork is the parent's to write.

    :param settings: ``max_queue_size`` is how many may wait.
    :param stats: where lines that are not written after all are counted.
    """

    def __init__(
        self, settings: settings_module.Settings, stats: counters.Counters
    ) -> None:
        self._settings = settings
        self._stats = stats
        self._of_process: dict[int, _Waiting] = {}

    def put(self, lines: list[str]) -> int:
        """Leave lines to be written; never waits, calls no logging.

        :returns: how many there was room for.
        """
        waiting = self._waiting()
        if waiting.stopped:
            return 0
        room = max(0, self._settings.max_queue_size - len(waiting.lines))
        taken = lines[:room]
        waiting.lines.extend(taken)
        waiting.wake.set()
        return len(taken)

    def attend(self) -> None:
        """See to it that somebody writes; called by threads of the service.

        A green writer is started in the hub of the main thread, in which
        services run, and in another only when none has looked for long.
        """
        waiting = self._waiting()
        if waiting.stopped or waiting.is_attended():
            return
        # Whoever holds it is at it: nothing to wait for.
        if not waiting.starting.acquire(False):
            return
        try:
            if not waiting.is_attended():
                self._start(waiting)
        finally:
            waiting.starting.release()

    def flush(self, timeout: float) -> bool:
        """Have written what waits.

        :param timeout: seconds that it may take.
        :returns: whether nothing waits any longer.
        """
        waiting = self._waiting()
        deadline = time.monotonic() + timeout
        if waiting.thread is None:
            self._write_here(waiting, deadline)
        else:
            done = _real.threading_module().Event()
            waiting.flushes.append(done)
            waiting.wake.set()
            done.wait(max(0.0, timeout))
        return not waiting.lines and not waiting.busy

    def stop(self, timeout: float) -> None:
        """Have written what waits, and take no more.

        :param timeout: seconds that it may take; what is left is counted.
        """
        waiting = self._waiting()
        self.flush(timeout)
        waiting.stopped = True
        waiting.writer = None
        waiting.wake.set()
        left = 0
        while waiting.lines:
            try:
                waiting.lines.popleft()
            except IndexError:
                break
            left += 1
        self._lose(counters.SHUT_DOWN, left)

    def _waiting(self) -> _Waiting:
        pid = os.getpid()
        waiting = self._of_process.get(pid)
        if waiting is None:
            # setdefault is atomic: of two first threads one wins.
            waiting = self._of_process.setdefault(pid, _Waiting())
            for other in list(self._of_process):
                if other != pid:
                    self._of_process.pop(other, None)
        return waiting

    def _start(self, waiting: _Waiting) -> None:
        writer = object()
        if not _threads_are_green():
            threading = _real.threading_module()
            thread = threading.Thread(
                target=self._write_in_thread,
                args=(waiting, writer),
                name='oslo.tracing-log',
                daemon=True,
            )
            waiting.writer = writer
            thread.start()
            waiting.thread = thread
        elif waiting.is_forsaken() or _is_main_thread():
            greenthread: Any = sys.modules['eventlet.greenthread']
            waiting.writer = writer
            waiting.looked = time.monotonic()
            greenthread.spawn_n(self._write_in_hub, waiting, writer)

    def _write_in_thread(self, waiting: _Waiting, writer: object) -> None:
        context.enter(context.silent())
        while waiting.writer is writer:
            waiting.wake.wait(GONE_AFTER)
            waiting.wake.clear()
            flushes = [
                waiting.flushes.popleft() for _ in range(len(waiting.flushes))
            ]
            self._write(waiting)
            for done in flushes:
                done.set()

    def _write_in_hub(self, waiting: _Waiting, writer: object) -> None:
        context.enter(context.silent())
        greenthread: Any = sys.modules['eventlet.greenthread']
        while waiting.writer is writer and waiting.is_ours():
            waiting.looked = time.monotonic()
            self._write(waiting, count=_LINES_AT_A_TIME)
            # A burst may not stall the hub.
            greenthread.sleep(0 if waiting.lines else LOOK_EVERY)

    def _write_here(self, waiting: _Waiting, deadline: float) -> None:
        """Write as a guest of the calling thread, and let others finish."""
        token = context.enter(context.silent())
        try:
            self._write(waiting, deadline)
        finally:
            context.leave(token)
        greenthread: Any = sys.modules.get('eventlet.greenthread')
        while (
            waiting.busy
            and greenthread is not None
            and time.monotonic() < deadline
            and not _is_hub()
        ):
            greenthread.sleep(0.001)

    def _write(
        self,
        waiting: _Waiting,
        deadline: float = float('inf'),
        count: int | None = None,
    ) -> None:
        logger = logging.getLogger(LOGGER)
        waiting.busy += 1
        try:
            while count is None or count > 0:
                if time.monotonic() >= deadline or not waiting.is_ours():
                    return
                try:
                    line = waiting.lines.popleft()
                except IndexError:
                    return
                try:
                    logger.info('%s', line)
                except Exception as error:
                    self._lose(
                        counters.EXPORT_FAILED,
                        1,
                        f'log: a handler raised {type(error).__name__}',
                    )
                if count is not None:
                    count -= 1
        finally:
            waiting.busy -= 1

    def _lose(self, cause: str, count: int, why: str = '') -> None:
        """Count lines that were delivered, as it seemed, and are not."""
        if count:
            self._stats.exported(EXPORTER, -count)
            self._stats.dropped(cause, count, why)


class _Waiting:
    """What waits in one process, and who attends to it.

    :ivar busy: how many are writing right now.
    :ivar looked: when a greenthread has last looked for lines.
    :ivar writer: tells the present writer from those whose time is over.
    """

    def __init__(self) -> None:
        threading = _real.threading_module()
        self.pid = os.getpid()
        self.lines: collections.deque[str] = collections.deque()
        self.flushes: collections.deque[Any] = collections.deque()
        self.wake = _real.Wake()
        self.starting = threading.Lock()
        self.busy = 0
        self.looked = time.monotonic()
        self.stopped = False
        self.thread: Any = None
        self.writer: object | None = None

    def is_ours(self) -> bool:
        """Say whether this is no copy, in a forked child's hub."""
        return self.pid == os.getpid()

    def is_attended(self) -> bool:
        if self.thread is not None:
            return bool(self.thread.is_alive())
        return self.writer is not None and not self.is_forsaken()

    def is_forsaken(self) -> bool:
        """Say whether no greenthread has looked, nor is writing."""
        return not self.busy and time.monotonic() - self.looked > GONE_AFTER


def _threads_are_green() -> bool:
    patcher: Any = sys.modules.get('eventlet.patcher')
    return patcher is not None and patcher.is_monkey_patched('thread')


def _is_main_thread() -> bool:
    threading = _real.threading_module()
    return bool(threading.get_ident() == threading.main_thread().ident)


def _is_hub() -> bool:
    """Say whether this is the loop of a hub, which cannot wait for itself."""
    hubs: Any = sys.modules.get('eventlet.hubs')
    greenlet: Any = sys.modules.get('greenlet')
    return bool(hubs.get_hub().greenlet is greenlet.getcurrent())

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


"""The one exporter thread of a process, and its queue."""

from __future__ import annotations

import collections
from collections.abc import Callable
import itertools
import time
from typing import Any
from typing import Final
from typing import TYPE_CHECKING

from opentelemetry.sdk import resources

from oslo_tracing import _real
from oslo_tracing import context
from oslo_tracing import counters
from oslo_tracing.exporters import _delivery
from oslo_tracing.exporters import _quiet
from oslo_tracing.tracer import _recorded

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

#: Seconds that the start of a thread may take.
_START: Final = 1.0


class Worker:
    """Exports what is put into its queue; belongs to one process.

    Everything that a fork breaks is made here, in the process that uses it:
    queue, locks, thread, and by the thread the exporters and their sockets.

    :param settings: queue and batch sizes, delays in seconds.
    :param builders: for each exporter a function that makes it, by name.
    :param resource: tells what the spans of this process belong to.
    :param stats: where spans are counted.
    :param is_all: nobody else is to be told of each span.
    :ivar queue: spans that wait for the thread, and fields of an ``Ended``.
    :ivar room: while fewer spans wait than this, and exporters are not in
        trouble, a span needs only to be put into the queue.
    :ivar stopped: but then :meth:`drop_queue` is to be called after that.
    """

    def __init__(
        self,
        settings: settings_module.Settings,
        builders: _delivery.Builders,
        resource: Callable[[], resources.Resource],
        stats: counters.Counters,
        is_all: bool,
    ) -> None:
        self._threading = _real.threading_module()
        self._settings = settings
        self._stats = stats
        self._is_all = is_all
        self._most = settings.max_queue_size
        # A batch that the queue cannot hold would never be full.
        self._batch_size = min(settings.max_export_batch_size, self._most)
        self._wake = _real.Wake()
        self._thread: Any = None
        self._start_lock = self._threading.Lock()
        self._flushes: collections.deque[_Flush] = collections.deque()
        self._stopping = False
        self.stopped = False
        self.room = 0
        self._quiet: _quiet.QuietLoggers | None = None
        self.queue: collections.deque[_recorded.Queued] = collections.deque()
        self.delivery = _delivery.Delivery(settings, builders, resource, stats)

    def put(self, span: _recorded.Queued) -> None:
        """Queue an ended span; never waits for the exporter thread.

        A new span is dropped when the queue is full. Threads that look at
        its length at the same moment may each add one more.
        """
        queue = self.queue
        length = len(queue)
        if length >= self._most:
            self._stats.dropped(counters.QUEUE_FULL)
            if self.delivery.trouble is None:
                self.delivery.trouble = counters.QUEUE_FULL
            return
        queue.append(span)
        if self._thread is None:
            self._start()
        if (
            length + 1 >= self._batch_size
            and not self._wake.is_set()
            and not self.delivery.all_wait()
        ):
            self._wake.set()
        if self.stopped:
            # It came in while stop() was counting what is left.
            self.drop_queue()

    def flush(self, timeout: float) -> bool:
        """Export what is queued now.

        :param timeout: seconds to wait at most.
        :returns: whether all of it, and all that was under way, has reached
            every exporter. False at once where one has to wait for its
            receiver.
        """
        if self._thread is None and self.queue:
            # Somebody starts it; not for long, lest it is who is below us.
            patience = max(0.0, min(timeout, _START))
            if self._start_lock.acquire(timeout=patience):
                self._start_lock.release()
        if self._thread is None:
            return not self.queue
        flush = _Flush(self._threading.Event(), self.delivery.lost)
        self._flushes.append(flush)
        self._wake.set()
        if not flush.done.wait(max(0.0, timeout)):
            return False
        return flush.complete and self.delivery.lost == flush.lost_before

    def state(self) -> tuple[int, bool]:
        """Say how many spans wait, and whether the thread runs."""
        thread = self._thread
        waiting = len(self.queue) + self.delivery.owed()
        return waiting, thread is not None and thread.is_alive()

    def stop(self, timeout: float) -> None:
        """Export what is queued, then end; what is not out in time is lost.

        :param timeout: seconds to wait at most; after that the thread, a
            daemon, is left to itself and begins nothing new.
        """
        self.delivery.deadline = time.monotonic() + timeout
        self._stopping = True
        self.room = 0
        thread = self._thread
        if thread is not None:
            self._wake.set()
            thread.join(max(0.0, timeout))
            if thread.is_alive():
                self.delivery.abandoned = True
                self.delivery.lose(counters.SHUT_DOWN, self.delivery.owed())
        self.stopped = True
        self.drop_queue()
        if self._quiet is not None and not self.delivery.abandoned:
            self._quiet.close()

    def disown(self) -> None:
        """Let go, in a forked child, of what belongs to the parent.

        Queued spans are the parent's to export.
        """
        self.queue.clear()
        if self._quiet is not None:
            self._quiet.close()
        self.delivery.disown()

    def _start(self) -> None:
        # The garbage collector or a signal can end a span while the thread is
        # being started, in this thread or in the new one: nobody waits.
        if not self._start_lock.acquire(False):
            return
        try:
            if self._thread is not None or self._stopping:
                return
            thread = self._threading.Thread(
                target=self._run, name='oslo.tracing-exporter', daemon=True
            )
            # Here, not in the thread: getLogger() takes a lock that green
            # threads take too.
            self._quiet = _quiet.QuietLoggers(
                self.delivery.hear, self._threading
            )
            try:
                thread.start()
            except Exception:
                self._quiet.close()
                raise
            self._thread = thread
            if self._is_all:
                # The last one of a batch has to wake the thread.
                self.room = self._batch_size - 1
        finally:
            self._start_lock.release()

    def _run(self) -> None:
        # For the life of the thread: neither our integrations nor those of
        # others may trace an export.
        context.suppress()
        if self._quiet is not None:
            self._quiet.here()
        while not self._stopping:
            self._wake.wait(self._rest())
            self._wake.clear()
            self._drain()
        self._drain()
        self.delivery.give_up()
        self.delivery.shutdown()

    def _rest(self) -> float:
        """Return how long to sleep, in seconds, unless woken."""
        if len(self.queue) >= self._batch_size and (
            not self.delivery.all_wait()
        ):
            # It was filled while an exporter that waited had its turn.
            return 0.0
        again = self.delivery.waits_until() - time.monotonic()
        return max(0.0, min(self._settings.schedule_delay, again))

    def _drain(self) -> None:
        """Export what was queued when this began, and answer flushes.

        While every exporter waits for its receiver the queue stays as it is.
        """
        flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
        left = len(self.queue)
        now = time.monotonic()
        # Whoever flushes or stops wants it tried now, whatever was agreed.
        self.delivery.try_again(
            float('inf') if flushes or self._stopping else now
        )
        while (
            left > 0
            and not self.delivery.all_wait()
            and time.monotonic() < self.delivery.deadline
        ):
            batch = self._take(min(left, self._batch_size))
            if not batch:
                break
            left -= len(batch)
            self.delivery.export(
                [
                    _recorded.Ended(*one) if isinstance(one, tuple) else one
                    for one in batch
                ]
            )
        for flush in flushes:
            flush.complete = not left and not self.delivery.owed()
            flush.done.set()

    def _take(self, count: int) -> list[_recorded.Queued]:
        taken: list[_recorded.Queued] = []
        each: Any = iter(self.queue.popleft, None)
        try:
            taken.extend(itertools.islice(each, count))
        except IndexError:
            # Another has taken the last one; what came before it is there.
            pass
        return taken

    def drop_queue(self) -> None:
        """Count what came in when nobody exports any more."""
        self.delivery.lose(
            counters.SHUT_DOWN, len(self._take(len(self.queue)))
        )


class _Flush:
    """Somebody waits until what is queued now is out."""

    def __init__(self, done: Any, lost_before: int) -> None:
        self.done = done
        self.lost_before = lost_before
        self.complete = False

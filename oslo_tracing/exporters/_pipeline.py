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


"""From a span's end to the exporters, without the service noticing."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import logging
import os
import time
from typing import Any
from typing import Final
from typing import TYPE_CHECKING

from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace

from oslo_tracing import _at_fork
from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import counters
from oslo_tracing.exporters import _delivery
from oslo_tracing.exporters import _lines
from oslo_tracing.exporters import _worker

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module
    from oslo_tracing.tracer import _recorded

LOG = logging.getLogger(__name__)

# Asked for each span: to go by the module takes longer than the answer.
_getpid: Final = os.getpid
_SAMPLED: Final = int(trace.TraceFlags.SAMPLED)

#: Seconds between two log lines about lost spans.
QUIET: Final = 60.0

#: What part of ``shutdown_timeout`` the log leaves to other exporters.
_FOR_OTHERS: Final = 0.75


class Pipeline(sdk_trace.SpanProcessor):
    """Hands ended spans to the exporter thread of the current process.

    Nothing exists before the first span of a process has ended, so a fork
    before that costs nothing; after it, the child gets a worker of its own.
    The pid is compared for each span, since uWSGI runs no fork hooks.

    :param settings: see ``exporters.build``.
    :param builders: for each exporter a function that makes it, by name,
        in the order in which a batch is handed to them.
    :param resource: tells what the spans of a process belong to.
    :param stats: where spans are counted.
    :param lines: what the exporter ``log`` leaves to be written, None where
        it is not used.
    :ivar stats: the same.
    """

    #: As a provider of ours asks: it takes what has ended when it was made.
    only_exports: Final = True

    def __init__(
        self,
        settings: settings_module.Settings,
        builders: _delivery.Builders,
        resource: Callable[[], resources.Resource],
        stats: counters.Counters,
        lines: _lines.Lines | None = None,
    ) -> None:
        self._lines = lines
        self._settings = settings
        self._builders = builders
        self._resource = resource
        self.stats = stats
        self._workers: dict[int, _worker.Worker] = {}
        self._closed = False
        self._next_line = 0.0
        self._told: dict[str, int] = {}

    def on_end(self, span: Any) -> None:
        """Queue a sampled span; never waits, never raises."""
        try:
            if _sampled(span):
                self.add(span)
        except Exception:
            _guard.report('queueing a span for export')

    def add(self, span: _recorded.Queued) -> None:
        """Queue one that is sampled; never waits, never raises.

        :param span: also the fields of an ``Ended``, which is made by the
            thread: made here it would take longer than all else.
        """
        try:
            worker = self._workers.get(_getpid())
            if (
                worker is None
                or len(worker.queue) >= worker.room
                or worker.delivery.trouble is not None
            ):
                self._put(span, worker)
                return
            worker.queue.append(span)
            if worker.stopped:
                # It was stopped, and has counted what was left, meanwhile.
                worker.drop_queue()
        except Exception:
            _guard.report('queueing a span for export')

    def _put(
        self, span: _recorded.Queued, worker: _worker.Worker | None
    ) -> None:
        """Do the same with a worker that may need more than the span."""
        if not self._builders:
            return
        if self._closed:
            self.stats.dropped(counters.SHUT_DOWN)
            return
        if worker is None:
            worker = self._new_worker()
        worker.put(span)
        if self._lines is not None:
            self._lines.attend()
        if worker.delivery.trouble is not None:
            self._tell(worker)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what is queued.

        :param timeout_millis: how long to wait at most, in milliseconds.
        :returns: whether every span, also of a batch under way, has reached
            every exporter.
        """
        worker = self._workers.get(os.getpid())
        if worker is None or self._closed:
            return True
        deadline = time.monotonic() + timeout_millis / 1000
        flushed = worker.flush(timeout_millis / 1000)
        if self._lines is not None:
            left = max(0.0, deadline - time.monotonic())
            flushed = self._lines.flush(left) and flushed
        return flushed

    def state(self) -> tuple[int, bool]:
        """Say how many spans wait, and whether the exporter thread runs."""
        worker = self._workers.get(os.getpid())
        return (0, False) if worker is None else worker.state()

    def shutdown(self) -> None:
        """Export what is queued, for ``shutdown_timeout`` at most.

        Spans that end later are counted as dropped.
        """
        if self._closed:
            return
        self._closed = True
        worker = self._workers.get(os.getpid())
        if worker is None:
            return
        timeout = self._settings.shutdown_timeout
        deadline = time.monotonic() + timeout
        # A collector that does not answer may not take the time of the log.
        worker.stop(timeout if self._lines is None else timeout * _FOR_OTHERS)
        if self._lines is not None:
            self._lines.stop(max(0.0, deadline - time.monotonic()))
        if worker.delivery.trouble is not None:
            self._tell(worker, at_the_end=True)

    def forked(self) -> None:
        """Let go, in a forked child, of what belongs to the parent.

        At once: a service may close all that is open, as daemons do, and then
        have something of its own by the very number of our connection.
        """
        self._leave(self._workers.values())

    def _leave(self, workers: Iterable[_worker.Worker]) -> None:
        for inherited in list(workers):
            try:
                inherited.disown()
            except Exception:
                _guard.report('leaving to a parent what belongs to it')

    def _new_worker(self) -> _worker.Worker:
        pid = os.getpid()
        mine = _worker.Worker(
            self._settings,
            self._builders,
            self._resource,
            self.stats,
            is_all=self._lines is None,
        )
        # setdefault is atomic: threads that end the first spans of a process
        # at one moment get the same worker.
        worker = self._workers.setdefault(pid, mine)
        if worker is mine:
            _at_fork.HELD_OFF.tell(self)
            # Some servers fork without telling.
            others = [*self._workers.values()]
            others.remove(mine)
            self._leave(others)
            self._next_line = 0.0
            self._told = {}
        return worker

    def _tell(self, worker: _worker.Worker, at_the_end: bool = False) -> None:
        """Log the trouble of the exporter thread, from this one.

        That thread never calls logging: a handler that yields, holding a
        lock that greenthreads share, would hang them all.

        :param at_the_end: nobody will tell it later. Within a minute of the
            last warning it is said more softly.
        """
        now = time.monotonic()
        too_early = now < self._next_line
        if too_early and not at_the_end:
            return
        self._next_line = now + QUIET
        why = worker.delivery.trouble or ''
        worker.delivery.trouble = None
        dropped = self.stats.snapshot()['dropped']
        if dropped == self._told:
            LOG.warning(
                'Spans wait for their receiver, the service is not '
                'affected: %s.'
                if worker.delivery.owed()
                else 'The receiver of spans says, none is lost: %s.',
                why.rstrip('.'),
            )
            return
        self._told = dropped
        said = ', '.join(f'{n} ({cause})' for cause, n in dropped.items())
        if too_early:
            LOG.info('More spans were lost until the end: dropped %s.', said)
            return
        LOG.warning(
            'Spans are being lost, the service is not affected: %s. '
            'Dropped so far: %s.',
            why.rstrip('.'),
            said,
        )


def _sampled(span: sdk_trace.ReadableSpan) -> bool:
    """Say whether a span is for exporters, and not only recorded."""
    context: Any = span.get_span_context()
    return context is not None and bool(context[_current.FLAGS] & _SAMPLED)

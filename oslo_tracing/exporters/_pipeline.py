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
import logging
import os
import time
from typing import Final
from typing import TYPE_CHECKING

from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace

from oslo_tracing import _guard
from oslo_tracing import _printable
from oslo_tracing import counters
from oslo_tracing.exporters import _delivery
from oslo_tracing.exporters import _worker
from oslo_tracing.scrub import errors

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

LOG = logging.getLogger(__name__)

#: Seconds between two log lines about lost spans.
QUIET: Final = 60.0

_WORDS_LIMIT: Final = 300
# Anything shorter stands in many a word.
_SHORTEST_SECRET: Final = 4
_HIDDEN: Final = '***'


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
    :ivar stats: the same.
    """

    def __init__(
        self,
        settings: settings_module.Settings,
        builders: _delivery.Builders,
        resource: Callable[[], resources.Resource],
        stats: counters.Counters,
    ) -> None:
        self._settings = settings
        self._builders = builders
        self._resource = resource
        self.stats = stats
        self._workers: dict[int, _worker.Worker] = {}
        self._closed = False
        self._next_line = 0.0
        self._told: dict[str, int] = {}

    def on_end(self, span: sdk_trace.ReadableSpan) -> None:
        """Queue a sampled span; never waits, never raises."""
        try:
            context = span.context
            if context is None or not context.trace_flags.sampled:
                return
            if not self._builders:
                return
            if self._closed:
                self.stats.dropped(counters.SHUT_DOWN)
                return
            worker = self._workers.get(os.getpid())
            if worker is None:
                worker = self._new_worker()
            worker.put(span)
            if worker.delivery.trouble is not None:
                self._tell(worker)
        except Exception:
            _guard.report('queueing a span for export')

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what is queued.

        :param timeout_millis: how long to wait at most, in milliseconds.
        :returns: whether every span, also of a batch under way, has reached
            every exporter.
        """
        worker = self._workers.get(os.getpid())
        if worker is None or self._closed:
            return True
        return worker.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Export what is queued, for ``shutdown_timeout`` at most.

        Spans that end later are counted as dropped.
        """
        if self._closed:
            return
        self._closed = True
        worker = self._workers.get(os.getpid())
        if worker is not None:
            worker.stop(self._settings.shutdown_timeout)
            if worker.delivery.trouble is not None:
                self._tell(worker)

    def _new_worker(self) -> _worker.Worker:
        pid = os.getpid()
        mine = _worker.Worker(
            self._settings, self._builders, self._resource, self.stats
        )
        # setdefault is atomic: threads that end the first spans of a process
        # at one moment get the same worker.
        worker = self._workers.setdefault(pid, mine)
        if worker is mine:
            for other, inherited in list(self._workers.items()):
                if other != pid:
                    inherited.disown()
            self._next_line = 0.0
            self._told = {}
        return worker

    def _tell(self, worker: _worker.Worker) -> None:
        """Log the trouble of the exporter thread, from this one.

        That thread never calls logging: a handler that yields, holding a
        lock that greenthreads share, would hang them all.
        """
        now = time.monotonic()
        if now < self._next_line:
            return
        self._next_line = now + QUIET
        why = worker.delivery.trouble or ''
        worker.delivery.trouble = None
        dropped = self.stats.snapshot()['dropped']
        said = self._may_be_told(why.rstrip('.'))
        if dropped == self._told:
            LOG.warning(
                'Spans wait for their receiver, the service is not '
                'affected: %s.'
                if worker.delivery.owed()
                else 'The receiver of spans says, none is lost: %s.',
                said,
            )
            return
        self._told = dropped
        LOG.warning(
            'Spans are being lost, the service is not affected: %s. '
            'Dropped so far: %s.',
            said,
            ', '.join(f'{n} ({cause})' for cause, n in dropped.items()),
        )

    def _may_be_told(self, words: str) -> str:
        """Return what others said of a failure, without our credentials.

        A receiver may quote the token that it refuses, and a library the
        header that it cannot send.
        """
        for value in self._settings.otlp_headers.values():
            for secret in (value, *value.split()):
                if len(secret) >= _SHORTEST_SECRET:
                    words = words.replace(secret, _HIDDEN)
        shown = _printable.printable(words, _WORDS_LIMIT)
        return errors.text(shown, 4 * _WORDS_LIMIT)

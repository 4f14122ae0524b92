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


"""What the exporter thread does with a batch."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import time
from typing import Any
from typing import Final
from typing import Protocol
from typing import TYPE_CHECKING

from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export

from oslo_tracing import _at_fork
from oslo_tracing import counters
from oslo_tracing.exporters import _clean
from oslo_tracing.exporters import _owed
from oslo_tracing.exporters import _telling

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

#: Seconds until an exporter that could not be built is tried again.
_REBUILD_AFTER: Final = 30.0

_Spans = Sequence[sdk_trace.ReadableSpan]


class Exporter(Protocol):
    """What the pipeline asks of an exporter, OpenTelemetry's interface."""

    def export(self, spans: _Spans) -> Any: ...

    def shutdown(self) -> None: ...


Builders = Mapping[str, Callable[[resources.Resource], Exporter]]


class Delivery:
    """Cleans batches and hands them to each exporter; one thread's own.

    :param settings: ``otlp_timeout`` bounds the search for a bad span.
    :param builders: for each exporter a function that makes it, by name.
    :param resource: tells what the spans of this process belong to.
    :param stats: where spans are counted.
    """

    def __init__(
        self,
        settings: settings_module.Settings,
        builders: Builders,
        resource: Callable[[], resources.Resource],
        stats: counters.Counters,
    ) -> None:
        self._settings = settings
        self._builders = builders
        self._stats = stats
        self._cleaner = _clean.Cleaner(settings, resource)
        self._unbuilt: dict[str, tuple[float, str]] = {}
        self._said = ''
        self._cleaning = 0
        self._owed = {name: _owed.Owed() for name in builders}
        #: Built exporters by name. Kept also by a forked child, which never
        #: uses them: a gRPC channel that is destroyed there can hang.
        self.exporters: dict[str, Exporter] = {}
        #: How many spans an exporter has lost so far.
        self.lost = 0
        #: Why a span was lost last, without credentials; who logs it sets
        #: it back to None.
        self.trouble: str | None = None
        #: When no more is begun, by ``time.monotonic()``.
        self.deadline = float('inf')
        #: Somebody stopped waiting for the thread, and counted for it.
        self.abandoned = False

    def hear(self, words: str) -> None:
        """Note what an exporter would have logged.

        The first words of an export tell the reason, the last only that it
        gave up.
        """
        self._said = self._said or words

    def owed(self) -> int:
        """Return how many spans are not settled; each exporter counts."""
        return self._cleaning + sum(o.count for o in self._owed.values())

    def waits_until(self) -> float:
        """Return when an exporter wants to be tried again.

        :returns: by ``time.monotonic()``, infinity where none does.
        """
        return min(
            (o.not_before for o in self._owed.values() if o.not_before),
            default=float('inf'),
        )

    def all_wait(self) -> bool:
        """Say whether no exporter would take a batch now."""
        return all(owed.not_before for owed in self._owed.values())

    def try_again(self, now: float) -> None:
        """Try what is owed and due.

        :param now: by ``time.monotonic()``; infinity for whatever is owed.
        """
        for name, owed in self._owed.items():
            if owed.not_before and owed.not_before <= now:
                self._settle(name, owed)

    def give_up(self) -> None:
        """Lose whatever is still owed: the process ends."""
        if self.abandoned:
            # Counted already, by whom it may concern.
            return
        for name, owed in self._owed.items():
            why = f'{name}: {owed.why}' if owed.why else ''
            self.lose(counters.SHUT_DOWN, owed.give_up(), why)

    def export(self, batch: _Spans) -> None:
        """Hand a batch to every exporter; one that fails stops no other.

        One that has to wait is passed over, and owes the batch.
        """
        self._cleaning = len(batch)
        clean = self._cleaner.all(
            batch, lambda error: self.lose(counters.ENCODING, 1, _words(error))
        )
        self._cleaning = 0
        if not clean:
            return
        ready = [n for n, owed in self._owed.items() if not owed.not_before]
        for name, owed in self._owed.items():
            if name in ready or self._has_room(owed, len(clean)):
                owed.add(clean)
            else:
                self.lose(
                    counters.QUEUE_FULL, len(clean), f'{name}: {owed.why}'
                )
        for name in ready:
            self._settle(name, self._owed[name])

    def shutdown(self) -> None:
        """Shut down whatever was built."""
        for exporter in self.exporters.values():
            try:
                exporter.shutdown()
            except BaseException as error:
                self.hear(_words(error))

    def disown(self) -> None:
        """Let go, in a forked child, of what belongs to the parent.

        What an exporter holds open is closed only where that cannot reach
        the parent's.
        """
        for exporter in list(self.exporters.values()):
            forget = getattr(exporter, 'forget', None)
            if forget is not None:
                forget()

    def lose(self, cause: str, count: int, why: str = '') -> None:
        """Count spans that are lost.

        :param cause: one of ``counters.CAUSES``.
        :param count: how many.
        :param why: more words for the log.
        """
        if not count:
            return
        if self.abandoned and cause != counters.SHUT_DOWN:
            return
        self.lost += count
        why = _telling.may_be_told(why, self._settings)
        self._stats.dropped(cause, count, why)
        if why or self.trouble is None:
            self.trouble = why or cause

    def _has_room(self, owed: _owed.Owed, count: int) -> bool:
        return owed.count + count <= self._settings.max_queue_size

    def _settle(self, name: str, owed: _owed.Owed) -> None:
        """Deliver what an exporter owes, until it has to wait."""
        try:
            self._settle_all(name, owed)
        except BaseException as error:
            # Nothing may end the thread, which has other exporters, too.
            self.lose(counters.OTHER, owed.give_up(), _words(error))

    def _settle_all(self, name: str, owed: _owed.Owed) -> None:
        while time.monotonic() < self.deadline:
            spans = owed.first()
            if spans is None:
                return
            exporter = self._exporter(name, spans[0].resource)
            if exporter is None:
                why = self._unbuilt[name][1]
                self._failed(name, len(spans), f'cannot be set up: {why}')
            elif hasattr(exporter, 'deliver'):
                if not self._deliver(name, exporter, owed, spans):
                    return
            else:
                self._hand_over(name, exporter, spans)
            owed.settle()

    def _deliver(
        self, name: str, exporter: Any, owed: _owed.Owed, spans: _Spans
    ) -> bool:
        """Have an exporter of ours deliver what may take several tries.

        :returns: whether it owes none of the spans any more.
        """
        left = self.deadline - time.monotonic()
        waited = bool(owed.why)
        try:
            outcome = exporter.deliver(spans, left)
        except Exception as error:
            self._failed(name, len(spans), _words(error))
            return True
        self._delivered(name, outcome.delivered)
        for cause, count in outcome.lost.items():
            self.lose(cause, count, f'{name}: {outcome.why}')
        if not outcome.left:
            if waited and self.trouble == f'{name}: {owed.why}':
                # It is over before anybody was told.
                self.trouble = None
            if outcome.said:
                said = _telling.may_be_told(outcome.said, self._settings)
                self.trouble = f'{name}: {said}'
            return True
        why = _telling.may_be_told(outcome.why, self._settings)
        owed.put_off(outcome.left, why, outcome.after, time.monotonic())
        self.trouble = f'{name}: {why}'
        return False

    def _exporter(
        self, name: str, resource: resources.Resource
    ) -> Exporter | None:
        exporter = self.exporters.get(name)
        if exporter is not None:
            return exporter
        now = time.monotonic()
        if name in self._unbuilt and now < self._unbuilt[name][0]:
            return None
        try:
            with _at_fork.HELD_OFF:
                # Else imported by the first name that is looked up.
                codecs.lookup('idna')
                exporter = self._builders[name](resource)
        except BaseException as error:
            self._unbuilt[name] = (now + _REBUILD_AFTER, _words(error))
            return None
        self.exporters[name] = exporter
        return exporter

    def _hand_over(self, name: str, exporter: Exporter, spans: _Spans) -> None:
        self._said = ''
        try:
            result = exporter.export(spans)
        except counters.SpansLost as lost:
            self.lose(lost.cause, lost.count, f'{name}: {lost.why}')
            self._delivered(name, len(spans) - lost.count)
        except OSError as error:
            # The world, not a span: no use in trying them one by one.
            self._failed(name, len(spans), _words(error))
        except Exception:
            self._one_by_one(name, exporter, spans)
        else:
            self._count(name, len(spans), result)

    def _one_by_one(
        self, name: str, exporter: Exporter, spans: _Spans
    ) -> None:
        """Find the span that the exporter cannot take, and lose only that.

        Not longer than one export may take, should it be all of them.
        """
        until = time.monotonic() + self._settings.otlp_timeout
        for index, span in enumerate(spans):
            if time.monotonic() > until:
                self._failed(name, len(spans) - index, 'too slow')
                return
            self._said = ''
            try:
                result = exporter.export([span])
            except OSError as error:
                self._failed(name, 1, _words(error))
            except Exception as error:
                self.lose(counters.ENCODING, 1, f'{name}: {_words(error)}')
            else:
                self._count(name, 1, result)

    def _count(self, name: str, count: int, result: Any) -> None:
        if result is export.SpanExportResult.SUCCESS:
            self._delivered(name, count)
        else:
            self._failed(name, count, self._said)

    def _delivered(self, name: str, count: int) -> None:
        if count and not self.abandoned:
            self._stats.exported(name, count)

    def _failed(self, name: str, count: int, why: str) -> None:
        self.lose(
            counters.EXPORT_FAILED,
            count,
            f'{name}: {why}' if why else f'{name} failed',
        )


def _words(error: BaseException) -> str:
    return f'{type(error).__name__}: {error}'

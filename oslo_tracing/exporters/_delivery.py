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
        #: Built exporters by name. Kept also by a forked child, which never
        #: uses them: a gRPC channel that is destroyed there can hang.
        self.exporters: dict[str, Exporter] = {}
        #: How many spans an exporter has lost so far.
        self.lost = 0
        #: Why a span was lost last; who logs it sets it back to None.
        self.trouble: str | None = None
        #: Somebody stopped waiting for the thread, and counted for it.
        self.abandoned = False

    def hear(self, words: str) -> None:
        """Note what an exporter would have logged.

        The first words of an export tell the reason, the last only that it
        gave up.
        """
        self._said = self._said or words

    def export(self, batch: _Spans) -> None:
        """Hand a batch to every exporter; one that fails stops no other."""
        try:
            self._export(batch)
        except Exception as error:
            # Nothing may end the thread.
            self.lose(counters.OTHER, len(batch), _words(error))

    def shutdown(self) -> None:
        """Shut down whatever was built."""
        for exporter in self.exporters.values():
            try:
                exporter.shutdown()
            except Exception as error:
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
        self._stats.dropped(cause, count)
        if why or self.trouble is None:
            self.trouble = why or cause

    def _export(self, batch: _Spans) -> None:
        clean = []
        for span in batch:
            try:
                clean.append(self._cleaner.clean(span))
            except Exception as error:
                self.lose(counters.ENCODING, 1, _words(error))
        if not clean:
            return
        for name in self._builders:
            exporter = self._exporter(name, clean[0].resource)
            if exporter is None:
                why = self._unbuilt[name][1]
                self._failed(name, len(clean), f'cannot be set up: {why}')
            else:
                self._hand_over(name, exporter, clean)

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
        except Exception as error:
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

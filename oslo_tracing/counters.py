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

"""What happened to the spans of this process, in numbers.

A span is either exported or counted here with the cause why not: nothing is
lost silently.
"""

from __future__ import annotations

import os
from typing import Any
from typing import Final

from oslo_tracing import _real

#: The queue was full: spans end faster than they can be exported.
QUEUE_FULL: Final = 'queue full'
#: An exporter could not deliver, after its own retries.
EXPORT_FAILED: Final = 'export failed'
#: A span that no encoding can hold.
ENCODING: Final = 'encoding'
#: Ended after ``shutdown()``, or still waiting when its time was over.
SHUT_DOWN: Final = 'shut down'
#: The trace files are as large as they may be.
FILE_LIMIT: Final = 'file limit'
#: The trace file could not be written.
DISK: Final = 'disk'
#: The receiver does not want it, and said so.
REFUSED: Final = 'refused'
#: One span that no request may hold.
TOO_LARGE: Final = 'too large'
#: A cause that has no name here.
OTHER: Final = 'other'

CAUSES: Final = frozenset(
    (
        QUEUE_FULL,
        EXPORT_FAILED,
        ENCODING,
        SHUT_DOWN,
        FILE_LIMIT,
        DISK,
        REFUSED,
        TOO_LARGE,
        OTHER,
    )
)

# One for each configured exporter; a bound, should a name ever be made up.
_MAX_EXPORTERS = 32


class SpansLost(Exception):
    """An exporter of ours could not keep some spans, and knows why.

    :param cause: one of ``CAUSES``.
    :param count: how many spans of those it was given.
    :param why: in words, for the log.
    """

    def __init__(self, cause: str, count: int, why: str) -> None:
        super().__init__(why)
        self.cause = cause
        self.count = count
        self.why = why


class _OfProcess:
    """The numbers of one process."""

    def __init__(self) -> None:
        # The garbage collector can end a span, and have it dropped, while
        # this very thread is counting.
        self.lock = _real.threading_module().RLock()
        self.exported: dict[str, int] = {}
        self.dropped: dict[str, int] = {}


class Counters:
    """Counters that any thread may add to.

    Each process counts for itself: after a fork the child starts at zero,
    with a lock of its own, whatever the parent's threads were doing.
    """

    def __init__(self) -> None:
        self._of_process: dict[int, _OfProcess] = {}

    def exported(self, exporter: str, count: int = 1) -> None:
        """Count spans that an exporter delivered.

        :param exporter: its name in the ``exporters`` option.
        :param count: how many spans.
        """
        counters = self._counters()
        with counters.lock:
            known = counters.exported
            if exporter not in known and len(known) >= _MAX_EXPORTERS:
                exporter = OTHER
            known[exporter] = known.get(exporter, 0) + count

    def dropped(self, cause: str, count: int = 1) -> None:
        """Count spans that are lost.

        :param cause: one of ``CAUSES``; any other counts as ``OTHER``.
        :param count: how many spans.
        """
        if cause not in CAUSES:
            cause = OTHER
        counters = self._counters()
        with counters.lock:
            counters.dropped[cause] = counters.dropped.get(cause, 0) + count

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of all counters of this process.

        :returns: ``{'exported': {exporter: spans}, 'dropped': {cause:
            spans}}``; with several exporters a span that one of them lost
            counts as dropped although the others have it.
        """
        counters = self._counters()
        with counters.lock:
            return {
                'exported': dict(counters.exported),
                'dropped': dict(counters.dropped),
            }

    def _counters(self) -> _OfProcess:
        pid = os.getpid()
        counters = self._of_process.get(pid)
        if counters is None:
            # setdefault is atomic: of two first threads one wins, and both
            # count on the winner's.
            counters = self._of_process.setdefault(pid, _OfProcess())
            for other in list(self._of_process):
                if other != pid:
                    self._of_process.pop(other, None)
        return counters

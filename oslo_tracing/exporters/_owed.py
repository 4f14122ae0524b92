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

"""What an exporter has still to deliver, and when it tries again."""

from __future__ import annotations

import collections
from collections.abc import Sequence
import dataclasses
import random
from typing import Final

from opentelemetry.sdk import trace as sdk_trace

#: Seconds that a receiver may ask to be left alone.
LONGEST_ASKED: Final = 60.0

# Short: what waits is to be out 10 seconds after the receiver is back.
_FIRST: Final = 0.5
_LONGEST: Final = 3.0
# Each process waits for a time of its own, lest a collector that starts
# again hears from all at once.
_JITTER: Final = 0.2

_Spans = Sequence[sdk_trace.ReadableSpan]


@dataclasses.dataclass
class Outcome:
    """What became of a batch.

    :ivar delivered: how many spans the receiver has.
    :ivar lost: how many it will never have, by cause.
    :ivar left: those that it may have if asked again.
    :ivar after: seconds until then, as it wishes; None if it did not say.
    :ivar why: why some are lost, or left.
    :ivar said: what it said although all went well.
    """

    delivered: int = 0
    lost: dict[str, int] = dataclasses.field(default_factory=dict)
    left: _Spans = ()
    after: float | None = None
    why: str = ''
    said: str = ''

    def lose(self, cause: str, count: int, why: str) -> None:
        """Note spans that are lost."""
        if count:
            self.lost[cause] = self.lost.get(cause, 0) + count
            self.why = why

    def leave(self, spans: _Spans, why: str, after: float | None) -> None:
        """Note spans to be sent again."""
        self.left, self.why, self.after = spans, why, after


class Owed:
    """The batches of one exporter that are not settled, oldest first.

    :ivar count: how many spans that are.
    :ivar not_before: when to try again, by ``time.monotonic()``; 0.0 while
        nothing is in the way.
    :ivar why: what was in the way last, in words.
    """

    def __init__(self) -> None:
        self._batches: collections.deque[_Spans] = collections.deque()
        self._tries = 0
        self.count = 0
        self.not_before = 0.0
        self.why = ''

    def add(self, spans: _Spans) -> None:
        """Owe one more batch."""
        self._batches.append(spans)
        self.count += len(spans)

    def first(self) -> _Spans | None:
        """Return the oldest batch, None if there is none."""
        return self._batches[0] if self._batches else None

    def settle(self) -> None:
        """The oldest batch is delivered, or lost; nothing is in the way."""
        self.count -= len(self._batches.popleft())
        self._tries = 0
        self.not_before = 0.0
        self.why = ''

    def put_off(
        self, left: _Spans, why: str, after: float | None, now: float
    ) -> None:
        """Some of the oldest batch could not be delivered now.

        :param left: what is left of it.
        :param why: what is in the way.
        :param after: seconds that the receiver wants to be left alone.
        :param now: ``time.monotonic()``.
        """
        self.count += len(left) - len(self._batches[0])
        self._batches[0] = left
        self.not_before = now + pause(self._tries, after)
        self.why = why
        self._tries += 1

    def give_up(self) -> int:
        """Owe nothing any more.

        :returns: how many spans are lost by that.
        """
        count = self.count
        self._batches.clear()
        self.count = 0
        self.not_before = 0.0
        self.why = ''
        return count


def pause(tries: int, after: float | None) -> float:
    """Return how many seconds to wait before the next try.

    :param tries: how many have failed before the last one.
    :param after: what the receiver asks for, None if nothing.
    """
    own = min(_LONGEST, _FIRST * 2.0 ** min(tries, 10))
    own *= 1 - _JITTER * random.random()  # noqa: S311 - no secret
    if after is None:
        return own
    asked = after * (1 + _JITTER * random.random())  # noqa: S311 - no secret
    if after >= LONGEST_ASKED:
        # Nobody gets more; these too are not to come back all at once.
        asked = LONGEST_ASKED * (1 - _JITTER * random.random())  # noqa: S311
    return max(own, min(asked, LONGEST_ASKED))

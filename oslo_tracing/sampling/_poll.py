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

"""A thread that asks a server again and again."""

from __future__ import annotations

from collections.abc import Callable
import logging
import random
import time
from typing import Any
from typing import Final
from typing import Generic
from typing import NamedTuple
from typing import TypeVar

from oslo_tracing import _printable
from oslo_tracing import _real
from oslo_tracing import context

#: Seconds between two lines of a log that say that there is no answer.
QUIET: Final = 60.0

_WORDS: Final = 300
# Of the interval: else all processes of a cloud that were started at once
# would ask at once for ever.
_SOONEST: Final = 0.8
# Seconds to see a thread off that sleeps, and is woken.
_JOIN: Final = 0.5

Answer = TypeVar('Answer')


class News(NamedTuple):
    """What is to be logged, from another thread."""

    level: int
    text: str


class Poll(Generic[Answer]):
    """Asks in a thread of the operating system; belongs to one process.

    :param ask: asks once, and raises where there is no good answer.
    :param heard: called with every answer, by the thread.
    :param interval: seconds from one question to the next, at the most.
    :ivar news: what happened, for who may log: the thread does not, since a
        log handler may yield to a hub of greenthreads, which is not here.
    """

    def __init__(
        self,
        ask: Callable[[], Answer],
        heard: Callable[[Answer], None],
        interval: float,
    ) -> None:
        self.news: News | None = None
        self._ask = ask
        self._heard = heard
        self._interval = interval
        self._wake = _real.Wake()
        self._stopping = False
        self._asking = False
        self._thread: Any = None
        self._last: Answer | None = None
        self._in_trouble = False
        self._next_line = 0.0

    def start(self) -> None:
        """Ask now and from now on; returns at once.

        :raises RuntimeError: when there can be no more threads.
        """
        thread = _real.threading_module().Thread(
            target=self._run, name='oslo.tracing-sampling', daemon=True
        )
        thread.start()
        self._thread = thread

    def stop(self) -> None:
        """Ask no more; a question under way is not waited for."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None and not self._asking:
            self._thread.join(_JOIN)

    def _run(self) -> None:
        context.suppress()
        jitter = random.SystemRandom()
        while True:
            # Before it looks whether it is to stop: who stops it knows then.
            self._asking = True
            if self._stopping:
                return
            self._ask_once()
            self._asking = False
            self._wake.wait(self._interval * jitter.uniform(_SOONEST, 1.0))

    def _ask_once(self) -> None:
        try:
            answer = self._ask()
            if self._stopping:
                return
            self._heard(answer)
        except Exception as error:
            self._failed(error)
            return
        if answer != self._last or self._in_trouble:
            self._last = answer
            self._in_trouble = False
            self.news = News(logging.INFO, str(answer))

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        if self._in_trouble and now < self._next_line:
            return
        self._in_trouble = True
        self._next_line = now + QUIET
        why = str(error)
        if not why or not isinstance(error, ValueError):
            why = f'{type(error).__name__}: {why}'.rstrip(': ')
        self.news = News(logging.WARNING, _printable.printable(why, _WORDS))

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

"""Clouds that spend the same day at the same time, call by call."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import threading


class Turns:
    """Has everyone make a call, one at a time, before anyone makes the next.

    A machine is faster and slower by the second. What is compared has to be
    done next to each other: all wait until everyone has something to ask, are
    asked one after the other, and get their answers together. So nobody has
    anything else to do meanwhile, and each comes first in turn.

    :param names: of those who take part until they :meth:`leave`.
    :param patience: seconds until something must have gone wrong.
    """

    def __init__(self, names: list[str], patience: float = 600.0) -> None:
        self._patience = patience
        self._changed = threading.Condition()
        self._names = list(names)
        self._waiting: set[str] = set()
        self._order: list[str] = []
        self._whose: str | None = None
        self._rounds = 0

    @contextlib.contextmanager
    def take(self, name: str) -> Iterator[None]:
        """Wait for one's turn, and afterwards for the others'.

        What a service asks another one meanwhile is a part of its answer, and
        does not wait.

        :raises TimeoutError: where the others do nothing for long.
        """
        if not self._join(name):
            yield
            return
        try:
            yield
        finally:
            with self._changed:
                done = self._rounds
                self._go_on()
                self._wait(lambda: self._rounds != done)

    def leave(self, name: str) -> None:
        """Have nobody wait for somebody any more."""
        with self._changed:
            self._names.remove(name)
            self._begin()

    def _join(self, name: str) -> bool:
        with self._changed:
            if name in (self._whose, *self._waiting):
                return False
            if name not in self._names:
                return False
            self._waiting.add(name)
            self._begin()
            self._wait(lambda: self._whose == name)
        return True

    def _begin(self) -> None:
        if self._waiting and self._waiting.issuperset(self._names):
            first = self._rounds % len(self._names)
            self._order = self._names[first:] + self._names[:first]
            self._waiting.clear()
            self._go_on()

    def _go_on(self) -> None:
        if self._order:
            self._whose = self._order.pop(0)
        else:
            self._whose = None
            self._rounds += 1
        self._changed.notify_all()

    def _wait(self, until: Callable[[], bool]) -> None:
        if not self._changed.wait_for(until, self._patience):
            raise TimeoutError('Somebody does not come for his turn.')

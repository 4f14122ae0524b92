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

"""A fork waits while the exporter thread imports, and its child lets go.

Why here: a module that another thread is importing at the moment of a fork
stays locked in the child for ever, and whoever imports it there hangs: our
exporter, but also the service. uWSGI runs no hook of Python's at its forks;
there an application that each worker loads for itself has no such problem.
"""

from __future__ import annotations

import _thread
import os
from typing import Any
from typing import Final
from typing import Protocol
import weakref

from oslo_tracing import _real

#: Seconds that a fork waits at most.
_PATIENCE: Final = 2.0


class Heir(Protocol):
    """What has something in a forked child that is the parent's."""

    def forked(self) -> None:
        """Let go of it; called before anything else runs there."""


class _Forks:
    """Keeps forks and imports of ours apart.

    A hook cannot be taken back: so there is one, which does nothing where
    nothing of ours was ever imported.
    """

    def __init__(self) -> None:
        # By pid: in a child, whoever holds the lock of the parent does not
        # exist.
        self._locks: dict[int, Any] = {}
        self._forking: int | None = None
        self._heirs: weakref.WeakSet[Heir] = weakref.WeakSet()
        os.register_at_fork(
            before=self._before,
            after_in_parent=self._in_parent,
            after_in_child=self._in_child,
        )

    def __enter__(self) -> None:
        self.enter()

    def enter(self, patience: float = -1) -> bool:
        """Do the same as ``with``, for at most so many seconds.

        :returns: whether ``__exit__`` is to be called.
        """
        # setdefault is atomic: all threads get the same one.
        lock = self._locks.setdefault(
            os.getpid(), _real.threading_module().RLock()
        )
        entered: bool = lock.acquire(timeout=patience)
        return entered

    def __exit__(self, *_exc_info: object) -> None:
        lock = self._locks.get(os.getpid())
        try:
            if lock is not None:
                lock.release()
        except RuntimeError:
            # Entered by the parent, which was forked meanwhile: by the
            # handler of a signal.
            pass

    def tell(self, heir: Heir) -> None:
        """Have an heir called in each child, as long as it is there."""
        self._heirs.add(heir)

    def _before(self) -> None:
        lock = self._locks.get(os.getpid())
        if lock is not None and lock.acquire(timeout=_PATIENCE):
            self._forking = _thread.get_ident()

    def _in_parent(self) -> None:
        if self._forking == _thread.get_ident():
            self._forking = None
            self._locks[os.getpid()].release()

    def _in_child(self) -> None:
        self._forking = None
        self._locks.clear()
        for heir in list(self._heirs):
            heir.forked()


#: Entered by who imports in a thread of ours.
HELD_OFF: Final = _Forks()

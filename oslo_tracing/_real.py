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

"""Threads and locks of the operating system, whatever eventlet patched.

Why here: the exporter's thread must run beside the hub, never in it. A green
lock released from another real thread raises "cannot switch to a different
thread", and a green thread that waits for a collector stops every request.
"""

from __future__ import annotations

import socket
import sys
import threading
import types


def threading_module() -> types.ModuleType:
    """Return a ``threading`` whose threads and locks are real ones.

    Where eventlet is loaded but has not patched yet it still may, hence its
    own copy also then. Never imports eventlet.
    """
    patcher = sys.modules.get('eventlet.patcher')
    if patcher is None:
        return threading
    original: types.ModuleType = patcher.original('threading')
    return original


def socket_module() -> types.ModuleType:
    """Return a ``socket`` that asks no hub: sockets, names and time-outs.

    eventlet keeps it from the moment it is imported, so nothing is loaded
    anew here, where other threads could see it half loaded.
    """
    patcher = sys.modules.get('eventlet.patcher')
    if patcher is None:
        return socket
    original: types.ModuleType = patcher.original('socket')
    return original


def is_green() -> bool:
    """Say whether eventlet has patched the threads of this process."""
    patcher = sys.modules.get('eventlet.patcher')
    return patcher is not None and bool(patcher.is_monkey_patched('thread'))


class Wake:
    """An event that may be set while it is being set.

    The garbage collector can end a span anywhere, so also within the lock
    of ``threading.Event.set()`` when a full batch wakes the exporter; that
    lock is not re-entrant, and the thread would wait for itself.
    """

    # eventlet, when it patches late, replaces only half of a condition's lock
    # where it finds it, and it finds none in these.
    __slots__ = ('_condition', '_is_set')

    def __init__(self) -> None:
        threads = threading_module()
        self._condition = threads.Condition(threads.RLock())
        self._is_set = False

    def is_set(self) -> bool:
        """Say whether it was set and not cleared since."""
        return self._is_set

    def set(self) -> None:
        """Wake who waits."""
        with self._condition:
            self._is_set = True
            self._condition.notify_all()

    def clear(self) -> None:
        """Let those who wait from now on wait."""
        self._is_set = False

    def wait(self, timeout: float) -> None:
        """Wait until it is set.

        :param timeout: seconds to wait at most.
        """
        with self._condition:
            if not self._is_set:
                self._condition.wait(timeout)

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

"""The one mutable object of the module level: what is set up here."""

from __future__ import annotations

from collections.abc import Callable
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oslo_config import cfg

    from oslo_tracing import counters as counters_module
    from oslo_tracing import recording
    from oslo_tracing import service


class Process:
    """Who may set tracing up and take it off in one process.

    :ivar lock: reentrant, since the handler of a signal may well shut down
        while the thread that it interrupts does.
    :ivar is_setting_up: the holder of the lock is at it.
    """

    __slots__ = ('is_setting_up', 'lock')

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.is_setting_up = False


class Runtime:
    """What ``setup()`` built in this process; all None while off.

    Whoever records asks ``recorder``, once, and does nothing where it is
    None: that is all that tracing costs when it is off.
    """

    __slots__ = (
        '_processes',
        'conf',
        'counters',
        'is_ending',
        'is_instrumented',
        'name',
        'recorder',
        'tracing',
    )

    def __init__(self) -> None:
        self.recorder: recording.Recorder | None = None
        self.tracing: service.Tracing | None = None
        #: What the last set-up has counted; kept when it is taken off.
        self.counters: counters_module.Counters | None = None
        #: The configuration that was last given to ``setup()``.
        self.conf: cfg.ConfigOpts | None = None
        #: Whether OpenTelemetry's entry point asks for tracing; None where
        #: it never did.
        self.is_instrumented: bool | None = None
        #: The interpreter ends, which threads that are daemons may not notice.
        self.is_ending = False
        #: Returns what the service is called where whoever sets tracing up
        #: does not say; None where it was not started through us.
        self.name: Callable[[], str] | None = None
        self._processes: dict[int, Process] = {}

    def process(self) -> Process:
        """Return what belongs to this very process.

        A fork does not ask what other threads hold: a lock of the parent's
        could stay locked for ever.
        """
        pid = os.getpid()
        process = self._processes.get(pid)
        if process is None:
            # setdefault is atomic: of two first threads one wins.
            process = self._processes.setdefault(pid, Process())
            for other in list(self._processes):
                if other != pid:
                    self._processes.pop(other, None)
        return process


RUNTIME = Runtime()

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

"""The clouds of released services that are measured."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import os
import pathlib
import secrets
import time
from typing import Any

from benchmarks import turns
from oslo_tracing.tests.released import cloud as cloud_module
from oslo_tracing.tests.released import programs
from oslo_tracing.tests.released import recorder


_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_TRACED = 'oslo_tracing.wsgi:application'


class Needed:
    """In the place of a test: what a cloud needs has to be there."""

    def fail(self, reason: str) -> None:
        """Give up."""
        raise SystemExit(reason)

    skipTest = fail


class Cloud(cloud_module.Cloud):
    """A cloud whose services can be started anew, traced or not."""

    def __init__(self) -> None:
        super().__init__(Needed())
        self._files: dict[str, cloud_module.Sections] = {}
        self._served: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self._running: list[programs.Program] = []
        self._turns: tuple[turns.Turns, str, bool] | None = None

    @contextlib.contextmanager
    def in_turns(
        self, among: turns.Turns, name: str, recorded: bool
    ) -> Iterator[None]:
        """Have each call wait for its turn.

        :param name: under which this cloud takes part, until it is done.
        :param recorded: have a caller in front who records each call, so
            that whoever traces records it, too.
        """
        self._turns = among, name, recorded
        try:
            yield
        finally:
            self._turns = None
            among.leave(name)

    @contextlib.contextmanager
    def turn(self) -> Iterator[recorder.Headers | None]:
        """Wait until it is one's turn, and give the headers to be added."""
        if self._turns is None:
            yield None
            return
        among, name, recorded = self._turns
        with among.take(name):
            yield [('traceparent', _traceparent())] if recorded else None

    def configure(
        self, service: str, sections: cloud_module.Sections
    ) -> pathlib.Path:
        """Write a configuration file, and remember how."""
        self._files[service] = sections
        return super().configure(service, sections)

    def serve(
        self,
        service: str,
        application: str,
        environment: Mapping[str, str],
        **how: Any,
    ) -> programs.Program:
        """Serve an application, and remember how."""
        what = service, application, dict(environment)
        self._served.append((what, how))
        return self._serve(*what, **how)

    def _serve(
        self,
        service: str,
        application: str,
        environment: Mapping[str, str],
        **how: Any,
    ) -> programs.Program:
        environment = {
            **environment,
            'PYTHONPATH': _HERE,
            'BENCHMARKS_SERVED': application,
        }
        tracing, self.tracing = self.tracing, None
        if tracing is not None:
            environment['OSLO_TRACING_WSGI_APP'] = application
            environment['BENCHMARKS_SERVED'] = _TRACED
        try:
            program = super().serve(
                service, 'benchmarks.deeper:application', environment, **how
            )
        finally:
            self.tracing = tracing
        self._running.append(program)
        return program

    def restart(self, tracing: dict[str, str] | None, seed: int) -> None:
        """Start all services anew, with other options of ``[tracing]``.

        :param seed: of the hashes: where things are in a dictionary makes a
            process faster or slower, and is to be the same for those who are
            compared.
        """
        self.end()
        self.tracing = tracing
        for service, sections in self._files.items():
            super().configure(service, sections)
        for (service, application, environment), how in self._served:
            environment = {**environment, 'PYTHONHASHSEED': str(seed)}
            self._serve(service, application, environment, **how)

    def end(self) -> None:
        """End all services; what they have recorded is sent."""
        self.stop()
        self._running.clear()
        self.exchanges.clear()

    def cpu(self) -> float:
        """Return the CPU time of all processes of all services, in s."""
        wanted = {program.process.pid for program in self._running}
        children = _children()
        total = 0.0
        while wanted:
            pid = wanted.pop()
            total += _cpu(pid)
            wanted |= children.get(pid, set())
        return total


def _traceparent() -> str:
    return f'00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01'


def _cpu(pid: int) -> float:
    # What clock_getcpuclockid(3) makes of a process on Linux: user and system
    # time of all its threads, in nanoseconds.
    return time.clock_gettime(~pid << 3 | 2)


def _children() -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                with open(f'/proc/{name}/stat', 'rb') as file:
                    # The name before it may have any character.
                    told = file.read().rpartition(b')')[2].split()
            except OSError:
                # It has ended in between.
                continue
            found.setdefault(int(told[1]), set()).add(int(name))
    return found

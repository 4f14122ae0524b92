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

"""Starts what is measured, and asks it for work."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import json
import os
import statistics
import subprocess
import sys
from typing import Any
import urllib.request

_LIMIT = 120


def _environment() -> dict[str, str]:
    """Return what a process gets: nothing that configures OpenTelemetry.

    What is compiled is kept, as where a package is installed.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(('OTEL_', 'OS_TRACING__'))
        and name != 'PYTHONDONTWRITEBYTECODE'
    }
    return {**kept, 'PYTHONHASHSEED': '0', 'no_proxy': '127.0.0.1'}


class Child:
    """A module of this package, as a process of its own.

    :param under: a command that runs it.
    """

    def __init__(
        self, module: str, *arguments: str, under: Sequence[str] = ()
    ) -> None:
        self._module = module
        self._process = subprocess.Popen(  # noqa: S603 - it is our own
            [
                *under,
                sys.executable,
                '-W',
                'ignore',
                '-m',
                f'benchmarks.{module}',
                *arguments,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )

    def read(self) -> str:
        """Return the next line that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f'{self._module} has ended too early')
        return line.strip()

    def ask(self, **work: Any) -> dict[str, Any]:
        """Have some work done, and return what it took."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(work) + '\n')
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.read())
        return answer

    def end(self) -> None:
        """End it, by the end of its input."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()


@contextlib.contextmanager
def sink() -> Any:
    """Start the other process; gives its URL."""
    child = Child('sink')
    try:
        yield child.read()
    finally:
        child.end()


def received(url: str) -> dict[str, dict[str, Any]]:
    """Ask the other process what has come, by variant."""
    with urllib.request.urlopen(f'{url}/received') as answer:  # noqa: S310
        found: dict[str, dict[str, Any]] = json.load(answer)
        return found


def quick(times: list[float]) -> float:
    """Return the quicker quartile: neighbours can only add to a time."""
    return statistics.quantiles(times, n=4)[0]


class Workers:
    """Fresh processes of several variants, which take turns.

    They work in turns of some requests, so that whatever else the machine
    does meets all of them alike.

    :param names: of the variants.
    :param url: of the sink.
    :param how: what the workers are told beside that.
    :param under: a command that runs each of them.
    """

    def __init__(
        self,
        names: list[str],
        url: str,
        *how: str,
        under: Sequence[str] = (),
    ) -> None:
        self._children = {
            name: Child('worker', name, url, *how, under=under)
            for name in names
        }
        for child in self._children.values():
            child.read()

    def take_turns(self, turns: int, **work: Any) -> dict[str, list[float]]:
        """Return the CPU time of each turn of each variant, in seconds."""
        times: dict[str, list[float]] = {name: [] for name in self._children}
        order = list(self._children)
        for turn in range(turns):
            # Who comes first is not always the same.
            for name in (
                order[turn % len(order) :] + order[: turn % len(order)]
            ):
                answer = self.ask(name, **work)
                times[name].append(answer['cpu'])
        return times

    def ask(self, name: str, **work: Any) -> dict[str, Any]:
        """Have one of them do some work, and return what it took."""
        return self._children[name].ask(**work)

    def end(self) -> None:
        """End all of them."""
        for child in self._children.values():
            child.end()

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

"""Programs that tests run, to their end or beside the test."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import fixtures
import testtools
from testtools import content
from testtools import content_type

#: Seconds until a program has to be ready, and to end.
PATIENCE = 300

_END_OF_A_LOG = 20_000

# What a caller says to our tests, to OpenTelemetry and to OpenStack's clients
# is not what he says to these.
_NOT_PASSED = ('OS_', 'OSLO_', 'OTEL_', 'PYTHONWARNINGS')


def environment(home: pathlib.Path, **more: str) -> dict[str, str]:
    """Return the variables that a program gets.

    :param home: its home, where the configuration of nobody is found.
    :param more: variables of its own.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_NOT_PASSED)
    }
    programs = os.path.dirname(sys.executable)
    return {
        **kept,
        'HOME': str(home),
        'PATH': os.pathsep.join([programs, kept.get('PATH', '')]),
        # werkzeug lists allowed methods in the order of a set.
        'PYTHONHASHSEED': '0',
        'PYTHONUNBUFFERED': '1',
        **more,
    }


def path_of(program: str) -> str | None:
    """Return where a program of this virtual environment is."""
    programs = os.path.dirname(sys.executable)
    return shutil.which(
        program, path=os.pathsep.join([programs, os.environ.get('PATH', '')])
    )


def listener() -> socket.socket:
    """Return a socket that listens on a port of the loopback address."""
    made = socket.create_server(('127.0.0.1', 0), backlog=128)
    made.set_inheritable(True)
    return made


def run(*command: str, home: pathlib.Path, **more: str) -> str:
    """Run a program to its end, and return what it said.

    :param more: variables of its own.
    :raises AssertionError: where it fails, with what it said.
    """
    done = subprocess.run(
        command,
        cwd=home,
        env=environment(home, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        text=True,
    )
    if done.returncode:
        raise AssertionError(
            f'{" ".join(command)}: {done.returncode}\n{done.stdout}'
        )
    return done.stdout


class Program(fixtures.Fixture):
    """A program that runs beside the test, until the fixture is taken off.

    :param name: how it is called there.
    :param command: with its arguments.
    :param home: its home and working directory.
    :param ready: asked until it is true.
    :param environment: variables of its own.
    :param pass_fds: descriptors that it inherits.
    :ivar process: the process, for signals.
    """

    def __init__(
        self,
        name: str,
        *command: str,
        home: pathlib.Path,
        ready: Callable[[], object],
        environment: Mapping[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.name = name
        self._command = command
        self._home = home
        self._ready = ready
        self._environment = dict(environment or {})
        self._pass_fds = pass_fds
        self._log = home / f'{name}.log'
        self._said: str | None = None

    def _setUp(self) -> None:
        with open(self._log, 'ab') as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._home,
                env=environment(self._home, **self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=self._pass_fds,
            )
        self.addCleanup(self._end)
        self.wait_for(self._ready, 'ready')

    def said(self) -> str:
        """Return the end of what it has said until now."""
        if self._said is None:
            with open(self._log, errors='replace') as log:
                return log.read()[-_END_OF_A_LOG:]
        return self._said

    def show_in(self, test: testtools.TestCase) -> None:
        """Show what it says where ``test`` fails."""
        test.addDetailUniqueName(
            f'{self.name}.log',
            content.Content(
                content_type.UTF8_TEXT, lambda: [self.said().encode()]
            ),
        )

    def _end(self) -> None:
        try:
            self.stop()
        finally:
            # The file goes with the home, before a test tells its details.
            self._said = self.said()

    def wait_for(self, true: Callable[[], object], what: str) -> None:
        """Wait until something is true while the program runs.

        :raises AssertionError: where it is not in time.
        """
        until = time.monotonic() + PATIENCE
        while not true():
            if self.process.poll() is not None:
                raise AssertionError(
                    f'{self.name} ended with {self.process.returncode} before '
                    f'it was {what}\n{self.said()}'
                )
            if time.monotonic() > until:
                raise AssertionError(
                    f'{self.name} is not {what} after {PATIENCE} s\n'
                    f'{self.said()}'
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f'{self.name} did not end\n{self.said()}'
            ) from None

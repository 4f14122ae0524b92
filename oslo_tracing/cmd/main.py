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

"""The command ``oslo-tracing``."""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import logging
import os
import sys
from typing import Any

from cliff import app
from cliff import command
from cliff import commandmanager

from oslo_tracing.cmd import common
from oslo_tracing.cmd import run

_DISTRIBUTION = 'oslo.tracing'


def _version() -> str:
    try:
        return importlib.metadata.version(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return 'unknown'


class TracingApp(app.App):
    """The application that cliff runs the commands in."""

    NAME = 'oslo-tracing'
    LOG = logging.getLogger(NAME)

    def __init__(self) -> None:
        self._began = False
        self._idle = False
        super().__init__(
            description='Find a trace of OpenStack services and read it.',
            version=_version(),
            command_manager=commandmanager.CommandManager(
                'oslo_tracing.commands'
            ),
            deferred_help=True,
        )

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,
        argparse_kwargs: dict[str, Any] | None = None,
    ) -> argparse.ArgumentParser:
        """Build cliff's parser, with our name however we were started."""
        parser = super().build_option_parser(
            description,
            version,
            {
                'prog': self.NAME,
                'epilog': common.EPILOG,
                'conflict_handler': 'resolve',
                **(argparse_kwargs or {}),
            },
        )
        parser.add_argument(
            '--version', action='version', version=f'{self.NAME} {version}'
        )
        return parser

    def interact(self) -> None:
        """Show the help; there is no shell, whose exit code would be lost."""
        self._idle = True
        self.run_subcommand(['help'])

    def prepare_to_run_command(self, cmd: command.Command) -> None:
        """Note that the command line names a command."""
        self._began = True

    def run(self, argv: list[str]) -> int:
        """Run one command line.

        :returns: 0, 1 or 2 as ``common`` says: cliff and argparse end
            with 2 for wrong usage, which here means that nothing is found.
        """
        try:
            result = super().run(argv)
        except SystemExit as exc:
            return common.FAILED if exc.code else common.FOUND
        # cliff did once return what `interact` does.
        if self._idle or (result == common.NOT_FOUND and not self._began):
            return common.FAILED
        return result


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    :param argv: arguments without the program; those of the process if
        ``None``.
    :returns: the exit code.
    """
    for name in ('stdout', 'stderr'):
        # Started with it closed: what a command does is done all the same.
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, 'w'))
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks must not end the listing.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ['run'] and words[1:2] not in (['-h'], ['--help']):
        # cliff would take options of the program for its own.
        return run.run(words[1:])
    result = TracingApp().run(words)
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would complain of the same again while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # `| head` has seen enough; what commands cannot write they have told.
        if not isinstance(error, BrokenPipeError) and result == common.FOUND:
            sys.stderr.write(f'{common.CannotWrite(error)}\n')
            return common.FAILED
    return result


if __name__ == '__main__':
    sys.exit(main())

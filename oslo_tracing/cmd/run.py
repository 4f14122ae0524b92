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

"""``oslo-tracing run``."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys

from cliff import command

from oslo_tracing import launch

_EPILOG = (
    'exit codes: those of the program, which takes the place of this '
    'command; 126 it cannot be run, 127 there is no such program.'
)


class Run(command.Command):
    """Run a service that knows nothing of this library, and trace it.

    Tracing is set up as [tracing] says as soon as the service has parsed its
    configuration; nothing happens where that does not enable it.
    """

    def get_epilog(self) -> str:
        """Return what help ends with."""
        return _EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'program',
            metavar='PROGRAM',
            nargs=argparse.REMAINDER,
            help='the program and its arguments, best after --',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Become the program."""
        return run(parsed_args.program)


def run(words: list[str]) -> int:
    """Become a program, which is traced.

    :param words: the program and its arguments, maybe with ``--`` in front.
    :returns: the exit code, where that is impossible.
    """
    if words[:1] == ['--']:
        words = words[1:]
    if not words:
        sys.stderr.write('oslo-tracing run: name the program to run\n')
        return 1
    if not words[0]:
        # Python raises no OSError for it.
        why = os.strerror(errno.ENOENT)
        sys.stderr.write(f"oslo-tracing run: '': {why}\n")
        return 127
    # Python ignores these, and what is ignored stays so in the program.
    for name in ('SIGPIPE', 'SIGXFSZ'):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        # As the user has asked for it, and without a shell.
        os.execvpe(words[0], words, launch.prepared(os.environ))  # noqa: S606
    except OSError as error:
        sys.stderr.write(f'oslo-tracing run: {words[0]}: {error.strerror}\n')
        return 127 if isinstance(error, FileNotFoundError) else 126

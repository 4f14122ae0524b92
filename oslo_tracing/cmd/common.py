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

"""What the commands share: the source, the exit codes, the complaints."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import contextlib
import functools
import os
import sys
from typing import Any
from typing import Final
from typing import NoReturn
from typing import Protocol
from typing import TextIO

from cliff import command
from cliff import lister

from oslo_tracing import _printable
from oslo_tracing.cmd import progress
from oslo_tracing.cmd import tokens
from oslo_tracing import exceptions
from oslo_tracing.report import sources
from oslo_tracing.report.sources import base

#: Exit codes. Documented in ``EPILOG`` and doc/source/cli.
FOUND: Final = 0
FAILED: Final = 1
NOT_FOUND: Final = 2

EPILOG: Final = (
    'exit codes: 0 found; 1 wrong usage, or the source cannot be read, or '
    'the output not written; 2 nothing found. What is broken in the data is '
    'told on standard error and passed over.'
)

_VARIABLE: Final = 'OSLO_TRACING_SOURCE'
_MOST_TOLD: Final = 20
_MAX_TEXT: Final = 128


class CannotWrite(exceptions.TracingError):
    """The system does not let a command write what it has found."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f'cannot write {system_error(error)}')


def system_error(error: OSError) -> str:
    """Return what an error is about, and what the system says of it."""
    about = error.filename
    if about is None:
        about = 'the output'
    return f'{_printable.printable(str(about))}: {error.strerror or error}'


def add_source(parser: argparse.ArgumentParser) -> None:
    """Let the user say where traces are read from."""
    parser.add_argument(
        '--source',
        metavar='SOURCE',
        default=os.environ.get(_VARIABLE),
        help='where to read: a file of OTLP JSON (one document a line, as '
        'the file exporter and collectors write it; also gzipped), a '
        'directory with all such files below it, - for standard input, or '
        'the query API of a server: jaeger+http://HOST:16686, '
        'tempo+http://HOST:3200 or zipkin+http://HOST:9411, also with '
        f'https, and with a bearer token from {tokens.VARIABLE} or the file '
        f'that {tokens.FILE_VARIABLE} names; '
        f'default: the environment variable {_VARIABLE}',
    )


def open_source(
    parsed_args: argparse.Namespace, stderr: TextIO
) -> sources.Source:
    """Open what ``--source`` names.

    :param stderr: shows how far a long reading is, if it is a terminal.
    :raises SourceError: when it names nothing, or nothing readable.
    """
    if not parsed_args.source:
        raise sources.SourceError(
            f'no source: give --source SOURCE or set {_VARIABLE}'
        )
    return open_named(parsed_args.source, stderr)


def open_named(text: str, stderr: TextIO) -> sources.Source:
    """Open a source by its name, with the token that is for it.

    :param stderr: as for :func:`open_source`.
    :raises SourceError: when that is none, or not readable.
    """
    token = tokens.of(text, os.environ.get(_VARIABLE))
    source = sources.open_source(text, token)
    if stderr.isatty():
        source.watch = progress.Bar(stderr)
    return source


def _end_wrong_usage_with_1(parser: argparse.ArgumentParser) -> None:
    """Make a parser end as ``EPILOG`` says, whoever runs the command.

    argparse ends with 2, which here means that nothing was found.
    """
    setattr(parser, 'error', functools.partial(_wrong_usage, parser))


def _wrong_usage(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    parser.print_usage(sys.stderr)
    parser.exit(FAILED, f'{parser.prog}: error: {message}\n')


def count(value: str) -> int:
    """Read the value of an option that bounds how many are shown."""
    number = int(value) if value.isascii() and len(value) < 10 else 0
    if number < 1:
        raise argparse.ArgumentTypeError('give a number from 1 up')
    return number


def shown(value: str) -> str:
    """Return text out of a trace as it may be printed in a cell."""
    return _printable.printable(value, _MAX_TEXT)


def csv_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return cells that a spreadsheet will not run as formulas."""
    return tuple(
        f"'{cell}"
        if isinstance(cell, str) and cell.startswith(('=', '+', '-', '@'))
        else cell
        for cell in row
    )


class Command(command.Command):
    """What our commands have in common: usage, exit codes, complaints."""

    #: OpenStackClient logs in before a command unless it says this.
    auth_required = False

    def get_epilog(self) -> str:
        """Return what help ends with."""
        return EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, without options yet."""
        parser = super().get_parser(prog_name)
        _end_wrong_usage_with_1(parser)
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command.

        :raises CannotWrite: where the system does not let it. What cannot be
            read is a ``SourceError`` already. A pipe that nobody reads from
            any more is neither: ``| head`` has seen enough.
        """
        try:
            result = super().run(parsed_args)
            with contextlib.suppress(BrokenPipeError):
                # What is left in the buffer may be what cannot be written.
                self.app.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CannotWrite(error) from error
        return result


class Reader(Command):
    """A command that reads traces, and prints them in a way of its own."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser: where to read."""
        parser = super().get_parser(prog_name)
        add_source(parser)
        return parser

    def open_source(self, parsed_args: argparse.Namespace) -> sources.Source:
        """Open what ``--source`` names."""
        return open_source(parsed_args, self.app.stderr)

    def missing(self, what: str, source: sources.Source) -> None:
        """Say what is not in a source."""
        self.app.stderr.write(f'{what} in {shown(source.name)}\n')


class Rows(Command, lister.Lister):
    """A command that prints rows, and says by its code if there were any."""

    #: What is said where there are none; the source's name follows.
    nothing = 'no traces'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser: where to read, how many rows."""
        parser = super().get_parser(prog_name)
        self.add_sources(parser)
        parser.add_argument(
            '--limit',
            metavar='COUNT',
            type=count,
            help='how many rows to print at most; default: all',
        )
        return parser

    def add_sources(self, parser: argparse.ArgumentParser) -> None:
        """Add the options that say where to read."""
        add_source(parser)

    def open_source(self, parsed_args: argparse.Namespace) -> sources.Source:
        """Open what ``--source`` names."""
        source = open_source(parsed_args, self.app.stderr)
        # Unlike what was given it holds no password.
        self._source_name = source.name
        return source

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; the code tells whether there was something."""
        self._found = False
        result = super().run(parsed_args)
        return result or (FOUND if self._found else NOT_FOUND)

    def cells(
        self,
        parsed_args: argparse.Namespace,
        rows: Sequence[tuple[Any, ...]],
    ) -> list[tuple[Any, ...]]:
        """Return the rows that were asked for, as the format wants them."""
        self._found = bool(rows)
        if not rows:
            self.app.stderr.write(
                f'{self.nothing} in {shown(self._source_name)}\n'
            )
        wanted = rows[: parsed_args.limit]
        if parsed_args.formatter == 'csv':
            return [csv_row(row) for row in wanted]
        return list(wanted)


def milliseconds(duration: float) -> float:
    """Return nanoseconds as a cell has them."""
    return round(duration / 1e6, 2)


class _HasProblems(Protocol):
    @property
    def problems(self) -> base.Problems: ...


def tell_without_start(number: int, stream: TextIO) -> None:
    """Say that of so many spans nobody recorded when they started."""
    if number:
        spans = 'span has' if number == 1 else 'spans have'
        stream.write(
            f'{number} {spans} no start: times are of what is known\n'
        )


def tell_problems(source: _HasProblems, stream: TextIO) -> None:
    """Say what was passed over in the last reading of ``source``."""
    told = list(source.problems)
    for problem in told[:_MOST_TOLD]:
        stream.write(f'warning: {problem}\n')
    more = len(told) - _MOST_TOLD
    if source.problems.untold:
        more = max(more, 0) + source.problems.untold
    if more > 0:
        stream.write(f'warning: and {more} more like these\n')

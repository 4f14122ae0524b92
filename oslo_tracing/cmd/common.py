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
import os
from typing import Final
from typing import TextIO

from oslo_tracing.report import sources

#: Exit codes. Documented in ``EPILOG`` and doc/source/cli.
FOUND: Final = 0
FAILED: Final = 1
NOT_FOUND: Final = 2

EPILOG: Final = (
    'exit codes: 0 found; 1 wrong usage, or the source cannot be read; '
    '2 nothing found. What is broken in the data is told on standard error '
    'and passed over.'
)

_VARIABLE: Final = 'OSLO_TRACING_SOURCE'
_MOST_TOLD: Final = 20


def add_source(parser: argparse.ArgumentParser) -> None:
    """Let the user say where traces are read from."""
    parser.add_argument(
        '--source',
        metavar='PATH',
        default=os.environ.get(_VARIABLE),
        help='where to read: a file of OTLP JSON (one document a line, as '
        'the file exporter and collectors write it; also gzipped), a '
        'directory with all such files below it, or - for standard input; '
        f'default: the environment variable {_VARIABLE}',
    )


def open_source(parsed_args: argparse.Namespace) -> sources.Source:
    """Open what ``--source`` names.

    :raises SourceError: when it names nothing, or nothing readable.
    """
    if not parsed_args.source:
        raise sources.SourceError(
            f'no source: give --source PATH or set {_VARIABLE}'
        )
    return sources.open_source(parsed_args.source)


def tell_problems(source: sources.Source, stream: TextIO) -> None:
    """Say what was passed over in the last reading of ``source``."""
    told = list(source.problems)
    for problem in told[:_MOST_TOLD]:
        stream.write(f'warning: {problem}\n')
    more = len(told) - _MOST_TOLD
    if source.problems.untold:
        more = max(more, 0) + source.problems.untold
    if more > 0:
        stream.write(f'warning: and {more} more like these\n')

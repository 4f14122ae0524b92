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

"""``oslo-tracing collect``."""

from __future__ import annotations

import argparse
from typing import Final

from oslo_tracing.cmd import common
from oslo_tracing.report import collect

_MAX_BYTES: Final = 256 * 1024 * 1024


class Collect(common.Command):
    """Copy trace files to where everybody may read them.

    Secrets are taken out once more, of spans that others have recorded as
    well; the copies are packed. A second time only what is new is written.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'directory', metavar='DIR', help='with trace files in or below it'
        )
        parser.add_argument(
            '--output',
            metavar='DIR',
            required=True,
            help='the directory to copy to; made where it is missing',
        )
        parser.add_argument(
            '--max-bytes',
            metavar='BYTES',
            type=_size,
            default=_MAX_BYTES,
            help='how much the copies of one run may take, in all; the '
            'smallest files come first, and the last is cut short; what '
            'earlier runs have left stays, and is told where it is too much; '
            'default: 256 MiB',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Copy, and say what became of it."""
        made = collect.collect(
            parsed_args.directory, parsed_args.output, parsed_args.max_bytes
        )
        common.tell_problems(made, self.app.stderr)
        for name in made.cut:
            self.app.stderr.write(
                f'no room for all of it: {common.shown(name)}\n'
            )
        if made.left and made.bytes + made.left > parsed_args.max_bytes:
            self.app.stderr.write(
                f'{made.left} bytes that earlier runs have left are in the '
                'output as well\n'
            )
        self.app.stdout.write(
            f'{made.files} files, {made.changed} changed, {made.spans} spans, '
            f'{made.bytes} bytes\n'
        )
        return common.FOUND if made.files else common.NOT_FOUND


def _size(value: str) -> int:
    number = int(value) if value.isascii() and value.isdigit() else 0
    if not 0 < number < 2**63:
        raise argparse.ArgumentTypeError('give a number of bytes from 1 up')
    return number

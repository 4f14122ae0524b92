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

"""Files of strangers: regular ones only, read in lines of bounded length."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import gzip
import os
import stat
from typing import BinaryIO
from typing import Final
import zlib

#: A longer line is passed over; counted after decompression.
MAX_LINE: Final = 16 * 1024 * 1024
#: A file is given up when one line is longer than this.
_MAX_SKIPPED: Final = 256 * 1024 * 1024
#: Past so many bytes, what was packed tighter than this is no trace (those
#: pack 10 to 50 times) but a file made to expand for hours.
_MAX_UNPACKED: Final = 64 * 1024 * 1024
_MAX_RATIO: Final = 200
_CHUNK: Final = 256 * 1024

_GZIP: Final = b'\x1f\x8b'


class Unreadable(Exception):
    """The file, or the rest of it, is not for us to read."""


def open_regular(path: str, follow: bool) -> BinaryIO:
    """Open a regular file, and never wait for anything else.

    :param path: its name.
    :param follow: whether it may be a symbolic link to one.
    :raises OSError: when there is no such file, or it may not be read.
    :raises Unreadable: when it is a directory, FIFO, socket or device.
    """
    # Asked before opening (a device may act on that) and again after it
    # (the name may mean another file by then).
    _require_regular(os.stat(path, follow_symlinks=follow))
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    number = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    try:
        _require_regular(os.fstat(number))
        return os.fdopen(number, 'rb', _CHUNK)
    except BaseException:
        os.close(number)
        raise


def _require_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable('not a regular file')


def lines(
    packed: BinaryIO, tell: Callable[[str, int], None]
) -> Iterator[tuple[int, bytes]]:
    """Read a file line by line; gzip is seen by its first bytes.

    :param packed: a file at its start.
    :param tell: called with a sentence and a line number about each line
        passed over.
    :returns: pairs of number (from 1) and line with its newline.
    :raises Unreadable: when the file, or the rest of it, is given up.
    """
    try:
        zipped = packed.read(2) == _GZIP
        packed.seek(0)
    except OSError as exc:
        raise Unreadable(exc.strerror or str(exc)) from None
    # No buffer of our own around it: one would lose what was unpacked
    # before the place where the file is damaged.
    stream = gzip.GzipFile(fileobj=packed, mode='rb') if zipped else packed
    number = 0
    unpacked = 0
    try:
        while True:
            line = stream.readline(MAX_LINE + 1)
            if not line:
                return
            number += 1
            length = len(line)
            if length > MAX_LINE:
                tell(f'a line over {MAX_LINE >> 20} MiB passed over', number)
                while line and not line.endswith(b'\n'):
                    line = stream.readline(_CHUNK)
                    length += len(line)
                    if length > _MAX_SKIPPED:
                        raise Unreadable(
                            f'line {number} is over {_MAX_SKIPPED >> 20} MiB;'
                            ' the rest of the file passed over'
                        )
                line = b''
            unpacked += length
            if zipped and unpacked > _MAX_UNPACKED:
                if unpacked > _MAX_RATIO * packed.tell():
                    raise Unreadable(
                        f'packed more than {_MAX_RATIO} times; the rest of '
                        'the file passed over'
                    )
            if line:
                yield number, line
    except EOFError:
        # What a process that still runs, or was killed, leaves behind.
        raise Unreadable('the compressed file is cut short') from None
    except (OSError, zlib.error) as exc:
        raise Unreadable(f'the rest passed over: {exc}') from None

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

"""Trace files of a machine, made fit to be kept where anybody reads them.

One packed file for each that was found, without secrets, and no more in all
than was asked for. The same files give the same bytes, so that what was
collected already is not written again.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import gzip
import hashlib
import os
import tempfile
from typing import BinaryIO
from typing import Final

from oslo_tracing.report import model
from oslo_tracing.report.render import otlp
from oslo_tracing.report import secrets
from oslo_tracing.report.sources import base
from oslo_tracing.report.sources import files

_SUFFIX: Final = '.jsonl.gz'
_UNFINISHED: Final = '.new'
#: In bytes, of every file system that matters.
_LONGEST_NAME: Final = 255
_FILE_MODE: Final = 0o640
_DIRECTORY_MODE: Final = 0o750
#: So many spans are written together: a reader finds the rest of a file that
#: was cut short.
_BATCH: Final = 256
#: gzip's own words, and what is not yet written out.
_ROOM: Final = 4096


@dataclasses.dataclass
class Collected:
    """What became of the files."""

    #: Files that there are now, and those of them that were written anew.
    files: int = 0
    changed: int = 0
    spans: int = 0
    #: Of the files, as they lie there.
    bytes: int = 0
    #: Bytes in the output that are not of this run.
    left: int = 0
    #: Names of files that were cut short or left out for want of room.
    cut: list[str] = dataclasses.field(default_factory=list)
    #: What was passed over.
    problems: base.Problems = dataclasses.field(default_factory=base.Problems)


def collect(directory: str, output: str, max_bytes: int) -> Collected:
    """Copy the trace files of a directory.

    The smallest come first: what one noisy service leaves no room for is
    what it has written itself.

    :param directory: with trace files in it or below it.
    :param output: a directory; made where it is missing.
    :param max_bytes: of all copies of these files. What earlier runs have
        left of others may be somebody's, and stays.
    :raises CannotRead: when there is no such directory.
    :raises SourceError: when the output is that directory.
    """
    source = files.FileSource(directory)
    made = Collected(problems=source.problems)
    copies = os.path.realpath(output)
    if copies == os.path.realpath(directory):
        # What was there packed could not be told from copies.
        raise base.SourceError('give another directory for the output')
    os.makedirs(output, mode=_DIRECTORY_MODE, exist_ok=True)
    found = sorted(
        (path for path in source.files() if not _is_copy(path, copies)),
        key=lambda path: (_size(path), path),
    )
    taken: set[str] = set()
    for path in found:
        name = _name(os.path.relpath(path, directory), taken)
        room = max_bytes - made.bytes
        if room < _ROOM:
            made.cut.append(name)
            continue
        spans = source.spans_of(path)
        if not _one(spans, os.path.join(output, name), room, made):
            made.cut.append(name)
    made.left = _all(output) - made.bytes
    return made


def _is_copy(path: str, copies: str) -> bool:
    """Whether a file is what was collected: the output may be below."""
    return (
        path.endswith(_SUFFIX)
        and os.path.realpath(os.path.dirname(path)) == copies
    )


def _all(output: str) -> int:
    """Return how many bytes copies have, and those that were not finished."""
    with os.scandir(output) as entries:
        return sum(
            _size(entry.path)
            for entry in entries
            if entry.name.endswith((_SUFFIX, _UNFINISHED))
        )


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _name(path: str, taken: set[str]) -> str:
    """Return a name for a file; those of two directories may be alike."""
    name = path.replace(os.sep, '-')
    for suffix in ('.gz', '.jsonl', '.json'):
        name = name.removesuffix(suffix)
    number = 1
    wanted = _short(name)
    while wanted in taken:
        number += 1
        wanted = _short(f'{name}-{number}')
    taken.add(wanted)
    return wanted + _SUFFIX


def _short(name: str) -> str:
    """Return a name that a file may have, the same each time."""
    most = _LONGEST_NAME - len(_SUFFIX)
    whole = os.fsencode(name)
    if len(whole) <= most:
        return name
    # Of what differs in the rest only this is left.
    end = '-' + hashlib.sha256(whole).hexdigest()[:16]
    while len(os.fsencode(name)) > most - len(end):
        name = name[:-1]
    return name + end


def _one(
    spans: Iterator[model.Span], path: str, room: int, made: Collected
) -> bool:
    """Write one file; whether all that there was had room."""
    number, beside = tempfile.mkstemp(
        dir=os.path.dirname(path), prefix='.', suffix=_UNFINISHED
    )
    try:
        with os.fdopen(number, 'w+b') as stream:
            os.fchmod(number, _FILE_MODE)
            count, whole = _pack(spans, stream, room)
            stream.flush()
            size = stream.tell()
            if not count:
                return whole
            if not _same(stream, path):
                os.rename(beside, path)
                made.changed += 1
        os.chmod(path, _FILE_MODE)
    finally:
        if os.path.exists(beside):
            os.unlink(beside)
    made.files += 1
    made.spans += count
    made.bytes += size
    return whole


def _pack(
    spans: Iterator[model.Span], stream: BinaryIO, room: int
) -> tuple[int, bool]:
    """Write spans until there is no room; how many, and whether all."""
    cleaner = secrets.Cleaner()
    count = 0
    # Without a name and a time, which would make other bytes each time.
    with gzip.GzipFile('', 'wb', 9, stream, mtime=0) as packed:
        batch: list[model.Span] = []

        def write() -> bool:
            nonlocal count
            for line, number in otlp.counted(batch):
                data = line.encode() + b'\n'
                packed.flush()
                left = room - stream.tell() - _ROOM
                # Packed it is a tenth; how much, is asked when it matters.
                if len(data) > left and len(gzip.compress(data)) > left:
                    return False
                packed.write(data)
                count += number
            return True

        for span in spans:
            batch.append(cleaner.clean(span))
            if len(batch) == _BATCH:
                if not write():
                    return count, False
                batch.clear()
        whole = write()
        return count, whole


def _same(stream: BinaryIO, path: str) -> bool:
    """Whether a file has the same bytes; the stream is left at its end."""
    try:
        with open(path, 'rb') as other:
            stream.seek(0)
            while True:
                one = stream.read(1 << 16)
                if one != other.read(1 << 16):
                    return False
                if not one:
                    return True
    except OSError:
        return False

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


"""The trace files of one directory, which many processes share.

A writer holds a lock (``flock``) on the file it writes. It ends with the
process however that dies, and holds across containers that share the
directory but not their pids; so a file that can be locked is closed, and may
be removed when room is needed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time
from typing import Final

from opentelemetry.sdk import resources

from oslo_tracing import attributes as names
from oslo_tracing.exporters import _validate

SUFFIX: Final = '.jsonl'

_DIRECTORY_MODE: Final = 0o750
# Of those above it; whatever the umask is, nobody else may write to them.
_PARENT_MODE: Final = 0o755
_FILE_MODE: Final = 0o640
_MAX_NAMES: Final = 10000
# Looking at the directory costs a stat for each file in it: not for every
# line, but often enough to stay near the limit.
_LOOK_EVERY_BYTES: Final = 1024 * 1024
_LOOK_EVERY_SECONDS: Final = 5.0
# They pass while the file is open, and end with room in it.
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)

_UNSAFE: Final = re.compile(r'[^A-Za-z0-9_.]+')
# As `name_for` and `TraceFiles` make them: what else is in the directory is
# not ours to count or to remove.
_OURS: Final = re.compile(
    r'[\w.]+-[\w.]+-\d+-[\w.]+?(-\d+)?(\.\d+)?' + re.escape(SUFFIX),
    re.ASCII,
)


class Full(Exception):
    """The directory holds as much as it may, and no file can be removed."""


def name_for(resource: resources.Resource) -> str:
    """Return ``service-host-pid-instance``, fit for a file name.

    The pid is this process's own, whatever the resource was made with.
    """
    found = resource.attributes
    parts = (
        found.get(names.SERVICE_NAME) or 'unknown_service',
        found.get(names.HOST_NAME) or os.uname().nodename,
        os.getpid(),
        found.get(names.SERVICE_INSTANCE_ID) or 'none',
    )
    return '-'.join(_safe(str(part)) for part in parts)


def _safe(part: str) -> str:
    # A leading dot would hide the file, or leave the directory.
    return _UNSAFE.sub('_', part)[:48].lstrip('.') or '_'


class TraceFiles:
    """Appends whole lines to the current file of this process.

    :param directory: absolute; made where it is missing.
    :param name: start of the file names.
    :param max_bytes: size at which the next file is begun, half of the
        total at most.
    :param total_max_bytes: of all trace files in the directory. Writers do
        not wait for each other: all together may exceed it by a megabyte
        each.
    """

    def __init__(
        self, directory: str, name: str, max_bytes: int, total_max_bytes: int
    ) -> None:
        self.directory = directory
        self._name = name
        # The file that is open is never removed: it must not be all.
        self._max_bytes = min(max_bytes, total_max_bytes // 2)
        self._total_max_bytes = total_max_bytes
        self._fd: int | None = None
        self._size = 0
        self._file = ''
        self._number = 0
        self._unlooked = 0
        self._looked_at = float('-inf')
        self._look_every = min(_LOOK_EVERY_BYTES, total_max_bytes // 16)

    def write(self, line: bytes) -> None:
        """Append a line, as a whole or not at all.

        :raises Full: when there is no room and none can be made.
        :raises OSError: when the disk or the directory refuses.
        """
        if self._fd is not None:
            self._look_at_current(self._fd)
        if self._fd is not None and (
            self._size and self._size + len(line) > self._max_bytes
        ):
            self._rotate()
        self._make_room(len(line))
        opened = self._fd is None
        if opened:
            self._open()
        assert self._fd is not None
        try:
            self._append(self._fd, line)
        except OSError as error:
            if error.errno not in _NO_SPACE:
                self.close()
                if opened:
                    # Else there would be an empty file for each batch.
                    self._remove_current()
            raise
        self._size += len(line)
        self._unlooked += len(line)

    def _look_at_current(self, fd: int) -> None:
        try:
            status = os.fstat(fd)
        except OSError:
            self.close()
            raise
        if status.st_nlink == 0:
            # Somebody removed the file: what we write would be gone, and
            # counted as exported.
            self.close()
        # logrotate's copytruncate empties it: to cut a half line off at
        # the old size would fill it up with zeros.
        self._size = min(self._size, status.st_size)

    def _append(self, fd: int, line: bytes) -> None:
        try:
            if os.write(fd, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            # No half line for a reader to stumble over. Nobody else writes
            # to this file.
            try:
                os.ftruncate(fd, self._size)
            except OSError:
                # What came next would be the rest of that line.
                self.close()
            raise

    def _remove_current(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.directory, self._file))

    def close(self) -> None:
        """Close the current file, if any; safe in a forked child.

        What was open when a disk or a share went away stays broken when that
        is back, and often cannot be closed without an error either.
        """
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)

    def _rotate(self) -> None:
        """Begin anew; the old file gets a number and is closed."""
        self.close()
        while True:
            self._number += 1
            rotated = f'{self._name}.{self._number}{SUFFIX}'
            if not os.path.lexists(os.path.join(self.directory, rotated)):
                break
        try:
            os.rename(
                os.path.join(self.directory, self._file),
                os.path.join(self.directory, rotated),
            )
        except FileNotFoundError:
            # Somebody removed it.
            pass

    def _open(self) -> None:
        self._make_directory()
        for number in range(1, _MAX_NAMES):
            # Ours is taken where this process has traced before.
            again = f'-{number}' if number > 1 else ''
            name = f'{self._name}{again}{SUFFIX}'
            path = os.path.join(self.directory, name)
            try:
                fd = os.open(
                    path,
                    os.O_WRONLY
                    | os.O_APPEND
                    | os.O_CREAT
                    | os.O_EXCL
                    | os.O_NOFOLLOW
                    | os.O_CLOEXEC,
                    _FILE_MODE,
                )
            except FileExistsError:
                continue
            if _keep(fd, path):
                break
            os.close(fd)
        else:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        self._fd, self._file, self._size = fd, name, 0

    def _make_directory(self) -> None:
        missing = []
        path = self.directory.rstrip('/')
        while not os.path.isdir(path or '/'):
            missing.append(path)
            path = os.path.dirname(path)
        while missing:
            path = missing.pop()
            # Another worker may be faster.
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, _PARENT_MODE if missing else _DIRECTORY_MODE)
        why = _validate.wrong_with_directory(self.directory)
        if why:
            raise OSError(errno.EACCES, why)

    def _make_room(self, wanted: int) -> None:
        now = time.monotonic()
        if (
            self._fd is not None
            and self._unlooked + wanted < self._look_every
            and now - self._looked_at < _LOOK_EVERY_SECONDS
        ):
            return
        files = self._files()
        total = sum(size for _mtime, size, _path in files) + wanted
        for _mtime, size, path in files:
            if total <= self._total_max_bytes:
                break
            if _remove_if_closed(path):
                total -= size
        if total > self._total_max_bytes:
            raise Full
        self._unlooked = 0
        self._looked_at = now

    def _files(self) -> list[tuple[float, int, str]]:
        """Return all trace files as (mtime, size, path), oldest first."""
        found = []
        try:
            with os.scandir(self.directory) as entries:
                for entry in entries:
                    if not _OURS.fullmatch(entry.name):
                        continue
                    try:
                        if entry.is_file(follow_symlinks=False):
                            status = entry.stat(follow_symlinks=False)
                            found.append(
                                (status.st_mtime, status.st_size, entry.path)
                            )
                    except FileNotFoundError:
                        continue
        except FileNotFoundError:
            return []
        return sorted(found)


def _keep(fd: int, path: str) -> bool:
    """Lock a new file; whether it is still there.

    Until then it looks closed to a writer that makes room.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # Not on this file system; then nobody can lock it, nor remove it
        # for being closed.
        return True
    return os.path.lexists(path)


def _remove_if_closed(path: str) -> bool:
    try:
        fd = os.open(
            path,
            os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
        )
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True

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

"""OTLP JSON in files: one ``TracesData`` a line, from many processes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import os
import shutil
import sys
import tempfile
from typing import Any
from typing import BinaryIO
from typing import Final

from oslo_tracing.report import model
from oslo_tracing.report.sources import _json
from oslo_tracing.report.sources import _lines
from oslo_tracing.report.sources import base
from oslo_tracing.report.sources import osprofiler
from oslo_tracing.report.sources import otlp

#: What is read of a directory; a file named by the user may be called
#: anything.
_SUFFIXES: Final = ('.jsonl', '.json', '.jsonl.gz', '.json.gz')
_MAX_DIRECTORIES_DEEP: Final = 32
#: How a new document starts in a file of one document a line.
_STARTS: Final = (b'{"resourceSpans"', b'{"resource_spans"')

_Tell = Callable[[str, int], None]


class FileSource(base.Source):
    """A file, a directory with all below it, or standard input.

    :param name: its path, or ``-``.
    :raises CannotRead: when there is no such file or directory, it is
        neither of the two, or nothing can be read of it.
    """

    def __init__(self, name: str) -> None:
        super().__init__('standard input' if name == '-' else name)
        self._path = name
        self._input: BinaryIO | None = None
        self._done = self._size = 0
        if name == '-':
            return
        try:
            if os.path.isdir(name):
                with os.scandir(name):
                    pass
            else:
                with _lines.open_regular(name, follow=True) as stream:
                    # A bad disk, or a server that is gone, opens it all
                    # the same.
                    stream.read(1)
        except (OSError, ValueError, _lines.Unreadable) as exc:
            raise base.CannotRead(name, _reason(exc)) from None

    def spans(self) -> Iterator[model.Span]:
        """Read every span of every file, in bounded memory."""
        self.problems.clear()
        self._done = 0
        self._size = self._measure() if self.watch else 0
        try:
            yield from self._all()
        finally:
            if self.watch:
                self.watch(self._size, self._size)

    def _measure(self) -> int:
        """Return how many bytes there are to read."""
        if self._path == '-':
            return os.fstat(self._standard_input().fileno()).st_size
        paths: Iterable[str] = [self._path]
        if os.path.isdir(self._path):
            paths = self.files()
        size = 0
        for path in paths:
            with contextlib.suppress(OSError):
                size += os.stat(path).st_size
        # What the walk complained of, the next one tells again.
        self.problems.clear()
        return size

    def _all(self) -> Iterator[model.Span]:
        if self._path == '-':
            yield from self._read(self.name, self._standard_input())
        elif not os.path.isdir(self._path):
            yield from self._open(self._path, follow=True)
        else:
            some = False
            for path in self.files():
                some = True
                yield from self.spans_of(path)
            if not some:
                self.problems.tell(
                    self.name, f'no file named *{", *".join(_SUFFIXES)} in it'
                )

    def close(self) -> None:
        """Forget what standard input said."""
        if self._input is not None:
            self._input.close()
            self._input = None

    def _standard_input(self) -> BinaryIO:
        if self._input is None:
            if sys.stdin is None:
                raise base.CannotRead(self.name, 'it is closed')
            # It can be read once, but finding a trace takes several
            # readings; the copy has no name and goes with us.
            self._input = tempfile.TemporaryFile()
            try:
                shutil.copyfileobj(sys.stdin.buffer, self._input)
            except OSError as exc:
                self.close()
                raise base.CannotRead(self.name, _reason(exc)) from None
        self._input.seek(0)
        return self._input

    def files(self) -> Iterator[str]:
        """Find the trace files of a directory, and of all below it."""
        left = [(0, self._path)]
        while left:
            depth, directory = left.pop()
            try:
                with os.scandir(directory) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as exc:
                self.problems.tell(directory, _reason(exc))
                continue
            below = []
            for entry in found:
                try:
                    is_directory = entry.is_dir(follow_symlinks=False)
                except OSError as exc:
                    self.problems.tell(entry.path, _reason(exc))
                    continue
                if is_directory:
                    below.append((depth + 1, entry.path))
                elif entry.name.endswith(_SUFFIXES):
                    yield entry.path
            if depth < _MAX_DIRECTORIES_DEEP:
                left.extend(reversed(below))

    def spans_of(self, path: str) -> Iterator[model.Span]:
        """Read every span of one of :meth:`files`.

        What it is by now, if it is there at all, is among the problems.
        """
        return self._open(path, follow=False)

    def _open(self, path: str, follow: bool) -> Iterator[model.Span]:
        try:
            stream = _lines.open_regular(path, follow)
        except (OSError, _lines.Unreadable) as exc:
            self.problems.tell(path, _reason(exc))
            return
        with stream:
            yield from self._read(path, stream)

    def _read(self, where: str, stream: BinaryIO) -> Iterator[model.Span]:
        line = 0

        def tell(what: str, number: int = 0) -> None:
            self.problems.tell(where, what, number or line)

        try:
            for line, document in _documents(stream, tell):
                if osprofiler.is_report(document):
                    document = osprofiler.as_otlp(document)
                yield from otlp.spans(document, tell)
                if self.watch:
                    # Files grow while they are read.
                    done = min(self._done + stream.tell(), self._size)
                    self.watch(done, self._size)
        except _lines.Unreadable as exc:
            self.problems.tell(where, str(exc))
        self._done += stream.tell()


def _documents(stream: BinaryIO, tell: _Tell) -> Iterator[tuple[int, Any]]:
    """Find the documents: one a line, or over many lines as tools print.

    :returns: pairs of line and parsed document.
    """
    pending: list[bytes] = []
    started = size = depth = 0
    for number, line in _lines.lines(stream, tell):
        if pending and line.startswith(_STARTS):
            tell('a document cut short passed over', started)
            pending = []
        if not pending:
            if not line.strip():
                continue
            if not _goes_on(line):
                yield from _parsed(line, number, tell)
                continue
            started, size, depth = number, 0, 0
        pending.append(line)
        size += len(line)
        depth += _json.unclosed(line)
        if size > _lines.MAX_LINE:
            tell('a document over 16 MiB passed over', started)
            pending = []
        elif depth <= 0:
            yield from _parsed(b''.join(pending), started, tell)
            pending = []
    if pending:
        tell('a document cut short passed over', started)


def _goes_on(line: bytes) -> bool:
    end = line.rstrip()[-1:]
    return end in (b'{', b'[', b',') and _json.unclosed(line) > 0


def _parsed(
    data: bytes, number: int, tell: _Tell
) -> Iterator[tuple[int, Any]]:
    try:
        document, clean = _json.loads(data)
    except _json.NotJson as exc:
        if not data.endswith(b'\n') and data.lstrip().startswith(b'{'):
            tell('the last line is cut short; passed over', number)
        else:
            tell(f'{exc}; passed over', number)
        return
    if not clean:
        tell('text that is not UTF-8', number)
    yield number, document


def _reason(exc: Exception) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc)

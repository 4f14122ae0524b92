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

"""What may be said of an exception.

Its class, and where it passed. Messages hold what a request carried, so they
are for those who ask for them, and a database's are for nobody: they quote
the row.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
import re
import types

from oslo_tracing import _regex
from oslo_tracing.scrub import _named
from oslo_tracing.scrub import _shapes
from oslo_tracing.scrub import urls

#: Characters of a stack trace; all of them ASCII, so bytes too.
MAX_FRAMES_LENGTH = 8192
#: Frames of a stack trace, over all exceptions of a chain.
MAX_FRAMES = 100

_MAX_CHAIN = 16
# Beyond it a message is not even searched for what a database says.
_MAX_SEARCHED = 65536
_CAUSED = (
    'The above exception was the direct cause of the following exception:'
)
_DURING = 'During handling of the above exception, another exception occurred:'

_DATABASE_PACKAGES = frozenset(
    (
        'MySQLdb',
        'aiomysql',
        'aiosqlite',
        'asyncmy',
        'asyncpg',
        'cx_Oracle',
        'ibm_db',
        'mariadb',
        'mysql',
        'oracledb',
        'oslo_db',
        'pg8000',
        'psycopg',
        'psycopg2',
        'pymssql',
        'pymysql',
        'pyodbc',
        'sqlalchemy',
        'sqlite3',
        '_sqlite3',
    )
)
#: Errors of these say what was run, and what it wrote; those of managers
#: quote the traceback of another process, as of the daemon of rootwrap.
_COMMAND_MODULES = frozenset(
    (
        'multiprocessing.managers',
        'oslo_concurrency.processutils',
        'subprocess',
    )
)
#: Errors of these quote the document that they do not accept.
_VALIDATING_PACKAGES = frozenset(('jsonschema', 'jsonschema_rs'))
_DATABASE_SENTENCE = _regex.late(
    r'\[SQL: |\[parameters: |sqlalche\.me/'
    r'|\b(?:_?sqlite3|pymysql|MySQLdb|psycopg2?|asyncpg|mariadb)\.'
    # As PEP 249 calls them, rebuilt from another process.
    r'|\b(?:Data|Database|Integrity|Interface|Internal|NotSupported'
    r'|Operational|Programming)Error:? ?\('
    # What quotes the row, of MySQL and PostgreSQL.
    r"|Duplicate entry '|Incorrect [a-z ]{1,32} value: '"
    r'|DETAIL:\s{1,8}(?:Key \(|Failing row)'
)
#: The same of a command, as whoever wraps the error goes on to say it.
_COMMAND_SENTENCE = _regex.late(
    r'Unexpected error while running command'
    r'|(?:\A|\n)Command: [^\n]*\nExit code: '
    r'|\bCommand ["\'\[]'
    # Of Neutron's agents, and of the client of rootwrap's daemon.
    r'|Exit code: -?\d{1,10}; (?:Cmd|Std)'
    r'|Failed to spawn rootwrap process\b'
    # Of libvirt.
    r'|\bChild process \('
)
_CLASS = _regex.late(r'[A-Za-z_][\w.]*(?=:)')

_PEM = _regex.late(r'-----BEGIN [^-]{0,64}-----[\s\S]*')
_SCHEMED = _regex.late(
    r'[A-Za-z][A-Za-z0-9+.-]{1,20}://'
    # A password with a blank.
    r'(?:[^\s/:]{0,128}:[^\s/]{0,128}[ \t][^\s@/]{0,128}@)?\S+'
)
_WORD = _regex.late(r'[^\s"\'<>(){}\[\]|,]+')
#: What follows was taken for something else: for a port a password with a
#: slash that nobody encoded.
_MISTAKEN = _regex.late(
    r'(?<=Failed to parse: )[^\n]*'
    r'(?= is not a valid host or port| contains invalid character )'
    r'|(?<=integer value as )["\'\\][^\n]*'
    r'|(?<=[Nn]onnumeric port: )[^\n]*'
    r'|(?<=[Ii]nvalid port: )[^\n]*'
    r'|(?<=literal for int\(\) with base 10: )[^\n]*'
    # A token that was read with the end of its line.
    r'|(?<=header value: )[^\n]*|(?<=header value )b?["\'][^\n]*'
    # What a user sent, as nova's API tells it.
    r'|(?<=\. Value: )[^\n]*'
)
_WHITE = '\n\t "\''


def class_name(error: object) -> str:
    """Return the qualified name of an exception's class.

    As ``exception.type`` and ``error.type`` of the conventions want it: with
    the module, except for those of Python itself.

    :param error: an exception or its class.
    :returns: at most 256 characters.
    """
    try:
        kind = error if isinstance(error, type) else type(error)
        module = kind.__module__
        name = kind.__qualname__
        if isinstance(module, str) and module != 'builtins':
            name = f'{module}.{name}'
        return _ascii(name, 256)
    except Exception:
        return 'Exception'


def frames(error: BaseException, limit: int = MAX_FRAMES_LENGTH) -> str:
    """Return the stack trace without a message or a line of source.

    File, line and function of each frame, in Python's order, and those of
    the exceptions that led to this one, all by class name only. Of a long
    one the outermost frames are left out first, since the cause is at the
    other end.

    :param limit: how many characters at most, never more than 8192.
    :returns: the trace, all of it ASCII.
    """
    room = min(limit, MAX_FRAMES_LENGTH)
    try:
        return _frames(error, room)[:room]
    except Exception:
        return class_name(error)


def is_database_error(error: BaseException) -> bool:
    """Whether a database had its say in this, directly or further down.

    Told by the modules of the classes, so no driver has to be importable.
    """
    return _is_from(error, _is_of_database)


def _is_from(
    error: BaseException, is_one: Callable[[type[BaseException]], bool]
) -> bool:
    try:
        waiting: collections.deque[BaseException] = collections.deque([error])
        seen: set[int] = set()
        while waiting and len(seen) < 2 * _MAX_CHAIN:
            current = waiting.popleft()
            if id(current) in seen:
                continue
            seen.add(id(current))
            if any(map(is_one, type(current).__mro__)):
                return True
            waiting.extend(_inner(current))
        return False
    except Exception:
        # What cannot be looked at is not known to be harmless.
        return True


def is_silent(kind: str) -> bool:
    """Whether what an error of a class says is for nobody.

    :param kind: the class, as :func:`class_name` gives it.
    """
    module, _dot, name = kind.rpartition('.')
    return _is_silent(module, name)


def _says_nothing(kind: type[BaseException]) -> bool:
    return _is_silent(str(kind.__module__), kind.__name__)


def _is_silent(module: str, name: str) -> bool:
    package = module.partition('.')[0]
    return (
        package in _DATABASE_PACKAGES
        or package in _VALIDATING_PACKAGES
        or module in _COMMAND_MODULES
        # Neutron's has that name, too, and its sentence may be translated.
        or name == 'ProcessExecutionError'
    )


def _is_of_database(kind: type[BaseException]) -> bool:
    return str(kind.__module__).partition('.')[0] in _DATABASE_PACKAGES


def message(error: BaseException, limit: int = 1024) -> str | None:
    """Return what an exception says, scrubbed.

    :param limit: characters; first the message is cut, then scrubbed.
    :returns: None where nothing may be said: for the errors of a database,
        for those that quote a command with its arguments or a document
        that is not valid, and what was raised of these, and where the
        exception cannot say it.
    """
    try:
        if _is_from(error, _says_nothing):
            return None
        said = _shapes.text_of(str(error))
        return None if _quotes(said) else text(said, limit)
    except Exception:
        return None


def sentence(said: str) -> str:
    """Return what may be said of a text that may be an exception's.

    :returns: the text, or the class that it begins with where it goes on
        with what a database or a failed command was given.
    """
    if not _quotes(said):
        return said
    return leading_class(said) or _shapes.HIDDEN


def leading_class(said: str) -> str:
    """Return the class that a text begins with, as Python writes errors.

    :param said: as ``DBDuplicateEntry: (pymysql...``.
    :returns: empty where it begins with something else.
    """
    found = _CLASS.match(said)
    return '' if found is None else found.group()


def _quotes(said: str) -> bool:
    searched = said[:_MAX_SEARCHED]
    return bool(
        _DATABASE_SENTENCE.search(searched)
        or _COMMAND_SENTENCE.search(searched)
    )


def text(said: object, limit: int = 1024) -> str:
    """Scrub free text: URLs, named values, tokens, keys, long random runs.

    :param limit: characters that are looked at and may stay.
    """
    cut = _shapes.cut(_shapes.text_of(said, limit), limit, _WHITE)
    try:
        cut = _PEM.sub(_shapes.HIDDEN, cut)
        cut = _SCHEMED.sub(lambda found: urls.url(found.group()), cut)
        cut = _MISTAKEN.sub(_shapes.REDACTED, cut)
        cut = _named.hidden(cut)
        cut = _WORD.sub(_word, cut)
    except Exception:
        return _shapes.HIDDEN
    return cut[:limit]


def _word(found: re.Match[str]) -> str:
    word = found.group()
    if len(word) < 5:
        return word
    if '://' in word:
        return word
    if any(mark in word for mark in '/%@?&'):
        scrubbed = urls.url(word)
        if scrubbed != word:
            return scrubbed
    return _shapes.mask(word, in_path=False)


def _ascii(value: object, limit: int) -> str:
    text = _shapes.text_of(value)[:limit]
    if not (text.isascii() and text.isprintable()):
        text = text.encode('unicode_escape').decode('ascii')[:limit]
    return text


def _inner(error: BaseException) -> list[BaseException]:
    found = [error.__cause__, error.__context__]
    # oslo.db and SQLAlchemy keep the driver's error there; so does whoever
    # wraps one by handing it to the constructor.
    for name in ('inner_exception', 'orig'):
        found.append(getattr(error, name, None))
    found.extend(getattr(error, 'exceptions', ())[:_MAX_CHAIN])
    found.extend(error.args[:_MAX_CHAIN])
    return [one for one in found if isinstance(one, BaseException)]


def _chain(error: BaseException) -> list[tuple[BaseException, str]]:
    """List what led to an error, the error first, with how it led there."""
    chain: list[tuple[BaseException, str]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    how = ''
    while current is not None and id(current) not in seen:
        chain.append((current, how))
        if len(chain) >= _MAX_CHAIN:
            break
        seen.add(id(current))
        if current.__cause__ is not None:
            current, how = current.__cause__, _CAUSED
        elif not current.__suppress_context__:
            current, how = current.__context__, _DURING
        else:
            break
    return chain


def _frames(error: BaseException, room: int) -> str:
    chain = _chain(error)
    blocks: list[str] = []
    frames_left = MAX_FRAMES
    for position, (current, how) in enumerate(chain):
        # The last one raised is the most telling, but it must leave
        # something for what caused it.
        last = position == len(chain) - 1
        share = frames_left if last else max(frames_left // 2, 1)
        lines, count = _block(current, share, room if last else room // 2)
        frames_left -= count
        block = '\n'.join(lines)
        if how:
            block += f'\n\n{how}\n\n'
        if len(block) > room:
            break
        room -= len(block)
        blocks.append(block)
        if frames_left <= 0:
            break
    return ''.join(reversed(blocks)) or class_name(error)


def _block(
    error: BaseException, max_frames: int, room: int
) -> tuple[list[str], int]:
    kept: collections.deque[types.TracebackType] = collections.deque(
        maxlen=max_frames
    )
    step = error.__traceback__
    total = 0
    while step is not None:
        kept.append(step)
        total += 1
        step = step.tb_next
    name = class_name(error)
    room -= len(name) + 100
    lines: list[str] = []
    for step in reversed(kept):
        code = step.tb_frame.f_code
        text = (
            f'  File "{_ascii(code.co_filename, 256)}", '
            f'line {step.tb_lineno}, in {_ascii(code.co_name, 128)}'
        )
        if len(text) >= room:
            break
        room -= len(text) + 1
        lines.append(text)
    count = len(lines)
    if count < total:
        lines.append(f'  [{total - count} frames left out]')
    if total:
        lines.append('Traceback (most recent call last):')
    lines.reverse()
    return [*lines, name], count

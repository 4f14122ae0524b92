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

"""What a statement does, and to which tables."""

from __future__ import annotations


from oslo_tracing import _regex
from oslo_tracing.scrub import _shapes
from oslo_tracing.scrub import _sql_lexer
from oslo_tracing.scrub import _sql_plain
from oslo_tracing.scrub import _sql_words

#: Characters that are read. The columns that nova selects of an instance
#: alone are ten thousand, and what it selects them from comes after them.
MAX_READ = 32768
#: Characters that are read after the first table.
MAX_READ_ON = 4096

_MAX_LENGTH = 255
_MAX_TABLES = 4
_MAX_GROUPS = 6
_MAX_NAME = 64

_PLAIN = _regex.late(r'[A-Za-z_][\w$]*')
_VARYING = _regex.late(r'[0-9a-fA-F]{12,}|\d{4,}')
_WHITE = _regex.late(r'\s+')


class Group:
    """An operation, at which depth of parentheses, and its tables."""

    __slots__ = ('depth', 'operation', 'tables')

    def __init__(self, operation: str, depth: int) -> None:
        self.operation = operation
        self.depth = depth
        self.tables: list[str] = []


class _Level:
    """What is going on between a pair of parentheses."""

    __slots__ = ('lists', 'reads', 'with_names')

    def __init__(self) -> None:
        # A FROM names tables here; elsewhere it belongs to a function.
        self.reads = False
        # A comma is followed by another table.
        self.lists = False
        # Common table expressions are being defined.
        self.with_names = False


class _Reader:
    """Walks the tokens once and notes operations and tables."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self._levels = [_Level()]
        self._defined: set[str] = set()
        self._expecting = False
        self._defining = False
        self._glue = False
        self._previous = ''
        self._before = ''

    def read(self, text: str, grammar: str) -> list[Group]:
        tables = 0
        position = 0
        end = MAX_READ
        for kind, piece in _sql_lexer.tokens(text, grammar):
            position += len(piece)
            if position > end:
                break
            if kind in ('space', 'comment'):
                continue
            if kind == 'cut':
                break
            if kind == 'word' or kind == 'quoted':
                if self._name(kind, piece):
                    end = end if tables else position + MAX_READ_ON
                    tables += 1
                    if tables > _MAX_TABLES:
                        break
            else:
                self._sign(piece)
                if kind != 'punctuation':
                    piece = '?'
                self._before, self._previous = self._previous, piece
            if self._previous == 'VALUES' and self._writes_rows():
                break
            if len(self.groups) > _MAX_GROUPS:
                break
        return self.groups

    def _writes_rows(self) -> bool:
        return (
            len(self._levels) == 1
            and bool(self.groups)
            # In a query it is a function of MySQL, or makes rows of its own.
            and self.groups[-1].operation in _sql_words.WRITES
        )

    def _sign(self, piece: str) -> None:
        level = self._levels[-1]
        self._glue = piece == '.' and self._previous == 'name'
        if self._glue:
            return
        self._expecting = False
        if piece == '(':
            self._levels.append(_Level())
        elif piece == ')':
            if len(self._levels) > 1:
                self._levels.pop()
        elif piece == ',':
            self._expecting = level.lists
            self._defining = level.with_names
        elif piece == ';':
            self._levels = [_Level()]

    def _name(self, kind: str, piece: str) -> bool:
        """Take a word; tell whether it was a table."""
        word = piece.upper() if kind == 'word' else 'quoted'
        if self._glue:
            self._glue = False
            self.groups[-1].tables[-1] += f'.{_rendered(kind, piece)}'
            return False
        is_table = False
        if kind == 'word' and self._keyword(word):
            pass
        elif self._defining:
            if word != 'RECURSIVE':
                self._defined.add(_rendered(kind, piece).lower())
                self._defining = False
        elif self._expecting and not (
            kind == 'word' and word in _sql_words.SKIPPED
        ):
            self._expecting = False
            is_table = self._table(_rendered(kind, piece))
            word = 'name' if is_table else word
        self._before, self._previous = self._previous, word
        return is_table

    def _table(self, name: str) -> bool:
        if not self.groups or name.lower() in self._defined:
            return False
        if name in self.groups[-1].tables:
            return False
        self.groups[-1].tables.append(name)
        return True

    def _keyword(self, word: str) -> bool:
        level = self._levels[-1]
        if word in _sql_words.DATA:
            if word != 'SELECT' and not self._starts():
                return False
            if word == 'WITH':
                level.with_names = self._defining = True
                return True
            self.groups.append(Group(word, len(self._levels)))
            level.reads = True
            level.with_names = False
            level.lists = word == 'UPDATE'
            self._expecting = word not in ('SELECT', 'DELETE')
        elif word == 'FROM':
            if level.reads and self._previous != 'DISTINCT':
                self._expecting = level.lists = True
        elif word in ('JOIN', 'STRAIGHT_JOIN'):
            self._expecting = True
        elif word == 'USING':
            # That of CONVERT is followed by a character set.
            self._expecting = level.reads
        elif word == 'INTO':
            self._expecting = bool(self.groups)
        elif word in _sql_words.ENDS_LIST:
            self._expecting = level.lists = False
            if word == 'VALUES' and self._previous == '(':
                self._forget_select_of_values()
        else:
            return False
        return True

    def _starts(self) -> bool:
        if self._previous in ('', ';', 'ANALYZE', 'EXPLAIN'):
            return True
        # In parentheses REPLACE and INSERT are functions, except where a
        # common table expression changes data.
        if self._previous == '(':
            return not self.groups or any(
                level.with_names for level in self._levels[-2:-1]
            )
        return self._previous == ')' and self._levels[-1].with_names

    def _forget_select_of_values(self) -> None:
        # INSERT ... SELECT ... FROM (VALUES ...) is how SQLAlchemy writes
        # many rows to PostgreSQL; it is the same INSERT as elsewhere.
        if (
            len(self.groups) > 1
            and self.groups[-1].operation == 'SELECT'
            and self.groups[-2].operation == 'INSERT'
            and not self.groups[-1].tables
        ):
            self.groups.pop()


def _rendered(kind: str, piece: str) -> str:
    if kind == 'quoted':
        inner = piece[1:-1]
        if _PLAIN.fullmatch(inner):
            piece = inner
        else:
            # As the conventions show it.
            inner = _WHITE.sub(' ', inner)[:_MAX_NAME]
            piece = f'{piece[0]}{inner}{piece[-1]}'
    else:
        piece = piece[: 2 * _MAX_NAME]
    return _VARYING.sub('?', piece)


def groups_of(text: str, grammar: str) -> list[Group]:
    """Return the operations of a text and their tables; few of many."""
    return _Reader().read(text, grammar)


def head_of(text: str, grammar: str) -> list[_sql_lexer.Token]:
    """Return the first tokens that say something."""
    found: list[_sql_lexer.Token] = []
    for kind, piece in _sql_lexer.tokens(text[:MAX_READ_ON], grammar):
        if kind in ('space', 'comment') or (piece == '(' and not found):
            continue
        if kind == 'cut':
            break
        found.append((kind, piece.upper() if kind == 'word' else piece))
        if kind != 'word' and len(found) == 1:
            break
        if len(found) == 12 or found[0][1] in _sql_words.DATA:
            break
    return found


def started(text: object, grammar: str) -> tuple[str, str]:
    """Return what is read of a text, and by which grammar."""
    kept = _shapes.text_of(text, MAX_READ)
    whole = len(kept) < MAX_READ
    if not whole:
        kept = kept[:MAX_READ]
    return kept, _sql_lexer.settled(kept, grammar, whole)


def summary(text: object, grammar: str) -> str:
    """See :func:`oslo_tracing.scrub.sql.summary`."""
    try:
        return _summary(*started(text, grammar))
    except Exception:
        return ''


def _summary(text: str, grammar: str) -> str:
    head = head_of(text, grammar)
    if not head or head[0][0] != 'word':
        return ''
    first = head[0][1]
    if first in _sql_words.DATA:
        text = _sql_plain.without_columns(text)
        return _written(groups_of(text, grammar))
    if first in _sql_words.EXPLAINS:
        inner = _written(groups_of(text, grammar))
        return _fitting([first, inner] if inner else [first])
    if first == 'ROLLBACK' and any(piece == 'TO' for _, piece in head[:4]):
        return 'ROLLBACK TO SAVEPOINT'
    if first == 'RELEASE':
        return 'RELEASE SAVEPOINT'
    if first == 'START':
        return 'START TRANSACTION'
    if first in _sql_words.DEFINES:
        return _fitting(_defined(head, text, grammar))
    if first in _sql_words.NAMED:
        return _fitting([first, *_object_name(text, grammar, 1)])
    return first if first in _sql_words.ALONE else ''


def _defined(
    head: list[_sql_lexer.Token], text: str, grammar: str
) -> list[str]:
    parts = [head[0][1]]
    for position, (kind, piece) in enumerate(head[1:], 1):
        if kind == 'word' and piece in _sql_words.CREDENTIALS:
            return [*parts, piece]
        if kind == 'word' and piece in _sql_words.OBJECTS:
            parts.append(piece)
        elif kind not in ('word', 'quoted'):
            break
        elif kind == 'quoted' or piece not in _sql_words.SKIPPED:
            return [*parts, *_object_name(text, grammar, position)]
    return parts


def _object_name(text: str, grammar: str, wanted: int) -> list[str]:
    """Return the name that is the token of this number, with its schema."""
    name: list[str] = []
    position = -1
    for kind, piece in _sql_lexer.tokens(text, grammar):
        if kind in ('space', 'comment'):
            continue
        position += 1
        if position < wanted:
            continue
        if kind in ('word', 'quoted') and len(name) % 2 == 0:
            name.append(_rendered(kind, piece))
        elif piece == '.' and len(name) % 2:
            name.append(piece)
        else:
            break
    return [''.join(name)] if name else []


def _written(groups: list[Group]) -> str:
    parts: list[str] = []
    left = _MAX_TABLES
    last: list[str] = []
    for group in groups[:_MAX_GROUPS]:
        named = [group.operation, *group.tables[:left]]
        left -= len(named) - 1
        if named != last:
            parts += named
        last = named
        if left <= 0:
            break
    return _fitting(parts)


def _fitting(parts: list[str]) -> str:
    said = ''
    for part in parts:
        longer = f'{said} {part}' if said else part
        if len(longer) > _MAX_LENGTH:
            break
        said = longer
    return said


def operation(text: object, grammar: str) -> str:
    """See :func:`oslo_tracing.scrub.sql.operation`."""
    try:
        kept, grammar = started(text, grammar)
        head = head_of(kept, grammar)
        if not head or head[0][0] != 'word':
            return ''
        first = head[0][1]
        if first != 'WITH':
            return first if first in _sql_words.KNOWN else ''
        for group in groups_of(kept, grammar):
            if group.depth == 1:
                return group.operation
        return first
    except Exception:
        return ''

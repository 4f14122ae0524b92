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

"""What may be said of an SQL statement.

The caller keeps what comes out of here with the statement, so this may take
as long as reading the text takes, but not longer: what is read is bounded.
"""

from __future__ import annotations

import functools
import re

from oslo_tracing import _regex
from oslo_tracing.scrub import _shapes
from oslo_tracing.scrub import _sql_lexer
from oslo_tracing.scrub import _sql_plain
from oslo_tracing.scrub import _sql_summary
from oslo_tracing.scrub import _sql_writes

_MAX_LENGTH = _shapes.MAX_LENGTH
# Characters of a text of which it is remembered whether it writes.
_MAX_KNOWN = 512
_PLAIN_NAME = _regex.late(r'"[\w$ .-]{1,64}"')
# Longer than a number that means something: a key or a hash.
_MAX_HEXADECIMAL = 10

# Words of a statement that sets a password, as _spoken() writes them. Not
# even without its literals: the password may stand where no literal would.
_ABOUT_CREDENTIALS = _regex.late(
    r' (?:CREATE|ALTER)(?: OR REPLACE)? (?:USER|ROLE|LOGIN|GROUP|SERVER'
    r'|SUBSCRIPTION) '
    r'| SET (?:GLOBAL |SESSION |LOCAL )?(?:PASSWORD|ROLE) '
    r'| IDENTIFIED (?:BY|WITH|VIA|AS) '
    r'| (?:OLD_)?PASSWORD \( '
    r'| GRANT '
)
_CREDENTIAL_HINT = _regex.late(
    r'user|role|login|group|server|subscription|password|identified|grant',
    re.IGNORECASE,
)
_SPOKEN = _regex.late(r'\w+|\(')
_CONSTANTS = frozenset(('NULL', 'TRUE', 'FALSE', 'DEFAULT'))
_IN_LIST = frozenset('(),-+')
_SQLITE = 'sqlite'


def statement(
    text: object,
    parameters_present: bool,
    dialect_name: str = '',
    by_hand: bool = False,
) -> str | None:
    """Return a statement as ``db.query.text`` may have it.

    With bind parameters it is the statement as compiled, but quoted literals
    become ``?`` there too: somebody may have put one in by hand. Without,
    so do numbers. Comments are left out, and of a list after ``IN`` and of
    several rows of ``VALUES`` only the first stays, so that their number
    does not make another text.

    :param text: the statement; 4096 characters of it are read.
    :param parameters_present: whether it is executed with parameters.
    :param dialect_name: SQLAlchemy's, which tells what a literal looks like;
        without it, what is not certain is left out, with all that follows.
    :param by_hand: whether it may not be SQLAlchemy that put names in quotes.
        SQLite takes what is no name for a text.
    :returns: at most 4096 characters, ending in ``...`` where something was
        left out at the end; None for a statement that sets credentials.
    """
    try:
        return _statement(text, parameters_present, dialect_name, by_hand)
    except Exception:
        return None


def summary(text: object, dialect_name: str = '') -> str:
    """Return ``db.query.summary``: operations and their tables.

    As the conventions for database spans describe it, with few deviations
    for the sake of few names: operations in capitals, no quotes around a
    name that does not need them, at most four tables, no names of savepoints
    and common table expressions.

    :returns: at most 255 characters; empty for what is not known as SQL.
    """
    return _sql_summary.summary(text, _sql_lexer.flavour(dialect_name))


def operation(text: object, dialect_name: str = '') -> str:
    """Return the main operation in capitals, such as ``SELECT``.

    :returns: that of the statement itself, where it starts with common
        table expressions; empty for what is not known as SQL.
    """
    return _sql_summary.operation(text, _sql_lexer.flavour(dialect_name))


def is_write(text: object, dialect_name: str = '') -> bool:
    """Whether a statement may change data, so that a COMMIT has work to do.

    :param dialect_name: SQLAlchemy's; without it, of several statements in
        one text only the first is looked at.
    :returns: True also for a procedure's call, for what is not known, and
        for what ends the second phase of a COMMIT.
    """
    if type(text) is str and len(text) <= _MAX_KNOWN:
        return _is_known_write(text, dialect_name)
    return _sql_writes.is_write(text, _sql_lexer.flavour(dialect_name))


@functools.lru_cache(128)
def _is_known_write(text: str, dialect_name: str) -> bool:
    # What is text for SQLAlchemy recurs: a ping of each connection.
    return _sql_writes.is_write(text, _sql_lexer.flavour(dialect_name))


def _statement(
    text: object, parameters_present: bool, dialect_name: str, by_hand: bool
) -> str | None:
    kept = _shapes.text_of(text)
    complete = len(kept) <= _MAX_LENGTH
    if not complete:
        kept = kept[: _MAX_LENGTH - 3]
    elif _sql_plain.is_plain(kept):
        return kept.strip()
    grammar = _sql_lexer.settled(
        kept, _sql_lexer.flavour(dialect_name), complete
    )
    row = list(_sql_lexer.tokens(kept, grammar))
    if _CREDENTIAL_HINT.search(kept) and _ABOUT_CREDENTIALS.search(
        _spoken(row)
    ):
        return None
    doubt = (grammar == _sql_lexer.UNKNOWN and not parameters_present) or (
        by_hand and dialect_name == _SQLITE
    )
    clean: list[_sql_lexer.Token] = []
    for kind, piece in row:
        if kind == 'cut':
            complete = False
            break
        if kind == 'comment':
            kind, piece = 'space', ' '
        elif kind == 'string':
            kind, piece = 'marker', '?'
        elif kind == 'number':
            if not parameters_present or (
                len(piece) > _MAX_HEXADECIMAL and piece[1:2] in 'xX'
            ):
                kind, piece = 'marker', '?'
        elif kind == 'quoted' and piece[0] == '"':
            if doubt or not _PLAIN_NAME.fullmatch(piece):
                kind, piece = 'marker', '?'
        elif piece == '-' and clean and clean[-1][1] == '-':
            # Two minus signs of MySQL; with a blank after them, where a
            # comment was, they would be a comment.
            clean.append(('space', ' '))
        clean.append((kind, piece))
    said = ''.join(_collapsed(clean)).strip()
    if complete and len(said) <= _MAX_LENGTH:
        return said
    return f'{said[: _MAX_LENGTH - 3].rstrip(".")}...'


def _spoken(row: list[_sql_lexer.Token]) -> str:
    """Write down words and parentheses, one space apart, in capitals."""
    said = [' ']
    for kind, piece in row:
        if kind == 'word' or piece == '(':
            said.append(piece.upper())
        elif kind == 'comment':
            # MySQL executes what stands in these.
            if piece.startswith(('/*!', '/*M!')):
                words = _SPOKEN.findall(piece.upper())
                said += [word for word in words if not word.isdigit()]
        elif kind != 'space':
            said.append('.')
    return ' '.join((*said, ' '))


def _collapsed(row: list[_sql_lexer.Token]) -> list[str]:
    out: list[str] = []
    index = 0
    previous = ''
    while index < len(row):
        kind, piece = row[index]
        index += 1
        if kind == 'space':
            if out and not out[-1].isspace():
                out.append(piece)
            continue
        if piece == '(' and previous == 'IN':
            first, index = _in_list(row, index)
            out += ['(', *first]
        elif piece == '(' and previous == 'VALUES':
            end = _end_of_group(row, index)
            out += ['(', *(piece for _, piece in row[index:end])]
            index = _end_of_rows(row, end)
        else:
            out.append(piece)
        previous = piece.upper() if kind == 'word' else piece
    return out


def _end_of_group(row: list[_sql_lexer.Token], index: int) -> int:
    depth = 1
    while index < len(row):
        piece = row[index][1]
        index += 1
        if piece == '(':
            depth += 1
        elif piece == ')':
            depth -= 1
            if not depth:
                break
    return index


def _in_list(row: list[_sql_lexer.Token], index: int) -> tuple[list[str], int]:
    """Return the first value of a list; nothing of what is not a list."""
    end = _end_of_group(row, index)
    group = row[index:end]
    first_ends = len(group) - 1
    depth = 0
    previous = ''
    for position, (kind, piece) in enumerate(group):
        if kind == 'space' or kind in ('marker', 'bound', 'number', 'cast'):
            pass
        elif kind == 'word':
            if previous != 'cast' and piece.upper() not in _CONSTANTS:
                return [], index
        elif kind == 'punctuation' and piece in _IN_LIST:
            depth += (piece == '(') - (piece == ')')
            if piece == ',' and not depth:
                first_ends = min(first_ends, position)
        else:
            return [], index
        if kind != 'space':
            previous = kind
    said = ''.join(
        '?' if kind == 'number' else piece
        for kind, piece in group[:first_ends]
    )
    closed = bool(group) and group[-1][1] == ')' and depth < 0
    return [said.strip() + (')' if closed else '')], end


def _end_of_rows(row: list[_sql_lexer.Token], index: int) -> int:
    """Skip further rows of VALUES."""
    while True:
        ahead = index
        seen = ''
        while ahead < len(row) and seen in ('', ','):
            kind, piece = row[ahead]
            ahead += 1
            if kind == 'space':
                continue
            if piece != ('(' if seen else ','):
                return index
            seen = piece
        if seen == ',':
            return ahead
        if seen != '(':
            return index
        index = _end_of_group(row, ahead)

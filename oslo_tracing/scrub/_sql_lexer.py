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

"""SQL as a row of tokens: enough of the grammar to tell text from data.

What is a literal differs: a backslash escapes a quote in MySQL and nowhere
else, unless a session has it otherwise, and a double quote starts a text
there and a name elsewhere. Where it is not known and it matters, reading
stops, since to guess wrongly would take the inside of a literal for its
outside.
"""

from __future__ import annotations

from collections.abc import Iterator
import re

from oslo_tracing import _regex

#: A token: what it is, and its text.
Token = tuple[str, str]

BRACKETED = 'bracketed'
MYSQL = 'mysql'
ORACLE = 'oracle'
POSTGRESQL = 'postgresql'
UNKNOWN = 'unknown'

# As sessions may have them: with NO_BACKSLASH_ESCAPES in MySQL's sql_mode, or
# with PostgreSQL's standard_conforming_strings off; and what all agree in.
_MYSQL_OTHER = 'mysql without escapes'
_MYSQL_EITHER = 'mysql of any mode'
_POSTGRESQL_OTHER = 'postgresql with escapes'
_POSTGRESQL_EITHER = 'postgresql of any mode'

_OTHERWISE = {
    MYSQL: (_MYSQL_OTHER, _MYSQL_EITHER),
    POSTGRESQL: (_POSTGRESQL_OTHER, _POSTGRESQL_EITHER),
}
_NESTING = frozenset((POSTGRESQL, _POSTGRESQL_OTHER, _POSTGRESQL_EITHER))

_FLAVOURS = {
    'mariadb': MYSQL,
    'mssql': BRACKETED,
    'mysql': MYSQL,
    'oracle': ORACLE,
    'postgresql': POSTGRESQL,
    'sqlite': BRACKETED,
}

# Each is linear: what may repeat starts with what nothing before it eats.
_ESCAPED = r"'[^'\\]*(?:(?:\\[\s\S]|'')[^'\\]*)*'"
_DOUBLED = r"'[^']*(?:''[^']*)*'"
_EITHER = r"'[^'\\]*(?:(?:\\[^']|'')[^'\\]*)*'"
# N'', B'', X'', U&'' and MySQL's _utf8mb4''.
_PREFIX = r'(?:[nNbBxX]|[uU]&|_[A-Za-z0-9]{1,32}\s{0,8})?'
# PostgreSQL takes any byte for a letter that is not of ASCII.
_DOLLAR_OPENS = (
    r'\$(?:[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)?\$'
)
_DOLLAR = rf'(?P<tag>{_DOLLAR_OPENS})[\s\S]*?(?P=tag)'
# Of Oracle, where what ends a text is what comes next.
_QUOTE_OPENS = "[nN]?[qQ]'"
_BRACKETS = r'\[[^\]]*(?:\]\][^\]]*)*\]'
_BACKTICKS = r'`[^`]*(?:``[^`]*)*`'
_NAME = r'[^\W\d][\w$]*'
_OPENS_OR_CLOSES = _regex.late(r'/\*|\*/')


def _double(pattern: str) -> str:
    return pattern.replace("'", '"')


def _compile(
    strings: tuple[str, ...],
    quoted: tuple[str, ...],
    comments: tuple[str, ...],
    cuts: tuple[str, ...] = (),
) -> re.Pattern[str]:
    cut = '|'.join((*cuts, r'/\*', _PREFIX + "'", '"', '`'))
    return _regex.late(
        r'(?P<space>\s+)'
        r'|(?P<marker>\?|%\(\w{1,128}\)s|%s\b|\$\d{1,5}\b'
        r'|__\[POSTCOMPILE_[^\]]{1,256}\])'
        rf'|(?P<comment>{"|".join(comments)}|/\*[\s\S]*?\*/)'
        rf'|(?P<string>{"|".join(strings)})'
        rf'|(?P<quoted>{"|".join((*quoted, _BACKTICKS))})'
        rf'|(?P<cut>(?:{cut})[\s\S]*)'
        r'|(?P<number>0[xX][0-9A-Fa-f]+\w*'
        r'|(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\w*)'
        rf'|(?P<word>@{{0,2}}{_NAME}(?:\.{_NAME})*)'
        r'|(?P<cast>::)'
        rf'|(?P<bound>:(?:{_NAME}|\d{{1,4}}))'
        r'|(?P<punctuation>[!&*+<=>^|~]+|[\s\S])'
    )


def _mysql(text: str) -> re.Pattern[str]:
    return _compile(
        strings=(_PREFIX + text, _double(text)),
        quoted=(),
        comments=(r'--(?=\s|\Z)[^\n]*', r'\#[^\n]*'),
    )


def _postgresql(text: str) -> re.Pattern[str]:
    return _compile(
        strings=('[eE]' + _ESCAPED, _PREFIX + text, _DOLLAR),
        quoted=(_double(_DOUBLED),),
        comments=(r'--[^\n]*',),
        cuts=("[eE]'", _DOLLAR_OPENS),
    )


_PATTERNS = {
    BRACKETED: _compile(
        strings=(_PREFIX + _DOUBLED,),
        quoted=(_double(_DOUBLED), _BRACKETS),
        comments=(r'--[^\n]*',),
        cuts=(r'\[',),
    ),
    MYSQL: _mysql(_ESCAPED),
    _MYSQL_OTHER: _mysql(_DOUBLED),
    _MYSQL_EITHER: _mysql(_EITHER),
    POSTGRESQL: _postgresql(_DOUBLED),
    _POSTGRESQL_OTHER: _postgresql(_ESCAPED),
    _POSTGRESQL_EITHER: _postgresql(_EITHER),
    ORACLE: _compile(
        strings=(_PREFIX + _DOUBLED,),
        quoted=(_double(_DOUBLED),),
        comments=(r'--[^\n]*',),
        cuts=(_QUOTE_OPENS,),
    ),
    UNKNOWN: _compile(
        strings=('[eE]' + _ESCAPED, _PREFIX + _EITHER, _DOLLAR),
        quoted=(_double(_EITHER),),
        comments=(r'--(?=\s|\Z)[^\n]*',),
        cuts=("[eE]'", _QUOTE_OPENS, _DOLLAR_OPENS, r'\#', '--'),
    ),
}


def flavour(dialect_name: str) -> str:
    """Return which of the grammars a dialect of SQLAlchemy speaks."""
    return _FLAVOURS.get(dialect_name, UNKNOWN)


def settled(text: str, grammar: str, whole: bool) -> str:
    """Return the grammar by which to read a text.

    Whether a backslash escapes a quote may be set for each session, of which
    nobody tells. But all literals of a text that a server understands have
    an end, and for the last one the wrong reading mostly finds none.

    :param text: to be read.
    :param grammar: what the dialect speaks.
    :param whole: whether the text has its end, so that this tells something.
    :returns: one that stops where the literals are not certain, if need be.
    """
    if grammar not in _OTHERWISE or not ("\\'" in text or '\\"' in text):
        return grammar
    other, either = _OTHERWISE[grammar]
    row, other_row = list(tokens(text, grammar)), list(tokens(text, other))
    if row == other_row:
        return grammar
    # The other way round it may be a text that no server understands.
    if whole and row[-1][0] != 'cut' and other_row[-1][0] == 'cut':
        return grammar
    return either


def tokens(text: str, grammar: str) -> Iterator[Token]:
    """Read tokens, all of them; together they are the text again.

    The kinds are ``space``, ``comment``, ``string``, ``quoted`` (a name),
    ``number``, ``marker`` and ``bound`` (places of parameters), ``word`` (a
    keyword or a name, qualified ones in one piece), ``cast``,
    ``punctuation``, and ``cut``: the rest, from a literal or comment that
    does not end, or whose end is not certain.
    """
    pattern = _PATTERNS[grammar]
    position = 0
    while position < len(text):
        found = pattern.match(text, position)
        assert found is not None and found.lastgroup is not None
        kind, end = found.lastgroup, found.end()
        if (
            kind == 'comment'
            and grammar in _NESTING
            and text.find('/*', position + 2, end) > 0
            and text.startswith('/*', position)
        ):
            end = _end_of_nested(text, position)
            if not end:
                kind, end = 'cut', len(text)
        yield kind, text[position:end]
        position = end


def _end_of_nested(text: str, start: int) -> int:
    depth = 0
    for found in _OPENS_OR_CLOSES.finditer(text, start):
        depth += 1 if found.group() == '/*' else -1
        if not depth:
            return found.end()
    return 0

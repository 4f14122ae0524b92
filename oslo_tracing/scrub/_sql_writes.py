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

"""Whether a statement changes data.

Mostly its first word tells. What reads by its first word may write all the
same: a query that makes a table, a plan that is carried out to be measured,
what follows in the same text, and the second half of a COMMIT in two phases.
"""

from __future__ import annotations

from collections.abc import Iterator

from oslo_tracing.scrub import _sql_lexer
from oslo_tracing.scrub import _sql_summary
from oslo_tracing.scrub import _sql_words

# After INTO: what is no table. Variables are it, too.
_FILES = frozenset(('OUTFILE', 'DUMPFILE'))
_ANALYZES = frozenset(('ANALYZE', 'ANALYSE'))
_MAY_ANALYZE = _ANALYZES | _sql_words.EXPLAINS
_VERBS = _sql_words.DATA | _sql_words.DEFINES | _sql_words.NAMED
_SECOND_PHASES = frozenset((('XA', 'COMMIT'), ('COMMIT', 'PREPARED')))


def is_write(text: object, grammar: str) -> bool:
    """See :func:`oslo_tracing.scrub.sql.is_write`."""
    try:
        kept, grammar = _sql_summary.started(text, grammar)
        return any(
            _changes(each, grammar) for each in _statements(kept, grammar)
        )
    except Exception:
        return True


def _statements(text: str, grammar: str) -> Iterator[str]:
    # Where it is not known what a literal looks like one may hold the sign.
    if ';' not in text or grammar == _sql_lexer.UNKNOWN:
        yield text
        return
    start = position = 0
    says_something = False
    for kind, piece in _sql_lexer.tokens(text, grammar):
        if piece == ';':
            if says_something:
                yield text[start:position]
            start = position + 1
            says_something = False
        elif kind not in ('space', 'comment'):
            says_something = True
        position += len(piece)
    if says_something or not start:
        yield text[start:]


def _changes(text: str, grammar: str) -> bool:
    head = _sql_summary.head_of(text, grammar)
    if not head or head[0][0] != 'word':
        return True
    first = head[0][1]
    if first == 'SELECT':
        return _makes_table(text, grammar)
    if first == 'WITH':
        return any(
            group.operation in _sql_words.WRITES
            for group in _sql_summary.groups_of(text, grammar)
        ) or _makes_table(text, grammar)
    if first in _MAY_ANALYZE:
        executed = _executed(text, grammar)
        return bool(executed) and _changes(executed, grammar)
    if tuple(piece for _, piece in head[:2]) in _SECOND_PHASES:
        return True
    return first not in _sql_words.HARMLESS


def _makes_table(text: str, grammar: str) -> bool:
    """Whether a query puts what it finds into a table."""
    # Takes a hundredth of the time of reading word by word.
    if 'INTO' not in text.upper():
        return False
    follows = False
    for kind, piece in _sql_lexer.tokens(text, grammar):
        if kind in ('space', 'comment'):
            continue
        if follows:
            return kind not in ('bound', 'marker', 'cut') and not (
                piece.startswith('@') or piece.upper() in _FILES
            )
        follows = kind == 'word' and piece.upper() == 'INTO'
    return False


def _executed(text: str, grammar: str) -> str:
    """Return the statement that is executed to measure its plan, or ''."""
    analyzes = False
    position = 0
    read = text[: _sql_summary.MAX_READ_ON]
    for kind, piece in _sql_lexer.tokens(read, grammar):
        word = piece.upper() if kind == 'word' else ''
        if word in _ANALYZES:
            analyzes = True
        elif word in _VERBS:
            return text[position:] if analyzes else ''
        position += len(piece)
    return ''

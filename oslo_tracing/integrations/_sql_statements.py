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

"""What is said of an SQL statement, found out once for each text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oslo_tracing import attributes as names

#: Characters; a longer text is not remembered.
MAX_TEXT = 16384
#: Bounds of each of the two generations.
MAX_ENTRIES = 512
MAX_CHARACTERS = 2097152

_BATCH = 'BATCH '
_PREFIXED = (names.DB_QUERY_SUMMARY, names.DB_OPERATION_NAME)
_WITH_ROWS = frozenset(
    ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'REPLACE', 'MERGE')
)
# Where the text does not say what it does, or says it too late.
_UNTOLD = ('', 'WITH')
# Plain text, and what text() and DDL() make of it.
_BY_HAND = frozenset((None, 'textclause', 'textual_select', 'ddl'))


class Facts:
    """What is the same for every execution of a statement.

    :ivar name: of the span, empty for what is not known as SQL.
    :ivar attributes: ready to be given to a span; not to be changed.
    :ivar is_write: whether a COMMIT has work to do after it.
    :ivar has_rows: whether a row count means anything.
    """

    __slots__ = ('attributes', 'has_rows', 'is_write', 'name')

    def __init__(
        self,
        name: str,
        attributes: dict[str, Any],
        is_write: bool,
        has_rows: bool,
    ) -> None:
        self.name = name
        self.attributes = attributes
        self.is_write = is_write
        self.has_rows = has_rows

    def as_batch(self) -> Facts:
        """Return the facts of many such statements in one span."""
        attributes = {
            key: _BATCH + value if key in _PREFIXED else value
            for key, value in self.attributes.items()
        }
        return Facts(
            _BATCH + self.name if self.name else '',
            attributes,
            self.is_write,
            self.has_rows,
        )


class StatementCache:
    """Facts by statement; bounded in entries and characters.

    Two generations: what is used is carried over when the younger is full,
    the rest goes. No lock, which a fork could leave locked for ever: a
    count that two threads change at once is off by one text, until the
    generation ends.

    :param with_text: whether ``db.query.text`` is wanted.
    """

    def __init__(self, with_text: bool) -> None:
        self._with_text = with_text
        self._young: dict[Any, Facts] = {}
        self._old: dict[Any, Facts] = {}
        self._characters = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(
        self,
        statement: str,
        compiled: Any,
        has_parameters: bool,
        dialect_name: str,
        batch: bool,
    ) -> Facts:
        """Return the facts, from memory where they are known.

        :param statement: as the driver gets it.
        :param compiled: SQLAlchemy's compiled object, None for plain text.
        :param has_parameters: whether it is executed with parameters.
        :param dialect_name: SQLAlchemy's name of the dialect.
        :param batch: whether it is executed many times in one span.
        """
        kind = kind_of(compiled)
        key = (statement, kind, has_parameters, dialect_name, batch)
        facts = self._young.get(key)
        if facts is not None:
            return facts
        facts = self._old.get(key)
        if facts is None:
            facts = self._find_out(
                statement, compiled, has_parameters, dialect_name
            )
            if batch:
                facts = facts.as_batch()
        if len(statement) <= MAX_TEXT:
            self._remember(key, len(statement), facts)
        return facts

    def _remember(self, key: Any, length: int, facts: Facts) -> None:
        length += len(facts.attributes.get(names.DB_QUERY_TEXT) or '')
        if (
            len(self._young) >= MAX_ENTRIES
            or self._characters + length > MAX_CHARACTERS
        ):
            self._old = self._young
            self._young = {}
            self._characters = 0
        self._young[key] = facts
        self._characters += length

    def _find_out(
        self,
        statement: str,
        compiled: Any,
        has_parameters: bool,
        dialect_name: str,
    ) -> Facts:
        # Not needed before there is a statement.
        from oslo_tracing.scrub import sql

        summary = sql.summary(statement, dialect_name)
        attributes: dict[str, Any] = {}
        if summary:
            attributes[names.DB_QUERY_SUMMARY] = summary
        if self._with_text:
            text = sql.statement(
                statement,
                has_parameters,
                dialect_name,
                by_hand=kind_of(compiled) in _BY_HAND,
            )
            if text is not None:
                attributes[names.DB_QUERY_TEXT] = text
        read = sql.operation(statement, dialect_name)
        operation, table = _of_compiled(compiled)
        if read not in (operation, *_UNTOLD):
            # SQLAlchemy has it executed for that one, as for a sequence.
            operation = table = None
        if operation is not None:
            attributes[names.DB_OPERATION_NAME] = operation
        if table is not None:
            attributes[names.DB_COLLECTION_NAME] = table
        return Facts(
            summary,
            attributes,
            sql.is_write(statement, dialect_name),
            (operation or read) in _WITH_ROWS,
        )


def kind_of(compiled: Any) -> Any:
    """Return what SQLAlchemy calls it, so that plain text is told apart."""
    statement = getattr(compiled, 'statement', None)
    return getattr(statement, '__visit_name__', None)


def _of_compiled(compiled: Any) -> tuple[str | None, str | None]:
    """Return operation and table as SQLAlchemy itself knows them.

    Not read from the text, which the conventions leave to the summary.
    """
    kind = kind_of(compiled)
    if kind in ('insert', 'update', 'delete'):
        table = getattr(compiled.statement, 'table', None)
        return kind.upper(), _table([table])
    if kind == 'compound_select':
        return 'SELECT', None
    if kind == 'select':
        state = getattr(compiled, 'compile_state', None)
        return 'SELECT', _table(getattr(state, 'froms', None) or ())
    return None, None


def _table(sources: Sequence[Any]) -> str | None:
    """Return the name of the only table, None where there are more."""
    if len(sources) != 1:
        return None
    source = sources[0]
    if getattr(source, '__visit_name__', None) == 'alias':
        source = source.element
    if getattr(source, '__visit_name__', None) != 'table':
        return None
    return str(getattr(source, 'fullname', source.name))[:255]

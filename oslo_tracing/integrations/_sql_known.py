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

"""What an engine's statements have in common, found by one look."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace

from oslo_tracing import _ready
from oslo_tracing import attributes as names
from oslo_tracing.integrations import _sql_engines
from oslo_tracing.integrations import _sql_statements

#: As many as there are facts in both their generations.
MAX_ENTRIES = 2 * _sql_statements.MAX_ENTRIES

_CLIENT = trace.SpanKind.CLIENT


class Known:
    """What is the same whenever one engine executes one statement.

    :param owner: who has found it out.
    :param engine: executes it.
    :param statement: as the driver gets it.
    :param has_parameters: whether it is executed with parameters.
    :param facts: about the statement.
    :ivar counts_late: whether the driver counts rows only as RETURNING gives
        them out.
    :ivar dialect: refers to the engine's.
    :ivar is_write: whether a COMMIT has work to do after it.
    :ivar has_rows: whether a row count means anything.
    :ivar ready: what its spans have in common.
    """

    __slots__ = (
        'counts_late',
        'dialect',
        'engine',
        'facts',
        'has_parameters',
        'has_rows',
        'is_write',
        'owner',
        'ready',
        'statement',
    )

    def __init__(
        self,
        owner: object,
        engine: _sql_engines.Engine,
        statement: str,
        has_parameters: bool,
        facts: _sql_statements.Facts,
    ) -> None:
        self.owner = owner
        self.engine = engine
        self.dialect = engine.dialect
        self.statement = statement
        self.has_parameters = has_parameters
        self.facts = facts
        self.is_write = facts.is_write
        self.has_rows = facts.has_rows
        self.counts_late = self.is_write and engine.dialect_name == 'sqlite'
        self.ready = _ready.Ready(
            # The conventions: the system's name where nothing better is.
            facts.name or str(engine.attributes[names.DB_SYSTEM_NAME]),
            _CLIENT,
            {**engine.attributes, **facts.attributes},
        )


class Memory:
    """What is known of engines' statements; bounded as the facts are.

    It stands in front of those: where it is full it begins anew, and asks
    for them again. Engines share them. It has no lock, as they have none.

    :param owner: whose it is.
    :param statements: remembers the facts.
    :ivar find: for the usual statement, whose path is short: returns what is
        known, or None, of ``id()`` of the dialect, the statement, the class
        that it is compiled from or None, and whether it has no parameters. A
        dialect may be gone and another have its number: who asks looks
        whether it is the same.
    """

    def __init__(
        self, owner: object, statements: _sql_statements.StatementCache
    ) -> None:
        self._owner = owner
        self._statements = statements
        self._found: dict[tuple[Any, ...], Known] = {}
        self._characters = 0
        self.find = self._found.get

    def __len__(self) -> int:
        return len(self._found)

    def get(
        self,
        engine: _sql_engines.Engine,
        statement: str,
        compiled: Any,
        has_parameters: bool,
        batch: bool,
    ) -> Known:
        """Return what is known, from memory where that is possible.

        :param engine: executes it.
        :param statement: as the driver gets it.
        :param compiled: SQLAlchemy's compiled object, None for plain text.
        :param has_parameters: whether it is executed with parameters.
        :param batch: whether it is executed many times in one span.
        """
        key: tuple[Any, ...] = (
            engine.id,
            statement,
            None if compiled is None else compiled.statement.__class__,
            not has_parameters,
        )
        if batch:
            key = (*key, batch)
        known = self._found.get(key)
        if known is not None and known.engine is engine:
            return known
        facts = self._statements.get(
            statement, compiled, has_parameters, engine.dialect_name, batch
        )
        known = Known(self._owner, engine, statement, has_parameters, facts)
        self._remember(key, known)
        return known

    def _remember(self, key: tuple[Any, ...], known: Known) -> None:
        length = len(known.statement)
        if length > _sql_statements.MAX_TEXT:
            return
        length += len(known.facts.attributes.get(names.DB_QUERY_TEXT) or '')
        if (
            len(self._found) >= MAX_ENTRIES
            or self._characters + length > _sql_statements.MAX_CHARACTERS
        ):
            self._found.clear()
            self._characters = 0
        self._found[key] = known
        self._characters += length

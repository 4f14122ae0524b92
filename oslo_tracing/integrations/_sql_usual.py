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

"""The straight way of the usual statement.

It is executed once, by us alone, nothing is wrong with it, and its text has
been there before. A request has dozens of such, so that what is done for one
is here in one function that calls little. All others go to the recorder.
"""

from __future__ import annotations

import time
from typing import Any

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import _ready
from oslo_tracing import attributes as names
from oslo_tracing.integrations import _sql_driver
from oslo_tracing.integrations import _sql_notes
from oslo_tracing.integrations import _sql_recorder
from oslo_tracing.integrations import _sql_sums
from oslo_tracing import settings as settings_module

# Names of this module: to go by another for each would cost as much again.
_MOST_ROWS = _sql_notes.MOST_ROWS
_ROWS = names.OPENSTACK_DB_ROWS
_SPAN_KEY = _current.SPAN_KEY
_THEIRS = _sql_notes.THEIRS
_UnrecordedContext = _current.UnrecordedContext
_context = _current.context
_is_sampled = _current.is_span_sampled
_suppresses_nothing = frozenset(
    (_current.SUPPRESS_ALL, _current.SUPPRESS_PLAIN)
).isdisjoint

_FEW = 128
#: Attributes of statements with few rows: a dict of its own would be there
#: for each until it is exported.
_TOLD = tuple({_ROWS: rows} for rows in range(_FEW))


class Usual:
    """What SQLAlchemy asks to execute a statement once.

    :param recorder: for what is unusual.
    :param tracer: makes the spans.
    :param settings: which statements have one.
    :ivar listener: to be registered.
    """

    def __init__(
        self,
        recorder: _sql_recorder.Recorder,
        tracer: _ready.Tracer,
        settings: settings_module.Settings,
    ) -> None:
        self._recorder = recorder
        self._find = recorder.memory.find
        self._tracer = tracer
        self._settings = settings
        self._batches = recorder.batches
        self._may_be = True
        # The method is another object each time that one asks for it.
        self.listener = self._execute

    def look_closer(self) -> None:
        """Take no statement for a usual one from now on.

        Each is noted on its execution context before it is executed, or the
        listener is about to be taken off.
        """
        self._may_be = False

    def _execute(
        self, cursor: Any, statement: str, parameters: Any, context: Any
    ) -> bool:
        """Execute a statement, and record it.

        :returns: False where it is left to others.
        """
        known = None
        try:
            where = _context()
            # Dialects execute without one what they want to know themselves.
            if context is None:
                return False
            compiled = context.compiled
            if type(where) is _UnrecordedContext:
                if (
                    compiled is None
                    or getattr(compiled.statement, '__visit_name__', '')
                    != 'select'
                ):
                    self._recorder.unrecorded(statement, context)
                return False
            dialect = context.dialect
            span: Any = where.get(_SPAN_KEY)
            if (
                # Nearly always one of ours, and then it is sampled.
                (getattr(span, 'rough', True) and not _is_sampled(span))
                or not _suppresses_nothing(where)
                or self._batches
                or hasattr(context, _THEIRS)
                # Others have a say in the execution.
                or len(dialect.dispatch.do_execute) != 1
                # After that: who takes the listener off says so before.
                or not self._may_be
            ):
                if not self._recorder.begin(statement, parameters, context):
                    return False
            else:
                kind = (
                    None if compiled is None else compiled.statement.__class__
                )
                known = self._find(
                    (id(dialect), statement, kind, not parameters)
                )
                if known is None or known.dialect() is not dialect:
                    known = self._recorder.known(
                        statement, parameters, context
                    )
                if known.is_write:
                    self._recorder.transactions.wrote(
                        context.root_connection, known.engine
                    )
                started = time.time_ns()
        except Exception:
            _guard.report('noting an SQL statement')
            return False
        if known is None:
            _sql_driver.execute(
                _sql_driver.ONE,
                self.listener,
                cursor,
                statement,
                parameters,
                context,
            )
        else:
            try:
                dialect.do_execute(cursor, statement, parameters, context)
            except BaseException:
                # Whoever handles a failure looks there.
                context._oslo_tracing = _sql_notes.Note(known, where, started)
                raise
        try:
            if known is None:
                self._recorder.succeeded(statement, cursor, context)
                return True
            ended = time.time_ns()
            own = None
            rows = -1
            if known.has_rows:
                told = cursor.rowcount
                if (
                    isinstance(told, int)
                    and 0 <= told < _MOST_ROWS
                    and not (
                        known.counts_late and cursor.description is not None
                    )
                ):
                    rows = told
                    own = _TOLD[rows] if rows < _FEW else {_ROWS: rows}
            if self._settings.db_spans == 'all' or not _sql_sums.add(
                self._settings,
                where,
                known.ready.name,
                ended - started,
                rows,
                known.is_write,
            ):
                self._tracer.add_ready(known.ready, where, own, started, ended)
        except Exception:
            _guard.report('recording an SQL statement')
        return True

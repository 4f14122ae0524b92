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

It is executed once, nothing is wrong with it, and its text has been there
before. A request has dozens of such, so that what is done for one is here in
one function that calls little. All others go to the recorder.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import trace

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
_FLAGS = _current.FLAGS
_MOST_ROWS = _sql_notes.MOST_ROWS
_NOBODY = trace.INVALID_SPAN_CONTEXT
_NOTE = _sql_notes.NOTE
_ROWS = names.OPENSTACK_DB_ROWS
_SAMPLED = trace.TraceFlags.SAMPLED
_SPAN_KEY = _current.SPAN_KEY
_THEIRS = _sql_notes.THEIRS
_UnrecordedContext = _current.UnrecordedContext
_VALID = _current.VALID
_context = _current.context
_suppresses_nothing = frozenset(
    (_current.SUPPRESS_ALL, _current.SUPPRESS_PLAIN)
).isdisjoint


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
        # The method is another object each time that one asks for it.
        self.listener = self._execute
        self._alone = (self.listener,)

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
            named: Any = _NOBODY if span is None else span.get_span_context()
            if (
                not named[_FLAGS] & _SAMPLED
                or not named[_VALID]
                or not _suppresses_nothing(where)
                or getattr(context, _NOTE, None) is not None
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
                # Whoever handles a failure looks there.
                context._oslo_tracing = known, where, started
        except Exception:
            _guard.report('noting an SQL statement')
            return False
        if tuple(dialect.dispatch.do_execute) == self._alone:
            dialect.do_execute(cursor, statement, parameters, context)
        else:
            _sql_driver.execute(
                _sql_driver.ONE,
                self.listener,
                cursor,
                statement,
                parameters,
                context,
            )
        try:
            if known is None or hasattr(context, _THEIRS):
                self._recorder.succeeded(statement, cursor, context)
                return True
            ended = time.time_ns()
            context._oslo_tracing = None
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
                    own = {_ROWS: rows}
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

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

It is executed once, nothing is wrong with it, it writes nothing, and its text
has been there before. A request has dozens of such, so that what is done for
one is here in two functions that call little. All others go to the recorder.
"""

from __future__ import annotations

import time
from typing import Any

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import _ready
from oslo_tracing import attributes as names
from oslo_tracing.integrations import _sql_notes
from oslo_tracing.integrations import _sql_recorder
from oslo_tracing.integrations import _sql_sums
from oslo_tracing import settings as settings_module

# Of the module, where one look at them is enough.
_FLAGS = _current.FLAGS
_MOST_ROWS = _sql_notes.MOST_ROWS
_NOTE = _sql_notes.NOTE
_ROWS = names.OPENSTACK_DB_ROWS
_SPAN_KEY = _current.SPAN_KEY
_THEIRS = _sql_notes.THEIRS
_UnrecordedContext = _current.UnrecordedContext
_context = _current.context
_is_sampled = _current.is_sampled
_is_suppressed = _current.is_suppressed
_time = time.time_ns


class Usual:
    """What SQLAlchemy calls before and after a statement.

    :param recorder: for what is unusual.
    :param tracer: makes the spans.
    :param settings: which statements have one.
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

    def before(
        self,
        conn: Any,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> tuple[str, Any]:
        """Note a statement that begins."""
        try:
            where = _context()
            compiled = context.compiled
            kind = (
                None
                if compiled is None
                else getattr(compiled.statement, '__visit_name__', None)
            )
            if type(where) is _UnrecordedContext:
                if kind != 'select':
                    self._recorder.unrecorded(conn, statement, context)
                return statement, parameters
            span: Any = where.get(_SPAN_KEY)
            if (
                span is None
                or executemany
                or not _is_sampled(span.get_span_context())
                or _is_suppressed(where)
                or getattr(context, _NOTE, None) is not None
            ):
                self._recorder.begin(
                    conn, statement, parameters, context, executemany
                )
                return statement, parameters
            dialect = conn.dialect
            known = self._find((id(dialect), statement, kind, not parameters))
            if known is None or known.dialect() is not dialect:
                known = self._recorder.known(
                    conn, statement, compiled, parameters
                )
            if known.is_write:
                self._recorder.note(conn, known, where, context)
            else:
                context._oslo_tracing = (known, where, _time())
        except Exception:
            _guard.report('noting an SQL statement')
        return statement, parameters

    def after(
        self,
        conn: Any,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> None:
        """Record a statement that succeeded."""
        noted = getattr(context, _NOTE, None)
        if noted is None:
            return
        try:
            if (
                type(noted) is not tuple
                or noted[0].owner is not self._recorder
                or noted[0].statement != statement
                or hasattr(context, _THEIRS)
            ):
                self._recorder.succeeded(statement, cursor, context)
                return
            ended = _time()
            context._oslo_tracing = None
            known, where, started = noted
            own = None
            rows = -1
            if known.has_rows:
                told = cursor.rowcount
                if isinstance(told, int) and 0 <= told < _MOST_ROWS:
                    rows = told
                    own = {_ROWS: rows}
            if self._settings.db_spans == 'all' or not _sql_sums.add(
                self._settings,
                where,
                known.ready.name,
                ended - started,
                rows,
                False,
            ):
                self._tracer.start_ready(
                    known.ready, where, own, None, started, ended
                )
        except Exception:
            _guard.report('recording an SQL statement')

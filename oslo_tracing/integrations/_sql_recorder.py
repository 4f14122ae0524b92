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

"""From a statement's beginning to its span.

A span is made when its statement has ended, with the time at which it began.
Until then there is only a note on the execution context, which goes with
it: whatever others' listeners or the driver do, nothing is left open. Only
a comment that is to name the span needs it earlier. Then it is known, too,
whether it is to have a span, or is added up on the one that it ran under.
"""

from __future__ import annotations

from collections.abc import Callable
import logging
import time
from typing import Any

from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _ready
from oslo_tracing import attributes as names
from oslo_tracing.integrations import _sql_comments
from oslo_tracing.integrations import _sql_engines
from oslo_tracing.integrations import _sql_errors
from oslo_tracing.integrations import _sql_known
from oslo_tracing.integrations import _sql_notes
from oslo_tracing.integrations import _sql_statements
from oslo_tracing.integrations import _sql_sums
from oslo_tracing.integrations import _sql_transactions
from oslo_tracing import settings as settings_module

LOG = logging.getLogger(__name__)


class Recorder:
    """Makes the spans of statements.

    :param tracer: makes them.
    :param settings: what to record of texts and errors.
    """

    def __init__(
        self, tracer: _ready.Tracer, settings: settings_module.Settings
    ) -> None:
        self._tracer = tracer
        self._settings = settings
        self.transactions = _sql_transactions.Transactions(tracer, settings)
        self.engines = _sql_engines.Engines(self.transactions.cover)
        self.memory = _sql_known.Memory(
            self,
            _sql_statements.StatementCache(settings.db_query_text != 'none'),
        )
        #: Numbers of the contexts whose statement comes in batches now.
        self.batches: set[int] = set()
        self._is_write: Callable[[str, str], bool] | None = None
        self._stepped_back = False
        self._closed = False

    def close(self) -> None:
        """Note no statement any more, whoever still asks for it."""
        self._closed = True

    def begin(
        self,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool = False,
        many: bool = False,
    ) -> bool:
        """Note a statement, where a span is wanted for it.

        :param many: it comes in batches, until :meth:`end_batches`.
        :returns: whether it is noted here, now or before.
        """
        # Dialects execute without one what they want to know themselves.
        if context is None or self._closed:
            return False
        if getattr(context, _sql_notes.NOTE, None) is not None:
            # Commented, or a batch of what is noted; or another's.
            return _sql_notes.noted_by(self, context) is not None
        where = _current.context()
        span: Any = where.get(_current.SPAN_KEY)
        if not _current.is_span_sampled(span) or _current.is_suppressed(where):
            if _sql_statements.kind_of(context.compiled) != 'select':
                self.unrecorded(statement, context)
            return False
        size = len(parameters) if executemany else 1
        known = self.known(statement, parameters, context, size > 1)
        if known.is_write:
            self.transactions.wrote(context.root_connection, known.engine)
        context._oslo_tracing = _sql_notes.Note(
            known, where, time.time_ns(), size, many
        )
        return True

    def known(
        self,
        statement: str,
        parameters: Any,
        context: Any,
        batch: bool = False,
    ) -> _sql_known.Known:
        """Return what is known of a statement, found out if it was not."""
        return self.memory.get(
            self.engines.get(context.root_connection),
            statement,
            context.compiled,
            bool(parameters),
            batch,
        )

    def unrecorded(self, statement: str, context: Any) -> None:
        """Look at a statement that has no span, and may write.

        The end of its transaction may be wanted all the same. Nothing of the
        statement is remembered.
        """
        is_write = self._is_write
        if is_write is None:
            # Not needed before there is a statement.
            from oslo_tracing.scrub import sql

            is_write = self._is_write = sql.is_write
        if (
            context.isinsert
            or context.isupdate
            or context.isdelete
            or is_write(statement, context.dialect.name)
        ):
            conn = context.root_connection
            self.transactions.wrote(conn, self.engines.get(conn))

    def commented(
        self, statement: str, context: Any, executemany: bool
    ) -> str:
        """Return a noted statement with a comment that names its span."""
        note: Any = getattr(context, _sql_notes.NOTE, None)
        # The drivers' ways of executing many read the statement themselves.
        if note is None or (executemany and not note.many):
            return statement
        if not note.comment:
            if _sql_notes.will_be_theirs(context.root_connection.engine):
                return statement
            wanted = self._settings.db_spans
            if wanted == 'all' or (wanted == 'slow' and note.known.is_write):
                note.span = self._start(note)
            # Of others nobody knows yet whether they will have one.
            note.comment = _sql_comments.comment(
                note.span or trace.get_current_span(note.parent)
            )
        return _sql_comments.append(statement, note.comment)

    def succeeded(self, statement: str, cursor: Any, context: Any) -> None:
        """Record what was noted, or a batch of it.

        :param statement: as it was executed.
        """
        note = _sql_notes.noted_by(self, context)
        if note is None:
            return
        if hasattr(context, _sql_notes.THEIRS):
            note.theirs = note.theirs or _sql_notes.is_theirs(context)
        if note.known.has_rows:
            _sql_notes.count(note, cursor)
        if note.many:
            return
        context._oslo_tracing = None
        known = note.known
        if statement != known.statement:
            # What another listener made of it is what was executed.
            statement = _sql_comments.remove(statement, note.comment)
            if statement != known.statement:
                note.known = self.memory.get(
                    known.engine,
                    statement,
                    context.compiled,
                    known.has_parameters,
                    note.size > 1,
                )
        self._record(note, None)

    def failed(self, context: Any, error: BaseException) -> None:
        """Record what was noted, if it was not yet."""
        note = _sql_notes.noted_by(self, context)
        if note is None:
            return
        context._oslo_tracing = None
        note.theirs = note.theirs or _sql_notes.is_theirs(context)
        # Not of all batches.
        note.rows = -1
        self._record(note, error)

    def end_batches(self, context: Any) -> None:
        """Record what was noted, all of whose batches succeeded."""
        note = _sql_notes.noted_by(self, context)
        if note is not None:
            context._oslo_tracing = None
            self._record(note, None)

    def _start(self, note: _sql_notes.Note) -> trace.Span:
        own: dict[str, int] = {}
        if note.size > 1:
            own[names.DB_OPERATION_BATCH_SIZE] = note.size
        if note.rows >= 0:
            own[names.OPENSTACK_DB_ROWS] = note.rows
        return self._tracer.start_ready(
            note.known.ready, note.parent, own, start_time=note.started
        )

    def _record(
        self, note: _sql_notes.Note, error: BaseException | None
    ) -> None:
        if note.theirs:
            self._step_back()
            return
        span, known = note.span, note.known
        ended = time.time_ns()
        if (
            self._settings.db_spans != 'all'
            and error is None
            and span is None
            and _sql_sums.add(
                self._settings,
                note.parent,
                known.ready.name,
                ended - note.started,
                note.rows,
                known.is_write,
            )
        ):
            return
        if span is None:
            span = self._start(note)
        elif span.is_recording():
            # Another listener may have made something else of it.
            span.update_name(known.ready.name)
            span.set_attributes(known.facts.attributes)
            if note.rows >= 0:
                span.set_attribute(names.OPENSTACK_DB_ROWS, note.rows)
        try:
            if error is not None:
                _sql_errors.record(span, error, self._settings)
        finally:
            span.end(ended)

    def _step_back(self) -> None:
        if not self._stepped_back:
            self._stepped_back = True
            LOG.info(
                'opentelemetry-instrumentation-sqlalchemy traces SQL '
                'statements: oslo.tracing has no span for those that it has.'
            )

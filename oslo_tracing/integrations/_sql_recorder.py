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

import logging
import time
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _ready
from oslo_tracing import attributes as names
from oslo_tracing import context as tracing_context
from oslo_tracing.integrations import _sql_comments
from oslo_tracing.integrations import _sql_engines
from oslo_tracing.integrations import _sql_errors
from oslo_tracing.integrations import _sql_statements
from oslo_tracing.integrations import _sql_sums
from oslo_tracing.integrations import _sql_transactions
from oslo_tracing import settings as settings_module

LOG = logging.getLogger(__name__)

#: Where an execution context has what is noted of its statement.
NOTE = '_oslo_tracing'
# Where opentelemetry-instrumentation-sqlalchemy keeps its span.
_THEIRS = '_otel_span'
_THEIR_MODULE = 'opentelemetry.instrumentation.sqlalchemy'
_CLIENT = trace.SpanKind.CLIENT
_MOST_ROWS = 2**63


class _Note:
    """A statement that is being executed."""

    __slots__ = (
        'comment',
        'compiled',
        'engine',
        'facts',
        'has_parameters',
        'many',
        'owner',
        'parent',
        'rows',
        'size',
        'span',
        'started',
        'statement',
        'theirs',
    )

    facts: _sql_statements.Facts
    started: int

    def __init__(
        self,
        owner: Recorder,
        engine: _sql_engines.Engine,
        statement: str,
        compiled: Any,
        has_parameters: bool,
        size: int,
        many: bool,
        parent: otel_context.Context,
    ) -> None:
        self.owner = owner
        self.engine = engine
        self.statement = statement
        self.compiled = compiled
        self.has_parameters = has_parameters
        self.size = size
        #: Several executions, of the batches of one insertmanyvalues.
        self.many = many
        self.parent = parent
        self.comment = ''
        self.span: trace.Span | None = None
        self.rows = -1
        self.theirs = False


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
        self.statements = _sql_statements.StatementCache(
            settings.db_query_text != 'none'
        )
        self._stepped_back = False

    def begin(
        self,
        conn: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
        many: bool = False,
    ) -> None:
        """Note a statement, where a span is wanted for it.

        :param many: it comes in batches, until :meth:`end_batches`.
        """
        current = _current.context()
        span: Any = current.get(_current.SPAN_KEY)
        if (
            span is None
            or not _current.is_sampled(span.get_span_context())
            or tracing_context.is_suppressed()
        ):
            # The end of its transaction may be wanted all the same.
            if _writes(conn, statement, context):
                self.transactions.wrote(conn, self.engines.get(conn))
            return
        note = getattr(context, NOTE, None)
        if note is not None and (note.many or note.owner is not self):
            return
        engine = self.engines.get(conn)
        note = _Note(
            self,
            engine,
            statement,
            context.compiled,
            bool(parameters),
            len(parameters) if executemany else 1,
            many,
            current,
        )
        facts = note.facts = self._facts(note)
        if facts.is_write:
            self.transactions.wrote(conn, engine)
        setattr(context, NOTE, note)
        note.started = time.time_ns()

    def commented(
        self, conn: Any, statement: str, context: Any, executemany: bool
    ) -> str:
        """Return a noted statement with a comment that names its span."""
        note = getattr(context, NOTE, None)
        # The drivers' ways of executing many read the statement themselves.
        if note is None or (executemany and not note.many):
            return statement
        if not note.comment:
            if _will_be_theirs(conn.engine):
                return statement
            wanted = self._settings.db_spans
            if wanted == 'all' or (wanted == 'slow' and note.facts.is_write):
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
        note = getattr(context, NOTE, None)
        if note is None or note.owner is not self:
            return
        if hasattr(context, _THEIRS):
            note.theirs = note.theirs or _is_theirs(context)
        if note.facts.has_rows:
            _count(note, cursor)
        if note.many:
            return
        setattr(context, NOTE, None)
        if statement is not note.statement:
            # What another listener made of it is what was executed.
            statement = _sql_comments.remove(statement, note.comment)
            if statement != note.statement:
                note.statement = statement
                note.facts = self._facts(note)
        self._record(note, None)

    def failed(self, context: Any, error: BaseException) -> None:
        """Record what was noted, if it was not yet."""
        note = getattr(context, NOTE, None)
        if note is None or note.owner is not self:
            return
        setattr(context, NOTE, None)
        note.theirs = note.theirs or _is_theirs(context)
        # Not of all batches.
        note.rows = -1
        self._record(note, error)

    def end_batches(self, context: Any) -> None:
        """Record what was noted, all of whose batches succeeded."""
        note = getattr(context, NOTE, None)
        if note is not None and note.owner is self:
            setattr(context, NOTE, None)
            self._record(note, None)

    def _facts(self, note: _Note) -> _sql_statements.Facts:
        return self.statements.get(
            note.statement,
            note.compiled,
            note.has_parameters,
            note.engine.dialect_name,
            note.size > 1,
        )

    def _start(self, note: _Note) -> trace.Span:
        engine, facts = note.engine, note.facts
        known = facts.ready
        if known is None or known[0] is not engine:
            known = facts.ready = (
                engine,
                _ready.Ready(
                    _name(note),
                    _CLIENT,
                    {**engine.attributes, **facts.attributes},
                ),
            )
        own = {}
        if note.size > 1:
            own[names.DB_OPERATION_BATCH_SIZE] = note.size
        if note.rows >= 0:
            own[names.OPENSTACK_DB_ROWS] = note.rows
        return self._tracer.start_ready(
            known[1], note.parent, own, start_time=note.started
        )

    def _record(self, note: _Note, error: BaseException | None) -> None:
        if note.theirs:
            self._step_back()
            return
        span = note.span
        ended = time.time_ns()
        if (
            self._settings.db_spans != 'all'
            and error is None
            and span is None
            and _sql_sums.add(
                self._settings,
                note.parent,
                _name(note),
                ended - note.started,
                note.rows,
                note.facts.is_write,
            )
        ):
            return
        if span is None:
            span = self._start(note)
        elif span.is_recording():
            # Another listener may have made something else of it.
            span.update_name(_name(note))
            span.set_attributes(note.facts.attributes)
            if note.rows >= 0:
                span.set_attribute(names.OPENSTACK_DB_ROWS, note.rows)
        if error is not None:
            _sql_errors.record(span, error, self._settings)
        span.end(ended)

    def _step_back(self) -> None:
        if not self._stepped_back:
            self._stepped_back = True
            LOG.info(
                'opentelemetry-instrumentation-sqlalchemy traces SQL '
                'statements: oslo.tracing has no span for those that it has.'
            )


def _writes(conn: Any, statement: str, context: Any) -> bool:
    """Whether a statement writes, without remembering anything of it."""
    compiled = context.compiled
    if (
        compiled is not None
        and getattr(compiled.statement, '__visit_name__', '') == 'select'
    ):
        return False
    # Not needed before there is a statement.
    from oslo_tracing.scrub import sql

    return bool(
        context.isinsert
        or context.isupdate
        or context.isdelete
        or sql.is_write(statement, conn.dialect.name)
    )


def _name(note: _Note) -> str:
    # The conventions: the system's name where nothing better is.
    return note.facts.name or str(note.engine.attributes[names.DB_SYSTEM_NAME])


def _count(note: _Note, cursor: Any) -> None:
    """Add the rows of an execution, where the driver knows them."""
    if (
        note.facts.is_write
        and note.engine.dialect_name == 'sqlite'
        and cursor.description is not None
    ):
        # It counts rows only as RETURNING gives them out.
        return
    rows = cursor.rowcount
    if isinstance(rows, int) and 0 <= rows < _MOST_ROWS:
        note.rows = rows + max(note.rows, 0)


def _will_be_theirs(engine: Any) -> bool:
    """Whether another instrumentation listens to an engine."""
    return any(
        type(getattr(listener, '__self__', None)).__module__.startswith(
            _THEIR_MODULE
        )
        for listener in engine.dispatch.before_cursor_execute
    )


def _is_theirs(context: Any) -> bool:
    """Whether another instrumentation has a span for this very statement."""
    span = getattr(context, _THEIRS, None)
    return isinstance(span, trace.Span) and span.is_recording()

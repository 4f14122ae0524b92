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

"""One client span for each COMMIT and ROLLBACK that has work to do.

Why here: the engine's ``commit`` event fires before the work is done, and
Connection and pool alike end a transaction by ``do_commit`` and
``do_rollback`` of the dialect.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import time
from typing import Any
import weakref

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing.integrations import _sql_engines
from oslo_tracing.integrations import _sql_errors
from oslo_tracing.integrations import _sql_sums
from oslo_tracing import settings as settings_module

_SEAMS = (('do_commit', 'COMMIT'), ('do_rollback', 'ROLLBACK'))
_WROTE = 'oslo_tracing.wrote'
_CLIENT = trace.SpanKind.CLIENT


class _Mark:
    """That something was written in the transaction of a connection."""

    __slots__ = ('__weakref__', 'engine', 'owner')

    def __init__(
        self, owner: Transactions, engine: _sql_engines.Engine
    ) -> None:
        self.owner = owner
        self.engine = engine


class Transactions:
    """Knows which connections wrote, and traces the end of that.

    A mark is kept in the ``info`` of the connection, which is for such use
    and lives as long as the driver's own connection. Mostly there is none
    anywhere: keystone ends a transaction after each statement that reads.

    :param tracer: makes the spans.
    :param settings: what to record of errors, and whether text is wanted.
    """

    def __init__(
        self, tracer: trace.Tracer, settings: settings_module.Settings
    ) -> None:
        self._tracer = tracer
        self._settings = settings
        self._undo = contextlib.ExitStack()
        self._open = True
        self._marks: set[weakref.ref[_Mark]] = set()
        self._covered: set[tuple[type, str]] = set()
        self._two_phase: Any = None

    def attach(self, sqlalchemy: Any, undo: contextlib.ExitStack) -> None:
        """Attach to what all dialects have in common.

        :param sqlalchemy: the imported package.
        :param undo: takes the way back, also of what :meth:`cover` adds.
        """
        self._two_phase = getattr(
            sqlalchemy.engine.base, 'TwoPhaseTransaction', ()
        )
        undo.callback(self._close)
        self.cover(sqlalchemy.engine.default.DefaultDialect)

    def cover(self, dialect: type) -> None:
        """Attach to the methods that a class of dialects really uses.

        Dialects are loaded late, and one may replace the common method.
        """
        for seam, operation in _SEAMS:
            owner = next((c for c in dialect.__mro__ if seam in vars(c)), None)
            key = (owner or dialect, seam)
            if not self._open or key in self._covered:
                continue
            self._covered.add(key)
            _wrap.wrap(
                key[0],
                seam,
                self._maker(operation),
                self._undo,
                distribution='SQLAlchemy',
                untraced=f'{operation}s are',
            )
        if not self._open:
            # Closed by another thread meanwhile.
            self._undo.close()

    def _close(self) -> None:
        self._open = False
        self._undo.close()

    def wrote(self, conn: Any, engine: _sql_engines.Engine) -> None:
        """Note that the transaction of a connection has something to end.

        Not where each statement is a transaction, and not for two phases,
        whose ends are statements.
        """
        try:
            if conn._is_autocommit_isolation():
                return
            if isinstance(conn.get_transaction(), self._two_phase):
                return
            conn.connection.info[_WROTE] = mark = _Mark(self, engine)
            # It goes with whatever becomes of the connection.
            self._marks.add(weakref.ref(mark, self._marks.discard))
        except Exception:
            _guard.report('noting that a transaction wrote')

    def _maker(
        self, operation: str
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        facts = {
            names.DB_OPERATION_NAME: operation,
            names.DB_QUERY_SUMMARY: operation,
        }
        if self._settings.db_query_text != 'none':
            facts[names.DB_QUERY_TEXT] = operation

        marks = self._marks

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def end(dialect: Any, dbapi_connection: Any) -> Any:
                mark = self._take(dbapi_connection) if marks else None
                if mark is None:
                    return original(dialect, dbapi_connection)
                parent = _current.context()
                started = time.time_ns()
                failure: BaseException | None = None
                try:
                    return original(dialect, dbapi_connection)
                except BaseException as error:
                    failure = error
                    if operation == 'COMMIT':
                        self._put_back(dbapi_connection, mark)
                    raise
                finally:
                    self._record(facts, mark.engine, parent, started, failure)
                    # It has a traceback that leads to this frame.
                    del failure

            return end

        return make

    def _take(self, dbapi_connection: Any) -> _Mark | None:
        """Remove the mark, and return it where a span is wanted."""
        try:
            info = getattr(dbapi_connection, 'info', None)
            # Somebody may hand over the driver's own connection.
            if not isinstance(info, dict) or _WROTE not in info:
                return None
            if info[_WROTE].owner is not self:
                return None
            mark: _Mark = info.pop(_WROTE)
            if not _current.is_span_sampled(_current.span()):
                return None
            return None if context.is_suppressed() else mark
        except NotImplementedError:
            # So says SQLAlchemy's stand-in for a connection just made.
            return None
        except Exception:
            _guard.report('starting the span of a transaction')
            return None

    def _put_back(self, dbapi_connection: Any, mark: _Mark) -> None:
        """Note that what a COMMIT did not keep is still to be undone."""
        try:
            dbapi_connection.info[_WROTE] = mark
        except Exception:
            _guard.report('noting that a transaction wrote')

    def _record(
        self,
        facts: dict[str, str],
        engine: _sql_engines.Engine,
        parent: otel_context.Context,
        started: int,
        error: BaseException | None,
    ) -> None:
        try:
            name = facts[names.DB_QUERY_SUMMARY]
            ended = time.time_ns()
            if (
                self._settings.db_spans != 'all'
                and error is None
                and _sql_sums.add(
                    self._settings, parent, name, ended - started, 0, True
                )
            ):
                return
            span = self._tracer.start_span(
                name,
                parent,
                _CLIENT,
                {**engine.attributes, **facts},
                start_time=started,
            )
            try:
                if error is not None:
                    _sql_errors.record(span, error, self._settings)
            finally:
                span.end(ended)
        except Exception:
            _guard.report('ending the span of a transaction')

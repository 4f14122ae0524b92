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

"""One client span for each SQL statement that runs under a span.

Why here: every service reaches its database through a SQLAlchemy ``Engine``.
Listening on the class also covers engines made before, those of oslo.db and
those below async engines.

As soon as anybody listens SQLAlchemy calls some forty functions more for each
statement. So where nobody else does, neither do we: there the method is
wrapped that would call us.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
from typing import Any

from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import exceptions
from oslo_tracing import integrations
from oslo_tracing.integrations import _sql_listening
from oslo_tracing.integrations import _sql_pool
from oslo_tracing.integrations import _sql_recorder


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Trace the statements of this process until ``undo`` is closed.

    :param toolbox: tracer and settings.
    :param undo: takes the way back.
    """
    recorder = _sql_recorder.Recorder(
        toolbox.tracer('sqlalchemy'), toolbox.settings
    )
    listeners = _Listeners(recorder, toolbox.settings.db_comment)
    for attach in (
        recorder.transactions.attach,
        _sql_pool.attach,
        listeners.attach,
    ):
        # The package as a whole: its events are known only then.
        _wrap.on_import(
            'sqlalchemy', functools.partial(attach, undo=undo), undo
        )


class _Listeners:
    """What SQLAlchemy calls.

    :param recorder: does the work.
    :param commented: whether statements are to name their spans.
    """

    def __init__(
        self, recorder: _sql_recorder.Recorder, commented: bool
    ) -> None:
        self._recorder = recorder
        self._commented = commented
        self._event: Any = None
        self._base: Any = None
        self._missing: Any = ()
        self._listening = False
        self._open = True
        self._undo = contextlib.ExitStack()

    def attach(self, sqlalchemy: Any, undo: contextlib.ExitStack) -> None:
        """Listen until ``undo`` is closed.

        :param sqlalchemy: the imported package.
        :param undo: takes the way back.
        :raises SeamMissing: when it has no such events.
        """
        event = sqlalchemy.event
        base = sqlalchemy.engine.base
        undo.callback(
            _sql_listening.put_flags_back,
            [
                (kind, vars(kind)['_has_events'])
                for kind in (
                    base.Engine,
                    # Where the releases since 2.0 handle errors.
                    sqlalchemy.engine.interfaces.Dialect,
                )
                if '_has_events' in vars(kind)
            ],
        )
        self._event, self._base = event, base
        self._missing = sqlalchemy.exc.InvalidRequestError
        undo.callback(self._close)
        # 1.4 has none of these methods. Who else listens hears comments.
        if self._commented or not all(
            name in vars(base.Connection)
            for name in ('_exec_single_context', '_cursor_execute')
        ):
            self._listen()
        # It listens on every engine that it makes. So early, since whoever
        # executes a statement then must not see the listeners change.
        _wrap.on_import(
            'oslo_db.sqlalchemy.engines', lambda module: self._listen(), undo
        )
        for name, make, untraced in (
            ('_exec_single_context', self._around_one, 'statements are'),
            ('_cursor_execute', self._around_inner, 'defaults are'),
            ('_exec_insertmany_context', self._around_batches, 'batches are'),
            # The event does not come where a listener before ours raises.
            ('_handle_dbapi_exception', self._after_failure, 'failures are'),
        ):
            if name in vars(base.Connection):
                _wrap.wrap(
                    base.Connection,
                    name,
                    make,
                    undo,
                    distribution='SQLAlchemy',
                    untraced=untraced,
                )

    def _listen(self) -> None:
        """Listen, from now on and to all engines."""
        if self._listening:
            return
        self._listening = True
        before = self.before_commented if self._commented else self.before
        for name, listener, changes in (
            ('before_cursor_execute', before, self._commented),
            ('after_cursor_execute', self.after, False),
            ('handle_error', self.failed, False),
        ):
            target = self._base.Engine
            try:
                self._event.listen(target, name, listener, retval=changes)
            except self._missing:
                raise exceptions.SeamMissing(
                    'SQLAlchemy',
                    _wrap.version_of('SQLAlchemy'),
                    'SQL statements are',
                ) from None
            self._undo.callback(self._event.remove, target, name, listener)
        if not self._open:
            # Closed by another thread meanwhile.
            self._undo.close()

    def _close(self) -> None:
        self._open = False
        self._undo.close()

    def _is_told(self) -> bool:
        """Listen where somebody does; say whether events tell us."""
        if not self._listening and self._open:
            try:
                self._listen()
            except Exception:
                _guard.report('listening to SQLAlchemy')
        return self._listening

    def _around_one(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Record a statement of which no event tells."""
        recorder = self._recorder

        def execute(
            conn: Any,
            dialect: Any,
            context: Any,
            statement: Any,
            parameters: Any,
        ) -> Any:
            if (
                (conn._has_events or conn.engine._has_events)
                and self._is_told()
            ) or _sql_listening.needs_nothing(context):
                return original(conn, dialect, context, statement, parameters)
            many = context.executemany
            given = context.parameters
            text = context.statement
            try:
                recorder.begin(
                    conn, text, given if many else given[0], context, many
                )
            except Exception:
                _guard.report('noting an SQL statement')
            result = original(conn, dialect, context, statement, parameters)
            try:
                recorder.succeeded(text, context.cursor, context)
            except Exception:
                _guard.report('recording an SQL statement')
            return result

        return execute

    def _around_inner(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Do the same for what SQLAlchemy executes to make up a value."""

        def execute(
            conn: Any,
            cursor: Any,
            statement: Any,
            parameters: Any,
            context: Any = None,
        ) -> Any:
            if context is None or (
                (conn._has_events or conn.engine._has_events)
                and self._is_told()
            ):
                return original(conn, cursor, statement, parameters, context)
            self.before(conn, cursor, statement, parameters, context, False)
            result = original(conn, cursor, statement, parameters, context)
            self.after(conn, cursor, statement, parameters, context, False)
            return result

        return execute

    def _told_by(
        self, conn: Any, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Have one connection tell of each batch that it executes."""

        def tell(*args: Any) -> Any:
            heard = (
                ('before_cursor_execute', self.before),
                ('after_cursor_execute', self.after),
            )
            with contextlib.ExitStack() as undo:
                for name, listener in heard:
                    self._event.listen(conn, name, listener)
                    undo.callback(self._event.remove, conn, name, listener)
                return original(*args)

        return tell

    def before(
        self,
        conn: Any,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> None:
        """Note a statement that begins."""
        if _sql_listening.needs_nothing(context):
            return
        try:
            self._recorder.begin(
                conn, statement, parameters, context, executemany
            )
        except Exception:
            _guard.report('noting an SQL statement')

    def before_commented(
        self,
        conn: Any,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> tuple[str, Any]:
        """Note a statement that begins, and name its span in a comment."""
        said = statement
        try:
            self._recorder.begin(
                conn, statement, parameters, context, executemany
            )
            said = self._recorder.commented(
                conn, statement, context, executemany
            )
        except Exception:
            _guard.report('noting an SQL statement')
        return said, parameters

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
        if getattr(context, _sql_recorder.NOTE, None) is None:
            return
        try:
            self._recorder.succeeded(statement, cursor, context)
        except Exception:
            _guard.report('recording an SQL statement')

    def failed(self, failure: Any) -> None:
        """Record a statement that failed; the exception goes its way.

        :param failure: SQLAlchemy's ``ExceptionContext``.
        """
        self._failed(failure.execution_context, failure.original_exception)

    def _failed(self, context: Any, error: BaseException) -> None:
        try:
            self._recorder.failed(context, error)
        except Exception:
            _guard.report('recording an SQL statement')

    def _after_failure(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Record a failure of which no event told."""

        def handle(
            conn: Any,
            e: BaseException,
            statement: Any,
            parameters: Any,
            cursor: Any,
            context: Any,
            *args: Any,
            **kwargs: Any,
        ) -> Any:
            try:
                return original(
                    conn,
                    e,
                    statement,
                    parameters,
                    cursor,
                    context,
                    *args,
                    **kwargs,
                )
            finally:
                self._failed(context, e)

        return handle

    def _around_batches(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Make one span of what the events show as several."""

        def execute(conn: Any, dialect: Any, context: Any) -> Any:
            try:
                self._recorder.begin(
                    conn,
                    context.statement,
                    context.compiled_parameters,
                    context,
                    True,
                    many=True,
                )
            except Exception:
                _guard.report('noting an SQL statement')
            told = original
            if not (
                (conn._has_events or conn.engine._has_events)
                and self._is_told()
            ):
                told = self._told_by(conn, original)
            try:
                result = told(conn, dialect, context)
            except BaseException as error:
                # Mostly that was told, and nothing is left to do.
                self._failed(context, getattr(error, 'orig', None) or error)
                raise
            try:
                self._recorder.end_batches(context)
            except Exception:
                _guard.report('recording an SQL statement')
            return result

        return execute

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
those below async engines. The events around a cursor's execution are two, for
which SQLAlchemy does more than we do; that of the execution itself is one,
and has nothing around the driver's work but us.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
from typing import Any

from oslo_tracing import _guard
from oslo_tracing import _runtime
from oslo_tracing import _wrap
from oslo_tracing import exceptions
from oslo_tracing import integrations
from oslo_tracing.integrations import _sql_driver
from oslo_tracing.integrations import _sql_notes
from oslo_tracing.integrations import _sql_pool
from oslo_tracing.integrations import _sql_recorder
from oslo_tracing.integrations import _sql_usual


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Trace the statements of this process until ``undo`` is closed.

    :param toolbox: tracer and settings.
    :param undo: takes the way back.
    """
    settings, tracer = toolbox.settings, toolbox.tracer('sqlalchemy')
    recorder = _sql_recorder.Recorder(tracer, settings)
    usual = _sql_usual.Usual(recorder, tracer, settings)
    listeners = _Listeners(recorder, usual, settings.db_comment)
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
    :param usual: does it for nearly all.
    :param commented: whether statements are to name their spans.
    """

    def __init__(
        self,
        recorder: _sql_recorder.Recorder,
        usual: _sql_usual.Usual,
        commented: bool,
    ) -> None:
        self._recorder = recorder
        self._usual = usual
        self._commented = commented
        self._unusual = {
            what: functools.partial(self._execute, what)
            for what in (_sql_driver.MANY, _sql_driver.PLAIN)
        }

    def attach(self, sqlalchemy: Any, undo: contextlib.ExitStack) -> None:
        """Listen until ``undo`` is closed.

        :param sqlalchemy: the imported package.
        :param undo: takes the way back.
        :raises SeamMissing: when it has no such events.
        """
        event = sqlalchemy.event
        base = sqlalchemy.engine.base
        undo.callback(
            _put_flags_back,
            [
                (kind, vars(kind)['_has_events'])
                for kind in (
                    base.Engine,
                    # Which executes, and since 2.0 handles errors.
                    sqlalchemy.engine.interfaces.Dialect,
                )
                if '_has_events' in vars(kind)
            ],
        )
        listeners: list[tuple[str, Callable[..., Any], dict[str, bool]]] = [
            (_sql_driver.ONE, self._usual.listener, {}),
            *((what, execute, {}) for what, execute in self._unusual.items()),
            ('handle_error', self.failed, {}),
        ]
        if self._commented:
            self._usual.look_closer()
            before = self.before_commented
            # Others are to see the comment, too. And its span may have been
            # started, whoever executes the statement.
            listeners += [
                ('before_cursor_execute', before, {'retval': True}),
                ('after_cursor_execute', self.after_commented, {}),
            ]
        for name, listener, options in listeners:
            try:
                event.listen(base.Engine, name, listener, **options)
            except sqlalchemy.exc.InvalidRequestError:
                raise exceptions.SeamMissing(
                    'SQLAlchemy',
                    _wrap.version_of('SQLAlchemy'),
                    'SQL statements are',
                ) from None
            undo.callback(_take_off, event, base.Engine, name, listener)
        # Before any of them is taken off.
        undo.callback(self._recorder.close)
        undo.callback(self._usual.look_closer)
        for name, make, untraced in (
            # 1.4 has no such batches.
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
            self._recorder.begin(statement, parameters, context, executemany)
            said = self._recorder.commented(statement, context, executemany)
        except Exception:
            _guard.report('noting an SQL statement')
        return said, parameters

    def after_commented(
        self,
        conn: Any,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> None:
        """Record a statement that somebody before us has executed."""
        note = _sql_notes.noted_by(self._recorder, context)
        # Batches are counted where they are executed.
        if note is not None and not note.many:
            self._succeeded(statement, cursor, context)

    def _execute(
        self, what: str, cursor: Any, statement: str, *arguments: Any
    ) -> bool:
        """Execute a statement in a way that few are, and record it.

        :param what: the event.
        :param arguments: what else it has.
        """
        *given, context = arguments
        parameters = given[0] if given else ()
        try:
            if not self._recorder.begin(
                statement, parameters, context, what == _sql_driver.MANY
            ):
                return False
        except Exception:
            _guard.report('noting an SQL statement')
            return False
        _sql_driver.execute(
            what, self._unusual[what], cursor, statement, *arguments
        )
        self._succeeded(statement, cursor, context)
        return True

    def _succeeded(self, statement: str, cursor: Any, context: Any) -> None:
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
                    context.statement,
                    context.compiled_parameters,
                    context,
                    executemany=True,
                    many=True,
                )
            except Exception:
                _guard.report('noting an SQL statement')
            batches = self._recorder.batches
            batches.add(id(context))
            try:
                result = original(conn, dialect, context)
            except BaseException as error:
                # Mostly that was told, and nothing is left to do.
                self._failed(context, getattr(error, 'orig', None) or error)
                raise
            finally:
                batches.discard(id(context))
            try:
                self._recorder.end_batches(context)
            except Exception:
                _guard.report('recording an SQL statement')
            return result

        return execute


def _take_off(
    event: Any, kind: Any, name: str, listener: Callable[..., Any]
) -> None:
    """Take a listener off, unless nobody is to notice any more.

    SQLAlchemy fails a statement whose thread goes through the listeners
    while one of them is removed.
    """
    if not _runtime.RUNTIME.is_ending:
        event.remove(kind, name, listener)


def _put_flags_back(before: list[tuple[Any, bool]]) -> None:
    """Let SQLAlchemy skip its events again where nobody else listens."""
    for kind, flag in before:
        if not flag and not _is_listened_to(kind):
            kind._has_events = flag


def _is_listened_to(kind: Any) -> bool:
    try:
        return any(
            descriptor._clslevel.get(kind)
            for descriptor in kind.dispatch._event_descriptors
        )
    except Exception:
        _guard.report('looking for other listeners of SQLAlchemy')
        return True

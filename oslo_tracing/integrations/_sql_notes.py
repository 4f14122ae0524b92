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

"""What is noted of a statement while it is executed.

It is on the execution context, and goes with it: whatever others' listeners
or the driver do, nothing is left open.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing.integrations import _sql_known

#: Where an execution context has what is noted of its statement.
NOTE = '_oslo_tracing'
#: Where opentelemetry-instrumentation-sqlalchemy keeps its span.
THEIRS = '_otel_span'
_THEIR_MODULE = 'opentelemetry.instrumentation.sqlalchemy'
#: No more rows are told.
MOST_ROWS = 2**63


class Note:
    """A statement that is executed, or has failed.

    :param known: what is known of it.
    :param parent: what it runs under.
    :param started: nanoseconds since the epoch.
    :param size: executions in one span.
    :param many: whether these are the batches of one insertmanyvalues.
    """

    __slots__ = (
        'comment',
        'known',
        'many',
        'parent',
        'rows',
        'size',
        'span',
        'started',
        'theirs',
    )

    def __init__(
        self,
        known: _sql_known.Known,
        parent: otel_context.Context,
        started: int,
        size: int = 1,
        many: bool = False,
    ) -> None:
        self.known = known
        self.parent = parent
        self.started = started
        self.size = size
        self.many = many
        self.comment = ''
        self.span: trace.Span | None = None
        self.rows = -1
        self.theirs = False


def noted_by(owner: object, context: Any) -> Note | None:
    """Return what somebody has noted here, None where that is nothing."""
    noted = getattr(context, NOTE, None)
    if noted is None or noted.known.owner is not owner:
        return None
    return noted  # type: ignore[no-any-return]


def count(note: Note, cursor: Any) -> None:
    """Add the rows of an execution, where the driver knows them."""
    if note.known.counts_late and cursor.description is not None:
        return
    rows = cursor.rowcount
    if isinstance(rows, int) and 0 <= rows < MOST_ROWS:
        note.rows = rows + max(note.rows, 0)


def will_be_theirs(engine: Any) -> bool:
    """Whether another instrumentation listens to an engine."""
    return any(
        type(getattr(listener, '__self__', None)).__module__.startswith(
            _THEIR_MODULE
        )
        for listener in engine.dispatch.before_cursor_execute
    )


def is_theirs(context: Any) -> bool:
    """Whether another instrumentation has a span for this very statement."""
    span = getattr(context, THEIRS, None)
    return isinstance(span, trace.Span) and span.is_recording()

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

"""What became of the statements that got no span: sums on their parent.

They are kept with the span itself and written once, right before it ends:
to set attributes for each statement would cost nearly what its span does.
Whatever cannot be added up here gets a span after all, so that nothing is
missing: where the parent is not recorded in this process or has ended, and
where two threads would have to wait for each other.
"""

from __future__ import annotations

import functools
import types
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import _ready
from oslo_tracing import _real
from oslo_tracing import attributes as names
from oslo_tracing import leases
from oslo_tracing import settings as settings_module

#: Statements that are told by name.
TOP = 5
#: Statements of one span that are told apart; the time of others counts in
#: the totals alone.
MAX_NAMES = 64

_NOTHING: types.MappingProxyType[str, Any] = types.MappingProxyType({})
_KEY = '_oslo_tracing_sql_sums'
#: Seconds. A fork can leave the lock locked for ever, and the garbage
#: collector can end a span in the middle of an addition to it.
_PATIENCE = 0.01


class Sums:
    """What the statements under one span add up to."""

    __slots__ = ('_by_name', '_lock', '_open', '_others', 'retried')

    def __init__(self) -> None:
        self._lock = _real.threading_module().Lock()
        self._open = True
        #: By name: how many, their nanoseconds, their rows.
        self._by_name: dict[str, list[int]] = {}
        #: The same of names that are not kept.
        self._others = [0, 0, 0]
        #: Whether something under this span was tried again.
        self.retried = False

    def add(self, name: str, duration: int, rows: int) -> bool:
        """Add a statement; say whether that could be done at once."""
        if not self._lock.acquire(False):
            return False
        try:
            if not self._open:
                return False
            known = self._by_name.get(name)
            if known is None:
                known = self._begin(name)
            known[0] += 1
            known[1] += duration
            if rows > 0:
                known[2] += rows
            return True
        finally:
            self._lock.release()

    def _begin(self, name: str) -> list[int]:
        by_name = self._by_name
        if len(by_name) >= MAX_NAMES:
            least = min(by_name, key=lambda name: by_name[name][1])
            others = zip(self._others, by_name.pop(least), strict=True)
            self._others = [sum(both) for both in others]
        by_name[name] = known = [0, 0, 0]
        return known

    def close(self) -> dict[str, Any]:
        """Add no more; return what was added up, as attributes."""
        locked = self._lock.acquire(timeout=_PATIENCE)
        self._open = False
        if locked:
            self._lock.release()
        by_name = list(self._by_name.items())
        if not by_name:
            return {}
        every = [told for _, told in by_name]
        count, duration, rows = map(
            sum, zip(self._others, *every, strict=True)
        )
        top = sorted(by_name, key=lambda one: one[1][1], reverse=True)[:TOP]
        called, told = zip(*top, strict=True)
        counts, durations, _rows = zip(*told, strict=True)
        return {
            names.OPENSTACK_DB_COUNT: count,
            names.OPENSTACK_DB_DURATION: duration / 1e9,
            names.OPENSTACK_DB_ROWS: rows,
            names.OPENSTACK_DB_TOP_STATEMENTS: called,
            names.OPENSTACK_DB_TOP_COUNTS: counts,
            names.OPENSTACK_DB_TOP_DURATIONS: tuple(
                [nanoseconds / 1e9 for nanoseconds in durations]
            ),
        }


def add(
    settings: settings_module.Settings,
    parent: otel_context.Context,
    name: str,
    duration: int,
    rows: int,
    is_write: bool,
) -> bool:
    """Add up a statement that succeeded, unless it is to have a span.

    :param settings: which statements have one.
    :param parent: what it ran under.
    :param name: what it is called.
    :param duration: nanoseconds.
    :param rows: how many, negative if that is not known.
    :param is_write: whether it writes, or ends what wrote.
    :returns: False where it is to have a span.
    """
    is_slow_only = settings.db_spans == 'slow'
    if is_slow_only and is_write:
        return False
    if duration >= settings.db_slow_threshold * 1e9:
        return False
    span: Any = parent.get(_current.SPAN_KEY)
    # Nearly always there were statements before.
    sums: Sums | None = getattr(span, '__dict__', _NOTHING).get(_KEY)
    if type(sums) is not Sums:
        sums = _of(span)
        if sums is not None and _current.RETRIED in parent:
            # Of the span that it was noted on, this one is below.
            sums.retried = True
    if sums is None or (is_slow_only and sums.retried):
        return False
    # A clock may have been set back.
    return sums.add(name, max(0, duration), rows)


def note_retry(span: trace.Span) -> None:
    """Note that what runs under a span from now on is tried again.

    What has the span as its own finds it there; what is further below it, in
    the context, until whoever made the span current puts back what was.
    """
    sums = _of(span)
    if sums is not None:
        sums.retried = True
    where = _current.context()
    if _current.RETRIED not in where:
        _current.attach(
            otel_context.Context({**where, _current.RETRIED: True})
        )


def _of(span: Any) -> Sums | None:
    """Return the sums of a span, None where it can have none."""
    if isinstance(span, leases.Lease):
        span = span.lent
    kept = getattr(span, '__dict__', None)
    if kept is None:
        return None
    sums = kept.get(_KEY)
    if sums is None:
        if not span.is_recording():
            return None
        mine = Sums()
        # Atomic: of several threads one attaches to the end.
        sums = kept.setdefault(_KEY, mine)
        if sums is mine and isinstance(span, _ready.Span):
            span.before_end(functools.partial(_write, span))
        elif sums is mine:
            kept['end'] = functools.partial(_end, span)
    return sums if isinstance(sums, Sums) else None


def _end(span: trace.Span, *args: Any, **kwargs: Any) -> None:
    """Write the sums of a span and end it; stands in for its ``end``."""
    # From here on it is the method again, and no cycle is left.
    vars(span).pop('end', None)
    _write(span)
    span.end(*args, **kwargs)


def _write(span: trace.Span) -> None:
    try:
        if span.is_recording():
            _set(span, vars(span)[_KEY].close())
    except Exception:
        _guard.report('adding up SQL statements')


def _set(span: trace.Span, found: dict[str, Any]) -> None:
    called = found.get(names.OPENSTACK_DB_TOP_STATEMENTS, ())
    if isinstance(span, _ready.Span) and ''.join(called).isascii():
        span.set_ready(found)
    else:
        span.set_attributes(found)

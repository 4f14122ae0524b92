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

"""The span that records."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import logging
import time
import types as builtin_types
from typing import Any
from typing import Final

from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace
from opentelemetry.util import types

from oslo_tracing import _guard
from oslo_tracing import _ready
from oslo_tracing import attributes as names
from oslo_tracing.tracer import _attributes
from oslo_tracing.tracer import _parts
from oslo_tracing.tracer import _recorded

# Where the SDK tells the same.
LOG = logging.getLogger('opentelemetry.sdk.trace')

_UNSET: Final = trace.StatusCode.UNSET
_OK: Final = trace.StatusCode.OK
_NOT_SET: Final = _recorded.NOT_SET
_OPEN: Final = object()
_TELL: Final = object()
#: Of an ended span that has neither events nor links; never added to.
_NOTHING: Final[dict[Any, Any]] = {}
#: What exporters take as it is.
_NAME_LIMIT: Final = 256
#: Nanoseconds since the epoch that every exporter takes.
MAX_TIME: Final = 2**63 - 1

#: What a span does when it is left with an exception, as a context manager.
RECORD_ERROR: Final = 1
SET_STATUS: Final = 2


class Span(_ready.Span, _recorded.Recorded):
    """A span that is recorded, and after its end the record itself.

    Made by a tracer, for one use. Of several threads that use one span each
    does what it would do alone; there is no lock, since everything that two
    of them may do at once is a single operation on a dictionary, which is
    atomic also on a Python without the GIL. What is set while another thread
    ends the span is in it, or not; who reads an ended span gets a copy. Only
    the counts of what was dropped may then be too low.

    :param name: what it is called.
    :param context: its ids.
    :param parent: of its parent, None for a root.
    :param kind: its kind.
    :param attributes: those that it starts with, a dict of its own.
    :param rough: whether exporters must look at it.
    :param dropped: how many attributes, events and links it has lost.
    :param start_time: nanoseconds since the epoch.
    :param shared: what it has in common with others.
    :param on_error: ``RECORD_ERROR``, ``SET_STATUS``, both or neither.
    :param ready: attributes that it shares with others, None where all are
        its own. What is set beside them is; past the limit the oldest of
        those goes first.
    :ivar rough: whether exporters must look at it. If not it is sampled, has
        neither events, links, a description nor a trace state, nothing was
        dropped, its times are times, and all its texts are ASCII and short
        enough.
    """

    __slots__ = (
        '_context',
        '_dropped',
        '_end_time',
        '_kind',
        '_more',
        '_name',
        '_on_error',
        '_parent',
        '_start_time',
        '_status',
        'own',
        'ready',
        'rough',
        'shared',
    )

    _kind: trace.SpanKind
    _status: trace.Status

    def __init__(
        self,
        name: str,
        context: trace.SpanContext,
        parent: trace.SpanContext | None,
        kind: trace.SpanKind,
        attributes: dict[str, Any],
        rough: bool,
        dropped: tuple[int, int, int],
        start_time: int,
        shared: _parts.Shared,
        on_error: int,
        ready: _ready.Ready | None,
    ) -> None:
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self.own = attributes
        self.ready = ready
        self._start_time = start_time
        self._end_time: int | None = None
        self._status = _NOT_SET
        self.shared = shared
        self._on_error = on_error
        self._dropped = dropped
        # Events and links in their order, that it has not ended, and who
        # has something to say before it does.
        self._more: dict[Any, Any] = {_OPEN: True}
        self.rough = rough

    # What is read.

    def get_span_context(self) -> trace.SpanContext:
        return self._context  # type: ignore[return-value]

    def is_recording(self) -> bool:
        return self._end_time is None

    @property
    def events(self) -> tuple[sdk_trace.Event, ...]:
        return tuple(self._all(_parts.Event)) if self._more else ()

    @property
    def links(self) -> tuple[trace.Link, ...]:
        return tuple(self._all(_parts.Link)) if self._more else ()

    # As the SDK's own code asks for them.
    _events = events
    _links = links

    @property
    def dropped_attributes(self) -> int:
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        return self._dropped[2]

    # What changes it.

    def set_attribute(self, key: str, value: types.AnyValue) -> None:
        if self._end_time is not None:
            LOG.warning('Setting attribute on ended span.')
            return
        shared = self.shared
        if _attributes.is_simple(key, value, shared.attribute_length):
            if not self.rough and _attributes.is_rough(key, value):
                self.rough = True
            self._put(key, value)
            return
        if not shared.attributes:
            self._lose(attributes=1)
            return
        found, dropped = _attributes.single(
            key, value, shared.attribute_length
        )
        self.rough = True
        if dropped:
            self._lose(attributes=dropped)
        for key, value in found.items():
            self._put(key, value)

    def set_attributes(self, attributes: Mapping[str, types.AnyValue]) -> None:
        if self._end_time is not None:
            LOG.warning('Setting attribute on ended span.')
            return
        shared = self.shared
        if not shared.attributes:
            given, unread = _attributes.copied(attributes)
            self._lose(attributes=len(given) + unread)
            return
        found, dropped, rough = _attributes.taken(
            attributes, _attributes.ENDLESS, shared.attribute_length
        )
        if rough:
            self.rough = True
        if dropped:
            self._lose(attributes=dropped)
        mine = self.own
        if mine.keys().isdisjoint(found) and (
            len(mine) + len(found) <= self._room()
        ):
            # All of them at once are a single operation as well.
            mine.update(found)
            return
        for key, value in found.items():
            self._put(key, value)

    def set_ready(self, own: dict[str, Any]) -> None:
        mine = self.own
        if (
            self._end_time is None
            and self.shared.attribute_length >= _NAME_LIMIT
            and mine.keys().isdisjoint(own)
            and len(mine) + len(own) <= self._room()
        ):
            mine.update(own)
        else:
            self.set_attributes(own)

    def before_end(self, tell: Callable[[], object]) -> None:
        more = self._more
        if _OPEN in more:
            more[_TELL] = tell

    def add_event(
        self,
        name: str,
        attributes: types.Attributes = None,
        timestamp: int | None = None,
    ) -> None:
        self._add_event(
            name, {} if attributes is None else attributes, timestamp, 0
        )

    def add_link(
        self, context: trace.SpanContext, attributes: types.Attributes = None
    ) -> None:
        if context is None:
            return
        shared = self.shared
        given, unread = _attributes.copied(
            {} if attributes is None else attributes
        )
        try:
            # A link that says nothing is none.
            if not (
                context.is_valid or given or unread or context.trace_state
            ):
                return
        except Exception:
            # It may be anything, also a span.
            _guard.report('adding a link to a span')
            if self._end_time is None:
                self._lose(links=1)
            return
        if self._ended('add_link'):
            return
        found, dropped, _rough = _attributes.taken(
            given, shared.link_attributes, shared.length
        )
        self._add(_parts.Link(context, found, dropped + unread), shared.links)

    def update_name(self, name: str) -> None:
        if self._ended('update_name'):
            return
        if not is_short(name):
            self.rough = True
        self._name = name

    def set_status(
        self,
        status: trace.Status | trace.StatusCode,
        description: str | None = None,
    ) -> None:
        if self._ended('set_status'):
            return
        if isinstance(status, trace.StatusCode):
            if status is _UNSET or self._status.status_code is _OK:
                return
            status = trace.Status(status, description)
        elif not isinstance(status, trace.Status):
            return
        elif status.status_code is _UNSET or self._status.status_code is _OK:
            return
        elif description is not None:
            LOG.warning(
                'Description %s ignored. Use either `Status` or '
                '`(StatusCode, Description)`',
                description,
            )
        if status.description:
            self.rough = True
        self._status = status

    def record_exception(
        self,
        exception: BaseException,
        attributes: types.Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add the event of an exception, without what must not be said."""
        described = self._described(exception)
        if names.EXCEPTION_ESCAPED in described:
            described[names.EXCEPTION_ESCAPED] = str(escaped)
        given, unread = _attributes.copied(
            {} if attributes is None else attributes
        )
        described.update(given)
        self._add_event(
            names.EVENT_EXCEPTION,
            described,
            timestamp,
            unread,
            _parts.beginning(exception),
        )

    def end(self, end_time: int | None = None) -> None:
        # Only one thread gets it.
        more = self._more
        if more.pop(_OPEN, None) is None:
            LOG.warning('Calling end() on an ended span.')
            return
        if more:
            tell = more.pop(_TELL, None)
            if tell is not None:
                tell()
        if end_time is None:
            end_time = time.time_ns()
        elif type(end_time) is not int or not 0 < end_time <= MAX_TIME:
            self.rough = True
        self._end_time = end_time
        if not more:
            # Most have nothing there, and wait for their export.
            self._more = _NOTHING
        processors = self.shared.processors
        if self.rough:
            processors.finish(self)
        else:
            processors.add(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_back: builtin_types.TracebackType | None,
    ) -> None:
        if error is not None and self._end_time is None:
            if self._on_error & RECORD_ERROR:
                self.record_exception(error, escaped=True)
            if self._on_error & SET_STATUS:
                said = type(error).__name__
                message = self._described(error).get(names.EXCEPTION_MESSAGE)
                if message is not None:
                    said = f'{said}: {message}'
                self.set_status(trace.StatusCode.ERROR, said)
        self.end()

    def _described(self, error: BaseException) -> dict[str, Any]:
        try:
            return self.shared.describe(error)
        except Exception:
            _guard.report('recording an exception')
            return {}

    def _add_event(
        self,
        name: str,
        attributes: Mapping[str, Any],
        timestamp: int | None,
        unread: int,
        said: str = '',
    ) -> None:
        if self._ended('add_event'):
            return
        shared = self.shared
        found, dropped, _rough = _attributes.taken(
            attributes, shared.event_attributes, shared.length
        )
        if timestamp is None:
            timestamp = time.time_ns()
        self._add(
            _parts.Event(name, found, timestamp, dropped + unread, said),
            shared.events,
        )

    def _ended(self, called: str) -> bool:
        if self._end_time is None:
            return False
        LOG.warning('Tried calling %s on an ended span.', called)
        return True

    def _put(self, key: str, value: Any) -> None:
        """Set an attribute that may be kept; it is now the newest one."""
        attributes = self.own
        if key in attributes:
            attributes.pop(key, None)
        elif len(attributes) >= self._room():
            self._lose(attributes=1)
            if not self.shared.attributes:
                return
            for oldest in list(attributes)[:1]:
                attributes.pop(oldest, None)
        attributes[key] = value

    def _room(self) -> int:
        """Return how many attributes of its own it may have."""
        most = self.shared.attributes
        if self.ready is None:
            return most
        return most - len(self.ready.attributes)

    def _add(self, item: _parts.Event | _parts.Link, limit: int) -> None:
        more = self._more
        if more is _NOTHING:
            return
        self.rough = True
        more[item] = None
        if len(more) > limit:
            kind = type(item)
            mine = self._all(kind)
            for oldest in mine[: max(0, len(mine) - limit)]:
                more.pop(oldest, None)
                self._lose(
                    events=kind is _parts.Event, links=kind is _parts.Link
                )

    def _all(self, kind: type) -> list[Any]:
        # list() is one operation, a loop is not.
        return [item for item in list(self._more) if type(item) is kind]

    def _lose(
        self, attributes: int = 0, events: int = 0, links: int = 0
    ) -> None:
        self.rough = True
        lost = self._dropped
        self._dropped = (
            lost[0] + attributes,
            lost[1] + events,
            lost[2] + links,
        )


# Who asks whether a span is the SDK's wants to know whether it can be read.
sdk_trace.Span.register(Span)

#: What a tracer of ours makes.
KINDS: Final = (Span, _recorded.Ended)


def is_short(name: Any) -> bool:
    """Whether a name is one that exporters take as it is."""
    return type(name) is str and len(name) <= _NAME_LIMIT and name.isascii()

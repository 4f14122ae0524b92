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


"""Spans that are safe to encode and fit to leave the process.

Runs in the exporter's thread. Bounds names and descriptions, takes out what
the operator excludes, and what exceptions say in spans that are not ours:
a driver's sentence holds the values of the statement that failed.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import fnmatch
import functools
import os
import re
from typing import Any
from typing import Final
from typing import TYPE_CHECKING

from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.util import instrumentation
from opentelemetry import trace

from oslo_tracing import attributes as names
from oslo_tracing.exporters import _copies
from oslo_tracing.exporters import _hide
from oslo_tracing.exporters import _values
from oslo_tracing.tracer import _recorded
from oslo_tracing.tracer import _span

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

#: Longest name of a span or event and longest status description.
NAME_LIMIT: Final = 256
#: Longest tracestate, "tracestate Limits" of W3C Trace Context.
TRACESTATE_LIMIT: Final = 512

_OURS: Final = 'oslo_tracing'
_MAX_TIME: Final = 2**63 - 1
# Tracers of ours that are remembered.
_MAX_KNOWN: Final = 256
_NOBODY: Final[dict[int, Any]] = {}
_OF_OURS: Final = _span.KINDS


class Cleaner:
    """Cleans the spans of one exporter thread.

    :param settings: ``attribute_length_limit``, ``exception_messages`` and
        ``excluded_attributes``, which is looked at for each span, since it
        may change while the service runs.
    :param resource: tells what spans of this process belong to; asked once,
        when one comes with the resource of the process that forked us.
    """

    def __init__(
        self,
        settings: settings_module.Settings,
        resource: Callable[[], resources.Resource],
    ) -> None:
        self._settings = settings
        self._describe = resource
        self._of_process: resources.Resource | None = None
        self._limit = settings.attribute_length_limit
        self._globs: tuple[str, ...] = ()
        self._looked_at: object = None
        self._is_excluded: Callable[[str], object] | None = None
        # What whole spans of ours have in common, where that is clean; by
        # id, and kept so that it stays its own.
        self._known: dict[int, Any] = {}
        # Of the last one only: all spans of a process share theirs.
        self._resource: tuple[resources.Resource, resources.Resource] | None
        self._resource = None
        self._scope: (
            tuple[
                instrumentation.InstrumentationScope,
                instrumentation.InstrumentationScope,
            ]
            | None
        ) = None

    def all(
        self,
        spans: Sequence[sdk_trace.ReadableSpan],
        lose: Callable[[Exception], object],
    ) -> list[sdk_trace.ReadableSpan]:
        """Return spans as they may be exported.

        :param spans: ended spans.
        :param lose: called with what is wrong for each of which no valid
            span can be made.
        """
        self._look_at_globs()
        as_they_are = self._known if self._is_excluded is None else _NOBODY
        found: list[sdk_trace.ReadableSpan] = []
        span: Any
        for span in spans:
            if (
                type(span) in _OF_OURS
                and not span.rough
                and id(span.shared) in as_they_are
            ):
                found.append(span)
                continue
            try:
                found.append(self.clean(span))
            except Exception as error:
                lose(error)
        return found

    def clean(self, span: sdk_trace.ReadableSpan) -> sdk_trace.ReadableSpan:
        """Return the span as it may be exported.

        :param span: an ended span; it is not changed.
        :returns: the same object where nothing is to be done, else a copy.
        :raises Exception: when no valid span can be made of it.
        """
        self._look_at_globs()
        if self._is_excluded is None and self._is_plain(span):
            return span
        scope = span.instrumentation_scope
        foreign = not (
            scope is not None and scope.name and scope.name.startswith(_OURS)
        )
        found = span.attributes or {}
        events = span.events
        links = span.links
        # One of ours may make it each time.
        given = span.context
        context = self._context(_required(given))
        parent = self._context(span.parent)
        fields = {
            'name': _name(span.name),
            'context': context,
            'parent': parent,
            'resource': self._clean_resource(span.resource),
            'attributes': self._attributes(found),
            'events': [self._event(event, foreign) for event in events],
            'links': [self._link(link) for link in links],
            # Also of ours: OpenTelemetry's use_span() may be given any span.
            'status': self._status(span.status, events),
            'start_time': _time(span.start_time),
            'end_time': _time(span.end_time),
            'instrumentation_scope': self._clean_scope(scope),
        }
        if (
            fields['name'] is span.name
            and context is given
            and parent is span.parent
            and fields['resource'] is span.resource
            and fields['attributes'] is found
            and all(map(_same, fields['events'], events))
            and all(map(_same, fields['links'], links))
            and fields['status'] is span.status
            and fields['start_time'] is span.start_time
            and fields['end_time'] is span.end_time
            and fields['instrumentation_scope'] is scope
            and isinstance(span.kind, trace.SpanKind)
        ):
            return span
        return _copies.Span(span, kind=trace.SpanKind(span.kind), **fields)

    def _is_plain(self, span: Any) -> bool:
        """Whether a span is one of the many that need no second look.

        Attributes and name of one of ours were looked at when they were set.
        """
        if type(span) in _OF_OURS:
            return not span.rough and (
                id(span.shared) in self._known or self._is_known(span)
            )
        if not (
            _is_short(span.name)
            and not span.status.description
            and not span.events
            and not span.links
            and _values.is_clean(
                _values.plain(span.attributes or {}), self._limit
            )
        ):
            return False
        start, end = span.start_time, span.end_time
        scope, resource = span.instrumentation_scope, span.resource
        return (
            _is_bare(span.context)
            and (span.parent is None or _is_bare(span.parent))
            and type(start) is int
            and type(end) is int
            and 0 <= start <= end <= _MAX_TIME
            and scope is self._clean_scope(scope)
            and resource is self._clean_resource(resource)
            and type(span.kind) is trace.SpanKind
        )

    def _is_known(self, span: _recorded.Recorded) -> bool:
        """Whether what a span has in common with others is clean."""
        if span.length_limit > self._limit:
            return False
        own = self._own(span.resource)
        if own is not span.resource:
            # Once for each tracer, in a child that was forked.
            span.belong_to(own)
        scope = span.instrumentation_scope
        if scope is not self._clean_scope(
            scope
        ) or own is not self._clean_resource(own):
            return False
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[id(span.shared)] = span.shared
        return True

    def _look_at_globs(self) -> None:
        found = self._settings.excluded_attributes
        if found is self._looked_at:
            return
        self._looked_at = found
        globs = tuple(found or ())
        if globs == self._globs:
            return
        self._globs = globs
        self._known.clear()
        self._scope = None
        self._is_excluded = None
        if globs:
            pattern = '|'.join(map(fnmatch.translate, globs))
            self._is_excluded = functools.lru_cache(1024)(
                re.compile(pattern).match
            )
        self._resource = None

    def _attributes(
        self, found: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        if not found:
            return found
        plain = _values.plain(found)
        clean = plain
        if not _values.is_clean(plain, self._limit):
            clean = _values.cleaned(plain, self._limit)
            if _identical(clean, plain):
                clean = plain
        if self._is_excluded is not None:
            excluded = [key for key in clean if self._is_excluded(key)]
            if excluded:
                clean = {k: v for k, v in clean.items() if k not in excluded}
        return found if clean is plain else clean

    def _event(self, event: sdk_trace.Event, foreign: bool) -> sdk_trace.Event:
        found = event.attributes
        kept: Mapping[str, Any] | None = found
        if foreign and found and event.name == names.EVENT_EXCEPTION:
            kept = _hide.attributes(found, self._settings.exception_messages)
        clean = self._attributes(kept)
        name = _name(event.name)
        time = _time(event.timestamp)
        if clean is found and name is event.name and time is event.timestamp:
            return event
        return _copies.Event(
            event, name=name, attributes=clean, timestamp=time
        )

    def _link(self, link: trace.Link) -> trace.Link:
        context = self._context(_required(link.context))
        clean = self._attributes(link.attributes)
        if context is link.context and clean is link.attributes:
            return link
        return _copies.Link(link, context=context, attributes=clean)

    def _status(
        self,
        status: trace.Status,
        events: Sequence[sdk_trace.Event],
    ) -> trace.Status:
        said = status.description
        if not said:
            return status
        told = self._settings.exception_messages
        description = _name(_hide.description(_name(said), events, told))
        if description is said:
            return status
        return trace.Status(status.status_code, description)

    def _context(self, context: Any) -> Any:
        """Return the context with a tracestate that can be sent.

        :raises ValueError: when its ids are none.
        """
        if context is None:
            return None
        if not 0 < context.trace_id < 2**128 or not (
            0 < context.span_id < 2**64
        ):
            raise ValueError('not the ids of a span')
        state = context.trace_state
        if not state:
            return context
        pairs = [
            (_values.text(key, NAME_LIMIT), _values.text(value, NAME_LIMIT))
            for key, value in state.items()
        ]
        while sum(len(k) + len(v) + 2 for k, v in pairs) > (
            TRACESTATE_LIMIT + 1
        ):
            pairs.pop()
        if len(pairs) == len(state) and _identical(dict(pairs), state):
            return context
        return trace.SpanContext(
            context.trace_id,
            context.span_id,
            context.is_remote,
            context.trace_flags,
            trace.TraceState([(k, v) for k, v in pairs if (k + v).isascii()]),
        )

    def _clean_resource(
        self, resource: resources.Resource
    ) -> resources.Resource:
        if self._resource is None or self._resource[0] is not resource:
            origin, resource = resource, self._own(resource)
            found = dict(resource.attributes)
            clean = self._attributes(found) or {}
            if names.SERVICE_NAME in found and (
                names.SERVICE_NAME not in clean
            ):
                # Without it a backend takes the span for somebody else's.
                clean = {
                    names.SERVICE_NAME: found[names.SERVICE_NAME],
                    **clean,
                }
            url = _values.text(resource.schema_url or '', self._limit)
            self._resource = (
                origin,
                resource
                if clean is found and url is resource.schema_url
                else resources.Resource(clean, url),
            )
        return self._resource[1]

    def _own(self, resource: resources.Resource) -> resources.Resource:
        """Return the resource of this process for that of a parent.

        A provider keeps the one it was made with, and uWSGI runs no hook
        after a fork that could change it.
        """
        pid = resource.attributes.get(names.PROCESS_PID)
        if pid is None or pid == os.getpid():
            return resource
        if self._of_process is None:
            self._of_process = self._describe()
        return self._of_process

    def _clean_scope(
        self, scope: instrumentation.InstrumentationScope | None
    ) -> instrumentation.InstrumentationScope | None:
        if scope is None:
            return None
        if self._scope is not None and self._scope[0] is scope:
            return self._scope[1]
        name = _values.text(scope.name or '', self._limit)
        version = _values.text(scope.version or '', self._limit)
        url = _values.text(scope.schema_url or '', self._limit)
        found = getattr(scope, 'attributes', None)
        clean = self._attributes(found)
        same = (
            name == scope.name
            and version == (scope.version or '')
            and url == scope.schema_url
            and clean is found
        )
        self._scope = (
            scope,
            scope
            if same
            else instrumentation.InstrumentationScope(
                name, version, url, clean
            ),
        )
        return self._scope[1]


def _required(context: Any) -> Any:
    if context is None:
        raise ValueError('no span context')
    return context


def _same(one: object, other: object) -> bool:
    return one is other


def _identical(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether cleaning changed nothing, which ``==`` cannot tell.

    True equals 1, and an instance of a subclass equals what it stands for.
    """
    if len(one) != len(other):
        return False
    return all(
        key in other and (value is other[key] or _alike(value, other[key]))
        for key, value in one.items()
    )


def _alike(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, dict):
        return _identical(one, other)
    return bool(one == other) or (one != one and other != other)


def _is_bare(context: Any) -> bool:
    """Whether a span context has ids and no tracestate."""
    return (
        type(context) is trace.SpanContext
        and context.is_valid
        and not context.trace_state
    )


def _is_short(name: Any) -> bool:
    return type(name) is str and len(name) <= NAME_LIMIT and name.isascii()


def _name(name: Any) -> str:
    if isinstance(name, str):
        return _values.text(name, NAME_LIMIT)
    return _values.described(name, NAME_LIMIT)


def _time(time: Any) -> int:
    """Return nanoseconds since the epoch that every reader accepts."""
    if type(time) is int and 0 <= time <= _MAX_TIME:
        return time
    try:
        return max(0, min(int(time), _MAX_TIME))
    except (TypeError, ValueError, OverflowError):
        return 0

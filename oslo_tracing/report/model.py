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

"""What a trace is: spans, how they hang together, what they add up to.

Nothing here trusts its input: parents may be missing, lead in a circle or
stand 100 000 deep, so nothing here recurses.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from typing import Any
from typing import ClassVar

from oslo_tracing import attributes as names

#: Kinds of OTLP's ``SpanKind``, in the order of its numbers.
KINDS = (
    'UNSPECIFIED',
    'INTERNAL',
    'SERVER',
    'CLIENT',
    'PRODUCER',
    'CONSUMER',
)
#: Codes of OTLP's ``Status``, in the order of its numbers.
STATUSES = ('UNSET', 'OK', 'ERROR')
#: In place of a name where the recorder gave none, or blanks.
NO_SERVICE = '(no service)'


@dataclasses.dataclass(slots=True, eq=False)
class Resource:
    """The process that recorded spans; shared by all of them."""

    service: str = ''
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    schema_url: str = ''
    #: Attributes that the recorder had to leave out; below likewise.
    dropped: int = 0


@dataclasses.dataclass(slots=True, eq=False)
class Scope:
    """The integration or library that recorded spans; shared likewise."""

    name: str = ''
    version: str = ''
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    schema_url: str = ''
    dropped: int = 0


@dataclasses.dataclass(slots=True, eq=False)
class Event:
    """Something that happened at one moment of a span."""

    name: str
    time: int
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    dropped: int = 0


@dataclasses.dataclass(slots=True, eq=False)
class Link:
    """Another span that this one has to do with, of any trace."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    flags: int = 0
    trace_state: str = ''
    dropped: int = 0


@dataclasses.dataclass(slots=True, eq=False)
class Span:
    """One unit of work, as it was recorded.

    Ids are lower-case hex; ``start`` and ``end`` are nanoseconds since
    1970. Two spans are never equal: ids may come twice in broken data.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start: int
    end: int
    resource: Resource
    scope: Scope
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    status: str = 'UNSET'
    description: str = ''
    flags: int = 0
    trace_state: str = ''
    #: Attributes, events and links that the recorder had to leave out.
    dropped: tuple[int, int, int] = (0, 0, 0)

    #: Whether somebody recorded when it started.
    has_start: ClassVar[bool] = True

    @property
    def service(self) -> str:
        """Name of the service that recorded it; empty if it has none."""
        return self.resource.service

    @property
    def service_name(self) -> str:
        """Name of the service as it is shown, which says if it has none."""
        name = self.resource.service
        return name if name.strip() else NO_SERVICE

    @property
    def host(self) -> Any:
        """The host whose clock it goes by; None where nobody tells."""
        return self.resource.attributes.get(names.HOST_NAME)

    @property
    def duration(self) -> int:
        """Nanoseconds; 0 where the clock went backwards meanwhile."""
        return max(0, self.end - self.start)

    @property
    def known_duration(self) -> int | None:
        """Nanoseconds; None where nobody recorded how long it took."""
        return self.duration if self.has_start else None

    @property
    def failed(self) -> bool:
        """Whether its status is an error."""
        return self.status == 'ERROR'

    @property
    def error_type(self) -> str:
        """What went wrong, as ``error.type`` tells; empty if it does not.

        Can be set on a span that did not fail: an expected exception of
        an RPC method is told that way alone.
        """
        value = self.attributes.get(names.ERROR_TYPE, '')
        return value if isinstance(value, str) else str(value)


class Unstarted(Span):
    """A span of which nobody recorded when it started.

    ``start`` is 0; in a trace, the earliest moment at which it is known to
    have run.
    """

    __slots__ = ()

    has_start = False

    @property
    def duration(self) -> int:
        """Nanoseconds that it took at least."""
        return max(0, self.end - self.start) if self.start else 0


def own_request_id(trace_id: str) -> str:
    """Return the request id that a request which starts a trace gets.

    :param trace_id: 32 hex digits.
    """
    parts = (slice(8), slice(8, 12), slice(12, 16), slice(16, 20))
    return '-'.join(
        ['req', *(trace_id[part] for part in parts), trace_id[20:]]
    )


def _by_start(span: Span) -> tuple[int, bool]:
    return span.start, not span.has_start


class Trace:
    """All spans of one trace that the data holds.

    :param trace_id: 32 hex digits.
    :param spans: its spans in any order. The same span written twice (an
        exporter that tried again) counts once.
    """

    def __init__(self, trace_id: str, spans: Iterable[Span]) -> None:
        self.trace_id = trace_id
        #: By start time; where that is equal, as they came, those that have
        #: none last.
        self.spans: list[Span] = []
        #: Spans that name no parent.
        self.roots: list[Span] = []
        #: Spans whose parent is named but not in the data.
        self.orphans: list[Span] = []
        #: One span of each circle of parents, where it was cut open.
        self.circular: list[Span] = []
        #: How many spans were left out because they came twice.
        self.duplicates = 0
        self._children: dict[Span, list[Span]] = {}
        self._take(spans)
        self._link()
        self._cut_circles()
        if self.without_start:
            self._place()

    def _take(self, spans: Iterable[Span]) -> None:
        seen = set()
        for span in spans:
            same = (
                span.span_id,
                span.parent_id,
                span.name,
                span.kind,
                span.start,
                span.end,
            )
            if same in seen:
                self.duplicates += 1
            else:
                seen.add(same)
                if not span.has_start:
                    # As it came it is the caller's.
                    span = dataclasses.replace(span, start=span.end)
                self.spans.append(span)
        self.spans.sort(key=_by_start)

    def _link(self) -> None:
        self._by_id: dict[str, Span] = {}
        for span in self.spans:
            self._by_id.setdefault(span.span_id, span)
        for span in self.spans:
            if span.parent_id is None:
                self.roots.append(span)
                continue
            parent = self._by_id.get(span.parent_id)
            if parent is None:
                self.orphans.append(span)
            else:
                self._children.setdefault(parent, []).append(span)

    def _cut_circles(self) -> None:
        reached = {span for _, span in self.walk()}
        if len(reached) == len(self.spans):
            return
        for span in self.spans:
            if span in reached:
                continue
            # Everything that no root reaches has a parent, so going up
            # from it must come by some span a second time.
            trail: dict[Span, None] = {}
            while span not in trail:
                trail[span] = None
                assert span.parent_id is not None
                span = self._by_id[span.parent_id]
            circle = list(trail)
            circle = circle[circle.index(span) :]
            head = min(circle, key=lambda each: each.start)
            assert head.parent_id is not None
            self._children[self._by_id[head.parent_id]].remove(head)
            self.circular.append(head)
            reached.update(each for _, each in self.walk([head]))

    def _place(self) -> None:
        """Find times for spans without a start that distort no others'."""
        order = [span for _, span in self.walk()]
        for span in reversed(order):
            if not span.has_start:
                parent = self.parent(span)
                # What goes by another clock says little that is not bounded.
                bounded = span.start and (
                    parent is None or parent.host == span.host
                )
                known = [
                    each.start
                    for each in self.children(span)
                    if bounded or each.host == span.host
                ]
                known = [each for each in (span.start, *known) if each]
                span.start = min(known, default=0)
        first = min((span.start for span in order if span.start), default=0)
        for span in order:
            if span.has_start:
                continue
            parent = self.parent(span)
            least = (parent.start if parent else 0) or first
            if not span.start:
                span.start = least
            elif parent and parent.host == span.host and span.end:
                # What is below it may go by another clock.
                span.start = min(max(span.start, least), span.end)
        self.spans.sort(key=_by_start)
        self.roots.sort(key=_by_start)
        self.orphans.sort(key=_by_start)
        for children in self._children.values():
            children.sort(key=_by_start)

    @property
    def without_start(self) -> tuple[Span, ...]:
        """The spans of which nobody recorded when they started."""
        return tuple(span for span in self.spans if not span.has_start)

    def children(self, span: Span) -> list[Span]:
        """Return what ``span`` is the parent of, by start time."""
        return self._children.get(span, [])

    def parent(self, span: Span) -> Span | None:
        """Return the parent of ``span`` where the data has it."""
        if span.parent_id is None:
            return None
        return self._by_id.get(span.parent_id)

    def walk(
        self, heads: Iterable[Span] | None = None
    ) -> Iterator[tuple[int, Span]]:
        """Go through the tree, a parent before its children.

        :param heads: where to start; else the roots, the orphans and the
            circles, in this order: then every span comes exactly once.
        :returns: pairs of depth (0 for a head) and span.
        """
        if heads is None:
            heads = [*self.roots, *self.orphans, *self.circular]
        stack = [(0, span) for span in heads]
        stack.reverse()
        while stack:
            depth, span = stack.pop()
            yield depth, span
            for child in reversed(self.children(span)):
                stack.append((depth + 1, child))

    @property
    def start(self) -> int:
        """When the first span started, in nanoseconds since 1970."""
        return self.spans[0].start if self.spans else 0

    @property
    def end(self) -> int:
        """When the last span ended, in nanoseconds since 1970."""
        return max((max(s.start, s.end) for s in self.spans), default=0)

    @property
    def duration(self) -> int:
        """Nanoseconds from the first start to the last end."""
        return self.end - self.start

    @property
    def services(self) -> dict[str, int]:
        """How many spans each service has, in the order they appear."""
        counts: dict[str, int] = {}
        for span in self.spans:
            counts[span.service_name] = counts.get(span.service_name, 0) + 1
        return counts

    @property
    def errors(self) -> list[Span]:
        """The spans that failed, by start time."""
        return [span for span in self.spans if span.failed]

    @property
    def first_error(self) -> Span | None:
        """The failed span that ended first: the others mostly pass it on.

        Of those that ended together the one that started last, which is
        below the others.
        """
        return min(
            self.errors,
            key=lambda span: (max(span.start, span.end), -span.start),
            default=None,
        )

    @property
    def request_id(self) -> str | None:
        """The id of the request that the trace is of.

        Its own, where a span tells it; else that of the first span that
        knows one. Where no root is in the data and the first span knows
        none, later ones are of requests that this one has caused.
        """
        own = own_request_id(self.trace_id)
        known = [
            span
            for span in self.spans
            if isinstance(span.attributes.get(names.OPENSTACK_REQUEST_ID), str)
        ]
        if any(
            span.attributes[names.OPENSTACK_REQUEST_ID] == own
            for span in known
        ):
            return own
        if not known or (not self.roots and known[0] is not self.spans[0]):
            return None
        return str(known[0].attributes[names.OPENSTACK_REQUEST_ID])

    @property
    def global_request_id(self) -> str | None:
        """The caller's request id, of the first span that knows one."""
        return self._first(names.OPENSTACK_GLOBAL_REQUEST_ID)

    def _first(self, attribute: str) -> str | None:
        for span in self.spans:
            value = span.attributes.get(attribute)
            if isinstance(value, str):
                return value
        return None

    def is_one_tree(self) -> bool:
        """Whether it has one root, and every span hangs below that one."""
        return len(self.roots) == 1 and not self.orphans and not self.circular

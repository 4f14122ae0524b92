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

"""What is read of a span, and the span of which nothing else is wanted."""

from __future__ import annotations

import types as builtin_types
from typing import Any
from typing import Final

from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.util import instrumentation
from opentelemetry import trace
from opentelemetry.util import types

from oslo_tracing import _ready
from oslo_tracing.tracer import _parts

#: Of a span whose status nobody has set.
NOT_SET: Final = trace.Status(trace.StatusCode.UNSET)
_new: Final = tuple.__new__


class Recorded(sdk_trace.ReadableSpan):
    """What spans of ours have in common.

    :ivar own: attributes that are its own.
    :ivar ready: name, kind and attributes that it shares. Of an attribute
        that is among both, its own is the one.
    :ivar rough: whether exporters must look at it.
    :ivar shared: what it has in common with others.
    """

    __slots__ = ()

    own: dict[str, Any]
    ready: _ready.Ready | None
    rough: bool
    shared: _parts.Shared

    def __repr__(self) -> str:
        return f'{type(self).__name__}(name={self._name!r}, {self._context})'

    @property
    def attributes(self) -> types.Attributes:
        found = self.own
        if self.ready is not None:
            found = {**self.ready.attributes, **found}
        return builtin_types.MappingProxyType(found)

    # As the SDK's own code asks for them.
    _attributes = attributes

    @property
    def length_limit(self) -> int:
        """The longest text that its attributes may have, in characters."""
        return self.shared.attribute_length

    @property
    def resource(self) -> resources.Resource:
        return self.shared.resource

    def belong_to(self, resource: resources.Resource) -> None:
        """Tell what this process is, for all spans of the same tracer.

        A tracer that a parent has made knows the parent's.
        """
        self.shared.resource = resource

    @property
    def instrumentation_scope(self) -> instrumentation.InstrumentationScope:
        return self.shared.scope

    @property
    def instrumentation_info(self) -> Any:
        return _parts.info(self.shared.scope)


class Ended(Recorded):
    """A span that had ended when it was made, as a statement's.

    Nobody has started it, so that nobody can have changed it, or named it as
    a parent: until it is exported there are only its :data:`Fields`. It is
    whole, as a ``Span`` is that is not ``rough``.

    :param ready: name, kind and attributes that it shares with others.
    :param own: attributes that are its own; not changed.
    :param parent: a span of ours, that is recorded and has no trace state.
    :param start_time: nanoseconds since the epoch.
    :param end_time: the same.
    :param shared: what it has in common with others.
    :ivar span_id: its id.
    """

    __slots__ = (
        '_end_time',
        '_parent',
        '_start_time',
        'own',
        'ready',
        'shared',
        'span_id',
    )

    rough = False
    _events = ()
    _links = ()
    _status = NOT_SET

    ready: _ready.Ready

    def __init__(
        self,
        ready: _ready.Ready,
        own: dict[str, Any] | None,
        parent: trace.SpanContext,
        start_time: int,
        end_time: int,
        shared: _parts.Shared,
    ) -> None:
        self.ready = ready
        self.own = own or {}
        self._parent = parent
        self._start_time = start_time
        self._end_time = end_time
        self.shared = shared
        self.span_id = shared.span_id()

    @property
    def _name(self) -> str:  # type: ignore[override]
        return self.ready.name

    @property
    def _kind(self) -> trace.SpanKind:  # type: ignore[override]
        return self.ready.kind

    @property
    def _context(self) -> trace.SpanContext:  # type: ignore[override]
        parent: Any = self._parent
        trace_id, _id, _remote, flags, state, _valid = parent
        return _new(
            trace.SpanContext,
            (trace_id, self.span_id, False, flags, state, True),
        )


#: What an ``Ended`` is made of.
Fields = tuple[
    _ready.Ready,
    dict[str, Any] | None,
    trace.SpanContext,
    int,
    int,
    _parts.Shared,
]
#: What waits for its export.
Queued = sdk_trace.ReadableSpan | Fields

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

"""What spans consist of, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import types
from typing import Any
from typing import Final
import warnings

from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.util import instrumentation
from opentelemetry import trace

#: Characters of a message by which it is found again where it was cut.
BEGINNING: Final = 64


class Event(sdk_trace.Event):
    """An event that knows how many attributes it lost.

    :ivar said: how the message of an exception begins, told or not: what
        repeats it elsewhere is known by that. Nobody exports it.
    """

    def __init__(
        self,
        name: str,
        attributes: dict[str, Any],
        timestamp: int,
        dropped: int,
        said: str = '',
    ) -> None:
        super().__init__(name, types.MappingProxyType(attributes), timestamp)
        self._dropped = dropped
        self.said = said

    @property
    def dropped_attributes(self) -> int:
        return self._dropped


class Link(trace.Link):
    """A link that knows how many attributes it lost."""

    def __init__(
        self,
        context: trace.SpanContext,
        attributes: dict[str, Any],
        dropped: int,
    ) -> None:
        super().__init__(context, types.MappingProxyType(attributes))
        self._dropped = dropped

    @property
    def dropped_attributes(self) -> int:
        return self._dropped


@dataclasses.dataclass
class Shared:
    """What all spans of a tracer have in common.

    :ivar resource: what the process is. Whoever exports replaces that of a
        parent in a forked child.
    :ivar scope: who records.
    :ivar processors: get every span that has ended, by its ``finish``.
    :ivar span_id: makes one.
    :ivar describe: gives the attributes of an exception's event.
    :ivar attributes: how many a span has at most.
    :ivar attribute_length: characters of a text in those of a span.
    :ivar events: how many a span has at most.
    :ivar event_attributes: how many an event has.
    :ivar links: how many a span has at most.
    :ivar link_attributes: how many a link has.
    :ivar length: characters of a text in those of an event or link.
    """

    resource: resources.Resource
    scope: instrumentation.InstrumentationScope
    processors: Any
    span_id: Callable[[], int]
    describe: Callable[[BaseException], dict[str, Any]]
    attributes: int
    attribute_length: int
    events: int
    event_attributes: int
    links: int
    link_attributes: int
    length: int


def beginning(error: BaseException) -> str:
    """Return what the message of an exception begins with, if it has one."""
    try:
        return str(error)[:BEGINNING]
    except Exception:
        return ''


def info(scope: instrumentation.InstrumentationScope) -> Any:
    """Return a scope in the form that it had in old SDKs."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        return instrumentation.InstrumentationInfo(
            scope.name, scope.version or '', scope.schema_url
        )

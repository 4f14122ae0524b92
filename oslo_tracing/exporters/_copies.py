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


"""Copies of spans and their parts, which keep their dropped counts."""

from __future__ import annotations

from typing import Any
from typing import Final

from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace

_MAX_COUNT: Final = 2**32 - 1


class Span(sdk_trace.ReadableSpan):
    """A span that remembers the dropped counts of the one it copies."""

    def __init__(self, origin: sdk_trace.ReadableSpan, **fields: Any) -> None:
        super().__init__(**fields)
        self._dropped = (
            _count(origin.dropped_attributes),
            _count(origin.dropped_events),
            _count(origin.dropped_links),
        )

    @property
    def dropped_attributes(self) -> int:
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        return self._dropped[2]


class Event(sdk_trace.Event):
    def __init__(self, origin: sdk_trace.Event, **fields: Any) -> None:
        super().__init__(**fields)
        self._dropped = _count(origin.dropped_attributes)

    @property
    def dropped_attributes(self) -> int:
        return self._dropped


class Link(trace.Link):
    def __init__(self, origin: trace.Link, **fields: Any) -> None:
        super().__init__(**fields)
        self._dropped = _count(origin.dropped_attributes)

    @property
    def dropped_attributes(self) -> int:
        return self._dropped


def _count(count: Any) -> int:
    return max(0, min(int(count or 0), _MAX_COUNT))

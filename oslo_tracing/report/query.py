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

"""Which traces somebody asks for."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import fnmatch
import functools
import json
from typing import Any
from typing import Final

from oslo_tracing.report import model
from oslo_tracing.report import summary

#: With blanks and without.
_SEPARATORS: Final = ((', ', ': '), (',', ':'))
_MOST_BRACKETS: Final = 64
_LONGEST_TEXT: Final = 16384
_NOT_JSON: Final = object()


@dataclasses.dataclass(frozen=True)
class Query:
    """What a trace has to be, and what one of its spans has to be.

    :param since: nanoseconds since 1970 at or after which it started.
    :param until: nanoseconds since 1970 before which it started.
    :param least: nanoseconds that it took at least.
    :param errors: whether some span of it failed.
    :param request_id: its own, or one that a span tells.
    :param service: pattern, with ``*`` and ``?``, of the service of a span.
    :param name: pattern of the name of the same span.
    :param attributes: keys of that span's attributes, each with a pattern.
    """

    since: int | None = None
    until: int | None = None
    least: int = 0
    errors: bool = False
    request_id: str | None = None
    service: str | None = None
    name: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def asks_spans(self) -> bool:
        """Whether the answer depends on what single spans are."""
        return bool(self.service or self.name or self.attributes)

    def of_span(self, span: model.Span) -> bool:
        """Whether a span is one that the trace has to have."""
        if self.service and not _like(span.service_name, self.service):
            return False
        if self.name and not _like(span.name, self.name):
            return False
        for key, wanted in self.attributes:
            if key not in span.attributes:
                return False
            if not _is(span.attributes[key], wanted):
                return False
        return True

    def of_trace(self, found: summary.Summary) -> bool:
        """Whether a trace is asked for, its spans aside."""
        return (
            (self.since is None or found.start >= self.since)
            and (self.until is None or 0 < found.start < self.until)
            and found.duration >= self.least
            and (not self.errors or found.errors > 0)
            and (self.request_id is None or self._has_request_id(found))
        )

    def _has_request_id(self, found: summary.Summary) -> bool:
        return self.request_id in (
            model.own_request_id(found.trace_id),
            *found.request_ids,
            *found.global_request_ids,
        )


def summaries(
    spans: Iterable[model.Span], query: Query
) -> list[summary.Summary]:
    """Sum up the traces that are asked for, the newest first.

    :param spans: of any traces, in any order; read once, none is kept.
    :param query: what is asked for.
    """
    having: set[str] = set()

    def noted() -> Iterator[model.Span]:
        for span in spans:
            if span.trace_id not in having and query.of_span(span):
                having.add(span.trace_id)
            yield span

    found = summary.summarize(noted() if query.asks_spans else spans)
    return sorted(
        (
            each
            for each in found.values()
            if query.of_trace(each)
            and (not query.asks_spans or each.trace_id in having)
        ),
        key=lambda each: each.start,
        reverse=True,
    )


def _is(value: Any, wanted: str) -> bool:
    """Whether an attribute is what somebody asked for.

    Written as ``show`` prints it, or in JSON, which people see elsewhere.
    """
    if _like(str(value), wanted):
        return True
    if isinstance(value, str):
        # Jaeger keeps lists as text.
        value = _parsed(value) if value.startswith('[') else _NOT_JSON
    if value is _NOT_JSON:
        return False
    return _same(value, _parsed(wanted)) or any(
        _like(_json(value, separators), wanted) for separators in _SEPARATORS
    )


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    # What is parsed is compared level by level, and kept.
    brackets = text.count('[') + text.count('{')
    if brackets > _MOST_BRACKETS or len(text) > _LONGEST_TEXT:
        return _NOT_JSON
    try:
        return json.loads(text)
    except ValueError:
        return _NOT_JSON


def _json(value: Any, separators: tuple[str, str]) -> str:
    return json.dumps(
        value, ensure_ascii=False, separators=separators, default=str
    )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            _same(one[key], other[key]) for key in one
        )
    # To Python true is 1.
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _like(value: str, wanted: str) -> bool:
    # Addresses and locks have brackets, so they stand for themselves.
    return fnmatch.fnmatchcase(value, wanted.replace('[', '[[]'))

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

"""What a list of traces tells of each, gathered span by span.

A summary keeps no span, so the memory that a list needs grows with the
traces in the data and not with the spans.
"""

from __future__ import annotations

from collections.abc import Iterable
import math

from oslo_tracing import attributes as names
from oslo_tracing.report import model


class Summary:
    """One line about a trace.

    :param span: the first span of it that was met, in any order.
    """

    __slots__ = (
        'trace_id',
        'start',
        'end',
        'spans',
        'errors',
        'without_start',
        'services',
        'has_root',
        'name',
        'request_ids',
        'global_request_ids',
        '_has_time',
        '_named_at',
        '_request_id_at',
        '_request_id',
    )

    def __init__(self, span: model.Span) -> None:
        self.trace_id = span.trace_id
        #: First start and last end, in nanoseconds since 1970; 0 where no
        #: span has any.
        self.start = span.start
        self.end = span.end
        self.spans = 0
        self.errors = 0
        #: How many spans have no start.
        self.without_start = 0
        self.services: set[str] = set()
        #: Whether some span names no parent.
        self.has_root = False
        #: Of the root; where none is in the data, of the first span.
        self.name = span.name
        self.request_ids: set[str] = set()
        self.global_request_ids: set[str] = set()
        self._has_time = False
        self._named_at = self._request_id_at = math.inf
        self._request_id: str | None = None
        self.add(span)

    def add(self, span: model.Span) -> None:
        """Take one more span of this trace into account."""
        self.spans += 1
        self.errors += span.failed
        self.without_start += not span.has_start
        at = _when(span)
        if at is not None:
            self.start = min(self.start, at) if self._has_time else at
            self.end = max(self.end, at, span.end)
            self._has_time = True
        order = math.inf if at is None else at
        self.services.add(span.service_name)
        is_root = span.parent_id is None
        if is_root > self.has_root or (
            is_root == self.has_root and order < self._named_at
        ):
            self.has_root = is_root
            self.name = span.name
            self._named_at = order
        request_id = span.attributes.get(names.OPENSTACK_REQUEST_ID)
        if isinstance(request_id, str):
            self.request_ids.add(request_id)
            if self._request_id is None or order < self._request_id_at:
                self._request_id = request_id
                self._request_id_at = order
        request_id = span.attributes.get(names.OPENSTACK_GLOBAL_REQUEST_ID)
        if isinstance(request_id, str):
            self.global_request_ids.add(request_id)

    @property
    def duration(self) -> int:
        """Nanoseconds from the first start to the last end."""
        return self.end - self.start

    @property
    def request_id(self) -> str | None:
        """The id of the request that the trace is of, as a ``Trace`` has."""
        own = model.own_request_id(self.trace_id)
        if own in self.request_ids:
            return own
        if not self.has_root and self._request_id_at != self.start:
            return None
        return self._request_id


def _when(span: model.Span) -> int | None:
    """Return the first moment that is known of a span, if any is."""
    return span.start if span.has_start else span.end or None


def summarize(spans: Iterable[model.Span]) -> dict[str, Summary]:
    """Sum up every trace that ``spans`` belong to.

    :returns: by trace id, in the order in which they were met.
    """
    found: dict[str, Summary] = {}
    for span in spans:
        known = found.get(span.trace_id)
        if known is None:
            found[span.trace_id] = Summary(span)
        else:
            known.add(span)
    return found

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

"""Traces that a Tempo keeps, by its query API.

It tells traces in OTLP's form, save that ids are in Base64, as Protocol
Buffers have them in JSON. A search tells only which traces there are.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
import re
from typing import Any
from typing import Final

from oslo_tracing.report.sources import _http
from oslo_tracing.report.sources import _server

#: Seconds that one search may be about, unless Tempo is told otherwise.
_WINDOW: Final = 168 * 3600
_MOST_WINDOWS: Final = 53

_ID: Final = re.compile('[0-9a-f]{1,32}', re.ASCII)


class TempoSource(_server.ServerSource):
    """A Tempo from version 2 on.

    :param url: of its query frontend, such as ``http://tempo:3200``.
    """

    def __init__(self, url: str) -> None:
        super().__init__('tempo', url)

    def _recent(self, start: int, end: int) -> Iterator[dict[str, Any]]:
        known: dict[str, None] = {}
        # Rounded to be about more time than was asked for.
        first, until = start // 10**9, -(-end // 10**9)
        for _ in range(_MOST_WINDOWS):
            since = max(first, until - _WINDOW)
            self._search(since, until, known)
            until = since
            if until <= first:
                break
        else:
            self._tell('only the last year was searched')
        for trace_id in known:
            try:
                yield from self._one(trace_id)
            except _http.NotFound:
                # Gone since it was found.
                continue

    def _search(self, since: int, until: int, known: dict[str, None]) -> None:
        left = _server.MOST_TRACES - len(known)
        if left < 1 or since >= until:
            return
        answer = self._get(
            '/api/search', q='{}', start=since, end=until, limit=left
        )
        found = answer.get('traces') if isinstance(answer, dict) else None
        for each in _server.objects(found):
            # It leaves out zeros in front.
            trace_id = str(each.get('traceID')).lower()
            if _ID.fullmatch(trace_id):
                known[trace_id.zfill(32)] = None
        if len(known) >= _server.MOST_TRACES:
            self._tell(
                f'only {_server.MOST_TRACES} traces were asked for; --since '
                'and --until say which'
            )

    def _one(self, trace_id: str) -> Iterator[dict[str, Any]]:
        try:
            answer = self._get(f'/api/v2/traces/{trace_id}')
        except _http.NotFound:
            # Before 2.6 there is only the first version.
            answer = self._get(f'/api/traces/{trace_id}')
        if isinstance(answer, dict) and answer.get('status') == 'PARTIAL':
            self._tell('it did not tell the whole of a trace')
        yield as_otlp(answer)


def as_otlp(answer: Any) -> dict[str, Any]:
    """Return a trace of Tempo's in OTLP's form, nothing of it checked."""
    trace = answer.get('trace', answer) if isinstance(answer, dict) else None
    if not isinstance(trace, dict):
        return {'resourceSpans': []}
    batches = trace.get('resourceSpans', trace.get('batches'))
    for batch in _server.objects(batches):
        for group in _server.objects(batch.get('scopeSpans')):
            for span in _server.objects(group.get('spans')):
                _name_in_hex(span)
                for link in _server.objects(span.get('links')):
                    _name_in_hex(link)
    return {'resourceSpans': [] if batches is None else batches}


def _name_in_hex(named: dict[str, Any]) -> None:
    for field, digits in (
        ('traceId', 32),
        ('spanId', 16),
        ('parentSpanId', 16),
    ):
        value = named.get(field)
        if isinstance(value, str) and len(value) < digits:
            try:
                read = base64.b64decode(value, validate=True)
            except (ValueError, binascii.Error):
                continue
            named[field] = read.hex()

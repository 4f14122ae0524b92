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

"""What sources on servers share: the window that is read, what is refused."""

from __future__ import annotations

import abc
from collections.abc import Collection
from collections.abc import Iterator
import re
import time
from typing import Any
from typing import Final
import uuid

from oslo_tracing.report import model
from oslo_tracing.report import query
from oslo_tracing.report.sources import _http
from oslo_tracing.report.sources import base
from oslo_tracing.report.sources import otlp
from oslo_tracing.report import summary

#: Traces that a server is asked for at once.
MOST_TRACES: Final = 200
#: Nanoseconds that are looked back where nobody says how far.
_WINDOW: Final = 24 * 3600 * 10**9
#: Servers may have a trace in their indexes before its end.
_AHEAD: Final = 60 * 10**9

_TRACE_ID: Final = re.compile('[0-9a-f]{32}', re.ASCII)


class ServerSource(base.Source):
    """Traces that a server keeps.

    Ids are asked for whenever they are from. Everything else is about the
    traces of the last 24 hours, or those that ``--since`` asks for, as far
    as the server tells of them.

    :param kind: what the server is, in front of ``+`` in its name.
    :param url: where it is.
    :raises CannotRead: when that is no URL.
    """

    def __init__(self, kind: str, url: str) -> None:
        try:
            self._client = _http.Client(url)
        except ValueError:
            # Nothing of what was given: it may hold a password.
            raise base.CannotRead(
                f'the {kind} server',
                'give http:// or https://, a host, a port of 1 to 65535 or '
                'none, and no query',
            ) from None
        super().__init__(f'{kind}+{self._client.shown}')

    def authorize(self, token: str) -> None:
        """Send a bearer token with all that the server is asked.

        :raises CannotRead: when others could read it on the way.
        """
        if not self._client.authorize(token):
            raise base.CannotRead(
                self.name, 'a token is sent by https only, or to this host'
            )

    @abc.abstractmethod
    def _recent(self, start: int, end: int) -> Iterator[dict[str, Any]]:
        """Return traces of a time in nanoseconds, in OTLP's form."""

    @abc.abstractmethod
    def _one(self, trace_id: str) -> Iterator[dict[str, Any]]:
        """Return one trace in OTLP's form; its id was checked."""

    def spans(self) -> Iterator[model.Span]:
        """Read the spans of the last 24 hours."""
        return self._spans(query.Query())

    def summaries(
        self, wanted: query.Query | None = None
    ) -> list[summary.Summary]:
        """Sum up the traces of the time that is asked for."""
        asked = wanted or query.Query()
        return query.summaries(self._spans(asked), asked)

    def _spans(self, asked: query.Query) -> Iterator[model.Span]:
        self.problems.clear()
        now = time.time_ns()
        end = now + _AHEAD if asked.until is None else asked.until
        start = max(0, min(now, end) - _WINDOW)
        if asked.since is not None:
            start = asked.since
        yield from self._read(self._recent(max(0, start), end))

    def _by_request(self, asked: str, text: str) -> list[model.Trace]:
        # The trace with its own id may be older than what is looked at.
        return super()._by_request(asked, text) or self._load(
            [uuid.UUID(asked[4:]).hex]
        )

    def _load(self, trace_ids: Collection[str]) -> list[model.Trace]:
        found = []
        for trace_id in trace_ids:
            assert _TRACE_ID.fullmatch(trace_id), 'ids are checked on entry'
            spans = [
                span
                for span in self._read(self._known(trace_id))
                if span.trace_id == trace_id
            ]
            if spans:
                found.append(model.Trace(trace_id, spans))
        return sorted(found, key=lambda trace: trace.start)

    def _known(self, trace_id: str) -> Iterator[dict[str, Any]]:
        try:
            yield from self._one(trace_id)
        except _http.NoSuchPath:
            raise
        except _http.NotFound:
            # Of the trace, as far as one can tell.
            return

    def _read(
        self, documents: Iterator[dict[str, Any]]
    ) -> Iterator[model.Span]:
        try:
            for document in documents:
                yield from otlp.spans(document, self._tell)
        except _http.NoAnswer as exc:
            raise base.CannotRead(self.name, str(exc)) from None

    def _get(self, path: str, **parameters: str | int) -> Any:
        answer, clean = self._client.get(path, **parameters)
        if not clean:
            self._tell('text that is not UTF-8')
        return answer

    def _tell(self, what: str) -> None:
        self.problems.tell(self.name, what)


def objects(value: Any) -> list[dict[str, Any]]:
    """Return those of a list that are objects; none where it is no list."""
    if not isinstance(value, list):
        return []
    return [each for each in value if isinstance(each, dict)]


def attribute(key: Any, value: Any) -> dict[str, Any]:
    """Return an attribute in OTLP's form."""
    return {'key': key, 'value': scalar(value)}


def scalar(value: Any) -> dict[str, Any]:
    """Return a value in OTLP's form, anything unknown as if it were text."""
    if isinstance(value, bool):
        return {'boolValue': value}
    if isinstance(value, int):
        return {'intValue': value}
    if isinstance(value, float):
        return {'doubleValue': value}
    return {'stringValue': value}


def nanoseconds(microseconds: Any) -> Any:
    """Return a time in nanoseconds; what is none is left as it is."""
    if isinstance(microseconds, bool) or not isinstance(microseconds, int):
        return microseconds
    return microseconds * 1000


def end(start: Any, took: Any) -> Any:
    """Return when a span ended, by both in nanoseconds.

    What is no time is returned, so that it is told; of a span without a
    start that is not known.
    """
    if isinstance(took, bool) or not isinstance(took, int):
        return took
    return start + took if isinstance(start, int) and start else None


def hexadecimal(value: Any, digits: int) -> Any:
    """Return an id with the zeros that some servers leave out."""
    return value.zfill(digits) if isinstance(value, str) and value else value

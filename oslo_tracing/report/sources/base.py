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

"""The interface of every trace source, and what they share."""

from __future__ import annotations

import abc
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
import dataclasses
import re
import uuid

from oslo_tracing import _printable
from oslo_tracing import exceptions
from oslo_tracing.report import model
from oslo_tracing.report import query
from oslo_tracing.report import summary

#: How many kinds of trouble are kept word by word; the rest is counted.
_MOST_PROBLEMS = 100
#: How many spans of several traces are in memory at once.
_MOST_SPANS = 100_000
_SHORTEST_PREFIX = 4

_HEX = re.compile(r'[0-9a-f]{1,32}')


class SourceError(exceptions.TracingError):
    """A trace source cannot be read, or not be asked like that."""


class CannotRead(SourceError):
    """There is no such source, or it is not for us to read."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f'cannot read {_printable.printable(name)}: {why}')


class BadId(SourceError):
    """What was asked for is neither a trace id nor a request id."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f'{_printable.printable(text, 64)} is no id: give a trace id '
            f'(32 hex digits, or the first {_SHORTEST_PREFIX} and more of '
            'them) or a request id (req- and a UUID)'
        )


class AmbiguousId(SourceError):
    """Several traces have ids that start like that."""

    def __init__(self, text: str, found: Collection[str]) -> None:
        shown = ', '.join(sorted(found)[:5])
        more = ', ...' if len(found) > 5 else ''
        super().__init__(
            f'{len(found)} traces start with {text}: {shown}{more}'
        )


@dataclasses.dataclass(slots=True)
class Problem:
    """Something that was passed over, and how often."""

    where: str
    line: int
    what: str
    count: int = 1

    def __str__(self) -> str:
        place = f'{self.where}, line {self.line}' if self.line else self.where
        more = f' ({self.count} times)' if self.count > 1 else ''
        return f'{place}: {self.what}{more}'


class Problems:
    """What was passed over while reading; the same trouble is told once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Problem] = {}
        #: How many more there were than are kept.
        self.untold = 0

    def tell(self, where: str, what: str, line: int = 0) -> None:
        """Keep one.

        :param where: name of the file or server.
        :param what: what is wrong and what was done; escaped here.
        :param line: in which line, counted from 1; 0 if in none.
        """
        known = self._kept.get((where, what))
        if known is not None:
            known.count += 1
        elif len(self._kept) < _MOST_PROBLEMS:
            self._kept[where, what] = Problem(
                _printable.printable(where),
                line,
                _printable.printable(what, 256),
            )
        else:
            self.untold += 1

    def clear(self) -> None:
        """Forget all: the source is read anew."""
        self._kept.clear()
        self.untold = 0

    def __iter__(self) -> Iterator[Problem]:
        return iter(list(self._kept.values()))

    def __len__(self) -> int:
        return len(self._kept)


class Source(abc.ABC):
    """Something that traces can be read from.

    :param name: what the user called it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        #: What the last reading passed over.
        self.problems = Problems()
        #: Told of files, after each document: how many bytes were read,
        #: and how many there are; at the end these are equal.
        self.watch: Callable[[int, int], None] | None = None

    @abc.abstractmethod
    def spans(self) -> Iterator[model.Span]:
        """Read every span, in no particular order.

        Each call reads anew and starts the list of problems anew.
        """

    def close(self) -> None:
        """Give back what the source holds on to."""

    def summaries(
        self, wanted: query.Query | None = None
    ) -> list[summary.Summary]:
        """Sum up every trace, the newest first.

        :param wanted: which ones; else all.
        """
        return query.summaries(self.spans(), wanted or query.Query())

    def traces(
        self, wanted: Callable[[summary.Summary], bool] | None = None
    ) -> Iterator[model.Trace]:
        """Read whole traces, the newest first.

        The data is read once to learn what is there, then again for every
        few traces, so that they are never in memory all at once.

        :param wanted: told of each trace, whether it is asked for.
        """
        found = self.summaries()
        some: list[str] = []
        size = 0
        for each in found if wanted is None else filter(wanted, found):
            if some and size + each.spans > _MOST_SPANS:
                yield from reversed(self._load(some))
                some, size = [], 0
            some.append(each.trace_id)
            size += each.spans
        yield from reversed(self._load(some))

    def find(self, text: str) -> list[model.Trace]:
        """Read the traces that an id stands for.

        :param text: a trace id, the first digits of one, or ``req-…``. A
            request id stands for the trace that carries it, by its own id
            or in a span, and for those that share a global request id
            with that one.
        :returns: by start time; none if there are none.
        :raises BadId: when it is no id.
        :raises AmbiguousId: when several trace ids start like that.
        """
        asked = text.strip().lower()
        if asked.startswith('req-'):
            return self._by_request(asked, text)
        if len(asked) == 36:
            asked = _from_uuid(asked, text)
        if not _HEX.fullmatch(asked) or len(asked) < _SHORTEST_PREFIX:
            raise BadId(text)
        if len(asked) == 32:
            return self._load([asked])
        found = {
            span.trace_id
            for span in self.spans()
            if span.trace_id.startswith(asked)
        }
        if len(found) > 1:
            raise AmbiguousId(asked, found)
        return self._load(found)

    def _by_request(self, asked: str, text: str) -> list[model.Trace]:
        trace_id = _from_uuid(asked[4:], text)
        known = self.summaries()
        found = {
            each.trace_id
            for each in known
            if each.trace_id == trace_id
            or asked in each.request_ids
            or asked in each.global_request_ids
        }
        shared = {asked}.union(
            *(
                each.global_request_ids
                for each in known
                if each.trace_id in found
            )
        )
        found.update(
            each.trace_id
            for each in known
            if not shared.isdisjoint(each.global_request_ids)
        )
        return self._load(found)

    def _load(self, trace_ids: Collection[str]) -> list[model.Trace]:
        if not trace_ids:
            return []
        spans: dict[str, list[model.Span]] = {each: [] for each in trace_ids}
        for span in self.spans():
            if span.trace_id in spans:
                spans[span.trace_id].append(span)
        found = [model.Trace(each, spans[each]) for each in spans]
        found = [trace for trace in found if trace.spans]
        return sorted(found, key=lambda trace: trace.start)


def _from_uuid(written: str, text: str) -> str:
    try:
        value = uuid.UUID(written)
    except ValueError:
        raise BadId(text) from None
    if str(value) != written:
        raise BadId(text)
    return value.hex

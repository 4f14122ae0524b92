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

"""A trace as a tree of text lines."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
from typing import Final

from oslo_tracing import _printable
from oslo_tracing import attributes as names
from oslo_tracing.report.analysis import clock as clocks
from oslo_tracing.report import model
from oslo_tracing.report.render import text as texts
from oslo_tracing.report import sums

#: So many like ones in a row are one line, unless all are asked for.
_FOLDED_FROM: Final = 3
#: Deeper levels are not indented further; a number tells the level.
_MAX_LEVELS: Final = 30
_MAX_NAME: Final = 256
_MAX_SERVICES: Final = 12
_MAX_ATTRIBUTES: Final = 128
_MAX_VALUE: Final = 1024

_START: Final = 11
_DURATION: Final = 11
_SHARE: Final = 7


@dataclasses.dataclass(slots=True)
class _Row:
    """A line to be: spans (several when folded), or a heading."""

    spans: list[model.Span]
    prefix: str
    mark: str
    level: int
    heading: str = ''


def render(
    trace: model.Trace,
    style: texts.Style,
    *,
    expand: bool = False,
    attributes: bool = False,
    since: int | None = None,
) -> Iterator[str]:
    """Draw a trace: what it is in all, then its spans.

    :param trace: any trace; no shape of it is too odd.
    :param style: what the terminal can show.
    :param expand: give each of many like spans in a row its own line.
    :param attributes: tell those of each span below its line; it has one
        of its own then.
    :param since: start of an earlier trace shown before, in nanoseconds, by
        the clock of its root.
    :returns: lines without newlines; safe to print.
    """
    return _Tree(trace, style, expand, attributes).lines(since)


class _Tree:
    def __init__(
        self,
        trace: model.Trace,
        style: texts.Style,
        expand: bool,
        attributes: bool,
    ) -> None:
        self._attributes = attributes
        expand = expand or attributes
        self._trace = trace
        self._style = style
        self._marks = texts.UNICODE if style.unicode else texts.ASCII
        self._fold_from = len(trace.spans) + 1 if expand else _FOLDED_FROM
        self._services = trace.services
        self._colours = texts.service_colours(list(self._services))
        self._clock = clocks.of(trace)
        self._start, end = clocks.extent(trace, self._clock)
        self._duration = end - self._start

    def lines(self, since: int | None) -> Iterator[str]:
        yield from self._header(since)
        yield ''
        head = (
            f'{"start ms":>{_START}}{"ms":>{_DURATION}}{"share":>{_SHARE}}  '
            'service: span'
        )
        yield texts.line([(head, texts.FAINT)], self._style)
        folded = lines = 0
        for row in self._rows():
            if len(row.spans) > 1:
                folded += len(row.spans)
                lines += 1
            yield texts.line(self._pieces(row), self._style)
            if self._attributes and row.spans:
                yield from self._attribute_lines(row.spans[0])
        if folded:
            yield ''
            what = 'line' if lines == 1 else 'lines'
            yield (
                f'{folded} spans are folded into {lines} {what} '
                f'({self._marks.times}); --all gives each its own.'
            )

    def _attribute_lines(self, span: model.Span) -> Iterator[str]:
        blank = ' ' * (_START + _DURATION + _SHARE + 4)
        found = sorted(span.attributes.items())
        for key, value in found[:_MAX_ATTRIBUTES]:
            # The values of a list are text of others, too.
            text = value if isinstance(value, str) else repr(value)
            pieces = [
                (f'{blank}{_shown(key, 64)} = ', texts.FAINT),
                (_shown(text, _MAX_VALUE), ''),
            ]
            yield texts.line(pieces, self._style)
        more = len(found) - _MAX_ATTRIBUTES
        if more > 0:
            yield texts.line([(f'{blank}and {more} more', '')], self._style)

    def _header(self, since: int | None) -> Iterator[str]:
        trace = self._trace
        facts = [('Trace', trace.trace_id, texts.STRONG)]
        if trace.request_id:
            facts.append(('Request', _shown(trace.request_id, 64), ''))
        if trace.global_request_id:
            facts.append(('Caller', _shown(trace.global_request_id, 64), ''))
        started = texts.moment(self._start)
        if since is not None:
            later = texts.length(self._start - since)
            started += f', {later} after the first'
        facts.append(('Started', started, ''))
        facts.append(('Duration', texts.length(self._duration), ''))
        corrected = len(self._clock.offsets)
        if corrected:
            count = _number(corrected, 'span')
            text = f'differ, the times of {count} are corrected'
            facts.append(('Clocks', text, ''))
        spans = str(len(trace.spans))
        if trace.duplicates:
            spans += f' ({trace.duplicates} more came twice)'
        facts.append(('Spans', spans, ''))
        unknown = len(trace.without_start)
        if unknown:
            text = f'{_number(unknown, "span")}, which took more than is shown'
            facts.append(('No start', text, ''))
        facts.append(('Services', self._service_counts(), ''))
        facts.append(self._errors())
        if trace.orphans:
            count = _number(len(trace.orphans), 'span')
            facts.append(('Orphans', f'{count} with an unknown parent', ''))
        for fact, text, colour in facts:
            yield texts.line(
                [(f'{fact:<9} ', texts.FAINT), (text, colour)], self._style
            )

    def _service_counts(self) -> str:
        by_count = sorted(
            self._services.items(), key=lambda item: item[1], reverse=True
        )
        text = ', '.join(
            f'{_service(service)} {count}'
            for service, count in by_count[:_MAX_SERVICES]
        )
        more = len(by_count) - _MAX_SERVICES
        return f'{text} and {more} more' if more > 0 else text

    def _errors(self) -> tuple[str, str, str]:
        first = clocks.first_error(self._trace, self._clock)
        if first is None:
            return 'Errors', 'none', ''
        count = len(self._trace.errors)
        text = f'{count}, the first in {_label(first)}'
        return 'Errors', text, texts.ERROR

    def _rows(self) -> Iterator[_Row]:
        trace = self._trace
        yield from self._below(trace.roots)
        # Those that lost the same parent stand under one heading.
        lost: dict[str, list[model.Span]] = {}
        for span in trace.orphans:
            lost.setdefault(span.parent_id or '', []).append(span)
        for parent_id, spans in lost.items():
            heading = f'orphan: parent {parent_id} is not in the data'
            yield _Row([], '', '', 0, heading)
            yield from self._below(spans, 1)
        for span in trace.circular:
            heading = f'circle: the parents of {span.span_id} lead back to it'
            yield _Row([], '', '', 0, heading)
            yield from self._below([span], 1)

    def _below(
        self, spans: Iterable[model.Span], level: int = 0
    ) -> Iterator[_Row]:
        marks = self._marks
        stack = self._groups(list(spans), '', level)
        while stack:
            row = stack.pop()
            yield row
            if len(row.spans) > 1:
                continue
            children = self._trace.children(row.spans[0])
            if not children:
                continue
            prefix = row.prefix
            if row.mark:
                prefix += texts.BLANK if row.mark == marks.last else marks.line
            # Else a chain of 100 000 spans would be 15 GB of indentation.
            prefix = prefix[-3 * _MAX_LEVELS :]
            stack.extend(self._groups(children, prefix, row.level + 1))

    def _groups(
        self, siblings: list[model.Span], prefix: str, level: int
    ) -> list[_Row]:
        groups: list[list[model.Span]] = []
        before: tuple[object, ...] | None = None
        for span in siblings:
            alike = self._alike(span)
            if alike is not None and alike == before:
                groups[-1].append(span)
            else:
                groups.append([span])
            before = alike
        rows: list[_Row] = []
        mark = self._marks.fork if level else ''
        for group in groups:
            if len(group) >= self._fold_from:
                rows.append(_Row(group, prefix, mark, level))
            else:
                rows.extend(_Row([s], prefix, mark, level) for s in group)
        if level:
            rows[-1].mark = self._marks.last
        rows.reverse()
        return rows

    def _alike(self, span: model.Span) -> tuple[object, ...] | None:
        """Return what spans that may share a line have in common."""
        if (
            span.failed
            or span.events
            or span.links
            or self._trace.children(span)
        ):
            return None
        return (
            span.service_name,
            span.name,
            span.kind,
            span.error_type,
            span.has_start,
            span.attributes.get(names.HTTP_RESPONSE_STATUS_CODE),
        )

    def _pieces(self, row: _Row) -> list[tuple[str, str]]:
        indent = row.prefix + row.mark
        if row.level > _MAX_LEVELS:
            indent = f'[{row.level}] {indent}'
        if row.heading:
            blank = ' ' * (_START + _DURATION + _SHARE + 2)
            return [(blank, ''), (row.heading, texts.ERROR)]
        span = row.spans[0]
        duration = sum(each.duration for each in row.spans)
        share = duration / self._duration if self._duration else 1.0
        start = 'unknown'
        if span.has_start:
            after = self._clock.start(span) - self._start
            start = texts.milliseconds(after)
        numbers = (
            f'{start:>{_START}}'
            f'{texts.milliseconds(duration):>{_DURATION}}'
            f'{share:>{_SHARE}.1%}  '
        )
        colour = self._colours[span.service_name]
        pieces = [
            (numbers, ''),
            (indent, texts.FAINT),
            (f'{_service(span.service_name)}: ', colour),
            (_shown(span.name, _MAX_NAME), ''),
        ]
        if len(row.spans) > 1:
            pieces.append((f' {self._marks.times}{len(row.spans)}', ''))
        about = self._about(row.spans)
        if about:
            pieces.append((f' ({about})', texts.FAINT))
        if span.failed:
            pieces.append(
                (f' {self._marks.error} {_failure(span)}', texts.ERROR)
            )
        return pieces

    def _about(self, spans: list[model.Span]) -> str:
        """Return what else there is to say: kind, status, events, links."""
        span = spans[0]
        facts = []
        if span.kind not in ('INTERNAL', 'UNSPECIFIED'):
            facts.append(span.kind.lower())
        status = span.attributes.get(names.HTTP_RESPONSE_STATUS_CODE)
        if isinstance(status, int):
            facts.append(str(status))
        facts.extend(_statements(spans))
        if len(spans) > 1:
            least = min(each.duration for each in spans)
            most = max(each.duration for each in spans)
            facts.append(
                f'{texts.milliseconds(least)}{self._marks.dash}'
                f'{texts.milliseconds(most)} ms each'
            )
        if span.error_type and not span.failed:
            facts.append(_shown(span.error_type, 64))
        facts.extend(self._events(span.events))
        if span.links:
            linked = _shown(span.links[0].trace_id, 32)
            more = len(span.links) - 1
            facts.append(
                f'linked to trace {linked}'
                + (f' and {more} more' if more else '')
            )
        return ', '.join(facts)

    def _events(self, events: tuple[model.Event, ...]) -> Iterator[str]:
        counts: dict[str, int] = {}
        for event in events:
            # What an exception says stands in the error already.
            if event.name != names.EVENT_EXCEPTION:
                counts[event.name] = counts.get(event.name, 0) + 1
        for name in list(counts)[:3]:
            times = f' {self._marks.times}{counts[name]}'
            shown = _shown(name, 64)
            yield f'{shown}{times}' if counts[name] > 1 else shown
        if len(counts) > 3:
            yield f'{len(counts) - 3} other events'


def _statements(spans: list[model.Span]) -> Iterator[str]:
    """Say what was added up on spans, where anything was."""
    found = [added_up for added_up in map(sums.of, spans) if added_up]
    if found:
        count = _number(sum(each.count for each in found), 'statement')
        took = sum(each.duration for each in found)
        yield f'{count} in {texts.milliseconds(took)} ms'


def _failure(span: model.Span) -> str:
    kind = span.error_type
    if not kind:
        for event in span.events:
            if event.name == names.EVENT_EXCEPTION:
                kind = str(event.attributes.get(names.EXCEPTION_TYPE, ''))
    text = span.description
    if kind in text:
        kind = text
    elif text not in kind:
        kind = f'{kind}: {text}'
    return f'ERROR {_shown(kind, _MAX_NAME)}'.rstrip()


def _label(span: model.Span) -> str:
    name = _shown(span.name, _MAX_NAME)
    return f'{_service(span.service_name)}: {name} {_failure(span)}'


def _service(service: str) -> str:
    return _shown(service, 64)


def _shown(text: str, limit: int) -> str:
    return _printable.printable(text, limit)


def _number(count: int, what: str) -> str:
    return f'{count} {what}' if count == 1 else f'{count} {what}s'

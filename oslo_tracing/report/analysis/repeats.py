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

"""Work that a trace shows again and again."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
import re

from oslo_tracing import attributes as names
from oslo_tracing.report.analysis import findings
from oslo_tracing.report import model
from oslo_tracing.report import sums

#: So many equal statements under one parent are a loop that could be a join.
STATEMENTS_FROM = 5
#: So many equal requests of one piece of work could be one.
CALLS_FROM = 3

_NAMED_BY_PATH = re.compile(r'[A-Z]{3,7} /')
_ENTRIES = ('SERVER', 'CONSUMER')


def repeated_statements(
    trace: model.Trace,
) -> Iterator[findings.Finding]:
    """Find the same SQL text many times under one parent ("N+1")."""

    def key(span: model.Span) -> Hashable:
        text = span.attributes.get(names.DB_QUERY_TEXT)
        if not isinstance(text, str):
            return None
        return span.parent_id, span.service, text

    for group in _groups(trace, key, STATEMENTS_FROM):
        time = sum(span.duration for span in group)
        parent = trace.parent(group[0])
        under = f' under {findings.named(parent)}' if parent else ''
        yield findings.Finding(
            findings.REPEATED_STATEMENT,
            f'{group[0].name} ran {len(group)} times with the same text'
            f'{under}, {findings.length(time)} in all',
            tuple(group),
            time,
        )


def repeated_without_spans(
    trace: model.Trace,
) -> Iterator[findings.Finding]:
    """Find the same among statements that were added up on a span."""
    for span in trace.spans:
        added_up = sums.of(span)
        for each in added_up.top if added_up else ():
            if each.count >= STATEMENTS_FROM and each.name != sums.UNNAMED:
                yield findings.Finding(
                    findings.REPEATED_STATEMENT,
                    f'{each.name} ran {each.count} times under '
                    f'{findings.named(span)}, '
                    f'{findings.length(each.duration)} in all, without '
                    'spans of its own',
                    (span,),
                    each.duration,
                )


def repeated_calls(trace: model.Trace) -> Iterator[findings.Finding]:
    """Find the same HTTP request several times within one piece of work.

    Attempts of one call are told as retries, not here.
    """
    entries = entry_points(trace)

    def key(span: model.Span) -> Hashable:
        request = _request(span)
        if not request or names.HTTP_REQUEST_RESEND_COUNT in span.attributes:
            return None
        return entries[span].span_id, span.service, request

    for group in _groups(trace, key, CALLS_FROM):
        time = sum(span.duration for span in group)
        yield findings.Finding(
            findings.REPEATED_CALL,
            f'{_request(group[0])} was asked {len(group)} times in '
            f'{findings.named(entries[group[0]])}, '
            f'{findings.length(time)} in all',
            tuple(group),
            time,
        )


def entry_points(trace: model.Trace) -> dict[model.Span, model.Span]:
    """Return of each span the piece of work that it belongs to.

    That is the nearest span above it (or itself) with which its process
    took something in: a request, a message; else the uppermost one.
    """
    found: dict[model.Span, model.Span] = {}
    for depth, span in trace.walk():
        parent = trace.parent(span) if depth else None
        if parent is None or span.kind in _ENTRIES:
            found[span] = span
        else:
            found[span] = found[parent]
    return found


def _request(span: model.Span) -> str:
    """Return method and address of an HTTP request; ``''`` if it is none."""
    if span.kind != 'CLIENT':
        return ''
    url = span.attributes.get(names.URL_FULL)
    if isinstance(url, str):
        return f'{span.attributes.get(names.HTTP_REQUEST_METHOD, "")} {url}'
    # Recorders that keep no address have the path in the name.
    return span.name if _NAMED_BY_PATH.match(span.name) else ''


def _groups(
    trace: model.Trace,
    key: Callable[[model.Span], Hashable],
    least: int,
) -> Iterator[list[model.Span]]:
    groups: dict[Hashable, list[model.Span]] = {}
    for span in trace.spans:
        about = key(span)
        if about is not None:
            groups.setdefault(about, []).append(span)
    for group in groups.values():
        if len(group) >= least:
            yield group

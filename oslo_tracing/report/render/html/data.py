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

"""What a page is told of its trace, or of many.

Keys are short because there are 10 000 spans; ``trace.js`` names them.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sized
import math
from typing import Any
from typing import Final

from oslo_tracing import _printable
from oslo_tracing.report import analysis as analyses
from oslo_tracing.report import model
from oslo_tracing.report import results
from oslo_tracing.report import summary
from oslo_tracing.report import sums

#: A value is shown so far; the data has the rest.
_MAX_TEXT: Final = 16384
_MAX_NAME: Final = 512
_MAX_ITEMS: Final = 256
_MAX_DEPTH: Final = 8
#: JavaScript counts exactly up to here.
_EXACT: Final = 2**53


def of_trace(
    trace: model.Trace, analysis: analyses.Analysis
) -> dict[str, Any]:
    """Return all that the page of a trace shows, ready for JSON.

    Times are nanoseconds after the start of the trace, by its root's clock.
    """
    services = list(trace.services)
    numbers = {service: index for index, service in enumerate(services)}
    heads = {*trace.orphans, *trace.circular}
    places: dict[model.Span, int] = {}
    spans: list[dict[str, Any]] = []
    for depth, span in trace.walk():
        parent = trace.parent(span) if depth else None
        places[span] = len(spans)
        spans.append(
            _span(span, analysis)
            | {
                'p': -1 if parent is None else places[parent],
                'z': depth,
                's': numbers[span.service_name],
            }
        )
        if span in heads:
            spans[-1]['lost'] = span.parent_id
    return {
        'id': trace.trace_id,
        'request': _name(trace.request_id or ''),
        'caller': _name(trace.global_request_id or ''),
        'start': analysis.start // 1_000_000,
        'duration': analysis.duration,
        'services': [
            {'name': _name(service), 'spans': trace.services[service]}
            for service in services
        ],
        'errors': len(trace.errors),
        'orphans': len(trace.orphans),
        'duplicates': trace.duplicates,
        'spans': spans,
        'path': [
            [
                places[step.span],
                step.start - analysis.start,
                step.end - analysis.start,
                int(step.on_the_way),
            ]
            for step in analysis.path
        ],
        'findings': [
            {
                'kind': found.kind,
                'text': _text(found.text, _MAX_NAME),
                'time': found.time,
                'spans': [places[span] for span in found.spans[:_MAX_ITEMS]],
                'more': max(0, len(found.spans) - _MAX_ITEMS),
            }
            for found in analysis.findings
        ],
        'leftOut': analysis.left_out,
        'shares': [
            [numbers[share.service], share.kind, share.spans, share.time]
            for share in analysis.shares
        ],
    }


def of_index(
    summaries: Iterable[summary.Summary], pages: Mapping[str, str]
) -> dict[str, Any]:
    """Return what a list of traces shows, ready for JSON."""
    return {
        'traces': [
            {
                'id': each.trace_id,
                'page': pages.get(each.trace_id, ''),
                'start': each.start // 1_000_000,
                'duration': each.duration,
                'name': _name(each.name),
                'rooted': each.has_root,
                'services': [_name(name) for name in sorted(each.services)],
                'spans': each.spans,
                'errors': each.errors,
                'request': _name(each.request_id or ''),
            }
            for each in summaries
        ]
    }


def of_tests(
    tests: Iterable[results.Result],
    summaries: Mapping[str, summary.Summary],
    files: Mapping[str, tuple[str, str]],
) -> dict[str, Any]:
    """Return what a list of tests shows, ready for JSON."""
    return {
        'tests': [
            {
                'test': _name(each.test_id),
                'status': _name(each.status),
                'failed': each.failed,
                'took': each.duration,
                **_trace_of(each.trace_id, summaries, files),
            }
            for each in tests
        ]
    }


def _trace_of(
    trace_id: str,
    summaries: Mapping[str, summary.Summary],
    files: Mapping[str, tuple[str, str]],
) -> dict[str, Any]:
    found = summaries.get(trace_id)
    page, raw = files.get(trace_id, ('', ''))
    return {
        'trace': trace_id if found else '',
        'page': page,
        'raw': raw,
        'duration': found.duration if found else 0,
        'spans': found.spans if found else 0,
        'errors': found.errors if found else 0,
        'services': sorted(map(_name, found.services)) if found else [],
    }


def _span(span: model.Span, analysis: analyses.Analysis) -> dict[str, Any]:
    clock = analysis.clock
    made: dict[str, Any] = {
        'i': span.span_id,
        'n': _name(span.name),
        'k': span.kind.lower(),
        't': clock.start(span) - analysis.start,
        'd': span.duration,
        'o': analysis.own[span],
        'a': _mapping(span.attributes),
        'r': _mapping(span.resource.attributes),
        'c': _name(span.scope.name),
    }
    if span.failed:
        made['e'] = _name(
            ': '.join(
                filter(
                    None, dict.fromkeys((span.error_type, span.description))
                )
            )
        )
    elif span.error_type:
        made['x'] = _name(span.error_type)
    if not span.has_start:
        made['u'] = 1
    if clock.differs(span):
        made['w'] = clock.offsets[span]
    added_up = sums.of(span)
    if added_up is not None:
        made['q'] = [
            added_up.count,
            added_up.duration,
            added_up.rows,
            [[_name(s.name), s.count, s.duration] for s in added_up.top],
        ]
    if span.events:
        made['v'] = [
            {
                'n': _name(event.name),
                't': (
                    event.time + clock.offsets.get(span, 0) - analysis.start
                ),
                'a': _mapping(event.attributes),
            }
            for event in span.events[:_MAX_ITEMS]
        ]
    if len(span.events) > _MAX_ITEMS:
        made['moreEvents'] = len(span.events) - _MAX_ITEMS
    if span.links:
        made['l'] = [
            {
                'trace': link.trace_id,
                'span': link.span_id,
                'a': _mapping(link.attributes),
            }
            for link in span.links[:_MAX_ITEMS]
        ]
    if len(span.links) > _MAX_ITEMS:
        made['moreLinks'] = len(span.links) - _MAX_ITEMS
    return made


def _mapping(values: Mapping[str, Any]) -> list[list[str]]:
    shown = [
        [_name(str(key)), _text(_shown(value, _MAX_DEPTH), _MAX_TEXT)]
        for key, value in list(values.items())[:_MAX_ITEMS]
    ]
    return shown + [['', more] for more in _more(values)]


def _more(values: Sized) -> list[str]:
    """Return what to say of the items that are not shown, if there are any."""
    more = len(values) - _MAX_ITEMS
    return [f'and {more} more'] if more > 0 else []


def _shown(value: Any, depth: int) -> str:
    """Return a value as people read it; nested ones to a bounded depth."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if abs(value) < _EXACT**4 else 'a very large number'
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else 'no finite number'
    if isinstance(value, bytes):
        return value[:_MAX_TEXT].hex(' ')
    if depth < 1:
        return '\u2026'
    if isinstance(value, Mapping):
        items = list(value.items())[:_MAX_ITEMS]
        parts = [f'{key}: {_shown(each, depth - 1)}' for key, each in items]
        return '{' + ', '.join(parts + _more(value)) + '}'
    if isinstance(value, (list, tuple)):
        parts = [_shown(each, depth - 1) for each in value[:_MAX_ITEMS]]
        return '[' + ', '.join(parts + _more(value)) + ']'
    return str(value)[:_MAX_TEXT]


def _name(text: str) -> str:
    return _printable.printable(text, _MAX_NAME)


def _text(text: str, limit: int) -> str:
    """Return text of many lines, such as a statement or a stack trace."""
    cut = '\u2026' if len(text) > limit else ''
    lines = text[:limit].split('\n')
    return '\n'.join(map(_printable.printable, lines)) + cut

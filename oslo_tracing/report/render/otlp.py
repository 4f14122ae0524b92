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

"""Spans as OTLP JSON again, so that any other tool can take them.

The JSON encoding of OTLP 1.x: hexadecimal ids, 64-bit numbers as texts.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import json
from typing import Any
from typing import Final

from oslo_tracing.report import model

#: A document ends when its spans take so many characters.
_LONG_ENOUGH: Final = 4 * 1024 * 1024
_SEPARATORS: Final = (',', ':')


def render(spans: Iterable[model.Span]) -> Iterator[str]:
    """Write spans as JSON lines: ``TracesData``, each of one resource.

    What is long comes in several: readers, ours too, bound their lines.

    :param spans: of any traces.
    :returns: lines without newlines, as the file exporter writes them.
    """
    return (line for line, _count in counted(spans))


def counted(spans: Iterable[model.Span]) -> Iterator[tuple[str, int]]:
    """Write spans as :func:`render` does, and count those of each line."""
    batches: dict[model.Resource, dict[model.Scope, list[dict[str, Any]]]] = {}
    size = 0
    for span in spans:
        made = _span(span)
        scopes = batches.setdefault(span.resource, {})
        scopes.setdefault(span.scope, []).append(made)
        size += len(json.dumps(made, separators=_SEPARATORS))
        if size > _LONG_ENOUGH:
            yield from _documents(batches)
            batches = {}
            size = 0
    yield from _documents(batches)


def _documents(
    batches: dict[model.Resource, dict[model.Scope, list[dict[str, Any]]]],
) -> Iterator[tuple[str, int]]:
    for resource, scopes in batches.items():
        batch = {
            'resource': _with_attributes(
                {}, resource.attributes, resource.dropped
            ),
            'scopeSpans': [
                _of_schema(
                    {'scope': _scope(scope), 'spans': found}, scope.schema_url
                )
                for scope, found in scopes.items()
            ],
        }
        _of_schema(batch, resource.schema_url)
        line = json.dumps({'resourceSpans': [batch]}, separators=_SEPARATORS)
        yield line, sum(map(len, scopes.values()))


def _scope(scope: model.Scope) -> dict[str, Any]:
    made = {'name': scope.name, 'version': scope.version}
    if not scope.attributes and not scope.dropped:
        return made
    return _with_attributes(made, scope.attributes, scope.dropped)


def _of_schema(made: dict[str, Any], url: str) -> dict[str, Any]:
    if url:
        made['schemaUrl'] = url
    return made


def _with_attributes(
    made: dict[str, Any], attributes: Mapping[str, Any], dropped: int
) -> dict[str, Any]:
    made['attributes'] = _attributes(attributes)
    if dropped:
        made['droppedAttributesCount'] = dropped
    return made


def _link(link: model.Link) -> dict[str, Any]:
    made: dict[str, Any] = {'traceId': link.trace_id, 'spanId': link.span_id}
    if link.trace_state:
        made['traceState'] = link.trace_state
    if link.flags:
        made['flags'] = link.flags
    return _with_attributes(made, link.attributes, link.dropped)


def _span(span: model.Span) -> dict[str, Any]:
    made: dict[str, Any] = {
        'traceId': span.trace_id,
        'spanId': span.span_id,
        'name': span.name,
        'kind': model.KINDS.index(span.kind),
        'startTimeUnixNano': str(span.start if span.has_start else 0),
        'endTimeUnixNano': str(span.end),
        'attributes': _attributes(span.attributes),
        'status': {'code': model.STATUSES.index(span.status)},
    }
    if span.parent_id is not None:
        made['parentSpanId'] = span.parent_id
    if span.trace_state:
        made['traceState'] = span.trace_state
    if span.flags:
        made['flags'] = span.flags
    if span.description:
        made['status']['message'] = span.description
    if span.events:
        made['events'] = [
            _with_attributes(
                {'timeUnixNano': str(event.time), 'name': event.name},
                event.attributes,
                event.dropped,
            )
            for event in span.events
        ]
    if span.links:
        made['links'] = [_link(link) for link in span.links]
    fields = (
        'droppedAttributesCount',
        'droppedEventsCount',
        'droppedLinksCount',
    )
    made.update(
        (field, count)
        for field, count in zip(fields, span.dropped, strict=True)
        if count
    )
    return made


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {'key': key, 'value': _value(value)} for key, value in values.items()
    ]


def _value(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, bool):
        return {'boolValue': value}
    if isinstance(value, int):
        return {'intValue': str(value)}
    if isinstance(value, float):
        return {'doubleValue': value}
    if isinstance(value, bytes):
        return {'bytesValue': base64.b64encode(value).decode('ascii')}
    if isinstance(value, Mapping):
        return {'kvlistValue': {'values': _attributes(value)}}
    if isinstance(value, (list, tuple)):
        return {'arrayValue': {'values': [_value(each) for each in value]}}
    return {'stringValue': str(value)}

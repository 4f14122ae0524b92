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


"""Spans as OTLP/JSON, the OpenTelemetry file format.

"JSON Protobuf Encoding" of the OTLP specification: ids in hex, enums and
flags as numbers, 64-bit integers as strings, other fields as protobuf's own
JSON mapping has them. The reader of the report and the official protobuf
definitions both take every line.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from collections.abc import Sequence
import json
import math
from typing import Any
from typing import Final

from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.util import instrumentation
from opentelemetry import trace

from oslo_tracing.exporters import _values

# SpanFlags of the OTLP protocol.
_HAS_IS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200

_Scope = instrumentation.InstrumentationScope


def encode(spans: Sequence[sdk_trace.ReadableSpan]) -> bytes:
    """Return the spans as one line: a ``TracesData`` and a newline.

    Grouped by resource and scope, in the order of the first span of each.

    :param spans: ended and cleaned spans.
    """
    by_resource: dict[int, int] = {}
    groups: list[
        tuple[
            resources.Resource,
            dict[_Scope | None, list[dict[str, Any]]],
        ]
    ] = []
    for span in spans:
        resource = span.resource
        # By identity first: the SDK hashes a resource by dumping it.
        index = by_resource.get(id(resource))
        if index is None:
            index = _position(groups, resource)
            by_resource[id(resource)] = index
        scope = span.instrumentation_scope or None
        groups[index][1].setdefault(scope, []).append(_span(span))
    data = {
        'resourceSpans': [
            {
                'resource': {'attributes': _pairs(resource.attributes)},
                'scopeSpans': [
                    {
                        'scope': _scope(scope),
                        'spans': encoded,
                        'schemaUrl': (scope and scope.schema_url) or '',
                    }
                    for scope, encoded in scopes.items()
                ],
                'schemaUrl': resource.schema_url,
            }
            for resource, scopes in groups
        ]
    }
    # ASCII only: no reader splits lines at U+2028 then, no terminal obeys.
    text = json.dumps(data, separators=(',', ':'), allow_nan=False)
    return text.encode('ascii') + b'\n'


def _position(groups: list[tuple[Any, Any]], resource: Any) -> int:
    for index, (known, _scopes) in enumerate(groups):
        if known == resource:
            return index
    groups.append((resource, {}))
    return len(groups) - 1


def _scope(scope: _Scope | None) -> dict[str, Any]:
    if scope is None:
        return {}
    encoded: dict[str, Any] = {'name': scope.name}
    if scope.version:
        encoded['version'] = scope.version
    attributes = getattr(scope, 'attributes', None)
    if attributes:
        encoded['attributes'] = _pairs(attributes)
    return encoded


def _span(span: sdk_trace.ReadableSpan) -> dict[str, Any]:
    context = span.context
    encoded: dict[str, Any] = {
        'traceId': trace.format_trace_id(context.trace_id),
        'spanId': trace.format_span_id(context.span_id),
        'name': span.name,
        # SPAN_KIND_UNSPECIFIED is 0 in OTLP, INTERNAL is 0 in the API.
        'kind': span.kind.value + 1,
        'startTimeUnixNano': str(span.start_time),
        'endTimeUnixNano': str(span.end_time),
        'status': _status(span.status),
        'flags': _flags(span.parent),
    }
    if span.parent is not None:
        encoded['parentSpanId'] = trace.format_span_id(span.parent.span_id)
    if context.trace_state:
        encoded['traceState'] = ','.join(
            f'{key}={value}' for key, value in context.trace_state.items()
        )
    if span.attributes:
        encoded['attributes'] = _pairs(span.attributes)
    if span.events:
        encoded['events'] = [_event(event) for event in span.events]
    if span.links:
        encoded['links'] = [_link(link) for link in span.links]
    for key, dropped in (
        ('droppedAttributesCount', span.dropped_attributes),
        ('droppedEventsCount', span.dropped_events),
        ('droppedLinksCount', span.dropped_links),
    ):
        if dropped:
            encoded[key] = dropped
    return encoded


def _status(status: trace.Status) -> dict[str, Any]:
    encoded: dict[str, Any] = {}
    if status.status_code.value:
        encoded['code'] = status.status_code.value
    if status.description:
        encoded['message'] = status.description
    return encoded


def _flags(context: trace.SpanContext | None) -> int:
    if context is not None and context.is_remote:
        return _HAS_IS_REMOTE | _IS_REMOTE
    return _HAS_IS_REMOTE


def _event(event: sdk_trace.Event) -> dict[str, Any]:
    encoded: dict[str, Any] = {
        'timeUnixNano': str(event.timestamp),
        'name': event.name,
    }
    if event.attributes:
        encoded['attributes'] = _pairs(event.attributes)
    if event.dropped_attributes:
        encoded['droppedAttributesCount'] = event.dropped_attributes
    return encoded


def _link(link: trace.Link) -> dict[str, Any]:
    encoded: dict[str, Any] = {
        'traceId': trace.format_trace_id(link.context.trace_id),
        'spanId': trace.format_span_id(link.context.span_id),
        'flags': _flags(link.context),
    }
    if link.attributes:
        encoded['attributes'] = _pairs(link.attributes)
    if link.dropped_attributes:
        encoded['droppedAttributesCount'] = link.dropped_attributes
    return encoded


def _pairs(attributes: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    return [
        {'key': key, 'value': _value(value)}
        for key, value in _values.plain(attributes or {}).items()
    ]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {'stringValue': value}
    if isinstance(value, bool):
        return {'boolValue': value}
    if isinstance(value, int):
        return {'intValue': str(value)}
    if isinstance(value, float):
        return {'doubleValue': _double(value)}
    if value is None:
        return {}
    if isinstance(value, bytes):
        return {'bytesValue': base64.b64encode(value).decode('ascii')}
    if isinstance(value, Mapping):
        return {'kvlistValue': {'values': _pairs(value)}}
    return {'arrayValue': {'values': [_value(item) for item in value]}}


def _double(value: float) -> float | str:
    """JSON has no words for these three, protobuf's mapping has."""
    if math.isnan(value):
        return 'NaN'
    if math.isinf(value):
        return 'Infinity' if value > 0 else '-Infinity'
    return value

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

"""OTLP's ``TracesData`` in JSON, as spans.

Field names in lowerCamelCase, as the protocol has them, or in snake_case;
enums by number or name; 64-bit integers as strings or numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import re
from typing import Any
from typing import Final

from oslo_tracing import attributes as names
from oslo_tracing.report import model
from oslo_tracing.report.sources import _values

_MAX_TIME: Final = 2**63
_HEX: Final = re.compile(r'[0-9a-f]+', re.ASCII)

Tell = Callable[[str], None]


def _both(*fields: str) -> frozenset[str]:
    return frozenset(fields) | {_values.snake(field) for field in fields}


_OF_DATA: Final = _both('resourceSpans')
_OF_RESOURCE_SPANS: Final = _both('resource', 'scopeSpans', 'schemaUrl')
_OF_RESOURCE: Final = _both(
    'attributes', 'droppedAttributesCount', 'entityRefs'
)
_OF_SCOPE_SPANS: Final = _both('scope', 'spans', 'schemaUrl')
_OF_SCOPE: Final = _both(
    'name', 'version', 'attributes', 'droppedAttributesCount'
)
_OF_SPAN: Final = _both(
    'traceId',
    'spanId',
    'traceState',
    'parentSpanId',
    'flags',
    'name',
    'kind',
    'startTimeUnixNano',
    'endTimeUnixNano',
    'attributes',
    'droppedAttributesCount',
    'events',
    'droppedEventsCount',
    'links',
    'droppedLinksCount',
    'status',
)
_OF_EVENT: Final = _both(
    'timeUnixNano', 'name', 'attributes', 'droppedAttributesCount'
)
_OF_LINK: Final = _both(
    'traceId',
    'spanId',
    'traceState',
    'attributes',
    'droppedAttributesCount',
    'flags',
)
_OF_STATUS: Final = _both('message', 'code')
_OF_ATTRIBUTE: Final = _both('key', 'value')


def spans(data: Any, tell: Tell) -> Iterator[model.Span]:
    """Read one ``TracesData``.

    :param data: parsed JSON, nested at most 64 levels.
    :param tell: called with a sentence about each thing passed over.
    """
    if not isinstance(data, dict):
        tell('not an OTLP document')
        return
    batches = _get(data, 'resourceSpans', 'resource_spans')
    if batches is None:
        tell('no resourceSpans in it')
        return
    _look_for_unknown(data, _OF_DATA, 'document', tell)
    for batch in _objects(batches, 'resourceSpans', tell):
        _look_for_unknown(batch, _OF_RESOURCE_SPANS, 'resourceSpans', tell)
        resource = _resource(batch, tell)
        groups = _get(batch, 'scopeSpans', 'scope_spans')
        for group in _objects(groups, 'scopeSpans', tell):
            _look_for_unknown(group, _OF_SCOPE_SPANS, 'scopeSpans', tell)
            scope = _scope(group, tell)
            for each in _objects(group.get('spans'), 'spans', tell):
                try:
                    span = _span(each, resource, scope, tell)
                except _values.Refused as exc:
                    tell(f'a span left out: {exc}')
                else:
                    yield span


def _span(
    each: dict[str, Any],
    resource: model.Resource,
    scope: model.Scope,
    tell: Tell,
) -> model.Span:
    _look_for_unknown(each, _OF_SPAN, 'span', tell)
    status = each.get('status')
    if not isinstance(status, dict):
        status = {}
    _look_for_unknown(status, _OF_STATUS, 'status', tell)
    parent_id = _get(each, 'parentSpanId', 'parent_span_id')
    if parent_id in (None, '', '0' * 16):
        parent_id = None
    else:
        parent_id = _id(parent_id, 16, 'parent span')
    start = _time(_get(each, 'startTimeUnixNano', 'start_time_unix_nano'))
    kind_of_span = model.Span if start else model.Unstarted
    return kind_of_span(
        trace_id=_id(_get(each, 'traceId', 'trace_id'), 32, 'trace'),
        span_id=_id(_get(each, 'spanId', 'span_id'), 16, 'span'),
        parent_id=parent_id,
        name=_text(each.get('name'), 'name', tell),
        kind=_enum(each.get('kind'), 'SPAN_KIND_', model.KINDS, tell),
        start=start,
        end=_time(_get(each, 'endTimeUnixNano', 'end_time_unix_nano')),
        resource=resource,
        scope=scope,
        attributes=_attributes(each.get('attributes'), tell),
        events=tuple(_events(each.get('events'), tell)),
        links=tuple(_links(each.get('links'), tell)),
        status=_enum(status.get('code'), 'STATUS_CODE_', model.STATUSES, tell),
        description=_text(status.get('message'), 'status message', tell),
        flags=_count(each.get('flags')),
        trace_state=_text(
            _get(each, 'traceState', 'trace_state'), 'traceState', tell
        ),
        dropped=_dropped(each),
    )


def _dropped(each: dict[str, Any]) -> tuple[int, int, int]:
    counts = (
        _get(each, 'droppedAttributesCount', 'dropped_attributes_count'),
        _get(each, 'droppedEventsCount', 'dropped_events_count'),
        _get(each, 'droppedLinksCount', 'dropped_links_count'),
    )
    if counts == (None, None, None):
        # One tuple for nearly all spans.
        return (0, 0, 0)
    return (_count(counts[0]), _count(counts[1]), _count(counts[2]))


def _dropped_attributes(each: dict[str, Any]) -> int:
    return _count(
        _get(each, 'droppedAttributesCount', 'dropped_attributes_count')
    )


def _schema_url(each: dict[str, Any], tell: Tell) -> str:
    return _text(_get(each, 'schemaUrl', 'schema_url'), 'schemaUrl', tell)


def _resource(batch: dict[str, Any], tell: Tell) -> model.Resource:
    schema_url = _schema_url(batch, tell)
    value = batch.get('resource')
    if not isinstance(value, dict):
        return model.Resource(schema_url=schema_url)
    _look_for_unknown(value, _OF_RESOURCE, 'resource', tell)
    found = _attributes(value.get('attributes'), tell)
    service = found.get(names.SERVICE_NAME, '')
    return model.Resource(
        service if isinstance(service, str) else str(service),
        found,
        schema_url,
        _dropped_attributes(value),
    )


def _scope(group: dict[str, Any], tell: Tell) -> model.Scope:
    schema_url = _schema_url(group, tell)
    value = group.get('scope')
    if not isinstance(value, dict):
        return model.Scope(schema_url=schema_url)
    _look_for_unknown(value, _OF_SCOPE, 'scope', tell)
    return model.Scope(
        _text(value.get('name'), 'scope name', tell),
        _text(value.get('version'), 'scope version', tell),
        _attributes(value.get('attributes'), tell),
        schema_url,
        _dropped_attributes(value),
    )


def _events(value: Any, tell: Tell) -> Iterator[model.Event]:
    for each in _objects(value, 'events', tell):
        _look_for_unknown(each, _OF_EVENT, 'event', tell)
        try:
            time = _time(_get(each, 'timeUnixNano', 'time_unix_nano'))
        except _values.Refused as exc:
            tell(f'an event left out: {exc}')
            continue
        yield model.Event(
            _text(each.get('name'), 'event name', tell),
            time,
            _attributes(each.get('attributes'), tell),
            _dropped_attributes(each),
        )


def _links(value: Any, tell: Tell) -> Iterator[model.Link]:
    for each in _objects(value, 'links', tell):
        _look_for_unknown(each, _OF_LINK, 'link', tell)
        try:
            trace_id = _id(_get(each, 'traceId', 'trace_id'), 32, 'trace')
            span_id = _id(_get(each, 'spanId', 'span_id'), 16, 'span')
        except _values.Refused as exc:
            tell(f'a link left out: {exc}')
            continue
        yield model.Link(
            trace_id,
            span_id,
            _attributes(each.get('attributes'), tell),
            _count(each.get('flags')),
            _text(_get(each, 'traceState', 'trace_state'), 'traceState', tell),
            _dropped_attributes(each),
        )


def _attributes(value: Any, tell: Tell) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in _objects(value, 'attributes', tell):
        _look_for_unknown(each, _OF_ATTRIBUTE, 'attribute', tell)
        key = each.get('key')
        if not isinstance(key, str):
            tell('an attribute left out: its key is no text')
            continue
        try:
            found[key] = _values.value_of(each.get('value'))
        except _values.Refused as exc:
            tell(f'attribute {key[:64]} left out: {exc}')
    return found


def _get(found: dict[str, Any], camel: str, snake: str) -> Any:
    value = found.get(camel)
    return found.get(snake) if value is None else value


def _look_for_unknown(
    found: dict[str, Any], known: frozenset[str], what: str, tell: Tell
) -> None:
    if found.keys() <= known:
        return
    for field in sorted(found.keys() - known)[:8]:
        tell(f'unknown field {field[:64]} of a {what} passed over')


def _objects(value: Any, what: str, tell: Tell) -> Iterator[dict[str, Any]]:
    if value is None:
        return
    if not isinstance(value, list):
        tell(f'{what} is no list')
        return
    for each in value:
        if isinstance(each, dict):
            yield each
        else:
            tell(f'something in {what} is no object')


def _text(value: Any, what: str, tell: Tell) -> str:
    if isinstance(value, str):
        return value
    if value is not None:
        tell(f'{what} is no text')
    return ''


def _id(value: Any, digits: int, what: str) -> str:
    if isinstance(value, str) and len(value) == digits:
        value = value.lower()
        if _HEX.fullmatch(value) and value.strip('0'):
            return str(value)
    raise _values.Refused(f'its {what} id is not {digits} hex digits, or zero')


def _time(value: Any) -> int:
    if value is None:
        return 0
    return _values.integer(value, 0, _MAX_TIME, 'its time')


def _count(value: Any) -> int:
    if value is None:
        return 0
    try:
        return _values.integer(value, 0, 2**32 - 1, 'count')
    except _values.Refused:
        return 0


def _enum(
    value: Any, prefix: str, meanings: tuple[str, ...], tell: Tell
) -> str:
    if value is None:
        return meanings[0]
    if isinstance(value, str):
        short = value.removeprefix(prefix)
        if short in meanings:
            return short
        if value.isascii() and value.isdigit() and len(value) == 1:
            value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value < len(meanings):
            return meanings[value]
    tell(f'unknown {prefix.lower().rstrip("_")} taken as {meanings[0]}')
    return meanings[0]

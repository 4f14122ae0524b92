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

"""Zipkin's API v2, which others than Zipkin speak too.

It tells times in microseconds and writes names in lower case. What is no
attribute in OpenTelemetry's sense comes as a tag of a name that
OpenTelemetry's specification gives it ("OpenTelemetry to Zipkin
Transformation"), and an event as the text of an annotation, which is
``{"name": {"attribute": value}}`` in JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
import hashlib
import re
from typing import Any
from typing import Final

from oslo_tracing import attributes as names
from oslo_tracing.report.sources import _json
from oslo_tracing.report.sources import _server

_KINDS: Final = ('SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER')
#: Tags are texts; these were numbers.
_NUMBERS: Final = {
    names.HTTP_REQUEST_RESEND_COUNT,
    names.HTTP_RESPONSE_STATUS_CODE,
    names.MESSAGING_BATCH_MESSAGE_COUNT,
    names.SERVER_PORT,
}
_NUMBER: Final = re.compile('[0-9]{1,9}', re.ASCII)
_SECONDS: Final = {names.OPENSTACK_LOCK_HELD, names.OPENSTACK_LOCK_WAIT}
_SECOND: Final = re.compile(
    r'[0-9]{1,9}(\.[0-9]{1,20})?(e-[0-9]{1,2})?', re.ASCII
)
#: Characters of the longest annotation that is taken for an event's JSON.
_MAX_EVENT: Final = 256 * 1024
#: How deep an attribute of an event may nest.
_MAX_DEPTH: Final = 8


class ZipkinSource(_server.ServerSource):
    """A Zipkin, version 2 or 3.

    :param url: of its server, such as ``http://zipkin:9411``.
    """

    def __init__(self, url: str) -> None:
        super().__init__('zipkin', url)

    def _recent(self, start: int, end: int) -> Iterator[dict[str, Any]]:
        found = self._get(
            '/api/v2/traces',
            endTs=max(1, end // 10**6),
            lookback=max(1, (end - start) // 10**6),
            limit=_server.MOST_TRACES,
        )
        traces = found if isinstance(found, list) else []
        if len(traces) >= _server.MOST_TRACES:
            self._tell(
                f'only {_server.MOST_TRACES} traces were asked for; --since '
                'and --until say which'
            )
        for trace in traces:
            yield as_otlp(trace)

    def _one(self, trace_id: str) -> Iterator[dict[str, Any]]:
        yield as_otlp(self._get(f'/api/v2/trace/{trace_id}'))


def as_otlp(trace: Any) -> dict[str, Any]:
    """Return a trace of Zipkin's in OTLP's form, nothing of it checked."""
    spans = _server.objects(trace)
    # A client and its server may share one id (B3). The server's half gets
    # one of its own, and what its process did goes below that.
    shared = {
        _half(span.get('id'), span): _own_id(span)
        for span in spans
        if span.get('shared') is True
    }
    return {'resourceSpans': [_batch(span, shared) for span in spans]}


def _batch(
    span: dict[str, Any], shared: dict[tuple[str, str], str]
) -> dict[str, Any]:
    span_id = _server.hexadecimal(span.get('id'), 16)
    parent = _server.hexadecimal(span.get('parentId'), 16)
    if span.get('shared') is True:
        span_id, parent = _own_id(span), span_id
    else:
        parent = shared.get(_half(span.get('parentId'), span), parent)
    found = span.get('tags')
    tags = dict(found) if isinstance(found, dict) else {}
    scope = {
        'name': tags.pop('otel.scope.name', None)
        or tags.pop('otel.library.name', None),
        'version': tags.pop('otel.scope.version', None)
        or tags.pop('otel.library.version', None),
    }
    code = tags.pop('otel.status_code', None)
    if code not in ('OK', 'ERROR'):
        code = 'ERROR' if 'error' in tags else None
    message = tags.pop('error', None) if code == 'ERROR' else None
    kind = span.get('kind')
    start = _server.nanoseconds(span.get('timestamp'))
    took = _server.nanoseconds(span.get('duration') or 0)
    made = {
        'traceId': _server.hexadecimal(span.get('traceId'), 32),
        'spanId': span_id,
        'parentSpanId': parent,
        'name': span.get('name'),
        'kind': kind if kind in _KINDS else 'INTERNAL',
        'startTimeUnixNano': start,
        'endTimeUnixNano': _server.end(start, took),
        'status': {'code': code, 'message': message},
        'attributes': [_attribute(*tag) for tag in tags.items()],
        'events': [
            _event(each) for each in _server.objects(span.get('annotations'))
        ],
    }
    service = _service(span)
    attributes = []
    if service is not None:
        attributes.append(_server.attribute('service.name', service))
    return {
        'resource': {'attributes': attributes},
        'scopeSpans': [{'scope': scope, 'spans': [made]}],
    }


def _attribute(key: str, value: Any) -> dict[str, Any]:
    if key in _NUMBERS and isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if key in _SECONDS and isinstance(value, str) and _SECOND.fullmatch(value):
        value = float(value)
    return _server.attribute(key, value)


def _event(annotation: dict[str, Any]) -> dict[str, Any]:
    value = annotation.get('value')
    name, attributes = _taken_apart(value) or (value, {})
    return {
        'timeUnixNano': _server.nanoseconds(annotation.get('timestamp')),
        'name': name,
        'attributes': [
            {'key': key, 'value': _any_value(held, _MAX_DEPTH)}
            for key, held in attributes.items()
        ],
    }


def _taken_apart(value: Any) -> tuple[str, dict[str, Any]] | None:
    """Return the name and the attributes of an event.

    :param value: of an annotation.
    :returns: ``None`` where it is not an event's JSON: people's annotations
        are any text.
    """
    # Most are a word: only what looks like an event is parsed.
    if not isinstance(value, str) or not value.startswith('{'):
        return None
    if len(value) > _MAX_EVENT:
        return None
    try:
        # Half a surrogate pair becomes the escape that JSON has for it.
        found, _ = _json.loads(value.encode('utf-8', 'backslashreplace'))
    except _json.NotJson:
        return None
    if len(found) != 1:
        return None
    ((name, attributes),) = found.items()
    return (name, attributes) if isinstance(attributes, dict) else None


def _any_value(value: Any, depth: int) -> dict[str, Any]:
    if value is None:
        return {}
    if depth > 0 and isinstance(value, list):
        values = [_any_value(each, depth - 1) for each in value]
        return {'arrayValue': {'values': values}}
    if depth > 0 and isinstance(value, dict):
        pairs = [
            {'key': key, 'value': _any_value(held, depth - 1)}
            for key, held in value.items()
        ]
        return {'kvlistValue': {'values': pairs}}
    # What nests deeper is no text either, which is told.
    return _server.scalar(value)


def _service(span: dict[str, Any]) -> Any:
    endpoint = span.get('localEndpoint')
    return endpoint.get('serviceName') if isinstance(endpoint, dict) else None


def _half(span_id: Any, span: dict[str, Any]) -> tuple[str, str]:
    # As texts: either may be a list, or whatever else JSON has.
    return str(span_id), str(_service(span))


def _own_id(span: dict[str, Any]) -> str:
    seen = ' '.join(_half(span.get('id'), span))
    return hashlib.sha256(seen.encode('utf-8', 'replace')).hexdigest()[:16]

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

"""Jaeger's query API, as its own page uses it (``/api/traces``).

Of every version from 1.0 up. It tells times in microseconds, and what is no
attribute in OpenTelemetry's sense as a tag of a name that OpenTelemetry's
specification gives it ("OpenTelemetry to Jaeger Transformation").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from typing import Final
import urllib.parse

from oslo_tracing.report.sources import _server

_KINDS: Final = ('internal', 'server', 'client', 'producer', 'consumer')
_MOST_SERVICES: Final = 1000


class JaegerSource(_server.ServerSource):
    """A Jaeger, version 1 or 2.

    :param url: of its query service, such as ``http://jaeger:16686``.
    """

    def __init__(self, url: str) -> None:
        super().__init__('jaeger', url)

    def _recent(self, start: int, end: int) -> Iterator[dict[str, Any]]:
        # It takes no search that is not for one service.
        named = _data(self._get('/api/services'))
        services = [name for name in named if isinstance(name, str)]
        known: set[Any] = set()
        for service in services[:_MOST_SERVICES]:
            found = _server.objects(
                _data(
                    self._get(
                        '/api/traces',
                        service=service.encode('utf-8', 'replace').decode(),
                        start=start // 1000,
                        end=end // 1000,
                        limit=_server.MOST_TRACES,
                    )
                )
            )
            if len(found) >= _server.MOST_TRACES:
                self._tell(
                    f'only {_server.MOST_TRACES} traces of {service} were '
                    'asked for; --since and --until say which'
                )
            for trace in found:
                if str(trace.get('traceID')) not in known:
                    known.add(str(trace.get('traceID')))
                    yield as_otlp(trace)

    def _one(self, trace_id: str) -> Iterator[dict[str, Any]]:
        path = f'/api/traces/{urllib.parse.quote(trace_id, safe="")}'
        for trace in _server.objects(_data(self._get(path))):
            yield as_otlp(trace)


def as_otlp(trace: dict[str, Any]) -> dict[str, Any]:
    """Return a trace of Jaeger's in OTLP's form, nothing of it checked."""
    processes = trace.get('processes')
    if not isinstance(processes, dict):
        processes = {}
    batches: dict[str, dict[str, Any]] = {}
    for span in _server.objects(trace.get('spans')):
        key = str(span.get('processID'))
        if key not in batches:
            batches[key] = {
                'resource': _resource(processes.get(key)),
                'scopeSpans': [],
            }
        made, scope = _span(span)
        batches[key]['scopeSpans'].append({'scope': scope, 'spans': [made]})
    return {'resourceSpans': list(batches.values())}


def _resource(process: Any) -> dict[str, Any]:
    if not isinstance(process, dict):
        return {}
    service = _server.attribute('service.name', process.get('serviceName'))
    return {'attributes': [service, *_attributes(process.get('tags'))]}


def _span(span: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    tags = {
        str(tag.get('key')): tag for tag in _server.objects(span.get('tags'))
    }

    def take(key: str) -> Any:
        return tags.pop(key, {}).get('value')

    kind = take('span.kind')
    code = take('otel.status_code')
    take('internal.span.format')
    if code not in ('OK', 'ERROR'):
        code = 'ERROR' if tags.get('error', {}).get('value') is True else None
    if code == 'ERROR' and tags.get('error', {}).get('value') is True:
        del tags['error']
    scope = {
        'name': take('otel.scope.name') or take('otel.library.name'),
        'version': take('otel.scope.version') or take('otel.library.version'),
    }
    start = _server.nanoseconds(span.get('startTime'))
    took = _server.nanoseconds(span.get('duration'))
    parent, links = _references(span)
    return {
        'traceId': _server.hexadecimal(span.get('traceID'), 32),
        'spanId': _server.hexadecimal(span.get('spanID'), 16),
        'parentSpanId': parent,
        'name': span.get('operationName'),
        'kind': kind.upper() if kind in _KINDS else 'INTERNAL',
        'startTimeUnixNano': start,
        'endTimeUnixNano': _server.end(start, took),
        'status': {'code': code, 'message': take('otel.status_description')},
        'traceState': take('w3c.tracestate'),
        'attributes': _attributes(list(tags.values())),
        'events': [_event(log) for log in _server.objects(span.get('logs'))],
        'links': links,
    }, scope


def _references(span: dict[str, Any]) -> tuple[Any, list[dict[str, Any]]]:
    parent = None
    links = []
    for each in _server.objects(span.get('references')):
        if (
            parent is None
            and each.get('refType') == 'CHILD_OF'
            and each.get('traceID') == span.get('traceID')
        ):
            parent = _server.hexadecimal(each.get('spanID'), 16)
        else:
            links.append(
                {
                    'traceId': _server.hexadecimal(each.get('traceID'), 32),
                    'spanId': _server.hexadecimal(each.get('spanID'), 16),
                }
            )
    return parent, links


def _event(log: dict[str, Any]) -> dict[str, Any]:
    fields = _server.objects(log.get('fields'))
    name = next(
        (f.get('value') for f in fields if f.get('key') == 'event'), None
    )
    return {
        'timeUnixNano': _server.nanoseconds(log.get('timestamp')),
        'name': name,
        'attributes': _attributes(
            [field for field in fields if field.get('key') != 'event']
        ),
    }


def _attributes(tags: Any) -> list[dict[str, Any]]:
    return [
        {'key': tag.get('key'), 'value': {'bytesValue': tag.get('value')}}
        if tag.get('type') == 'binary'
        else _server.attribute(tag.get('key'), tag.get('value'))
        for tag in _server.objects(tags)
    ]


def _data(answer: Any) -> list[Any]:
    found = answer.get('data') if isinstance(answer, dict) else None
    return found if isinstance(found, list) else []

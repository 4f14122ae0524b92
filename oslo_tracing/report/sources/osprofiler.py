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

"""What ``osprofiler trace show --json`` printed, in OTLP's form.

So a trace of old can be looked at beside new ones, and taken along by
``oslo-tracing export``. Arguments, results and parameters of statements stay
behind: nobody has taken secrets out of them.
"""

from __future__ import annotations

from collections.abc import Iterator
import datetime
from typing import Any
from typing import Final
import uuid

from oslo_tracing import attributes as names
from oslo_tracing.report.sources import _server

_FORMAT: Final = '%Y-%m-%dT%H:%M:%S.%f%z'
_PAYLOAD: Final = 'meta.raw_payload.'
_SCOPE: Final = 'osprofiler'
_KINDS: Final = {
    'db': 'CLIENT',
    'neutron.db': 'CLIENT',
    'requests': 'CLIENT',
    'wsgi': 'SERVER',
}
_REQUEST: Final = {
    'host': names.SERVER_ADDRESS,
    'method': names.HTTP_REQUEST_METHOD,
    'path': names.URL_PATH,
    'scheme': names.URL_SCHEME,
}


def is_report(document: Any) -> bool:
    """Say whether a document is one of OSProfiler's."""
    return (
        isinstance(document, dict)
        and isinstance(document.get('info'), dict)
        and isinstance(document.get('children'), list)
    )


def as_otlp(document: dict[str, Any]) -> dict[str, Any]:
    """Return a report in OTLP's form, nothing of it checked.

    :param document: one that ``is_report``.
    """
    return {
        'resourceSpans': [_batch(point) for point in _points(document)],
    }


def _points(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    left = [document]
    while left:
        point = left.pop()
        if point is not document:
            yield point
        left += reversed(_server.objects(point.get('children')))


def _batch(point: dict[str, Any]) -> dict[str, Any]:
    info = _object(point.get('info'))
    start, stop = _halves(info)
    said = _object(start.get('info')) or _object(stop.get('info'))
    name = str(info.get('name') or '')
    begun = _time(start.get('timestamp'))
    ended = _time(stop.get('timestamp'))
    base_id = start.get('base_id') or stop.get('base_id')
    parent = point.get('parent_id')
    failed = info.get('exception') not in (None, 'None')
    attributes = _attributes(said)
    if failed:
        attributes[names.ERROR_TYPE] = info.get('exception')
    made = {
        'traceId': _trace_id(base_id),
        'spanId': _span_id(point.get('trace_id')),
        # The point that began it names itself as where it came from.
        'parentSpanId': None if parent == base_id else _span_id(parent),
        'name': _name(name, said),
        'kind': _KINDS.get(name, 'INTERNAL'),
        'startTimeUnixNano': begun if begun is not None else ended,
        'endTimeUnixNano': ended if ended is not None else begun,
        'status': {'code': 'ERROR'} if failed else {},
        'attributes': [_server.attribute(*one) for one in attributes.items()],
    }
    return {
        'resource': {'attributes': _resource(info)},
        'scopeSpans': [{'scope': {'name': _SCOPE}, 'spans': [made]}],
    }


def _halves(info: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was notified at the start and at the stop of a point."""
    start: dict[str, Any] = {}
    stop: dict[str, Any] = {}
    for key, value in info.items():
        if key.startswith(_PAYLOAD) and isinstance(value, dict):
            if key.endswith('-start'):
                start = value
            elif key.endswith('-stop'):
                stop = value
    return start, stop


def _name(name: str, said: dict[str, Any]) -> str:
    function = _object(said.get('function')).get('name')
    method = _object(said.get('request')).get('method')
    if isinstance(function, str):
        return f'{name} {".".join(function.split(".")[-2:])}'
    return f'{name} {method}' if isinstance(method, str) else name


def _attributes(said: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    function = _object(said.get('function')).get('name')
    if isinstance(function, str):
        found[names.CODE_FUNCTION_NAME] = function
    statement = _object(said.get('db')).get('statement')
    if isinstance(statement, str):
        found[names.DB_QUERY_TEXT] = statement
    request = _object(said.get('request'))
    for key, name in _REQUEST.items():
        if isinstance(request.get(key), str):
            found[name] = request[key]
    return found


def _resource(info: dict[str, Any]) -> list[dict[str, Any]]:
    known = [info.get('project'), info.get('service')]
    described = {
        names.SERVICE_NAME: '-'.join(
            one for one in known if isinstance(one, str)
        ),
        names.HOST_NAME: info.get('host'),
    }
    return [
        _server.attribute(key, value)
        for key, value in described.items()
        if isinstance(value, str) and value
    ]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _time(text: Any) -> int | None:
    """Return nanoseconds since 1970 of a time, which is in UTC."""
    try:
        when = datetime.datetime.strptime(f'{text}+0000', _FORMAT)
    except ValueError:
        return None
    since = when - datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
    return since // datetime.timedelta(microseconds=1) * 1000


def _trace_id(text: Any) -> Any:
    found = _uuid(text)
    return text if found is None else found.hex


def _span_id(text: Any) -> Any:
    """Return the half of an id that OSProfiler's own OTLP driver keeps."""
    found = _uuid(text)
    return text if found is None else found.hex[16:]


def _uuid(text: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None

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

"""Small traces as OTLP JSON, made for the tests that read them."""

from __future__ import annotations

import json

TRACE = '3a48e358a750c64d3f31a49afa54bba1'
#: A round moment to count from: 2026-11-20T16:40:00Z in nanoseconds.
NOON = 1_795_192_800 * 10**9
MS = 10**6


def attribute(key, value):
    if isinstance(value, bool):
        return {'key': key, 'value': {'boolValue': value}}
    if isinstance(value, int):
        return {'key': key, 'value': {'intValue': str(value)}}
    if isinstance(value, float):
        return {'key': key, 'value': {'doubleValue': value}}
    if isinstance(value, list):
        values = [attribute(key, each)['value'] for each in value]
        return {'key': key, 'value': {'arrayValue': {'values': values}}}
    return {'key': key, 'value': {'stringValue': value}}


def attributes(values):
    return [attribute(key, value) for key, value in values.items()]


def span(number, parent=None, name='work', start=0, took=10, **more):
    """One span; ids from small numbers, times in ms after ``NOON``."""
    made = {
        'traceId': more.pop('trace_id', TRACE),
        'spanId': f'{number:016x}',
        'name': name,
        'kind': more.pop('kind', 1),
        'startTimeUnixNano': str(NOON + int(start * MS)),
        'endTimeUnixNano': str(NOON + int((start + took) * MS)),
        'attributes': attributes(more.pop('attributes', {})),
        'status': {},
    }
    if parent is not None:
        made['parentSpanId'] = f'{parent:016x}'
    made.update(more)
    return made


def error(description='', **attributes):
    """What a failed span has beside its name."""
    return {
        'status': {'code': 2, 'message': description},
        'attributes': attributes,
    }


def batch(service, *spans):
    return {
        'resource': {'attributes': attributes({'service.name': service})},
        'scopeSpans': [
            {'scope': {'name': 'made', 'version': '1'}, 'spans': list(spans)}
        ],
    }


def document(service, *spans):
    return {'resourceSpans': [batch(service, *spans)]}


def line(service, *spans):
    return json.dumps(document(service, *spans)) + '\n'


def boot():
    """One request through three services, with a failure and a cast."""
    request = 'req-3a48e358-a750-c64d-3f31-a49afa54bba1'
    selects = [
        span(0x10 + n, 2, 'SELECT instances', 10 + n, 0.5 + n / 10, kind=3)
        for n in range(5)
    ]
    return (
        line(
            'nova-api',
            span(
                1,
                None,
                'POST /v2.1/servers',
                0,
                100,
                kind=2,
                attributes={
                    'openstack.request_id': request,
                    'http.response.status_code': 202,
                },
            ),
            span(2, 1, 'API.create', 5, 40),
            *selects,
            span(3, 1, 'conductor/build', 50, 5, kind=4),
        ),
        line(
            'nova-conductor',
            span(4, 3, 'conductor/build', 60, 140, kind=5),
            span(
                5,
                4,
                'INSERT instances',
                70,
                12.25,
                kind=3,
                **error('DBDuplicateEntry', **{'error.type': '1062'}),
            ),
        ),
    )

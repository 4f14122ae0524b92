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

"""What came, in numbers and in content.

Spans have equal content where there are as many of each name and kind, with
the same attributes and values. Ids and times differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

#: Of one attribute so many values are kept; a value more says that there are
#: others.
_VALUES = 16
#: Ids, of which each message and request has one of its own, and the path of
#: a database, of which each process has one.
_ITS_OWN = ('db.namespace', 'messaging.message.id', 'openstack.request_id')


def told(bodies: Iterable[bytes]) -> dict[str, Any]:
    """Return what requests of OTLP have in them, for JSON."""
    groups: dict[str, dict[str, Any]] = {}
    spans = attributes = size = 0
    traces = set()
    for body in bodies:
        size += len(body)
        request = trace_service_pb2.ExportTraceServiceRequest()
        request.ParseFromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    spans += 1
                    attributes += len(span.attributes)
                    traces.add(span.trace_id)
                    _add(groups, span)
    return {
        'spans': spans,
        'attributes': attributes,
        'traces': len(traces),
        'bytes': size,
        'content': groups,
    }


def _add(groups: dict[str, dict[str, Any]], span: Any) -> None:
    kind = trace_pb2.Span.SpanKind.Name(span.kind).removeprefix('SPAN_KIND_')
    group = groups.setdefault(
        f'{kind} {span.name}', {'spans': 0, 'attributes': {}}
    )
    group['spans'] += 1
    said = {one.key: _value(one.value) for one in span.attributes}
    said['(events)'] = len(span.events)
    said['(links)'] = len(span.links)
    said['(parent)'] = bool(span.parent_span_id)
    said['(status)'] = span.status.code
    for key, value in said.items():
        known = group['attributes'].setdefault(key, {'spans': 0, 'values': []})
        known['spans'] += 1
        values = known['values']
        if len(values) <= _VALUES and value not in values:
            values.append(value)


def _value(value: Any) -> Any:
    kind = value.WhichOneof('value')
    if kind in ('array_value', 'kvlist_value', 'bytes_value'):
        return str(value)
    return None if kind is None else getattr(value, kind)


def differences(ours: dict[str, Any], others: dict[str, Any]) -> list[str]:
    """Return what differs between the contents of two, in words.

    :param ours: ``content`` of what :func:`told` returns.
    :param others: the same of what it is compared with.
    """
    found = []
    for name in sorted(ours.keys() | others.keys()):
        one, two = ours.get(name), others.get(name)
        if one is None or two is None:
            found.append(f'{name}: only {"theirs" if one is None else "ours"}')
            continue
        if one['spans'] != two['spans']:
            found.append(f'{name}: {one["spans"]} and {two["spans"]} spans')
        for key in sorted(one['attributes'].keys() | two['attributes'].keys()):
            found += _of_an_attribute(
                f'{name}: {key}',
                one['attributes'].get(key),
                two['attributes'].get(key),
            )
    return found


def check(received: dict[str, dict[str, Any]], others: str) -> None:
    """Refuse to go on where spans of ours are not those of the others.

    :param received: what has come, by variant; ours is ``ours``.
    :param others: the variant that it is compared with.
    :raises RuntimeError: with what differs.
    """
    nothing: dict[str, Any] = {'content': {}, 'traces': 0}
    ours, theirs = (received.get(name, nothing) for name in ('ours', others))
    found = differences(ours['content'], theirs['content'])
    if ours['traces'] != theirs['traces']:
        found.append(f'{ours["traces"]} and {theirs["traces"]} traces')
    if found:
        raise RuntimeError(
            'No time is told, as spans differ from those of '
            + '\n  '.join([f'{others}:', *found])
        )


def _of_an_attribute(
    what: str,
    one: dict[str, Any] | None,
    two: dict[str, Any] | None,
) -> list[str]:
    if one is None or two is None:
        return [f'{what}: only {"theirs" if one is None else "ours"}']
    if one['spans'] != two['spans']:
        return [f'{what}: on {one["spans"]} and {two["spans"]} spans']
    if what.endswith(_ITS_OWN):
        return []
    mine, theirs = ({*map(repr, each['values'])} for each in (one, two))
    if mine != theirs:
        return [f'{what}: {sorted(mine)} and {sorted(theirs)}']
    return []

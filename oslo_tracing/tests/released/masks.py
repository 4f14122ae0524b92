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

"""What differs between two clouds that were asked the same, and may."""

from __future__ import annotations

from collections.abc import Iterable
import json
import re
from typing import Any

from oslo_tracing.tests.released import recorder

_HEX = '[0-9a-f]'

#: What is put in the place of what; the first that fits is taken.
MASKED: tuple[tuple[str, str], ...] = (
    # Request ids
    (f'req-{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}', 'REQUEST'),
    # UUIDs, in their forms; keystone's audit ids are some in base 64
    (f'{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}', 'UUID'),
    (f'(?<!{_HEX}){_HEX}{{32}}(?!{_HEX})', 'UUID'),
    (r'(?<="audit_ids": \[)"[\w-]{22}"(, "[\w-]{22}")?', '"UUID"'),
    # Fernet tokens
    ('gAAAA[A-Za-z0-9_-]+=*', 'TOKEN'),
    # Secrets that keystone makes
    (r'(?<="secret": ")[\w-]{86}', 'SECRET'),
    # Timestamps, of ISO 8601 and of HTTP
    (
        r'\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{6})?(Z|\+00:00)?',
        'TIMESTAMP',
    ),
    (r'\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT', 'TIMESTAMP'),
)

_MASKED = [(re.compile(pattern), mask) for pattern, mask in MASKED]


def text(value: str, hosts: Iterable[tuple[str, str]] = ()) -> str:
    """Return a text with everything in it masked.

    :param hosts: URLs of this cloud, and how the services are called.
    """
    for url, name in hosts:
        value = value.replace(url, f'http://{name}')
        value = value.replace(url.partition('//')[2], name)
    for pattern, mask in _MASKED:
        value = pattern.sub(mask, value)
    return value


def body(content: bytes, hosts: Iterable[tuple[str, str]] = ()) -> Any:
    """Return the body of an answer, masked.

    What a service lists in the order of random ids comes in that of what is
    left of it; the order of the members of an object stays.
    """
    try:
        document = json.loads(content)
    except ValueError:
        try:
            return text(content.decode(), hosts)
        except UnicodeDecodeError:
            return content
    return _sorted(json.loads(text(json.dumps(document), hosts)))


def exchange(
    one: recorder.Exchange, hosts: Iterable[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Return what has to be the same, with us and without."""
    return {
        'service': one.service,
        'method': one.method,
        'path': text(one.path, hosts),
        'status': one.status,
        'reason': one.reason,
        'headers': [
            (name, text(value, hosts))
            for name, value in one.headers
            if name.lower() != 'traceresponse'
        ],
        'body': body(one.body, hosts),
    }


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(one) for name, one in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(one) for one in value), key=json.dumps)
    return value

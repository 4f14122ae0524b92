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

"""OTLP's ``AnyValue`` and its integers, checked."""

from __future__ import annotations

import base64
from collections.abc import Callable
import math
import re
from typing import Any
from typing import Final

_INTEGER: Final = re.compile(r'-?[0-9]{1,19}', re.ASCII)


class Refused(ValueError):
    """A field has a value that it cannot have."""


def snake(field: str) -> str:
    """Return the snake_case of a lowerCamelCase name."""
    return re.sub('[A-Z]', lambda found: '_' + found[0].lower(), field)


def value_of(value: Any) -> Any:
    """Return what an ``AnyValue`` holds; ``None`` where it is empty.

    :raises Refused: when it is none, or its value cannot be.
    """
    if not isinstance(value, dict) or len(value) > 1:
        raise Refused('it has no value')
    for field, held in value.items():
        read = _VALUES.get(field)
        if read is None:
            raise Refused(f'unknown type {field[:64]}')
        return read(held)
    return None


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused('stringValue is no text')
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused('boolValue is neither true nor false')
    return value


def _int64(value: Any) -> int:
    return integer(value, -(2**63), 2**63 - 1, 'intValue')


def _double(value: Any) -> float:
    if isinstance(value, str) and len(value) <= 64:
        # The JSON form of protobuf has text for what JSON has no number
        # for; all other text it allows is a number.
        try:
            value = float(value)
        except ValueError:
            raise Refused('doubleValue is no number') from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused('doubleValue is no finite number')
    if not math.isfinite(value):
        raise Refused('doubleValue is no finite number')
    return float(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise Refused('bytesValue is no base64')
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise Refused('bytesValue is no base64') from None


def _array(value: Any) -> list[Any]:
    values = value.get('values', []) if isinstance(value, dict) else None
    if not isinstance(values, list):
        raise Refused('arrayValue is no list')
    return [value_of(each) for each in values]


def _mapping(value: Any) -> dict[str, Any]:
    values = value.get('values', []) if isinstance(value, dict) else None
    if not isinstance(values, list):
        raise Refused('kvlistValue is no list')
    found = {}
    for each in values:
        if not isinstance(each, dict) or not isinstance(each.get('key'), str):
            raise Refused('a key in kvlistValue is no text')
        found[each['key']] = value_of(each.get('value'))
    return found


_VALUES: Final[dict[str, Callable[[Any], Any]]] = {
    spelled: read
    for field, read in (
        ('stringValue', _string),
        ('boolValue', _boolean),
        ('intValue', _int64),
        ('doubleValue', _double),
        ('bytesValue', _bytes),
        ('arrayValue', _array),
        ('kvlistValue', _mapping),
    )
    for spelled in (field, snake(field))
}


def integer(value: Any, low: int, high: int, what: str) -> int:
    """Return a number that came as one or as text.

    :raises Refused: when it is none, or not from ``low`` to ``high``.
    """
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(f'{what} is no integer')
    if not low <= value <= high:
        raise Refused(f'{what} is out of range')
    return value

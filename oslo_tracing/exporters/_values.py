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


"""Attribute values that every encoder accepts.

protobuf takes neither lone surrogates nor integers beyond 64 bits, and one
value that it refuses costs the whole batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Final

_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**63 - 1

# protobuf parses 100 levels, our own reader 64, and a level of ours is up to
# four of JSON.
_MAX_DEPTH: Final = 8
# Leaves of one attribute, over all its nesting.
_MAX_LEAVES: Final = 1024

_KEY_LIMIT: Final = 256

_PLAIN: Final = frozenset((bool, float, type(None)))


def plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes as a dict of their own.

    The SDK's mappings go through Python for each pair that is asked for,
    but copy themselves at once.
    """
    copy = getattr(attributes, 'copy', None)
    found = dict(attributes) if copy is None else copy()
    return found if type(found) is dict else dict(found)


def text(value: str, limit: int) -> str:
    """Return encodable text of at most ``limit`` characters.

    The very same object where nothing is to be done.
    """
    if type(value) is not str:
        # Subclasses may lie about their length, or translate when asked.
        value = str.__str__(value)
    if not value.isascii():
        value = value[:limit]
        try:
            value.encode('utf-8')
        except UnicodeEncodeError:
            value = value.encode('utf-8', 'backslashreplace').decode('utf-8')
    return value if len(value) <= limit else value[:limit]


def described(value: object, limit: int) -> str:
    """Return ``str(value)``, or at least the type's name; never raises."""
    try:
        return text(str(value), limit)
    except Exception:
        return text(f'<{type(value).__name__}>', limit)


def digits(value: int, limit: int) -> str:
    """Return an integer beyond 64 bits as text."""
    # str() of a huge int is refused by Python, hex() is not.
    if value.bit_length() > 1024:
        return hex(value)[:limit]
    return str(value)[:limit]


def is_clean(attributes: Mapping[str, Any], limit: int) -> bool:
    """Whether all keys and values can go out as they are.

    Says no to some that could (every list, for one): the slow way then
    finds out.
    """
    for key, value in attributes.items():
        kind = type(value)
        if kind is str:
            if len(value) > limit or not value.isascii():
                return False
        elif kind is int:
            if not _MIN_INT <= value <= _MAX_INT:
                return False
        elif kind not in _PLAIN:
            return False
        if type(key) is not str or len(key) > _KEY_LIMIT or not key.isascii():
            return False
    return True


def cleaned(attributes: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Return a copy in which every key and value can be encoded.

    :param attributes: any mapping; it is not changed.
    :param limit: longest string and bytes value, in characters and bytes.
    """
    return {
        _key(key): _Value(limit).cleaned(value, 0)
        for key, value in attributes.items()
    }


def _key(key: object) -> str:
    if isinstance(key, str):
        return text(key, _KEY_LIMIT)
    return described(key, _KEY_LIMIT)


class _Value:
    """One attribute's value, which may hold others."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._leaves = _MAX_LEAVES

    def cleaned(self, value: Any, depth: int) -> Any:
        self._leaves -= 1
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return text(value, self._limit)
        if isinstance(value, int):
            # Without the subclass, which may be an enum or worse.
            value = int.__pos__(value)
            if _MIN_INT <= value <= _MAX_INT:
                return value
            return digits(value, self._limit)
        if isinstance(value, float):
            return float.__pos__(value)
        if isinstance(value, (bytes, bytearray)):
            return bytes(value[: self._limit])
        if depth >= _MAX_DEPTH:
            return described(value, self._limit)
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, Sequence):
            return self._sequence(value, depth)
        return described(value, self._limit)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in value.items():
            if self._leaves <= 0:
                break
            found[_key(key)] = self.cleaned(item, depth + 1)
        return found

    def _sequence(self, value: Sequence[Any], depth: int) -> tuple[Any, ...]:
        found = []
        for item in value:
            if self._leaves <= 0:
                break
            found.append(self.cleaned(item, depth + 1))
        return tuple(found)

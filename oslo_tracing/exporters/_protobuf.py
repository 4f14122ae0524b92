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

"""The wire format of protobuf, as far as spans need it.

"Encoding" of the protobuf documentation, and ``common.proto`` of OTLP.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import struct
from typing import Any
from typing import Final

from oslo_tracing.exporters import _values

_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**63 - 1
_UNSIGNED: Final = 2**64 - 1

# Of a value of a type that OTLP does not know.
_DESCRIBED: Final = 4096
# protobuf gives up at 100 levels, and a level of ours is up to three.
_MAX_DEPTH: Final = 16

#: Entries that one cache of encoded pairs holds at most.
CACHED: Final = 2048
#: Bytes of the longest pair that is kept in it.
SHORT: Final = 256


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


_SMALL: Final = tuple(_varint(value) for value in range(1024))


def varint(value: int) -> bytes:
    """Return a number from 0 to 2**64 - 1 in as few bytes as it needs."""
    return _SMALL[value] if value < 1024 else _varint(value)


def sized(data: bytes) -> bytes:
    """Return bytes after their length, as a field without its tag."""
    return varint(len(data)) + data


def utf8(text: Any) -> bytes:
    """Return text in UTF-8; what UTF-8 does not have is written out."""
    if type(text) is not str:
        if not isinstance(text, str):
            return utf8(_values.described(text, _DESCRIBED))
        # A subclass may lie about what it holds.
        text = str.__str__(text)
    try:
        encoded: bytes = text.encode()
    except UnicodeEncodeError:
        encoded = text.encode('utf-8', 'backslashreplace')
    return encoded


_FALSE: Final = b'\x10\x00'
_TRUE: Final = b'\x10\x01'
_double = struct.Struct('<cd').pack
# One of several values, in their array: a number from 0, and a double.
_NUMBERS: Final = tuple(
    b'\n' + sized(b'\x18' + found) for found in _SMALL[:128]
)
_double_of = struct.Struct('<3sd').pack


def value(found: Any, depth: int = 0) -> bytes:
    """Return an ``AnyValue``; whatever it is given, there is one.

    :param found: a value of an attribute.
    :param depth: in how many others it is.
    """
    if found is None:
        return b''
    if found is True:
        return _TRUE
    if found is False:
        return _FALSE
    if isinstance(found, str):
        return b'\n' + sized(utf8(found))
    if isinstance(found, int):
        # Without the subclass, which may be an enum or worse.
        number = int.__pos__(found)
        if _MIN_INT <= number <= _MAX_INT:
            return b'\x18' + varint(number & _UNSIGNED)
        return b'\n' + sized(utf8(_values.digits(number, _DESCRIBED)))
    if isinstance(found, float):
        return _double(b'!', float.__pos__(found))
    if isinstance(found, (bytes, bytearray)):
        return b':' + sized(bytes(found))
    if depth < _MAX_DEPTH:
        if isinstance(found, Sequence):
            return b'*' + sized(
                b''.join(
                    [b'\n' + sized(value(item, depth + 1)) for item in found]
                )
            )
        if isinstance(found, Mapping):
            return b'2' + sized(
                b''.join(
                    [
                        b'\n'
                        + sized(_before(key) + sized(value(item, depth + 1)))
                        for key, item in found.items()
                    ]
                )
            )
    return b'\n' + sized(utf8(found))


class Pairs:
    """Attributes as ``KeyValue``, of which those that recur are kept.

    Keeps at most ``CACHED`` of texts, of numbers and so on, none longer than
    ``SHORT``, and begins anew when that is not enough.
    """

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], bytes] = {}
        self._numbers: dict[tuple[str, int], bytes] = {}
        self._names: dict[str, bytes] = {}
        self._keys: dict[str, bytes] = {}
        self._items: dict[str, bytes] = {}

    def name(self, text: Any) -> bytes:
        """Return a text that recurs, after its length."""
        if type(text) is not str:
            return sized(utf8(text))
        encoded = self._names.get(text)
        if encoded is None:
            encoded = sized(utf8(text))
            _keep(self._names, text, encoded)
        return encoded

    def retagged(
        self, tag: bytes, attributes: Mapping[str, Any] | None
    ) -> list[bytes]:
        """Return the same, as fields with another tag of one byte."""
        return [tag + field[1:] for field in self.encode(attributes)]

    def encode(self, attributes: Mapping[str, Any] | None) -> list[bytes]:
        """Return each attribute as the field of a span that holds it.

        :param attributes: whatever was recorded; what is of no type that
            OTLP knows is described by its text.
        """
        if not attributes:
            return []
        if type(attributes) is not dict:
            attributes = _values.plain(attributes)
        fields: list[bytes] = []
        texts, numbers = self._texts.get, self._numbers.get
        item: Any
        # list() is one operation; a late thread may still set one of them.
        for item in list(attributes.items()):
            found = item[1]
            kind = type(found)
            if kind is str:
                encoded = texts(item) or self._text(item)
            elif kind is int:
                # Not in one cache with texts: True equals 1.
                encoded = numbers(item) or self._number(item)
            else:
                encoded = self._pair(item[0], value(found))
            fields.append(encoded)
        return fields

    def simple(self, attributes: dict[str, Any]) -> list[bytes]:
        """Return the same of texts, numbers and booleans, and no subclass.

        :param attributes: with tuples, too, of some texts, or integers, or
            floats.
        """
        texts, other = self._texts.get, self._other
        return [
            texts(item) or other(item) for item in list(attributes.items())
        ]

    def _other(self, item: tuple[str, Any]) -> bytes:
        kind = type(item[1])
        if kind is str:
            return self._text(item)
        if kind is int:
            return self._numbers.get(item) or self._number(item)
        if kind is float:
            return self._pair(item[0], _double(b'!', item[1]))
        if kind is tuple and item[1]:
            return self._pair(item[0], b'*' + sized(self._array(item[1])))
        return self._pair(item[0], value(item[1]))

    def _array(self, values: tuple[Any, ...]) -> bytes:
        kind = type(values[0])
        if kind is str:
            kept = self._items.get
            found = [kept(each) or self._item(each) for each in values]
            return b''.join(found)
        if kind is float:
            return b''.join([_double_of(b'\n\t!', each) for each in values])
        return b''.join(
            [
                _NUMBERS[each]
                if 0 <= each < len(_NUMBERS)
                else b'\n' + sized(value(each))
                for each in values
            ]
        )

    def _item(self, text: str) -> bytes:
        encoded = b'\n' + sized(b'\n' + sized(utf8(text)))
        _keep(self._items, text, encoded)
        return encoded

    def _text(self, item: tuple[str, str]) -> bytes:
        encoded = self._pair(item[0], b'\n' + sized(utf8(item[1])))
        _keep(self._texts, item, encoded)
        return encoded

    def _number(self, item: tuple[str, int]) -> bytes:
        encoded = self._pair(item[0], value(item[1]))
        _keep(self._numbers, item, encoded)
        return encoded

    def _pair(self, key: Any, encoded: bytes) -> bytes:
        before = self._keys.get(key) if type(key) is str else None
        if before is None:
            before = _before(key)
            if type(key) is str:
                _keep(self._keys, key, before)
        size = varint(len(encoded))
        return b'J%b%b%b%b' % (
            varint(len(before) + len(size) + len(encoded)),
            before,
            size,
            encoded,
        )


def _before(key: Any) -> bytes:
    """Return what is before the length of an attribute's value."""
    if key == '':
        # Nor does protobuf write what is empty.
        return b'\x12'
    return b'\n%b\x12' % sized(utf8(key))


def _keep(where: dict[Any, bytes], key: Any, encoded: bytes) -> None:
    if len(encoded) > SHORT:
        return
    if len(where) >= CACHED:
        where.clear()
    where[key] = encoded

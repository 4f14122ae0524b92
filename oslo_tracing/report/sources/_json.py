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

"""JSON of strangers: bounded in depth and in the size of its numbers."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any
from typing import Final

#: How deep objects and arrays may nest.
MAX_DEPTH: Final = 64
#: Digits of the longest number that a 64-bit field may need, with a sign.
_MAX_DIGITS: Final = 20

_STEP: Final = {ord('{'): 1, ord('['): 1, ord('}'): -1, ord(']'): -1}
_NOT_BRACKETS: Final = bytes(b for b in range(256) if b not in _STEP)

#: Stands for a number that is refused; fits no field, so that only the
#: field which holds it is lost.
REFUSED: Final = object()


class NotJson(ValueError):
    """The text is no JSON, or none that may be read."""


def loads(data: bytes) -> tuple[Any, bool]:
    """Parse one JSON text.

    :param data: what was read.
    :returns: the value, and whether all of the text was UTF-8 (what is
        not becomes U+FFFD). A number that is not finite, or longer than any
        field takes, is ``REFUSED``.
    :raises NotJson: when it cannot be parsed, or nests too deep.
    """
    if _deepest(data) > MAX_DEPTH:
        raise NotJson(f'nested deeper than {MAX_DEPTH} levels')
    clean = True
    try:
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError:
        text = data.decode('utf-8-sig', 'replace')
        clean = False
    try:
        value = json.loads(
            text,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except (ValueError, RecursionError):
        raise NotJson('not JSON') from None
    return value, clean


def unclosed(data: bytes) -> int:
    """Return how many more brackets open in ``data`` than close.

    Text in quotes does not count; it must not be open at the start.
    """
    return sum(map(_STEP.__getitem__, _brackets(data)))


def _deepest(data: bytes) -> int:
    # The parser recurses; this finds what is too deep for it without.
    if data.count(b'{') + data.count(b'[') <= MAX_DEPTH:
        return 0
    steps = map(_STEP.__getitem__, _brackets(data))
    return max(itertools.accumulate(steps), default=0)


def _brackets(data: bytes) -> bytes:
    if b'\\' in data:
        data = data.replace(b'\\\\', b'').replace(b'\\"', b'')
    return b''.join(data.split(b'"')[::2]).translate(None, _NOT_BRACKETS)


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) <= _MAX_DIGITS else REFUSED


def _number(digits: str) -> Any:
    value = float(digits)
    return value if math.isfinite(value) else REFUSED


def _constant(name: str) -> Any:
    return REFUSED

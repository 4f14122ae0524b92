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

"""Attributes as a span keeps them: copied, checked, within limits.

What nearly all of them are, short text, numbers and booleans, is looked at
once. About all else the SDK's own mapping decides, so that it is refused,
cut or converted as by the SDK that is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
import sys
from typing import Any
from typing import Final

from opentelemetry.attributes import BoundedAttributes

from oslo_tracing import _guard

#: Of a limit that there is not.
ENDLESS: Final = sys.maxsize

_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**63 - 1

#: Most values of a sequence that needs no second look.
_FEW: Final = 16
#: Longest key that every encoder takes as it is.
_KEY_LIMIT: Final = 256


def is_simple(key: Any, value: Any, length: int) -> bool:
    """Whether an attribute is one that the SDK would keep as it is."""
    if type(key) is not str or not key:
        return False
    kind = type(value)
    if kind is str:
        return len(value) <= length
    return kind is int or kind is bool or kind is float


def is_rough(key: str, value: Any) -> bool:
    """Whether an attribute that is simple is to be cleaned for exporters."""
    if not key.isascii() or len(key) > _KEY_LIMIT:
        return True
    if type(value) is str:
        return not value.isascii()
    return type(value) is int and not _MIN_INT <= value <= _MAX_INT


def copied(given: Any) -> tuple[dict[Any, Any], int]:
    """Return a copy of what a service gives as attributes.

    :returns: that copy, and how many were dropped: one where they cannot be
        copied, whose mapping may be of the service's own, and raise.
    """
    try:
        return dict(given), 0
    except Exception:
        _guard.report('reading the attributes of a span')
        return {}, 1


def taken(
    given: Mapping[str, Any], count: int, length: int
) -> tuple[dict[str, Any], int, bool]:
    """Return a copy of what was given that may be kept.

    :param given: attributes as a service gives them.
    :param count: how many at most.
    :param length: of a text, in characters, at most.
    :returns: that copy, how many were dropped, and whether some are to be
        cleaned before they are exported.
    """
    found, unread = copied(given)
    if unread:
        return found, unread, True
    if len(found) > count:
        return _as_the_sdk(found, count, length)
    rough = False
    # The same as above, without a call for each.
    for key, value in found.items():
        kind = type(value)
        if kind is str:
            if len(value) > length:
                return _as_the_sdk(found, count, length)
            if not value.isascii():
                rough = True
        elif kind is int:
            if not _MIN_INT <= value <= _MAX_INT:
                rough = True
        elif kind is tuple or kind is list:
            kept = _sequence(value, length)
            if kept is None:
                return _as_the_sdk(found, count, length)
            found[key] = kept
        elif kind is not bool and kind is not float:
            return _as_the_sdk(found, count, length)
        if type(key) is not str or not key:
            return _as_the_sdk(found, count, length)
        if len(key) > _KEY_LIMIT or not key.isascii():
            rough = True
    return found, 0, rough


def _sequence(values: Any, length: int) -> tuple[Any, ...] | None:
    """Return what the SDK makes of a few short texts or numbers of a kind.

    :returns: None where that may be something else, or is to be cleaned.
    """
    kept = tuple(values)
    if not kept or len(kept) > _FEW:
        return None
    kind = type(kept[0])
    for value in kept:
        if type(value) is not kind:
            return None
    if kind is str:
        if max(map(len, kept)) > length or not ''.join(kept).isascii():
            return None
    elif kind is int:
        if min(kept) < _MIN_INT or max(kept) > _MAX_INT:
            return None
    elif kind is not float:
        return None
    return kept


def _as_the_sdk(
    given: dict[Any, Any], count: int, length: int
) -> tuple[dict[str, Any], int, bool]:
    try:
        kept = _bounded(count, length, given)
    except Exception:
        # A list within itself, or who cannot be asked for its text.
        kept = _bounded(count, length)
        for key, value in given.items():
            try:
                kept[key] = value
            except Exception:
                kept[key] = f'<{type(value).__name__}>'
    return dict(kept), kept.dropped, True


def _bounded(
    count: int, length: int, given: dict[Any, Any] | None = None
) -> BoundedAttributes:
    return BoundedAttributes(
        None if count == ENDLESS else count,
        given,
        immutable=False,
        max_value_len=None if length == ENDLESS else length,
    )


def single(key: Any, value: Any, length: int) -> tuple[dict[str, Any], int]:
    """Return what the SDK makes of one attribute, and how many it drops."""
    kept = _bounded(ENDLESS, length)
    try:
        kept[key] = value
    except Exception:
        kept[key] = f'<{type(value).__name__}>'
    return dict(kept), kept.dropped

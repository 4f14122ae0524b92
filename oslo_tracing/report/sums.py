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

"""SQL statements that have no span of their own, but sums on their parent.

``[tracing] db_spans`` of the service that recorded them says which.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from typing import Final

from oslo_tracing import attributes as names
from oslo_tracing.report import model

#: Statements of which only their number and time is known.
UNNAMED: Final = '(other statements)'

#: No span has more of them, nor lasts longer, in seconds.
_MOST: Final = 10**9
_LONGEST: Final = 86400 * 365
_MOST_NAMES: Final = 16
_LONGEST_TEXT: Final = 16384


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """Executions that are called alike.

    :param name: what their spans would be called.
    :param count: how many.
    :param duration: nanoseconds that they took together.
    """

    name: str
    count: int
    duration: int


@dataclasses.dataclass(frozen=True, slots=True)
class Sums:
    """What the statements under one span add up to.

    :param count: how many.
    :param duration: nanoseconds that they took together, in several threads
        more than their span.
    :param rows: what they changed, or found.
    :param top: those that took most of the time, and what is left of number
        and time as one more without a name.
    """

    count: int
    duration: int
    rows: int
    top: tuple[Statement, ...]


def of(span: model.Span) -> Sums | None:
    """Return the sums of a span; ``None`` where it has none that make sense.

    :param span: any span, of anybody.
    """
    about = span.attributes
    if names.OPENSTACK_DB_COUNT not in about:
        return None
    count = _integer(_plain(about[names.OPENSTACK_DB_COUNT]))
    duration = _nanoseconds(_plain(about.get(names.OPENSTACK_DB_DURATION)))
    if count < 1 or duration < 0:
        return None
    top = []
    counted = timed = 0
    for name, times, seconds in zip(
        _list(about.get(names.OPENSTACK_DB_TOP_STATEMENTS)),
        _list(about.get(names.OPENSTACK_DB_TOP_COUNTS)),
        _list(about.get(names.OPENSTACK_DB_TOP_DURATIONS)),
        strict=False,
    ):
        each = Statement(str(name), _integer(times), _nanoseconds(seconds))
        if each.count < 1 or each.duration < 0:
            continue
        if counted + each.count > count:
            break
        counted += each.count
        timed += each.duration
        top.append(each)
    if counted < count:
        rest = max(0, duration - timed)
        top.append(Statement(UNNAMED, count - counted, rest))
    rows = _integer(_plain(about.get(names.OPENSTACK_DB_ROWS)))
    return Sums(count, duration, max(0, rows), tuple(top))


def _plain(value: Any) -> Any:
    """Return what a text says: Jaeger keeps lists so, Zipkin numbers too."""
    if isinstance(value, str) and len(value) <= _LONGEST_TEXT:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value


def _list(value: Any) -> list[Any]:
    value = _plain(value)
    return list(value[:_MOST_NAMES]) if isinstance(value, list | tuple) else []


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -1 <= value <= _MOST else -1
    return -1


def _nanoseconds(value: Any) -> int:
    if isinstance(value, int | float) and 0 <= value <= _LONGEST:
        return int(value * 1e9)
    return -1

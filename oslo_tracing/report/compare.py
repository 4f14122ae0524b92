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

"""Two sets of traces side by side: what got slower, what is new."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses

from oslo_tracing.report import durations
from oslo_tracing.report import model
from oslo_tracing.report import top


@dataclasses.dataclass(slots=True)
class Difference:
    """What spans of one name took before and after, for each trace.

    :param kind: one of ``top.KINDS``.
    :param service: the service that recorded them.
    :param name: their name.
    :param before: ``None`` where there was none.
    :param after: likewise.
    """

    kind: str
    service: str
    name: str
    before: Side | None
    after: Side | None

    @property
    def change(self) -> float:
        """Nanoseconds a trace that ``after`` takes more (or less)."""
        return (self.after.time if self.after else 0.0) - (
            self.before.time if self.before else 0.0
        )


@dataclasses.dataclass(slots=True)
class Side:
    """One name on one side.

    :param count: how many spans a trace has of it.
    :param time: nanoseconds that they take together in a trace.
    :param errors: how many of them failed, in a trace.
    :param durations: of each span.
    """

    count: float
    time: float
    errors: float
    durations: durations.Durations


def compare(
    before: Iterable[model.Trace], after: Iterable[model.Trace]
) -> list[Difference]:
    """Compare two sets, of one trace each or of many.

    Sets of different sizes are comparable, because everything is counted
    for each trace.

    :returns: what changed most in either direction first.
    """
    sides = _side(before), _side(after)
    found = [
        Difference(*key, sides[0].get(key), sides[1].get(key))
        for key in dict.fromkeys((*sides[0], *sides[1]))
    ]
    return sorted(found, key=lambda each: -abs(each.change))


def _side(
    traces: Iterable[model.Trace],
) -> dict[tuple[str, str, str], Side]:
    number = 0

    def spans() -> Iterable[model.Span]:
        nonlocal number
        for trace in traces:
            number += 1
            yield from trace.spans

    entries = top.count(spans())
    return {
        (each.kind, each.service, each.name): Side(
            each.durations.count / number,
            each.durations.total / number,
            each.errors / number,
            each.durations,
        )
        for each in entries
    }

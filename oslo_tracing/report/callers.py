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

"""Which service asks which, and how often that fails."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
from typing import Final

from oslo_tracing import attributes as names
from oslo_tracing.report import durations
from oslo_tracing.report import model
from oslo_tracing.report import sums

#: A cloud has some dozens; broken data may hold one a span.
_MOST_CALLS: Final = 10_000


@dataclasses.dataclass(slots=True)
class Calls:
    """What one service asks another.

    :param caller: name of the service that asks.
    :param callee: name of the service that answers, or what is known of
        it where it recorded nothing: a service type, an address, a
        database.
    :param how: ``http``, ``rpc``, ``message`` or ``sql``.
    :param recorded: whether the callee has spans of its own.
    """

    caller: str
    callee: str
    how: str
    recorded: bool
    errors: int = 0
    durations: durations.Durations = dataclasses.field(
        default_factory=durations.Durations
    )


def calls(traces: Iterable[model.Trace]) -> list[Calls]:
    """Return who asks whom, the most frequent first.

    :param traces: of any requests; none is kept.
    """
    found: dict[tuple[str, str, str, bool], Calls] = {}

    def calls_of(key: tuple[str, str, str, bool]) -> Calls | None:
        known = found.get(key)
        if known is None and len(found) < _MOST_CALLS:
            known = found[key] = Calls(*key)
        return known

    for trace in traces:
        for span in trace.spans:
            key = _key(trace, span)
            each = None if key is None else calls_of(key)
            if each is not None:
                each.durations.add(span.known_duration)
                each.errors += span.failed
            added_up = sums.of(span)
            if added_up is None:
                continue
            each = calls_of((span.service_name, 'database', 'sql', False))
            if each is not None:
                each.durations.add_equal(added_up.count, added_up.duration)
    return sorted(found.values(), key=lambda each: -each.durations.count)


def _key(
    trace: model.Trace, span: model.Span
) -> tuple[str, str, str, bool] | None:
    if span.kind not in ('CLIENT', 'PRODUCER'):
        return None
    about = span.attributes
    if names.DB_SYSTEM_NAME in about or names.DB_QUERY_TEXT in about:
        system = about.get(names.DB_SYSTEM_NAME, 'database')
        space = about.get(names.DB_NAMESPACE)
        callee = f'{system} {space}' if space else str(system)
        return span.service_name, callee, 'sql', False
    how = 'http'
    if names.RPC_METHOD in about or names.RPC_SYSTEM_NAME in about:
        how = 'rpc'
    elif span.kind == 'PRODUCER':
        how = 'message'
    for child in trace.children(span):
        if child.kind in ('SERVER', 'CONSUMER'):
            return span.service_name, child.service_name, how, True
    for name in (
        names.OPENSTACK_SERVICE_TYPE,
        names.MESSAGING_DESTINATION_NAME,
        names.SERVER_ADDRESS,
    ):
        if isinstance(about.get(name), str):
            return span.service_name, str(about[name]), how, False
    return None

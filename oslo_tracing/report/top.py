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

"""What all traces of a source spend their time in, by name."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
from typing import Final

from oslo_tracing import attributes as names
from oslo_tracing.report import durations
from oslo_tracing.report import model
from oslo_tracing.report import sums

#: What a span can be counted as.
KINDS: Final = ('route', 'rpc', 'statement', 'call', 'message', 'work')

#: So many names are told apart; broken data may hold one a span.
_MOST_NAMES: Final = 20_000
_REST: Final = '(others)'


@dataclasses.dataclass(slots=True)
class Entry:
    """All spans of a service that do the same.

    :param kind: one of ``KINDS``.
    :param service: the service that recorded them.
    :param name: their name.
    """

    kind: str
    service: str
    name: str
    errors: int = 0
    durations: durations.Durations = dataclasses.field(
        default_factory=durations.Durations
    )


def count(spans: Iterable[model.Span]) -> list[Entry]:
    """Add spans up by what they do, the largest total time first.

    Statements that have no span count by the sums on their parent, with
    their mean time for each. Spans without a start count, but have no time.

    :param spans: of any traces, in any order; none is kept.
    """
    found: dict[tuple[str, str, str], Entry] = {}

    def entry(what: str, service: str, name: str) -> Entry:
        known = found.get((what, service, name))
        if known is None:
            if len(found) >= _MOST_NAMES:
                service = name = _REST
            known = found.setdefault(
                (what, service, name), Entry(what, service, name)
            )
        return known

    for span in spans:
        own = entry(kind(span), span.service_name, span.name)
        own.durations.add(span.known_duration)
        own.errors += span.failed
        added_up = sums.of(span)
        for each in added_up.top if added_up else ():
            entry(
                'statement', span.service_name, each.name
            ).durations.add_equal(each.count, each.duration)
    return sorted(found.values(), key=lambda each: -each.durations.total)


def kind(span: model.Span) -> str:
    """Return what a span is counted as.

    Routes are what a service answers over HTTP, calls what it asks there;
    both sides of RPC are ``rpc``.
    """
    about = span.attributes
    if names.RPC_METHOD in about or names.RPC_SYSTEM_NAME in about:
        return 'rpc'
    if names.DB_SYSTEM_NAME in about or names.DB_QUERY_TEXT in about:
        return 'statement'
    return {
        'SERVER': 'route',
        'CLIENT': 'call',
        'PRODUCER': 'message',
        'CONSUMER': 'message',
    }.get(span.kind, 'work')

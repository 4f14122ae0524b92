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

"""What failed first, whom it took along, and what is not in the data."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses

from oslo_tracing import attributes as names
from oslo_tracing.report.analysis import clock as clocks
from oslo_tracing.report.analysis import findings
from oslo_tracing.report import model


@dataclasses.dataclass(slots=True)
class Blast:
    """The first error of a trace, and what it reached.

    :param first: the failed span that ended first.
    :param above: the failed spans on the way from it up to the root, the
        nearest first.
    :param others: failed spans elsewhere in the trace.
    :param services: in which something failed, in order of time.
    """

    first: model.Span
    above: list[model.Span]
    others: list[model.Span]
    services: list[str]


def blast(trace: model.Trace, clock: clocks.Clock) -> Blast | None:
    """Return what failed first; ``None`` where nothing did."""
    first = clocks.first_error(trace, clock)
    if first is None:
        return None
    above: dict[model.Span, None] = {}
    seen = {first}
    span = trace.parent(first)
    while span is not None and span not in seen:
        seen.add(span)
        if span.failed:
            above[span] = None
        span = trace.parent(span)
    others = [
        each
        for each in trace.errors
        if each is not first and each not in above
    ]
    failed = sorted([first, *above, *others], key=clock.end)
    services = list(dict.fromkeys(span.service_name for span in failed))
    return Blast(first, list(above), others, services)


def first_error(
    trace: model.Trace, clock: clocks.Clock
) -> Iterator[findings.Finding]:
    """Find the first error and its blast radius."""
    found = blast(trace, clock)
    if found is None:
        return
    first = found.first
    text = f'{findings.named(first)} failed first'
    why = first.error_type or first.description
    if why:
        text += f' ({why})'
    reached = len(found.above) + len(found.others)
    if reached:
        text += f'; {findings.count(reached, "span")} failed after it'
    elsewhere = [each for each in found.services if each != first.service_name]
    if elsewhere:
        text += f', also in {", ".join(elsewhere)}'
    yield findings.Finding(
        findings.ERROR, text, (first, *found.above, *found.others)
    )


def orphans(trace: model.Trace) -> Iterator[findings.Finding]:
    """Find spans whose parent was named but never arrived."""
    lost: dict[str | None, list[model.Span]] = {}
    for span in trace.orphans:
        lost.setdefault(span.parent_id, []).append(span)
    for spans in lost.values():
        yield findings.Finding(
            findings.ORPHANS,
            f'the parent of {findings.count(len(spans), "span")} of '
            f'{spans[0].service_name} is not in the data: a '
            'service that is not traced here, or spans that were lost',
            tuple(spans),
        )


def without_start(trace: model.Trace) -> Iterator[findings.Finding]:
    """Find spans of which nobody recorded when they started."""
    spans = trace.without_start
    if spans:
        yield findings.Finding(
            findings.NO_START,
            f'{findings.count(len(spans), "span")} without a start, which '
            'took more time than is shown',
            spans,
        )


def unanswered(trace: model.Trace) -> Iterator[findings.Finding]:
    """Find services that were asked and of which no span is there.

    A service is told only where none of its spans answers any call of the
    trace: one lost span is not a missing service.
    """
    asked: dict[str, list[model.Span]] = {}
    answered: set[str] = set()
    for span in trace.spans:
        whom = _asked(span)
        if not whom:
            continue
        asked.setdefault(whom, []).append(span)
        if any(
            child.kind in ('SERVER', 'CONSUMER')
            for child in trace.children(span)
        ):
            answered.add(whom)
    for whom, spans in asked.items():
        if whom in answered:
            continue
        time = sum(span.duration for span in spans)
        yield findings.Finding(
            findings.NO_ANSWER,
            f'{whom} was asked {findings.count(len(spans), "time")} and '
            'recorded nothing in this trace',
            tuple(spans),
            time,
        )


def _asked(span: model.Span) -> str:
    """Return whom a span asks something that would leave a span there."""
    about = span.attributes
    if span.kind == 'CLIENT' and names.URL_FULL in about:
        service = about.get(names.OPENSTACK_SERVICE_TYPE)
        if isinstance(service, str):
            return service
        return str(about.get(names.SERVER_ADDRESS, ''))
    if names.RPC_METHOD in about and span.kind in ('CLIENT', 'PRODUCER'):
        return f'topic {about.get(names.MESSAGING_DESTINATION_NAME, "")}'
    return ''

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

"""What a trace waited for: queues, locks, pools, second attempts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oslo_tracing import attributes as names
from oslo_tracing.report.analysis import clock as clocks
from oslo_tracing.report.analysis import findings
from oslo_tracing.report import model

#: Names that oslo.db and the drivers give a deadlock or a lost lock: MySQL's
#: error numbers, and SQLSTATE.
_DEADLOCKS = ('DBDeadlock', '1213', '1205', '40001', '40P01')
#: Nanoseconds that a message may wait before it is worth a word.
QUEUE_FROM = 20_000_000


def queues(
    trace: model.Trace, clock: clocks.Clock
) -> Iterator[findings.Finding]:
    """Find messages that waited between their sender and their receiver.

    Where the hosts' clocks differ the time on the way is not known, only
    what a call took longer than its answer: nothing is told then, save
    that the clocks differ.
    """
    for span in trace.spans:
        parent = trace.parent(span)
        if (
            parent is None
            or parent.kind not in ('CLIENT', 'PRODUCER')
            or span.kind not in ('SERVER', 'CONSUMER')
        ):
            continue
        waited = queue_time(clock, parent, span)
        if waited is not None and waited >= QUEUE_FROM:
            yield findings.Finding(
                findings.QUEUE,
                f'{findings.named(span)} began {findings.length(waited)} '
                f'after {parent.service_name} had asked for it',
                (span, parent),
                waited,
            )


def queue_time(
    clock: clocks.Clock, parent: model.Span, span: model.Span
) -> int | None:
    """Return how long a message was on its way, in nanoseconds.

    :param clock: of the trace.
    :param parent: the span that sent it.
    :param span: the span that took it in.
    :returns: ``None`` where the two clocks contradict each other, or one of
        the spans has no start.
    """
    if not (parent.has_start and span.has_start):
        return None
    if clock.offsets.get(span, 0) != clock.offsets.get(parent, 0):
        return None
    return max(0, span.start - parent.start)


def clock_skew(
    trace: model.Trace, clock: clocks.Clock
) -> Iterator[findings.Finding]:
    """Find hosts whose clocks contradict each other."""
    hosts: dict[str, list[model.Span]] = {}
    for span in clock.offsets:
        host = str(span.resource.attributes.get(names.HOST_NAME, ''))
        hosts.setdefault(host, []).append(span)
    for host, spans in hosts.items():
        most = max(spans, key=lambda span: abs(clock.offsets[span]))
        yield findings.Finding(
            findings.CLOCKS,
            f'the clock of {host or "a host"} is off by about '
            f'{findings.length(abs(clock.offsets[most]))}: times of '
            f'{findings.count(len(spans), "span")} are corrected here, and '
            'how long messages to and from it waited is not known',
            (most, *(span for span in spans if span is not most)),
        )


def retries(trace: model.Trace) -> Iterator[findings.Finding]:
    """Find what was tried again: HTTP requests and database transactions."""
    for span in trace.spans:
        resent = _integer(span.attributes.get(names.HTTP_REQUEST_RESEND_COUNT))
        if resent:
            yield findings.Finding(
                findings.RETRY,
                f'{findings.named(span)} is attempt {resent + 1} of the same '
                'request',
                (span,),
                span.duration,
            )
        tries = [
            event
            for event in span.events
            if event.name == names.EVENT_OSLO_DB_RETRY
        ]
        if tries:
            why = tries[0].attributes.get(names.ERROR_TYPE, 'an error')
            yield findings.Finding(
                findings.RETRY,
                f'{findings.named(span)} began its database work again '
                f'{findings.count(len(tries), "time")}, the first after {why}',
                (span,),
                span.duration,
            )


def deadlocks(trace: model.Trace) -> Iterator[findings.Finding]:
    """Find statements that lost a deadlock, or their patience with a lock."""
    for span in trace.spans:
        if names.DB_SYSTEM_NAME not in span.attributes:
            continue
        told = (
            span.attributes.get(names.DB_RESPONSE_STATUS_CODE),
            span.error_type.rpartition('.')[2],
        )
        if any(str(each) in _DEADLOCKS for each in told):
            yield findings.Finding(
                findings.DEADLOCK,
                f'{findings.named(span)} was undone by a deadlock or a lock '
                'that did not come',
                (span,),
                span.duration,
            )


def locks(trace: model.Trace) -> Iterator[findings.Finding]:
    """Find time spent in front of locks and of full connection pools."""
    for span in trace.spans:
        waited = _number(span.attributes.get(names.OPENSTACK_LOCK_WAIT))
        if waited > 0:
            yield findings.Finding(
                findings.LOCK_WAIT,
                f'{findings.named(span)} was waited for '
                f'{findings.length(waited * 1e9)}',
                (span,),
                int(waited * 1e9),
            )
        waits = [
            _number(
                event.attributes.get(names.OPENSTACK_DB_POOL_WAIT_DURATION)
            )
            for event in span.events
            if event.name == names.EVENT_DB_POOL_WAIT
        ]
        if waits:
            time = int(sum(waits) * 1e9)
            yield findings.Finding(
                findings.POOL_WAIT,
                f'{findings.named(span)} waited {findings.length(time)} for '
                'a connection of its database pool',
                (span,),
                time,
            )


def _integer(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _number(value: Any) -> float:
    # A day is more than any wait; what exceeds it is not a duration.
    if isinstance(value, (int, float)) and 0 <= value < 86400:
        return float(value)
    return 0.0

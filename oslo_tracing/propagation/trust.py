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

"""Whether a caller is believed, and what that changes."""

from __future__ import annotations

from typing import NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import attributes
from oslo_tracing import propagation

#: The caller's trace is continued.
TRUST = 'trust'
#: A new trace begins, with a link to the caller's.
LINK = 'link'
#: A new trace begins, and the caller's is not even mentioned.
IGNORE = 'ignore'


class Parentage(NamedTuple):
    """Where the span of an incoming request or message belongs.

    :param context: what the span starts in, empty for a new trace.
    :param links: what the span starts with.
    :param believed: the caller's trace is continued; only then may it be
        told which trace that is.
    """

    context: otel_context.Context
    links: tuple[trace.Link, ...]
    believed: bool


_NEW_TRACE = Parentage(propagation.NOBODY.context, (), False)
_UNTRUSTED = {attributes.OPENSTACK_LINK_REASON: 'untrusted'}


def decide(incoming: propagation.Incoming, mode: str) -> Parentage:
    """Return where the span of a request or message belongs.

    :param incoming: what the caller sent.
    :param mode: ``[tracing] incoming`` or ``incoming_rpc``; one that is not
        known believes nobody.
    :returns: for ``link`` and ``ignore`` an empty context: new ids, no
        tracestate, no baggage. The link carries no tracestate either, the
        stranger chose it.
    """
    caller = incoming.span_context
    if caller is None:
        return _NEW_TRACE
    if mode == TRUST:
        return Parentage(incoming.context, (), True)
    if mode == LINK:
        caller = trace.SpanContext(
            caller.trace_id, caller.span_id, True, caller.trace_flags
        )
        return Parentage(
            _NEW_TRACE.context, (trace.Link(caller, _UNTRUSTED),), False
        )
    return _NEW_TRACE

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

"""Requests that nobody records, known before there is a span for them.

Most requests of a busy cloud are such. They still have a trace: its id is
their request id, is in their log lines, and goes where they go.
"""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import context
from oslo_tracing.propagation import w3c

if TYPE_CHECKING:
    from oslo_tracing.propagation import trust
    from oslo_tracing.sampling import pipeline

_RANDOM = w3c.RANDOM


class Draw:
    """Draws ids, and looks whether they are kept.

    :param sampling: decides.
    :param provider: makes them; the one that asks ``sampling``.
    :param kind: which of the ``sampling_rules`` are for what starts.
    :param signs: traces that start here are marked as ours.
    """

    def __init__(
        self,
        sampling: pipeline.Pipeline,
        provider: Any,
        kind: str,
        signs: bool,
    ) -> None:
        self._sampling = sampling
        # Somebody else's need not have them, and is not asked.
        self._ids: Any = getattr(provider, 'id_generator', None)
        self._kind = kind
        self._state = w3c.OURS if signs else w3c.NO_TRACESTATE

    def draw(
        self, parentage: trust.Parentage, name: str | None
    ) -> _current.Unrecorded | int | None:
        """Return a span that is not recorded, or the id of a new trace.

        :param parentage: where the request belongs, without links.
        :param name: as rules have it, None where no rule reads it.
        :returns: None where an id is given or only the sampler can decide.
        """
        where = parentage.context
        if parentage.asked_for or parentage.trace_id is not None:
            return None
        if parentage.believed:
            return self._continued(where)
        least = self._sampling.least(self._kind, name)
        if least is None or where:
            return None
        trace_id: int = self._ids.generate_trace_id()
        if self._sampling.keeps(trace_id, least):
            return trace_id
        return self._made(trace_id, _RANDOM, self._state)

    def _continued(
        self, where: otel_context.Context
    ) -> _current.Unrecorded | None:
        caller = _current.span_in(where).get_span_context()
        if (
            not self._sampling.drops(caller)
            or caller.trace_state
            or context.forced(where)
        ):
            return None
        return self._made(
            caller.trace_id, caller.trace_flags, caller.trace_state
        )

    def _made(
        self, trace_id: int, flags: trace.TraceFlags, state: trace.TraceState
    ) -> _current.Unrecorded:
        span_id = self._ids.generate_span_id()
        return w3c.unrecorded(
            _current.span_context(trace_id, span_id, False, flags, state)
        )

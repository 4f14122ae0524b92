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

"""What tells the traces that a process may sign from all others."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import sampling
from opentelemetry import trace
from opentelemetry.util import types

from oslo_tracing.propagation import w3c


class Marking(sampling.Sampler):
    """Marks traces that start here as ours, and hands the mark down.

    A sampler, because that is what every span asks, also one that another
    library makes, or that nobody records. A trace that somebody has picked
    up past our gate has no mark, and gets none: its spans would launder a
    stranger's context into one that services believe.

    :param decide: does the sampling.
    """

    def __init__(self, decide: sampling.Sampler) -> None:
        self._decide = decide

    @property
    def follows_local(self) -> bool:
        """Whether children of spans of this process are none of its business.

        They have the tracestate of that span, which has its mark.
        """
        return getattr(self._decide, 'follows_local', False) is True

    def follows(
        self, parent: trace.SpanContext, where: otel_context.Context
    ) -> bool:
        """Say what the sampler does, if it says that.

        What starts then has the tracestate of its parent, and so the mark.
        """
        follows = getattr(self._decide, 'follows', None)
        return follows is not None and bool(follows(parent, where))

    def should_sample(
        self,
        parent_context: otel_context.Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: types.Attributes = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> sampling.SamplingResult:
        result = self._decide.should_sample(
            parent_context, trace_id, name, kind, attributes, links
        )
        parent = trace.get_current_span(parent_context).get_span_context()
        state = result.trace_state
        ours = not parent.is_valid or w3c.is_ours(parent)
        if ours == (getattr(state, 'ours', False) is True):
            return result
        # Another result: a sampler may give the same one each time.
        return sampling.SamplingResult(
            result.decision, result.attributes, w3c.with_mark(state, ours)
        )

    def get_description(self) -> str:
        return self._decide.get_description()

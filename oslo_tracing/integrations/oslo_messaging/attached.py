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

"""What both sides of messages have in common."""

from __future__ import annotations

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import context
from oslo_tracing import integrations
from oslo_tracing.integrations.oslo_messaging import neighbours
from oslo_tracing.integrations.oslo_messaging import places
from oslo_tracing import propagation
from oslo_tracing.propagation import trust
from oslo_tracing.propagation import w3c

_SAMPLED = trace.TraceFlags.SAMPLED


class Attached:
    """Makes functions that stand in for those of oslo.messaging.

    :param toolbox: of the integration.
    :param others: who may trace the same messages.
    :param known: where messages come from and go to.
    """

    def __init__(
        self,
        toolbox: integrations.Toolbox,
        others: neighbours.Neighbours,
        known: places.Places,
    ) -> None:
        self._tracer = toolbox.tracer('oslo_messaging')
        self._settings = toolbox.settings
        self._propagation = toolbox.propagation
        self._others = others
        self._places = known
        self._drops = toolbox.drops
        self._on = True

    def _dropped(
        self, sent: propagation.Incoming
    ) -> otel_context.Context | None:
        """Return what a message is handled in that nobody records.

        :returns: None where that is to be decided.
        """
        span_context = sent.span_context
        if (
            span_context is None
            or span_context[_current.FLAGS] & _SAMPLED
            or (
                span_context[_current.STATE] is not w3c.NO_TRACESTATE
                and span_context[_current.STATE]
            )
            or self._settings.incoming_rpc != trust.TRUST
            or not self._drops(span_context)
        ):
            return None
        found = _current.Unrecorded(
            _current.span_in(sent.context),
            w3c.format_traceparent(span_context),
        )
        return context.unrecorded_root(found, sent.context)

    def stop(self) -> None:
        """Do nothing from now on, should somebody still hold our functions."""
        self._on = False

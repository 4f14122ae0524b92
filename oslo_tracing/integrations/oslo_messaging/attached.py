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

from typing import Any

from opentelemetry import context as otel_context

from oslo_tracing import _current
from oslo_tracing import context
from oslo_tracing import integrations
from oslo_tracing.integrations.oslo_messaging import neighbours
from oslo_tracing.integrations.oslo_messaging import places
from oslo_tracing import propagation
from oslo_tracing.propagation import trust


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

    def _dropped(self) -> otel_context.Context | None:
        """Return what a message is to be sent from, where it needs no span.

        It is as if the span below which nothing is recorded had sent it.
        """
        current = _current.context()
        span: Any = current.get(_current.SPAN_KEY)
        if (
            span is None
            or not self._drops(span.get_span_context())
            or context.forced(current)
            or context.is_suppressed()
        ):
            return None
        return current

    def _is_dropped(self, sent: propagation.Incoming) -> bool:
        """Say whether a received message goes on with what its sender had."""
        return (
            sent.span_context is not None
            and self._settings.incoming_rpc == trust.TRUST
            and self._drops(sent.span_context)
        )

    def stop(self) -> None:
        """Do nothing from now on, should somebody still hold our functions."""
        self._on = False

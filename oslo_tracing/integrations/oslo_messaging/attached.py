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

from oslo_tracing import integrations
from oslo_tracing.integrations.oslo_messaging import neighbours
from oslo_tracing.integrations.oslo_messaging import places


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
        self._on = True

    def stop(self) -> None:
        """Do nothing from now on, should somebody still hold our functions."""
        self._on = False

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

"""Others who trace the same messages: whoever comes second steps back.

Two are known: what oslo.messaging has built in, for RPC, and the
instrumentor ``opentelemetry-instrumentation-oslo-messaging``.
"""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry import trace

LOG = logging.getLogger(__name__)

#: Who is named in the log for ``[oslo_messaging_tracing] tracing_enabled``.
BUILT_IN = "oslo.messaging's own tracing"

_BUILT_IN_SCOPE = 'oslo.messaging'
_INSTRUMENTOR_SCOPE = 'opentelemetry.instrumentation.oslo_messaging'
_INSTRUMENTORS = 'opentelemetry.instrumentation'

# A function wrapped by more than these is somebody else's problem.
_MAX_LAYERS = 32

#: Kinds of the spans of who sends a message, and who receives one.
SENDING = frozenset((trace.SpanKind.PRODUCER, trace.SpanKind.CLIENT))
RECEIVING = frozenset((trace.SpanKind.CONSUMER, trace.SpanKind.SERVER))


class Neighbours:
    """What others do about one kind of messages.

    :param messages: which, in words for the log.
    """

    def __init__(self, messages: str) -> None:
        self._messages = messages
        self._said = False
        #: The last scope that was none of theirs.
        self._passed: Any = None

    def wrap(self, owner: Any, name: str) -> bool:
        """Say whether somebody who traces wrapped a function before us."""
        layer = vars(owner).get(name)
        for _ in range(_MAX_LAYERS):
            # Where wrapt keeps the function that it calls.
            module = getattr(
                getattr(layer, '_self_wrapper', None), '__module__', None
            )
            if isinstance(module, str) and module.startswith(_INSTRUMENTORS):
                self.step_back(module)
                return True
            layer = getattr(layer, '__wrapped__', None)
            if layer is None:
                break
        return False

    def step_back(self, who: str) -> None:
        """Say once who traces in our place."""
        if not self._said:
            self._said = True
            LOG.info(
                '%s traces %s already: oslo.tracing steps back.',
                who,
                self._messages,
            )

    def trace(self, active: Any, kinds: frozenset[trace.SpanKind]) -> bool:
        """Say whether a message has a span of somebody else.

        :param active: the span in whose context it is sent or received.
        :param kinds: of the span that it would have of ours.
        """
        # Their wrapper is around ours if they came later, and their span is
        # the current one exactly as long as ours would be. A span that is
        # not recorded says nothing of itself; then there will be no second.
        scope = getattr(active, 'instrumentation_scope', None)
        if scope is None or scope is self._passed:
            return False
        name: str = scope.name
        if name == _BUILT_IN_SCOPE:
            name = BUILT_IN
        elif not name.startswith(_INSTRUMENTOR_SCOPE):
            self._passed = scope
            return False
        if active.kind not in kinds:
            return False
        self.step_back(name)
        return True

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

"""Others who trace the same requests, and who steps back."""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry import trace

from oslo_tracing import _current

LOG = logging.getLogger(__name__)

_REQUESTS = 'opentelemetry.instrumentation.requests'
_KEYSTONEAUTH = 'opentelemetry.instrumentation.keystoneauth1'
# How the first of them knows its own function.
_MARK = 'opentelemetry_instrumentation_requests_applied'

_THEY = 'oslo.tracing traces outgoing HTTP: %s steps back.'
_WE = '%s traces outgoing HTTP already: oslo.tracing steps back.'

# A function wrapped by more than these is somebody else's problem.
_MAX_LAYERS = 32


class Neighbours:
    """What the two instrumentors of OpenTelemetry do about a request.

    Theirs around ours has its span already: we step back. That for requests
    inside ours is told by OpenTelemetry's own key that there is nothing to
    do; that for keystoneauth always is outside of ours.
    """

    def __init__(self) -> None:
        self._said: set[str] = set()

    def wrap(self, owner: Any, name: str) -> None:
        """Say so where we wrap a function that is wrapped already."""
        layer = vars(owner).get(name)
        for _ in range(_MAX_LAYERS):
            if layer is None:
                return
            if _MARK in vars(layer):
                self._say(_REQUESTS, _THEY)
                return
            layer = getattr(layer, '__wrapped__', None)

    def current(self, of_keystoneauth: bool) -> bool:
        """Say whether the active span is somebody else's for this request.

        :param of_keystoneauth: it is keystoneauth that sends it.
        """
        # A span that is not recorded says nothing of itself; then ours is
        # not recorded either.
        span: Any = _current.span()
        scope = getattr(span, 'instrumentation_scope', None)
        if scope is None or span.kind is not trace.SpanKind.CLIENT:
            return False
        name: str = scope.name
        if name == _REQUESTS or (of_keystoneauth and name == _KEYSTONEAUTH):
            self._say(name, _WE)
            return True
        return False

    def _say(self, who: str, line: str) -> None:
        if who not in self._said:
            self._said.add(who)
            LOG.info(line, who)


def disguise(function: Any) -> None:
    """Take another's mark off a function of ours that it was copied to.

    Else their way back would take ours off and leave theirs.
    """
    vars(function).pop(_MARK, None)

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

"""What OpenTelemetry's SDK writes into the log of a service."""

from __future__ import annotations

import contextlib
import logging
import time

#: Seconds between two lines of the SDK that say the same.
_QUIET = 60.0
_MESSAGES = 64


class _OnceAMinute(logging.Filter):
    """Lets each message of a logger pass once a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        text = str(record.msg)
        if now - self._said.get(text, -_QUIET) < _QUIET:
            return False
        # The SDK has a handful of messages; others may log there too.
        if len(self._said) >= _MESSAGES:
            self._said.clear()
        self._said[text] = now
        return True


def quiet_sdk(undo: contextlib.ExitStack) -> None:
    """Keep the SDK from filling a service's log, until ``undo`` closes.

    It warns of each attribute that it cuts, and of each span that is used
    after its end, however many.
    """
    for name in ('opentelemetry.attributes', 'opentelemetry.sdk.trace'):
        logger = logging.getLogger(name)
        rarely = _OnceAMinute()
        logger.addFilter(rarely)
        undo.callback(logger.removeFilter, rarely)

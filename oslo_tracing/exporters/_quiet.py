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


"""What exporters of others would log from our thread.

OpenTelemetry's log each failed batch and each retry, for hours while a
collector is down. We keep the words, for our one line a minute.
"""

from __future__ import annotations

from collections.abc import Callable
import logging
from typing import Any
from typing import Final

_LOGGERS: Final = (
    'opentelemetry.exporter.otlp.common.http',
    'opentelemetry.exporter.otlp.proto.common._internal',
    'opentelemetry.exporter.otlp.proto.grpc.exporter',
    'opentelemetry.exporter.otlp.proto.grpc.trace_exporter',
    'opentelemetry.exporter.otlp.proto.http.trace_exporter',
    'urllib3.connectionpool',
)


class QuietLoggers:
    """Keeps one thread's records from the handlers, and no others.

    The loggers are shared: a service may export metrics with the very same
    ones.

    :param hear: called with the text of a record from that thread.
    :param threading: the module whose identities the thread has.
    """

    def __init__(self, hear: Callable[[str], None], threading: Any) -> None:
        self._hear = hear
        self._get_ident = threading.get_ident
        self._ident: int | None = None
        self._loggers = [logging.getLogger(name) for name in _LOGGERS]
        for logger in self._loggers:
            logger.addFilter(self._let_pass)

    def here(self) -> None:
        """The calling thread is the one to keep quiet."""
        self._ident = self._get_ident()

    def close(self) -> None:
        """Leave the loggers as they were."""
        for logger in self._loggers:
            logger.removeFilter(self._let_pass)

    def _let_pass(self, record: logging.LogRecord) -> bool:
        if self._get_ident() != self._ident:
            return True
        if record.levelno >= logging.WARNING:
            self._hear(record.getMessage())
        return False

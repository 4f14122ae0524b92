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


"""One readable line in the service's log for each span.

For a first look, and for a place where there is neither a collector nor a
disk.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Final

from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export
from opentelemetry import trace

from oslo_tracing import _printable
from oslo_tracing import counters

_VALUE_LIMIT: Final = 256
_LINE_LIMIT: Final = 4096


def build(put: Callable[[list[str]], int]) -> export.SpanExporter:
    """Return the exporter.

    :param put: takes lines to be written, and says how many it took.
    """
    return LogSpanExporter(put)


class LogSpanExporter(export.SpanExporter):
    """Leaves a line for each span to be written, at INFO.

    It is used by the exporter's thread, which may not log.

    :param put: see :func:`build`.
    """

    def __init__(self, put: Callable[[list[str]], int]) -> None:
        self._put = put

    def export(
        self, spans: Sequence[sdk_trace.ReadableSpan]
    ) -> export.SpanExportResult:
        """Make the lines.

        :raises SpansLost: for those that there is no room for.
        """
        lost = len(spans) - self._put([line(span) for span in spans])
        if lost:
            raise counters.SpansLost(
                counters.QUEUE_FULL,
                lost,
                'spans end faster than the log is written',
            )
        return export.SpanExportResult.SUCCESS


def line(span: sdk_trace.ReadableSpan) -> str:
    """Return what is worth knowing of a span as one line of visible text.

    :param span: an ended and cleaned span.
    """
    context = span.context
    parent = span.parent
    parts = [
        f'{_text(span.name)} ({span.kind.name.lower()})',
        f'trace={trace.format_trace_id(context.trace_id)}',
        f'span={trace.format_span_id(context.span_id)}',
        f'parent={trace.format_span_id(parent.span_id) if parent else "-"}',
        f'{((span.end_time or 0) - (span.start_time or 0)) / 1e6:.3f}ms',
        f'status={_status(span.status)}',
    ]
    length = sum(map(len, parts))
    for key, value in (span.attributes or {}).items():
        part = f'{_text(key)}={_text(value)}'
        length += len(part) + 1
        if length > _LINE_LIMIT:
            parts.append('\u2026')
            break
        parts.append(part)
    return ' '.join(parts)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return _printable.printable(text, _VALUE_LIMIT)


def _status(status: trace.Status) -> str:
    if status.description:
        return f'{status.status_code.name}({_text(status.description)})'
    return status.status_code.name

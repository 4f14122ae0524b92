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

from collections.abc import Sequence
import logging
from typing import Any
from typing import Final
from typing import TYPE_CHECKING

from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export
from opentelemetry import trace

from oslo_tracing import _printable

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

LOG = logging.getLogger(__name__)

_VALUE_LIMIT: Final = 256
_LINE_LIMIT: Final = 4096


def build(
    settings: settings_module.Settings, resource: Any
) -> export.SpanExporter:
    """Return the exporter; neither argument matters to it."""
    return LogSpanExporter()


class LogSpanExporter(export.SpanExporter):
    """Writes spans to the logger of this module, at INFO."""

    def export(
        self, spans: Sequence[sdk_trace.ReadableSpan]
    ) -> export.SpanExportResult:
        # This is the exporter's real thread, and under eventlet a handler
        # that yields would do so in a hub of that thread. The records belong
        # into a service thread, as the pipeline's own line already is; they
        # can move there because this class keeps nothing.
        for span in spans:
            LOG.info('%s', line(span))
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

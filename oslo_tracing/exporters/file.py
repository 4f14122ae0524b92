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


"""Spans to files: one ``TracesData`` in OTLP/JSON a line.

For services without a collector, for the demo, and for support: the files
can be carried elsewhere and read by ``oslo-tracing show`` or a collector.
"""

from __future__ import annotations

from collections.abc import Sequence
import errno
from typing import Final
from typing import TYPE_CHECKING

from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export

from oslo_tracing import counters
from oslo_tracing.exporters import _otlp_json
from oslo_tracing.exporters import _trace_files

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

#: Bytes of a line that every reader of ours takes.
LINE_LIMIT: Final = 16 * 1024 * 1024


def build(
    settings: settings_module.Settings, resource: resources.Resource
) -> FileSpanExporter:
    """Return the exporter; opens nothing yet.

    :param settings: ``file_directory``, ``file_max_bytes`` and
        ``file_total_max_bytes``.
    :param resource: gives the file its name.
    """
    return FileSpanExporter(
        _trace_files.TraceFiles(
            settings.file_directory or '',
            _trace_files.name_for(resource),
            settings.file_max_bytes,
            settings.file_total_max_bytes,
        )
    )


class FileSpanExporter(export.SpanExporter):
    """Writes each batch as a line; one thread uses it.

    :param files: where lines go.
    """

    def __init__(self, files: _trace_files.TraceFiles) -> None:
        self._files = files

    def export(
        self, spans: Sequence[sdk_trace.ReadableSpan]
    ) -> export.SpanExportResult:
        """Write the spans, all on one line if it is not too long.

        :raises SpansLost: with the cause, for those that are not written.
        """
        line = _otlp_json.encode(spans)
        if len(line) <= LINE_LIMIT:
            self._write(line, len(spans))
        elif len(spans) > 1:
            self._write_halves(spans)
        else:
            raise counters.SpansLost(
                counters.FILE_LIMIT, 1, 'a span is too long for a line'
            )
        return export.SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file; the next line would open another one."""
        self._files.close()

    def forget(self) -> None:
        """Close a forked child's copy, which keeps the file locked."""
        self._files.close()

    def _write(self, line: bytes, count: int) -> None:
        try:
            self._files.write(line)
        except _trace_files.Full:
            raise counters.SpansLost(
                counters.FILE_LIMIT,
                count,
                f'the trace files in {self._files.directory} have reached '
                'file_total_max_bytes',
            ) from None
        except OSError as error:
            reason = error.strerror or errno.errorcode.get(
                error.errno or 0, 'error'
            )
            raise counters.SpansLost(
                counters.DISK,
                count,
                f'cannot write to {self._files.directory}, {reason.lower()}',
            ) from None

    def _write_halves(self, spans: Sequence[sdk_trace.ReadableSpan]) -> None:
        middle = len(spans) // 2
        lost: list[counters.SpansLost] = []
        for half in (spans[:middle], spans[middle:]):
            try:
                self.export(half)
            except counters.SpansLost as error:
                lost.append(error)
        if lost:
            raise counters.SpansLost(
                lost[-1].cause,
                sum(error.count for error in lost),
                lost[-1].why,
            )

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

"""What the answer to an export request means, the same for HTTP and gRPC.

"OTLP/gRPC Response" and "OTLP/HTTP Response" of the OTLP specification.
"""

from __future__ import annotations

import dataclasses
from email import utils
from typing import Any
from typing import Final

from google.protobuf import message
from google.rpc import error_details_pb2
from google.rpc import status_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

#: Bytes of an answer that are read.
LIMIT: Final = 64 * 1024

#: The receiver has them, save for those that it says it rejected.
TAKEN: Final = 'taken'
#: It does not want them, now or ever.
REFUSED: Final = 'refused'
#: It asks to be sent them again.
LATER: Final = 'later'
#: Nobody knows whether it has them: no connection, or no answer.
SILENT: Final = 'silent'

_HTTP_LATER: Final = frozenset((429, 502, 503, 504))
_GRPC_LATER: Final = frozenset(
    ('CANCELLED', 'ABORTED', 'OUT_OF_RANGE', 'UNAVAILABLE', 'DATA_LOSS')
)
# A number of seconds with more digits is as good as for ever.
_DIGITS: Final = 9
_FOR_EVER: Final = 1e9
# Characters that are looked at of what may be a date.
_DATE: Final = 256


@dataclasses.dataclass(frozen=True)
class Answer:
    """What to do about the spans of a request.

    :ivar meaning: ``TAKEN``, ``REFUSED``, ``LATER`` or ``SILENT``.
    :ivar why: what the receiver said, for the log: all of it, since in a
        text that was cut nobody finds our credentials.
    :ivar after: seconds that it wants to be left alone, None where it did
        not say.
    :ivar rejected: spans of a request that was ``TAKEN`` which it dropped.
    """

    meaning: str
    why: str = ''
    after: float | None = None
    rejected: int = 0


def no_answer(error: BaseException) -> Answer:
    """Return what a failed connection means."""
    return Answer(SILENT, f'{type(error).__name__}: {error}'.rstrip(': '))


def of_http(
    status: int,
    reason: str,
    headers: Any,
    body: bytes,
    now: float,
) -> Answer:
    """Return what an HTTP response means.

    :param status: only 2xx is a success, and not where it is a page for
        people: some servers give theirs to every path.
    :param reason: the words after it.
    :param headers: looked into by ``get()``, in any case.
    :param body: its first ``LIMIT`` bytes; what is no protobuf is ignored.
    :param now: seconds since the epoch, for a ``Retry-After`` date.
    """
    why = f'HTTP {status} {reason}'.strip()
    if 200 <= status < 300:
        if 'html' in _kind(headers):
            return Answer(REFUSED, f'{why}, a page, as of no collector')
        return of_response(body)
    if 300 <= status < 400:
        # Where to is not told: a login page's URL holds what should not be.
        return Answer(REFUSED, f'{why}, a redirect is not followed')
    said = _status(body).message if _is_protobuf(headers) else ''
    why = f'{why}: {said}' if said else why
    if status not in _HTTP_LATER:
        return Answer(REFUSED, why)
    return Answer(LATER, why, retry_after(headers.get('Retry-After'), now))


def of_grpc(code: str, words: str, details: bytes | None) -> Answer:
    """Return what a gRPC status other than OK means.

    :param code: its name.
    :param words: its message.
    :param details: ``grpc-status-details-bin`` of the trailer.
    """
    why = f'gRPC {code}: {words}' if words else f'gRPC {code}'
    if code == 'DEADLINE_EXCEEDED':
        return Answer(SILENT, why)
    after = _retry_info(details)
    if code in _GRPC_LATER or (
        code == 'RESOURCE_EXHAUSTED' and after is not None
    ):
        return Answer(LATER, why, after)
    return Answer(REFUSED, why)


def of_response(body: bytes) -> Answer:
    """Return what an ``ExportTraceServiceResponse`` says."""
    response = trace_service_pb2.ExportTraceServiceResponse()
    try:
        response.ParseFromString(body)
    except (message.DecodeError, ValueError):
        return Answer(TAKEN)
    partial = response.partial_success
    return Answer(
        TAKEN,
        partial.error_message,
        rejected=max(0, partial.rejected_spans),
    )


def retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for.

    :param text: a number or an HTTP date; anything else is as if it were
        not there, RFC 9110, 10.2.3.
    :param now: seconds since the epoch.
    """
    text = (text or '').strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= _DIGITS else _FOR_EVER
    try:
        date = utils.parsedate_to_datetime(text[:_DATE])
        return max(0.0, date.timestamp() - now)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _is_protobuf(headers: Any) -> bool:
    return _kind(headers).startswith('application/x-protobuf')


def _kind(headers: Any) -> str:
    kind: str = headers.get('Content-Type') or ''
    return kind.strip().lower()


def _status(content: bytes) -> Any:
    status = status_pb2.Status()
    try:
        status.ParseFromString(content)
    except (message.DecodeError, ValueError):
        return status_pb2.Status()
    return status


def _retry_info(details: bytes | None) -> float | None:
    for detail in _status(details or b'').details:
        info = error_details_pb2.RetryInfo()
        try:
            if detail.Unpack(info):
                delay = info.retry_delay
                return max(0.0, float(delay.seconds + delay.nanos / 1e9))
        except (message.DecodeError, ValueError):
            continue
    return None

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

"""What a request or a message says of the trace that it came in."""

from __future__ import annotations

from typing import NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import trace

_EMPTY = otel_context.Context()


class Incoming(NamedTuple):
    """What a caller said of its trace.

    :param context: the caller's span and baggage, and nothing else.
    :param span_context: the caller's span, or None if there is none.
    :param insists: the caller has set B3's debug flag.
    :param trace_id: of which the receiver's span is to be the root, where
        the caller has asked for a trace and has no span.
    :param defers: the caller has a span, and leaves it to the receiver
        whether anything is recorded.
    :param denies: the caller has no span, and does not want one recorded.
    """

    context: otel_context.Context
    span_context: trace.SpanContext | None
    insists: bool = False
    trace_id: int | None = None
    defers: bool = False
    denies: bool = False


#: What everybody says who is not traced.
NOBODY = Incoming(_EMPTY, None)
#: What B3 lets those say.
DENIED = Incoming(_EMPTY, None, denies=True)

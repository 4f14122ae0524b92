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

"""What an analysis found, in one form for every way of showing it."""

from __future__ import annotations

import dataclasses
from typing import Final

from oslo_tracing.report import model

ERROR: Final = 'error'
REPEATED_STATEMENT: Final = 'repeated statement'
REPEATED_CALL: Final = 'repeated call'
RETRY: Final = 'retry'
DEADLOCK: Final = 'deadlock'
LOCK_WAIT: Final = 'lock wait'
POOL_WAIT: Final = 'pool wait'
QUEUE: Final = 'queue'
CLOCKS: Final = 'clocks'
NO_START: Final = 'no start'
GAP: Final = 'gap'
ORPHANS: Final = 'orphans'
NO_ANSWER: Final = 'no answer'


@dataclasses.dataclass(slots=True)
class Finding:
    """Something worth knowing of a trace.

    :param kind: one of the names in this module.
    :param text: one sentence; what it quotes of the trace is as it came,
        so who shows it has to escape it.
    :param spans: the spans that prove it, the most telling first; at least
        one.
    :param time: nanoseconds of the trace that it concerns; 0 where time is
        not the matter.
    """

    kind: str
    text: str
    spans: tuple[model.Span, ...]
    time: int = 0


def named(span: model.Span) -> str:
    """Return how a sentence calls a span: ``service: name``."""
    return f'{span.service_name}: {span.name}'


def count(number: int, what: str) -> str:
    """Return a number with its noun: ``1 span``, ``3 spans``."""
    return f'{number} {what}' if number == 1 else f'{number} {what}s'


def length(duration: float) -> str:
    """Return nanoseconds as a sentence has them: ``12.3 ms``, ``2.1 s``."""
    if duration >= 1e9:
        return f'{duration / 1e9:.1f} s'
    return f'{duration / 1e6:.1f} ms'

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

"""What a span costs in requests with few and with many."""

from __future__ import annotations

import itertools
from typing import Any

from benchmarks import growing

_SPANS = (5, 15, 50, 150, 500)
# Less than what a queue holds, so that none is lost between two flushes.
_A_TURN = 1000


def measure() -> list[dict[str, Any]]:
    """Return the added CPU time of a span, by spans of a request."""
    return growing.measure(
        [
            (spans, {'count': _A_TURN // spans, 'statements': spans - 2})
            for spans in _SPANS
        ],
        turns=8,
    )


def show(found: list[dict[str, Any]]) -> str:
    """Return it as a table, and what each span more costs."""
    shown = growing.show(
        'Added CPU time of a span in us, by spans of a request', 'spans', found
    )
    more = [
        {
            'point': f'{few["point"]} to {many["point"]}',
            'span_us': {
                name: (
                    many['span_us'][name] * many['point']
                    - few['span_us'][name] * few['point']
                )
                / (many['point'] - few['point'])
                for name in many['span_us']
            },
        }
        for few, many in itertools.pairwise(found)
    ]
    return f'{shown}\n\n' + growing.show(
        'The same, of each span that there is more', 'spans', more
    )

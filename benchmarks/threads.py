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

"""What a span costs where few and many threads make them."""

from __future__ import annotations

from typing import Any

from benchmarks import growing

_THREADS = (1, 4, 16, 32)


def measure() -> list[dict[str, Any]]:
    """Return the added CPU time of a span, by threads."""
    return growing.measure(
        [
            (threads, {'count': 96, 'statements': 13, 'threads': threads})
            for threads in _THREADS
        ],
        turns=6,
    )


def show(found: list[dict[str, Any]]) -> str:
    """Return it as a table."""
    return growing.show(
        'Added CPU time of a span in us, by threads', 'threads', found
    )

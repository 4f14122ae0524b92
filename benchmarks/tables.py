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

"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
import statistics


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median with the least and the most."""
    return (
        f'{statistics.median(values):.{digits}f} '
        f'({min(values):.{digits}f} to {max(values):.{digits}f})'
    )


def table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> str:
    """Return rows of text below each other, the first column to the left."""
    widths = [
        max(len(row[number]) for row in [heads, *rows])
        for number in range(len(heads))
    ]
    lines = [title, '']
    for row in [heads, *rows]:
        first, *others = (
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(
                zip(row, widths, strict=True)
            )
        )
        lines.append('  '.join([first, *others]).rstrip())
    return '\n'.join(lines)

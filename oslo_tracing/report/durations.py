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

"""Many durations in little memory: counts in ever wider buckets."""

from __future__ import annotations

import math
from typing import Final

# Neighbouring buckets are 5 % apart, so no percentile is further off.
_GROWTH: Final = math.log(1.05)


class Durations:
    """The durations of what is alike, added up.

    Memory is bounded by the logarithm of the longest one, whatever their
    number: some 900 buckets lie between a nanosecond and a century.
    """

    __slots__ = ('count', 'unknown', 'total', 'longest', '_buckets')

    def __init__(self) -> None:
        self.count = 0
        #: Of how many nobody knows how long they took.
        self.unknown = 0
        #: Nanoseconds, as is ``longest``.
        self.total = 0
        self.longest = 0
        self._buckets: dict[int, int] = {}

    def add(self, duration: int | None) -> None:
        """Take one more.

        :param duration: nanoseconds, not negative; None where nobody knows.
        """
        if duration is None:
            self.count += 1
            self.unknown += 1
        else:
            self.add_equal(1, duration)

    def add_equal(self, number: int, total: int) -> None:
        """Take some of which only the sum is known, as if all were equal.

        :param number: how many, at least one.
        :param total: nanoseconds, not negative.
        """
        duration = total // number
        self.count += number
        self.total += total
        self.longest = max(self.longest, duration)
        bucket = int(math.log(duration) / _GROWTH) if duration > 1 else 0
        self._buckets[bucket] = self._buckets.get(bucket, 0) + number

    def percentile(self, share: float) -> int:
        """Return what the given share of the known is not longer than.

        :param share: from 0 to 1.
        :returns: nanoseconds, at most 5 % too much; 0 where there is none.
        """
        wanted = math.ceil(share * (self.count - self.unknown))
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                above = math.exp((bucket + 1) * _GROWTH)
                return min(self.longest, int(above))
        return 0

    @property
    def mean(self) -> float:
        """Nanoseconds; 0 where none is known."""
        known = self.count - self.unknown
        return self.total / known if known else 0.0

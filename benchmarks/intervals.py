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

"""How sure a mean of some rounds is."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from collections.abc import Sequence
import math
import statistics
from typing import Any

#: Of Student's distribution the 97.5 % quantiles, by degrees of freedom; one
#: that is missing takes that of the next smaller one.
_QUANTILES = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    6: 2.447,
    7: 2.365,
    8: 2.306,
    9: 2.262,
    10: 2.228,
    12: 2.179,
    14: 2.145,
    16: 2.120,
    18: 2.101,
    20: 2.086,
    25: 2.060,
    30: 2.042,
    40: 2.021,
    60: 2.000,
    120: 1.980,
}


def half_width(values: Sequence[float]) -> float:
    """Return how far the mean may be off, to either side, at 95 %.

    :param values: of independent rounds; of one alone nothing is sure.
    """
    if len(values) < 2:
        return math.inf
    freedom = len(values) - 1
    quantile = _QUANTILES[
        max(known for known in _QUANTILES if known <= freedom)
    ]
    return quantile * statistics.stdev(values) / math.sqrt(len(values))


def slowdown(
    plain: Sequence[float], traced: Sequence[float]
) -> dict[str, Any]:
    """Return by how many percent one is slower, by pairs of rounds.

    The mean of the logarithms: what doubles once and halves once has not
    changed.
    """
    ratios = [
        math.log(with_us / without)
        for without, with_us in zip(plain, traced, strict=True)
    ]
    return _told(statistics.fmean(ratios), half_width(ratios))


#: What a round has found: by the kind of a call the times of some, without
#: and with, of calls that were made next to each other.
Pairs = Mapping[str, Sequence[tuple[float, float]]]


def of_pairs(rounds: Sequence[Pairs]) -> dict[str, Any]:
    """Return the same by pairs of calls.

    Of each kind of call the mean of the middle half of the differences, so
    that what happens to one of a pair alone does not count; a kind weighs
    what its calls take. How far that is off is found by leaving out one round
    after the other (Tukey's jackknife).
    """
    whole = _of_pairs(rounds)
    count = len(rounds)
    if count < 2:
        return _told(whole, math.inf)
    parts = [
        count * whole
        - (count - 1) * _of_pairs([*rounds[:left], *rounds[left + 1 :]])
        for left in range(count)
    ]
    return _told(whole, half_width(parts))


def _of_pairs(rounds: Sequence[Pairs]) -> float:
    kinds: dict[str, list[tuple[float, float]]] = collections.defaultdict(list)
    for one in rounds:
        for kind, pairs in one.items():
            kinds[kind] += pairs
    without = with_us = 0.0
    for pairs in kinds.values():
        usual = _middle([plain for plain, _traced in pairs])
        more = _middle([traced - plain for plain, traced in pairs])
        without += usual * len(pairs)
        with_us += (usual + more) * len(pairs)
    # Of rounds that have no kind in common nothing is known.
    return math.log(with_us / without) if kinds else math.nan


def _middle(values: Sequence[float]) -> float:
    out = len(values) // 4
    return statistics.fmean(sorted(values)[out : len(values) - out])


def _told(logarithm: float, off: float) -> dict[str, Any]:
    return {
        'percent': _percent(logarithm),
        'low': _percent(logarithm - off),
        'high': _percent(logarithm + off),
        'off': 100 * off,
    }


def _percent(logarithm: float) -> float:
    return 100 * math.expm1(logarithm) if logarithm < math.inf else math.inf

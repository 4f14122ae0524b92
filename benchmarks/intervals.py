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
    mean, off = statistics.fmean(ratios), half_width(ratios)
    return {
        'percent': _percent(mean),
        'low': _percent(mean - off),
        'high': _percent(mean + off),
        'off': 100 * off,
    }


def _percent(logarithm: float) -> float:
    return 100 * math.expm1(logarithm) if logarithm < math.inf else math.inf

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

"""What a Jaeger remote-sampling server answers.

``sampling.proto`` of jaeger-idl in the JSON of Protocol Buffers 3: what is
zero may be left out, an enumeration is a number or a name, a number may be
in quotes. An answer is good as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
import math
from typing import Any
from typing import Final

#: Operations of an answer at the most; Jaeger's own clients keep as many.
MAX_OPERATIONS: Final = 2000

_TYPES: Final = ('PROBABILISTIC', 'RATE_LIMITING')
_MAX_INT32: Final = 2**31 - 1
_MAX_SHOWN: Final = 64


class Refused(ValueError):
    """An answer cannot be used; says why."""


@dataclasses.dataclass(frozen=True)
class Strategy:
    """How to decide on the traces that start in a service.

    :ivar ratio: share of them, from 0 to 1; None where only a rate counts.
    :ivar per_second: how many at the most, where there is no ratio.
    :ivar operations: the shares of single operations, by name.
    :ivar at_least: of each operation so many a second are recorded,
        whatever its share ("guaranteed throughput").
    """

    ratio: float | None = None
    per_second: float = 0.0
    operations: Mapping[str, float] = dataclasses.field(default_factory=dict)
    at_least: float = 0.0

    def __str__(self) -> str:
        if self.ratio is None:
            return f'at most {self.per_second:g} traces a second'
        text = f'ratio {self.ratio:g}'
        if self.operations:
            text += f', {len(self.operations)} operations with their own'
        if self.at_least:
            text += f', at least {self.at_least:g} a second of each operation'
        return text


def parse(content: bytes) -> Strategy:
    """Read an answer.

    Which strategy is meant is told by what is there, first by
    ``operationSampling``, as sampling.proto recommends; ``strategyType``
    only tells the other two apart.

    :param content: the body of the response.
    :raises Refused: when any of it is not as it should be.
    """
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused('not JSON') from None
    if not isinstance(answer, dict):
        raise Refused('not a JSON object')
    kind = _kind(answer.get('strategyType'))
    by_ratio = _message(answer, 'probabilisticSampling')
    by_rate = _message(answer, 'rateLimitingSampling')
    by_operation = _message(answer, 'operationSampling')
    ratio = rate = strategy = None
    if by_ratio is not None:
        ratio = Strategy(_share(by_ratio, 'samplingRate'))
    if by_rate is not None:
        most = _number(by_rate, 'maxTracesPerSecond', _MAX_INT32)
        rate = Strategy(per_second=most)
    if by_operation is not None:
        strategy = _operations(by_operation)
    else:
        first, second = (ratio, rate) if kind == _TYPES[0] else (rate, ratio)
        strategy = first or second
    if strategy is None:
        raise Refused('there is no strategy in it')
    return strategy


def _operations(given: dict[str, Any]) -> Strategy:
    listed = given.get('perOperationStrategies')
    if listed is None:
        listed = []
    if not isinstance(listed, list):
        raise Refused('perOperationStrategies is not a list')
    if len(listed) > MAX_OPERATIONS:
        raise Refused(
            f'{len(listed)} operations, at most {MAX_OPERATIONS} are taken'
        )
    operations = {}
    for one in listed:
        if not isinstance(one, dict):
            raise Refused('an operation is not an object')
        name = one.get('operation')
        name = '' if name is None else name
        if not isinstance(name, str):
            raise Refused('the name of an operation is not a text')
        share = _message(one, 'probabilisticSampling')
        if share is None:
            raise Refused(
                f'operation {name[:_MAX_SHOWN]!a} has no probabilisticSampling'
            )
        operations[name] = _share(share, 'samplingRate')
    # Jaeger says that hardly any client heeds it, but a wrong one is wrong.
    _number(given, 'defaultUpperBoundTracesPerSecond', math.inf)
    return Strategy(
        _share(given, 'defaultSamplingProbability'),
        operations=operations,
        at_least=_number(
            given, 'defaultLowerBoundTracesPerSecond', _MAX_INT32
        ),
    )


def _kind(value: Any) -> str:
    if value is None:
        return _TYPES[0]
    if isinstance(value, str) and value in _TYPES:
        return value
    if type(value) is int and 0 <= value < len(_TYPES):
        return _TYPES[value]
    raise Refused('strategyType is none of those known')


def _message(given: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = given.get(name)
    if value is not None and not isinstance(value, dict):
        raise Refused(f'{name} is not an object')
    return value


def _share(given: dict[str, Any], name: str) -> float:
    return _number(given, name, 1.0)


def _number(given: dict[str, Any], name: str, most: float) -> float:
    value = given.get(name)
    if value is None:
        return 0.0
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
    except (ValueError, OverflowError):
        raise Refused(f'{name} is not a number') from None
    # What is not a number is not within bounds either.
    if not 0.0 <= number <= most or math.isinf(number):
        raise Refused(f'{name} is out of range')
    # Zero may have a sign.
    return number + 0.0

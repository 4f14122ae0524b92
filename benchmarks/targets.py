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

"""What was aimed at, and whether it was reached."""

from __future__ import annotations

from collections.abc import Callable
import statistics
from typing import Any
from typing import NamedTuple

from benchmarks import tables


class Target(NamedTuple):
    """One of them.

    :param benchmark: that measures it.
    :param title: what is measured.
    :param limit: of it.
    :param measured: takes it from what the benchmark has found.
    :param least: whether it shall be the limit at least, not at most.
    """

    benchmark: str
    title: str
    limit: float
    measured: Callable[[Any], float]
    least: bool = False


def _of(name: str, other: str) -> Callable[[Any], float]:
    """Compare what two variants add, by the median of the rounds."""

    def ratio(found: Any) -> float:
        pairs = zip(
            found[name]['added_us'], found[other]['added_us'], strict=True
        )
        return float(
            statistics.median(mine / theirs for mine, theirs in pairs)
        )

    return ratio


def _executed(name: str, other: str) -> Callable[[Any], float]:
    """Compare what two variants execute more."""
    return lambda found: (
        found[name]['instructions'] / found[other]['instructions']
    )


def _unevenness(found: Any) -> float:
    """Return how far from their median the costs of a span are at most."""
    costs: list[float] = [each['span_us']['ours'] for each in found]
    median = statistics.median(costs)
    return max(abs(cost / median - 1) for cost in costs)


def _slower(name: str) -> Callable[[Any], float]:
    return lambda found: found[name]['slowdown']['wall']['percent'] / 100


TARGETS = (
    Target(
        'request', 'all sampled, of the SDK floor', 0.4, _of('ours', 'floor')
    ),
    Target(
        'request',
        'all sampled, of the built-in tracing',
        0.3,
        _of('ours', 'built-in'),
    ),
    Target(
        'request',
        'all sampled, of the third-party instrumentors',
        0.3,
        _of('ours', 'third-party'),
    ),
    Target(
        'request', 'ratio 0, of the SDK floor', 0.05, _of('ours-0', 'floor')
    ),
    Target(
        'request',
        '1 % with ten rules, of the SDK floor',
        0.07,
        _of('ours-1%', 'floor'),
    ),
    *(
        Target(
            'instructions',
            f'instructions, {title}',
            limit,
            _executed(name, other),
        )
        for title, limit, name, other in (
            ('all sampled, of the SDK floor', 0.4, 'ours', 'floor'),
            ('of the built-in tracing', 0.3, 'ours', 'built-in'),
            ('of the third-party ones', 0.3, 'ours', 'third-party'),
        )
    ),
    Target(
        'calls',
        'disabled, added calls in a request',
        0,
        lambda found: found['ours-off']['calls'] - found['none']['calls'],
    ),
    Target(
        'scaling',
        'a span, 5 to 500 in a request: off the median by',
        0.15,
        _unevenness,
    ),
    Target(
        'threads',
        'a span, 1 to 32 threads: off the median by',
        0.15,
        _unevenness,
    ),
    Target(
        'exporter',
        'exporter alone, spans per CPU second, of the SDK',
        3,
        lambda found: found['ours']['times_the_sdk'],
        least=True,
    ),
    Target(
        'exporter',
        'exporter alone, gzip of uncompressed',
        1.1,
        lambda found: found['ours, gzip']['of_uncompressed'],
    ),
    Target(
        'exporter',
        'the same where isal is installed',
        1.1,
        lambda found: found['ours, gzip by isal']['of_uncompressed'],
    ),
    Target(
        'memory',
        'memory of a full queue, of the SDK',
        1 / 3,
        lambda found: found['ours']['bytes'] / found['SDK']['bytes'],
    ),
    Target(
        'start', 'import and setup(), ms', 20, lambda found: found['start_ms']
    ),
    Target(
        'start',
        "imported before a span ended: the exporter's client or grpc",
        0,
        lambda found: float(found['client_at_setup'] or found['grpc']),
    ),
    Target(
        'released',
        'slowdown of released services, all sampled',
        0.02,
        _slower('ours'),
    ),
    Target(
        'released',
        'slowdown of released services, ratio 0.01',
        0.005,
        _slower('ours-1%'),
    ),
)


def outcomes(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each target, with what was measured of it.

    :param found: by name of the benchmark what it has returned; a target
        whose benchmark was not run is neither met nor missed.
    """
    told = []
    for target in TARGETS:
        measured = met = None
        if target.benchmark in found:
            measured = target.measured(found[target.benchmark])
            met = (
                measured >= target.limit
                if target.least
                else measured <= target.limit
            )
        told.append(
            {
                'target': target.title,
                'benchmark': target.benchmark,
                'limit': target.limit,
                'least': target.least,
                'measured': measured,
                'met': met,
            }
        )
    return told


def show(told: list[dict[str, Any]]) -> str:
    """Return them as a table."""
    return tables.table(
        'Targets',
        ['', 'target', 'measured', ''],
        [
            [
                each['target'],
                f'{"at least" if each["least"] else "at most"} '
                f'{each["limit"]:.3g}',
                '-' if each['measured'] is None else f'{each["measured"]:.3g}',
                {True: 'met', False: 'not met', None: 'not measured'}[
                    each['met']
                ],
            ]
            for each in told
        ],
    )

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

"""How the runs of a borrowed suite went, and whether that is the same."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

from oslo_tracing.tests.borrowed import suites

Outcomes = dict[str, list[str]]


@dataclasses.dataclass
class Run:
    """How one run went.

    :ivar outcomes: of each test id; more than one where it ran twice, or
        failed twice.
    :ivar texts: what was said about a test that failed.
    :ivar tracing: what was recorded, None in a run without.
    :ivar died: why the run did not reach its end, if it did not.
    """

    outcomes: Outcomes = dataclasses.field(default_factory=dict)
    texts: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    tracing: dict[str, Any] | None = None
    died: str | None = None

    def summary(self) -> str:
        counts = collections.Counter(
            outcome.partition(':')[0]
            for outcomes in self.outcomes.values()
            for outcome in outcomes
        )
        told = ', '.join(f'{n} {name}' for name, n in sorted(counts.items()))
        return f'{told} in {self.seconds:.0f} s'


@dataclasses.dataclass
class Comparison:
    """Both runs of a suite, and where they differ.

    :ivar differences: the tests whose outcomes differ, each time.
    :ivar unstable: those that differed once.
    """

    suite: suites.Suite
    plain: Run
    traced: Run
    differences: list[str] = dataclasses.field(default_factory=list)
    unstable: list[str] = dataclasses.field(default_factory=list)

    def problems(self) -> list[str]:
        """Return why the suite does not count as behaving the same."""
        found = []
        for name, run in (('plain', self.plain), ('traced', self.traced)):
            if run.died is not None:
                found.append(f'the {name} run did not end: {run.died}')
        passed = list(self.plain.outcomes.values()).count(['ok'])
        if passed < self.suite.tests:
            found.append(
                f'{passed} tests passed without tracing, there must be '
                f'{self.suite.tests}'
            )
        found.extend(
            f'{test}: {self.plain.outcomes.get(test)} without tracing, '
            f'{self.traced.outcomes.get(test)} with it\n'
            f'{self.traced.texts.get(test) or self.plain.texts.get(test, "")}'
            for test in self.differences
            if test not in self.suite.expected
        )
        found.extend(
            f'{test} was expected to differ, and does not'
            for test in self.suite.expected
            if test not in self.differences
        )
        if self.traced.tracing is not None:
            found.extend(self._problems_of_tracing(self.traced.tracing))
        return found

    def _problems_of_tracing(self, tracing: dict[str, Any]) -> list[str]:
        spans = tracing['spans']
        left_open = {
            f'{test} left another span active': test
            for test in self.suite.leave_open
        }
        wanted = {'oslo_tracing.borrowed INTERNAL': self.suite.tests}
        wanted.update((name, 1) for name in self.suite.spans)
        return [
            *(said for said in tracing['wrong'] if said not in left_open),
            *(
                f'{test} was expected to leave a span active'
                for said, test in left_open.items()
                if said not in tracing['wrong']
            ),
            *(f'tracing failed while {said}' for said in tracing['guarded']),
            *(
                f'{spans.get(name, 0)} spans {name} were recorded'
                for name, least in wanted.items()
                if spans.get(name, 0) < least
            ),
        ]

    def report(self) -> str:
        """Return the figures, for people."""
        recorded = (self.traced.tracing or {}).get('spans', {})
        return '\n'.join(
            [
                f'{self.suite.package}',
                f'  without tracing: {self.plain.summary()}',
                f'  with it:         {self.traced.summary()}',
                *(f'  {n} spans {name}' for name, n in recorded.items()),
                *(f'  differed once: {test}' for test in self.unstable),
                *(
                    f'  differs: {test}: {self.suite.expected[test]}'
                    for test in self.suite.expected
                ),
            ]
        )

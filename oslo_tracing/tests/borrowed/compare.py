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

"""Compare a borrowed suite without tracing and with all of it.

``python -m oslo_tracing.tests.borrowed.compare [PACKAGE]...`` says how the
suites went and where they differ.
"""

from __future__ import annotations

from collections.abc import Mapping
import concurrent.futures
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from oslo_tracing.tests.borrowed import results
from oslo_tracing.tests.borrowed import suites

_RUN = 'oslo_tracing.tests.borrowed.run'

# What a caller says to our tests, to OpenTelemetry and to oslotest is not
# what he says to these.
_NOT_PASSED = ('OS_', 'OSLO_', 'OTEL_', 'TRANSPORT_')

_ALONE = 3


def _environment(home: pathlib.Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_NOT_PASSED)
    }
    return {
        **kept,
        'HOME': str(home),
        'TMPDIR': str(home),
        'PYTHONHASHSEED': '0',
        'OS_STDOUT_CAPTURE': '1',
        'OS_STDERR_CAPTURE': '1',
        'OS_TEST_TIMEOUT': '60',
    }


def _place(suite: suites.Suite, home: pathlib.Path) -> None:
    """Lay out what the tests expect in the directory that they run in."""
    if suite.data is None:
        return
    name, _slash, inside = suite.data.partition('/')
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    installed = pathlib.Path(spec.origin).parent
    shutil.copytree(installed / inside, home / suite.data)


def run(
    suite: suites.Suite,
    *,
    traced: bool,
    only: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> results.Run:
    """results.Run a suite in a process and a directory of its own.

    :param traced: with all of tracing.
    :param only: ids of tests, to run no others.
    :param environment: variables for the suite.
    """
    with tempfile.TemporaryDirectory(prefix='borrowed-') as directory:
        home = pathlib.Path(directory)
        _place(suite, home)
        written = home / 'results'
        command = [sys.executable, '-m', _RUN, suite.package, str(written)]
        if traced:
            command.append('--traced')
        if suite.through_filter:
            command.append('--through-filter')
        command.extend(f'--enable={option}' for option in suite.enable)
        if suite.loader is not None:
            command.append(f'--loader={suite.loader}')
        command.extend(f'--without={package}' for package in suite.without)
        command.extend(f'--only={test}' for test in only)
        died = None
        with open(home / 'output', 'w+') as output:
            try:
                done = subprocess.run(
                    command,
                    cwd=home,
                    env={**_environment(home), **(environment or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=suite.seconds,
                )
                died = f'exit status {done.returncode}'
            except subprocess.TimeoutExpired:
                died = f'not within {suite.seconds} s'
            output.seek(0)
            said = output.read()[-4000:]
        return _read(written, f'{died}\n{said}')


def _read(written: pathlib.Path, died: str) -> results.Run:
    found = results.Run(died=died)
    lines = written.read_text().splitlines() if written.exists() else []
    for line in lines:
        test = json.loads(line)
        if 'ended' in test:
            found.died = None
            found.seconds = test['seconds']
            found.tracing = test['tracing']
            continue
        found.outcomes.setdefault(test['id'], []).append(test['outcome'])
        if test['text']:
            found.texts[test['id']] = test['text']
    return found


def _differing(plain: results.Run, traced: results.Run) -> set[str]:
    return {
        test
        for test in {*plain.outcomes, *traced.outcomes}
        if plain.outcomes.get(test) != traced.outcomes.get(test)
    }


def compare(
    suite: suites.Suite, environment: Mapping[str, str] | None = None
) -> results.Comparison:
    """results.Run a suite both ways, and what differs again.

    Some of these tests depend on how busy the machine is. A difference is
    one that is there each time: in both of two pairs of whole runs, and,
    unless each of the two ways went the same both times, also in each of
    several pairs of runs of that test alone.

    :param environment: variables for the suite.
    """

    def both(*only: str) -> tuple[results.Run, results.Run]:
        # At the same time, so that both have the same load to work under.
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            plain, traced = pool.map(
                lambda traced: run(
                    suite, traced=traced, only=only, environment=environment
                ),
                (False, True),
            )
        return plain, traced

    plain, traced = both()
    found = results.Comparison(suite, plain, traced)
    differing = _differing(plain, traced)
    if not differing or plain.died or traced.died:
        found.differences = sorted(differing)
        return found
    pair = both()
    for test in sorted(differing):
        if test in _differing(*pair) and (
            _repeats(test, (plain, traced), pair)
            or all(_differing(*both(test)) for _ in range(_ALONE))
        ):
            found.differences.append(test)
        else:
            found.unstable.append(test)
    return found


def _repeats(
    test: str,
    one: tuple[results.Run, results.Run],
    other: tuple[results.Run, results.Run],
) -> bool:
    return all(
        before.outcomes.get(test) == after.outcomes.get(test)
        for before, after in zip(one, other, strict=True)
    )


def main() -> int:
    wanted = sys.argv[1:]
    found = [suites.find(name) for name in wanted] or suites.SUITES
    wrong = False
    for suite in found:
        missing = suite.missing()
        if missing:
            print(f'{suite.package}: not installed: {", ".join(missing)}')
            wrong = True
            continue
        comparison = compare(suite)
        print(comparison.report())
        for problem in comparison.problems():
            print(f'  PROBLEM: {problem}')
            wrong = True
    return int(wrong)


if __name__ == '__main__':
    sys.exit(main())

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

"""Run a borrowed suite once, with or without tracing, and say how it went.

It writes a JSON object a line: each test as it ends, and the run when all
have.

The name of this module is part of the environment: keystoneauth1 expects the
test runner's file to be called ``run.py``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pathlib
import re
import time
import traceback
from typing import Any
import unittest

from testtools import testsuite

# The line that names the exception, after the last frame's lines.
_RAISED = re.compile(r'^([A-Za-z_][\w.]*)(?::.*)?$', re.MULTILINE)


class Outcomes(unittest.TestResult):
    """Writes each outcome down as soon as it is known.

    :param write: takes what to write down.
    :param tracing: keeps a span active around each test, or None.
    """

    def __init__(self, write: Any, tracing: Any) -> None:
        super().__init__()
        self._write = write
        self._tracing = tracing
        self._begun = 0.0
        self.ended = 0

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self._begun = time.monotonic()
        if self._tracing is not None:
            self._tracing.enter(test)

    def stopTest(self, test: Any) -> None:
        if self._tracing is not None:
            self._tracing.leave(test)
        self.ended += 1
        super().stopTest(test)

    def addSuccess(self, test: Any, details: Any = None) -> None:
        self._note(test, 'ok')

    def addSkip(self, test: Any, reason: Any, details: Any = None) -> None:
        self._note(test, 'skip', str(reason))

    def addError(
        self, test: Any, err: Any = None, details: Any = None
    ) -> None:
        self._note_error(test, 'error', err, details)

    def addFailure(
        self, test: Any, err: Any = None, details: Any = None
    ) -> None:
        self._note_error(test, 'fail', err, details)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self._note_error(subtest, 'fail', err, None)

    def addExpectedFailure(
        self, test: Any, err: Any = None, details: Any = None
    ) -> None:
        self._note(test, 'expected failure')

    def addUnexpectedSuccess(self, test: Any, details: Any = None) -> None:
        self._note(test, 'unexpected success')

    def _note_error(
        self, test: Any, outcome: str, err: Any, details: Any
    ) -> None:
        if err is not None:
            text = ''.join(traceback.format_exception(*err))
        else:
            text = '\n'.join(
                content.as_text()
                for name, content in sorted(details.items())
                if name.startswith('traceback')
            )
        raised = _RAISED.findall(text)
        why = raised[-1].rpartition('.')[2] if raised else ''
        self._note(test, outcome, why, text)

    def _note(
        self, test: Any, outcome: str, why: str = '', text: str = ''
    ) -> None:
        self._write(
            {
                'id': test.id(),
                'outcome': f'{outcome}: {why}' if why else outcome,
                'text': text[-8000:],
                'seconds': round(time.monotonic() - self._begun, 3),
            }
        )


def load(name: str, without: list[str], only: list[str]) -> Any:
    """Discover the tests as their own runner does.

    :param name: the package that they are in.
    :param without: packages to leave out.
    :param only: ids of tests, to leave out all others.
    :raises RuntimeError: when a module cannot be imported.
    """
    package = importlib.import_module(name)
    start = pathlib.Path(str(package.__file__)).parent
    top = start.parents[name.count('.')]
    loader = unittest.TestLoader()
    found = loader.discover(str(start), top_level_dir=str(top))
    if loader.errors:
        raise RuntimeError('\n'.join(map(str, loader.errors)))
    wanted = {
        test.id()
        for test in testsuite.iterate_tests(found)
        if not test.id().startswith(tuple(f'{other}.' for other in without))
    }
    return testsuite.filter_by_ids(found, wanted & set(only or wanted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('package')
    parser.add_argument('results')
    parser.add_argument('--traced', action='store_true')
    parser.add_argument('--through-filter', action='store_true')
    parser.add_argument('--enable', action='append', default=[])
    parser.add_argument('--loader')
    parser.add_argument('--without', action='append', default=[])
    parser.add_argument('--only', action='append', default=[])
    arguments = parser.parse_args()

    descriptor = os.open(arguments.results, os.O_WRONLY | os.O_CREAT)

    def write(line: dict[str, Any]) -> None:
        # Not through a buffer, which the children of a test that forks
        # would write once more.
        os.write(descriptor, json.dumps(line).encode() + b'\n')

    # Some monkey patch; services do that before anything else, too.
    importlib.import_module(arguments.package)
    begun = time.monotonic()
    tracing = None
    if arguments.traced:
        # Nothing of it may be loaded in the other run.
        from oslo_tracing.tests.borrowed import traced

        tracing = traced.Traced(
            arguments.through_filter,
            dict.fromkeys(arguments.enable, True),
            arguments.loader,
        )
    outcomes = Outcomes(write, tracing)
    load(arguments.package, arguments.without, arguments.only).run(outcomes)
    write(
        {
            'ended': outcomes.ended,
            'seconds': round(time.monotonic() - begun, 3),
            'tracing': tracing.findings() if tracing is not None else None,
        }
    )
    # Threads that a test left behind are of no interest any more.
    os._exit(0)


if __name__ == '__main__':
    main()

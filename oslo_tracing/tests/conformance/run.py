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

"""Run the SDK's own tests of tracing once, on its provider or on ours.

It writes a JSON object a line, for each test as it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from opentelemetry.sdk import trace as sdk_trace
import pytest


class _Outcomes:
    """Writes each outcome down as soon as it is known."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != 'call' and report.outcome == 'passed':
            return
        line = {
            'test': report.nodeid,
            'outcome': report.outcome,
            'text': str(report.longrepr or '')[-4000:],
        }
        # Not through a buffer, which a test that forks would write again.
        os.write(self._file, json.dumps(line).encode() + b'\n')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', help='the unpacked source of the SDK')
    parser.add_argument('results')
    parser.add_argument('--ours', action='store_true')
    arguments = parser.parse_args()

    if arguments.ours:
        from oslo_tracing.tracer import provider

        # Before any test imports it.
        setattr(sdk_trace, 'TracerProvider', provider.Provider)
    os.chdir(arguments.source)
    sys.path.insert(0, arguments.source)
    status = pytest.main(
        [
            'tests/trace',
            *('--rootdir', arguments.source, '-p', 'no:cacheprovider'),
            *('-q', '--tb=short', '-c', os.devnull),
        ],
        plugins=[_Outcomes(arguments.results)],
    )
    # 1: some failed, which is for the caller to judge.
    return 0 if status in (0, 1) else int(status)


if __name__ == '__main__':
    sys.exit(main())

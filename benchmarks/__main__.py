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

"""Runs the benchmarks and prints their tables."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from typing import Any

from benchmarks import targets

#: In this order; each module has ``measure()`` and ``show()``.
_BENCHMARKS = (
    'request',
    'bytecodes',
    'volume',
    'scaling',
    'threads',
    'green',
    'calls',
    'exporter',
    'memory',
    'readers',
    'start',
)
#: Only by name: it needs what pip does not install.
_MORE = ('instructions',)


def _figures(path: str) -> Any:
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f'{path}: {error}') from None


def _writable(path: str) -> str:
    try:
        open(path, 'a').close()
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return path


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks', description=__doc__
    )
    parser.add_argument(
        'names',
        nargs='*',
        metavar='NAME',
        help=f'{", ".join(_BENCHMARKS)}; not run unless it is named: '
        f'{", ".join(_MORE)}',
    )
    parser.add_argument(
        '--json',
        metavar='FILE',
        type=_writable,
        help='write all figures there',
    )
    parser.add_argument(
        '--released',
        metavar='FILE',
        type=_figures,
        help='figures of benchmarks.released, for the table of targets',
    )
    wanted = parser.parse_args()
    unknown = set(wanted.names) - {*_BENCHMARKS, *_MORE}
    if unknown:
        parser.error(f'no such benchmark: {", ".join(sorted(unknown))}')
    found: dict[str, Any] = {}
    shown = []
    for name in wanted.names or _BENCHMARKS:
        module = importlib.import_module(f'benchmarks.{name}')
        began = time.monotonic()
        print(f'{name} ...', end=' ', file=sys.stderr, flush=True)
        found[name] = module.measure()
        print(f'{time.monotonic() - began:.0f} s', file=sys.stderr)
        shown.append(module.show(found[name]))
    if wanted.released:
        found['released'] = wanted.released
    found['targets'] = targets.outcomes(found)
    shown.append(targets.show(found['targets']))
    print('\n\n'.join(shown))
    if wanted.json:
        with open(wanted.json, 'w') as file:
            json.dump(found, file, indent=1)
    return 0


if __name__ == '__main__':
    sys.exit(main())

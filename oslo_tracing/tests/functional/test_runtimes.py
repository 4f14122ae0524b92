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

"""The tables of the docs: what survives which hand-off, in which runtime."""

from __future__ import annotations

from concurrent import futures
import json
import os
import pathlib
import subprocess
import sys

from oslo_tracing.tests import base
from oslo_tracing.tests.functional import runtimes

TABLES = (
    pathlib.Path(__file__).parents[3] / 'doc/source/user/hand-offs-tables.inc'
)
RUNTIMES = ('threads', 'eventlet', 'asyncio')
STORES = ('thread', 'contextvars')
ANSWERS = {'own': "the request's", 'none': 'None', 'other': "another's"}


def _measured(runtime, store):
    done = subprocess.run(
        [
            sys.executable,
            '-W',
            'ignore',
            '-m',
            runtimes.__name__,
            runtime,
            store,
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        raise AssertionError(done.stderr[-4000:])
    return json.loads(done.stdout)


def _table(heads, rows):
    lines = ['.. list-table::', '   :header-rows: 1', '']
    for row in (heads, *rows):
        for number, cell in enumerate(row):
            lines.append(f'   {"-" if number else "*"} - {cell}')
    return '\n'.join(line.replace('   - -', '     -') for line in lines)


class RuntimesTest(base.TestCase):
    def test_the_tables_of_the_docs_are_so(self):
        pairs = [(r, s) for r in RUNTIMES for s in STORES]
        with futures.ThreadPoolExecutor(2) as pool:
            found = dict(
                zip(
                    pairs,
                    pool.map(_measured, *zip(*pairs, strict=True)),
                    strict=True,
                )
            )
        wrong = {
            (*pair, name): told
            for pair, primitives in found.items()
            for name, told in primitives.items()
            if told['wrong']
            or told['leaks']
            or told['requests'] != runtimes.REQUESTS
            or (
                pair[1] == 'contextvars'
                and (told['context'] != 'own' or told['context_leaks'])
            )
        }
        self.assertEqual({}, wrong)
        text = self._tables(found)
        if os.environ.get('OSLO_TRACING_WRITE_TABLES'):
            TABLES.write_text(text)
        self.assertEqual(TABLES.read_text(), text)

    def _tables(self, found):
        names = list(
            dict.fromkeys(name for one in found.values() for name in one)
        )
        kept, contexts = [], []
        for name in names:
            cells = []
            for runtime in RUNTIMES:
                told = found[runtime, 'thread'].get(name)
                cells.append('n/a' if told is None else 'kept')
            kept.append([f'``{name}``', *cells])
            cells = []
            for pair in found:
                told = found[pair].get(name)
                cells.append(
                    'n/a' if told is None else ANSWERS[told['context']]
                )
            contexts.append([f'``{name}``', *cells])
        return '\n'.join(
            (
                '.. Written by oslo_tracing/tests/functional/test_runtimes.py',
                '',
                'The trace:',
                '',
                _table(
                    [
                        'Handed over by',
                        'threads',
                        'eventlet, patched',
                        'asyncio',
                    ],
                    kept,
                ),
                '',
                '``get_current()`` of oslo.context, with either value of',
                '``context_store``:',
                '',
                _table(
                    [
                        'Handed over by',
                        *(
                            f'{runtime}, ``{store}``'
                            for runtime, store in found
                        ),
                    ],
                    contexts,
                ),
                '',
            )
        )

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

"""A fresh process of one variant, which does what it is told.

``python -m benchmarks.worker VARIANT SINK [green] [counted] [stepped]``. A
line of JSON on standard input asks for work: ``what`` and ``count`` of
requests, ``threads`` and ``statements``. The answer has its CPU time in
seconds: of all threads, with everything exported; or, counted, calls of Python
functions; or, stepped, those of all threads and the bytecodes that they
execute. Where work is ``metered``, Valgrind's callgrind counts what it
executes: the process has to run under it.
"""

from __future__ import annotations

import functools
import gc
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

from benchmarks import counting


def _patch() -> None:
    import eventlet

    eventlet.monkey_patch()


def main(variant: str, sink: str, *how: str) -> None:
    """Set up, say so, work until standard input ends."""
    green = 'green' in how
    if green:
        _patch()
    counter = counting.Counter() if 'counted' in how else None
    steps = counting.Steps() if 'stepped' in how else None
    from oslo_config import cfg
    from oslo_log import log as oslo_log

    from benchmarks import variants

    wanted = '%(name)s [%(trace_id)s] %(message)s'
    # Whoever does not trace has no use for the ids.
    if not variant.startswith('ours') or variant == 'ours-off':
        wanted = '%(name)s %(message)s'
    logging.basicConfig(filename=os.devnull, format=wanted, level=logging.INFO)
    conf = cfg.CONF
    oslo_log.register_options(conf)
    conf([], project='benchmark', default_config_files=[])
    made_of = {**variants.VARIANTS, **variants.VOLUMES}[variant]
    ready = made_of(f'{sink}/{variant}')
    with tempfile.TemporaryDirectory() as directory:
        made: Any = ready.make(
            conf, sink, os.path.join(directory, 'benchmark'), not green
        )
        print('ready', flush=True)
        for line in sys.stdin:
            if counter is not None:
                answer = _counted(made, counter, line)
            elif steps is not None:
                answer = steps.of(
                    functools.partial(_measured, made, ready.flush, line)
                )
            else:
                answer = _measured(made, ready.flush, line)
            print(json.dumps(answer), flush=True)
    # The servers' threads have nothing to say any more.
    os._exit(0)


def _measured(made: Any, flush: Any, line: str) -> dict[str, Any]:
    asked = json.loads(line)
    work = made.boot
    if asked['what'] == 'statements':
        path = f'/v2.1/statements/{asked["statements"]}'
        work = functools.partial(made.ask, path)
    elif asked['what'] == 'volume':
        work = functools.partial(made.ask, '/v2.1/volume')
    gc.collect()
    metered = asked.get('metered', False)
    if metered:
        _meter('on')
    began, wall = time.process_time(), time.monotonic()
    _run(work, asked['count'], asked.get('threads', 1))
    made.wait()
    flush()
    if metered:
        _meter('off')
    return {
        'cpu': time.process_time() - began,
        'wall': time.monotonic() - wall,
    }


def _meter(state: str) -> None:
    subprocess.run(  # noqa: S603 - nobody else says what is run
        ['callgrind_control', '-i', state, str(os.getpid())],  # noqa: S607
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _counted(made: Any, counter: counting.Counter, line: str) -> Any:
    found = []
    for _ in range(json.loads(line)['count']):
        found.append(counter.of(made.boot))
        made.wait()
    # The first ones make what is made once.
    return {
        what: min(one[what] for one in found) for what in ('calls', 'ours')
    }


def _run(work: Any, count: int, threads: int) -> None:
    def share() -> None:
        for _ in range(count // threads):
            work()

    if threads == 1:
        share()
        return
    begun = [threading.Thread(target=share) for _ in range(threads)]
    for thread in begun:
        thread.start()
    for thread in begun:
        thread.join()


if __name__ == '__main__':
    main(*sys.argv[1:])

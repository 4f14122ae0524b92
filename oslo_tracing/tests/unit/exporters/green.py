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

"""The exporter's thread beside a hub of eventlet, with real receivers.

A program: ``python -m oslo_tracing.tests.unit.exporters.green PROTOCOL
ENDPOINT CA_FILE TIMEOUT SECONDS`` exports in a process that eventlet has
patched, until 20 spans have arrived or it took so many seconds. It prints, as
JSON, what the exporter's thread called of eventlet and for whom, how long the
hub stood still at most, and what was counted.
"""

from __future__ import annotations

import sys

if __name__ == '__main__':
    import eventlet

    eventlet.monkey_patch()

import itertools
import json
import os
import threading
import time


def main(protocol, endpoint, ca_file, timeout, seconds):
    from oslo_tracing import _real
    from oslo_tracing import exporters
    from oslo_tracing.tests.unit.exporters import support

    called = set()
    ours = os.path.dirname(eventlet.__file__)
    # A lock of theirs is used by one of Python's for somebody.
    between = (ours, threading.__file__)

    def profile(frame, event, _argument):
        name = frame.f_code.co_filename
        if event == 'call' and name.startswith(ours):
            caller = frame.f_back
            while caller and caller.f_code.co_filename.startswith(between):
                caller = caller.f_back
            called.add(
                f'{name[len(ours) + 1 :]}:{frame.f_code.co_name} for '
                + (
                    f'{caller.f_globals["__name__"]}.{caller.f_code.co_name}'
                    if caller
                    else '-'
                )
            )

    pipeline = exporters.build(
        support.settings(
            exporters=['otlp'],
            otlp_protocol=protocol,
            otlp_endpoint=endpoint,
            otlp_ca_file=ca_file or None,
            otlp_timeout=float(timeout),
            max_queue_size=100,
            max_export_batch_size=10,
            schedule_delay=0.01,
            shutdown_timeout=1.0,
        ),
        support.resource,
    )
    tracing = support.Tracer(pipeline)
    tracing.setUp()
    beats = [time.monotonic()]

    def beat():
        while True:
            eventlet.sleep(0.002)
            beats.append(time.monotonic())

    heart = eventlet.spawn(beat)
    # Threads that are started from now on: the exporter's.
    _real.threading_module().setprofile(profile)
    begun = time.monotonic()
    while time.monotonic() - begun < float(seconds):
        tracing.end(1)
        eventlet.sleep(0.005)
        if sum(pipeline.stats.snapshot()['exported'].values()) >= 20:
            break
    heart.kill()
    _real.threading_module().setprofile(None)
    print(
        json.dumps(
            {
                'called': sorted(called),
                'stall': max(b - a for a, b in itertools.pairwise(beats)),
                'beats': len(beats),
                **pipeline.stats.snapshot(),
            }
        )
    )
    tracing.cleanUp()


if __name__ == '__main__':
    main(*sys.argv[1:])

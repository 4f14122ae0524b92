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

"""What the traces of the demo must look like, or it has failed."""

from __future__ import annotations

from oslo_tracing.report import model

BOOT = 'boot'
FAILING = 'failing boot'
STREAMING = 'console'

#: Spans that each trace must have: name, and how often at least.
EXPECTED: dict[str, dict[str, int]] = {
    BOOT: {
        'boot a server': 1,
        'POST compute': 1,
        'POST /v2.1/servers': 1,
        'INSERT servers': 1,
        'COMMIT': 3,
        'GET block-storage': 1,
        'GET /volumes': 1,
        'SELECT volumes': 1,
        # Asking and answering.
        'conductor/build': 2,
        'claim resources': 1,
        'UPDATE servers': 1,
        'send compute.instance.create.end': 1,
        'process compute.instance.create.end': 1,
        'INSERT actions': 1,
        'conductor/update_cache': 2,
        'SELECT servers': 1,
    },
    FAILING: {
        'POST compute': 1,
        'POST /v2.1/servers': 1,
        'conductor/build': 2,
        'claim resources': 1,
    },
    STREAMING: {
        'GET compute': 1,
        'GET /v2.1/servers/{server_id}/console': 1,
        'GET block-storage': 1,
        'GET /logs/{server_id}': 1,
        'read state': 1,
        'SELECT servers': 1,
    },
}

MINIMUM = 14


def faults(what: str, found: list[model.Trace], broker: bool) -> list[str]:
    """Return what is wrong with a trace, in words.

    :param what: which request it is of, a key of ``EXPECTED``.
    :param found: the traces that its id led to.
    :param broker: whether the conductor is a process of its own.
    """
    if len(found) != 1:
        return [f'{what}: {len(found)} traces instead of one']
    (trace,) = found
    wrong = []
    if not trace.is_one_tree():
        wrong.append(f'{what}: not one tree')
    names = [span.name for span in trace.spans]
    for name, times in EXPECTED[what].items():
        if names.count(name) < times:
            wrong.append(f'{what}: {names.count(name)} of {times} {name!r}')
    if what == BOOT:
        processes = {
            span.resource.attributes.get('process.pid') for span in trace.spans
        }
        if len(trace.spans) < MINIMUM:
            wrong.append(f'{what}: only {len(trace.spans)} spans')
        if len(processes) < (4 if broker else 3):
            wrong.append(f'{what}: only {len(processes)} processes')
    failed = {span.name for span in trace.errors}
    if what == FAILING:
        expected = {'POST compute', 'POST /v2.1/servers', 'conductor/build'}
        if not expected <= failed:
            wrong.append(f'{what}: errors only in {sorted(failed)}')
    elif failed:
        wrong.append(f'{what}: errors in {sorted(failed)}')
    return wrong

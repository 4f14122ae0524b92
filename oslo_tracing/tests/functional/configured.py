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

"""The collector configurations that we hand out, changed for a test."""

from __future__ import annotations

import json
import pathlib
import time
from urllib import request

import yaml

from oslo_tracing.tests import base
from oslo_tracing.tests.functional import collectors

FILES = pathlib.Path(__file__).parents[3] / 'etc/oslo.tracing/collector'
FERNET = 'gAAAAABnT0k3nLongEnoughToBeAToken0123456789abcdefABCDEF'
SECRET = 'S3CRET'
#: What a gateway has to take out.
SECRETS = {
    'http.request.header.authorization': f'Bearer {SECRET}',
    'http.request.header.x-auth-token': SECRET,
    'db.password': SECRET,
    'aws.secret_access_key': SECRET,
    'url.full': f'https://user:{SECRET}@host/v1/a?x=1',
    'http.url': f'http://host/?temp_url_sig={SECRET}&x=1',
    'note': f'logged in by {FERNET}',
}
_SECOND = 10**9


def load(name):
    return yaml.safe_load((FILES / name).read_text())


def _attributes(values):
    return [
        {'key': key, 'value': {'stringValue': value}}
        for key, value in values.items()
    ]


def document(number, seconds=0.1, failed=False, parts=(0, 1), **attributes):
    """One trace of two spans, or one part of it."""
    begun = time.time_ns() - 20 * _SECOND
    spans = []
    for part in parts:
        span = {
            'traceId': f'{number:032x}',
            'spanId': f'{number * 2 + part:016x}',
            'name': f'trace {number}',
            'kind': 2,
            'startTimeUnixNano': str(begun),
            'endTimeUnixNano': str(begun + int(seconds * _SECOND)),
            'attributes': _attributes(attributes.get('span', {})),
            'events': [
                {
                    'timeUnixNano': str(begun),
                    'name': 'said',
                    'attributes': _attributes(attributes.get('event', {})),
                }
            ],
            'status': {'code': 2 if failed and part else 0},
        }
        if part:
            span['parentSpanId'] = f'{number * 2:016x}'
        spans.append(span)
    return {
        'resourceSpans': [
            {
                'resource': {
                    'attributes': _attributes(
                        {
                            'service.name': 'others',
                            **attributes.get('resource', {}),
                        }
                    )
                },
                'scopeSpans': [{'scope': {'name': 'x'}, 'spans': spans}],
            }
        ]
    }


def send(collector, document):
    asked = request.Request(
        collector.url('otlp', '/v1/traces'),
        json.dumps(document).encode(),
        {'Content-Type': 'application/json'},
    )
    with request.urlopen(asked, timeout=60) as answer:
        assert answer.status == 200


def decide_soon(made):
    """Have a gateway decide soon, and nothing by chance."""
    tail = made['processors']['tail_sampling']
    tail['decision_wait'] = '3s'
    for policy in tail['policies']:
        if policy['type'] == 'probabilistic':
            # One in a thousand would now and then be one of ours.
            policy['probabilistic']['sampling_percentage'] = 0


class ConfiguredTestCase(base.TestCase):
    """Its collectors are stopped when the test ends."""

    def setUp(self):
        super().setUp()
        self.program = collectors.find(
            self, 'COLLECTOR', 'collector', 'otelcol-contrib'
        )

    def collector(self, name, change):
        """Run a file that we hand out, on ports that nobody else has."""

        def make(collector):
            made = load(name)
            made.pop('extensions', None)
            made['service'].pop('extensions', None)
            change(made, collector)
            return made

        return self.useFixture(collectors.Collector(self.program, make))

    def until(self, condition):
        deadline = time.monotonic() + 240
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

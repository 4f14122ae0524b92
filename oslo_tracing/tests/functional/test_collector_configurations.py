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

"""The collector configurations that we hand out, in a real collector."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import time
from urllib import request

import fixtures
import yaml

from oslo_tracing.tests import base
from oslo_tracing.tests.functional import collectors

_FILES = pathlib.Path(__file__).parents[3] / 'etc/oslo.tracing/collector'
_ENVIRONMENT = {
    'TRACING_GATEWAYS': 'gateways.example.com',
    'TRACING_KAFKA': '127.0.0.1:9092',
    'TRACING_STORE': 'http://127.0.0.1:4317',
}
_SECOND = 10**9
_FERNET = 'gAAAAABnT0k3nLongEnoughToBeAToken0123456789abcdefABCDEF'
_SECRET = 'S3CRET'


def _load(name):
    return yaml.safe_load((_FILES / name).read_text())


def _attributes(values):
    return [
        {'key': key, 'value': {'stringValue': value}}
        for key, value in values.items()
    ]


def _document(number, seconds=0.1, failed=False, parts=(0, 1), **attributes):
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


def _send(collector, document):
    asked = request.Request(
        collector.url('otlp', '/v1/traces'),
        json.dumps(document).encode(),
        {'Content-Type': 'application/json'},
    )
    with request.urlopen(asked, timeout=60) as answer:
        assert answer.status == 200


class ConfigurationsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.program = collectors.find(
            self, 'COLLECTOR', 'collector', 'otelcol-contrib'
        )

    def _collector(self, name, change):
        """Run a file that we hand out, on ports that nobody else has."""

        def make(collector):
            made = _load(name)
            made.pop('extensions', None)
            made['service'].pop('extensions', None)
            change(made, collector)
            return made

        return self.useFixture(collectors.Collector(self.program, make))

    def _gateway(self, name='gateway.yaml'):
        def change(made, collector):
            made['receivers'] = {
                'otlp': {
                    'protocols': {
                        'grpc': {'endpoint': collector.address('grpc')},
                        'http': {'endpoint': collector.address('otlp')},
                    }
                }
            }
            made['exporters'] = {'file': {'path': collector.path('out.jsonl')}}
            traces = made['service']['pipelines']['traces']
            traces['receivers'] = ['otlp']
            traces['exporters'] = ['file']
            tail = made['processors']['tail_sampling']
            tail['decision_wait'] = '3s'
            for policy in tail['policies']:
                if policy['type'] == 'probabilistic':
                    # One in a thousand would now and then be one of ours.
                    policy['probabilistic']['sampling_percentage'] = 0

        return self._collector(name, change)

    def _agent(self, gateway):
        def change(made, collector):
            protocols = made['receivers']['otlp']['protocols']
            protocols['http']['endpoint'] = collector.address('otlp')
            made['exporters']['loadbalancing']['resolver'] = {
                'static': {'hostnames': [gateway.address('grpc')]}
            }

        return self._collector('agent.yaml', change)

    def _until(self, condition):
        deadline = time.monotonic() + 120
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def test_the_collector_finds_nothing_wrong_with_any(self):
        names = sorted(path.name for path in _FILES.glob('*.yaml'))
        names.remove('kubernetes.yaml')
        self.assertIn('gateway-kafka.yaml', names)
        for name in names:
            done = subprocess.run(
                [self.program, 'validate', '--config', _FILES / name],
                env={**os.environ, **_ENVIRONMENT},
                capture_output=True,
                text=True,
                timeout=120,
            )
            self.assertEqual(0, done.returncode, name + done.stderr)

    def test_validate_does_find_what_is_wrong(self):
        path = self.useFixture(fixtures.TempDir()).join('x.yaml')
        text = (_FILES / 'gateway.yaml').read_text()
        with open(path, 'w') as stream:
            stream.write(text.replace('decision_wait:', 'decision_weight:'))
        done = subprocess.run(
            [self.program, 'validate', '--config', path],
            env={**os.environ, **_ENVIRONMENT},
            capture_output=True,
            timeout=120,
        )
        self.assertNotEqual(0, done.returncode)

    def test_what_failed_and_what_was_slow_is_kept_whole(self):
        gateway = self._gateway()
        agent = self._agent(gateway)
        failed, slow, others = range(1, 6), range(6, 11), range(11, 61)
        for number in others:
            _send(agent, _document(number))
        # The parts of a trace come from services that do not wait for each
        # other.
        for part in (1, 0):
            for number in failed:
                _send(agent, _document(number, failed=True, parts=(part,)))
            for number in slow:
                _send(agent, _document(number, seconds=6, parts=(part,)))
        wanted = {
            f'{number * 2 + part:016x}'
            for number in (*failed, *slow)
            for part in (0, 1)
        }
        self._until(lambda: len(gateway.written()) >= len(wanted))
        # All others were decided no later than the last of these.
        _send(agent, _document(99, failed=True))
        self._until(lambda: len(gateway.written()) >= len(wanted) + 2)
        found = {span['name'] for span in gateway.written().values()}
        self.assertEqual(
            {f'trace {number}' for number in (*failed, *slow, 99)}, found
        )

    def test_no_secret_reaches_the_store(self):
        for name in ('gateway.yaml', 'one-machine.yaml', 'gateway-kafka.yaml'):
            gateway = self._gateway(name)
            secrets = {
                'http.request.header.authorization': f'Bearer {_SECRET}',
                'http.request.header.x-auth-token': _SECRET,
                'db.password': _SECRET,
                'aws.secret_access_key': _SECRET,
                'url.full': f'https://user:{_SECRET}@host/v1/a?x=1',
                'http.url': f'http://host/?temp_url_sig={_SECRET}&x=1',
                'note': f'logged in by {_FERNET}',
            }
            plain = {'http.route': '/v2.1/servers', 'token_count': '7'}
            _send(
                gateway,
                _document(
                    1,
                    failed=True,
                    span={**secrets, **plain},
                    event=secrets,
                    resource=secrets,
                ),
            )
            self._until(lambda to=gateway: len(to.written()) == 2)
            with open(gateway.path('out.jsonl')) as stream:
                text = stream.read()
            self.assertNotIn(_SECRET, text, name)
            self.assertNotIn(_FERNET, text, name)
            for key, value in plain.items():
                self.assertIn(key, text)
                self.assertIn(f'"{value}"', text)

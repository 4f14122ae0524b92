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

import os
import subprocess

import fixtures

from oslo_tracing.tests.functional import configured

_ENVIRONMENT = {
    'TRACING_GATEWAYS': 'gateways.example.com',
    'TRACING_KAFKA': '127.0.0.1:9092',
    'TRACING_STORE': 'http://127.0.0.1:4317',
}


class ConfigurationsTest(configured.ConfiguredTestCase):
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
            configured.decide_soon(made)

        return self.collector(name, change)

    def _agent(self, gateway):
        def change(made, collector):
            protocols = made['receivers']['otlp']['protocols']
            protocols['http']['endpoint'] = collector.address('otlp')
            made['exporters']['loadbalancing']['resolver'] = {
                'static': {'hostnames': [gateway.address('grpc')]}
            }

        return self.collector('agent.yaml', change)

    def test_the_collector_finds_nothing_wrong_with_any(self):
        names = sorted(
            path.name
            for path in configured.FILES.glob('*.yaml')
            # They are for Kubernetes.
            if not path.name.startswith('kubernetes')
        )
        self.assertIn('gateway-kafka.yaml', names)
        for name in names:
            done = subprocess.run(
                [
                    self.program,
                    'validate',
                    '--config',
                    configured.FILES / name,
                ],
                env={**os.environ, **_ENVIRONMENT},
                capture_output=True,
                text=True,
                timeout=120,
            )
            self.assertEqual(0, done.returncode, name + done.stderr)

    def test_validate_does_find_what_is_wrong(self):
        path = self.useFixture(fixtures.TempDir()).join('x.yaml')
        text = (configured.FILES / 'gateway.yaml').read_text()
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
            configured.send(agent, configured.document(number))
        # The parts of a trace come from services that do not wait for each
        # other.
        for part in (1, 0):
            for number in failed:
                configured.send(
                    agent,
                    configured.document(number, failed=True, parts=(part,)),
                )
            for number in slow:
                configured.send(
                    agent,
                    configured.document(number, seconds=6, parts=(part,)),
                )
        wanted = {
            f'{number * 2 + part:016x}'
            for number in (*failed, *slow)
            for part in (0, 1)
        }
        self.until(lambda: len(gateway.written()) >= len(wanted))
        # All others were decided no later than the last of these.
        configured.send(agent, configured.document(99, failed=True))
        self.until(lambda: len(gateway.written()) >= len(wanted) + 2)
        found = {span['name'] for span in gateway.written().values()}
        self.assertEqual(
            {f'trace {number}' for number in (*failed, *slow, 99)}, found
        )

    def test_no_secret_reaches_the_store(self):
        for name in ('gateway.yaml', 'one-machine.yaml', 'gateway-kafka.yaml'):
            gateway = self._gateway(name)
            plain = {'http.route': '/v2.1/servers', 'token_count': '7'}
            configured.send(
                gateway,
                configured.document(
                    1,
                    failed=True,
                    span={**configured.SECRETS, **plain},
                    event=configured.SECRETS,
                    resource=configured.SECRETS,
                ),
            )
            self.until(lambda to=gateway: len(to.written()) == 2)
            with open(gateway.path('out.jsonl')) as stream:
                text = stream.read()
            self.assertNotIn(configured.SECRET, text, name)
            self.assertNotIn(configured.FERNET, text, name)
            for key, value in plain.items():
                self.assertIn(key, text)
                self.assertIn(f'"{value}"', text)

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

"""The configurations with Kafka between, with a real Kafka between."""

from __future__ import annotations

from oslo_tracing.tests.functional import configured
from oslo_tracing.tests.functional import kafka


def _ids(numbers):
    """Return the ids of the spans of whole traces."""
    return {
        f'{number * 2 + part:016x}' for number in numbers for part in (0, 1)
    }


class KafkaTest(configured.ConfiguredTestCase):
    def setUp(self):
        super().setUp()
        self.kafka = self.useFixture(kafka.Kafka(kafka.find(self)))

    def _agent(self):
        def change(made, collector):
            protocols = made['receivers']['otlp']['protocols']
            protocols['http']['endpoint'] = collector.address('otlp')
            made['processors']['batch']['timeout'] = '100ms'
            made['exporters']['kafka']['brokers'] = [self.kafka.address]

        return self.collector('agent-kafka.yaml', change)

    def _gateway(
        self,
    ):
        def change(made, collector):
            receiver = made['receivers']['kafka']
            receiver['brokers'] = [self.kafka.address]
            # A busy machine is not a gateway that has gone.
            receiver['session_timeout'] = '100s'
            made['processors']['batch']['timeout'] = '100ms'
            made['exporters'] = {'file': {'path': collector.path('out.jsonl')}}
            made['service']['pipelines']['traces']['exporters'] = ['file']
            configured.decide_soon(made)

        return self.collector('gateway-kafka.yaml', change)

    def _reader(self):
        """Run somebody else who wants the spans, all of them."""

        def change(made, collector):
            receiver = made['receivers']['kafka']
            receiver['brokers'] = [self.kafka.address]
            receiver['group_id'] = 'others'
            receiver['session_timeout'] = '100s'
            made['processors'] = {}
            made['exporters'] = {'file': {'path': collector.path('out.jsonl')}}
            made['service']['pipelines']['traces'] = {
                'receivers': ['kafka'],
                'exporters': ['file'],
            }

        return self.collector('gateway-kafka.yaml', change)

    def test_what_came_before_the_gateway_waits_for_it(self):
        agent = self._agent()
        failed, slow, others = range(1, 6), range(6, 11), range(11, 61)
        for number in others:
            configured.send(agent, configured.document(number))
        # The parts of a trace come from services that do not wait for each
        # other.
        for part in (1, 0):
            for number in failed:
                document = configured.document(
                    number,
                    failed=True,
                    parts=(part,),
                    span=configured.SECRETS,
                    event=configured.SECRETS,
                    resource=configured.SECRETS,
                )
                configured.send(agent, document)
            for number in slow:
                document = configured.document(
                    number, seconds=6, parts=(part,)
                )
                configured.send(agent, document)
        reader = self._reader()
        sent = _ids((*failed, *slow, *others))
        self.until(lambda: set(reader.written()) == sent)
        gateway = self._gateway()
        wanted = _ids((*failed, *slow))
        self.until(lambda: wanted <= set(gateway.written()))
        # It decides on what it has not decided yet.
        gateway.stop()
        self.assertEqual(wanted, set(gateway.written()))
        with open(gateway.path('out.jsonl')) as stream:
            text = stream.read()
        self.assertNotIn(configured.SECRET, text)
        self.assertNotIn(configured.FERNET, text)

    def test_one_gateway_has_all_of_a_trace(self):
        agent = self._agent()
        first, second = self._gateway(), self._gateway()
        number = 1000

        def both_have_a_share():
            nonlocal number
            number += 1
            configured.send(agent, configured.document(number, failed=True))
            return first.written() and second.written()

        self.until(both_have_a_share)
        traces = range(1, 41)
        for part in (1, 0):
            for each in traces:
                document = configured.document(
                    each, failed=True, parts=(part,)
                )
                configured.send(agent, document)
        wanted = _ids(traces)
        self.until(lambda: wanted <= {*first.written(), *second.written()})
        shares = [
            {int(span, 16) // 2 for span in wanted & set(gateway.written())}
            for gateway in (first, second)
        ]
        self.assertEqual(set(), shares[0] & shares[1])
        self.assertNotIn(set(), shares)

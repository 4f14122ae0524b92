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

import json

from oslo_tracing.report import model
from oslo_tracing.report.render import otlp as render
from oslo_tracing.report.sources import otlp as source
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import maker


class OtlpTest(base.TestCase):
    def test_what_is_written_reads_the_same(self):
        make = maker.Maker()
        root = make.span(
            'POST \ud800',
            0,
            5,
            kind='SERVER',
            attributes={
                's': 'x',
                'i': 2**62,
                'f': 0.5,
                't': True,
                'none': None,
                'bytes': b'\xff\x00',
                'list': [1, 'a', [2]],
                'map': {'k': {'deep': 1}},
            },
            events=(model.Event('retry', 7, {'n': 1}),),
            links=(model.Link('c' * 32, 'd' * 16, {'why': 'batch'}),),
            status='ERROR',
            description='DBError',
            flags=3,
            trace_state='a=b',
            dropped=(1, 0, 2),
        )
        make.span('GET', 1, 2, root, service='glance')
        told = []

        read = [
            span
            for line in render.render(make.spans)
            for span in source.spans(json.loads(line), told.append)
        ]

        self.assertEqual([], told)
        self.assertEqual(len(make.spans), len(read))
        for before, after in zip(make.spans, read, strict=True):
            for field in model.Span.__slots__:
                if field not in ('resource', 'scope', 'events', 'links'):
                    self.assertEqual(
                        getattr(before, field), getattr(after, field), field
                    )
            self.assertEqual(before.service, after.service)
        self.assertEqual({'n': 1}, read[0].events[0].attributes)
        self.assertEqual('c' * 32, read[0].links[0].trace_id)
        self.assertEqual({'why': 'batch'}, read[0].links[0].attributes)

    def test_nothing_of_a_document_is_lost(self):
        document = {
            'resourceSpans': [
                {
                    'resource': {
                        'attributes': [_attribute('service.name', 'nova')],
                        'droppedAttributesCount': 1,
                    },
                    'scopeSpans': [
                        {
                            'scope': {
                                'name': 'x',
                                'version': '2',
                                'attributes': [_attribute('of', 'scope')],
                                'droppedAttributesCount': 2,
                            },
                            'spans': [_span()],
                            'schemaUrl': 'https://schemas/1.37.0',
                        }
                    ],
                    'schemaUrl': 'https://schemas/1.30.0',
                }
            ]
        }
        told = []

        (line,) = render.render(source.spans(document, told.append))

        self.assertEqual([], told)
        self.assertEqual(document, json.loads(line))


def _attribute(key, text):
    return {'key': key, 'value': {'stringValue': text}}


def _span():
    return {
        'traceId': 'a' * 32,
        'spanId': 'b' * 16,
        'parentSpanId': 'c' * 16,
        'traceState': 'v=1',
        'flags': 257,
        'name': 'work',
        'kind': 2,
        'startTimeUnixNano': '5',
        'endTimeUnixNano': '9',
        'attributes': [_attribute('of', 'span')],
        'droppedAttributesCount': 3,
        'events': [
            {
                'timeUnixNano': '7',
                'name': 'retry',
                'attributes': [_attribute('of', 'event')],
                'droppedAttributesCount': 4,
            }
        ],
        'droppedEventsCount': 5,
        'links': [
            {
                'traceId': 'd' * 32,
                'spanId': 'e' * 16,
                'traceState': 'w=2',
                'attributes': [_attribute('of', 'link')],
                'droppedAttributesCount': 6,
                'flags': 768,
            }
        ],
        'droppedLinksCount': 7,
        'status': {'code': 2, 'message': 'DBError'},
    }

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

import base64

from oslo_tracing.report.sources import _json
from oslo_tracing.report.sources import otlp
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import data


def _read(document):
    told = []
    return list(otlp.spans(document, told.append)), told


def _one(**fields):
    found, told = _read(data.document('nova', data.span(1, **fields)))
    return (found[0] if found else None), told


class SpansTest(base.TestCase):
    def test_every_field_is_read(self):
        (span,), told = _read(
            {
                'resourceSpans': [
                    {
                        'resource': {
                            'attributes': data.attributes(
                                {'service.name': 'nova', 'process.pid': 7}
                            ),
                            'droppedAttributesCount': 1,
                        },
                        'schemaUrl': 'x',
                        'scopeSpans': [
                            {
                                'scope': {'name': 'wsgi', 'version': '2'},
                                'schemaUrl': 'y',
                                'spans': [
                                    {
                                        'traceId': 'AB' * 16,
                                        'spanId': 'CD' * 8,
                                        'parentSpanId': 'EF' * 8,
                                        'traceState': 'a=b',
                                        'flags': 257,
                                        'name': 'GET',
                                        'kind': 2,
                                        'startTimeUnixNano': '5',
                                        'endTimeUnixNano': 9,
                                        'attributes': data.attributes(
                                            {'a': 'b'}
                                        ),
                                        'droppedAttributesCount': 3,
                                        'droppedEventsCount': '4',
                                        'droppedLinksCount': 5,
                                        'events': [
                                            {
                                                'name': 'e',
                                                'timeUnixNano': '6',
                                                'attributes': data.attributes(
                                                    {'c': 1}
                                                ),
                                            }
                                        ],
                                        'links': [
                                            {
                                                'traceId': '12' * 16,
                                                'spanId': '34' * 8,
                                                'traceState': '',
                                                'flags': 1,
                                            }
                                        ],
                                        'status': {
                                            'code': 2,
                                            'message': 'Boom',
                                        },
                                    }
                                ],
                            }
                        ],
                    }
                ]
            }
        )

        self.assertEqual([], told)
        self.assertEqual('ab' * 16, span.trace_id)
        self.assertEqual('cd' * 8, span.span_id)
        self.assertEqual('ef' * 8, span.parent_id)
        self.assertEqual('a=b', span.trace_state)
        self.assertEqual(257, span.flags)
        self.assertEqual(('GET', 'SERVER'), (span.name, span.kind))
        self.assertEqual((5, 9), (span.start, span.end))
        self.assertEqual({'a': 'b'}, span.attributes)
        self.assertEqual((3, 4, 5), span.dropped)
        self.assertEqual('nova', span.service)
        self.assertEqual(7, span.resource.attributes['process.pid'])
        self.assertEqual(('wsgi', '2'), (span.scope.name, span.scope.version))
        (event,) = span.events
        self.assertEqual(
            ('e', 6, {'c': 1}), (event.name, event.time, event.attributes)
        )
        (link,) = span.links
        self.assertEqual(('12' * 16, '34' * 8), (link.trace_id, link.span_id))
        self.assertEqual(('ERROR', 'Boom'), (span.status, span.description))

    def test_snake_case_and_names_of_enums_are_the_same(self):
        (span,), told = _read(
            {
                'resource_spans': [
                    {
                        'scope_spans': [
                            {
                                'spans': [
                                    {
                                        'trace_id': 'ab' * 16,
                                        'span_id': 'cd' * 8,
                                        'parent_span_id': '',
                                        'kind': 'SPAN_KIND_CONSUMER',
                                        'start_time_unix_nano': 5,
                                        'end_time_unix_nano': '9',
                                        'status': {
                                            'code': 'STATUS_CODE_ERROR'
                                        },
                                        'attributes': [
                                            {
                                                'key': 'a',
                                                'value': {'int_value': 3},
                                            }
                                        ],
                                    }
                                ]
                            }
                        ]
                    }
                ]
            }
        )

        self.assertEqual([], told)
        self.assertEqual(('CONSUMER', 'ERROR'), (span.kind, span.status))
        self.assertEqual((5, 9, None), (span.start, span.end, span.parent_id))
        self.assertEqual({'a': 3}, span.attributes)

    def test_all_types_of_values(self):
        def value_of(**any_value):
            span, _ = _one(attributes={})
            given = data.span(1)
            given['attributes'] = [{'key': 'a', 'value': any_value}]
            (span,), told = _read(data.document('nova', given))
            self.assertEqual([], told)
            return span.attributes['a']

        self.assertEqual('x', value_of(stringValue='x'))
        self.assertIs(False, value_of(boolValue=False))
        self.assertEqual(-(2**63), value_of(intValue=str(-(2**63))))
        self.assertEqual(1.5, value_of(doubleValue=1.5))
        self.assertEqual(2.0, value_of(doubleValue='2'))
        self.assertEqual(b'\x00x', value_of(bytesValue='AHg='))
        self.assertEqual(
            ['x', 1],
            value_of(
                arrayValue={'values': [{'stringValue': 'x'}, {'intValue': 1}]}
            ),
        )
        self.assertEqual([], value_of(arrayValue={}))
        self.assertEqual(
            {'k': True},
            value_of(
                kvlistValue={
                    'values': [{'key': 'k', 'value': {'boolValue': True}}]
                }
            ),
        )
        self.assertIsNone(value_of())

    def test_an_impossible_value_costs_only_its_attribute(self):
        for any_value in (
            {'doubleValue': 'NaN'},
            {'doubleValue': '-Infinity'},
            {'doubleValue': _json.REFUSED},
            {'doubleValue': True},
            {'doubleValue': 'x'},
            {'intValue': _json.REFUSED},
            {'intValue': '9' * 5000},
            {'intValue': 2**63},
            {'intValue': 1.5},
            {'intValue': True},
            {'stringValue': 1},
            {'boolValue': 'true'},
            {'bytesValue': '*'},
            {'bytesValue': 1},
            {'arrayValue': []},
            {'kvlistValue': {'values': [{'key': 1}]}},
            {'kvlistValue': []},
            {'stringValue': 'x', 'intValue': 1},
            {'newValue': 1},
            'x',
        ):
            given = data.span(1)
            given['attributes'] = [
                {'key': 'bad', 'value': any_value},
                data.attribute('good', 'x'),
            ]
            (span,), told = _read(data.document('nova', given))
            self.assertEqual({'good': 'x'}, span.attributes)
            self.assertEqual(1, len(told), any_value)
            self.assertIn('attribute bad left out', told[0])

    def test_a_span_with_an_impossible_id_or_time_is_left_out(self):
        encoded = base64.b64encode(b'x' * 16).decode()
        for field, value in (
            ('traceId', None),
            ('traceId', 'ab' * 15),
            ('traceId', 'ab' * 17),
            ('traceId', '0' * 32),
            ('traceId', 'g' * 32),
            ('traceId', '٣' * 32),
            ('traceId', encoded),
            ('spanId', 'ab' * 16),
            ('spanId', 5),
            ('spanId', '0' * 16),
            ('parentSpanId', 'ab'),
            ('parentSpanId', 7),
            ('startTimeUnixNano', -1),
            ('startTimeUnixNano', '-1'),
            ('startTimeUnixNano', 2**63 + 1),
            ('startTimeUnixNano', '9' * 5000),
            ('startTimeUnixNano', _json.REFUSED),
            ('endTimeUnixNano', 1.5),
            ('endTimeUnixNano', True),
            ('endTimeUnixNano', 'soon'),
        ):
            bad = data.span(1)
            bad[field] = value
            found, told = _read(data.document('nova', bad, data.span(2)))
            self.assertEqual(['0' * 15 + '2'], [s.span_id for s in found])
            self.assertEqual(1, len(told))
            self.assertIn('a span left out', told[0])

    def test_the_last_moment_that_can_be_is_read(self):
        span, told = _one(endTimeUnixNano=str(2**63))

        self.assertEqual(2**63, span.end)
        self.assertEqual([], told)

    def test_an_unknown_field_is_told_and_passed_over(self):
        span, told = _one(entropy=5)

        self.assertEqual('work', span.name)
        self.assertEqual(['unknown field entropy of a span passed over'], told)

    def test_unknown_kind_and_status_are_told_and_not_guessed(self):
        for value in (9, -1, 'SPAN_KIND_X', True, [], 1.0):
            span, told = _one(kind=value, status={'code': value})
            self.assertEqual('UNSPECIFIED', span.kind)
            self.assertEqual('UNSET', span.status)
            self.assertEqual(2, len(told), value)

    def test_fields_of_a_wrong_type_cost_only_themselves(self):
        span, told = _one(
            name=5,
            status=[],
            flags='x',
            events=[1, {'timeUnixNano': -1}, {'name': 'ok'}],
            links=[{'traceId': 'x'}, {'traceId': 'ab' * 16}],
            droppedEventsCount=-1,
            traceState=7,
        )

        self.assertEqual(('', 'UNSET', 0), (span.name, span.status, 0))
        self.assertEqual(['ok'], [event.name for event in span.events])
        self.assertEqual(((), (0, 0, 0)), (span.links, span.dropped))
        self.assertEqual(6, len(told))

    def test_what_is_no_document_is_told(self):
        for document in (5, 'x', None, [], {}, {'resourceLogs': []}):
            self.assertEqual(([], 1), (_read(document)[0], 1))
            self.assertEqual(1, len(_read(document)[1]))

    def test_wrong_shapes_anywhere_raise_nothing(self):
        for wrong in (5, 'x', [5], [[]], {'a': 1}, True, [None]):
            _, told = _read({'resourceSpans': wrong})
            self.assertNotEqual([], told)
            for batch in (
                {'resource': wrong},
                {'scopeSpans': wrong},
                {'scopeSpans': [{'scope': wrong, 'spans': wrong}]},
                {'scopeSpans': [{'spans': [{'attributes': wrong}]}]},
                {'resource': {'attributes': wrong}},
            ):
                found, _ = _read({'resourceSpans': [batch]})
                self.assertEqual([], found)

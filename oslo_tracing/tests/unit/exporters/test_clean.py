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


from __future__ import annotations

import enum
import math
import os
import random

from opentelemetry.exporter.otlp.proto.common import trace_encoder
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.util import instrumentation
from opentelemetry import trace

from oslo_tracing.exporters import _clean
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support

_BAD = 'bad \ud800 text'
_WAS_BAD = 'bad \\ud800 text'
_OURS = instrumentation.InstrumentationScope('oslo_tracing.test', '1')


class _Colour(enum.IntEnum):
    RED = 2


class _Lying(str):
    def __len__(self):
        return 0

    def encode(self, *args):
        return b''


class _Silent:
    def __str__(self):
        raise RuntimeError('no')


def _span(**fields):
    fields.setdefault('name', 'a')
    fields.setdefault('context', _context())
    fields.setdefault('resource', support.resource())
    fields.setdefault('instrumentation_scope', _OURS)
    fields.setdefault('start_time', 1)
    fields.setdefault('end_time', 2)
    return sdk_trace.ReadableSpan(**fields)


def _context(trace_id=1, span_id=2, state=None):
    return trace.SpanContext(
        trace_id, span_id, False, trace.TraceFlags(1), state
    )


def _state(*pairs):
    state = trace.TraceState()
    state._dict.update(pairs)
    return state


def _decoded(*spans):
    """Through the SDK's encoder and the bytes on the wire, and back."""
    encoded = trace_encoder.encode_spans(spans).SerializeToString()
    request = trace_service_pb2.ExportTraceServiceRequest()
    request.ParseFromString(encoded)
    return request.resource_spans


class CleanTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.settings = support.settings()
        self.cleaner = _clean.Cleaner(self.settings, self.fail)

    def _one(self, **fields):
        clean = self.cleaner.clean(_span(**fields))
        (of_resource,) = _decoded(clean)
        return of_resource.scope_spans[0].spans[0]

    def _attribute(self, value):
        found = self._one(attributes={'k': value}).attributes
        self.assertEqual(['k'], [pair.key for pair in found])
        return found[0].value

    def test_a_span_with_nothing_to_clean_stays_the_same_object(self):
        tracing = self.useFixture(support.Tracer())
        with tracing.tracer.start_as_current_span(
            'GET', attributes={'a': 'b', 'ü': 'ß', 'n': 1, 'l': [1.5, True]}
        ) as span:
            span.add_event('e', {'x': 1})
            span.add_link(_context(state=_state(('k', 'v'))), {'y': 'z'})
            span.set_status(trace.StatusCode.ERROR, 'DBError')

        for span in tracing.spans:
            self.assertIs(span, self.cleaner.clean(span))

    def test_bad_text_is_escaped_wherever_it_is(self):
        span = self._one(
            name=_BAD,
            attributes={_BAD: _BAD, 'l': [_BAD], 'm': {_BAD: _BAD}},
            events=[sdk_trace.Event(_BAD, {_BAD: _BAD}, 5)],
            links=[trace.Link(_context(7, 8), {_BAD: _BAD})],
            status=trace.Status(trace.StatusCode.ERROR, _BAD),
            context=_context(state=_state(('k', 'v'))),
        )

        self.assertEqual(_WAS_BAD, span.name)
        self.assertEqual(_WAS_BAD, span.status.message)
        self.assertEqual('k=v', span.trace_state)
        self.assertEqual(_WAS_BAD, span.events[0].name)
        for holder in (span, span.events[0], span.links[0]):
            self.assertEqual(_WAS_BAD, holder.attributes[0].key)
            self.assertEqual(_WAS_BAD, holder.attributes[0].value.string_value)
        self.assertEqual(
            _WAS_BAD,
            span.attributes[1].value.array_value.values[0].string_value,
        )
        nested = span.attributes[2].value.kvlist_value.values[0]
        self.assertEqual(_WAS_BAD, nested.key)
        self.assertEqual(_WAS_BAD, nested.value.string_value)

    def test_bad_text_in_resource_and_scope_is_escaped(self):
        span = _span(
            resource=resources.Resource({_BAD: _BAD}, _BAD),
            instrumentation_scope=instrumentation.InstrumentationScope(
                _BAD, _BAD, _BAD
            ),
        )
        first, second = (self.cleaner.clean(span) for _ in range(2))

        (found,) = _decoded(first, second)

        self.assertEqual(_WAS_BAD, found.resource.attributes[0].key)
        self.assertEqual(_WAS_BAD, found.schema_url)
        (scope,) = found.scope_spans
        self.assertEqual(_WAS_BAD, scope.scope.name)
        self.assertEqual(_WAS_BAD, scope.scope.version)
        self.assertEqual(2, len(scope.spans))

    def test_bad_tracestate_entries_go_and_the_span_stays(self):
        span = self._one(
            context=_context(state=_state((_BAD, 'v'), ('k', 'v')))
        )
        self.assertEqual('k=v', span.trace_state)

    def test_a_tracestate_is_at_most_512_characters(self):
        state = _state(*((f'k{n}', 'v' * 60) for n in range(32)))

        found = self._one(context=_context(state=state)).trace_state

        self.assertLessEqual(len(found), 512)
        self.assertTrue(found.startswith('k0=' + 'v' * 60 + ',k1='))

    def test_numbers_that_no_int64_holds_become_text(self):
        self.assertEqual(2**63 - 1, self._attribute(2**63 - 1).int_value)
        self.assertEqual(-(2**63), self._attribute(-(2**63)).int_value)
        self.assertEqual(str(2**63), self._attribute(2**63).string_value)
        self.assertEqual(str(-(2**70)), self._attribute(-(2**70)).string_value)
        huge = self._attribute(10**6000).string_value
        self.assertEqual(4096, len(huge))

    def test_nan_and_infinity_stay_numbers(self):
        self.assertTrue(math.isnan(self._attribute(math.nan).double_value))
        self.assertEqual(math.inf, self._attribute(math.inf).double_value)

    def test_subclasses_become_what_they_stand_for(self):
        self.assertEqual(2, self._attribute(_Colour.RED).int_value)
        lying = self._attribute(_Lying('x' * 9999 + '\udfff'))
        self.assertEqual('x' * 4096, lying.string_value)

    def test_unknown_types_become_bounded_text(self):
        self.assertEqual('{1}', self._attribute({1}).string_value)
        self.assertEqual('<_Silent>', self._attribute(_Silent()).string_value)
        self.assertEqual(
            4096, len(self._attribute(set(range(9999))).string_value)
        )

    def test_bytes_are_bounded(self):
        self.assertEqual(
            b'\xff' * 4096, self._attribute(b'\xff' * 9999).bytes_value
        )

    def test_nesting_is_bounded_in_depth_and_number(self):
        deep = []
        for _ in range(3000):
            deep = [deep]
        wide = [[[n] * 100 for n in range(100)]] * 100

        found = (
            _decoded(
                self.cleaner.clean(_span(attributes={'d': deep, 'w': wide}))
            )[0]
            .scope_spans[0]
            .spans[0]
        )

        value, depth = found.attributes[0].value, 0
        while value.HasField('array_value'):
            value, depth = value.array_value.values[0], depth + 1
        self.assertEqual(8, depth)
        self.assertLess(found.attributes[1].ByteSize(), 9000)

    def test_names_and_descriptions_are_at_most_256_characters(self):
        span = self._one(
            name='n' * 999,
            events=[sdk_trace.Event('e' * 999, {}, 1)],
            status=trace.Status(trace.StatusCode.ERROR, 'd' * 999),
            attributes={'k' * 999: 1},
        )

        self.assertEqual('n' * 256, span.name)
        self.assertEqual('e' * 256, span.events[0].name)
        self.assertEqual('d' * 256, span.status.message)
        self.assertEqual('k' * 256, span.attributes[0].key)

    def test_dropped_counts_of_a_copy_are_those_of_the_span(self):
        tracing = self.useFixture(
            support.Tracer(
                span_limits=sdk_trace.SpanLimits(
                    max_span_attributes=2,
                    max_event_attributes=1,
                    max_link_attributes=1,
                    max_events=1,
                    max_links=1,
                )
            )
        )
        two = {'p': 1, 'q': 2}
        span = tracing.tracer.start_span(
            _BAD,
            attributes={'a': _BAD, 'b': _BAD, 'c': _BAD},
            links=[trace.Link(_context(), two) for _ in range(3)],
        )
        for _ in range(4):
            span.add_event(_BAD, two)
        span.end()

        clean = self.cleaner.clean(tracing.spans[0])

        self.assertIsNot(tracing.spans[0], clean)
        found = _decoded(clean)[0].scope_spans[0].spans[0]
        self.assertEqual(1, found.dropped_attributes_count)
        self.assertEqual(3, found.dropped_events_count)
        self.assertEqual(2, found.dropped_links_count)
        self.assertEqual(1, found.events[0].dropped_attributes_count)
        self.assertEqual(1, found.links[0].dropped_attributes_count)

    def test_excluded_attributes_go_everywhere_but_not_the_service(self):
        self.settings.excluded_attributes = ['client.*', 'service.*', 'x']
        attributes = {'client.address': '::1', 'x': 1, 'xx': 2}

        span = _span(
            attributes=attributes,
            events=[sdk_trace.Event('e', attributes, 1)],
            links=[trace.Link(_context(), attributes)],
        )
        (found,) = _decoded(self.cleaner.clean(span))

        one = found.scope_spans[0].spans[0]
        for holder in (one, one.events[0], one.links[0]):
            self.assertEqual(['xx'], [a.key for a in holder.attributes])
        self.assertEqual(
            {'service.name', 'host.name', 'process.pid'},
            {a.key for a in found.resource.attributes},
        )

    def test_excluded_attributes_may_change_live(self):
        span = _span(attributes={'a': 1, 'b': 2})
        self.assertIs(span, self.cleaner.clean(span))

        self.settings.excluded_attributes = ['a']
        self.assertEqual({'b': 2}, dict(self.cleaner.clean(span).attributes))

        self.settings.excluded_attributes = ['b']
        self.assertEqual({'a': 1}, dict(self.cleaner.clean(span).attributes))

        self.settings.excluded_attributes = []
        self.assertIs(span, self.cleaner.clean(span))

    def test_so_they_may_where_they_are_of_the_scope(self):
        scope = instrumentation.InstrumentationScope(
            'theirs', attributes={'a': 1, 'b': 2}
        )
        span = _span(instrumentation_scope=scope)
        self.assertIs(span, self.cleaner.clean(span))

        self.settings.excluded_attributes = ['a']
        found = self.cleaner.clean(span).instrumentation_scope
        self.assertEqual({'b': 2}, dict(found.attributes))

        self.settings.excluded_attributes = []
        self.assertIs(span, self.cleaner.clean(span))

    def test_times_that_no_reader_takes_are_bounded(self):
        span = self._one(
            start_time=1234.5,
            end_time=-1,
            events=[sdk_trace.Event('e', {}, 2**70)],
        )
        self.assertEqual(1234, span.start_time_unix_nano)
        self.assertEqual(0, span.end_time_unix_nano)
        self.assertEqual(2**63 - 1, span.events[0].time_unix_nano)

    def test_a_span_without_valid_ids_cannot_be_cleaned(self):
        for context in (
            None,
            _context(0, 1),
            _context(1, 0),
            _context(2**128, 1),
            _context(1, 2**64),
        ):
            self.assertRaises(
                ValueError, self.cleaner.clean, _span(context=context)
            )

    def test_a_forked_child_describes_itself(self):
        child = support.resource(**{'service.instance.id': 'child'})
        asked = []

        def describe():
            asked.append(1)
            return child

        cleaner = _clean.Cleaner(self.settings, describe)
        inherited = support.resource(**{'process.pid': os.getpid() + 1})
        anonymous = resources.Resource({'service.name': 'x'})

        for _ in range(3):
            clean = cleaner.clean(_span(resource=inherited))
            self.assertIs(child, clean.resource)
        clean = cleaner.clean(_span(resource=anonymous))

        self.assertIs(anonymous, clean.resource)
        self.assertEqual([1], asked)


class ExceptionTest(base.TestCase):
    """SECRETS: what an exception says stays in the process."""

    def setUp(self):
        super().setUp()
        self.settings = support.settings()

    def _span(self, error=None, scope='their.instrumentation', said=None):
        tracing = self.useFixture(support.Tracer(scope=scope))
        try:
            with tracing.tracer.start_as_current_span('a') as span:
                if said is not None:
                    span.set_status(trace.StatusCode.ERROR, said)
                if error is not None:
                    raise error
        except type(error or ValueError()):
            pass
        cleaner = _clean.Cleaner(self.settings, self.fail)
        return cleaner.clean(tracing.spans[0])

    def test_of_a_foreign_exception_only_the_type_is_kept(self):
        span = self._span(LookupError('[parameters: (S3CRET)]'))

        self.assertEqual(
            {'exception.type': 'LookupError'},
            dict(span.events[0].attributes),
        )
        self.assertEqual('LookupError', span.status.description)
        self.assertIs(trace.StatusCode.ERROR, span.status.status_code)
        self.assertNotIn(
            b'S3CRET', trace_encoder.encode_spans([span]).SerializeToString()
        )

    def test_a_type_of_a_module_is_found_in_the_description(self):
        span = self._span(_DriverTrouble('S3CRET'))

        self.assertEqual('_DriverTrouble', span.status.description)
        self.assertEqual(
            [f'{__name__}._DriverTrouble'],
            list(span.events[0].attributes.values()),
        )

    def test_a_description_that_is_the_message_becomes_the_type(self):
        span = self._span(LookupError('S3CRET of tenant'), said='S3CRET of t')
        self.assertEqual('LookupError', span.status.description)

    def test_a_description_alone_is_cut_to_the_type(self):
        for said, kept in (
            ('DBDuplicateEntry: (pymysql) S3CRET', 'DBDuplicateEntry'),
            ('a.b.Error: S3CRET', 'a.b.Error'),
            ("(1062, 'x') [SQL: INSERT S3CRET", "(1062, 'x')"),
            ('not found', 'not found'),
        ):
            self.assertEqual(kept, self._span(said=said).status.description)

    def test_other_events_stay(self):
        tracing = self.useFixture(support.Tracer(scope='theirs'))
        span = tracing.tracer.start_span('a')
        span.add_event('retry', {'attempt': 2})
        span.end()
        cleaner = _clean.Cleaner(self.settings, self.fail)

        self.assertIs(tracing.spans[0], cleaner.clean(tracing.spans[0]))

    def test_what_we_recorded_ourselves_stays(self):
        span = self._span(LookupError('said'), scope='oslo_tracing.service')

        self.assertEqual(
            'said', span.events[0].attributes['exception.message']
        )

    def test_nor_does_use_span_tell_a_message_in_one_of_ours(self):
        tracing = self.useFixture(support.Tracer(scope='oslo_tracing.service'))
        span = tracing.tracer.start_span('a')
        with self.assertRaisesRegex(LookupError, 'S3CRET'):
            with trace.use_span(span, record_exception=False):
                raise LookupError('S3CRET')
        span.end()

        cleaner = _clean.Cleaner(self.settings, self.fail)
        clean = cleaner.clean(tracing.spans[0])

        self.assertEqual('LookupError', clean.status.description)

    def test_the_operator_may_want_messages(self):
        self.settings.exception_messages = True

        span = self._span(LookupError('said'))

        self.assertEqual(
            'said', span.events[0].attributes['exception.message']
        )
        self.assertEqual('LookupError: said', span.status.description)


class _DriverTrouble(Exception):
    pass


class FuzzTest(base.TestCase):
    def test_any_span_goes_through_the_encoder_or_is_refused_alone(self):
        """400 spans with hostile values in every place, one batch."""
        chance = random.Random(20261121)
        values = (
            *(None, True, 0, -1, 2**63, -(2**200), 10**5000, 1.5, math.nan),
            *('', 'a', _BAD, '\ud800\udc00', '\x00', 'x' * 70000, _Lying('z')),
            *(b'\xff', b'x' * 70000, bytearray(b'y'), _Colour.RED, object),
            *(_Silent(), {1, 2}, [], [_BAD, [_BAD]], {'a': {_BAD: 2**99}}),
            *({1: 2}, {None: _Silent()}, range(3), complex(1, 2), [[[[1]]]]),
        )

        def mapping():
            return {
                chance.choice(('k', _BAD, '', 'x' * 999, 7, None, n)): (
                    chance.choice(values)
                )
                for n in range(chance.randrange(6))
            }

        def ident(bits):
            return chance.choice((0, -1, 2**bits, chance.getrandbits(bits)))

        def context():
            state = chance.choice((None, _state((_BAD, _BAD), ('k', 'v'))))
            return _context(ident(128), ident(64), state)

        def some(make):
            return [make() for _ in range(chance.randrange(3))]

        def time():
            return chance.choice((0, 5, -1, 2**64, None, 1.5, 'now', math.inf))

        cleaner = _clean.Cleaner(support.settings(), self.fail)
        clean = []
        for _ in range(400):
            span = _span(
                name=chance.choice(values),
                context=chance.choice((_context(), context())),
                parent=chance.choice((None, _context())),
                attributes=mapping(),
                events=some(
                    lambda: sdk_trace.Event(
                        chance.choice(values), mapping(), 1
                    )
                ),
                links=some(lambda: trace.Link(_context(), mapping())),
                kind=chance.choice((*trace.SpanKind, None)),
                status=trace.Status(
                    trace.StatusCode.ERROR, chance.choice((_BAD, 'x' * 999))
                ),
                start_time=time(),
                end_time=time(),
            )
            try:
                clean.append(cleaner.clean(span))
            except ValueError:
                continue

        (found,) = _decoded(*clean)

        spans = found.scope_spans[0].spans
        self.assertEqual(len(clean), len(spans))
        self.assertGreater(len(clean), 150)
        self.assertLess(len(clean), 400)
        for span, origin in zip(spans, clean, strict=True):
            # The encoder of the SDK leaves out what it cannot encode, which
            # in older ones is None.
            self.assertEqual(
                sum(v is not None for v in origin.attributes.values()),
                sum(
                    pair.value.WhichOneof('value') is not None
                    for pair in span.attributes
                ),
            )
            self.assertLessEqual(len(span.name), 256)
            self.assertLess(span.ByteSize(), 200000)

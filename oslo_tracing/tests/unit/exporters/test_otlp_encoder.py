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

import enum
import random
import time

import fixtures
from opentelemetry import context
from opentelemetry.exporter.otlp.proto.common import trace_encoder
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.util import instrumentation
from opentelemetry import trace

from oslo_tracing import _ready
from oslo_tracing.exporters import _clean
from oslo_tracing.exporters import _otlp_encoder
from oslo_tracing.exporters import _owed
from oslo_tracing.exporters import _protobuf
from oslo_tracing.exporters import otlp
from oslo_tracing import fixture
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support
from oslo_tracing.tracer import _recorded

_ALPHABET = 'ab/_-. =,"\\\x00\x7f\u00e9\u20ac\u2028\U0001f600'
_KEYS = ('http.route', 'db.query.text', 'n', 'k\u00e9y', 'x' * 127, '')
_SEVERAL: tuple[object, ...] = (
    ['SELECT a', 'UPDATE b', 'SELECT a'],
    ['', 'x' * 300],
    ('te\u20act', 'text'),
    [0, 1, 127, 128, -1, 2**63 - 1, -(2**63)],
    [2**63, 1],
    [1.5, -0.0, float('inf')],
    (True, False),
    [1, 1.0],
    [],
)


class _Colour(enum.IntEnum):
    RED = 2


class _Text(str):
    def encode(self, *args):
        return b'no'

    def __len__(self):
        return 1


class _Silent:
    def __str__(self):
        raise RuntimeError('no')


class _Spans:
    """Spans as somebody might record them, the same for one seed."""

    def __init__(self, seed, hostile=False):
        self._random = random.Random(seed)
        self._hostile = hostile
        self._resources = [self._resource() for _ in range(3)]
        # Equal ones that are not the same object.
        self._resources.append(
            resources.Resource(
                dict(self._resources[0].attributes),
                self._resources[0].schema_url,
            )
        )
        self._scopes = [self._scope() for _ in range(3)]
        self._scopes += [
            None,
            instrumentation.InstrumentationScope('oslo_tracing.a'),
            instrumentation.InstrumentationScope('oslo_tracing.a'),
        ]

    def take(self, count):
        return [self._span() for _ in range(count)]

    def _text(self, longest=40):
        count = self._random.choice((0, 1, 5, longest, 127, 128, 300))
        return ''.join(self._random.choices(_ALPHABET, k=count))

    def _value(self, depth=0):
        some = self._random
        plain = [
            self._text,
            lambda: some.choice((True, False, 0, 1, 1.0, 0.0, -0.0, -1)),
            lambda: some.randrange(-(2**63), 2**63),
            lambda: some.randrange(-300, 300),
            lambda: some.choice((1.5, float('inf'), -1e300)),
            lambda: some.randbytes(some.randrange(200)),
        ]
        if depth < 4:
            plain.append(
                lambda: [
                    self._value(depth + 1) for _ in range(some.randrange(4))
                ]
            )
            plain.append(
                lambda: {
                    self._text(): self._value(depth + 1)
                    for _ in range(some.randrange(4))
                }
            )
        if self._hostile and some.random() < 0.4:
            return some.choice(
                (
                    '\ud800',
                    'a\udfff' * 200,
                    2**63,
                    -(2**63) - 1,
                    10**5000,
                    _Colour.RED,
                    _Text('text'),
                    _Silent(),
                    {1, 2},
                    object,
                    bytearray(b'\xff'),
                    float('nan'),
                )
            )
        return some.choice(plain)()

    def _attributes(self):
        return {
            self._random.choice((*_KEYS, self._text())): self._value()
            for _ in range(self._random.choice((0, 1, 3, 12)))
        }

    def _context(self):
        state = None
        if self._random.random() < 0.3:
            state = trace.TraceState([('a', 'b'), ('x@y', self._flat(100))])
        return trace.SpanContext(
            self._random.randrange(1, 2**128),
            self._random.randrange(1, 2**64),
            self._random.random() < 0.5,
            trace.TraceFlags(self._random.choice((0, 1, 3))),
            state,
        )

    def _flat(self, length):
        return 'v' * self._random.randrange(1, length)

    def _resource(self):
        # The SDK hashes a resource by dumping it as JSON.
        return resources.Resource(
            {self._flat(9): self._random.choice(('a', 1, True, 2.5))},
            self._random.choice((None, 'https://a/1')),
        )

    def _scope(self):
        return instrumentation.InstrumentationScope(
            self._flat(9),
            self._random.choice((None, '', '1.0')),
            self._random.choice((None, 'https://b/2')),
        )

    def _counted(self, kind, attributes):
        limit = self._random.choice((None, 1))
        return kind(limit, attributes)

    def _event(self):
        return sdk_trace.Event(
            self._text(),
            self._limited(),
            self._random.choice((0, 1, 2**63 - 1)),
        )

    def _limited(self):
        if self._hostile:
            return self._attributes()
        return sdk_trace.BoundedAttributes(
            self._random.choice((1, 128)), {'a': 1, 'b': 'c', 'd': False}
        )

    def _link(self):
        link = trace.Link(self._context(), self._limited())
        return link

    def _span(self):
        some = self._random
        start = some.choice((0, time.time_ns()))
        links = sdk_trace.BoundedList(some.choice((2, None)))
        links.extend([self._link() for _ in range(some.choice((0, 0, 1, 3)))])
        events = sdk_trace.BoundedList(2)
        events.extend(
            [self._event() for _ in range(some.choice((0, 0, 1, 3)))]
        )
        code = some.choice(tuple(trace.StatusCode))
        return sdk_trace.ReadableSpan(
            self._text(),
            self._context(),
            some.choice((None, self._context())),
            some.choice(self._resources),
            some.choice((self._attributes(), self._limited())),
            events,
            links,
            some.choice(tuple(trace.SpanKind)),
            status=trace.Status(
                code,
                self._text() if code is trace.StatusCode.ERROR else None,
            ),
            start_time=start,
            end_time=start + some.randrange(10**9),
            instrumentation_scope=some.choice(self._scopes),
        )


def _parsed(data):
    request = trace_service_pb2.ExportTraceServiceRequest()
    request.ParseFromString(data)
    return request


def _each(request):
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            yield from of_scope.spans


def _as_the_sdk(request, theirs):
    """Take out what the SDK's encoder does not say.

    The flags of W3C, the trace state of a link, and in 1.30 the schema of a
    scope.
    """
    of_scopes = [
        of_scope
        for each in (request, theirs)
        for of_resource in each.resource_spans
        for of_scope in of_resource.scope_spans
    ]
    if not any(each.schema_url for each in of_scopes[len(of_scopes) // 2 :]):
        for of_scope in of_scopes:
            of_scope.schema_url = ''
    for span in _each(request):
        span.flags &= ~0xFF
        for link in span.links:
            link.flags &= ~0xFF
            link.trace_state = ''


class _Case(base.TestCase):
    def setUp(self):
        super().setUp()
        # The SDK tells of each attribute that it drops.
        self.useFixture(fixtures.FakeLogger('opentelemetry.attributes'))

    def _ours(self, spans, encoder=None):
        encoder = encoder or _otlp_encoder.Encoder()
        return encoder.request(spans, self._lose)

    def _lose(self, span, error):
        raise AssertionError(f'{span} is lost') from error

    def _check(self, spans, encoder=None):
        data = self._ours(spans, encoder)
        request = _parsed(data)
        theirs = trace_encoder.encode_spans(spans)
        # In protobuf's own order, and nothing that it would leave out.
        self.assertEqual(request.SerializeToString(), data)
        _as_the_sdk(request, theirs)
        for their, our in zip(_each(theirs), _each(request), strict=True):
            self.assertEqual(their, our)
        self.assertEqual(
            theirs.SerializeToString(),
            request.SerializeToString(),
        )


class EncoderTest(_Case):
    def test_each_span_is_what_the_sdk_makes_of_it(self):
        for seed in range(25):
            self._check(_Spans(seed).take(20))

    def test_also_when_most_was_encoded_before(self):
        encoder = _otlp_encoder.Encoder()
        for seed in range(8):
            spans = _Spans(seed % 5).take(20)
            self._check(spans, encoder)
            self._check(spans, encoder)

    def test_also_when_it_had_to_be_cleaned(self):
        cleaner = _clean.Cleaner(support.settings(), support.resource)
        for seed in range(15):
            spans = _Spans(seed, hostile=True).take(20)
            self._check([cleaner.clean(span) for span in spans])

    def test_whatever_is_recorded_is_encoded(self):
        for seed in range(15):
            spans = _Spans(seed, hostile=True).take(20)
            request = _parsed(self._ours(spans))
            self.assertEqual(20, len(list(_each(request))))

    def _one(self, **fields):
        span = sdk_trace.ReadableSpan(
            **{
                'name': 'a',
                'context': self._context(),
                'resource': support.resource(),
                'start_time': 1,
                'end_time': 2,
                **fields,
            }
        )
        (found,) = _each(_parsed(self._ours([span])))
        return found

    def _context(self, flags=1, remote=False, state=None):
        return trace.SpanContext(
            1, 2, remote, trace.TraceFlags(flags), trace.TraceState(state)
        )

    def test_flags_of_the_span_and_whether_its_parent_is_remote(self):
        for flags, parent, expected in (
            (1, None, 0x101),
            (3, None, 0x103),
            (1, self._context(), 0x101),
            (3, self._context(0, True), 0x303),
        ):
            found = self._one(context=self._context(flags), parent=parent)
            self.assertEqual(expected, found.flags)

    def test_flags_and_trace_state_of_a_link(self):
        link = trace.Link(self._context(1, True, [('a', 'b'), ('c', 'd')]))

        (found,) = self._one(links=[link]).links

        self.assertEqual(0x301, found.flags)
        self.assertEqual('a=b,c=d', found.trace_state)

    def test_values_that_are_equal_but_not_the_same(self):
        values = [True, 1, 1.0, False, 0, 0.0, '1']
        encoder = _otlp_encoder.Encoder()
        for found in (*values, *reversed(values)):
            span = sdk_trace.ReadableSpan(
                'a',
                self._context(),
                resource=support.resource(),
                attributes={'k': found},
            )
            self._check([span], encoder)

    def test_bad_text_is_written_out(self):
        found = self._one(name='\ud800', attributes={'\udfff': 'a\ud800'})
        self.assertEqual('\\ud800', found.name)
        self.assertEqual('\\udfff', found.attributes[0].key)
        self.assertEqual('a\\ud800', found.attributes[0].value.string_value)

    def test_integers_that_do_not_fit_are_text(self):
        found = self._one(
            attributes={'a': 2**63, 'b': -(2**63) - 1, 'c': -(2**63)}
        ).attributes
        self.assertEqual(str(2**63), found[0].value.string_value)
        self.assertEqual(str(-(2**63) - 1), found[1].value.string_value)
        self.assertEqual(-(2**63), found[2].value.int_value)

    def test_unknown_types_are_described_within_bounds(self):
        endless: list = []
        endless.append(endless)
        many = type('Many', (), {'__str__': lambda self: 'x' * 10**6})()

        found = self._one(attributes={'a': many, 'b': _Silent(), 'c': endless})

        self.assertLess(found.ByteSize(), 10000)
        self.assertEqual('<_Silent>', found.attributes[1].value.string_value)

    def test_text_of_a_lying_class(self):
        found = self._one(attributes={_Text('key'): _Text('text')})
        self.assertEqual('key', found.attributes[0].key)
        self.assertEqual('text', found.attributes[0].value.string_value)

    def test_what_is_kept_is_bounded(self):
        encoder = _otlp_encoder.Encoder()
        context = self._context()
        for number in range(_protobuf.CACHED + 300):
            self._ours(
                [
                    sdk_trace.ReadableSpan(
                        f'name {number}',
                        context,
                        resource=resources.Resource({'n': number}),
                        instrumentation_scope=(
                            instrumentation.InstrumentationScope(
                                f'scope {number}'
                            )
                        ),
                        attributes={
                            f'key {number}': 'v',
                            'n': number,
                            'long': str(number) * 1000,
                        },
                    )
                ],
                encoder,
            )
            encoder._pairs.simple({'k': ('a', f'item {number}', 'x' * 300)})
        pairs = encoder._pairs
        for kept in (
            pairs._items,
            pairs._texts,
            pairs._numbers,
            pairs._names,
            pairs._keys,
        ):
            self.assertLessEqual(len(kept), _protobuf.CACHED)
            longest = max(map(len, kept.values()))
            self.assertLessEqual(longest, _protobuf.SHORT)
        for kept in (encoder._resources, encoder._scopes):
            self.assertLess(len(kept), 100)


class OwnSpansTest(_Case):
    """Those of our tracer, most of which are encoded by a shorter way."""

    def _recorded(self, seed):
        some = random.Random(seed)
        recorder = self.useFixture(fixture.SpanRecorder('none'))
        ready = [
            _ready.Ready(
                some.choice(('', 'SELECT instances', 'n\u00e4me', 'x' * 300)),
                some.choice(list(trace.SpanKind)),
                {
                    some.choice(_KEYS): some.choice(
                        ('', 'text', 'te\u20act', 7, True, 1.5, 'x' * 9000)
                    )
                    for _ in range(some.randrange(5))
                },
            )
            for _ in range(6)
        ]
        where = [context.Context()]
        for remote in (True, False):
            far = trace.SpanContext(
                some.getrandbits(128) or 1,
                some.getrandbits(64) or 1,
                remote,
                trace.TraceFlags(1),
                some.choice((None, trace.TraceState([('a', 'b')]))),
            )
            where.append(
                trace.set_span_in_context(trace.NonRecordingSpan(far))
            )
        for number in range(60):
            tracer = recorder.tracing.tracer(some.choice('abc'))
            if some.random() < 0.3:
                span = tracer.start_span('by hand', some.choice(where))
            else:
                span = _ready.starter(tracer)(
                    some.choice(ready),
                    some.choice(where),
                    some.choice((None, {'rows': number})),
                    start_time=some.choice((None, 5, 2**62)),
                )
            for _ in range(some.choice((0, 0, 1, 3))):
                span.set_attribute(
                    some.choice(_KEYS) or 'k', some.choice((number, 'text'))
                )
            if some.random() < 0.3:
                span.set_attributes(
                    {some.choice(_KEYS) or 'k': some.choice(_SEVERAL)}
                )
            if some.random() < 0.1:
                span.update_name('another')
            if some.random() < 0.1:
                span.add_event('event', {'a': 1})
            if some.random() < 0.3:
                span.set_status(some.choice(list(trace.StatusCode)))
            if some.random() < 0.5:
                where.append(trace.set_span_in_context(span))
            span.end(some.choice((None, 2**62 + 1)))
        return recorder.finished

    def test_each_is_what_the_sdk_makes_of_it(self):
        encoder = _otlp_encoder.Encoder()
        for seed in range(12):
            spans = self._recorded(seed)
            self.assertEqual(60, len(spans))
            self._check(spans, encoder)
            self._check(spans)

    def _added(self, seed):
        """Return spans that had ended when they were made."""
        some = random.Random(seed)
        recorder = self.useFixture(fixture.SpanRecorder('none'))
        tracer = recorder.tracing.tracer('a')
        tracer.start_span('first', context.Context()).end()
        ready = [
            _ready.Ready(
                some.choice(('', 'SELECT instances')),
                some.choice(list(trace.SpanKind)),
                {
                    some.choice(('a', 'b', 'n')): some.choice(
                        ('', 'text', 7, -1, True, 1.5, ('a', 'b'))
                    )
                    for _ in range(some.randrange(5))
                },
            )
            for _ in range(6)
        ]
        near = tracer.start_span('near', context.Context())
        where = trace.set_span_in_context(near, context.Context())
        for one in ready:
            # Whether it is whole is found out by the first.
            tracer.start_ready(one, where)
        for number in range(60):
            tracer.add_ready(
                some.choice(ready),
                where,
                some.choice((None, {'rows': number}, {'n': 2**63 - 1})),
                some.choice((5, 2**62)),
                2**62 + number,
            )
        return recorder.finished[1:]

    def test_so_is_what_had_ended_when_it_was_made(self):
        encoder = _otlp_encoder.Encoder()
        for seed in range(12):
            spans = self._added(seed)
            self.assertEqual({_recorded.Ended}, set(map(type, spans)))
            self.assertEqual(60, len(spans))
            self._check(spans, encoder)
            self._check(spans)


class _Taking:
    """A link to a receiver that takes everything."""

    def __init__(self):
        self.bodies = []

    def send(self, body, timeout):
        self.bodies.append(body)
        return otlp._answer.Answer(otlp._answer.TAKEN)

    def close(self):
        pass


class RequestsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.link = _Taking()
        self.exporter = otlp.OtlpSpanExporter(self.link, 5.0)

    def _deliver(self, *spans) -> _owed.Outcome:
        return self.exporter.deliver(spans, 5.0)

    def _span(self, **fields):
        return sdk_trace.ReadableSpan(
            **{
                'name': 'a',
                'context': trace.SpanContext(1, 2, False),
                'resource': support.resource(),
                **fields,
            }
        )

    def test_a_span_that_cannot_be_encoded_costs_only_itself(self):
        outcome = self._deliver(
            self._span(), self._span(context=None), self._span(name='b')
        )
        self.assertEqual(2, outcome.delivered)
        self.assertEqual({'encoding': 1}, outcome.lost)
        names = [span.name for span in _each(_parsed(self.link.bodies[0]))]
        self.assertEqual(['a', 'b'], names)

    def test_one_whose_resource_cannot_be_encoded_neither(self):
        outcome = self._deliver(
            self._span(), self._span(resource=object()), self._span()
        )
        self.assertEqual(2, outcome.delivered)
        self.assertEqual({'encoding': 1}, outcome.lost)

    def test_requests_are_as_large_as_they_may_be(self):
        large = {'k': 'x' * (otlp.REQUEST_LIMIT // 3)}
        outcome = self._deliver(
            *(self._span(attributes=large) for _ in range(4)),
            self._span(attributes={'k': 'x' * otlp.REQUEST_LIMIT}),
        )
        self.assertEqual(4, outcome.delivered)
        self.assertEqual({'too large': 1}, outcome.lost)
        for body in self.link.bodies:
            self.assertLessEqual(len(body), otlp.REQUEST_LIMIT)

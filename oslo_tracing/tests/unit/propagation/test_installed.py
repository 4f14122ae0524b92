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


import importlib
import pathlib
import sys

import fixtures
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace
import testtools

from oslo_tracing import exceptions
from oslo_tracing import propagation

TRACE = '0af7651916cd43dd8448eb211c80319c'
SPAN = 'b7ad6b7169203331'
TRACEPARENT = f'00-{TRACE}-{SPAN}-01'
B3 = f'{"c" * 32}-{"d" * 16}-1'
MIB = 1024 * 1024

# A distribution with propagators of every kind that must not hurt.
MODULE = """
from opentelemetry import baggage
from opentelemetry import trace

SEEN = []


class Base:
    fields = {'X-Its-Own'}

    def extract(self, carrier, context=None, getter=None):
        return context

    def inject(self, carrier, context=None, setter=None):
        carrier['x-its-own'] = 'value'


class Raising(Base):
    def extract(self, carrier, context=None, getter=None):
        raise ValueError(getter.get(carrier, 'x-secret'))

    inject = extract


class Looking(Base):
    def extract(self, carrier, context=None, getter=None):
        SEEN.append({k: getter.get(carrier, k) for k in getter.keys(carrier)})
        SEEN.append(getter.get(carrier, 'X-Large'))
        return context

    def inject(self, carrier, context=None, setter=None):
        SEEN.append(dict(baggage.get_all(context)))


class Answering(Base):
    answer = None

    def extract(self, carrier, context=None, getter=None):
        return self.answer

    def inject(self, carrier, context=None, setter=None):
        carrier.update({
            'X-Its-Own': self.answer, 'authorization': 'x', 7: 'x',
        } if self.answer else {})


def span_context(*args):
    return trace.set_span_in_context(
        trace.NonRecordingSpan(trace.SpanContext(*args))
    )


class Fat(Base):
    def extract(self, carrier, context=None, getter=None):
        state = trace.TraceState(
            [(f'k{number}', 'v' * 200) for number in range(30)]
        )
        context = baggage.set_baggage('key', 'v' * 100000, context)
        return trace.set_span_in_context(
            trace.NonRecordingSpan(
                trace.SpanContext(1, 2, True, trace.TraceFlags(255), state)
            ),
            context,
        )


def unfinished():
    return object()
"""
ENTRY_POINTS = """
[opentelemetry_propagator]
raising = borrowed_propagators:Raising
looking = borrowed_propagators:Looking
answering = borrowed_propagators:Answering
fat = borrowed_propagators:Fat
unfinished = borrowed_propagators:unfinished
missing = borrowed_propagators:NoSuch
"""


class InstalledTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.logger = self.useFixture(fixtures.FakeLogger())
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        info = root / 'borrowed_propagators-1.0.dist-info'
        info.mkdir()
        (root / 'borrowed_propagators.py').write_text(MODULE)
        (info / 'METADATA').write_text(
            'Metadata-Version: 2.1\nName: borrowed-propagators\nVersion: 1.0\n'
        )
        (info / 'entry_points.txt').write_text(ENTRY_POINTS)
        self.useFixture(fixtures.PythonPathEntry(str(root)))
        importlib.invalidate_caches()
        self.addCleanup(sys.modules.pop, 'borrowed_propagators', None)
        self.borrowed = importlib.import_module('borrowed_propagators')

    def test_b3_in(self):
        formats = propagation.Propagation(['b3'])
        multi = {
            'HTTP_X_B3_TRACEID': 'c' * 16,
            'HTTP_X_B3_SPANID': 'd' * 16,
            'HTTP_X_B3_SAMPLED': '0',
        }

        single = formats.from_environ({'HTTP_B3': B3}).span_context
        several = formats.from_environ(multi).span_context

        self.assertEqual(int('c' * 32, 16), single.trace_id)
        self.assertEqual((True, 1), (single.is_remote, single.trace_flags))
        self.assertEqual(int('c' * 16, 16), several.trace_id)
        self.assertEqual((True, 0), (several.is_remote, several.trace_flags))

    def test_b3_in_hostile(self):
        formats = propagation.Propagation(['b3'])
        for value in (
            '',
            'é',
            'd',
            'x' * MIB,
            f'{"0" * 32}-{"d" * 16}-1',
            f'{B3},{B3}',
            B3.encode(),
            [B3],
            7,
            None,
        ):
            self.assertIs(
                propagation.NOBODY, formats.from_environ({'HTTP_B3': value})
            )

    def test_b3_out(self):
        formats = propagation.Propagation(['tracecontext', 'b3', 'b3multi'])
        context = formats.from_environ(
            {'HTTP_TRACEPARENT': TRACEPARENT}
        ).context
        headers = {'B3': 'old'}

        formats.to_headers(headers, context, everything=True)

        self.assertEqual(
            {
                'traceparent': TRACEPARENT,
                'b3': f'{TRACE}-{SPAN}-1',
                'x-b3-traceid': TRACE,
                'x-b3-spanid': SPAN,
                'x-b3-sampled': '1',
            },
            headers,
        )
        self.assertLessEqual(set(headers), formats.fields)

    def test_the_first_in_listed_order_wins_and_takes_the_baggage(self):
        environ = {
            'HTTP_B3': B3,
            'HTTP_TRACEPARENT': TRACEPARENT,
            'HTTP_TRACESTATE': 'a=1',
            'HTTP_BAGGAGE': 'key=value',
        }
        for propagators, winner, state in (
            (['tracecontext', 'b3', 'baggage'], TRACE, 'a=1'),
            (['baggage', 'b3', 'tracecontext'], 'c' * 32, ''),
        ):
            incoming = propagation.Propagation(propagators).from_environ(
                environ
            )

            self.assertEqual(int(winner, 16), incoming.span_context.trace_id)
            self.assertEqual(
                state, incoming.span_context.trace_state.to_header()
            )
            self.assertEqual(
                {'key': 'value'}, dict(baggage.get_all(incoming.context))
            )

    def test_the_next_is_asked_where_the_first_finds_nobody(self):
        formats = propagation.Propagation(['tracecontext', 'raising', 'b3'])

        incoming = formats.from_environ(
            {'HTTP_TRACEPARENT': TRACEPARENT + 'x', 'HTTP_B3': B3}
        )

        self.assertEqual(int('c' * 32, 16), incoming.span_context.trace_id)

    def test_one_that_raises_costs_its_own_format_and_shows_no_value(self):
        formats = propagation.Propagation(['raising', 'tracecontext'])
        headers = {}

        incoming = formats.from_environ(
            {'HTTP_TRACEPARENT': TRACEPARENT, 'HTTP_X_SECRET': 's3cret'}
        )
        formats.to_headers(headers, incoming.context, everything=True)

        self.assertEqual(int(TRACE, 16), incoming.span_context.trace_id)
        self.assertEqual({'traceparent': TRACEPARENT}, headers)
        self.assertIn('of propagator raising', self.logger.output)
        self.assertNotIn('s3cret', self.logger.output)

    def test_hostile_values_are_hidden(self):
        propagation.Propagation(['looking']).from_environ(
            {
                'PATH_INFO': '/',
                'wsgi.input': object(),
                'HTTP_X_GOOD': 'good',
                'HTTP_X_LARGE': 'x' * 4097,
                'HTTP_X_LARGEST': 'x' * 4096,
                'HTTP_X_EMPTY': '',
                'HTTP_X_LATIN': 'é',
                'HTTP_X_BYTES': b'x',
                'HTTP_X_LIST': ['x'],
            }
        )

        self.assertEqual(
            [{'x-good': ['good'], 'x-largest': ['x' * 4096]}, None],
            self.borrowed.SEEN,
        )

    def test_what_is_no_valid_remote_span_is_nobody(self):
        formats = propagation.Propagation(['answering'])
        span_context = self.borrowed.span_context
        for answer in (
            None,
            7,
            otel_context.Context(),
            span_context(0, 0, True),
            span_context(1, 0, True),
            span_context(1, 1 << 64, True),
            span_context(1, 2, False),
            trace.set_span_in_context('no span'),
        ):
            self.borrowed.Answering.answer = answer
            self.assertIs(propagation.NOBODY, formats.from_environ({}))

        self.borrowed.Answering.answer = span_context(1, 2, True)
        self.assertEqual(1, formats.from_environ({}).span_context.trace_id)

    def test_what_it_finds_is_bounded(self):
        incoming = propagation.Propagation(['fat', 'baggage']).from_environ({})

        span_context = incoming.span_context
        self.assertEqual((1, 2, True, 3), span_context[:4])
        self.assertEqual(
            [f'k{number}={"v" * 200}' for number in range(2)],
            span_context.trace_state.to_header().split(','),
        )
        self.assertEqual({}, dict(baggage.get_all(incoming.context)))

    def test_it_is_shown_no_baggage_and_no_plain_request(self):
        formats = propagation.Propagation(['looking', 'tracecontext'])
        context = baggage.set_baggage(
            'key',
            'value',
            formats.from_environ({'HTTP_TRACEPARENT': TRACEPARENT}).context,
        )
        self.borrowed.SEEN.clear()

        formats.to_headers({}, context, everything=False)
        self.assertEqual([], self.borrowed.SEEN)
        formats.to_headers({}, context, everything=True)
        self.assertEqual([{}], self.borrowed.SEEN)

    def test_only_its_own_headers_go_out_and_only_if_they_are_sane(self):
        formats = propagation.Propagation(['answering', 'tracecontext'])
        context = formats.from_message({'traceparent': TRACEPARENT}).context
        for value, goes in (
            ('fine', True),
            ('x' * 4096, True),
            ('x' * 4097, False),
            ('é', False),
            ('x\r\nSet-Cookie: a=b', False),
            (b'x', False),
            (7, False),
        ):
            self.borrowed.Answering.answer = value
            headers = {}

            formats.to_headers(headers, context, everything=True)

            wanted = {'traceparent': TRACEPARENT}
            if goes:
                wanted['x-its-own'] = value
            self.assertEqual(wanted, headers)

    def test_one_that_cannot_be_used_stops_the_start(self):
        for name, why in (
            ('unfinished', 'cannot be loaded (AttributeError)'),
            ('missing', 'cannot be loaded (AttributeError)'),
        ):
            error = self.assertRaises(
                exceptions.InvalidOption, propagation.Propagation, [name]
            )
            self.assertEqual(
                f'[tracing] propagators = {name!r}: {why}', str(error)
            )

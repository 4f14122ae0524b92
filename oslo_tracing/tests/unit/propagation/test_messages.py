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


import collections
import copy
import json
import pickle
import types

import fixtures
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace
from oslo_context import context as oslo_context
from oslo_messaging._drivers import amqp
import testtools

from oslo_tracing import _current
from oslo_tracing import propagation
from oslo_tracing.propagation import w3c

TRACE = '0af7651916cd43dd8448eb211c80319c'
SPAN = 'b7ad6b7169203331'
TRACEPARENT = f'00-{TRACE}-{SPAN}-01'
SENT = {
    'traceparent': TRACEPARENT,
    'tracestate': 'b=1,1a=2,x@y@z=3',
    'baggage': 'key=value',
}
MIB = 1024 * 1024


class _Values(dict):
    """A dict subclass, as some services use for a context."""


class _Frozen(collections.abc.Mapping):
    """A mapping that no AMQP driver could send before."""

    def __init__(self, values):
        self._values = values

    def __getitem__(self, key):
        return self._values[key]

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)


class MessagesTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.formats = propagation.Propagation(['tracecontext', 'baggage'])
        self.context = self.formats.from_message(SENT).context

    def _send(self, ctxt, **how):
        how.setdefault('baggage', True)
        return self.formats.into_message(ctxt, self.context, **how)

    def _assert_arrives(self, ctxt):
        incoming = self.formats.from_message(ctxt)
        self.assertEqual(int(TRACE, 16), incoming.span_context.trace_id)
        self.assertEqual(int(SPAN, 16), incoming.span_context.span_id)
        self.assertTrue(incoming.span_context.is_remote)
        self.assertEqual(
            SENT['tracestate'], incoming.span_context.trace_state.to_header()
        )
        self.assertEqual(
            {'key': 'value'}, dict(baggage.get_all(incoming.context))
        )

    def test_a_dict_is_copied(self):
        ctxt = {'user': 'a'}

        sent = self._send(ctxt)

        self.assertIs(dict, type(sent))
        self.assertEqual({'user': 'a', **SENT}, sent)
        self.assertEqual({'user': 'a'}, ctxt)
        self._assert_arrives(sent)
        self.assertEqual(ctxt, propagation.without_keys(sent))
        self.assertIn('traceparent', sent)

    def test_whatever_a_sender_uses_comes_back_as_it_was(self):
        for ctxt in (
            _Values(user='a'),
            collections.OrderedDict(user='a'),
            types.MappingProxyType({'user': 'a'}),
            _Frozen({'user': 'a'}),
            oslo_context.RequestContext(user_id='a'),
        ):
            before = copy.deepcopy(getattr(ctxt, '__dict__', None))

            sent = self._send(ctxt)
            again = self._send(sent)

            self._assert_arrives(sent)
            self._assert_arrives(again)
            self.assertIs(ctxt, propagation.without_keys(sent))
            self.assertIs(ctxt, propagation.without_keys(again))
            self.assertEqual(before, getattr(ctxt, '__dict__', None))

    def test_every_kind_travels_through_the_amqp_driver(self):
        for ctxt in (
            {'request_id': 'req-a'},
            _Values(request_id='req-a'),
            types.MappingProxyType({'request_id': 'req-a'}),
            oslo_context.RequestContext(request_id='req-a'),
        ):
            message = {'method': 'm'}
            amqp.pack_context(message, self._send(ctxt))
            self.assertEqual(TRACEPARENT, message['_context_traceparent'])
            message = json.loads(json.dumps(message))

            arrived = amqp.unpack_context(message).to_dict()

            self._assert_arrives(arrived)
            for_service = propagation.without_keys(arrived)
            self.assertEqual('req-a', for_service['request_id'])
            self.assertEqual(set(), propagation.KEYS.intersection(for_service))
            self.assertEqual({'method': 'm'}, message)

    def test_an_object_arrives_like_without_us(self):
        ctxt = oslo_context.RequestContext(user_id='a')
        plain, traced = {}, {}

        amqp.pack_context(plain, ctxt)
        amqp.pack_context(traced, self._send(ctxt))

        plain.update({f'_context_{key}': SENT[key] for key in SENT})
        self.assertEqual(plain, traced)

    def test_an_object_on_its_way_answers_for_the_original(self):
        ctxt = oslo_context.RequestContext(user_id='a')

        sent = self._send(ctxt)

        self.assertEqual('a', sent.user_id)
        self.assertRaises(AttributeError, getattr, sent, 'nosuch')
        self.assertEqual(
            TRACEPARENT, copy.deepcopy(sent).to_dict()['traceparent']
        )
        self.assertEqual(
            TRACEPARENT,
            pickle.loads(pickle.dumps(sent)).to_dict()['traceparent'],
        )

    def test_an_object_that_fails_does_so_as_without_us(self):
        class Broken:
            def to_dict(self):
                raise ValueError('of the service')

        error = self.assertRaises(
            ValueError, amqp.pack_context, {}, self._send(Broken())
        )

        self.assertEqual('of the service', str(error))

    def test_what_nothing_can_be_added_to_stays(self):
        for ctxt in (None, 'text', 7, object()):
            self.assertIs(ctxt, self._send(ctxt))
            self.assertIs(ctxt, propagation.without_keys(ctxt))
            self.assertIs(propagation.NOBODY, self.formats.from_message(ctxt))

    def test_what_raises_stays_and_no_value_is_logged(self):
        class Broken(dict):
            def items(self):
                raise ValueError(TRACE)

        logger = self.useFixture(fixtures.FakeLogger())
        ctxt = Broken()

        self.assertIs(ctxt, self._send(ctxt))
        self.assertIn('writing into a message', logger.output)
        self.assertNotIn(TRACE, logger.output)

    def test_notifications_carry_no_baggage_not_even_an_old_one(self):
        sent = self._send({'baggage': 'old=1', 'user': 'a'}, baggage=False)

        self.assertEqual(
            {
                'user': 'a',
                'traceparent': TRACEPARENT,
                'tracestate': SENT['tracestate'],
            },
            sent,
        )

    def test_keys_of_an_older_trace_are_replaced(self):
        formats = propagation.Propagation(['tracecontext'])
        context = formats.from_message({'traceparent': TRACEPARENT}).context

        sent = formats.into_message(
            dict(SENT, tracestate='old=1'), context, baggage=True
        )

        self.assertEqual({'traceparent': TRACEPARENT}, sent)

    def test_without_a_span_the_very_object_is_sent(self):
        ctxt = {'user': 'a'}

        self.assertIs(
            ctxt,
            self.formats.into_message(
                ctxt, otel_context.Context(), baggage=True
            ),
        )

    def test_a_span_that_is_not_sampled_is_told_as_such(self):
        value = TRACEPARENT[:-2] + '02'
        context = self.formats.from_message({'traceparent': value}).context

        self.assertEqual(
            {'traceparent': value},
            self.formats.into_message({}, context, baggage=True),
        )

    def test_messages_are_w3c_whatever_http_uses(self):
        formats = propagation.Propagation(['b3'])

        sent = formats.into_message({}, self.context, baggage=True)

        self.assertEqual(
            {
                'traceparent': TRACEPARENT,
                'tracestate': SENT['tracestate'],
            },
            sent,
        )
        self.assertEqual(
            int(TRACE, 16), formats.from_message(sent).span_context.trace_id
        )

    def test_none_means_messages_too(self):
        formats = propagation.Propagation(['none'])
        ctxt = {}

        self.assertIs(
            ctxt, formats.into_message(ctxt, self.context, baggage=True)
        )
        self.assertIs(propagation.NOBODY, formats.from_message(SENT))

    def test_a_traceparent_of_another_kind_is_nobody(self):
        for value in (
            None,
            7,
            True,
            TRACEPARENT.encode(),
            [TRACEPARENT],
            {'traceparent': TRACEPARENT},
            '',
            'é' * 55,
            '0' * MIB,
            f' {TRACEPARENT}',
            f'{TRACEPARENT},{TRACEPARENT}',
        ):
            self.assertIs(
                propagation.NOBODY,
                self.formats.from_message(dict(SENT, traceparent=value)),
            )

    def test_companions_of_another_kind_are_ignored_alone(self):
        for value in (
            None,
            7,
            b'a=1',
            ['a=1'],
            {'a': '1'},
            '',
            'a=é',
            'a=1,' * (MIB // 4),
        ):
            incoming = self.formats.from_message(
                {
                    'traceparent': TRACEPARENT,
                    'tracestate': value,
                    'baggage': value,
                }
            )

            self.assertEqual(int(SPAN, 16), incoming.span_context.span_id)
            self.assertEqual(0, len(incoming.span_context.trace_state))
            self.assertEqual(1, len(incoming.context))

    def test_one_dict_for_many_receivers_is_never_changed(self):
        sent = self._send({'user': 'a'})
        before = dict(sent)

        for _receiver in range(3):
            self._assert_arrives(sent)
            self.assertEqual({'user': 'a'}, propagation.without_keys(sent))

        self.assertEqual(before, sent)

    def test_a_dict_without_our_keys_is_copied_too(self):
        ctxt = {'user': 'a'}

        copied = propagation.without_keys(ctxt)

        self.assertEqual(ctxt, copied)
        self.assertIsNot(ctxt, copied)

    def test_a_mapping_that_raises_is_nobody(self):
        class Broken(dict):
            def get(self, key, default=None):
                raise ValueError(TRACE)

        logger = self.useFixture(fixtures.FakeLogger())

        self.assertIs(propagation.NOBODY, self.formats.from_message(Broken()))
        self.assertIn('reading a message', logger.output)
        self.assertNotIn(TRACE, logger.output)
        self.assertIs(trace.INVALID_SPAN, trace.get_current_span())

    def test_what_is_taken_out_is_what_was_said_and_what_is_left(self):
        for ctxt in (
            {},
            {'user': 'a'},
            {'user': 'a', 'traceparent': TRACEPARENT},
            {'user': 'a', **SENT},
            {'baggage': 'key=value', 'traceparent': TRACEPARENT},
            {'trace_info': {'a': 1}, 'traceparent': TRACEPARENT},
            {'traceparent': TRACEPARENT[:-2] + '00'},
            {'traceparent': None, 'tracestate': None},
            {'traceparent': 7},
            {'traceparent': 'x' * MIB},
            {'traceparent': f'{TRACEPARENT}-more'},
            _Values(user='a', **SENT),
            self._send(oslo_context.RequestContext(user_id='a')),
            self._send(_Values(user='a')),
            None,
            7,
        ):
            said = self.formats.from_message(ctxt)
            left = propagation.without_keys(ctxt)
            before = copy.copy(ctxt)
            for rpc in (True, False):
                sent, kept = self.formats.taken(ctxt, rpc, False)

                self.assertEqual(said.span_context, sent.span_context)
                self.assertEqual(
                    dict(baggage.get_all(said.context)),
                    dict(baggage.get_all(sent.context)),
                )
                self.assertEqual(left, kept)
                self.assertIs(type(left), type(kept))
            if type(ctxt) is dict:
                self.assertEqual(before, ctxt)
                self.assertIsNot(ctxt, kept)

    def test_what_is_taken_has_all_that_a_sender_can_say(self):
        ctxt = {'user': 'a', 'traceparent': TRACEPARENT}
        sent, _kept = self.formats.taken(ctxt, True, False)
        said = self.formats.from_message(ctxt)
        self.assertEqual(said._fields, tuple(sent._asdict()))
        self.assertEqual(said[2:], sent[2:])

    def test_of_whom_nobody_records_only_the_span_is_taken(self):
        for flags in (0x00, 0x02):
            value = f'00-{TRACE}-{SPAN}-{flags:02x}'

            sent, kept = self.formats.taken(
                {'user': 'a', 'traceparent': value}, True, True
            )

            self.assertIsInstance(sent, _current.Unrecorded)
            self.assertEqual(value, sent.traceparent)
            self.assertEqual(
                w3c.parse_traceparent(value), sent.get_span_context()
            )
            self.assertFalse(sent.is_recording())
            self.assertEqual({'user': 'a'}, kept)

    def test_a_zero_id_or_another_letter_names_nobody(self):
        value = f'00-{TRACE}-{SPAN}-00'
        for bad in (
            f'00-{"0" * 32}-{SPAN}-00',
            f'00-{TRACE}-{"0" * 16}-00',
            value.upper(),
            *(
                value[:at] + letter + value[at + 1 :]
                for at in range(len(value))
                for letter in 'xX?g \u0660-'
                if value[at] != letter
            ),
        ):
            sent, kept = self.formats.taken({'traceparent': bad}, True, True)

            self.assertIsNone(sent.span_context, bad)
            self.assertEqual({}, kept)

    def test_of_others_all_is_taken(self):
        for ctxt in (
            {},
            {'traceparent': TRACEPARENT},
            {'traceparent': f'00-{TRACE}-{"0" * 16}-00'},
            {'traceparent': f'00-{TRACE}-{SPAN}-fe'},
            {'traceparent': f'00-{"0" * 16}{TRACE[16:]}-{SPAN}-00'},
            {'traceparent': f'cc-{TRACE}-{SPAN}-00'},
            {'traceparent': f'cc-{TRACE}-{SPAN}-00-00'},
            {'traceparent': TRACEPARENT[:-2] + '00', 'tracestate': 'a=1'},
            {'traceparent': TRACEPARENT[:-2] + '00', 'baggage': 'a=1'},
        ):
            sent, kept = self.formats.taken(ctxt, True, True)

            self.assertEqual(
                self.formats.from_message(ctxt).span_context, sent.span_context
            )
            self.assertEqual({}, kept)

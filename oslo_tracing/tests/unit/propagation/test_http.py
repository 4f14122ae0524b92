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


import types

import fixtures
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace
from requests import structures
import testtools

from oslo_tracing import exceptions
from oslo_tracing import propagation

TRACE = '0af7651916cd43dd8448eb211c80319c'
SPAN = 'b7ad6b7169203331'
TRACEPARENT = f'00-{TRACE}-{SPAN}-01'
MIB = 1024 * 1024


def _build(*propagators, hosts=('*',)):
    return propagation.build(
        types.SimpleNamespace(
            propagators=list(propagators) or ['tracecontext', 'baggage'],
            propagate_to=list(hosts),
            signing_keys=[],
            hmac_keys=[],
            incoming_rpc='trust',
            osprofiler=False,
        )
    )


class FromEnvironTest(testtools.TestCase):
    def test_the_caller_is_all_that_the_context_holds(self):
        token = otel_context.attach(
            otel_context.set_value('local', 'value', otel_context.Context())
        )
        self.addCleanup(otel_context.detach, token)

        incoming = _build().from_environ(
            {
                'HTTP_TRACEPARENT': TRACEPARENT,
                'HTTP_TRACESTATE': '1a=x,ot=rv:1',
                'HTTP_BAGGAGE': 'key=value',
            }
        )

        caller = trace.get_current_span(incoming.context)
        self.assertFalse(caller.is_recording())
        self.assertEqual(incoming.span_context, caller.get_span_context())
        self.assertTrue(incoming.span_context.is_remote)
        self.assertEqual(
            '1a=x,ot=rv:1', incoming.span_context.trace_state.to_header()
        )
        self.assertEqual(
            {'key': 'value'}, dict(baggage.get_all(incoming.context))
        )
        self.assertEqual(2, len(incoming.context))

    def test_who_says_nothing_is_always_the_same_nobody(self):
        self.assertIs(
            propagation.NOBODY,
            _build().from_environ({'PATH_INFO': '/', 'HTTP_HOST': 'x'}),
        )
        self.assertEqual(({}, None), propagation.NOBODY[:2])

    def test_baggage_and_tracestate_count_for_nothing_without_a_caller(self):
        for traceparent in (
            None,
            '',
            'é',
            1,
            TRACEPARENT.encode(),
            [TRACEPARENT],
            '0' * MIB,
            f'{TRACEPARENT},{TRACEPARENT}',
            f'00-{TRACE}-{"0" * 16}-01',
        ):
            environ = {
                'HTTP_TRACEPARENT': traceparent,
                'HTTP_TRACESTATE': 'a=1',
                'HTTP_BAGGAGE': 'key=value',
            }
            self.assertIs(propagation.NOBODY, _build().from_environ(environ))

    def test_a_hostile_companion_is_ignored_alone(self):
        for value in ('é', '', 1, b'a=1', 'a=1,' * (MIB // 4), 'A B'):
            incoming = _build().from_environ(
                {
                    'HTTP_TRACEPARENT': TRACEPARENT,
                    'HTTP_TRACESTATE': value,
                    'HTTP_BAGGAGE': value,
                }
            )

            self.assertEqual(int(TRACE, 16), incoming.span_context.trace_id)
            self.assertEqual(0, len(incoming.span_context.trace_state))
            self.assertEqual(1, len(incoming.context))

    def test_white_space_that_a_server_left_is_no_part_of_the_value(self):
        incoming = _build().from_environ(
            {'HTTP_TRACEPARENT': f' \t{TRACEPARENT} \t'}
        )

        self.assertEqual(int(SPAN, 16), incoming.span_context.span_id)

    def test_baggage_is_read_only_where_it_is_configured(self):
        incoming = _build('tracecontext').from_environ(
            {'HTTP_TRACEPARENT': TRACEPARENT, 'HTTP_BAGGAGE': 'key=value'}
        )

        self.assertEqual({}, dict(baggage.get_all(incoming.context)))

    def test_nothing_is_read_where_nothing_is_configured(self):
        for propagators in (['none'], ['baggage']):
            self.assertIs(
                propagation.NOBODY,
                _build(*propagators).from_environ(
                    {
                        'HTTP_TRACEPARENT': TRACEPARENT,
                        'HTTP_BAGGAGE': 'key=value',
                    }
                ),
            )

    def test_an_environ_that_raises_is_nobody(self):
        logger = self.useFixture(fixtures.FakeLogger())

        self.assertIs(propagation.NOBODY, _build().from_environ(None))
        self.assertIn('reading headers', logger.output)


class ToHeadersTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.context = (
            _build()
            .from_environ(
                {
                    'HTTP_TRACEPARENT': TRACEPARENT,
                    'HTTP_TRACESTATE': 'b=1,1a=2,x@y@z=3',
                    'HTTP_BAGGAGE': 'key=some%20value',
                }
            )
            .context
        )

    def _headers(self, *propagators, everything=True, headers=None):
        headers = {} if headers is None else headers
        _build(*propagators).to_headers(
            headers, self.context, everything=everything
        )
        return headers

    def test_everything(self):
        self.assertEqual(
            {
                'traceparent': TRACEPARENT,
                'tracestate': 'b=1,1a=2,x@y@z=3',
                'baggage': 'key=some%20value',
            },
            self._headers(),
        )

    def test_a_plain_request_gets_the_traceparent_at_most(self):
        self.assertEqual(
            {'traceparent': TRACEPARENT}, self._headers(everything=False)
        )
        self.assertEqual({}, self._headers('b3', everything=False))

    def test_without_baggage(self):
        self.assertEqual(
            ['traceparent', 'tracestate'],
            sorted(self._headers('tracecontext')),
        )

    def test_none(self):
        self.assertEqual({}, self._headers('none'))
        self.assertEqual({}, self._headers('baggage'))

    def test_a_span_that_is_not_sampled_is_told_as_such(self):
        for flags in ('00', '02', '03'):
            context = (
                _build()
                .from_environ(
                    {'HTTP_TRACEPARENT': f'00-{TRACE}-{SPAN}-{flags}'}
                )
                .context
            )
            headers = {}

            _build().to_headers(headers, context, everything=True)

            self.assertEqual(
                {'traceparent': f'00-{TRACE}-{SPAN}-{flags}'}, headers
            )

    def test_older_values_are_replaced_in_any_case(self):
        headers = self._headers(
            headers={
                'Accept': 'text/plain',
                'TraceParent': 'old',
                'TRACESTATE': 'old',
                'Baggage': 'old',
            }
        )

        self.assertEqual(
            ['Accept', 'traceparent', 'tracestate', 'baggage'], list(headers)
        )
        self.assertNotIn('old', headers.values())

    def test_a_tracestate_of_another_span_does_not_stay(self):
        headers = self._headers(
            headers={'Tracestate': 'old', 'baggage': 'of-the-service=1'},
            everything=False,
        )

        self.assertEqual(
            {'traceparent': TRACEPARENT, 'baggage': 'of-the-service=1'},
            headers,
        )

    def test_other_kinds_of_headers(self):
        headers = self._headers(
            headers=structures.CaseInsensitiveDict({'TraceParent': 'old'})
        )
        self.assertEqual(
            ['traceparent', 'tracestate', 'baggage'], list(headers)
        )

        seen = []
        _build().to_headers(
            lambda name, value: seen.append(name),
            self.context,
            everything=True,
        )
        self.assertEqual(['traceparent', 'tracestate', 'baggage'], seen)

    def test_without_a_span_nothing_changes(self):
        headers = {'traceparent': 'of the service'}

        for context in (
            otel_context.Context(),
            trace.set_span_in_context(
                trace.INVALID_SPAN, otel_context.Context()
            ),
        ):
            _build().to_headers(headers, context, everything=True)

        self.assertEqual({'traceparent': 'of the service'}, headers)

    def test_headers_that_cannot_be_set_stay_and_no_value_is_logged(self):
        logger = self.useFixture(fixtures.FakeLogger())
        headers = types.MappingProxyType({'a': 'b'})

        _build().to_headers(headers, self.context, everything=True)

        self.assertEqual({'a': 'b'}, dict(headers))
        self.assertIn('writing headers', logger.output)
        self.assertNotIn(TRACE, logger.output)


class OptionsTest(testtools.TestCase):
    def test_fields_are_all_headers_that_can_be_set(self):
        for propagators, fields in (
            (['none'], set()),
            (['baggage'], set()),
            (['tracecontext'], {'traceparent', 'tracestate'}),
            (
                ['tracecontext', 'baggage'],
                {'traceparent', 'tracestate', 'baggage'},
            ),
            (['b3', 'baggage'], {'b3', 'baggage'}),
        ):
            self.assertEqual(fields, _build(*propagators).fields)

    def test_an_unknown_name_says_what_there_is(self):
        error = self.assertRaises(
            exceptions.InvalidOption, _build, 'tracecontext', 'nosuch'
        )

        self.assertTrue(
            str(error).startswith(
                "[tracing] propagators = 'nosuch': not installed; installed: "
            ),
            str(error),
        )
        for name in ('b3', 'b3multi', 'baggage', 'tracecontext', 'none'):
            self.assertIn(name, str(error))

    def test_none_stands_alone(self):
        error = self.assertRaises(
            exceptions.InvalidOption, _build, 'none', 'baggage'
        )

        self.assertEqual(
            "[tracing] propagators = 'none,baggage': 'none' stands alone",
            str(error),
        )

    def test_which_hosts_may_learn_of_a_trace(self):
        for globs, host, may in (
            (['*'], 'anything', True),
            (['*'], None, True),
            ([], 'anything', False),
            (['nova'], 'nova', True),
            (['Nova'], 'NOVA', True),
            (['nova'], 'nova.', True),
            (['nova'], 'supernova', False),
            (['*.cloud.example'], 'nova.cloud.example', True),
            (['*.cloud.example'], 'cloud.example', False),
            (['*.cloud.example'], 'nova.cloud.example.evil', False),
            (['*.cloud.example'], 'novaxcloud.example', False),
            (['*.cloud.example'], 'evil\n.cloud.example', False),
            (['a', 'b*'], 'b7', True),
            (['node?'], 'node12', False),
            (['node?'], 'node1', True),
            (['::1'], '[::1]', True),
            (['[fd00::*]'], 'fd00::7', True),
            (['[a-z]'], 'b', False),
            # Of these one that is found by trial would take years.
            (['*a' * 20 + '*b'], 'a' * 255, False),
            (['*.example'], 'a' * 248 + '.example', False),
            (['nova'], None, False),
            (['nova'], b'nova', False),
        ):
            self.assertIs(
                may, _build(hosts=globs).may_carry(host), (globs, host)
            )

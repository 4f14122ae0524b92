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


import copy
import pickle

import fixtures
from opentelemetry import trace
import testtools

from oslo_tracing.propagation import w3c

TRACE = '0af7651916cd43dd8448eb211c80319c'
SPAN = 'b7ad6b7169203331'
VALID = f'00-{TRACE}-{SPAN}-01'
MIB = 1024 * 1024

# name: (traceparent, flags that are read, or None if it is no traceparent)
TRACEPARENTS = {
    'sampled': (VALID, 1),
    'not sampled': (f'00-{TRACE}-{SPAN}-00', 0),
    'random': (f'00-{TRACE}-{SPAN}-02', 2),
    'sampled and random': (f'00-{TRACE}-{SPAN}-03', 3),
    'undefined flags are cleared': (f'00-{TRACE}-{SPAN}-ff', 3),
    'undefined flags alone': (f'00-{TRACE}-{SPAN}-fc', 0),
    'empty': ('', None),
    'white space': (' ', None),
    'one short': (VALID[:-1], None),
    'one long': (VALID + '0', None),
    'version 00 with more': (VALID + '-more', None),
    'version 00 with a dash': (VALID + '-', None),
    'white space before': (' ' + VALID, None),
    'white space after': (VALID + ' ', None),
    'newline after': (VALID + '\n', None),
    'higher version': (f'01-{TRACE}-{SPAN}-01', 1),
    'higher version with more': (f'cc-{TRACE}-{SPAN}-01-what-is-this', 1),
    'higher version with a dash': (f'cc-{TRACE}-{SPAN}-01-', 1),
    'higher version without a dash': (f'cc-{TRACE}-{SPAN}-01.more', None),
    'higher version, longer flags': (f'cc-{TRACE}-{SPAN}-011', None),
    'higher version, non-ASCII more': (f'cc-{TRACE}-{SPAN}-01-\xe9', None),
    'higher version, 1 MiB more': (f'cc-{TRACE}-{SPAN}-01-' + 'x' * MIB, None),
    'higher version twice': (
        f'cc-{TRACE}-{SPAN}-01-x,cc-{TRACE}-{SPAN}-01-x',
        None,
    ),
    'version ff': (f'ff-{TRACE}-{SPAN}-01', None),
    'version ff with more': (f'ff-{TRACE}-{SPAN}-01-x', None),
    'version of one digit': (f'0-{TRACE}-{SPAN}-01', None),
    'version not hex': (f'0x-{TRACE}-{SPAN}-01', None),
    'version upper case': (f'CC-{TRACE}-{SPAN}-01', None),
    'twice': (f'{VALID},{VALID}', None),
    'twice with a space': (f'{VALID}, {VALID}', None),
    'no trace': (f'00-{"0" * 32}-{SPAN}-01', None),
    'no span': (f'00-{TRACE}-{"0" * 16}-01', None),
    'trace upper case': (f'00-{TRACE.upper()}-{SPAN}-01', None),
    'span upper case': (f'00-{TRACE}-{SPAN.upper()}-01', None),
    'flags upper case': (f'00-{TRACE}-{SPAN}-0A', None),
    'flags not hex': (f'00-{TRACE}-{SPAN}-0x', None),
    'flags of one digit': (f'00-{TRACE}-{SPAN}-1', None),
    'trace not hex': (f'00-{"g" * 32}-{SPAN}-01', None),
    'trace with a sign': (f'00-+{TRACE[1:]}-{SPAN}-01', None),
    'trace with an underscore': (f'00-0_{TRACE[2:]}-{SPAN}-01', None),
    'trace of other digits': (f'00-{chr(0x661) * 32}-{SPAN}-01', None),
    'trace one short': (f'00-{TRACE[1:]}-{SPAN}0-01', None),
    'wrong separators': (VALID.replace('-', '_'), None),
    'non-ASCII': ('\xe9' * 55, None),
    'surrogate': ('\udc80' + VALID[1:], None),
    '1 MiB': ('0' * MIB, None),
    '1 MiB behind a valid one': (VALID + '0' * MIB, None),
    'none': (None, None),
    'int': (1, None),
    'bytes': (VALID.encode(), None),
    'list': ([VALID], None),
}


def _members(count, size):
    return ','.join(
        f'k{number}=' + 'v' * (size - len(f'k{number}='))
        for number in range(count)
    )


LARGE = 'large=' + 'l' * 123
KEY_256 = 'k' * 256

# name: (tracestate, what is passed on)
TRACESTATES = {
    'one': ('a=1', 'a=1'),
    'order is kept': ('z=1,a=2,m=3', 'z=1,a=2,m=3'),
    'ot and vendors': (
        'ot=th:8;rv:0123456789abcd,acme@tenant=x/y,congo=t61rcWkgMzE',
        'ot=th:8;rv:0123456789abcd,acme@tenant=x/y,congo=t61rcWkgMzE',
    ),
    'several headers': (['a=1,b=2', 'c=3'], 'a=1,b=2,c=3'),
    'white space around members': (' a=1 \t,\t b=2 ', 'a=1,b=2'),
    'empty members': (',a=1,, ,b=2,', 'a=1,b=2'),
    'only empty members': (', ,', ''),
    'empty': ('', ''),
    'value begins with a space': ('a= 1', 'a= 1'),
    'space inside a value': ('a=1 2', 'a=1 2'),
    'value of 256': (f'a={"v" * 256}', f'a={"v" * 256}'),
    'value of 257': (f'a={"v" * 257}', ''),
    'empty value': ('a=', ''),
    'no value': ('a', ''),
    'no key': ('=1', ''),
    'equals in a value': ('a=1=2', ''),
    'tab in a value': ('a=1\t2', ''),
    'control character': ('a=1\x012', ''),
    'delete character': ('a=1\x7f', ''),
    'newline': ('a=1\n', ''),
    'space after a key': ('a =1', ''),
    'one invalid of two': ('a=1,B=2', ''),
    'key with a digit first': ('1a=1', '1a=1'),
    'key of one digit': ('0=1', '0=1'),
    'key with every character': ('a0_-*/@z=1', 'a0_-*/@z=1'),
    'key with several @': ('a@b@c=1', 'a@b@c=1'),
    'key with @ last': ('a@=1', 'a@=1'),
    'key with @ first': ('@a=1', ''),
    'key with _ first': ('_a=1', ''),
    'key upper case': ('aB=1', ''),
    'key with a dot': ('a.b=1', ''),
    'key of 256': (f'{KEY_256}=1', f'{KEY_256}=1'),
    'key of 257': (f'{KEY_256}k=1', ''),
    'tenant of 15': ('t@abcdefghijklmno=1', 't@abcdefghijklmno=1'),
    'duplicates keep the first': ('a=1,b=2,a=3', 'a=1,b=2'),
    'duplicates over two headers': (['a=1', 'a=2'], 'a=1'),
    '32 members': (_members(32, 6), _members(32, 6)),
    '33 members': (_members(33, 6), ''),
    '33 members with duplicates': (_members(32, 6) + ',k1=x', ''),
    '32 members and empty ones': (_members(32, 6) + ',,,', _members(32, 6)),
    '512 characters': (_members(4, 128)[:-3], _members(4, 128)[:-3]),
    '513 characters': (_members(4, 128)[:-2], _members(3, 128)),
    'large ones go first': (
        f'a=1,{LARGE},{_members(4, 100)}',
        f'a=1,{_members(4, 100)}',
    ),
    'large ones go from the right': (
        f'{LARGE},a=1,big={"b" * 200},huge={"h" * 250}',
        f'{LARGE},a=1,big={"b" * 200}',
    ),
    'then others from the right': (
        f'{LARGE},{_members(6, 100)}',
        _members(5, 100),
    ),
    'large ones stay where they fit': (f'a=1,{LARGE}', f'a=1,{LARGE}'),
    'non-ASCII': ('a=\xe9', ''),
    '1 MiB value': ('a=' + 'v' * MIB, ''),
    '1 MiB of members': ('a=1,' * (MIB // 4), ''),
    '1 MiB of commas': (',' * MIB, ''),
    'none': (None, ''),
    'int': (1, ''),
    'bytes': (b'a=1', ''),
    'list of bytes': ([b'a=1'], ''),
    'dict': ({'a': '1'}, ''),
}


class TraceparentTest(testtools.TestCase):
    def test_what_is_read(self):
        read = {}
        for name, (value, _flags) in TRACEPARENTS.items():
            span_context = w3c.parse_traceparent(value)
            read[name] = span_context and int(span_context.trace_flags)

        self.assertEqual(
            {name: flags for name, (_value, flags) in TRACEPARENTS.items()},
            read,
        )

    def test_ids_are_the_callers_and_remote(self):
        span_context = w3c.parse_traceparent(VALID)

        self.assertEqual(int(TRACE, 16), span_context.trace_id)
        self.assertEqual(int(SPAN, 16), span_context.span_id)
        self.assertTrue(span_context.is_remote)
        self.assertTrue(span_context.is_valid)

    def test_what_is_read_is_written_as_version_00(self):
        for value, flags in TRACEPARENTS.values():
            if flags is not None:
                self.assertEqual(
                    f'00-{TRACE}-{SPAN}-0{flags}',
                    w3c.format_traceparent(w3c.parse_traceparent(value)),
                )

    def test_small_ids_are_padded(self):
        value = f'00-{1:032x}-{2:016x}-00'

        self.assertEqual(
            value, w3c.format_traceparent(w3c.parse_traceparent(value))
        )

    def test_nothing_is_logged(self):
        logger = self.useFixture(fixtures.FakeLogger())

        for value, _flags in TRACEPARENTS.values():
            w3c.parse(value, 'nonsense')
        for value, _kept in TRACESTATES.values():
            w3c.parse(VALID, value)

        self.assertEqual('', logger.output)


class TracestateTest(testtools.TestCase):
    def test_what_is_passed_on(self):
        passed = {
            name: w3c.format_tracestate(w3c.parse(VALID, value)) or ''
            for name, (value, _kept) in TRACESTATES.items()
        }

        self.assertEqual(
            {name: kept for name, (_value, kept) in TRACESTATES.items()},
            passed,
        )

    def test_an_invalid_one_leaves_the_traceparent(self):
        span_context = w3c.parse(VALID, 'NOT VALID')

        self.assertEqual(VALID, w3c.format_traceparent(span_context))
        self.assertEqual(0, len(span_context.trace_state))

    def test_it_survives_copies_and_pickle(self):
        span_context = w3c.parse(VALID, '1a=1,b@c@d=2')

        for other in (
            copy.deepcopy(span_context),
            pickle.loads(pickle.dumps(span_context)),
        ):
            self.assertEqual(span_context, other)
            self.assertEqual('1a=1,b@c@d=2', other.trace_state.to_header())

    def test_a_sampler_may_change_its_entry_and_keeps_the_others(self):
        state = w3c.parse_tracestate('1a=1,ot=rv:1,b@c@d=2')

        self.assertEqual(
            'ot=th:0,1a=1,b@c@d=2', state.update('ot', 'th:0').to_header()
        )
        self.assertEqual('1a=1,b@c@d=2', state.delete('ot').to_header())
        self.assertEqual(
            'new=x,1a=1,ot=rv:1,b@c@d=2', state.add('new', 'x').to_header()
        )
        self.assertEqual('1a=1,ot=rv:1,b@c@d=2', state.to_header())

    def test_a_change_that_is_not_valid_is_none(self):
        full = w3c.parse_tracestate(_members(32, 6))
        state = w3c.parse_tracestate('a=1')

        self.assertIs(full, full.add('more', 'x'))
        self.assertIs(full, full.update('more', 'x'))
        self.assertIs(state, state.add('a', '2'))
        self.assertIs(state, state.add('B', '2'))
        self.assertIs(state, state.update('a', ''))
        self.assertIs(state, state.delete('b'))

    def test_a_change_keeps_it_within_512_characters(self):
        state = w3c.parse_tracestate(_members(5, 100))

        self.assertEqual(
            f'new=x,{_members(5, 100)}', state.add('new', 'x').to_header()
        )
        self.assertEqual(
            f'new={"x" * 80},{_members(4, 100)}',
            state.add('new', 'x' * 80).to_header(),
        )

    def test_one_that_a_sampler_made_is_bounded_when_it_leaves(self):
        state = trace.TraceState(
            [(f'k{number}', 'v' * 100) for number in range(20)]
        )
        span_context = trace.SpanContext(1, 2, False, None, state)

        # Four of 103 characters are what fits.
        self.assertEqual(
            ','.join(f'k{number}={"v" * 100}' for number in range(4)),
            w3c.format_tracestate(span_context),
        )

    def test_nothing_is_written_for_an_empty_one(self):
        self.assertIsNone(w3c.format_tracestate(w3c.parse_traceparent(VALID)))


class CheckedTest(testtools.TestCase):
    def test_undefined_flags_are_cleared_and_the_tracestate_is_kept(self):
        state = trace.TraceState([('b', '1'), ('a', '2')])

        span_context = w3c.checked(
            trace.SpanContext(1, 2, True, trace.TraceFlags(0xFF), state)
        )

        self.assertEqual((1, 2, True, 3), span_context[:4])
        self.assertEqual('b=1,a=2', span_context.trace_state.to_header())

    def test_what_is_not_a_valid_remote_span_is_nothing(self):
        for value in (
            None,
            'text',
            trace.INVALID_SPAN_CONTEXT,
            trace.SpanContext(1, 0, True),
            trace.SpanContext(1, 2, False),
            trace.SpanContext(1 << 128, 2, True),
        ):
            self.assertIsNone(w3c.checked(value))

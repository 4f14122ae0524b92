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

"""What a service is sent of a trace, and what it must tell the next one.

The behaviours are those of W3C Trace Context level 2 and W3C Baggage, whose
sections the comments name.
"""

from __future__ import annotations

from typing import NamedTuple

TRACE = '0af7651916cd43dd8448eb211c80319c'
OTHER = '5c9a7e30d2b14f6688d0e1f2a3b4c5d6'
SPAN = 'b7ad6b7169203331'
VALID = f'00-{TRACE}-{SPAN}-01'
MIB = 1024 * 1024

SAMPLED = 0x01
RANDOM = 0x02


class Case(NamedTuple):
    """One behaviour.

    :param headers: what the caller sends, in this order.
    :param joins: the trace goes on; else a new one begins.
    :param tracestate: what the next service gets of it, '' for nothing.
    :param baggage: the same.
    :param flags: of the caller, as far as they are defined.
    """

    headers: list[tuple[str, str]]
    joins: bool = True
    tracestate: str = ''
    baggage: str = ''
    flags: int = SAMPLED


def _joins(traceparent: str, flags: int = SAMPLED) -> Case:
    return Case([('traceparent', traceparent)], flags=flags)


def _new(traceparent: str) -> Case:
    """Return a case where nothing at all of the caller is believed."""
    return Case(
        [
            ('traceparent', traceparent),
            ('tracestate', 'a=1'),
            ('baggage', 'a=1'),
        ],
        joins=False,
    )


def _state(sent: str | list[str], told: str | None = None) -> Case:
    """Return a case of tracestate beside a valid traceparent.

    :param told: what goes on, by default what is sent.
    """
    values = [sent] if isinstance(sent, str) else sent
    return Case(
        [
            ('traceparent', VALID),
            *(('tracestate', value) for value in values),
        ],
        tracestate=values[0] if told is None else told,
    )


def _baggage(sent: str | list[str], told: str | None = None) -> Case:
    """Return a case of baggage beside a valid traceparent."""
    values = [sent] if isinstance(sent, str) else sent
    return Case(
        [('traceparent', VALID), *(('baggage', value) for value in values)],
        baggage=values[0] if told is None else told,
    )


def _members(count: int, size: int, start: int = 0) -> str:
    names = [f'k{number}=' for number in range(start, start + count)]
    return ','.join(name + 'v' * (size - len(name)) for name in names)


#: Every character that a key, a simple one and one of many tenants, and a
#: value may have.
_KEY = 'abcdefghijklmnopqrstuvwxyz0123456789_-*/@'
_VALUE = ''.join(map(chr, [*range(0x20, 0x2C), *range(0x2D, 0x3D)])) + ''.join(
    map(chr, range(0x3E, 0x7F))
)

#: traceparent: 3.2
TRACEPARENT = {
    'nothing_is_sent': Case([], joins=False),
    'traceparent_alone': _joins(VALID),
    'traceparent_and_tracestate': _state('a=1,b=2'),
    'tracestate_alone': Case([('tracestate', 'a=1')], joins=False),
    'baggage_alone': Case([('baggage', 'a=1')], joins=False),
    'the_same_traceparent_twice': Case(
        [('traceparent', VALID)] * 2, joins=False
    ),
    'two_traceparents': Case(
        [
            ('traceparent', VALID),
            ('traceparent', f'00-{OTHER}-{SPAN}-01'),
        ],
        joins=False,
    ),
    'two_traceparents_of_the_future': Case(
        [
            ('traceparent', f'cc-{TRACE}-{SPAN}-01-x'),
            ('traceparent', f'cc-{OTHER}-{SPAN}-01-x'),
        ],
        joins=False,
    ),
    'an_empty_traceparent_before_a_valid_one': Case(
        [('traceparent', ''), ('traceparent', VALID)], joins=False
    ),
    'name_in_camel_case': Case([('TraceParent', VALID)]),
    'name_in_mixed_case': Case([('tRaCePaReNt', VALID)]),
    'name_in_upper_case': Case([('TRACEPARENT', VALID)]),
    'name_with_a_dash': Case([('trace-parent', VALID)], joins=False),
    'name_with_a_dot': Case([('trace.parent', VALID)], joins=False),
    'name_with_a_prefix': Case([('X-Traceparent', VALID)], joins=False),
    'space_before_the_value': _joins(f' {VALID}'),
    'space_after_the_value': _joins(f'{VALID} '),
    'tabs_around_the_value': _joins(f'\t{VALID}\t'),
    'many_spaces_around_the_value': _joins(f' \t  {VALID} \t '),
    'space_inside_the_value': _new(VALID.replace('-', ' -', 1)),
    'empty': _new(''),
    'only_white_space': _new(' \t '),
    'quoted': _new(f'"{VALID}"'),
    'underscores_for_dashes': _new(VALID.replace('-', '_')),
    'only_dashes': _new('-' * 55),
    'without_flags': _new(f'00-{TRACE}-{SPAN}'),
    'without_flags_but_a_dash': _new(f'00-{TRACE}-{SPAN}-'),
    'without_a_version': _new(f'{TRACE}-{SPAN}-01'),
    'the_parts_in_another_order': _new(f'00-{SPAN}-{TRACE}-01'),
    'the_form_of_b3': _new(f'{TRACE}-{SPAN}-1'),
    'the_form_of_jaeger': _new(f'{TRACE}:{SPAN}:0:1'),
    'non_ascii': _new('\xe9' * 55),
    'non_ascii_behind_a_valid_one': _new(f'{VALID}\xe9'),
    'non_ascii_digits': _new(f'00-{chr(0xB2) * 32}-{SPAN}-01'),
    'a_control_character': _new(f'{VALID}\x01'),
    'of_1_mib': _new('0' * MIB),
    'of_1_mib_behind_a_valid_one': _new(VALID + '0' * MIB),
    'of_1_mib_in_non_ascii': _new('\xe9' * MIB),
}

#: version: 3.2.2.1 and "Versioning of traceparent"
VERSIONS = {
    'version_00_with_a_dot': _new(f'{VALID}.'),
    'version_00_with_a_dash': _new(f'{VALID}-'),
    'version_00_with_more_fields': _new(f'{VALID}-more-to-come'),
    'version_00_with_one_more_digit': _new(f'{VALID}0'),
    'the_next_version': _joins(f'01-{TRACE}-{SPAN}-01'),
    'a_future_version': _joins(f'cc-{TRACE}-{SPAN}-01'),
    'the_last_version': _joins(f'fe-{TRACE}-{SPAN}-01'),
    'a_future_version_with_more_fields': _joins(
        f'cc-{TRACE}-{SPAN}-01-more-to-come'
    ),
    'a_future_version_with_a_dash': _joins(f'cc-{TRACE}-{SPAN}-01-'),
    'a_future_version_with_flags_of_its_own': _joins(
        f'cc-{TRACE}-{SPAN}-fd', SAMPLED
    ),
    'a_future_version_with_a_dot': _new(f'cc-{TRACE}-{SPAN}-01.more-to-come'),
    'a_future_version_with_longer_flags': _new(f'cc-{TRACE}-{SPAN}-001'),
    'a_future_version_too_short': _new(f'cc-{TRACE}-{SPAN}-0'),
    'a_future_version_without_a_trace': _new(f'cc-{"0" * 32}-{SPAN}-01-more'),
    'a_future_version_with_non_ascii': _new(f'cc-{TRACE}-{SPAN}-01-\xe9'),
    'a_future_version_of_1_mib': _new(f'cc-{TRACE}-{SPAN}-01-' + 'x' * MIB),
    'version_ff': _new(f'ff-{TRACE}-{SPAN}-01'),
    'version_ff_with_more_fields': _new(f'ff-{TRACE}-{SPAN}-01-more'),
    'version_begins_with_a_dot': _new(f'.0-{TRACE}-{SPAN}-01'),
    'version_ends_with_a_dot': _new(f'0.-{TRACE}-{SPAN}-01'),
    'version_in_upper_case': _new(f'CC-{TRACE}-{SPAN}-01'),
    'version_of_one_digit': _new(f'0-{TRACE}-{SPAN}-01'),
    'version_of_three_digits': _new(f'000-{TRACE}-{SPAN}-01'),
    'version_of_four_digits': _new(f'0000-{TRACE}-{SPAN}-01'),
    'version_empty': _new(f'-{TRACE}-{SPAN}-01'),
}

#: trace-id and parent-id: 3.2.2.3, 3.2.2.4
IDS = {
    'trace_id_all_zero': _new(f'00-{"0" * 32}-{SPAN}-01'),
    'trace_id_in_upper_case': _new(f'00-{TRACE.upper()}-{SPAN}-01'),
    'trace_id_begins_with_a_dot': _new(f'00-.{TRACE[1:]}-{SPAN}-01'),
    'trace_id_ends_with_a_dot': _new(f'00-{TRACE[:-1]}.-{SPAN}-01'),
    'trace_id_not_hexadecimal': _new(f'00-{"g" * 32}-{SPAN}-01'),
    'trace_id_with_a_sign': _new(f'00-+{TRACE[1:]}-{SPAN}-01'),
    'trace_id_with_an_underscore': _new(f'00-0_{TRACE[2:]}-{SPAN}-01'),
    'trace_id_with_a_space': _new(f'00- {TRACE[1:]}-{SPAN}-01'),
    'trace_id_with_0x': _new(f'00-0x{TRACE[2:]}-{SPAN}-01'),
    'trace_id_as_a_uuid': _new(
        f'00-0af76519-16cd-43dd-8448-eb211c80319c-{SPAN}-01'
    ),
    'trace_id_too_long': _new(f'00-{TRACE}0-{SPAN}-01'),
    'trace_id_too_short': _new(f'00-{TRACE[:-1]}-{SPAN}-01'),
    'trace_id_of_64_bits': _new(f'00-{TRACE[:16]}-{SPAN}-01'),
    'trace_id_empty': _new(f'00--{SPAN}-01'),
    'parent_id_all_zero': _new(f'00-{TRACE}-{"0" * 16}-01'),
    'both_ids_all_zero': _new(f'00-{"0" * 32}-{"0" * 16}-01'),
    'parent_id_in_upper_case': _new(f'00-{TRACE}-{SPAN.upper()}-01'),
    'parent_id_begins_with_a_dot': _new(f'00-{TRACE}-.{SPAN[1:]}-01'),
    'parent_id_ends_with_a_dot': _new(f'00-{TRACE}-{SPAN[:-1]}.-01'),
    'parent_id_too_long': _new(f'00-{TRACE}-{SPAN}0-01'),
    'parent_id_too_short': _new(f'00-{TRACE}-{SPAN[:-1]}-01'),
    'parent_id_empty': _new(f'00-{TRACE}--01'),
}

#: trace-flags: 3.2.2.5
FLAGS = {
    'flags_none': _joins(f'00-{TRACE}-{SPAN}-00', 0),
    'flags_sampled': _joins(f'00-{TRACE}-{SPAN}-01', SAMPLED),
    'flags_random': _joins(f'00-{TRACE}-{SPAN}-02', RANDOM),
    'flags_sampled_and_random': _joins(
        f'00-{TRACE}-{SPAN}-03', SAMPLED | RANDOM
    ),
    'flags_undefined_ones_are_not_passed_on': _joins(
        f'00-{TRACE}-{SPAN}-fc', 0
    ),
    'flags_undefined_ones_beside_sampled': _joins(
        f'00-{TRACE}-{SPAN}-09', SAMPLED
    ),
    'flags_all': _joins(f'00-{TRACE}-{SPAN}-ff', SAMPLED | RANDOM),
    'flags_in_upper_case': _new(f'00-{TRACE}-{SPAN}-0A'),
    'flags_begin_with_a_dot': _new(f'00-{TRACE}-{SPAN}-.1'),
    'flags_end_with_a_dot': _new(f'00-{TRACE}-{SPAN}-0.'),
    'flags_too_long': _new(f'00-{TRACE}-{SPAN}-001'),
    'flags_too_short': _new(f'00-{TRACE}-{SPAN}-1'),
}

#: tracestate: 3.3
TRACESTATE = {
    'tracestate_name_in_mixed_case': Case(
        [('traceparent', VALID), ('TraceState', 'a=1')], tracestate='a=1'
    ),
    'tracestate_name_with_a_dash': Case(
        [('traceparent', VALID), ('trace-state', 'a=1')]
    ),
    'tracestate_name_with_a_dot': Case(
        [('traceparent', VALID), ('trace.state', 'a=1')]
    ),
    'tracestate_before_traceparent': Case(
        [('tracestate', 'a=1'), ('traceparent', VALID)], tracestate='a=1'
    ),
    'tracestate_of_an_unsampled_trace': Case(
        [('traceparent', f'00-{TRACE}-{SPAN}-00'), ('tracestate', 'a=1')],
        tracestate='a=1',
        flags=0,
    ),
    'tracestate_of_a_future_version': Case(
        [
            ('traceparent', f'cc-{TRACE}-{SPAN}-01-x'),
            ('tracestate', 'a=1,b=2'),
        ],
        tracestate='a=1,b=2',
    ),
    'tracestate_keeps_its_order': _state('z=1,a=2,m=3'),
    'tracestate_of_opentelemetry': _state('ot=th:8;rv:0123456789abcd,a=1'),
    'tracestate_in_two_headers': _state(['a=1,b=2', 'c=3'], 'a=1,b=2,c=3'),
    'tracestate_in_three_headers_one_empty': _state(
        ['a=1', '', 'c=3'], 'a=1,c=3'
    ),
    'tracestate_empty': _state(''),
    'tracestate_of_empty_headers': _state(['', ''], ''),
    'tracestate_of_empty_members': _state('a=1,,,b=2,', 'a=1,b=2'),
    'tracestate_white_space_around_members': _state(
        ' \ta=1 \t,\t b=2 \t', 'a=1,b=2'
    ),
    'tracestate_space_inside_a_value': _state('a=1 2,b=3'),
    'tracestate_the_same_key_twice': _state('a=1,b=2,a=3', 'a=1,b=2'),
    'tracestate_the_same_member_twice': _state('a=1,a=1', 'a=1'),
    'tracestate_the_same_key_in_two_headers': _state(
        ['a=1', 'a=2,b=3'], 'a=1,b=3'
    ),
    'tracestate_key_of_all_characters': _state(f'{_KEY}=1'),
    'tracestate_key_begins_with_a_digit': _state('0a=1'),
    'tracestate_key_of_a_tenant': _state('0tenant_-*/@0vendor=1'),
    'tracestate_key_of_level_2': _state('a@b@c=1'),
    'tracestate_value_of_all_characters': _state(f'a={_VALUE}'),
    'tracestate_key_of_256_characters': _state(f'{"k" * 256}=1'),
    'tracestate_key_of_257_characters': _state(f'{"k" * 257}=1', ''),
    'tracestate_value_of_256_characters': _state(f'a={"v" * 256}'),
    'tracestate_value_of_257_characters': _state(f'a={"v" * 257}', ''),
    'tracestate_key_in_upper_case': _state('A=1,b=2', ''),
    'tracestate_key_begins_with_an_underscore': _state('_a=1,b=2', ''),
    'tracestate_key_with_a_dot': _state('a.b=1,b=2', ''),
    'tracestate_key_begins_with_an_at': _state('@v=1,b=2', ''),
    'tracestate_space_in_a_key': _state('a b=1,b=2', ''),
    'tracestate_space_before_the_equals_sign': _state('a =1,b=2', ''),
    'tracestate_without_a_key': _state('=1,b=2', ''),
    'tracestate_without_a_value': _state('a=,b=2', ''),
    'tracestate_without_an_equals_sign': _state('a,b=2', ''),
    'tracestate_two_equals_signs': _state('a=1=2,b=2', ''),
    'tracestate_semicolon_between_members': _state('a=1;b=2', ''),
    'tracestate_tab_in_a_value': _state('a=1\t2,b=2', ''),
    'tracestate_control_character_in_a_value': _state('a=1\x01,b=2', ''),
    'tracestate_delete_character_in_a_value': _state('a=1\x7f,b=2', ''),
    'tracestate_non_ascii_in_a_value': _state('a=\xe9,b=2', ''),
    'tracestate_non_ascii_in_a_key': _state('\xe9=1,b=2', ''),
    'tracestate_of_32_members': _state(_members(32, 8)),
    'tracestate_of_33_members': _state(_members(33, 8), ''),
    'tracestate_of_33_members_in_two_headers': _state(
        [_members(20, 8), _members(13, 8, 20)], ''
    ),
    'tracestate_of_512_characters': _state(
        f'{_members(3, 127)},{_members(1, 128, 3)}'
    ),
    'tracestate_of_513_characters': _state(
        f'{_members(2, 127)},{_members(2, 128, 2)}',
        f'{_members(2, 127)},{_members(1, 128, 2)}',
    ),
    'tracestate_over_512_drops_from_the_right': _state(
        _members(32, 20), _members(24, 20)
    ),
    'tracestate_over_512_drops_large_members_first': _state(
        f'large={"v" * 130},{_members(25, 19)}', _members(25, 19)
    ),
    'tracestate_over_512_with_members_of_128_drops_from_the_right': _state(
        f'{_members(4, 128)},z=1', _members(3, 128)
    ),
    'tracestate_over_512_with_members_of_129_drops_those': _state(
        f'{_members(4, 129)},z=1', f'{_members(3, 129)},z=1'
    ),
    'tracestate_of_1_mib': _state('a=' + 'v' * MIB, ''),
    'tracestate_of_1_mib_of_commas': _state(',' * MIB, ''),
    'tracestate_of_1_mib_in_non_ascii': _state('\xe9' * MIB, ''),
}

#: W3C Baggage: 3.2, and its limits in 3.3.2
BAGGAGE = {
    'baggage_one_member': _baggage('a=1'),
    'baggage_many_members': _baggage('a=1,b=2,c=3'),
    'baggage_in_two_headers': _baggage(['a=1', 'b=2'], 'a=1,b=2'),
    'baggage_white_space': _baggage(' a = 1 ,\tb=2 ', 'a=1,b=2'),
    'baggage_percent_encoded': _baggage('a=caf%C3%A9%2C'),
    'baggage_properties': _baggage('a=1;p;q=2,b=2'),
    'baggage_properties_white_space': _baggage(
        'a=1 ; p ;\tq = 2 , b=2', 'a=1;p;q=2,b=2'
    ),
    'baggage_properties_percent_encoded': _baggage('a=1%3B2;p=%3B'),
    'baggage_property_that_is_none': _baggage('a=1;p q,b=2', 'b=2'),
    'baggage_property_in_quotes': _baggage('a=1;p="q",b=2', 'b=2'),
    'baggage_equals_sign_in_a_value': _baggage('a=1%3D2'),
    'baggage_empty': _baggage(''),
    'baggage_empty_value': _baggage('a='),
    'baggage_without_an_equals_sign': _baggage('a,b=2', 'b=2'),
    'baggage_without_a_name': _baggage('=1,b=2', 'b=2'),
    'baggage_space_in_a_name': _baggage('a b=1,b=2', 'b=2'),
    'baggage_quotes_in_a_value': _baggage('a="1",b=2', 'b=2'),
    'baggage_control_character': _baggage('a=\x01,b=2', 'b=2'),
    'baggage_non_ascii': _baggage('a=\xe9,b=2', ''),
    'baggage_of_64_members': _baggage(_members(64, 8)),
    'baggage_of_180_members': _baggage(_members(180, 8)),
    'baggage_of_181_members': _baggage(_members(181, 8), _members(180, 8)),
    'baggage_of_8192_characters': _baggage(
        _members(2, 4000) + ',z=' + 'v' * (8192 - 8001 - 3)
    ),
    'baggage_of_8193_characters': _baggage(
        _members(2, 4000) + ',z=' + 'v' * (8193 - 8001 - 3), ''
    ),
    'baggage_of_1_mib': _baggage('a=' + 'v' * MIB, ''),
    'baggage_of_1_mib_in_non_ascii': _baggage('\xe9' * MIB, ''),
    'baggage_with_an_invalid_traceparent': Case(
        [('traceparent', f'{VALID}0'), ('baggage', 'a=1')], joins=False
    ),
    'baggage_of_an_unsampled_trace': Case(
        [('traceparent', f'00-{TRACE}-{SPAN}-00'), ('baggage', 'a=1')],
        baggage='a=1',
        flags=0,
    ),
}

CASES: dict[str, Case] = {
    **TRACEPARENT,
    **VERSIONS,
    **IDS,
    **FLAGS,
    **TRACESTATE,
    **BAGGAGE,
}

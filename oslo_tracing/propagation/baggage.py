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

"""W3C Baggage, bounded.

Why not OpenTelemetry's own propagator: it writes what it drops into the
log. Names and values are encoded as it does (so ``+`` is read as a space),
since most of those who send us baggage use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib import parse as urllib_parse

from opentelemetry import baggage
from opentelemetry import context as otel_context

from oslo_tracing import _regex

#: Limits of the header: its characters; its members, of which every
#: platform must propagate 64 and older ones send up to 180; one member.
_MAX_LENGTH = 8192
_MAX_MEMBERS = 180
_MAX_MEMBER = 4096

_TOKEN = _regex.late(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = _regex.late(r'[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*')
_OWS = ' \t'


class Value(str):
    """A value that has come with properties, which are passed on as such.

    OpenTelemetry's baggage has no place for them, and to a service the
    value is what stands before them.
    """

    properties = ''


def extract(value: Any, context: otel_context.Context) -> otel_context.Context:
    """Return the context with the members that are valid. Never raises.

    :param value: what the carrier holds, of whatever type.
    :param context: what the members are added to; it is not changed.
    """
    if (
        not isinstance(value, str)
        or len(value) > _MAX_LENGTH
        or not value.isascii()
    ):
        return context
    members = 0
    for member in value.split(','):
        name, equals, rest = member.partition('=')
        name = name.strip(_OWS)
        rest = rest.strip(_OWS)
        if (
            not equals
            or len(member) > _MAX_MEMBER
            or _TOKEN.fullmatch(name) is None
            or not _is_value(rest)
        ):
            continue
        members += 1
        if members > _MAX_MEMBERS:
            break
        context = baggage.set_baggage(
            urllib_parse.unquote_plus(name), _value(rest), context
        )
    return context


def _value(text: str) -> str:
    value, *properties = text.split(';')
    decoded = urllib_parse.unquote_plus(value.rstrip(_OWS))
    if not properties:
        return decoded
    kept = Value(decoded)
    kept.properties = ''.join(
        ';' + '='.join(part.strip(_OWS) for part in item.split('=', 1))
        for item in properties
    )
    return kept


def _is_value(text: str) -> bool:
    """Whether this is a value, perhaps with properties behind it.

    Split by hand: one expression for all of it, with its optional white
    space, can be made to take seconds for 8 KiB.
    """
    value, *properties = text.split(';')
    if _VALUE.fullmatch(value.rstrip(_OWS)) is None:
        return False
    for item in properties:
        name, _equals, rest = item.partition('=')
        if (
            _TOKEN.fullmatch(name.strip(_OWS)) is None
            or _VALUE.fullmatch(rest.strip(_OWS)) is None
        ):
            return False
    return True


def inject(context: otel_context.Context) -> str | None:
    """Return the header's value, or None where there is no baggage.

    What does not fit is left out. Never raises for a value that the
    service has put there, unless its ``str()`` does.
    """
    entries: Mapping[str, object] = baggage.get_all(context)
    if not entries:
        return None
    members: list[str] = []
    length = -1
    for name, value in entries.items():
        member = f'{_quoted(name)}={_quoted(value)}'
        if type(value) is Value:
            member += value.properties
        if (
            len(member) > _MAX_MEMBER
            or length + 1 + len(member) > _MAX_LENGTH
            or member[0] == '='
        ):
            continue
        members.append(member)
        length += 1 + len(member)
        if len(members) == _MAX_MEMBERS:
            break
    return ','.join(members) or None


def _quoted(value: object) -> str:
    return urllib_parse.quote(
        str(value)[: _MAX_MEMBER + 1], safe='', errors='replace'
    )

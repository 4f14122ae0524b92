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

"""W3C Trace Context level 2, read strictly and written by hand.

Why not OpenTelemetry's own propagator: it writes header values into the
log, drops level 2 keys of other vendors, lets flags through that nobody
has defined, and does not know the 512 characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Final

from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _regex

#: A later version may append to it, without end in the specification.
_MAX_TRACEPARENT = 512

#: Limits of tracestate: its members; the characters that every platform
#: must propagate; the size over which a member is the first to go.
_MAX_MEMBERS = 32
_MAX_TRACESTATE = 512
_LARGE_MEMBER = 128
#: What 32 members of the largest size can take, and some white space.
_MAX_TRACESTATE_READ = _MAX_MEMBERS * 516

#: What becomes of a traceparent where each hexadecimal digit becomes an x.
_DIGITS = bytes.maketrans(b'0123456789abcdefx', b'x' * 16 + b'?')
_SHAPE = b'-'.join((b'x' * 2, b'x' * 32, b'x' * 16, b'x' * 2))
_LENGTH = len(_SHAPE)
#: Some digits more than nearly any id has in a row.
_ZEROS = '0' * 16
#: What ends one of whom nobody records, as version 00 has it.
_DROPPED = frozenset(('-00', '-02'))
_LATER_TRACEPARENT = _regex.late(
    r'(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|\Z)'
)
_MEMBER = _regex.late(
    r'[a-z0-9][a-z0-9_\-*/@]{0,255}'
    r'=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]'
)

#: Sampled and random: the two flags that level 2 defines.
_KNOWN_FLAGS = 0x03
_FOUR = [trace.TraceFlags(bits) for bits in range(_KNOWN_FLAGS + 1)]
_FLAGS = {f'{bits:02x}': _FOUR[bits & _KNOWN_FLAGS] for bits in range(256)}

_SPAN_ID: Final = _current.SPAN_ID
_TRACE_FLAGS: Final = _current.FLAGS


class TraceState(trace.TraceState):
    """A tracestate with the keys of level 2, in the order of its sender.

    OpenTelemetry's own checks every entry against level 1 again whenever
    it is made or changed, and would drop other vendors' entries.

    :param entries: keys and values.
    :param ours: see there.
    :ivar ours: this process has started the trace, or believed who did. It
        is noted here, and not in the context, since every span of a trace
        has the tracestate of its parent, whoever makes that span and
        wherever the work goes. It is nothing that a carrier can say.
    """

    def __init__(
        self,
        entries: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        ours: bool = False,
    ) -> None:
        super().__init__()
        self._dict = dict(entries or ())
        self.ours = ours

    def add(self, key: str, value: str) -> trace.TraceState:
        """Return one that begins with a new entry.

        :returns: this one, if the entry is invalid, known or one too many.
        """
        return self if key in self else self.update(key, value)

    def update(self, key: str, value: str) -> trace.TraceState:
        """Return one that begins with this entry, new or changed.

        :returns: this one, if the entry is invalid or one too many.
        """
        if _MEMBER.fullmatch(f'{key}={value}') is None:
            return self
        entries = {key: value}
        entries.update(
            (name, kept) for name, kept in self.items() if name != key
        )
        if len(entries) > _MAX_MEMBERS:
            return self
        return TraceState(_fitting(entries), self.ours)

    def delete(self, key: str) -> trace.TraceState:
        """Return one without the entry.

        :returns: this one, if there is no such entry.
        """
        if key not in self:
            return self
        return TraceState(
            [(name, value) for name, value in self.items() if name != key],
            self.ours,
        )


NO_TRACESTATE = TraceState()
#: The same in a trace of ours.
OURS = TraceState(ours=True)

#: Flags of Trace Context level 2; ids are random here.
RANDOM: Final = trace.TraceFlags(0x02)


def is_ours(span_context: trace.SpanContext) -> bool:
    """Tell whether this process has started a trace, or believed it."""
    return getattr(span_context.trace_state, 'ours', False) is True


def with_mark(state: trace.TraceState | None, ours: bool) -> TraceState:
    """Return a tracestate with the same entries and another mark."""
    if state:
        return TraceState(state.items(), ours)
    return OURS if ours else NO_TRACESTATE


def parse_traceparent(value: Any) -> trace.SpanContext | None:
    """Return the caller's span, or None if this does not name one.

    :param value: what the carrier holds, of whatever type.
    :returns: a remote span context without a tracestate.
    """
    return parse(value, None)


def parse(
    traceparent: Any, tracestate: Any, ours: bool = False
) -> trace.SpanContext | None:
    """Return the caller's span with its tracestate, or None.

    An invalid tracestate is dropped alone. Never raises.

    :param traceparent: what the carrier holds, of whatever type.
    :param tracestate: the same, or all values of that header in a list.
    :param ours: the caller is believed, so its trace may be signed.
    """
    if not isinstance(traceparent, str):
        return None
    # Mostly.
    if _is_usual(traceparent):
        trace_id = int(traceparent[3:35], 16)
        span_id = int(traceparent[36:52], 16)
        flags = _FLAGS[traceparent[53:]]
    else:
        later = _later(traceparent)
        if later is None:
            return None
        trace_id, span_id, flags = later
    if not (trace_id and span_id):
        return None
    state = NO_TRACESTATE
    if tracestate is not None:
        state = parse_tracestate(tracestate)
    if ours:
        state = with_mark(state, True)
    return _current.span_context(trace_id, span_id, True, flags, state)


def _is_usual(traceparent: str) -> bool:
    """Say whether it is one of version 00, except that ids may be zero.

    A regular expression is slow where none was used for a while, as at the
    start of a request.
    """
    return (
        len(traceparent) == _LENGTH
        and traceparent[:3] == '00-'
        and traceparent.isascii()
        and traceparent.encode().translate(_DIGITS) == _SHAPE
    )


def is_dropped(traceparent: Any) -> bool:
    """Say whether this names a span that is not recorded, as we write it.

    :param traceparent: what the carrier holds, of whatever type.
    :returns: False also where :func:`parse` has to look at it.
    """
    return (
        type(traceparent) is str
        and traceparent[52:] in _DROPPED
        and _is_usual(traceparent)
        and _ZEROS not in traceparent
    )


def _later(traceparent: str) -> tuple[int, int, trace.TraceFlags] | None:
    """Read a traceparent of a version that may come."""
    if (
        len(traceparent) > _MAX_TRACEPARENT
        # Two headers, which a WSGI server has joined.
        or ',' in traceparent
        or not traceparent.isascii()
    ):
        return None
    match = _LATER_TRACEPARENT.match(traceparent)
    if match is None:
        return None
    trace_id, span_id, flags = match.groups()
    return int(trace_id, 16), int(span_id, 16), _FLAGS[flags]


def from_environ(
    environ: Mapping[str, Any], ours: bool = False
) -> trace.SpanContext | None:
    """Return the span that the headers of a request name, or None.

    :param environ: of WSGI.
    :param ours: as for :func:`parse`.
    """
    traceparent = environ.get('HTTP_TRACEPARENT')
    if not isinstance(traceparent, str):
        return None
    # White space around a header's value is no part of it (RFC 9110, 5.5),
    # and not every server takes it off.
    return parse(
        traceparent.strip(' \t'), environ.get('HTTP_TRACESTATE'), ours
    )


def parse_tracestate(values: Any) -> TraceState:
    """Return what is valid and fits into 512 characters. Never raises.

    One invalid member, or one too many, and nothing of it is kept, as the
    specification asks; of two with the same key the first is.

    :param values: the header's value, or all its values in a list.
    """
    if isinstance(values, (list, tuple)) and all(
        isinstance(value, str) for value in values
    ):
        values = ','.join(values)
    if (
        not isinstance(values, str)
        or len(values) > _MAX_TRACESTATE_READ
        or not values.isascii()
    ):
        return NO_TRACESTATE
    entries: dict[str, str] = {}
    members = 0
    for member in values.split(','):
        member = member.strip(' \t')
        if not member:
            continue
        members += 1
        if members > _MAX_MEMBERS or _MEMBER.fullmatch(member) is None:
            return NO_TRACESTATE
        key, _equals, value = member.partition('=')
        entries.setdefault(key, value)
    if not entries:
        return NO_TRACESTATE
    if len(values) > _MAX_TRACESTATE:
        entries = _fitting(entries)
    return TraceState(entries)


def _fitting(entries: dict[str, str]) -> dict[str, str]:
    """Drop whole entries, the large ones first, then from the right."""
    sizes = {key: len(key) + 1 + len(entries[key]) for key in entries}
    too_much = sum(sizes.values()) + len(sizes) - 1 - _MAX_TRACESTATE
    if too_much <= 0:
        return entries
    from_the_right = list(reversed(entries))
    large = [key for key in from_the_right if sizes[key] > _LARGE_MEMBER]
    small = [key for key in from_the_right if sizes[key] <= _LARGE_MEMBER]
    kept = dict(entries)
    for key in large + small:
        if too_much <= 0:
            break
        del kept[key]
        too_much -= sizes[key] + 1
    return kept


def format_traceparent(span_context: trace.SpanContext) -> str:
    """Return the header's value, with the two flags that are defined.

    :param span_context: a valid one.
    """
    # It is a tuple, whose properties take as long as the rest of this. No
    # other way to write numbers of this size takes less.
    return '00-%032x-%016x-0%d' % (  # noqa: UP031
        span_context[0],
        span_context[_SPAN_ID],
        span_context[_TRACE_FLAGS] & _KNOWN_FLAGS,
    )


def unrecorded(span_context: trace.SpanContext) -> _current.Unrecorded:
    """Return a span that nobody records.

    :param span_context: its own, without a tracestate.
    """
    return _current.Unrecorded(
        format_traceparent(span_context),
        span_context.is_remote,
        span_context.trace_state,
    )


def format_tracestate(span_context: trace.SpanContext) -> str | None:
    """Return the header's value, or None where there is nothing to say."""
    state = span_context.trace_state
    if not state:
        return None
    text = state.to_header()
    # Ours was bounded when it was made; a sampler may have made another.
    if len(text) > _MAX_TRACESTATE or type(state) is not TraceState:
        text = parse_tracestate(text).to_header()
    return text or None


def checked(span_context: Any) -> trace.SpanContext | None:
    """Return what a propagator that is not ours has read, made safe.

    :param span_context: anything.
    :returns: the same ids and defined flags, the tracestate bounded; None
        unless it is a valid and remote span context.
    """
    if (
        not isinstance(span_context, trace.SpanContext)
        or not span_context.is_valid
        or not span_context.is_remote
    ):
        return None
    return parse(
        format_traceparent(span_context),
        span_context.trace_state.to_header() or None,
    )

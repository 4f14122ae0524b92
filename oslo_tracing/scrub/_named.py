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

"""Values in free text that stand beside a name which says they are secret.

Such as what a service makes of a dictionary, of JSON, of a header, an
option of a command, or an element of XML, and of one within another.
"""

from __future__ import annotations

import re
import string

from oslo_tracing import _regex
from oslo_tracing.scrub import _shapes

_NAME = (
    r'(?:pass(?:word|wd|phrase)?|pwd|secret|token|credential|cookie'
    r'|signature|adminpass|samlresponse|authorization|temp_url_sig'
    r'|(?:access|api|auth|encryption|hmac|private|signing)[_-]?key'
    r'|trust[_-]?id|user_?data|x-auth-[a-z-]{1,32})[a-z0-9_]{0,16}'
)
# In prose, where "passing" or "cookies" would be too many.
_WORD = r'\b(?:password|passwd|passphrase|pwd|secret|token|credential)s?'
#: A quote, as it stands within so many other texts.
_QUOTE = r'\\{0,8}["\']'
_KEYED = _regex.late(
    rf'{_NAME}(?:{_QUOTE})?\]?\s{{0,8}}(?:[=-]>|[:=])\s{{0,8}}'
    # A call.
    rf'|{_NAME}\((?=[bu]?{_QUOTE})'
    # A pair, as of headers.
    rf'|{_NAME}{_QUOTE}\s{{0,8}},\s{{0,8}}(?=[bu]?{_QUOTE}|[(\[{{])'
    r'|--[a-z-]{0,32}(?:password|secret|token)\s{1,8}'
    rf'|{_WORD}\s{{1,8}}(?:(?:is|was)\s{{1,8}})?(?=[bu]?{_QUOTE})'
    rf'|(?P<element><[\w:.-]{{0,32}}?{_NAME}[^<>]{{0,128}}>)',
    re.IGNORECASE,
)
_QUOTED = _regex.late(
    r'[bu]?(?P<escapes>\\{0,8})(?P<quote>["\'])', re.IGNORECASE
)
_QUOTE_OR_BRACKET = _regex.late(r'(?<!\\)\\*["\']|[\[\](){}]')
# Those that have several values after one name.
_LIST = _regex.late(r'(?:digest|aws4-hmac-sha256)\s', re.IGNORECASE)
_BARE = _regex.late(
    r'(?:(?:bearer|basic|negotiate)\s+)?[^\s,;]+', re.IGNORECASE
)
_OF_NAMES = f'{string.ascii_letters}{string.digits}_-'
# In a query, where a comma is part of it.
_IN_QUERY = _regex.late(r'[^\s&"\'<>]+')
# What ends a value that nothing is around; a full stop does at its own end.
_ENDS = r'[\s,;"\'\\)\]}<>]|[.:!?](?:\s|\Z)|\Z'
_REDACTED = _regex.late(rf'{_shapes.REDACTED}(?={_ENDS}|[|&])')
#: Of a password such as ``{a}b``, which only looks like something else.
_MORE = _regex.late(rf'(?:(?!{_ENDS}).)*', re.DOTALL)
#: Of YAML: the lines that follow are the value.
_BLOCK = frozenset(('|', '|-', '|+', '>', '>-', '>+'))
_OPENS = frozenset('[({')


def hidden(text: str) -> str:
    """Return a text with ``REDACTED`` in place of such values.

    A value that does not end, since the text was cut, is all the rest.
    """
    pieces: list[str] = []
    at = 0
    while True:
        found = _KEYED.search(text, at)
        if found is None:
            break
        begin = found.end()
        end = _end(text, found)
        pieces.append(text[at:begin])
        if end > begin:
            pieces.append(_shapes.REDACTED)
        at = max(begin, end)
    pieces.append(text[at:])
    return ''.join(pieces)


def _end(text: str, found: re.Match[str]) -> int:
    """Return where the value ends that begins at the end of a name."""
    begin = found.end()
    if found.group('element'):
        return _first(text, '<', begin)
    redacted = _REDACTED.match(text, begin)
    if redacted is not None:
        return redacted.end()
    quoted = _QUOTED.match(text, begin)
    if quoted is not None:
        end = _end_of_quoted(
            text, quoted.end(), len(quoted['escapes']), quoted['quote']
        )
        return _end_of_more(text, end)
    if text[begin : begin + 1] in _OPENS:
        return _end_of_more(text, _end_of_brackets(text, begin))
    if 'cookie' in found.group().lower() or _LIST.match(text, begin):
        return _first(text, '\n', begin)
    # The name may be the end of a longer one.
    before = text[max(0, found.start() - 64) : found.start()]
    in_query = before.rstrip(_OF_NAMES).endswith(('?', '&'))
    bare = (_IN_QUERY if in_query else _BARE).match(text, begin)
    if bare is None:
        return begin
    return len(text) if bare.group() in _BLOCK else bare.end()


def _first(text: str, mark: str, begin: int) -> int:
    end = text.find(mark, begin)
    return len(text) if end < 0 else end


def _end_of_more(text: str, begin: int) -> int:
    found = _MORE.match(text, begin)
    return begin if found is None else found.end()


def _end_of_quoted(text: str, begin: int, escapes: int, quote: str) -> int:
    """Return where a text in quotes ends, which may be within another.

    :param begin: behind the first quote.
    :param escapes: backslashes before that one. A quote that belongs to the
        text has at least one more, and with each text around it twice as
        many and one.
    """
    at = begin
    while True:
        end = text.find(quote, at)
        if end < 0:
            return len(text)
        before = text[at:end]
        more = len(before) - len(before.rstrip('\\'))
        # Fewer of them end a text that is around this one.
        if more < escapes or not (more - escapes) % (2 * (escapes + 1)):
            return end + 1
        at = end + 1


def _end_of_brackets(text: str, begin: int) -> int:
    depth = 0
    at = begin
    while True:
        found = _QUOTE_OR_BRACKET.search(text, at)
        if found is None:
            return len(text)
        mark, at = found.group(), found.end()
        if mark[-1] in '"\'':
            at = _end_of_quoted(text, at, len(mark) - 1, mark[-1])
            continue
        depth += 1 if mark in _OPENS else -1
        if not depth:
            return at

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

"""What may be said of a URL and of a path."""

from __future__ import annotations

from collections.abc import Callable

from oslo_tracing import _regex
from oslo_tracing.scrub import _shapes

_USERINFO = f'{_shapes.REDACTED}:{_shapes.REDACTED}@'
_DELIMITERS = '/?&#;'
# Values inside values inside values: nobody needs more than this, and what
# goes deeper is taken for a secret.
_MAX_DEPTH = 3
_MAX_ROUNDS = 6

# Asked first, of the text without its ids, since nearly every path has none
# of this.
_SUSPICIOUS = _regex.late(
    r'[\x00-\x20?#@%;=&\\\x7f]|(?i:(?:token|webhook)s?/)|gAAAA|eyJ'
    r'|[A-Z][0-9]|[0-9][A-Z]|[A-Za-z0-9+_-]{32,}'
)
_START = _regex.late(r'[A-Za-z][A-Za-z0-9+.-]{0,63}:/+|//+')
_END = _regex.late(r'[/?#]|\Z')
_HOST = _regex.late(r'(?:\[[^\]@]*\]|[^:@\[\]]*)(?::[0-9]*)?')
_CONTROL = _regex.late(r'[\x00-\x1f\x7f]')
_HIDING = frozenset(('token', 'tokens', 'webhook', 'webhooks'))


def url(text: object) -> str:
    """Return a URL as ``url.full`` may have it.

    User and password, the values of sensitive keys in the query, the
    fragment and matrix parameters, whatever :func:`path` replaces, and all of
    these inside another value, encoded once or more.

    :param text: the URL; anything else is as good as its text.
    :returns: at most 4096 characters; itself again when given again.
    """
    return _bounded(text, _as_fetched, _url)


def path(text: object) -> str:
    """Return a path as ``url.path`` may have it.

    What follows ``/tokens/`` and ``/webhooks/``, Fernet and JSON web tokens,
    and hexadecimal or base64 runs of 32 and more become ``{secret}``. Ids
    stay (a UUID, with or without dashes), and so do long names that are made
    of words. A backslash stays one where it is of no account what it is.

    :param text: the path, decoded as WSGI has it or not; a query that
        follows it is treated as in a URL.
    :returns: at most 4096 characters; itself again when given again.
    """
    return _bounded(text, _without_controls, _path)


def _bounded(
    value: object,
    read: Callable[[str], str],
    scrub: Callable[[str, int], str],
) -> str:
    text = _shapes.text_of(value)
    if len(text) > _shapes.MAX_LENGTH:
        text = _shapes.cut(text, _shapes.MAX_LENGTH, _DELIMITERS)
    if not _SUSPICIOUS.search(_shapes.ID.sub('.', text)):
        return text
    try:
        # What was replaced can make another reading of what stayed: until
        # nothing changes any more.
        for _ in range(_MAX_ROUNDS):
            said = scrub(read(text), 0)
            # A short secret is shorter than the word that replaces it.
            said = _shapes.cut(said, _shapes.MAX_LENGTH, _DELIMITERS)
            if said == text:
                return said
            text = said
    except Exception:
        return _shapes.HIDDEN
    return _shapes.HIDDEN


def _as_fetched(text: str) -> str:
    """Read it as those who fetch a URL do: a tab would hide a key."""
    return _without_controls(text).replace('\\', '/')


def _without_controls(text: str) -> str:
    return _CONTROL.sub('', text).strip(' ')


def _path(text: str, depth: int) -> str:
    """Scrub a path as a server has it, to which a backslash is no slash.

    To whoever wrote it there it may have been one.
    """
    said = _tail(text, depth)
    fetched = said.replace('\\', '/')
    if fetched == said:
        return said
    told = _tail(fetched, depth)
    return said if told == fetched else told


def _url(text: str, depth: int) -> str:
    start = _START.match(text)
    if start is None and text[:1] in ('/', '?', '#', ''):
        return _tail(text, depth)
    begin = start.end() if start else 0
    authority, rest = _split(text, begin)
    at = authority.rfind('@')
    if at < 0 and '%' in authority:
        plain = _shapes.decoded(authority)
        if plain is None:
            return text[:begin] + _shapes.HIDDEN
        if '@' in plain:
            authority, rest = _split(plain + rest, 0)
            at = authority.rfind('@')
            if at < 0:
                authority = plain
                at = plain.rfind('@')
    if at < 0 and '@' in rest and not _HOST.fullmatch(authority):
        # A password with a slash or a question mark that nobody encoded.
        authority, rest = authority + rest, ''
        at = authority.rfind('@')
    if start is None and ':' not in authority[: max(at, 0)]:
        # Without a scheme and a password it is an e-mail address.
        return _tail(text, depth)
    if at >= 0:
        host, tail = _split(authority[at + 1 :] + rest, 0)
        return text[:begin] + _USERINFO + host + _tail(tail, depth)
    return text[:begin] + authority + _tail(rest, depth)


def _split(text: str, begin: int) -> tuple[str, str]:
    end = _END.search(text, begin)
    assert end is not None
    return text[begin : end.start()], text[end.start() :]


def _tail(text: str, depth: int) -> str:
    """Scrub a path with what may follow it."""
    text, mark, fragment = text.partition('#')
    route, question, query = text.partition('?')
    result = _route(route, depth) + question + _query(query, depth)
    if mark:
        result += mark + _fragment(fragment, depth)
    return result


def _fragment(text: str, depth: int) -> str:
    if '=' in text.partition('/')[0]:
        return _query(text, depth)
    route, question, query = text.partition('?')
    return _route(route, depth) + question + _query(query, depth)


def _route(text: str, depth: int) -> str:
    if not text:
        return text
    kept: list[str] = []
    hiding = False
    for segment in text.split('/'):
        if not segment:
            kept.append(segment)
            continue
        if hiding:
            kept.append(_shapes.HIDDEN)
            break
        kept.append(_segment(segment, depth))
        if not hiding and len(segment) >= 5:
            hiding = _hides_what_follows(segment)
    return '/'.join(_without_torn_runs(kept))


def _hides_what_follows(segment: str) -> bool:
    plain = _shapes.decoded(segment)
    if plain is None:
        return True
    last = plain.rstrip('/').rpartition('/')[2]
    return last.partition(';')[0].lower() in _HIDING


def _without_torn_runs(segments: list[str]) -> list[str]:
    """Replace neighbours that are one base64 text with slashes in it."""
    kept: list[str] = []
    run: list[str] = []
    for segment in [*segments, '']:
        if len(segment) >= 6 and _shapes.is_gibberish(segment):
            run.append(segment)
            continue
        if len(run) > 1 and sum(map(len, run)) >= 31:
            run = [_shapes.HIDDEN]
        kept += run
        run = []
        kept.append(segment)
    return kept[:-1]


def _segment(text: str, depth: int) -> str:
    if '%' in text:
        plain = _shapes.decoded(text)
        if plain != text:
            if plain is None or _tells(plain, depth):
                return _shapes.HIDDEN
            return text
    if '@' in text and ':' in text.rpartition('@')[0]:
        text = _USERINFO + text.rpartition('@')[2]
    if '=' not in text and ';' not in text:
        return _shapes.mask(text)
    pieces = []
    for piece in text.split(';'):
        key, equals, value = piece.partition('=')
        if equals and value and _shapes.is_sensitive(key):
            piece = f'{_shapes.mask(key)}={_shapes.REDACTED}'
        pieces.append(_shapes.mask(piece))
    result = ';'.join(pieces)
    return _shapes.HIDDEN if _shapes.holds_pair(result) else result


def _query(text: str, depth: int) -> str:
    if not text:
        return text
    return '&'.join(_pair(piece, depth) for piece in text.split('&'))


def _pair(text: str, depth: int) -> str:
    key, equals, value = text.partition('=')
    if not equals:
        return _shapes.REDACTED if _tells(text, depth) else text
    if _tells(key, depth):
        return _shapes.REDACTED
    if not value or value == _shapes.REDACTED:
        return text
    if _shapes.is_sensitive(key) or _tells(value, depth):
        return f'{key}={_shapes.REDACTED}'
    return text


def _tells(text: str, depth: int) -> bool:
    """Whether anything in a value, encoded or not, would be replaced."""
    if ':' not in text and not _SUSPICIOUS.search(_shapes.ID.sub('.', text)):
        return False
    plain = _shapes.decoded(text)
    if plain is None or depth >= _MAX_DEPTH:
        return True
    plain = _as_fetched(plain)
    return _shapes.holds_pair(plain) or _url(plain, depth + 1) != plain

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

"""What a span may be called: bounded in length and in number."""

from __future__ import annotations

from collections.abc import Sequence
import itertools

from oslo_tracing import _regex
from oslo_tracing.scrub import _shapes

#: Instead of a name from outside that is not known, or one too many.
OTHER = '_OTHER'
#: Characters of a guessed path, and of an event type.
MAX_GUESS = 128
#: Characters of a span's name.
MAX_NAME = 256

_MAX_METHOD = 64
# RFC 9110, section 9, and RFC 5789.
_METHODS = {
    name: (name, name, None)
    for name in (
        'CONNECT',
        'DELETE',
        'GET',
        'HEAD',
        'OPTIONS',
        'PATCH',
        'POST',
        'PUT',
        'TRACE',
    )
}

_PLAIN = _regex.late(r'\.?[A-Za-z][A-Za-z_-]{0,39}')
_VERSION = _regex.late(r'v\d{1,3}(?:\.\d{1,3}){0,2}')
_NUMBERED = _regex.late(r'(?=.{1,15}\Z)[A-Za-z][A-Za-z_-]*\d{1,2}[A-Za-z_-]*')
_FILE = _regex.late(
    r'[A-Za-z][A-Za-z_-]{0,39}\.(?:css|html?|ico|js|json|png|svg|txt|xml|ya?ml)'
)
_VARIABLE = _regex.late(r'[A-Za-z_][A-Za-z0-9_]{0,63}')
_OLD_VARIABLE = _regex.late(r'[:*](?:\(([^()]{0,64})\)|([A-Za-z_]\w{0,63}))')
_CONVERTED = _regex.late(r'<((?:[^<>\'"]|\'[^\']*\'|"[^"]*")*)>')
_UNPRINTABLE = _regex.late(r'[^\x20-\x7e]')
# A checksum, or what a UUID is shortened to.
_HEX = _regex.late(r'(?<![0-9A-Za-z])[0-9A-Fa-f]{16,128}(?![0-9A-Za-z])')
_DIGITS = _regex.late(r'\d[0-9A-Fa-f]*')
_PROGRAM = _regex.late(r'[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}')


class NameBudget:
    """Lets so many distinct names through, and then no new one.

    Safe to use from several threads, and after a fork, since there is no
    lock to be left held: who wants a new name draws a ticket.

    :param limit: distinct names.
    :param fallback: stands for all the others.
    """

    __slots__ = ('_fallback', '_limit', '_names', '_tickets')

    def __init__(self, limit: int = 500, fallback: str = OTHER) -> None:
        self._fallback = fallback
        self._limit = limit
        self._names: dict[str, None] = {}
        self._tickets = itertools.count()

    def __len__(self) -> int:
        return len(self._names)

    def take(self, name: str, fallback: str | None = None) -> str:
        """Return the name, or the fallback where it is one too many.

        :param fallback: another one for this call.
        """
        if name in self._names:
            return name
        if (
            len(self._names) < self._limit
            and len(name) <= MAX_NAME
            and next(self._tickets) < self._limit
        ):
            self._names[name] = None
            return name
        return self._fallback if fallback is None else fallback


def method(text: object) -> tuple[str, str, str | None]:
    """Return how the method of a request is told.

    :returns: what the span's name has, ``http.request.method``, and
        ``http.request.method_original`` where that is to be recorded: the
        method as it came, at most 64 printable characters.
    """
    known = _METHODS.get(text) if type(text) is str else None
    if known is not None:
        return known
    came = _shapes.text_of(text, _MAX_METHOD)[:_MAX_METHOD]
    if came in _METHODS:
        return _METHODS[came]
    came = _UNPRINTABLE.sub('?', came)
    return 'HTTP', OTHER, _shapes.mask(came, in_path=False)


def cleaned_path(text: object) -> str:
    """Return a path as the guessed name of a request may have it.

    Only for names: it is never a route. Words and versions stay, what may
    be somebody's becomes ``{id}``, and secrets ``{secret}``. Empty segments
    are dropped.

    :param text: the path, with or without a query.
    :returns: at most 128 characters, starting with a slash.
    """
    # Of what has names only requests have paths.
    from oslo_tracing.scrub import urls

    try:
        path = urls.path(text)
        if path == '*':
            return path
        kept: list[str] = []
        length = 0
        for segment in path.partition('?')[0].partition('#')[0].split('/'):
            if not segment:
                continue
            if not _PLAIN.fullmatch(segment):
                segment = _cleaned(segment)
            length += len(segment) + 1
            if length > MAX_GUESS:
                break
            kept.append(segment)
        return '/' + '/'.join(kept)
    except Exception:
        return '/'


def _cleaned(segment: str) -> str:
    if _shapes.HIDDEN in segment or _shapes.REDACTED in segment:
        return _shapes.HIDDEN
    for known in (_VERSION, _NUMBERED, _FILE):
        if known.fullmatch(segment):
            return segment
    return '{id}'


def template(text: object) -> str:
    """Return the route of a framework as ``http.route`` wants it.

    ``/{project_id:[0-9a-f-]+}/servers/{id}`` of Routes, its older
    ``/servers/:id`` and ``/servers/:(id)``, and ``/users/<string:user_id>``
    of werkzeug all come out with ``{name}`` and nothing about what the name
    matches.

    :param text: the template; it is the service's own, so not scrubbed.
    :returns: at most 256 characters, starting with a slash.
    """
    route = _shapes.text_of(text)[: 4 * MAX_NAME]
    out: list[str] = []
    position = 0
    while position < len(route):
        char = route[position]
        if char == '{':
            name, position = _braced(route, position)
            out.append(name)
        elif char == '<':
            converted = _CONVERTED.match(route, position)
            name = converted.group(1) if converted else ''
            out.append(_variable(name.rpartition(':')[2]))
            position = converted.end() if converted else len(route)
        elif char in ':*' and (not position or route[position - 1] in '/.-'):
            old = _OLD_VARIABLE.match(route, position)
            name = (old.group(1) or old.group(2) or '') if old else ''
            out.append(_variable(name.partition(':')[0]) if old else char)
            position = old.end() if old else position + 1
        else:
            out.append(char)
            position += 1
    result = _UNPRINTABLE.sub('?', ''.join(out))
    if not result.startswith('/'):
        result = f'/{result}'
    return result[:MAX_NAME]


def _variable(name: str) -> str:
    return f'{{{name}}}' if _VARIABLE.fullmatch(name) else '{id}'


def _braced(route: str, start: int) -> tuple[str, int]:
    """Read ``{name:regex}``, where the regex may have braces of its own."""
    depth = 0
    position = start
    while position < len(route):
        char = route[position]
        if char == '\\':
            position += 1
        elif char == '{':
            depth += 1
        elif char == '}':
            depth -= 1
            if not depth:
                break
        position += 1
    name = route[start + 1 : position].partition(':')[0]
    if name.startswith('.'):
        # Routes' optional extension.
        return '.' + _variable(name[1:]), position + 1
    return _variable(name), position + 1


def event_type(text: object, budget: NameBudget | None = None) -> str:
    """Return the event type of a notification as a name may have it.

    :param budget: bounds their number; its fallback stands for the others.
    :returns: at most 128 printable ASCII characters; ``_OTHER`` for an
        empty one.
    """
    kind = _shapes.text_of(text, MAX_GUESS)
    kind = _shapes.cut(kind, MAX_GUESS, '._-/ ')
    kind = _UNPRINTABLE.sub('?', kind).strip()
    kind = _shapes.mask(_shapes.ID.sub('{id}', kind))[:MAX_GUESS]
    if not kind:
        return OTHER
    return kind if budget is None else budget.take(kind)


def lock(text: object, budget: NameBudget) -> str:
    """Return the name of a lock as a span's name may have it.

    Locks are named after what they protect, so with the ids of it:
    ``refresh_cache-{id}``, ``tap{n}-disk{n}``.

    :param budget: bounds their number; its fallback stands for the others.
    :returns: at most 128 printable ASCII characters; ``_OTHER`` for an
        empty one.
    """
    name = _shapes.text_of(text, MAX_GUESS)
    name = _shapes.cut(name, MAX_GUESS, '._-/ ')
    name = _UNPRINTABLE.sub('?', name).strip()
    name = _HEX.sub('{id}', _shapes.ID.sub('{id}', name))
    name = _DIGITS.sub('{n}', _shapes.mask(name))[:MAX_GUESS]
    return budget.take(name) if name else OTHER


def program(command: Sequence[object], shell: bool, budget: NameBudget) -> str:
    """Return which program a command runs, without directory or arguments.

    Where ``env`` sets variables for another, it is the other. Of a line for
    a shell nothing is told but that it is one: what of it is a program only
    a shell knows.

    :param command: the program and its arguments.
    :param shell: whether it is a line for a shell.
    :param budget: bounds their number; its fallback stands for the others.
    :returns: at most 64 characters; ``_OTHER`` for what no program is
        called.
    """
    if shell:
        return 'sh'
    found = OTHER
    for part in command[:16]:
        word = _shapes.text_of(part)
        # To env any text may be the name of a variable. What follows a slash
        # in a value, and in that of an option, is no program.
        is_option, is_assigned = word.startswith('-'), '=' in word
        if found == 'env' and is_assigned and not is_option:
            continue
        if is_option or is_assigned:
            break
        name = word.rpartition('/')[2]
        if not _PROGRAM.fullmatch(name) or _shapes.mask(name) != name:
            break
        if found == 'env' or name != 'env':
            return budget.take(name)
        found = name
    return found

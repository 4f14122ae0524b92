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

"""Spans without what must not be said, whoever recorded them.

What a service records with this library was scrubbed before it was exported.
Files may hold spans of others as well, and attributes that a service gave:
all of it passes here, by the same functions, before it is kept where anybody
can read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import re
from typing import Any
from typing import Final

from oslo_tracing import attributes as names
from oslo_tracing.report import model
from oslo_tracing.scrub import _shapes
from oslo_tracing.scrub import errors
from oslo_tracing.scrub import sql
from oslo_tracing.scrub import urls

_OURS: Final = 'oslo_tracing'
#: Of our spans, what was judged by those who knew more: whether a statement
#: has parameters, and that a path is that of a database.
_AS_RECORDED: Final = (names.DB_QUERY_TEXT, names.DB_NAMESPACE)
#: What instrumentors of others call what a statement was executed with.
_PARAMETERS: Final = (
    'db.operation.parameter.',
    'db.params',
    'db.query.parameter.',
    'db.statement.parameters',
)
#: Systems of the conventions, and others in OpenStack, with a language of
#: their own, of which words may be SQL's.
_NOT_SQL: Final = frozenset(
    (
        'aws.dynamodb',
        'couchdb',
        'dynamodb',
        'elasticsearch',
        'etcd',
        'memcached',
        'mongodb',
        'neo4j',
        'opensearch',
        'redis',
    )
)
_COMMAND: Final = re.compile(r'\s*([A-Za-z_]{1,32})(?!\S)\s*')
_URL_QUERY: Final = 'url.query'
_MAX_TEXT: Final = 16384
_MAX_DEPTH: Final = 8
_REMEMBERED: Final = 16384
#: With these a driver goes on to say what was executed, and with what.
_DRIVER: Final = re.compile(r'\[SQL:|\[parameters:|\bDETAIL:|\(Background on')


class Cleaner:
    """Cleans spans, one after the other.

    Those of one process share resource and scopes, and do so afterwards.
    """

    def __init__(self) -> None:
        self._resource: tuple[model.Resource, model.Resource] | None = None
        self._scope: tuple[model.Scope, model.Scope] | None = None

    def clean(self, span: model.Span) -> model.Span:
        """Return a span without secrets.

        :param span: it is not changed.
        :returns: the same object where nothing was to be taken out.
        """
        ours = span.scope.name.startswith(_OURS)
        made: dict[str, Any] = {
            'name': _text(span.name),
            'attributes': _mapping(span.attributes, ours),
            'events': _unless_same(
                span.events, tuple(_event(each, ours) for each in span.events)
            ),
            'links': _unless_same(
                span.links, tuple(_link(each, ours) for each in span.links)
            ),
            'description': _sentence(span.description),
            'resource': self._cleaned(span.resource),
            'scope': self._cleaned_scope(span.scope),
        }
        if all(value is getattr(span, key) for key, value in made.items()):
            return span
        return dataclasses.replace(span, **made)

    def _cleaned(self, resource: model.Resource) -> model.Resource:
        if self._resource is None or self._resource[0] is not resource:
            attributes = _mapping(resource.attributes, True)
            made = resource
            if attributes is not resource.attributes:
                made = dataclasses.replace(
                    resource,
                    service=_text(resource.service),
                    attributes=attributes,
                )
            self._resource = resource, made
        return self._resource[1]

    def _cleaned_scope(self, scope: model.Scope) -> model.Scope:
        if self._scope is None or self._scope[0] is not scope:
            attributes = _mapping(scope.attributes, False)
            made = scope
            if attributes is not scope.attributes:
                made = dataclasses.replace(scope, attributes=attributes)
            self._scope = scope, made
        return self._scope[1]


def _event(event: model.Event, ours: bool) -> model.Event:
    attributes = event.attributes
    if event.name == names.EVENT_EXCEPTION and not ours:
        # The sentence of a driver holds the row, and frames hold arguments.
        kept = attributes.get(names.EXCEPTION_TYPE)
        if list(attributes) != [names.EXCEPTION_TYPE]:
            attributes = {} if kept is None else {names.EXCEPTION_TYPE: kept}
    attributes = _mapping(attributes, ours)
    name = _text(event.name)
    if attributes is event.attributes and name is event.name:
        return event
    return dataclasses.replace(event, name=name, attributes=attributes)


def _link(link: model.Link, ours: bool) -> model.Link:
    attributes = _mapping(link.attributes, ours)
    if attributes is link.attributes:
        return link
    return dataclasses.replace(link, attributes=attributes)


def _unless_same(
    before: tuple[Any, ...], after: tuple[Any, ...]
) -> tuple[Any, ...]:
    pairs = zip(before, after, strict=True)
    return before if all(one is other for one, other in pairs) else after


def _mapping(
    values: Mapping[str, Any], ours: bool, depth: int = _MAX_DEPTH
) -> Mapping[str, Any]:
    made = {
        _text(key): _attribute(key, value, values, ours, depth)
        for key, value in values.items()
    }
    if len(made) == len(values) and all(
        key in values and value is values[key] for key, value in made.items()
    ):
        return values
    return made


def _attribute(
    key: str, value: Any, values: Mapping[str, Any], ours: bool, depth: int
) -> Any:
    if _shapes.is_sensitive(key, alone=False) or key.startswith(_PARAMETERS):
        return _shapes.REDACTED
    if ours and key in _AS_RECORDED:
        return value
    if key in (names.DB_QUERY_TEXT, names.DB_STATEMENT):
        return _statement(value, values)
    if key == _URL_QUERY and isinstance(value, str):
        return _unless_equal(value, urls.url(f'?{value}')[1:])
    return _value(value, ours, depth)


def _statement(value: Any, values: Mapping[str, Any]) -> str:
    system = values.get(names.DB_SYSTEM_NAME) or values.get(names.DB_SYSTEM)
    system = str(system or '')
    if system in _NOT_SQL or not sql.operation(value, system):
        # Nothing tells a literal there: the command alone.
        told = _COMMAND.match(_shapes.text_of(value))
        if told is None:
            return '?'
        return told[1] if told.end() == len(told.string) else f'{told[1]} ?'
    return sql.statement(value, False, system, by_hand=True) or ''


def _value(value: Any, ours: bool, depth: int) -> Any:
    if isinstance(value, str):
        return _text(value) if ours else _sentence(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth < 1:
        return _shapes.HIDDEN
    if isinstance(value, Mapping):
        return _mapping(value, ours, depth - 1)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return _list(value, ours, depth - 1)
    # Bytes: nobody can tell what they say.
    return _shapes.HIDDEN


def _list(values: Sequence[Any], ours: bool, depth: int) -> Sequence[Any]:
    made = []
    option = ''
    for value in values:
        # The arguments of a command: --os-password, and then what it is.
        told = _shapes.is_sensitive(option, alone=False)
        made.append(_shapes.REDACTED if told else _value(value, ours, depth))
        is_option = isinstance(value, str) and value.startswith('--')
        option = value if is_option else ''
    if all(one is other for one, other in zip(made, values, strict=True)):
        return values
    return made


@functools.lru_cache(maxsize=_REMEMBERED)
def _scrubbed(text: str) -> str:
    return errors.text(text, _MAX_TEXT)


@functools.lru_cache(maxsize=_REMEMBERED)
def _without_row(text: str) -> str:
    found = _DRIVER.search(text)
    said = text[: found.start()].rstrip() if found else text
    return _scrubbed(errors.sentence(said))


def _text(text: str) -> str:
    return _unless_equal(text, _scrubbed(text))


def _sentence(text: str) -> str:
    """Return what an exception says, up to where a driver quotes the row.

    Where it has done so before, only the exception's class.
    """
    return _unless_equal(text, _without_row(text))


def _unless_equal(before: str, after: str) -> str:
    # One object, so that what did not change can be told from what did.
    return before if after == before else after

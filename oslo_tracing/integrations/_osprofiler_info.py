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

"""What trace points of OSProfiler say of themselves, and what of it is told.

A point has a name, such as ``rpc``, and a dictionary, in which osprofiler's
decorators tell the function. The rest is the service's: plain values of it
are told, arguments and results only where the operator wants them.
"""

from __future__ import annotations

from collections.abc import Iterator
import re
from typing import Any

from oslo_tracing import _regex
from oslo_tracing import attributes as attribute_names
from oslo_tracing.scrub import _shapes
from oslo_tracing.scrub import errors
from oslo_tracing.scrub import names as span_names

_FUNCTION = 'function'
_SQL = 'db'
#: What osprofiler's filter says of a request.
_REQUEST = frozenset(('path', 'query', 'method', 'scheme'))
# Arguments, bind values and results by the names that osprofiler gives them.
_ARGUMENTS = frozenset(
    ('args', 'kwargs', 'params', 'query', 'result', 'statement')
)
# Told in other ways: the resource, the status, the exception event.
_NOT_TOLD = frozenset(
    (
        'chained_exception',
        'etype',
        'host',
        'message',
        'name',
        'original_exception',
    )
)
_KEY = _regex.late('[A-Za-z0-9_-]{1,64}')
_CLASS = _regex.late(r'[A-Za-z_][\w.]{0,255}', re.ASCII)
_QUALIFIED = _regex.late(r'[\w.<>]{1,256}')

_MAX_NAMES = 2000
_MAX_DEPTH = 3
_MAX_VALUES = 16
_MAX_TEXT = 1024

Described = tuple[str, dict[str, str]]


class Names:
    """Names points; what it knows is bounded."""

    def __init__(self) -> None:
        self._names = span_names.NameBudget(_MAX_NAMES)
        self._known: dict[tuple[str, str | None], Described] = {}

    def describe(self, name: Any, info: Any) -> Described:
        """Return the name of a point's span, and what it always has.

        ``rpc ConductorManager.object_action`` where the function is known.
        """
        function = _function(info)
        key = (name, function)
        if type(name) is not str:
            return self._described(name, function)
        known = self._known.get(key)
        if known is None:
            known = self._described(name, function)
            if (
                len(self._known) < _MAX_NAMES
                and len(name) <= span_names.MAX_NAME
            ):
                self._known[key] = known
        return known

    def _described(self, name: Any, function: str | None) -> Described:
        plain = span_names.event_type(name)
        if function is None:
            return self._names.take(plain), {}
        short = '.'.join(function.split('.')[-2:])
        fixed = {attribute_names.CODE_FUNCTION_NAME: function}
        return self._names.take(f'{plain} {short}', plain), fixed


def is_sql(info: Any) -> bool:
    """Say whether a point is that of a statement: it has a span already."""
    return (
        isinstance(info, dict)
        and _SQL in info
        and isinstance(info[_SQL], dict)
        and 'statement' in info[_SQL]
    )


def is_sql_error(info: Any) -> bool:
    """Say whether the end of a point is that of a failed statement."""
    return isinstance(info, dict) and _SQL in info and 'etype' in info


def is_http(info: Any) -> bool:
    """Say whether a point is that of a request, in or out: the same."""
    if not isinstance(info, dict):
        return False
    if 'requests' in info:
        return isinstance(info['requests'], dict)
    request = info.get('request')
    return isinstance(request, dict) and request.keys() == _REQUEST


def error_class(info: dict[Any, Any]) -> str | None:
    """Return the class of the error that ended a point, or None."""
    kind = info.get('etype')
    if kind is None or kind == '':
        return None
    if not isinstance(kind, str) or not _CLASS.fullmatch(kind):
        return span_names.OTHER
    return kind


def is_of_class(error: BaseException, kind: str) -> bool:
    """Say whether an error is of the class that osprofiler names so."""
    name = type(error).__name__
    return kind.rpartition('.')[2] == name


def attributes(info: Any, arguments: bool) -> dict[str, Any]:
    """Return what is told of a point's dictionary: its plain values.

    :param arguments: those and results too.
    """
    if not isinstance(info, dict) or not info:
        return {}
    if not arguments and len(info) == 1 and _FUNCTION in info:
        # The usual one.
        return {}
    found: dict[str, Any] = {}
    for path, value in _plain(info, arguments, 0):
        if len(found) >= _MAX_VALUES:
            break
        key = f'{attribute_names.OPENSTACK_OSPROFILER}.{path}'
        found[key] = (
            errors.text(value, _MAX_TEXT) if isinstance(value, str) else value
        )
    return found


def _plain(
    info: dict[Any, Any], arguments: bool, depth: int
) -> Iterator[tuple[str, Any]]:
    for key, value in list(info.items())[:_MAX_VALUES]:
        if (
            not isinstance(key, str)
            or not _KEY.fullmatch(key)
            or key in _NOT_TOLD
            or (not arguments and key in _ARGUMENTS)
            or _shapes.is_sensitive(key, alone=False)
        ):
            continue
        if isinstance(value, dict):
            if depth < _MAX_DEPTH:
                for path, inner in _plain(value, arguments, depth + 1):
                    yield f'{key}.{path}', inner
        elif type(value) in (str, bool, int, float):
            yield key, value


def _function(info: Any) -> str | None:
    if not isinstance(info, dict):
        return None
    function = info.get(_FUNCTION)
    name = function.get('name') if isinstance(function, dict) else None
    if type(name) is not str or not _QUALIFIED.fullmatch(name):
        return None
    return name.replace('<locals>.', '')

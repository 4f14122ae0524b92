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

"""Which route of a framework has served a request, and what to call it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oslo_tracing import context
from oslo_tracing.scrub import names

#: Templates that are kept; they are the service's own, so this is ample.
_MAX_TEMPLATES = 2048
_MAX_MOUNTS = 64
_MAX_GUESSES = 500

# Routes puts these beside the variables of the path.
_NOT_VARIABLES = frozenset(('controller', 'action'))


class Names:
    """Names the requests of a process, with a bound to their number."""

    def __init__(self) -> None:
        self._guesses = names.NameBudget(_MAX_GUESSES)
        self._by_variables = names.NameBudget(_MAX_GUESSES, '')
        self._mounts = names.NameBudget(_MAX_MOUNTS, '')
        self._templates: dict[tuple[str, str], str] = {}

    def name(
        self, method: str, route: str | None, cleaned: str, status: int | None
    ) -> str:
        """Return the name of a request's span when it has been served.

        :param method: as names have it.
        :param route: from :meth:`route`.
        :param cleaned: the path without what may be somebody's.
        :param status: of the response, None where there was none.
        """
        if route is not None:
            return f'{method} {route}'[: names.MAX_NAME]
        # What does not exist has as many paths as a stranger likes.
        if status == 404 or status == 405:
            return method
        return self._guesses.take(f'{method} {cleaned}', method)

    def route(
        self,
        environ: Mapping[str, Any],
        came: str,
        path: str,
        rule: str | None = None,
    ) -> str | None:
        """Return the template that has matched, None where none is known.

        :param environ: as it is on the way out.
        :param came: PATH_INFO as it was on the way in.
        :param path: the whole path, decoded, as it was on the way in.
        :param rule: from :func:`werkzeug_rule`.
        """
        if rule is not None:
            found: Any = rule
        elif 'routes.route' in environ:
            # None where nothing has matched.
            found = getattr(environ['routes.route'], 'routepath', None)
        else:
            return self._from_variables(environ, path)
        if not isinstance(found, str):
            return None
        key = (_mounted_at(environ, came), found)
        route = self._templates.get(key)
        if route is None:
            route = self._template(*key)
            if len(self._templates) < _MAX_TEMPLATES:
                self._templates[key] = route
        return route

    def _template(self, mount: str, found: str) -> str:
        template = names.template(found)
        # Where a route has consumed the path itself, what is consumed on
        # the way out is the match and not a mount.
        if mount and not template.endswith('/{path_info}'):
            mount = self._mounts.take(names.cleaned_path(mount))
            return mount + template
        return template

    def _from_variables(
        self, environ: Mapping[str, Any], path: str
    ) -> str | None:
        """Put the names of a dispatcher's variables in place of the values.

        For who leaves these and no template, as placement and WebOb's
        ``urlvars`` do.
        """
        variables = environ.get('paste.urlvars')
        if variables is None:
            routing = environ.get('wsgiorg.routing_args')
            if not isinstance(routing, tuple) or len(routing) != 2:
                return None
            variables = routing[1]
        if not isinstance(variables, Mapping) or not variables:
            return None
        fixed = path
        template = path
        for name, value in variables.items():
            if name in _NOT_VARIABLES or not isinstance(value, str):
                continue
            if not value:
                continue
            template = _replaced(template, value, f'/{{{name}}}')
            fixed = _replaced(fixed, value, '')
        # Whatever is left must look like words of the service: this is a
        # conclusion, and a wrong one has no bound.
        fixed = fixed.rstrip('/')
        if fixed and names.cleaned_path(fixed) != fixed:
            return None
        return self._by_variables.take(template) or None


def werkzeug_rule(environ: Mapping[str, Any]) -> str | None:
    """Return the rule that has matched in Flask, None where there is none.

    To be asked when the response starts: Flask takes its request out of the
    environment as soon as it has answered. What the integration has kept is
    there longer.
    """
    kept = environ.get(context.RULE)
    if isinstance(kept, str):
        return kept
    request = environ.get('werkzeug.request')
    if request is None:
        return None
    rule = getattr(getattr(request, 'url_rule', None), 'rule', None)
    return rule if isinstance(rule, str) else None


def _replaced(path: str, value: str, by: str) -> str:
    """Replace the last whole part of a path that is a variable's value.

    The last, since words that are fixed come first:
    ``/resource_classes/{name}``.
    """
    part = f'/{value}'
    end = len(path)
    while True:
        at = path.rfind(part, 0, end)
        if at < 0:
            return path
        after = at + len(part)
        if after == len(path) or path[after] == '/':
            return path[:at] + by + path[after:]
        end = after - 1


def _mounted_at(environ: Mapping[str, Any], came: str) -> str:
    """Return what dispatchers on the way in have taken off the path.

    Not simply what SCRIPT_NAME has gained: HTTPProxyToWSGI puts a header of
    the caller's there.
    """
    left = environ.get('PATH_INFO', '')
    if left == came or not came.endswith(left):
        return ''
    taken = came[: len(came) - len(left)]
    return taken if environ.get('SCRIPT_NAME', '').endswith(taken) else ''

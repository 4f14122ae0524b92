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

"""Keeps the rule that has matched in Flask, for the name of the span.

Why here: Flask takes its request out of the WSGI environment as soon as it
has answered, and a filter of WebOb between Flask and us, as keystone has
several, passes the answer on only after that. An error that Flask lets
through, as it does in keystone, comes to us without any answer.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import sys
import types
from typing import Any

from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import context
from oslo_tracing import integrations


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Attach to applications of Flask, now or when it is imported.

    :param toolbox: not needed.
    :param undo: closing it takes everything off.
    """
    for name, make in (
        ('wsgi_app', _keeping),
        ('handle_exception', _keeping_of_failed),
    ):
        # Each by itself: one that is missing costs that one.
        _wrap.on_import(
            'flask.app',
            functools.partial(_attach, undo, name=name, make=make),
            undo,
        )


def _attach(
    undo: contextlib.ExitStack,
    module: types.ModuleType,
    *,
    name: str,
    make: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> None:
    _wrap.wrap(
        module.Flask,
        name,
        make,
        undo,
        distribution='Flask',
        untraced='rules of Flask are',
    )


def _keep(environ: Any, request: Any) -> None:
    rule = getattr(getattr(request, 'url_rule', None), 'rule', None)
    if isinstance(rule, str) and context.RULE in environ:
        environ[context.RULE] = rule


def _keeping(original: Callable[..., Any]) -> Callable[..., Any]:
    def wsgi_app(self: Any, environ: Any, start_response: Any) -> Any:
        def answer(*args: Any, **kwargs: Any) -> Any:
            try:
                _keep(environ, environ.get('werkzeug.request'))
            except Exception:
                _guard.report('looking for the rule of a request')
            return start_response(*args, **kwargs)

        return original(self, environ, answer)

    return wsgi_app


def _keeping_of_failed(original: Callable[..., Any]) -> Callable[..., Any]:
    def handle_exception(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            # What it is given differs by release.
            request = sys.modules['flask.globals'].request
            _keep(request.environ, request)
        except Exception:
            _guard.report('looking for the rule of a request that failed')
        return original(self, *args, **kwargs)

    return handle_exception

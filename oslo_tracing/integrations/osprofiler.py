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

"""The trace points of OSProfiler that services have.

They stay where they are, and become spans of the trace that is under way:
replaced are the functions of ``osprofiler.profiler`` that decorated code and
services look up when it runs, so it does not matter what was decorated
before. Statements and requests have spans of their own here, so osprofiler's
hooks for SQLAlchemy and requests are not put on, and its driver, which would
send the same to where OSProfiler stores it, is not opened.

Who may have a trace recorded is not osprofiler's to say: see
``propagation.trust``.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import logging
import types
from typing import Any

from oslo_tracing import _wrap
from oslo_tracing import exceptions
from oslo_tracing import integrations
from oslo_tracing.integrations import _osprofiler_decorator as decorator_module
from oslo_tracing.integrations import _osprofiler_points as points_module
from oslo_tracing.integrations import _osprofiler_profilers as profilers_module

LOG = logging.getLogger(__name__)

_DISTRIBUTION = 'osprofiler'
_POINTS = 'trace points of OSProfiler are'

_Make = Callable[[Callable[..., Any]], Callable[..., Any]]


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Attach to osprofiler, now or when the service imports it.

    :param toolbox: settings, tracer and the keys.
    :param undo: closing it takes everything off.
    """
    pairs = toolbox.propagation.pairs
    if pairs is None:
        return
    points = points_module.Points(
        toolbox.tracer('osprofiler'), toolbox.settings
    )
    undo.callback(points.stop)
    bridge = _Bridge(points, profilers_module.Profilers(points, pairs), undo)
    for name, attach in (
        ('profiler', bridge.attach_profiler),
        ('web', bridge.attach_web),
        ('_utils', bridge.attach_utils),
        ('notifier', bridge.attach_notifier),
        ('sqlalchemy', bridge.attach_sqlalchemy),
        ('requests', bridge.attach_requests),
    ):
        _wrap.on_import(f'osprofiler.{name}', attach, undo)


class _Bridge:
    """Attaches to each module of osprofiler."""

    def __init__(
        self,
        points: points_module.Points,
        profilers: profilers_module.Profilers,
        undo: contextlib.ExitStack,
    ) -> None:
        self._points = points
        self._profilers = profilers
        self._undo = undo

    def attach_profiler(self, module: types.ModuleType) -> None:
        """Make spans of points."""
        decorator = decorator_module.Decorator(self._profilers)
        makes: dict[str, _Make] = {
            'get': self._profilers.around_get,
            'init': self._profilers.around_init,
            'clean': self._profilers.around_clean,
            'start': self._profilers.around_start,
            'stop': self._profilers.around_stop,
            'trace': functools.partial(decorator.around, module),
        }
        if any(
            not callable(vars(module).get(name))
            for name in (*makes, '_Profiler')
        ):
            # Half of them would be worse than none.
            raise exceptions.SeamMissing(
                _DISTRIBUTION, _wrap.version_of(_DISTRIBUTION), _POINTS
            )
        self._profilers.attach(module)
        for name, make in makes.items():
            self._wrap(module, name, make, _POINTS)

    def attach_web(self, module: types.ModuleType) -> None:
        """Let our filter decide on requests, where it has seen them."""
        self._wrap(
            module.WsgiMiddleware,
            '_trace_is_valid',
            self._profilers.around_is_valid,
            'what the filter of OSProfiler accepts is',
        )

    def attach_utils(self, module: types.ModuleType) -> None:
        """Let no header break a request."""
        self._wrap(
            module,
            'signed_unpack',
            self._around_signed_unpack,
            'what the filter of OSProfiler accepts is',
        )

    def attach_notifier(self, module: types.ModuleType) -> None:
        """Open no driver."""

        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def create(
                connection_string: Any, *args: Any, **kwargs: Any
            ) -> Any:
                if not self._points.is_on:
                    return original(connection_string, *args, **kwargs)
                LOG.info(
                    'Trace points of OSProfiler become spans: '
                    'connection_string in the [profiler] section is not '
                    'opened.'
                )
                return vars(module)['_noop_notifier']

            return create

        self._wrap(
            module, 'create', around, 'the driver of OSProfiler is opened, and'
        )

    def attach_sqlalchemy(self, module: types.ModuleType) -> None:
        """Put no listeners on engines: statements have their spans."""
        self._wrap(
            module,
            'add_tracing',
            self._leaving_out,
            'statements of OSProfiler are',
        )

    def attach_requests(self, module: types.ModuleType) -> None:
        """Leave requests alone: each attempt has its span, and headers."""
        self._wrap(
            module, 'enable', self._leaving_out, 'requests of OSProfiler are'
        )
        adapter: Any = vars(module).get('HTTPAdapter')
        theirs = vars(module).get('send')
        original = vars(module).get('_FUNC')
        if adapter is None or vars(adapter).get('send') is not theirs:
            return
        adapter.send = original

        def restore() -> None:
            if vars(adapter).get('send') is original:
                adapter.send = theirs

        self._undo.callback(restore)

    def _leaving_out(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def nothing(*args: Any, **kwargs: Any) -> Any:
            if not self._points.is_on:
                return original(*args, **kwargs)
            return None

        return nothing

    def _around_signed_unpack(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        def signed_unpack(
            data: Any, hmac_data: Any, *args: Any, **kwargs: Any
        ) -> Any:
            if isinstance(hmac_data, str) and not hmac_data.isascii():
                # The comparison raises where one is not, in the face of
                # whoever sends it.
                return None
            return original(data, hmac_data, *args, **kwargs)

        return signed_unpack

    def _wrap(self, owner: Any, name: str, make: _Make, untraced: str) -> None:
        _wrap.wrap(
            owner,
            name,
            make,
            self._undo,
            distribution=_DISTRIBUTION,
            untraced=untraced,
        )

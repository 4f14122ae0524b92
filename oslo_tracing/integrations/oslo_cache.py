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

"""A span for each time that memcached is asked through oslo.cache.

oslo.cache leaves that to dogpile.cache, all of whose backends for memcached
have one class in common, and so has oslo.cache's own with the pool. The keys
are not told: they can be of users, and most are hashed anyway.

Not seen are the locks that dogpile.cache keeps in memcached, and the cache
of keystonemiddleware, which speaks to its client without either library.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sized
import contextlib
import functools
import types
from typing import Any
import weakref

from opentelemetry import trace

from oslo_tracing import _guard
from oslo_tracing import _regex
from oslo_tracing import _wrap
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import exceptions
from oslo_tracing import integrations
from oslo_tracing import recording

_UNTRACED = 'calls of memcached are'

#: Methods of a backend, and the operations of memcached.
_OPERATIONS = {
    'get': 'GET',
    'get_multi': 'GET',
    'set': 'SET',
    'set_multi': 'SET',
    'delete': 'DELETE',
    'delete_multi': 'DELETE',
}
# What python-memcached and pymemcache accept: a family in front, brackets
# around an IPv6 address, and a port.
_SERVER = _regex.late(
    r'(?:inet6?:)?(?:\[([0-9A-Fa-f:.]{2,64})\]|([A-Za-z0-9._-]{1,255}))'
    r'(?::(\d{1,5}))?'
)
_DEFAULT_PORT = 11211


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Attach to the backends, now or when they are imported.

    :param toolbox: settings and tracer.
    :param undo: closing it takes everything off.
    """
    cache = _Cache(toolbox)
    undo.callback(cache.stop)
    _wrap.on_import(
        'dogpile.cache.backends.memcached',
        functools.partial(_attach, cache, undo),
        undo,
    )


def _attach(
    cache: _Cache, undo: contextlib.ExitStack, module: types.ModuleType
) -> None:
    backend = getattr(module, 'GenericMemcachedBackend', None)
    if not isinstance(backend, type):
        raise exceptions.SeamMissing(
            'dogpile.cache', _wrap.version_of('dogpile.cache'), _UNTRACED
        )
    for name in _OPERATIONS:
        _wrap.wrap(
            backend,
            name,
            functools.partial(cache.around, name),
            undo,
            distribution='dogpile.cache',
            untraced=_UNTRACED,
        )


class _Cache:
    """Makes what stands in for the methods of a backend."""

    def __init__(self, toolbox: integrations.Toolbox) -> None:
        self._tracer = toolbox.tracer('oslo_cache')
        self._settings = toolbox.settings
        self._servers: weakref.WeakKeyDictionary[Any, dict[str, Any]] = (
            weakref.WeakKeyDictionary()
        )
        self._on = True

    def stop(self) -> None:
        """Do nothing from now on, should somebody still hold our methods."""
        self._on = False

    def around(
        self, method: str, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap one method of a backend."""
        operation = _OPERATIONS[method]
        several = method.endswith('_multi')

        def ask(backend: Any, *args: Any, **kwargs: Any) -> Any:
            span = self._start(backend, operation, several, args)
            if span is None:
                return original(backend, *args, **kwargs)
            try:
                result = original(backend, *args, **kwargs)
            except BaseException as error:
                recording.record_error(span, error, self._settings)
                _end(span)
                raise
            _end(span)
            return result

        return ask

    def _start(
        self, backend: Any, operation: str, several: bool, args: Any
    ) -> trace.Span | None:
        try:
            if (
                not self._on
                or not context.has_parent()
                or context.is_suppressed()
            ):
                return None
            told = {
                names.DB_SYSTEM_NAME: 'memcached',
                names.DB_OPERATION_NAME: operation,
                **self._server(backend),
            }
            if several and args and isinstance(args[0], Sized):
                if len(args[0]) > 1:
                    told[names.DB_OPERATION_BATCH_SIZE] = len(args[0])
            return self._tracer.start_span(
                operation, kind=trace.SpanKind.CLIENT, attributes=told
            )
        except Exception:
            _guard.report('starting the span of a call of memcached')
            return None

    def _server(self, backend: Any) -> dict[str, Any]:
        known = self._servers.get(backend)
        if known is None:
            known = self._servers[backend] = _address(backend.url)
        return known


def _end(span: trace.Span) -> None:
    try:
        span.end()
    except Exception:
        _guard.report('ending the span of a call of memcached')


def _address(url: Any) -> dict[str, Any]:
    """Say which server a backend asks.

    Of several the client chooses by the key, and does not say which.
    """
    servers = [url] if isinstance(url, str) else list(url)
    if len(servers) != 1:
        return {}
    server = servers[0]
    if isinstance(server, tuple | list) and len(server) == 2:
        server = f'{server[0]}:{server[1]}'
    if not isinstance(server, str):
        return {}
    if server.startswith(('/', 'unix:')):
        return {names.SERVER_ADDRESS: server.removeprefix('unix:')[:256]}
    found = _SERVER.fullmatch(server)
    if found is None:
        return {}
    return {
        names.SERVER_ADDRESS: found[1] or found[2],
        names.SERVER_PORT: int(found[3] or _DEFAULT_PORT),
    }

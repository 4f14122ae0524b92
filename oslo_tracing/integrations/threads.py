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

"""The trace in threads that a request starts, for a time.

Why here: ``start`` is where the request is, and ``_bootstrap_inner`` what a
thread runs whatever its class makes of ``run``. Nobody can tell a piece of
work from a loop here: hence a table of those that never get the trace, and a
lease for all others.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import sys
import threading
from typing import Any

from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import context
from oslo_tracing import integrations

#: Modules whose threads live on: their own ones and those that they start.
#: What pools, servers and oslo.service run is handed over by other ways.
LONG_LIVED = (
    'amqp',
    'apscheduler',
    'asyncio',
    'concurrent.futures',
    'confluent_kafka',
    'cotyledon',
    'etcd3gw',
    'eventlet',
    'futurist',
    'grpc',
    'kazoo',
    'kombu',
    'logging',
    'multiprocessing',
    'opentelemetry',
    'os_ken',
    'oslo_log',
    'oslo_messaging',
    'oslo_metrics',
    'oslo_privsep',
    'oslo_rootwrap',
    'oslo_service',
    'oslo_tracing.exporters',
    'oslo_tracing.counters',
    'oslo_tracing.sampling',
    'ovs',
    'ovsdbapp',
    'proton',
    'pyroute2',
    'redis',
    'socketserver',
    'tooz',
    'urllib3',
    'watchdog',
    'wsgiref',
)

_PRIVSEP = 'oslo_privsep.priv_context'
_CARRIED = '_oslo_tracing_carried'


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Lend the trace to threads until ``undo`` closes."""
    for name, make in (('start', _starting), ('_bootstrap_inner', _running)):
        _wrap.wrap(
            threading.Thread,
            name,
            make,
            undo,
            distribution='Python',
            untraced='threads are',
        )


def _starting(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(thread: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            if context.has_parent():
                _lend(thread, sys._getframe(1).f_globals.get('__name__'))
        except Exception:
            _guard.report('lending the trace to a thread')
        return original(thread, *args, **kwargs)

    return start


def _lend(thread: Any, starter: Any) -> None:
    target = getattr(thread, '_target', None)
    while isinstance(target, functools.partial):
        inner = target.func
        if target.args and getattr(inner, '__module__', None) == _PRIVSEP:
            # Of an entry point it is the service's own function.
            inner = target.args[0]
        target = inner
    modules = (
        starter,
        type(thread).__module__,
        getattr(target, '__module__', None),
    )
    if not any(_is_long_lived(module) for module in modules):
        thread.__dict__[_CARRIED] = context.to_lend()


def _is_long_lived(module: Any) -> bool:
    if not isinstance(module, str):
        return False
    return any(
        module == name or module.startswith(f'{name}.') for name in LONG_LIVED
    )


def _running(original: Callable[..., Any]) -> Callable[..., Any]:
    def _bootstrap_inner(thread: Any, /) -> Any:
        carried = thread.__dict__.pop(_CARRIED, None)
        if carried is None:
            return original(thread)
        # Nothing may be logged here: ``threading`` does not know the thread
        # yet, and no longer after it.
        token = context.enter(*carried)
        try:
            return original(thread)
        finally:
            context.leave(token)

    return _bootstrap_inner

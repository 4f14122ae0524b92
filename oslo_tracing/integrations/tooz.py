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

"""Waiting for the locks of tooz, by which services exclude each other.

Why here: ``with lock``, ``lock(blocking)`` and ``synchronized`` of a service
all end in ``acquire`` and ``release``, which each driver has of its own. On
the class, so that a lock is covered which a service made before. What a
driver asks its server for meanwhile is beside the span of the wait.

A driver tells its server every few seconds that the process lives, in
``heartbeat``, which it has of its own, too. That is periodic work: what it
asks for by HTTP would be a trace each.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import types
from typing import Any
import weakref

from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import context
from oslo_tracing import exceptions
from oslo_tracing import integrations
from oslo_tracing.integrations import _locks as locks_module
from oslo_tracing.integrations import _periodic

_DRIVERS = (
    'consul',
    'etcd',
    'etcd3gw',
    'file',
    'ipc',
    'kubernetes',
    'memcached',
    'mysql',
    'pgsql',
    'redis',
    'zookeeper',
)
_LOCKING = 'tooz.locking'
_COORDINATION = 'tooz.coordination'


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Attach to each driver, now or when it is imported.

    :param toolbox: settings and tracer.
    :param undo: closing it takes everything off.
    """
    attached = []
    if toolbox.settings.trace_locks:
        locks = locks_module.Locks(toolbox.tracer('tooz'), toolbox.settings)
        undo.callback(locks.stop)
        attached.append(functools.partial(_attach, _Watched(locks), undo))
    if toolbox.settings.trace_periodic:
        roots = _periodic.Roots(toolbox, 'tooz')
        attached.append(functools.partial(_attach_to_hearts, roots, undo))
    for driver in _DRIVERS:
        for attach in attached:
            _wrap.on_import(f'tooz.drivers.{driver}', attach, undo)


def _made_of(module: types.ModuleType, where: str) -> list[type]:
    """Return the classes of a driver that are based on those of a module."""
    return [
        each
        for each in vars(module).values()
        if isinstance(each, type)
        and each.__module__ == module.__name__
        and any(base.__module__ == where for base in each.__mro__)
    ]


def _attach_to_hearts(
    roots: _periodic.Roots,
    undo: contextlib.ExitStack,
    module: types.ModuleType,
) -> None:
    for each in _made_of(module, _COORDINATION):
        # Not all have to say that they live.
        if 'heartbeat' in vars(each):
            _wrap.wrap(
                each,
                'heartbeat',
                functools.partial(_beating, roots),
                undo,
                distribution='tooz',
                untraced='its heartbeats are',
            )


def _beating(
    roots: _periodic.Roots, original: Callable[..., Any]
) -> Callable[..., Any]:
    def heartbeat(driver: Any, *args: Any, **kwargs: Any) -> Any:
        if context.has_parent():
            # Of a looping call of the service, as far as one can tell.
            return original(driver, *args, **kwargs)
        return roots.run(original, None, original, (driver, *args), kwargs)

    return heartbeat


def _attach(
    watched: _Watched, undo: contextlib.ExitStack, module: types.ModuleType
) -> None:
    found = _made_of(module, _LOCKING)
    if not found:
        raise exceptions.SeamMissing(
            'tooz', _wrap.version_of('tooz'), 'waits for its locks are'
        )
    for each in found:
        for name in ('acquire', 'release'):
            _wrap.wrap(
                each,
                name,
                getattr(watched, f'around_{name}'),
                undo,
                distribution='tooz',
                untraced='waits for its locks are',
            )


class _Watched:
    """Makes what stands in for the two functions of a lock.

    :param locks: what records.
    """

    def __init__(self, locks: locks_module.Locks) -> None:
        self._locks = locks
        self._watches: weakref.WeakKeyDictionary[Any, locks_module.Watch] = (
            weakref.WeakKeyDictionary()
        )

    def around_acquire(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``acquire``."""

        def acquire(lock: Any, *args: Any, **kwargs: Any) -> Any:
            watch = self._watch(lock)
            if watch is None:
                return original(lock, *args, **kwargs)
            return watch.take(original, lock, *args, **kwargs)

        return acquire

    def around_release(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``release``."""

        def release(lock: Any, *args: Any, **kwargs: Any) -> Any:
            watch = self._known(lock)
            told = None if watch is None else watch.leave()
            try:
                return original(lock, *args, **kwargs)
            finally:
                if watch is not None:
                    watch.tell(told)

        return release

    def _watch(self, lock: Any) -> locks_module.Watch | None:
        """Return what looks at the clock, None where nobody has to."""
        try:
            if not self._locks.is_of_use():
                return None
            return self._watches.setdefault(
                lock, locks_module.Watch(self._locks, _name(lock))
            )
        except Exception:
            _guard.report('watching a lock')
            return None

    def _known(self, lock: Any) -> locks_module.Watch | None:
        try:
            return self._watches.get(lock)
        except Exception:
            _guard.report('looking for the watch of a lock')
            return None


def _name(lock: Any) -> str:
    """Return what a lock is called, without the directory of its file."""
    name = lock.name
    if isinstance(name, bytes):
        name = name.decode('utf-8', 'replace')
    name = str(name)
    return name.rpartition('/')[2] if name.startswith('/') else name

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

"""A span where a lock was waited for; here, one of oslo.concurrency.

``lockutils.lock`` and ``synchronized`` ask these functions of their module
for the locks themselves, so also what services made of them before, as with
``synchronized_with_prefix``, is covered. Under a span they get the lock in a
proxy that looks at the clock; without one the lock itself.

The span is the wait: it ends when the lock was got, so that what is done
under the lock is not part of it. It is handed on when the lock is released,
since only then is known how long it was held.
"""

from __future__ import annotations

from collections.abc import Callable
from collections import deque
import time
from typing import Any

from opentelemetry import trace
import wrapt

from oslo_tracing import _guard
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import recording
from oslo_tracing.scrub import names as span_names
from oslo_tracing import settings as settings_module

#: Seconds; shorter waits have no span.
THRESHOLD = 0.01

_NANOSECONDS = 1_000_000_000

# Generic in the types of the newer releases, and in none when it is run.
_Proxy: Any = wrapt.ObjectProxy

#: A span, when it ends, and how long the lock was held.
Told = tuple[trace.Span, int, float]


class Locks:
    """Makes what stands in for the functions that give locks.

    :param tracer: of the integration.
    :param settings: what an error may say.
    """

    def __init__(
        self, tracer: trace.Tracer, settings: settings_module.Settings
    ) -> None:
        self._tracer = tracer
        self._settings = settings
        self._names = span_names.NameBudget()
        self._on = True

    def stop(self) -> None:
        """Do nothing from now on, for the proxies that are still held."""
        self._on = False

    def around_internal_lock(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``lockutils.internal_lock``."""

        def internal_lock(name: str, *args: Any, **kwargs: Any) -> Any:
            lock = original(name, *args, **kwargs)
            # What does not block is a context manager of its own.
            if self.is_of_use() and hasattr(lock, 'acquire'):
                return self._watched(_Lock, lock, name)
            return lock

        return internal_lock

    def around_external_lock(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``lockutils.external_lock``."""

        def external_lock(name: str, *args: Any, **kwargs: Any) -> Any:
            lock = original(name, *args, **kwargs)
            if self.is_of_use():
                return self._watched(_Lock, lock, name)
            return lock

        return external_lock

    def around_internal_fair_lock(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``lockutils.internal_fair_lock``."""

        def internal_fair_lock(name: str, *args: Any, **kwargs: Any) -> Any:
            lock = original(name, *args, **kwargs)
            if self.is_of_use():
                return self._watched(_FairLock, lock, name)
            return lock

        return internal_fair_lock

    def is_of_use(self) -> bool:
        """Say whether a wait that begins now could have a span."""
        try:
            return (
                self._on
                and context.has_parent()
                and not context.is_suppressed()
            )
        except Exception:
            _guard.report('looking for the trace of a lock')
            return False

    def _watched(self, kind: Any, lock: Any, name: Any) -> Any:
        try:
            return kind(lock, Watch(self, name))
        except Exception:
            _guard.report('watching a lock')
            return lock

    def waited(
        self,
        name: Any,
        began: int,
        seconds: float,
        error: BaseException | None,
    ) -> trace.Span | None:
        """Start the span of a wait that is over.

        :param name: of the lock.
        :param began: nanoseconds since the epoch.
        :param seconds: how long it took.
        :param error: what ended it, if not that the lock was got.
        :returns: None where nothing is to be recorded.
        """
        if not self.is_of_use():
            return None
        span = self._tracer.start_span(
            f'lock {span_names.lock(name, self._names)}',
            kind=trace.SpanKind.INTERNAL,
            attributes={names.OPENSTACK_LOCK_WAIT: seconds},
            start_time=began,
        )
        if error is not None:
            recording.record_error(span, error, self._settings)
        return span


class Watch:
    """Looks at the clock for one lock.

    :param locks: what records.
    :param name: of the lock.
    """

    __slots__ = ('_held', '_locks', '_name')

    def __init__(self, locks: Locks, name: Any) -> None:
        self._locks = locks
        self._name = name
        # One for each time that it is held; more than one only where a
        # service gives a semaphore of its own that lets several in.
        self._held: deque[tuple[trace.Span, int, float] | None] = deque(
            maxlen=64
        )

    def take(self, take: Callable[..., Any], /, *args: Any, **kw: Any) -> Any:
        """Take the lock, and note how long that took."""
        began = time.time_ns()
        started = time.monotonic()
        try:
            taken = take(*args, **kw)
        except BaseException as error:
            self._ended(began, time.monotonic() - started, error)
            raise
        now = time.monotonic()
        if taken is False:
            self._ended(began, now - started, None)
        else:
            self._got(began, now - started, now)
        return taken

    def leave(self) -> Told | None:
        """Note that the lock is about to be released.

        :returns: what :meth:`tell` takes, after that: nobody is to wait for
            us.
        """
        try:
            held = self._held.pop() if self._held else None
            if held is None:
                return None
            span, ended, since = held
            return span, ended, time.monotonic() - since
        except Exception:
            _guard.report('ending the span of a lock')
            return None

    def tell(self, told: Told | None) -> None:
        """End the span."""
        try:
            if told is not None:
                span, ended, seconds = told
                span.set_attribute(names.OPENSTACK_LOCK_HELD, seconds)
                span.end(ended)
        except Exception:
            _guard.report('ending the span of a lock')

    def _got(self, began: int, seconds: float, now: float) -> None:
        try:
            span = None
            if seconds > THRESHOLD:
                span = self._locks.waited(self._name, began, seconds, None)
            if span is None:
                self._held.append(None)
                return
            self._held.append((span, _after(began, seconds), now))
        except Exception:
            _guard.report('starting the span of a lock')

    def _ended(
        self, began: int, seconds: float, error: BaseException | None
    ) -> None:
        try:
            if seconds > THRESHOLD:
                span = self._locks.waited(self._name, began, seconds, error)
                if span is not None:
                    span.end(_after(began, seconds))
        except Exception:
            _guard.report('starting the span of a lock')


def _after(began: int, seconds: float) -> int:
    return began + int(seconds * _NANOSECONDS)


class _Held(_Proxy):  # type: ignore[misc]
    """Stands in for what is entered and left."""

    def __init__(self, held: Any, watch: Watch) -> None:
        super().__init__(held)
        self._self_watch = watch

    def __enter__(self) -> Any:
        return self._self_watch.take(self.__wrapped__.__enter__)

    def __exit__(self, *exc_info: Any) -> Any:
        told = self._self_watch.leave()
        try:
            return self.__wrapped__.__exit__(*exc_info)
        finally:
            self._self_watch.tell(told)


class _Lock(_Held):
    """Stands in for a lock that can also be taken and released."""

    def acquire(self, *args: Any, **kwargs: Any) -> Any:
        return self._self_watch.take(self.__wrapped__.acquire, *args, **kwargs)

    def release(self, *args: Any, **kwargs: Any) -> Any:
        told = self._self_watch.leave()
        try:
            return self.__wrapped__.release(*args, **kwargs)
        finally:
            self._self_watch.tell(told)


class _FairLock(_Proxy):  # type: ignore[misc]
    """Stands in for a lock that gives context managers."""

    def __init__(self, lock: Any, watch: Watch) -> None:
        super().__init__(lock)
        self._self_watch = watch

    def write_lock(self, *args: Any, **kwargs: Any) -> Any:
        return _Held(
            self.__wrapped__.write_lock(*args, **kwargs), self._self_watch
        )

    def read_lock(self, *args: Any, **kwargs: Any) -> Any:
        return _Held(
            self.__wrapped__.read_lock(*args, **kwargs), self._self_watch
        )

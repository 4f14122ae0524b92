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

"""An event where a connection of the pool had to be waited for.

Why here: the queue is all that a pool waits in. Around it, connections are
made and pinged, which takes time but is no waiting.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import time
from typing import Any

from opentelemetry import trace

from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import exceptions

#: Seconds; shorter waits are not told.
THRESHOLD = 0.01

# Which there are differs between the releases of SQLAlchemy.
_QUEUES = ('Queue', 'AsyncAdaptedQueue', 'FallbackAsyncAdaptedQueue')


def attach(sqlalchemy: Any, undo: contextlib.ExitStack) -> None:
    """Tell of waits until ``undo`` is closed.

    :param sqlalchemy: the imported package.
    :raises SeamMissing: when its pools have no queue of a known kind.
    """
    module = getattr(sqlalchemy.util, 'queue', None)
    found = False
    for name in _QUEUES:
        queue = getattr(module, name, None)
        if queue is not None and 'get' in vars(queue):
            found = True
            _wrap.wrap(
                queue,
                'get',
                _make,
                undo,
                distribution='SQLAlchemy',
                untraced='waits for pooled connections are',
            )
    if not found:
        raise exceptions.SeamMissing(
            'SQLAlchemy',
            _wrap.version_of('SQLAlchemy'),
            'waits for pooled connections are',
        )


def _make(original: Callable[..., Any]) -> Callable[..., Any]:
    def get(queue: Any, block: bool = True, timeout: Any = None) -> Any:
        if not block:
            return original(queue, block, timeout)
        started = time.monotonic()
        try:
            return original(queue, block, timeout)
        finally:
            _waited(time.monotonic() - started)

    return get


def _waited(seconds: float) -> None:
    try:
        if seconds <= THRESHOLD:
            return
        span = trace.get_current_span()
        if span.is_recording() and not context.is_suppressed():
            span.add_event(
                names.EVENT_DB_POOL_WAIT,
                {names.OPENSTACK_DB_POOL_WAIT_DURATION: seconds},
            )
    except Exception:
        _guard.report('telling of a wait for a connection')

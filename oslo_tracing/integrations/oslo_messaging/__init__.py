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

"""RPC and notifications through oslo.messaging, both ends.

Attached to are the two methods of the transport that every call, cast and
notification passes, after the service's serializer, and the dispatchers'
``dispatch``, before it: so nothing that a serializer drops is lost, and
nothing of ours is seen by one. Why not where oslo.messaging's own tracing
sits: on the answering side the exception is swallowed there.

The notification drivers ``messaging``, ``messagingv2`` and, where it leads
to them, ``routing`` pass through the transport. ``log``, ``noop`` and
``test`` send nothing, so there is no span for them.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import logging
import sys
import types
from typing import Any

from oslo_tracing import _wrap
from oslo_tracing import exceptions
from oslo_tracing import integrations
from oslo_tracing.integrations.oslo_messaging import dispatching
from oslo_tracing.integrations.oslo_messaging import listening
from oslo_tracing.integrations.oslo_messaging import neighbours
from oslo_tracing.integrations.oslo_messaging import places
from oslo_tracing.integrations.oslo_messaging import sending

LOG = logging.getLogger(__name__)

_DISTRIBUTION = 'oslo.messaging'

_Make = Callable[[Callable[..., Any]], Callable[..., Any]]


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Attach to oslo.messaging, now or when the service imports it.

    :param toolbox: ``trace_rpc`` and ``trace_notifications`` say to which
        half.
    :param undo: closing it takes everything off.
    """
    # The package and not its modules: when it is complete, its own tracing
    # has registered its options.
    if toolbox.settings.trace_rpc:
        attach = functools.partial(_attach_rpc, toolbox, undo)
        _wrap.on_import('oslo_messaging', attach, undo)
    if toolbox.settings.trace_notifications:
        attach = functools.partial(_attach_notifications, toolbox, undo)
        _wrap.on_import('oslo_messaging', attach, undo)


def _attach_rpc(
    toolbox: integrations.Toolbox,
    undo: contextlib.ExitStack,
    module: types.ModuleType,
) -> None:
    transport = _class('oslo_messaging.transport', 'Transport')
    dispatcher = _class('oslo_messaging.rpc.dispatcher', 'RPCDispatcher')
    server = _class('oslo_messaging.rpc.server', 'RPCServer')
    others = neighbours.Neighbours('RPC')
    if toolbox.foreign_option('oslo_messaging_tracing', 'tracing_enabled'):
        others.step_back(neighbours.BUILT_IN)
        return
    if others.wrap(transport, '_send') or others.wrap(dispatcher, 'dispatch'):
        return
    known = places.Places()
    sender = sending.Sender(toolbox, others, known)
    receiver = dispatching.Receiver(toolbox, others, known)
    undo.callback(sender.stop)
    undo.callback(receiver.stop)
    _wrap_one(transport, '_send', sender.around_rpc, undo, 'RPC is')
    _wrap_one(
        dispatcher, 'dispatch', receiver.around, undo, 'the RPC server is'
    )
    _wrap_if_there(server, '_process_incoming', known.around, undo)


def _attach_notifications(
    toolbox: integrations.Toolbox,
    undo: contextlib.ExitStack,
    module: types.ModuleType,
) -> None:
    transport = _class('oslo_messaging.transport', 'Transport')
    one = _class('oslo_messaging.notify.dispatcher', 'NotificationDispatcher')
    batch = _class(
        'oslo_messaging.notify.dispatcher', 'BatchNotificationDispatcher'
    )
    listener = 'oslo_messaging.notify.listener'
    others = neighbours.Neighbours('notifications')
    known = places.Places()
    receiver = listening.Receiver(toolbox, others, known)
    undo.callback(receiver.stop)
    # Both, so that each has its say; the line about it comes once.
    theirs = [
        others.wrap(transport, '_send_notification'),
        others.wrap(one, 'dispatch'),
    ]
    if not any(theirs):
        sender = sending.Sender(toolbox, others, known)
        undo.callback(sender.stop)
        _wrap_one(
            transport,
            '_send_notification',
            sender.around_notification,
            undo,
            'notifications are',
        )
        _wrap_one(
            one,
            'dispatch',
            receiver.around,
            undo,
            'received notifications are',
        )
        _wrap_if_there(one, '_exec_callback', receiver.around_callback, undo)
        _wrap_if_there(
            _class(listener, 'NotificationServer'),
            '_process_incoming',
            known.around,
            undo,
        )
    if others.wrap(batch, 'dispatch'):
        return
    _wrap_one(
        batch,
        'dispatch',
        receiver.around_batch,
        undo,
        'batches of notifications are',
    )
    _wrap_if_there(batch, '_exec_callback', receiver.around_callback, undo)
    _wrap_if_there(
        _class(listener, 'BatchNotificationServer'),
        '_process_incoming',
        known.around,
        undo,
    )


def _class(module: str, name: str) -> Any:
    """Return a class of a module that is there already, else what is not."""
    return getattr(sys.modules.get(module), name, _NOTHING)


class _NOTHING:
    """Has no seam."""


def _wrap_one(
    owner: Any,
    name: str,
    make: _Make,
    undo: contextlib.ExitStack,
    untraced: str,
) -> None:
    _wrap.wrap(
        owner, name, make, undo, distribution=_DISTRIBUTION, untraced=untraced
    )


def _wrap_if_there(
    owner: Any, name: str, make: _Make, undo: contextlib.ExitStack
) -> None:
    """Wrap what only adds to what spans say."""
    try:
        _wrap_one(owner, name, make, undo, 'something is')
    except exceptions.SeamMissing:
        LOG.debug('oslo.messaging has no %s.%s', owner.__name__, name)

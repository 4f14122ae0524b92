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

"""What spans of messages are called and what they tell."""

from __future__ import annotations

from typing import Any

from oslo_tracing import attributes as names
from oslo_tracing.integrations.oslo_messaging import places
from oslo_tracing.scrub import names as scrub

#: ``openstack.rpc.type``
CALL = 'call'
CAST = 'cast'
FANOUT = 'fanout'

#: ``rpc.system.name``
RPC_SYSTEM = 'oslo.messaging'

PRIORITIES = frozenset(
    ('audit', 'debug', 'info', 'warn', 'error', 'critical', 'sample')
)

#: ``messaging.operation.type`` of who sends a message, and who handles it.
SEND = 'send'
PROCESS = 'process'

#: Names of one kind that a process makes up at most.
MAX_NAMES = 1000


def rpc_scope(namespace: Any, topic: Any) -> str:
    """Return what stands before the method in a name."""
    # Guest agents have topics of their own, with an id in them.
    return scrub.event_type(namespace or topic or '')


def rpc_name(where: str, method: Any) -> str:
    """Return the name of a span of RPC."""
    return f'{where}/{method}'


def rpc_attributes(
    place: places.Place, how: str, topic: Any, method: Any, version: Any
) -> dict[str, str]:
    """Return what is the same for all messages of one method."""
    attributes = {
        names.RPC_SYSTEM_NAME: RPC_SYSTEM,
        names.RPC_METHOD: str(method),
        names.OPENSTACK_RPC_TYPE: how,
        **place.attributes,
    }
    if topic:
        attributes[names.MESSAGING_DESTINATION_NAME] = str(topic)
    version = places.bounded(version, 32)
    if version is not None:
        attributes[names.OPENSTACK_RPC_VERSION] = version
    return attributes


def notification_attributes(
    place: places.Place,
    operation: str,
    topic: Any,
    event_type: str,
    priority: Any,
) -> dict[str, str]:
    """Return what is the same for all notifications of an event type."""
    attributes = {
        names.MESSAGING_OPERATION_TYPE: operation,
        names.MESSAGING_OPERATION_NAME: operation,
        names.OPENSTACK_NOTIFICATION_EVENT_TYPE: event_type,
        **place.attributes,
    }
    if topic:
        attributes[names.MESSAGING_DESTINATION_NAME] = str(topic)
    if isinstance(priority, str) and priority.lower() in PRIORITIES:
        attributes[names.OPENSTACK_NOTIFICATION_PRIORITY] = priority.lower()
    return attributes

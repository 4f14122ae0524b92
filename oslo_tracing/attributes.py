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

"""Names of span and resource attributes: the only file that spells them.

The names are those of the OpenTelemetry semantic conventions; a test
compares them with the installed ``opentelemetry.semconv``. Names that
start with ``openstack.`` are ours, save for the five ids that
oslo.middleware and oslo.messaging already emit.
"""

from __future__ import annotations

from typing import Final

#: Version of the conventions that every tracer of ours names.
SCHEMA_URL: Final = 'https://opentelemetry.io/schemas/1.44.0'

CLIENT_ADDRESS: Final = 'client.address'

CODE_FUNCTION_NAME: Final = 'code.function.name'

DB_COLLECTION_NAME: Final = 'db.collection.name'
DB_NAMESPACE: Final = 'db.namespace'
DB_OPERATION_BATCH_SIZE: Final = 'db.operation.batch.size'
DB_OPERATION_NAME: Final = 'db.operation.name'
DB_QUERY_SUMMARY: Final = 'db.query.summary'
DB_QUERY_TEXT: Final = 'db.query.text'
DB_RESPONSE_STATUS_CODE: Final = 'db.response.status_code'
DB_SYSTEM_NAME: Final = 'db.system.name'

ERROR_TYPE: Final = 'error.type'

EXCEPTION_MESSAGE: Final = 'exception.message'
EXCEPTION_STACKTRACE: Final = 'exception.stacktrace'
EXCEPTION_TYPE: Final = 'exception.type'

HOST_NAME: Final = 'host.name'

HTTP_REQUEST_METHOD: Final = 'http.request.method'
HTTP_REQUEST_METHOD_ORIGINAL: Final = 'http.request.method_original'
HTTP_REQUEST_RESEND_COUNT: Final = 'http.request.resend_count'
HTTP_RESPONSE_STATUS_CODE: Final = 'http.response.status_code'
HTTP_ROUTE: Final = 'http.route'

MESSAGING_BATCH_MESSAGE_COUNT: Final = 'messaging.batch.message_count'
MESSAGING_DESTINATION_NAME: Final = 'messaging.destination.name'
MESSAGING_MESSAGE_ID: Final = 'messaging.message.id'
MESSAGING_OPERATION_NAME: Final = 'messaging.operation.name'
MESSAGING_OPERATION_TYPE: Final = 'messaging.operation.type'
MESSAGING_SYSTEM: Final = 'messaging.system'

NETWORK_PROTOCOL_VERSION: Final = 'network.protocol.version'

PROCESS_EXECUTABLE_NAME: Final = 'process.executable.name'
PROCESS_EXIT_CODE: Final = 'process.exit.code'
PROCESS_PID: Final = 'process.pid'

RPC_METHOD: Final = 'rpc.method'
RPC_SYSTEM_NAME: Final = 'rpc.system.name'

SERVER_ADDRESS: Final = 'server.address'
SERVER_PORT: Final = 'server.port'

SERVICE_INSTANCE_ID: Final = 'service.instance.id'
SERVICE_NAME: Final = 'service.name'
SERVICE_NAMESPACE: Final = 'service.namespace'
SERVICE_VERSION: Final = 'service.version'

TELEMETRY_DISTRO_NAME: Final = 'telemetry.distro.name'
TELEMETRY_DISTRO_VERSION: Final = 'telemetry.distro.version'

URL_FULL: Final = 'url.full'
URL_PATH: Final = 'url.path'
URL_SCHEME: Final = 'url.scheme'

USER_AGENT_ORIGINAL: Final = 'user_agent.original'

#: What others call some of these, or called them once; never recorded by us.
DB_STATEMENT: Final = 'db.statement'
DB_SYSTEM: Final = 'db.system'

OPENSTACK_DB_ROWS: Final = 'openstack.db.rows'
OPENSTACK_DOMAIN_ID: Final = 'openstack.domain_id'
OPENSTACK_GLOBAL_REQUEST_ID: Final = 'openstack.global_request_id'
OPENSTACK_LINK_REASON: Final = 'openstack.link.reason'
OPENSTACK_LOCK_HELD: Final = 'openstack.lock.held'
OPENSTACK_LOCK_WAIT: Final = 'openstack.lock.wait'
OPENSTACK_NOTIFICATION_EVENT_TYPE: Final = 'openstack.notification.event_type'
OPENSTACK_NOTIFICATION_PRIORITY: Final = 'openstack.notification.priority'
OPENSTACK_NOTIFICATION_PUBLISHER_ID: Final = (
    'openstack.notification.publisher_id'
)
OPENSTACK_PROJECT_ID: Final = 'openstack.project_id'
OPENSTACK_REQUEST_ID: Final = 'openstack.request_id'
OPENSTACK_RPC_SERVER: Final = 'openstack.rpc.server'
OPENSTACK_RPC_TYPE: Final = 'openstack.rpc.type'
OPENSTACK_RPC_VERSION: Final = 'openstack.rpc.version'
OPENSTACK_SAMPLING_NAME: Final = 'openstack.sampling.name'
OPENSTACK_SERVICE_TYPE: Final = 'openstack.service_type'
OPENSTACK_USER_ID: Final = 'openstack.user_id'
#: Events on the active span and what they carry.
EVENT_DB_POOL_WAIT: Final = 'db.pool.wait'
EVENT_EXCEPTION: Final = 'exception'
EVENT_OSLO_DB_RETRY: Final = 'oslo.db.retry'
OPENSTACK_DB_POOL_WAIT_DURATION: Final = 'openstack.db.pool.wait.duration'
OPENSTACK_DB_RETRY_ATTEMPT: Final = 'openstack.db.retry.attempt'
OPENSTACK_DB_RETRY_SLEEP: Final = 'openstack.db.retry.sleep'

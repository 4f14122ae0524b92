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

"""Why a service on eventlet speaks OTLP over HTTP, whatever was chosen.

gRPC waits in its own library and would not stop the hub. But for each call
its Python half asks for the current thread, and eventlet answers by
enumerating all threads under the lock that green threads take to start one.
Where the two meet neither ever goes on: in 4 of 4 trials with green threads
that start others, within 2 seconds, both were hung.
"""

from __future__ import annotations

from typing import Final
from typing import TYPE_CHECKING
from urllib import parse

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

# Where receivers listen, "OTLP/gRPC" and "OTLP/HTTP Default Port".
_GRPC_PORT: Final = 4317
_HTTP_PORT: Final = 4318


def without_grpc(
    settings: settings_module.Settings,
) -> settings_module.Settings:
    """Return the settings for the same receiver over HTTP.

    The default port of gRPC becomes that of HTTP; any other is left alone,
    for there is nothing to tell where else HTTP would be.

    :param settings: validated settings; they are not changed.
    """
    if settings.otlp_protocol != 'grpc':
        return settings
    endpoint = settings.otlp_endpoint
    if '://' not in endpoint:
        scheme = 'http' if settings.otlp_insecure else 'https'
        endpoint = f'{scheme}://{endpoint}'
    parts = parse.urlsplit(endpoint)
    if parts.port in (None, _GRPC_PORT):
        host = parts.netloc.removesuffix(f':{_GRPC_PORT}')
        endpoint = f'{parts.scheme}://{host}:{_HTTP_PORT}'
    return settings.but(
        otlp_protocol='http/protobuf',
        otlp_endpoint=endpoint.rstrip('/'),
        otlp_endpoint_is_whole=False,
    )

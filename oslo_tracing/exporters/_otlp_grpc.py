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

"""Export requests over gRPC.

A bare unary call with bytes that are serialised already. The calling thread
waits within gRPC's own library, without Python's lock; its sockets, threads
and name look-ups are those of the operating system, also under eventlet.
"""

from __future__ import annotations

from typing import Any
from typing import Final
from typing import TYPE_CHECKING

import grpc

from oslo_tracing import _tls
from oslo_tracing.exporters import _answer

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

_METHOD: Final = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
_DETAILS: Final = 'grpc-status-details-bin'


class Link:
    """Calls one receiver, over one channel that is kept open.

    :param settings: endpoint, headers, compression and TLS files.
    :param user_agent: who we are.
    :raises OSError: when a file for TLS cannot be used.
    :raises ValueError: when the key is encrypted.
    """

    def __init__(
        self, settings: settings_module.Settings, user_agent: str
    ) -> None:
        scheme, found, rest = settings.otlp_endpoint.partition('://')
        insecure = scheme == 'http' if found else settings.otlp_insecure
        self._target = (rest if found else settings.otlp_endpoint).rstrip('/')
        self._credentials = None
        if not insecure:
            # gRPC says of these no more than that each handshake fails.
            _tls.check(
                settings.otlp_ca_file,
                settings.otlp_cert_file,
                settings.otlp_key_file,
            )
            self._credentials = grpc.ssl_channel_credentials(
                root_certificates=_file(settings.otlp_ca_file),
                private_key=_file(settings.otlp_key_file),
                certificate_chain=_file(settings.otlp_cert_file),
            )
        self._compression = (
            grpc.Compression.Gzip
            if settings.otlp_compression == 'gzip'
            else grpc.Compression.NoCompression
        )
        self._metadata = tuple(
            # Metadata keys are lower case in HTTP/2.
            (name.lower(), value)
            for name, value in settings.otlp_headers.items()
        )
        self._options = (
            ('grpc.primary_user_agent', user_agent),
            ('grpc.max_receive_message_length', _answer.LIMIT),
            # As over HTTP: nothing but the endpoint is spoken to, and what a
            # receiver publishes about itself changes nothing here.
            ('grpc.enable_http_proxy', 0),
            ('grpc.service_config_disable_resolution', 1),
            # We decide when to try again.
            ('grpc.enable_retries', 0),
            ('grpc.use_local_subchannel_pool', 1),
        )
        self._channel: Any = None
        self._call: Any = None

    def send(self, body: bytes, timeout: float) -> _answer.Answer:
        """Call once; never raises for what happens on the way.

        :param body: the serialised message.
        :param timeout: seconds for all of it.
        """
        if self._channel is None:
            self._open()
        try:
            response = self._call(
                body, timeout=timeout, metadata=self._metadata
            )
        except grpc.RpcError as error:
            answer = _answer.of_grpc(
                error.code().name,
                error.details() or '',
                _details(error),
            )
            if answer.meaning != _answer.REFUSED:
                # A channel that failed waits, for longer each time, before
                # it looks again for the receiver. A new one does not.
                self.close()
            return answer
        return _answer.of_response(response)

    def close(self) -> None:
        """Close the channel; the next call opens another."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _open(self) -> None:
        if self._credentials is None:
            self._channel = grpc.insecure_channel(
                self._target, self._options, self._compression
            )
        else:
            self._channel = grpc.secure_channel(
                self._target,
                self._credentials,
                self._options,
                self._compression,
            )
        self._call = self._channel.unary_unary(_METHOD)


def _details(error: Any) -> bytes | None:
    for name, value in error.trailing_metadata() or ():
        if name == _DETAILS:
            return bytes(value)
    return None


def _file(path: str | None) -> bytes | None:
    if not path:
        return None
    with open(path, 'rb') as file:
        return file.read()

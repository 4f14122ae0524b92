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


"""TLS as the options ask for it, for connections of ours.

Loads ssl: import it only where a connection is made.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

certifi: Any
try:
    import certifi
except ImportError:
    # Comes with requests, which we do not need.
    certifi = None


def context(
    ca_file: str | None, cert_file: str | None, key_file: str | None
) -> ssl.SSLContext:
    """Return how to speak TLS.

    :param ca_file: PEM file with the authorities to trust, None for those
        that other clients of the service trust.
    :param cert_file: PEM file with our certificate, None for none.
    :param key_file: PEM file with its private key, None where it is in the
        same file.
    :raises OSError: when a file cannot be used.
    :raises ValueError: when the key is encrypted.
    """
    trusted = {'cafile': ca_file} if ca_file else _of_system()
    made = ssl.create_default_context(**trusted)
    made.set_alpn_protocols(['http/1.1'])
    if cert_file:
        made.load_cert_chain(cert_file, key_file, _no_password)
    return made


def check(
    ca_file: str | None, cert_file: str | None, key_file: str | None
) -> None:
    """Look at files that another library uses, and tells less of.

    The parameters and errors are those of :func:`context`.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file:
        made.load_verify_locations(ca_file)
    if cert_file:
        made.load_cert_chain(cert_file, key_file, _no_password)


def _of_system() -> dict[str, Any]:
    """Return whom other clients of the service trust, as requests finds it.

    :returns: arguments of ``ssl.create_default_context``.
    """
    for name in ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'):
        path = os.environ.get(name)
        if path:
            return {'capath' if os.path.isdir(path) else 'cafile': path}
    return {} if certifi is None else {'cafile': certifi.where()}


def _no_password() -> str:
    # Else OpenSSL would ask for it, on the terminal of the service.
    raise ValueError('the key is encrypted')

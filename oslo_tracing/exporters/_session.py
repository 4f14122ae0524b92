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


"""The HTTP session of the OTLP exporter: what is configured, no more.

Why here: the exporter adds headers and certificates that it finds in the
environment, requests adds credentials from ``~/.netrc``, and both take a
redirect to a login page for a success. ``session`` is the exporter's public
place to have a say in that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import Final

import requests

# What requests, the exporter and a proxy need, whoever the receiver is.
_NEEDED: Final = frozenset(
    (
        'accept',
        'accept-encoding',
        'connection',
        'content-encoding',
        'content-length',
        'content-type',
        'host',
        'proxy-authorization',
        'user-agent',
    )
)


class Session(requests.Session):
    """Sends our headers and certificates only, and follows no redirect.

    :param headers: the configured headers.
    :param ca_file: authorities of the receiver, None for those of the
        system.
    :param certificate: the client's certificate and key files, or one file
        with both.
    :ivar error: why the last request got no answer, None if it did.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        ca_file: str | None,
        certificate: tuple[str, str] | str | None,
    ) -> None:
        super().__init__()
        self._allowed = _NEEDED | {name.lower() for name in headers}
        self._ca_file = ca_file
        self._certificate = certificate
        self.error: requests.RequestException | None = None

    def send(
        self, request: requests.PreparedRequest, **kwargs: Any
    ) -> requests.Response:
        """Send one export request.

        :raises requests.TooManyRedirects: when the answer is a redirect.
        """
        for name in list(request.headers):
            if name.lower() not in self._allowed:
                del request.headers[name]
        kwargs['allow_redirects'] = False
        kwargs['cert'] = self._certificate
        kwargs['verify'] = self._ca_file or self._of_system(request.url or '')
        self.error = None
        try:
            response = super().send(request, **kwargs)
            if 300 <= response.status_code < 400:
                response.close()
                raise requests.TooManyRedirects(
                    f'answered by a redirect ({response.status_code})'
                )
        except requests.RequestException as error:
            self.error = error
            raise
        return response

    def _of_system(self, url: str) -> Any:
        # Also what REQUESTS_CA_BUNDLE names, as for every client of a
        # service.
        return self.merge_environment_settings(url, {}, None, True, None)[
            'verify'
        ]

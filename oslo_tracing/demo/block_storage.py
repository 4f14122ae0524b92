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

"""The block storage API, which the compute API calls over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import webob

from oslo_tracing.demo import db
from oslo_tracing.demo import wsgi


def _volumes(ctxt: Any, request: webob.Request) -> dict[str, Any]:
    return {'volumes': [db.first_volume(ctxt)]}


def _log(ctxt: Any, request: webob.Request, server_id: str) -> webob.Response:
    def lines() -> Iterator[bytes]:
        for number in range(4):
            yield f'[{number}] booting {server_id}\n'.encode()

    return webob.Response(app_iter=lines(), content_type='text/plain')


def app_factory(global_conf: Any, **local_conf: Any) -> wsgi.Application:
    """Make the application, for paste."""
    return wsgi.Application(
        {('GET', '/volumes'): _volumes, ('GET', '/logs/{server_id}'): _log}
    )

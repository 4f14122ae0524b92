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

"""How the two APIs route a request and answer it."""

from __future__ import annotations

from collections.abc import Callable
import json
from typing import Any

from oslo_context import context
import routes
from routes import middleware
import webob
import webob.dec


class Application:
    """Routes requests to methods, as nova's and cinder's applications do.

    :param resources: method and path template of each handler.
    """

    def __init__(
        self, resources: dict[tuple[str, str], Callable[..., Any]]
    ) -> None:
        mapper = routes.Mapper()
        for (method, path), handler in resources.items():
            mapper.connect(
                path, handler=handler, conditions={'method': [method]}
            )
        self._routed = middleware.RoutesMiddleware(
            webob.dec.wsgify(self._dispatch), mapper, singleton=False
        )

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._routed(environ, start_response)

    def _dispatch(self, request: webob.Request) -> webob.Response:
        arguments = dict(request.environ['wsgiorg.routing_args'][1])
        if not arguments:
            return webob.Response(status=404)
        handler = arguments.pop('handler')
        ctxt = context.RequestContext.from_environ(request.environ)
        answer = handler(ctxt, request, **arguments)
        if isinstance(answer, webob.Response):
            return answer
        return webob.Response(
            body=json.dumps(answer).encode(), content_type='application/json'
        )

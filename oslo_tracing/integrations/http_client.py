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

"""Outgoing HTTP through keystoneauth1 and requests, one span an attempt.

Attached to is ``requests.Session.send``: every attempt passes it, the
retries, redirects and new tokens of keystoneauth and the redirects of
requests itself, whatever adapter is mounted. keystoneauth's
``Session.request`` is wrapped too, but only to hand down what it alone
knows: the service's type, whether the endpoint is one that it resolved, and
which attempts belong together. So there is one span where one sits on the
other.

Not seen are clients that use neither: ``urllib3`` or ``http.client``
directly, httplib2, aiohttp. Where a response hook sends a request once more
by itself, past the session (``HTTPDigestAuth``), both are one span. Only
``http`` and ``https`` are traced, the ``file`` of some adapter is not.

A ``traceparent`` that the caller gave is replaced: the span here is the
receiver's parent.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import functools
import sys
import types
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import integrations
from oslo_tracing.integrations import _http_attempts as attempts
from oslo_tracing.integrations import _http_bodies as bodies
from oslo_tracing.integrations import _http_calls as calls
from oslo_tracing.integrations import _http_neighbours as neighbours

_CALL = calls.KEY


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Attach to both libraries, now or when the service imports them.

    :param toolbox: settings, propagation and tracer.
    :param undo: closing it takes everything off.
    """
    client = _Client(toolbox)
    undo.callback(client.stop)
    _wrap.on_import(
        'requests.sessions',
        functools.partial(_attach_requests, client, undo),
        undo,
    )
    _wrap.on_import(
        'keystoneauth1.session',
        functools.partial(_attach_keystoneauth, client, undo),
        undo,
    )


def _attach_requests(
    client: _Client, undo: contextlib.ExitStack, module: types.ModuleType
) -> None:
    client.others.wrap(module.Session, 'send')
    client.prepared_request = module.PreparedRequest
    _wrap.wrap(
        module.Session,
        'send',
        client.around_send,
        undo,
        distribution='requests',
        untraced='outgoing HTTP is',
    )
    neighbours.disguise(module.Session.send)
    client.bodies.attach(sys.modules.get('urllib3.response'), undo)


def _attach_keystoneauth(
    client: _Client, undo: contextlib.ExitStack, module: types.ModuleType
) -> None:
    _wrap.wrap(
        module.Session,
        'request',
        client.around_request,
        undo,
        distribution='keystoneauth1',
        untraced='the service types of outgoing HTTP are',
    )


class _Client:
    """Makes what stands in for the two functions."""

    def __init__(self, toolbox: integrations.Toolbox) -> None:
        self.bodies = bodies.Bodies()
        self.others = neighbours.Neighbours()
        self.prepared_request: Any = ()
        self._opener = attempts.Opener(toolbox, self.bodies)
        self._on = True

    def stop(self) -> None:
        """Do nothing from now on, should somebody still hold our functions."""
        self._on = False

    def around_send(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``requests.Session.send``."""

        def send(session: Any, request: Any, **kwargs: Any) -> Any:
            attempt = None
            try:
                if self._on and isinstance(request, self.prepared_request):
                    handed_on = self._opener.handed_on(request)
                    if handed_on is not None:
                        request = handed_on
                    else:
                        attempt = self._attempt(session, request)
            except Exception:
                _guard.report('starting the span of an HTTP request')
            if attempt is None:
                return original(session, request, **kwargs)
            try:
                response = original(session, attempt.request, **kwargs)
            except BaseException as error:
                attempt.failed(error)
                raise
            attempt.returned(
                response, kwargs.get('stream', getattr(session, 'stream', 0))
            )
            return response

        return send

    def around_request(
        self, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Wrap ``keystoneauth1.session.Session.request``."""

        def request(session: Any, *args: Any, **kwargs: Any) -> Any:
            token = None
            call: Any = None
            try:
                if self._on:
                    url = args[0] if args else kwargs.get('url')
                    around = _current.context()
                    call = _call(session, around, url, kwargs)
                    token = _current.attach(
                        otel_context.set_value(_CALL, call, around)
                    )
            except Exception:
                _guard.report('noting a request of keystoneauth')
            try:
                return original(session, *args, **kwargs)
            finally:
                if token is not None:
                    call.first = trace.INVALID_SPAN
                    _current.detach(token)

        return request

    def _attempt(self, session: Any, request: Any) -> attempts.Attempt | None:
        current = _current.context()
        call: Any = current.get(_CALL)
        # A plugin of keystoneauth may well use requests by itself.
        if call is not None and not call.uses(session):
            call = None
        if _current.is_suppressed(current) or current.get(
            _current.SUPPRESS_HTTP
        ):
            self.others.current(call is not None)
            return None
        if self.others.current(call is not None):
            return None
        return self._opener.open(request, call)


def _call(
    session: Any,
    around: otel_context.Context,
    url: Any,
    arguments: Mapping[str, Any],
) -> calls.Call:
    """Say what keystoneauth is asked for.

    As there: a whole URL is the caller's own, and neither ``endpoint_filter``
    nor ``endpoint_override`` has a say in where it leads.
    """
    wanted = arguments.get('endpoint_filter')
    service_type = None
    if isinstance(wanted, Mapping):
        service_type = wanted.get('service_type')
    return calls.Call(
        session,
        around,
        service_type if isinstance(service_type, str) else None,
        resolved=calls.has_no_host(url),
    )

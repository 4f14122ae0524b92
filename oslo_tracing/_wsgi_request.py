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

"""The span of one request, from its start to the end of the response."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _guard
from oslo_tracing import _routes
from oslo_tracing import _wsgi_body
from oslo_tracing import _wsgi_callers
from oslo_tracing import _wsgi_environ
from oslo_tracing import attributes as attribute_names
from oslo_tracing import context as context_module
from oslo_tracing import recording

if TYPE_CHECKING:
    from _typeshed import wsgi

    from oslo_tracing import _wsgi_told
    from oslo_tracing import settings as settings_module

#: What an environment has while the span of its request is open, so that a
#: second filter in the pipeline, and a request that the application makes
#: of a copy, add none. A list, emptied at the end, since it may be copied.
OPEN = 'oslo_tracing.open'

_ERROR = trace.StatusCode.ERROR


class Server(Protocol):
    """What the requests of a process have in common."""

    settings: settings_module.Settings
    names: _routes.Names
    callers: _wsgi_callers.Callers


class Request:
    """A request that is being answered.

    :param environ: the environment that the application gets.
    :param span: the SERVER span, recorded or not.
    :param context: what the application runs in.
    :param traceresponse: value of that header, None to send none.
    """

    __slots__ = (
        'context',
        '_before',
        '_caller',
        '_came',
        '_current',
        '_environ',
        '_headers',
        '_mark',
        '_recording',
        '_request_context',
        '_rule',
        '_said_confirmed',
        '_server',
        '_span',
        '_status',
        '_told',
        '_traceresponse',
    )

    _server: Server
    _told: _wsgi_told.Told
    _came: tuple[str, str]
    _caller: tuple[_wsgi_callers.Key, _wsgi_callers.Caller | None]
    _status: int | None
    _headers: Sequence[tuple[str, str]]
    _rule: str | None

    def __init__(
        self,
        environ: wsgi.WSGIEnvironment,
        span: trace.Span,
        context: otel_context.Context,
        traceresponse: str | None = None,
    ) -> None:
        self.context = context
        self._environ = environ
        self._span = span
        self._traceresponse = traceresponse
        self._recording = False
        self._request_context: Any = None
        self._mark = environ[OPEN] = [True]

    def keep(
        self,
        server: Server,
        told: _wsgi_told.Told,
        came: tuple[str, str],
        caller: tuple[_wsgi_callers.Key, _wsgi_callers.Caller | None],
    ) -> None:
        """Remember what a span that is recorded needs at its end.

        :param server: what requests have in common.
        :param told: what the span says already.
        :param came: PATH_INFO, and the whole path decoded, as they came in.
        :param caller: who asks, and what of that the span says already.
        """
        self._server = server
        self._told = told
        self._came = came
        self._caller = caller
        self._status = None
        self._headers = ()
        self._rule = None
        self._before = self._current = context_module.request_context()
        self._said_confirmed = _wsgi_environ.says_confirmed(self._environ)
        self._environ[context_module.RULE] = None
        self._recording = True

    def answering(
        self, start_response: wsgi.StartResponse
    ) -> wsgi.StartResponse:
        """Return what the application is given to answer with."""
        if not self._recording and self._traceresponse is None:
            return start_response

        def answer(
            status: str,
            headers: list[tuple[str, str]],
            exc_info: Any = None,
        ) -> Callable[[bytes], object]:
            sent = headers
            try:
                self._headers = headers
                code = status[:3]
                self._status = int(code) if code.isdecimal() else None
                self._rule = _routes.werkzeug_rule(self._environ)
                if self._traceresponse is not None:
                    sent = [
                        pair
                        for pair in headers
                        if pair[0].lower() != 'traceresponse'
                    ]
                    sent.append(('traceresponse', self._traceresponse))
            except Exception:
                _guard.report('looking at a response')
                sent = headers
            if exc_info is None:
                return start_response(status, sent)
            return start_response(status, sent, exc_info)

        return answer

    def returned(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """Return what the server gets for the body of the response.

        A list or tuple is complete, and so is the request; it is passed on
        as it is, since servers compute Content-Length from it. So is what
        the server's own ``wsgi.file_wrapper`` made, since it would not be
        sent by ``sendfile`` otherwise: the request then ends when the server
        lets go of it, and errors in sending it are not seen. Everything
        else is wrapped.
        """
        try:
            self._request_context = context_module.stored()
            if self._recording:
                self._current = context_module.request_context()
            kind = type(body)
            if kind is list or kind is tuple:
                self.finish()
                return body
            if _wsgi_body.is_file(body, self._environ):
                if self._recording:
                    _wsgi_body.when_gone(body, self.finish)
                else:
                    self.finish()
                return body
            return _wsgi_body.wrapped(body, self)
        except Exception:
            _guard.report('looking at the body of a response')
            self.finish()
            return body

    def enter(self) -> Any:
        """Run what follows as part of the request, also after its answer.

        :returns: what ``context.leave()`` takes.
        """
        return context_module.enter(self.context, self._request_context)

    def fail(self, error: BaseException, answered: bool) -> None:
        """End with an error that came out of the application.

        :param error: it goes on its way.
        :param answered: False where the server will answer in place of the
            application, nobody knows how.
        """
        if not self._mark:
            return
        try:
            if self._recording:
                recording.record_error(
                    self._span, error, self._server.settings
                )
                if not answered:
                    self._status = None
                    self._current = context_module.request_context()
                    if self._rule is None:
                        self._rule = _routes.werkzeug_rule(self._environ)
        except Exception:
            _guard.report('looking at an error')
        self.finish(failed=True)

    def finish(self, failed: bool = False) -> None:
        """End, for the first time; never raises.

        :param failed: an error was recorded already.
        """
        mark = self._mark
        if not mark:
            return
        mark.clear()
        environ = self._environ
        if environ.get(OPEN) is mark:
            del environ[OPEN]
            environ.pop(context_module.RULE, None)
        context_module.ended(self.context)
        if not self._recording:
            return
        try:
            self._tell(failed)
        except Exception:
            _guard.report('describing a request')
        try:
            self._span.end()
        except Exception:
            _guard.report('ending the span of a request')

    def _tell(self, failed: bool) -> None:
        found = self._server.callers.rest(
            *self._caller, self._told.constant, self._environ
        )
        self._add_outcome(found, failed)
        try:
            self._add_whose(found)
        finally:
            self._span.set_attributes(found)

    def _add_outcome(self, found: dict[str, Any], failed: bool) -> None:
        status, told, names = self._status, self._told, self._server.names
        route = names.route(self._environ, *self._came, self._rule)
        if route is not None:
            found[attribute_names.HTTP_ROUTE] = route
        if status is not None:
            found[attribute_names.HTTP_RESPONSE_STATUS_CODE] = status
            if status >= 500 and not failed:
                found[attribute_names.ERROR_TYPE] = str(status)
                self._span.set_status(_ERROR)
        name = names.name(told.method, route, told.cleaned, status)
        if getattr(self._span, 'name', None) != name:
            self._span.update_name(name)

    def _add_whose(self, found: dict[str, Any]) -> None:
        # What is current on this thread may be somebody else's, left by an
        # earlier request.
        current = self._current if self._current is not self._before else None
        ids = _wsgi_environ.ids(self._environ, current, self._said_confirmed)
        found.update(ids)
        if attribute_names.OPENSTACK_REQUEST_ID not in ids:
            told = _wsgi_environ.request_id_of(self._headers)
            if told is None:
                # Nobody needed one, as where a service tells its versions,
                # or fails before it has one; that of the trace finds the
                # request all the same.
                told = context_module.take_request_id(self.context)
            if told:
                found[attribute_names.OPENSTACK_REQUEST_ID] = told

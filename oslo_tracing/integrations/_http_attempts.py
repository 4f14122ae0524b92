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

"""One attempt of an outgoing request: its span, its headers, its end."""

from __future__ import annotations

from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import _ready
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import integrations
from oslo_tracing.integrations import _http_bodies as bodies
from oslo_tracing.integrations import _http_calls as calls
from oslo_tracing.integrations import _http_headers as headers
from oslo_tracing.integrations import _http_places as places
from oslo_tracing import propagation
from oslo_tracing import recording
from oslo_tracing.scrub import urls
from oslo_tracing import settings as settings_module

_RESPONSE = 'response'
_CLIENT = trace.SpanKind.CLIENT
_ERROR = trace.StatusCode.ERROR
#: A limit of attributes with which none of a request's is lost.
_AMPLE_COUNT = 64


class _Hooks(dict[str, Any]):
    """The hooks of a request that we sent.

    requests hands them on to the copy that follows a redirect, so there
    they tell that it is one.
    """

    __slots__ = ('attempt', 'resent', 'written')

    def __init__(
        self, hooks: dict[str, Any], resent: int, written: dict[str, str]
    ) -> None:
        super().__init__(hooks)
        #: Until the session returns.
        self.attempt: Attempt | None = None
        #: Requests until now that were made out of the first one.
        self.resent = resent
        self.written = written

    def __reduce__(self) -> tuple[Any, ...]:
        # Responses are pickled with their request, hooks included.
        return dict, (dict(self),)


class Attempt:
    """A request on its way, or a response whose body is still to be read.

    :param request: what to send, a copy of the caller's.
    """

    __slots__ = (
        '_bodies',
        '_hooks',
        '_settings',
        '_status',
        '_theirs',
        '_token',
        'ended',
        'request',
        'span',
    )

    def __init__(
        self,
        span: trace.Span,
        request: Any,
        hooks: _Hooks,
        settings: settings_module.Settings,
        watched: bodies.Bodies,
    ) -> None:
        self.request = request
        self.span = span
        self._hooks = hooks
        self._settings = settings
        self._bodies = watched
        self._status: int | None = None
        self.ended = False
        self._token: Any = None
        self._theirs = hooks.get(_RESPONSE)

    def begin(self, current: otel_context.Context) -> None:
        """Make the span the current one, until the response is there."""
        theirs = self._theirs or ()
        if callable(theirs):
            theirs = (theirs,)
        self._hooks[_RESPONSE] = [self.answered, *theirs]
        self._hooks.attempt = self
        self._token = _current.attach(current)

    def answered(self, response: Any, **kwargs: Any) -> None:
        """Take the response, before hooks of others and redirects.

        Those may send requests of their own, which are not part of this.
        """
        try:
            self._leave()
            self._note(response)
        except Exception:
            _guard.report('reading the response to a request')

    def returned(self, response: Any, stream: Any) -> None:
        """End with what the session returns; with its body if it streams."""
        self._hooks.attempt = None
        if self.ended:
            # It was redirected.
            return
        try:
            if self._token is not None:
                # No hook has been called.
                self._leave()
            self._note(response)
            raw = getattr(response, 'raw', None)
            if stream and self._bodies.watch(raw, self.read):
                return
        except Exception:
            _guard.report('reading the response to a request')
        self.read(None)

    def failed(self, error: BaseException) -> None:
        """End with an exception."""
        self._hooks.attempt = None
        if self.ended:
            return
        try:
            self._leave()
        except Exception:
            _guard.report('ending the span of an HTTP request')
        self.read(error)

    def read(self, error: BaseException | None) -> None:
        """End: nothing more comes.

        :param error: what ended it before its time.
        """
        if self.ended:
            return
        self.ended = True
        span = self.span
        try:
            if span.is_recording():
                self._tell(span, error)
        except Exception:
            _guard.report('writing down an HTTP response')
        try:
            span.end()
        except Exception:
            _guard.report('ending the span of an HTTP request')

    def _tell(self, span: trace.Span, error: BaseException | None) -> None:
        status = self._status
        if status is not None:
            span.set_attribute(names.HTTP_RESPONSE_STATUS_CODE, status)
            if status >= 400:
                # Hooks often turn such a status into an exception, which
                # says no more.
                span.set_attribute(names.ERROR_TYPE, str(status))
                span.set_status(_ERROR)
                return
        if error is not None:
            recording.record_error(span, error, self._settings)

    def _note(self, response: Any) -> None:
        status = getattr(response, 'status_code', None)
        if isinstance(status, int):
            self._status = status

    def _leave(self) -> None:
        token, self._token = self._token, None
        if token is None:
            return
        context.detach(token)
        if self._theirs is None:
            self._hooks.pop(_RESPONSE, None)
        else:
            self._hooks[_RESPONSE] = self._theirs


def _below(
    span: trace.Span, current: otel_context.Context
) -> otel_context.Context:
    """Return what a request is sent under."""
    values = current.copy()
    values[_current.SPAN_KEY] = span
    # What else traces HTTP below us would record the same once more.
    values[_current.SUPPRESS_HTTP] = True
    return otel_context.Context(values)


class Opener:
    """Starts attempts.

    :param toolbox: of the integration.
    :param watched: the bodies of streamed responses.
    """

    def __init__(
        self, toolbox: integrations.Toolbox, watched: bodies.Bodies
    ) -> None:
        self._tracer = toolbox.tracer('http_client')
        self._settings = toolbox.settings
        self._propagation = toolbox.propagation
        self._bodies = watched
        self._places = places.Places()
        # Else the order in which attributes are set says which are kept.
        self._is_ample = self._settings.attribute_count_limit >= _AMPLE_COUNT

    def handed_on(self, request: Any) -> Any:
        """Return a copy with the trace, where that needs no span.

        What is sent then is ``traceparent`` alone, to whatever host: a
        redirect leads past here again, and gets the same.

        :returns: None where there is more to it.
        """
        unrecorded = _current.unrecorded(_current.context())
        if (
            unrecorded is None
            or not self._propagation.is_simple
            or type(request.hooks) is _Hooks
            or not isinstance(request.url, str)
            or request.url[:4].lower() != 'http'
            or headers.has_pair(request.headers)
        ):
            return None
        sent = headers.copied(request)
        written = {propagation.TRACEPARENT: unrecorded.traceparent}
        sent.headers = headers.written_into(request.headers, written, None)
        return sent

    def open(self, request: Any, call: calls.Call | None) -> Attempt | None:
        """Start the span of a request, and write it into a copy.

        :param request: prepared; it is not changed.
        :param call: what keystoneauth knows of it.
        :returns: None where it is no HTTP.
        """
        url = request.url
        if not isinstance(url, str) or url[:4].lower() != 'http':
            return None
        place = self._places.get(
            request.method, url, None if call is None else call.service_type
        )
        earlier = request.hooks if type(request.hooks) is _Hooks else None
        first = None
        if earlier is not None:
            first = earlier.attempt
            if first is not None and not first.ended:
                first.read(None)
        number = 0
        if call is not None:
            number = call.count
            call.count += 1
        elif earlier is not None:
            # Each redirect of one call to the session has the hooks of the
            # first request.
            earlier.resent += 1
            number = earlier.resent
        resolved = call is not None and call.leads_to(place.origin)
        current = _current.context()
        span = self._span(place, url, number, current, first)
        try:
            current = _below(span, current)
            written: dict[str, str] = {}
            if self._propagation.may_carry(place.origin.host):
                self._propagation.to_headers(
                    written, current, everything=resolved
                )
            hooks = _Hooks(request.hooks or {}, number, written)
            sent = headers.copied(request)
            sent.hooks = hooks
            sent.headers = headers.written_into(
                request.headers,
                written,
                None if earlier is None else earlier.written,
            )
            if call is not None and not resolved:
                headers.without_pair(sent.headers)
            attempt = Attempt(span, sent, hooks, self._settings, self._bodies)
            attempt.begin(current)
            return attempt
        except Exception:
            span.end()
            raise

    def _span(
        self,
        place: places.Place,
        url: str,
        number: int,
        current: otel_context.Context,
        first: Attempt | None,
    ) -> trace.Span:
        ready = place.ready
        above = _current.span_in(current)
        if above.is_recording():
            # Samplers of others may look at all of it elsewhere.
            own = self._own(urls.url(url), number)
            if own is not None:
                return self._tracer.start_ready(ready, current, own)
        parent = above.get_span_context()
        if not parent[_current.VALID]:
            return self._outermost(place, url, number, current, first)
        if not _current.is_sampled(parent):
            # Hardly any sampler records it then.
            span = self._tracer.start_span(ready.name, current, _CLIENT)
            if span.is_recording():
                span.set_attributes(_attributes(ready, url, number))
            return span
        return self._tracer.start_span(
            ready.name, current, _CLIENT, _attributes(ready, url, number)
        )

    def _outermost(
        self,
        place: places.Place,
        url: str,
        number: int,
        current: otel_context.Context,
        first: Attempt | None,
    ) -> trace.Span:
        """Start the span of a request with nothing around it.

        What a call has sent first is the parent of all else that it sends:
        one call is one trace, and one decision of the sampler.
        """
        call = calls.outermost(current)
        parent = None if first is None else first.span
        if call is not None and call.first is not None:
            parent = call.first
        if parent is not None and parent.get_span_context().is_valid:
            below = _current.with_span(parent, current)
            return self._span(place, url, number, below, None)
        ready = place.ready
        span = self._tracer.start_span(
            ready.name, current, _CLIENT, _attributes(ready, url, number)
        )
        if call is not None:
            call.first = span
        return span

    def _own(self, said: str, number: int) -> dict[str, Any] | None:
        """Return what a request does not have in common with others.

        :param said: of its URL.
        :param number: of attempts before it.
        :returns: None where that may go beyond some limit.
        """
        if (
            not said.isascii()
            or len(said) > self._settings.attribute_length_limit
            or not self._is_ample
        ):
            return None
        own: dict[str, Any] = {names.URL_FULL: said}
        if number:
            own[names.HTTP_REQUEST_RESEND_COUNT] = number
        return own


def _attributes(ready: _ready.Ready, url: str, number: int) -> dict[str, Any]:
    """Return all that is said of a request.

    In this order, since of too many the first ones are lost.
    """
    found: dict[str, Any] = {
        names.HTTP_REQUEST_METHOD: None,
        names.URL_FULL: urls.url(url),
        **ready.attributes,
    }
    if number:
        found[names.HTTP_REQUEST_RESEND_COUNT] = number
    return found

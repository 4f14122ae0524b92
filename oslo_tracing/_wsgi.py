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

"""One SERVER span for each request of a WSGI application."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from collections.abc import Iterable
import logging
import sys
from typing import Any
from typing import TYPE_CHECKING

from opentelemetry import trace
from oslo_config import cfg

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import _routes
from oslo_tracing import _wsgi_callers
from oslo_tracing import _wsgi_environ
from oslo_tracing import _wsgi_request
from oslo_tracing import _wsgi_told
from oslo_tracing import _wsgi_unrecorded
from oslo_tracing import attributes as attribute_names
from oslo_tracing import context
from oslo_tracing.propagation import trust
from oslo_tracing.propagation import w3c
from oslo_tracing import settings as settings_module

if TYPE_CHECKING:
    from _typeshed import wsgi

    from oslo_tracing import service

LOG = logging.getLogger(__name__)

# Nobody looks at more of a path, and a request line can be megabytes.
_MAX_PATH = 8192

#: How bytes are decoded that are not UTF-8.
_AS_IT_CAME = 'oslo_tracing.as_it_came'

_BUILTIN = 'oslo_middleware_tracing'
_FOREIGN = ('opentelemetry.instrumentation.', 'oslo_middleware.')
_SERVER = trace.SpanKind.SERVER
#: Which of the ``sampling_rules`` are for requests.
_RULES = 'server'
_URL_PATH = attribute_names.URL_PATH
#: Limits of attributes with which none of a request's is lost.
_AMPLE_COUNT = 64
_AMPLE_LENGTH = 256
_NO_KEY: _wsgi_callers.Key = ()
#: Name of a span of which nobody has asked what it is.
_UNTOLD = 'HTTP'


def shared(tracing: service.Tracing) -> Server:
    """Return what all filters of this process share while it is set up."""
    made: Server | None = tracing.http_server
    if made is None:
        made = Server(tracing)
        if tracing.is_made():
            # Else it knows of nothing that records, which is under way.
            tracing.http_server = made
    return made


class Server:
    """Records requests.

    :param tracing: what is set up.
    """

    def __init__(self, tracing: service.Tracing) -> None:
        self.settings = tracing.settings
        self._tracer = tracing.tracer('wsgi')
        self._sampling = tracing.sampling
        self._look = tracing.look
        self._unrecorded = _wsgi_unrecorded.Draw(
            tracing.sampling,
            tracing.provider,
            _RULES,
            bool(tracing.settings.signing_keys),
        )
        self._gate = trust.Gate(
            tracing.settings, tracing.propagation, tracing.may_force
        )
        self.names = _routes.Names()
        self.callers = _wsgi_callers.Callers()
        self._silent = context.silent()
        self._paths = _wsgi_told.Paths()
        self._ignored: tuple[Any, Callable[[str], object]] = (None, bool)
        self._said: set[str] = set()
        # Else the order in which attributes are set says which are kept.
        self._is_ample = (
            self.settings.attribute_count_limit >= _AMPLE_COUNT
            and self.settings.attribute_length_limit >= _AMPLE_LENGTH
        )

    def gives_way(self, conf: cfg.ConfigOpts, *others: cfg.ConfigOpts) -> bool:
        """Say whether oslo.middleware's own filter records the requests.

        :param conf: what tracing is, or would be, set up with.
        :param others: where that filter may have its options from, too.
        """
        try:
            _register_builtin(conf)
            if not any(_has_builtin_on(one) for one in (conf, *others)):
                return False
        except Exception:
            _guard.report('looking for the tracing of oslo.middleware')
            return False
        self._tell(f'oslo.middleware, as [{_BUILTIN}] enabled asks')
        return True

    def serve(
        self,
        application: wsgi.WSGIApplication,
        environ: wsgi.WSGIEnvironment,
        start_response: wsgi.StartResponse,
    ) -> Iterable[bytes]:
        """Let the application answer a request, and record it.

        It runs in a context of its own: what an earlier request has left on
        this thread is not its parent.
        """
        request = self._open(environ)
        if request is None:
            return application(environ, start_response)
        token = context.enter(request.context)
        try:
            try:
                body = application(environ, request.answering(start_response))
            except BaseException as error:
                request.fail(error, answered=False)
                raise
            return request.returned(body)
        finally:
            context.leave(token)

    def _open(
        self, environ: wsgi.WSGIEnvironment
    ) -> _wsgi_request.Request | None:
        """Start the span of a request, or None where it is not for us."""
        try:
            # First of all, and whoever records: it is not for applications.
            claimed = self._gate.claim(environ)
            if self._is_recorded_by_others(environ):
                return None
            came = environ.get('PATH_INFO', '')
            whole = environ.get('SCRIPT_NAME', '') + came
            if self._is_ignored(whole):
                # Perhaps all are, and the sampler never does.
                self._look()
                return _wsgi_request.Request(
                    environ, trace.INVALID_SPAN, self._silent
                )
            path = _decoded(whole) or '/'
            return self._start(environ, came, path, claimed)
        except Exception:
            _guard.report('starting the span of a request')
            return None

    def _start(
        self,
        environ: wsgi.WSGIEnvironment,
        came: str,
        path: str,
        claimed: Any,
    ) -> _wsgi_request.Request:
        parentage = self._gate.decide(environ, claimed)
        # What is only asked for may be decided on like what starts here.
        continued = parentage.believed and not context.forced(
            parentage.context
        )
        method = environ.get('REQUEST_METHOD')
        told = trace_id = None
        if self._reads_name(continued):
            told = self._paths.told(method, path, continued)
        if self._sampling is not None and not parentage.links:
            drawn = self._unrecorded.draw(
                parentage, None if told is None else told.name
            )
            if isinstance(drawn, _current.Unrecorded):
                return self._not_recorded(environ, parentage, drawn)
            trace_id = drawn
        is_drawn = trace_id is not None
        # Then nobody decides on the attributes that it starts with.
        is_free = self._is_ample and (told is None or is_drawn)
        if told is None and self._is_kept(parentage, continued, is_drawn):
            told = self._paths.told(method, path, continued)
        key, caller = _NO_KEY, None
        if is_free and told is not None and told.is_usual:
            key = (told.name, continued, *_wsgi_environ.said(environ))
            caller = self.callers.get(key)
        span = self._drawn(parentage, told, caller, trace_id)
        if span is None:
            wanted = context.want_trace_id(
                trace_id if is_drawn else parentage.trace_id, is_drawn
            )
            try:
                span = self._span(parentage, told, caller)
            finally:
                context.forget_trace_id(wanted)
        request = self._begun(environ, parentage, span)
        if span.is_recording():
            if told is None:
                told = self._paths.told(method, path, continued)
                span.update_name(told.name)
                span.set_attributes(told.attributes)
            request.keep(self, told, (came, path), (key, caller))
        return request

    def _begun(
        self,
        environ: wsgi.WSGIEnvironment,
        parentage: trust.Parentage,
        span: trace.Span,
    ) -> _wsgi_request.Request:
        """Return the request whose span has been started."""
        started = span.get_span_context()
        traceresponse = offered = None
        if parentage.believed:
            if self.settings.traceresponse:
                traceresponse = w3c.format_traceparent(started)
        elif (
            self.settings.request_id_is_trace_id
            and started[_current.VALID]
            and not parentage.asked_for
        ):
            # Not an id that somebody has chosen, and chosen for more than
            # one request.
            offered = started[0]
        return _wsgi_request.Request(
            environ,
            span,
            context.root(parentage.context, span, None, offered),
            traceresponse,
        )

    def _is_kept(
        self, parentage: trust.Parentage, continued: bool, is_drawn: bool
    ) -> bool:
        """Say whether it is as good as certain that a request is recorded.

        If not, nothing is made for it yet.
        """
        if is_drawn:
            return not self.settings.max_traces_per_second
        return continued and _current.is_span_sampled(
            _current.span_in(parentage.context)
        )

    def _drawn(
        self,
        parentage: trust.Parentage,
        told: _wsgi_told.Told | None,
        caller: _wsgi_callers.Caller | None,
        trace_id: int | None,
    ) -> trace.Span | None:
        """Start the span where all that the sampler could say is known."""
        if (
            trace_id is None
            or told is None
            or caller is None
            or self.settings.max_traces_per_second
        ):
            return None
        own: dict[str, Any] = {_URL_PATH: told.path}
        return self._tracer.start_drawn(
            caller.ready, parentage.context, own, trace_id
        )

    def _span(
        self,
        parentage: trust.Parentage,
        told: _wsgi_told.Told | None,
        caller: _wsgi_callers.Caller | None,
    ) -> trace.Span:
        """Start the span of a request, with what is known of it."""
        where, links = parentage.context, parentage.links
        if told is None:
            return self._tracer.start_span(
                _UNTOLD, where, _SERVER, None, links
            )
        if caller is None:
            return self._tracer.start_span(
                told.name, where, _SERVER, told.attributes, links
            )
        own: dict[str, Any] = {_URL_PATH: told.path}
        return self._tracer.start_ready(caller.ready, where, own, links)

    def _not_recorded(
        self,
        environ: wsgi.WSGIEnvironment,
        parentage: trust.Parentage,
        drawn: _current.Unrecorded,
    ) -> _wsgi_request.Request:
        """Return a request of which nothing but the ids is kept."""
        settings = self.settings
        traceresponse = offered = None
        if parentage.believed:
            if settings.traceresponse:
                traceresponse = drawn.traceparent
        elif settings.request_id_is_trace_id:
            offered = drawn.trace_id
        return _wsgi_request.Request(
            environ,
            drawn,
            context.unrecorded_root(drawn, parentage.context, offered),
            traceresponse,
        )

    def _reads_name(self, continued: bool) -> bool:
        """Say whether the sampler asks what a request is."""
        sampling = self._sampling
        return sampling is None or sampling.reads_name(_RULES, continued)

    def _is_recorded_by_others(self, environ: wsgi.WSGIEnvironment) -> bool:
        if environ.get(_wsgi_request.OPEN):
            return True
        if not _current.context():
            return False
        if context.is_suppressed(http=True):
            return True
        current: Any = _current.span()
        if (
            not current.is_recording()
            or getattr(current, 'kind', None) is not _SERVER
        ):
            return False
        scope = getattr(current, 'instrumentation_scope', None)
        name = getattr(scope, 'name', None)
        if not isinstance(name, str) or not name.startswith(_FOREIGN):
            return False
        self._tell(name)
        # With a provider of theirs no other span of ours may do so.
        self._look()
        return True

    def _is_ignored(self, path: str) -> object:
        patterns = self.settings.ignored_paths
        compiled_of, match = self._ignored
        if patterns is not compiled_of:
            match = settings_module.path_matcher(patterns)
            self._ignored = (patterns, match)
        return match(path)

    def _tell(self, who: str) -> None:
        if who not in self._said:
            self._said.add(who)
            LOG.info(
                'Requests are recorded by %s: oslo.tracing adds no span of '
                'its own to them.',
                who,
            )


def _decoded(path: str) -> str:
    """Return a path of WSGI, which is bytes in disguise, as text."""
    path = path[:_MAX_PATH]
    if path.isascii():
        return path
    try:
        return path.encode('latin-1').decode('utf-8', _AS_IT_CAME)
    except UnicodeError:
        # Not every server keeps to PEP 3333.
        raw = path.encode('utf-8', 'surrogatepass')
        return raw.decode('utf-8', _AS_IT_CAME)


def _as_it_came(error: UnicodeError) -> tuple[str, int]:
    """Return bytes that are no UTF-8 as the request line had them."""
    assert isinstance(error, UnicodeDecodeError)
    wrong = error.object[error.start : error.end]
    return f'%{wrong.hex("%").upper()}', error.end


codecs.register_error(_AS_IT_CAME, _as_it_came)


def _has_builtin_on(conf: cfg.ConfigOpts) -> bool:
    try:
        return bool(conf[_BUILTIN].enabled)
    except (cfg.NoSuchGroupError, cfg.NoSuchOptError):
        return False


def _register_builtin(conf: cfg.ConfigOpts) -> None:
    """Make the switch of oslo.middleware's filter readable.

    That filter registers it when it is made: perhaps later, and perhaps on
    another object that was read from the same files. Only the switch, since
    another of its options is required.
    """
    module: Any = sys.modules.get('oslo_middleware.tracing')
    for option in getattr(module, 'TRACING_OPTS', ()):
        if option.name == 'enabled':
            conf.register_opt(option, group=_BUILTIN)

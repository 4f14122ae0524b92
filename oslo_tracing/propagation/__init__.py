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

"""How the trace gets into and out of requests and messages."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import MutableMapping
from collections.abc import Sequence
from typing import Any
from typing import Final
from typing import TYPE_CHECKING
from typing import TypeAlias

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import exceptions
from oslo_tracing.propagation import baggage
from oslo_tracing.propagation import hosts
from oslo_tracing.propagation import incoming
from oslo_tracing.propagation import messages
from oslo_tracing.propagation import osprofiler
from oslo_tracing.propagation import signature
from oslo_tracing.propagation import w3c

if TYPE_CHECKING:
    from oslo_tracing.propagation import installed
    from oslo_tracing import settings as settings_module

#: The keys of a message's context that are ours.
KEYS = messages.KEYS
TRACEPARENT = messages.TRACEPARENT
#: The headers of OSProfiler, in lower case.
PAIR = (osprofiler.INFO, osprofiler.HMAC)

stale = signature.stale

without_keys = messages.without_keys

_TRACECONTEXT = 'tracecontext'
_BAGGAGE = 'baggage'
_NONE = 'none'

# Where the API keeps the two in a context. Asked for once: its functions
# take longer than the rest of our work on a request.
_SPAN_KEY = _current.SPAN_KEY
_BAGGAGE_KEY = _current.BAGGAGE_KEY
_SAMPLED: Final = trace.TraceFlags.SAMPLED
_FLAGS: Final = _current.FLAGS
_STATE = _current.STATE
_VALID = _current.VALID
_NO_STATE = trace.DEFAULT_TRACE_STATE
_NO_TRACESTATE = w3c.NO_TRACESTATE
_TRACE_INFO = osprofiler.TRACE_INFO
_TRACEPARENT = messages.TRACEPARENT
_TRACESTATE = messages.TRACESTATE
_BAGGAGE_HEADER = messages.BAGGAGE

_Headers: TypeAlias = MutableMapping[str, str] | Callable[[str, str], object]


Incoming = incoming.Incoming
NOBODY = incoming.NOBODY


def build(settings: settings_module.Settings) -> Propagation:
    """Return what the options on formats, hosts and keys ask for.

    :raises InvalidOption: when a propagator is not installed, or none of
        those listed can be signed.
    """
    signer = pairs = None
    if settings.signing_keys:
        listed = [name.strip() for name in settings.propagators]
        if _TRACECONTEXT not in listed:
            raise exceptions.InvalidOption(
                'propagators',
                repr(','.join(listed)),
                f'signing_keys sign {_TRACECONTEXT}, which is not listed',
            )
        signer = signature.Signer(
            settings.signing_keys, settings.signature_max_age
        )
    if settings.hmac_keys or settings.osprofiler:
        pairs = osprofiler.Pairs(settings.hmac_keys)
    return Propagation(
        settings.propagators,
        settings.propagate_to,
        signer=signer,
        pairs=pairs,
        believes_messages=settings.incoming_rpc == 'trust',
        bridges=settings.osprofiler,
    )


class Propagation:
    """The configured formats, in and out.

    Nothing here raises, whatever a carrier holds, and no log text contains
    a value of a carrier.

    :param propagators: the formats; the first that finds a caller wins.
    :param propagate_to: globs of the hosts that may learn of a trace.
    :param signer: signs what goes to other services, None to sign nothing.
    :param pairs: writes OSProfiler's headers, None for none.
    :param believes_messages: the trace of a message may be signed.
    :param bridges: read and write what services with osprofiler put into
        the context of an RPC message.
    :raises InvalidOption: when a propagator is not installed.
    """

    def __init__(
        self,
        propagators: Sequence[str],
        propagate_to: Sequence[str] = ('*',),
        *,
        signer: signature.Signer | None = None,
        pairs: osprofiler.Pairs | None = None,
        believes_messages: bool = False,
        bridges: bool = False,
    ) -> None:
        formats = list(dict.fromkeys(name.strip() for name in propagators))
        if _NONE in formats and len(formats) > 1:
            raise exceptions.InvalidOption(
                'propagators',
                repr(','.join(formats)),
                f"'{_NONE}' stands alone",
            )
        self._w3c = _TRACECONTEXT in formats
        self._baggage = _BAGGAGE in formats
        self.signer = signer
        self.pairs = pairs
        self._marks_messages = signer is not None and believes_messages
        self._bridges = bridges
        readers: list[
            tuple[
                Callable[[Mapping[str, Any]], trace.SpanContext | None],
                Callable[[Mapping[str, Any]], bool] | None,
            ]
        ] = []
        others: list[installed.Installed] = []
        for name in formats:
            if name == _TRACECONTEXT:
                readers.append((w3c.from_environ, None))
            elif name not in (_BAGGAGE, _NONE):
                # Few have others than these two.
                from oslo_tracing.propagation import installed

                other = installed.load(name)
                others.append(other)
                readers.append((other.from_environ, other.insists))
        self._readers = tuple(readers)
        self._others = tuple(others)
        #: Every header that ``to_headers`` may set, in lower case.
        self.fields: frozenset[str] = frozenset().union(
            (messages.TRACEPARENT, messages.TRACESTATE) if self._w3c else (),
            (messages.BAGGAGE,) if self._baggage and readers else (),
            (osprofiler.INFO, osprofiler.HMAC) if pairs is not None else (),
            (signature.HEADER,) if signer is not None else (),
            *(other.fields for other in others),
        )
        self._hosts = hosts.Hosts(propagate_to)
        #: Of a span that nobody records ``traceparent`` is all there is, and
        #: it goes everywhere. OSProfiler's pair is for recorded ones.
        self.is_simple = (
            self._w3c
            and not self._others
            and signer is None
            and '*' in propagate_to
        )

    def from_environ(self, environ: Mapping[str, Any]) -> Incoming:
        """Return what the caller of an HTTP request said of its trace.

        :param environ: of WSGI; not changed.
        """
        try:
            for read, insists in self._readers:
                span_context = read(environ)
                if span_context is not None:
                    return self._incoming(
                        span_context,
                        environ.get('HTTP_BAGGAGE'),
                        insists is not None and insists(environ),
                    )
        except Exception:
            _guard.report('reading headers')
        return NOBODY

    def from_service(
        self, environ: Mapping[str, Any], claimed: Any
    ) -> Incoming:
        """Return what another service has signed.

        :param environ: of WSGI; not changed.
        :param claimed: the signature, as it was taken out of ``environ``.
        """
        try:
            if (
                claimed is not None
                and self.signer is not None
                and self.signer.verifies(claimed, environ)
            ):
                span_context = w3c.from_environ(environ, True)
                if span_context is not None:
                    return self._incoming(
                        span_context, environ.get('HTTP_BAGGAGE')
                    )
        except Exception:
            _guard.report('verifying a signature')
        return NOBODY

    def to_headers(
        self,
        headers: _Headers,
        context: otel_context.Context,
        *,
        everything: bool,
    ) -> None:
        """Tell the receiver of an HTTP request of the active span.

        Older values of the same headers are replaced. Nothing happens
        where there is no valid span, or something goes wrong.

        :param headers: a mapping, or what sets one header.
        :param context: with the span.
        :param everything: all configured formats, to endpoints of the
            cloud; else ``traceparent`` alone, since the URL may be a
            user's.
        """
        try:
            found = self._outgoing(context, everything)
            if not found:
                return
            if callable(headers):
                for name, value in found.items():
                    headers(name, value)
                return
            others = signature.stale(found)
            stale_names = [
                name
                for name in headers
                if name.lower() in found or name.lower() in others
            ]
            for name in stale_names:
                del headers[name]
            headers.update(found)
        except Exception:
            _guard.report('writing headers')

    def to_carrier(
        self,
        carrier: MutableMapping[str, str],
        context: otel_context.Context,
    ) -> None:
        """Tell whoever gets a carrier of the active span, and no more.

        Who that is is not known: it is not signed, and has no baggage.

        :param carrier: a mapping of headers; older values of the same
            names are replaced.
        :param context: with the span.
        """
        try:
            found = self._formats(context)
            found.pop(messages.BAGGAGE, None)
            carrier.update(found)
        except Exception:
            _guard.report('writing a carrier')

    def taken(
        self, ctxt: Any, rpc: bool, drops: bool
    ) -> tuple[Incoming | _current.Unrecorded, Any]:
        """Take out of a message's context what its sender has put there.

        :param ctxt: not changed.
        :param rpc: OSProfiler can be in it, too.
        :param drops: nothing is recorded below senders who do not.
        :returns: what the sender said, or its span where that is all that
            matters, as nothing is recorded below it; and the context as the
            service knows it, of :func:`without_keys`.
        """
        if type(ctxt) is dict and self._readers:
            kept = ctxt.copy()
            traceparent = kept.pop(_TRACEPARENT, None)
            # Nearly always it stands alone.
            if not (
                traceparent is None
                or _TRACESTATE in kept
                or _BAGGAGE_HEADER in kept
                or _TRACE_INFO in kept
            ):
                sender = w3c.parse(traceparent, None, self._marks_messages)
                if sender is None:
                    return NOBODY, kept
                span = trace.NonRecordingSpan(sender)
                if drops and not sender[_FLAGS] & _SAMPLED:
                    if not (
                        # It is what we would write.
                        traceparent[:3] == '00-'
                        and traceparent[-3:] in ('-00', '-02')
                    ):
                        traceparent = w3c.format_traceparent(sender)
                    return _current.Unrecorded(span, traceparent), kept
                # The same as by its name, without a call.
                fields = (
                    otel_context.Context({_SPAN_KEY: span}),
                    sender,
                    False,
                    None,
                )
                return tuple.__new__(Incoming, fields), kept
        sent = self.from_rpc(ctxt) if rpc else self.from_message(ctxt)
        return sent, messages.without_keys(ctxt)

    def from_message(self, ctxt: Any) -> Incoming:
        """Return what the sender of a message said of its trace.

        :param ctxt: the context of the message; not changed.
        """
        try:
            values = messages.values(ctxt)
            if values is None or not self._readers:
                return NOBODY
            traceparent = values.get(messages.TRACEPARENT)
            if traceparent is None:
                return NOBODY
            # Unlike headers, values of a dict can be lists.
            state = values.get(messages.TRACESTATE)
            span_context = w3c.parse(
                traceparent,
                state if isinstance(state, str) else None,
                self._marks_messages,
            )
            if span_context is not None:
                return self._incoming(
                    span_context, values.get(messages.BAGGAGE)
                )
        except Exception:
            _guard.report('reading a message')
        return NOBODY

    def from_rpc(self, ctxt: Any) -> Incoming:
        """Return the same of an RPC message, which OSProfiler can be in.

        Where both are there, and of one trace, W3C's keys tell the parent.
        """
        found = self.from_message(ctxt)
        if not self._bridges:
            return found
        try:
            values = messages.mapping(ctxt)
            info = (
                None if values is None else values.get(osprofiler.TRACE_INFO)
            )
            sent = None if info is None else osprofiler.from_message(info)
            if sent is not None:
                return incoming.asked(found, sent, self._marks_messages)
        except Exception:
            _guard.report('reading a message')
        return found

    def into_message(
        self, ctxt: Any, context: otel_context.Context, *, baggage: bool
    ) -> Any:
        """Return a copy of a message's context that carries the trace.

        The keys are those of W3C, whatever formats HTTP uses: who receives
        a message is always one of us.

        :param ctxt: as the driver would get it: a dict, another mapping,
            or an object with ``to_dict()``; it is not changed.
        :param context: with the span.
        :param baggage: never for notifications, a stranger may get them.
        :returns: the same object where there is no valid span, where
            nothing can be added, or where something goes wrong.
        """
        try:
            span: Any = context.get(_SPAN_KEY)
            if span is None or not self._readers:
                return ctxt
            span_context = span.get_span_context()
            if not span_context[_VALID]:
                return ctxt
            others = None
            state = span_context[_STATE]
            if (_BAGGAGE_KEY in context and baggage and self._baggage) or (
                # To ask them how long they are takes a call.
                state is not _NO_STATE
                and state is not _NO_TRACESTATE
                and state
            ):
                others = self._beside(span_context, context, baggage)
            carried = messages.add(
                ctxt, w3c.format_traceparent(span_context), others
            )
            if (
                self._bridges
                and isinstance(carried, dict)
                and _TRACE_INFO in carried
            ):
                info = carried[_TRACE_INFO]
                if info is not None:
                    carried[_TRACE_INFO] = osprofiler.with_parent(
                        info, span_context
                    )
            return carried
        except Exception:
            _guard.report('writing into a message')
            return ctxt

    def hand_on(self, ctxt: Any, unrecorded: _current.Unrecorded) -> Any:
        """Return a copy of a message's context that carries the trace.

        :param ctxt: as for :meth:`into_message`.
        :param unrecorded: the active span.
        """
        if not self._readers:
            return ctxt
        return messages.add(ctxt, unrecorded.traceparent)

    def may_carry(self, host: str | None) -> bool:
        """Tell whether requests to a host may carry the trace at all.

        :param host: its name or address, without a port.
        """
        return host in self._hosts

    def _incoming(
        self,
        span_context: trace.SpanContext,
        baggage_header: Any,
        insists: bool = False,
    ) -> Incoming:
        context = otel_context.Context(
            {_SPAN_KEY: trace.NonRecordingSpan(span_context)}
        )
        if self._baggage and baggage_header is not None:
            context = baggage.extract(baggage_header, context)
        return Incoming(context, span_context, insists)

    def _outgoing(
        self, context: otel_context.Context, everything: bool
    ) -> dict[str, str]:
        span = _current.span_in(context)
        span_context = span.get_span_context()
        if not span_context[_current.VALID]:
            return {}
        if not everything:
            if not self._w3c:
                return {}
            return {messages.TRACEPARENT: w3c.format_traceparent(span_context)}
        found = self._formats(context)
        if self.pairs is not None:
            found.update(self.pairs.headers(span_context, context))
        if self.signer is not None and w3c.is_ours(span_context):
            found[signature.HEADER] = self.signer.sign(found)
        return found

    def _formats(self, context: otel_context.Context) -> dict[str, str]:
        """Return the headers of all configured formats, with no proof."""
        span = _current.span_in(context)
        span_context = span.get_span_context()
        found: dict[str, str] = {}
        if not span_context[_current.VALID]:
            return found
        for other in self._others:
            found.update(other.headers(span))
        if self._w3c:
            found[messages.TRACEPARENT] = w3c.format_traceparent(span_context)
            found.update(self._beside(span_context, context, True))
        elif self._others:
            self._add_baggage(found, context)
        return found

    def _beside(
        self,
        span_context: trace.SpanContext,
        context: otel_context.Context,
        with_baggage: bool,
    ) -> dict[str, str]:
        """Return what goes with a traceparent."""
        found: dict[str, str] = {}
        if span_context[_STATE]:
            tracestate = w3c.format_tracestate(span_context)
            if tracestate is not None:
                found[messages.TRACESTATE] = tracestate
        if with_baggage:
            self._add_baggage(found, context)
        return found

    def _add_baggage(
        self, found: dict[str, str], context: otel_context.Context
    ) -> None:
        if self._baggage and _BAGGAGE_KEY in context:
            members = baggage.inject(context)
            if members is not None:
                found[messages.BAGGAGE] = members

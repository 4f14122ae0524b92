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
import functools
from typing import Any
from typing import TYPE_CHECKING
from typing import TypeAlias

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import exceptions
from oslo_tracing.propagation import carrying
from oslo_tracing.propagation import hosts
from oslo_tracing.propagation import incoming
from oslo_tracing.propagation import messages
from oslo_tracing.propagation import signature
from oslo_tracing.propagation import w3c

if TYPE_CHECKING:
    from oslo_tracing.propagation import installed
    from oslo_tracing.propagation import osprofiler
    from oslo_tracing import settings as settings_module

#: The keys of a message's context that are ours.
KEYS = messages.KEYS
TRACEPARENT = messages.TRACEPARENT
#: The headers of OSProfiler, in lower case.
PAIR = ('x-trace-info', 'x-trace-hmac')

stale = signature.stale

without_keys = messages.without_keys

_TRACECONTEXT = 'tracecontext'
_BAGGAGE = 'baggage'
_NONE = 'none'

_Headers: TypeAlias = MutableMapping[str, str] | Callable[[str, str], object]


Incoming = incoming.Incoming
NOBODY = incoming.NOBODY


def build(settings: settings_module.Settings) -> Propagation:
    """Return what the options on formats, hosts and keys ask for.

    :raises InvalidOption: when a propagator is not installed, or none of
        those listed can be signed.
    """
    signer: signature.Signer | None = None
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

    def make_pairs() -> osprofiler.Pairs:
        # Few requests are asked for by OSProfiler.
        from oslo_tracing.propagation import osprofiler

        return osprofiler.Pairs(settings.hmac_keys)

    has_pairs = settings.hmac_keys or settings.osprofiler
    return Propagation(
        settings.propagators,
        settings.propagate_to,
        signer=signer,
        make_pairs=make_pairs if has_pairs else None,
        believes_messages=settings.incoming_rpc == 'trust',
        bridges=settings.osprofiler,
    )


class Propagation(carrying.Carrying):
    """The configured formats, in and out.

    Nothing here raises, whatever a carrier holds, and no log text contains
    a value of a carrier.

    :param propagators: the formats; the first that finds a caller wins.
    :param propagate_to: globs of the hosts that may learn of a trace.
    :param signer: signs what goes to other services, None to sign nothing.
    :param make_pairs: makes what writes OSProfiler's headers, None for none.
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
        make_pairs: Callable[[], osprofiler.Pairs] | None = None,
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
        self._make_pairs = make_pairs
        self._marks_messages = signer is not None and believes_messages
        self._bridges = bridges
        readers: list[
            tuple[
                Callable[[Mapping[str, Any]], trace.SpanContext | None],
                installed.Installed | None,
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
                readers.append((other.from_environ, other))
        self._readers = tuple(readers)
        self._others = tuple(others)
        #: Every header that ``to_headers`` may set, in lower case.
        self.fields: frozenset[str] = frozenset().union(
            (messages.TRACEPARENT, messages.TRACESTATE) if self._w3c else (),
            (messages.BAGGAGE,) if self._baggage and readers else (),
            PAIR if make_pairs is not None else (),
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

    @functools.cached_property
    def pairs(self) -> osprofiler.Pairs | None:
        """What reads and writes OSProfiler's headers, None for nothing."""
        return None if self._make_pairs is None else self._make_pairs()

    def from_environ(self, environ: Mapping[str, Any]) -> Incoming:
        """Return what the caller of an HTTP request said of its trace.

        :param environ: of WSGI; not changed.
        """
        found = NOBODY
        try:
            for read, other in self._readers:
                span_context = read(environ)
                if span_context is not None:
                    sent = self._incoming(
                        span_context, environ.get('HTTP_BAGGAGE')
                    )
                    if other is None:
                        return sent
                    return sent._replace(
                        insists=other.insists(environ),
                        defers=other.defers(environ),
                    )
                if other is not None and other.denies(environ):
                    # Unless there is a caller in another format.
                    found = incoming.DENIED
        except Exception:
            _guard.report('reading headers')
        return found

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
            user's, save :meth:`in_all_formats`.
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

    def in_all_formats(
        self, context: otel_context.Context
    ) -> otel_context.Context:
        """Return a context in which requests carry what a carrier does.

        For those that nobody but the operator has the address of.
        """
        return otel_context.set_value(_current.ALL_FORMATS, True, context)

    def may_carry(self, host: str | None) -> bool:
        """Tell whether requests to a host may carry the trace at all.

        :param host: its name or address, without a port.
        """
        return host in self._hosts

    def _outgoing(
        self, context: otel_context.Context, everything: bool
    ) -> dict[str, str]:
        span = _current.span_in(context)
        span_context = span.get_span_context()
        if not span_context[_current.VALID]:
            return {}
        if not everything:
            if self._others and _current.ALL_FORMATS in context:
                carrier: dict[str, str] = {}
                self.to_carrier(carrier, context)
                return carrier
            if not self._w3c:
                return {}
            return {messages.TRACEPARENT: w3c.format_traceparent(span_context)}
        found = self._formats(context)
        if _current.ASKED_BY in context and self.pairs is not None:
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

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

"""Whether a caller is believed, and what that changes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _guard
from oslo_tracing import attributes
from oslo_tracing import context as context_module
from oslo_tracing import propagation
from oslo_tracing.propagation import signature
from oslo_tracing.propagation import w3c

if TYPE_CHECKING:
    from oslo_tracing.propagation import osprofiler
    from oslo_tracing import settings as settings_module

#: The trace of a service that has signed it is continued; others as LINK.
SIGNED = 'signed'
#: The caller's trace is continued.
TRUST = 'trust'
#: A new trace begins, with a link to the caller's.
LINK = 'link'
#: A new trace begins, and the caller's is not even mentioned.
IGNORE = 'ignore'

_FOLLOWS_CALLERS = 'parentbased_'
_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)


class Parentage(NamedTuple):
    """Where the span of an incoming request or message belongs.

    :param context: what the span starts in, empty for a new trace.
    :param links: what the span starts with.
    :param believed: the caller's trace is continued; only then may it be
        told which trace that is.
    :param trace_id: of which the span is to be the root, None for one of
        its own.
    :param asked_for: the holder of an OSProfiler key wants it recorded, and
        has chosen the id.
    """

    context: otel_context.Context
    links: tuple[trace.Link, ...]
    believed: bool
    trace_id: int | None = None
    asked_for: bool = False


_NEW_TRACE = Parentage(propagation.NOBODY.context, (), False)
_UNTRUSTED = {attributes.OPENSTACK_LINK_REASON: 'untrusted'}


def decide(incoming: propagation.Incoming, mode: str) -> Parentage:
    """Return where the span of a request or message belongs.

    :param incoming: what the caller sent.
    :param mode: ``[tracing] incoming_rpc``, or what is left to decide of
        ``incoming``; one that is not known believes nobody.
    :returns: for ``link`` and ``ignore`` an empty context: new ids, no
        tracestate, no baggage. The link carries no tracestate either, the
        stranger chose it.
    """
    caller = incoming.span_context
    if caller is None:
        if incoming.trace_id is not None and mode == TRUST:
            return Parentage(
                context_module.force(incoming.context),
                (),
                False,
                incoming.trace_id,
                True,
            )
        return _NEW_TRACE
    if mode == TRUST:
        return Parentage(incoming.context, (), True)
    if mode == LINK:
        caller = trace.SpanContext(
            caller.trace_id, caller.span_id, True, caller.trace_flags
        )
        return Parentage(
            _NEW_TRACE.context, (trace.Link(caller, _UNTRUSTED),), False
        )
    return _NEW_TRACE


def _unsampled() -> otel_context.Context:
    """Return a context in which nothing that follows callers is recorded.

    It has a new trace, and stands for a caller who has told no ids: that
    span is nowhere, but what starts below it is nowhere either.
    """
    # Only B3 lets callers say so.
    import secrets

    caller = trace.SpanContext(
        1 + secrets.randbelow(2**128 - 1),
        1 + secrets.randbelow(2**64 - 1),
        True,
        w3c.RANDOM,
    )
    return trace.set_span_in_context(
        trace.NonRecordingSpan(caller), _NEW_TRACE.context
    )


def _noted(
    context: otel_context.Context, pair: osprofiler.Pair
) -> otel_context.Context:
    # Who has such pairs has imported it already.
    from oslo_tracing.propagation import osprofiler

    return osprofiler.asked_for(context, pair)


class Gate:
    """What every request of an API passes, whatever headers it has.

    One caller wins: who has signed W3C's headers; else who has signed
    OSProfiler's; else, under ``trust``, the first that the propagators find.
    The others are not looked at.

    :param settings: who is believed.
    :param propagation: reads the headers.
    :param may_force: asked whether one more request may be recorded since
        somebody asks for it.
    """

    def __init__(
        self,
        settings: settings_module.Settings,
        propagation: propagation.Propagation,
        may_force: Callable[[], bool],
    ) -> None:
        self._mode = settings.incoming
        sampler = settings.sampler.strip().lower()
        self._follows_callers = sampler.startswith(_FOLLOWS_CALLERS)
        self._propagation = propagation
        self._pairs = propagation.pairs if settings.hmac_keys else None
        self._may_force = may_force
        #: There is nothing to verify.
        self._is_plain = not settings.hmac_keys and self._mode in (TRUST, LINK)

    #: Takes what only a service can know out of a request, for ``decide``.
    claim = staticmethod(signature.take)

    def decide(self, environ: Mapping[str, Any], claimed: Any) -> Parentage:
        """Return where the span of a request belongs. Never raises.

        :param environ: of WSGI; not changed.
        :param claimed: what ``claim`` has returned.
        """
        try:
            if self._is_plain:
                incoming = self._propagation.from_environ(environ)
                return self._unverified(incoming)
            return self._decide(environ, claimed)
        except Exception:
            _guard.report('deciding on a caller')
            return _NEW_TRACE

    def _decide(self, environ: Mapping[str, Any], claimed: Any) -> Parentage:
        mode = self._mode
        if mode == IGNORE:
            return _NEW_TRACE
        pair = None if self._pairs is None else self._pairs.read(environ)
        if mode == SIGNED:
            signed = self._propagation.from_service(environ, claimed)
            caller = signed.span_context
            if caller is not None:
                found = signed.context
                if pair is not None and pair.trace_id == caller.trace_id:
                    found = _noted(found, pair)
                return Parentage(found, (), True)
        if pair is not None:
            granted = self._asked_for(pair, environ)
            if granted is not None:
                return granted
        return self._unverified(self._propagation.from_environ(environ))

    def _unverified(self, incoming: propagation.Incoming) -> Parentage:
        if self._mode != TRUST:
            return decide(incoming, LINK)
        if incoming.insists:
            return Parentage(context_module.force(incoming.context), (), True)
        if incoming.defers:
            return Parentage(context_module.defer(incoming.context), (), True)
        if incoming.denies and self._follows_callers:
            return Parentage(_unsampled(), (), False)
        return decide(incoming, TRUST)

    def _asked_for(
        self, pair: osprofiler.Pair, environ: Mapping[str, Any]
    ) -> Parentage | None:
        """Return what the holder of a key gets, None if that is nothing.

        Past the bound it is nothing at all: with its id alone one could
        choose among those that a ratio keeps.
        """
        client = w3c.from_environ(environ)
        if client is not None and client.trace_id != pair.trace_id:
            client = None
        believed = client is not None and self._mode == TRUST
        goes_on = (
            client is not None
            and believed
            and self._follows_callers
            and client.trace_flags.sampled
        )
        if not goes_on and not self._may_force():
            return None
        span_id = pair.span_id if client is None else client.span_id
        context = _NEW_TRACE.context
        if span_id is not None:
            flags = _SAMPLED
            if client is not None:
                flags = trace.TraceFlags(client.trace_flags | _SAMPLED)
            parent = trace.SpanContext(
                pair.trace_id, span_id, True, flags, w3c.OURS
            )
            context = trace.set_span_in_context(
                trace.NonRecordingSpan(parent), context
            )
        if not goes_on:
            context = context_module.force(context, granted=True)
        return Parentage(
            _noted(context, pair),
            (),
            believed,
            pair.trace_id if span_id is None else None,
            True,
        )

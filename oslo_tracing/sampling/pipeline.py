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

"""What every decision goes through, whoever decides.

A span below another one of this process follows it. A trace that was asked
for is recorded, within a bound. A caller who is believed has decided, unless
that was left to us. Only what is left starts here: rules, then the configured
sampler, then a limit.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import sampling
from opentelemetry import trace
from opentelemetry.util import types

from oslo_tracing import _current
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing.sampling import rate_limit
from oslo_tracing.sampling import ratio
from oslo_tracing.sampling import remote
from oslo_tracing.sampling import rules

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

_RECORD = sampling.Decision.RECORD_AND_SAMPLE
_SAMPLED = trace.TraceFlags.SAMPLED
_EMPTY = otel_context.Context()
_REMOTE: Final = _current.REMOTE
_FLAGS: Final = _current.FLAGS
_VALID: Final = _current.VALID
#: Kinds whose names are a word on what is done, and what it is done with.
_VERB_FIRST = frozenset((rules.NOTIFICATION, rules.PERIODIC, rules.BATCH))


class Configured(NamedTuple):
    """The sampler that the options name, and how to treat it.

    :param sampler: decides on traces that start here.
    :param follows_remote: a caller's decision is not its to change.
    :param follows_local: nor is that of a span of this process.
    :param reads_names: what it decides may depend on the name or the
        attributes of a span.
    """

    sampler: sampling.Sampler
    follows_remote: bool
    follows_local: bool
    reads_names: bool


class Pipeline(sampling.Sampler):
    """Decides on every span.

    :param settings: for rules and limits, read at every decision.
    :param configured: decides where nothing before it does.
    :param look: called before each decision, to notice changed options.
    :raises InvalidOption: when a rule is wrong.
    """

    def __init__(
        self,
        settings: settings_module.Settings,
        configured: Configured,
        look: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._configured = configured
        self._decide = configured.sampler.should_sample
        self._look = look
        self._started = rate_limit.TokenBucket(
            lambda: settings.max_traces_per_second
        )
        self._asked_for = rate_limit.TokenBucket(
            lambda: settings.max_forced_traces_per_second
        )
        texts = settings.sampling_rules
        self._compiled: tuple[Any, rules.Tables] = (
            texts,
            rules.compiled(texts),
        )

    @property
    def follows_local(self) -> bool:
        """Whether children of spans of this process are none of its business.

        It would say what was decided on that span.
        """
        return self._configured.follows_local

    def may_force(self) -> bool:
        """Take one of the traces that may be asked for in a second."""
        return self._asked_for.take()

    def reads_name(self, kind: str, believed: bool) -> bool:
        """Say whether a decision depends on the name of what starts.

        If not, there is no need to make the name before it is known that
        the span is recorded.

        :param kind: of ``rules.KINDS``.
        :param believed: a trace is continued, and not one that is forced.
        """
        configured = self._configured
        if configured.reads_names:
            return not (believed and configured.follows_remote)
        return not believed and kind in self._tables()

    #: What :meth:`least` gives is for this.
    keeps = staticmethod(ratio.keeps)

    def drops(self, parent: trace.SpanContext) -> bool:
        """Say whether what a parent has is all that its children get.

        Whoever asks does not need a span then to hand the trace on: the
        sampler would not record it, whatever it is.

        :param parent: of a span, not one whose trace is asked for.
        """
        if parent[_FLAGS] & _SAMPLED or not parent[_VALID]:
            return False
        if parent[_REMOTE]:
            return self._configured.follows_remote
        return self._configured.follows_local

    def follows(
        self, parent: trace.SpanContext, where: otel_context.Context
    ) -> bool:
        """Say whether a caller has decided, so that there is nothing to ask.

        What starts below it is recorded if it is sampled, with the
        attributes that it was to have, and has its tracestate. About all
        else, also what was asked for, :meth:`should_sample` decides.

        :param parent: of the span in a context.
        :param where: that context.
        """
        # Whoever is sent on to should_sample() looks there.
        if (
            not self._configured.follows_remote
            or not parent[_REMOTE]
            or not parent[_VALID]
            or context.forced(where)
        ):
            return False
        self._look()
        return True

    def least(self, kind: str, name: str | None) -> int | None:
        """Return the threshold for a trace that starts here.

        Whoever asks has an id for it, and no span of one that
        ``keeps()`` does not keep; of the others, and where there is
        no such threshold, :meth:`should_sample` decides.

        :param kind: of ``rules.KINDS``.
        :param name: as rules have it, None where no rule reads it.
        """
        self._look()
        table = self._tables().get(kind)
        if table is not None:
            least = None if name is None else table.threshold(name)
            if least is not None or name is None:
                return least
        sampler = self._configured.sampler
        if type(sampler) is not ratio.RatioSampler:
            return None
        return sampler.least()

    def should_sample(
        self,
        parent_context: otel_context.Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: types.Attributes = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> sampling.SamplingResult:
        self._look()
        if parent_context is None:
            parent_context = _current.context()
        span = _current.span_in(parent_context)
        parent = span.get_span_context()
        continued = parent[_VALID]
        configured = self._configured
        if continued and not parent[_REMOTE]:
            # Where the parent does not record, rules or limits may be why.
            if configured.follows_local or not (
                parent[_FLAGS] & _SAMPLED or span.is_recording()
            ):
                return _followed(parent, attributes)
        elif context.forced(parent_context):
            if context.granted(parent_context) or (
                not context.deferred(parent_context) and self.may_force()
            ):
                return _result(_RECORD, attributes, parent)
            # Its parent has no say: it is whoever asks who wrote its flags,
            # or they were written for want of a decision.
            parent_context, continued = _EMPTY, False
        elif continued and configured.follows_remote:
            return _followed(parent, attributes)
        if continued:
            result = self._decide(
                parent_context, trace_id, name, kind, attributes, links
            )
        else:
            result = self._start(
                parent_context, trace_id, name, kind, attributes, links
            )
        if parent.trace_state and not result.trace_state:
            # A continued trace keeps its tracestate, other vendors' entries
            # included, also where a sampler knows nothing of it. Another
            # result: a sampler may give the same one each time.
            return _result(result.decision, result.attributes, parent)
        return result

    def _start(
        self,
        current: otel_context.Context,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None,
        attributes: types.Attributes,
        links: Sequence[trace.Link] | None,
    ) -> sampling.SamplingResult:
        """Decide on a trace that starts here."""
        least = None
        tables = self._tables()
        if tables:
            least = _least(tables, current, name, kind, attributes or {})
        if least is None:
            result = self._decide(
                current, trace_id, name, kind, attributes, links
            )
        elif ratio.keeps(trace_id, least):
            result = sampling.SamplingResult(_RECORD, attributes)
        else:
            return ratio.DROP
        if (
            self._settings.max_traces_per_second
            and result.decision is _RECORD
            and not self._started.take()
        ):
            return ratio.DROP
        return result

    def _tables(self) -> rules.Tables:
        texts = self._settings.sampling_rules
        source, tables = self._compiled
        if source is not texts:
            tables = rules.compiled(texts)
            self._compiled = (texts, tables)
        return tables

    def shutdown(self) -> None:
        """End what the configured sampler has begun, if it is one of ours."""
        sampler = self._configured.sampler
        if isinstance(sampler, remote.JaegerRemoteSampler):
            sampler.shutdown()

    def get_description(self) -> str:
        return self._configured.sampler.get_description()


def _followed(
    parent: trace.SpanContext, attributes: types.Attributes
) -> sampling.SamplingResult:
    """Return what was decided on a parent."""
    if parent[_FLAGS] & _SAMPLED:
        return _result(_RECORD, attributes, parent)
    if parent.trace_state:
        return _result(sampling.Decision.DROP, None, parent)
    return ratio.DROP


def _result(
    decision: sampling.Decision,
    attributes: types.Attributes,
    parent: trace.SpanContext,
) -> sampling.SamplingResult:
    return sampling.SamplingResult(
        decision, attributes, parent.trace_state or None
    )


def _least(
    tables: rules.Tables,
    current: otel_context.Context,
    name: str,
    kind: trace.SpanKind | None,
    attributes: Mapping[str, Any],
) -> int | None:
    """Return the threshold of the rule for what starts, if there is one."""
    starts = _kind(current, kind, attributes)
    table = tables.get(starts) if starts is not None else None
    # Others use our provider too, and not all of them are careful.
    if table is None or not isinstance(name, str):
        return None
    if starts in _VERB_FIRST:
        name = name.partition(' ')[2]
    return table.threshold(name)


def _kind(
    current: otel_context.Context,
    kind: trace.SpanKind | None,
    attributes: Mapping[str, Any],
) -> str | None:
    """Return which rules are for what starts, or None."""
    if kind is None or kind is trace.SpanKind.INTERNAL:
        return rules.PERIODIC if context.is_periodic(current) else None
    if names.RPC_SYSTEM_NAME in attributes:
        return rules.RPC
    if kind is trace.SpanKind.SERVER:
        return rules.SERVER
    if names.HTTP_REQUEST_METHOD in attributes:
        return rules.CLIENT
    if names.OPENSTACK_NOTIFICATION_EVENT_TYPE in attributes:
        return rules.NOTIFICATION
    if names.MESSAGING_BATCH_MESSAGE_COUNT in attributes:
        return rules.BATCH
    return None

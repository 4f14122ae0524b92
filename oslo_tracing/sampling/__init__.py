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

"""Which traces are recorded.

The names are those of OTEL_TRACES_SAMPLER in the OpenTelemetry
specification.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import importlib.metadata
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import sampling
from opentelemetry import trace
from opentelemetry.util import types

from oslo_tracing import context
from oslo_tracing import exceptions
from oslo_tracing.sampling import rate_limit
from oslo_tracing import settings as settings_module

_GROUP = 'opentelemetry_traces_sampler'

# W3C Trace Context level 2 promises randomness for these bits only, and an
# id from elsewhere may hold a UUID's version in higher ones.
_BITS = 56
_MASK = (1 << _BITS) - 1


def build(
    settings: settings_module.Settings, look: Callable[[], None]
) -> sampling.Sampler:
    """Build the sampler that the settings name.

    :param settings: ``sampler`` names it; ``sample_ratio`` is read at every
        decision.
    :param look: called before each decision, to notice changed options.
    :raises InvalidOption: when no installed sampler has the name.
    """
    forced = rate_limit.TokenBucket(
        lambda: settings.max_forced_traces_per_second
    )
    return _Sampler(_named(settings), look, forced)


def _named(settings: settings_module.Settings) -> sampling.Sampler:
    ratio = RatioSampler(settings)
    known: dict[str, sampling.Sampler] = {
        'always_on': sampling.ALWAYS_ON,
        'always_off': sampling.ALWAYS_OFF,
        'traceidratio': ratio,
        'parentbased_always_on': sampling.DEFAULT_ON,
        'parentbased_always_off': sampling.DEFAULT_OFF,
        'parentbased_traceidratio': sampling.ParentBased(ratio),
    }
    name = settings.sampler.strip().lower()
    if name in known:
        return known[name]
    installed = {
        entry.name: entry
        for entry in importlib.metadata.entry_points(group=_GROUP)
    }
    entry = installed.get(settings.sampler.strip())
    if entry is None:
        raise exceptions.InvalidOption(
            'sampler',
            repr(settings.sampler),
            f'no such sampler; known: {", ".join({**known, **installed})}',
        )
    try:
        # The SDK calls these factories with OTEL_TRACES_SAMPLER_ARG, a text.
        made = entry.load()(str(settings.sample_ratio))
    except Exception as error:
        raise exceptions.InvalidOption(
            'sampler',
            repr(settings.sampler),
            f'it could not be made ({type(error).__name__})',
        ) from error
    if not isinstance(made, sampling.Sampler):
        raise exceptions.InvalidOption(
            'sampler', repr(settings.sampler), 'what it made is not a sampler'
        )
    return made


class RatioSampler(sampling.Sampler):
    """Records a share of all traces, by the random bits of their ids.

    Every service that has the same ratio decides alike on one trace, and
    the share follows ``settings.sample_ratio`` while the service runs.
    """

    def __init__(self, settings: settings_module.Settings) -> None:
        self._settings = settings

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
        ratio = self._settings.sample_ratio
        threshold = round((1.0 - ratio) * (1 << _BITS))
        if (trace_id & _MASK) >= threshold:
            return sampling.SamplingResult(
                sampling.Decision.RECORD_AND_SAMPLE, attributes
            )
        return sampling.SamplingResult(sampling.Decision.DROP)

    def get_description(self) -> str:
        return f'traceidratio{{{self._settings.sample_ratio}}}'


class _Sampler(sampling.Sampler):
    """What every decision goes through, whoever decides."""

    def __init__(
        self,
        decide: sampling.Sampler,
        look: Callable[[], None],
        forced: rate_limit.TokenBucket | None = None,
    ) -> None:
        self._decide = decide
        self._look = look
        self._forced = forced

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
        decided_in = parent_context
        if parent_context is not None and context.forced(parent_context):
            above = trace.get_current_span(parent_context).get_span_context()
            if not above.is_valid or above.is_remote:
                if self._forced is None or self._forced.take():
                    return sampling.SamplingResult(
                        sampling.Decision.RECORD_AND_SAMPLE,
                        attributes,
                        above.trace_state or None,
                    )
                decided_in = otel_context.Context()
        result = self._decide.should_sample(
            decided_in, trace_id, name, kind, attributes, links
        )
        if not result.trace_state:
            # A continued trace keeps its tracestate, other vendors' entries
            # included, also where a sampler knows nothing of it.
            parent: Any = trace.get_current_span(parent_context)
            carried = parent.get_span_context()
            if carried.is_valid and carried.trace_state:
                # Another result: a sampler may give the same one each time.
                return sampling.SamplingResult(
                    result.decision, result.attributes, carried.trace_state
                )
        return result

    def get_description(self) -> str:
        return self._decide.get_description()

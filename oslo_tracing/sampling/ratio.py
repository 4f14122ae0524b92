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

"""Shares of traces, read off the random bits of their ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import sampling
from opentelemetry import trace
from opentelemetry.util import types

from oslo_tracing.sampling import thresholds

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

#: See there.
threshold = thresholds.threshold
keeps = thresholds.keeps

#: Not recorded. Results are not changed by who gets them.
DROP = sampling.SamplingResult(sampling.Decision.DROP)


class RatioSampler(sampling.Sampler):
    """Records a share of all traces, by the random bits of their ids.

    Every service that has the same ratio decides alike on one trace, and
    the share follows ``settings.sample_ratio`` while the service runs.
    """

    def __init__(self, settings: settings_module.Settings) -> None:
        self._settings = settings
        self._least = (-1.0, 0)

    def least(self) -> int:
        """Return the threshold of the ratio as it is now."""
        chosen = self._settings.sample_ratio
        known, least = self._least
        if known != chosen:
            least = threshold(chosen)
            self._least = (chosen, least)
        return least

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
        if keeps(trace_id, self.least()):
            return sampling.SamplingResult(
                sampling.Decision.RECORD_AND_SAMPLE, attributes
            )
        return DROP

    def get_description(self) -> str:
        return f'traceidratio{{{self._settings.sample_ratio}}}'

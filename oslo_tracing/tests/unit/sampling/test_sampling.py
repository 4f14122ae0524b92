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

from __future__ import annotations

import types

from opentelemetry.sdk.trace import sampling as sdk_sampling
from opentelemetry import trace

from oslo_tracing import exceptions
from oslo_tracing import provider
from oslo_tracing import sampling
from oslo_tracing.sampling import pipeline
from oslo_tracing.tests import base


def _settings(name='parentbased_traceidratio', ratio=1.0):
    return types.SimpleNamespace(
        sampler=name,
        sample_ratio=ratio,
        sampling_rules=[],
        max_traces_per_second=0.0,
        max_forced_traces_per_second=10.0,
    )


def _parent(sampled, trace_state=None):
    return trace.set_span_in_context(
        trace.NonRecordingSpan(
            trace.SpanContext(
                1,
                2,
                True,
                trace.TraceFlags(1 if sampled else 0),
                trace.TraceState(trace_state or []),
            )
        )
    )


class _Forgetful(sdk_sampling.Sampler):
    """A third-party sampler that knows nothing of tracestate."""

    def should_sample(self, *args, **kwargs):
        return sdk_sampling.SamplingResult(
            sdk_sampling.Decision.RECORD_AND_SAMPLE
        )

    def get_description(self):
        return 'Forgetful'


class _Thrifty(_Forgetful):
    """One that has one answer, made once."""

    answer = sdk_sampling.SamplingResult(
        sdk_sampling.Decision.RECORD_AND_SAMPLE, {'rule': 'all'}
    )

    def should_sample(self, *args, **kwargs):
        return self.answer


def _around(installed):
    configured = pipeline.Configured(installed, False, False, True)
    return pipeline.Pipeline(_settings(), configured, lambda: None)


class SamplingTest(base.TestCase):
    def _build(self, settings):
        return sampling.build(settings, lambda: None)

    def _share(self, sampler, ids=None):
        ids = ids or provider.UrandomIds()
        kept = sum(
            sampler.should_sample(
                None, ids.generate_trace_id(), 'x'
            ).decision.is_sampled()
            for _number in range(20000)
        )
        return kept / 20000

    def test_ratio_of_the_traces_that_start_here(self):
        for ratio in (0.0, 0.01, 0.5, 1.0):
            sampler = self._build(_settings(ratio=ratio))
            # Five sigma: a false alarm in two million runs.
            margin = 5 * (ratio * (1 - ratio) / 20000) ** 0.5
            self.assertAlmostEqual(ratio, self._share(sampler), delta=margin)

    def test_ratio_follows_the_settings(self):
        settings = _settings(ratio=0.0)
        sampler = self._build(settings)
        self.assertEqual(0.0, self._share(sampler))
        settings.sample_ratio = 1.0
        self.assertEqual(1.0, self._share(sampler))

    def test_bits_that_an_id_need_not_have_random_do_not_count(self):
        # Version and variant bits of a UUID stand above the low 56.
        sampler = self._build(_settings('traceidratio', 0.5))
        low = (1 << 55) - 1
        for high in (0, (1 << 72) - 1):
            decided = sampler.should_sample(None, high << 56 | low, 'x')
            self.assertFalse(decided.decision.is_sampled())
            decided = sampler.should_sample(None, high << 56 | low + 1, 'x')
            self.assertTrue(decided.decision.is_sampled())

    def test_the_parent_decides(self):
        for ratio in (0.0, 1.0):
            sampler = self._build(_settings(ratio=ratio))
            for sampled in (True, False):
                decided = sampler.should_sample(_parent(sampled), 1, 'x')
                self.assertEqual(sampled, decided.decision.is_sampled())

    def test_names_of_the_specification(self):
        for name, without, parent_yes, parent_no in (
            ('always_on', True, True, True),
            ('always_off', False, False, False),
            ('traceidratio', True, True, True),
            ('parentbased_always_on', True, True, False),
            ('parentbased_always_off', False, True, False),
            ('Parentbased_TraceIdRatio', True, True, False),
        ):
            sampler = self._build(_settings(name))
            self.assertEqual(
                (without, parent_yes, parent_no),
                tuple(
                    sampler.should_sample(parent, 1, 'x').decision.is_sampled()
                    for parent in (None, _parent(True), _parent(False))
                ),
                name,
            )

    def test_tracestate_passes_unchanged(self):
        entries = [('ot', 'th:8'), ('vendor', 'x')]
        for name in ('parentbased_traceidratio', 'always_on', 'always_off'):
            decided = self._build(_settings(name)).should_sample(
                _parent(True, entries), 1, 'x'
            )
            self.assertEqual(entries, list(decided.trace_state.items()))

    def test_tracestate_is_restored_where_a_sampler_drops_it(self):
        sampler = _around(_Forgetful())
        decided = sampler.should_sample(_parent(True, [('a', 'b')]), 1, 'x')
        self.assertEqual([('a', 'b')], list(decided.trace_state.items()))
        decided = sampler.should_sample(None, 1, 'x')
        self.assertFalse(decided.trace_state)

    def test_no_trace_gets_the_tracestate_of_another(self):
        sampler = _around(_Thrifty())
        decided = sampler.should_sample(_parent(True, [('a', 'b')]), 1, 'x')
        self.assertEqual([('a', 'b')], list(decided.trace_state.items()))
        self.assertEqual({'rule': 'all'}, decided.attributes)
        decided = sampler.should_sample(None, 1, 'x')
        self.assertFalse(decided.trace_state)
        decided = sampler.should_sample(_parent(True, [('c', 'd')]), 1, 'x')
        self.assertEqual([('c', 'd')], list(decided.trace_state.items()))

    def test_unknown_sampler_is_named(self):
        error = self.assertRaises(
            exceptions.InvalidOption, self._build, _settings('sometimes')
        )
        self.assertIn("[tracing] sampler = 'sometimes'", str(error))
        self.assertIn('parentbased_traceidratio', str(error))

    def test_every_decision_looks_for_changed_options(self):
        looks = []
        sampler = sampling.build(_settings(), lambda: looks.append(1))
        sampler.should_sample(None, 1, 'x')
        sampler.should_sample(_parent(True), 1, 'x')
        self.assertEqual(2, len(looks))

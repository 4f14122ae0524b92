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

import random
import types

import fixtures
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import sampling as sdk_sampling
from opentelemetry import trace

from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import exceptions
from oslo_tracing import sampling
from oslo_tracing.sampling import pipeline
from oslo_tracing.tests import base

DECISIONS = 20000
INTERNAL = trace.SpanKind.INTERNAL
SERVER = trace.SpanKind.SERVER
CLIENT = trace.SpanKind.CLIENT
EMPTY = otel_context.Context()


def _parent(sampled, remote=True, current=EMPTY, trace_state=()):
    return trace.set_span_in_context(
        trace.NonRecordingSpan(
            trace.SpanContext(
                1,
                2,
                remote,
                trace.TraceFlags(1 if sampled else 0),
                trace.TraceState(trace_state),
            )
        ),
        current,
    )


class _Installed(sdk_sampling.Sampler):
    """A sampler of another package."""

    def __init__(self, decision):
        self.decision = decision
        self.asked = []

    def should_sample(self, parent_context, trace_id, name, *args, **kwargs):
        self.asked.append((parent_context, name))
        return sdk_sampling.SamplingResult(self.decision)

    def get_description(self):
        return 'Installed'


class PipelineTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.now = 1000.0
        self.useFixture(
            fixtures.MonkeyPatch('time.monotonic', lambda: self.now)
        )
        self.settings = types.SimpleNamespace(
            sampler='parentbased_traceidratio',
            sample_ratio=1.0,
            sampling_rules=[],
            max_traces_per_second=0.0,
            max_forced_traces_per_second=10.0,
        )
        # The same ids in each run, so that what is measured is, too.
        self.ids = random.Random(4)

    def build(self, **settings):
        vars(self.settings).update(settings)
        self.sampler = sampling.build(self.settings, lambda: None)
        return self.sampler

    def around(self, decision):
        """Build with a sampler of another package."""
        installed = _Installed(decision)
        configured = pipeline.Configured(installed, False, False, True)
        self.sampler = pipeline.Pipeline(
            self.settings, configured, lambda: None
        )
        return installed

    def decide(
        self, current=EMPTY, name='GET /x', kind=SERVER, attributes=None
    ):
        result = self.sampler.should_sample(
            current, self.ids.getrandbits(128), name, kind, attributes
        )
        return result.decision.is_sampled()

    def share(self, *args, **kwargs):
        kept = sum(self.decide(*args, **kwargs) for _n in range(DECISIONS))
        return kept / DECISIONS

    def assert_share(self, ratio, *args, **kwargs):
        """Within three sigma, of ids that are the same in each run."""
        margin = 3 * (ratio * (1 - ratio) / DECISIONS) ** 0.5
        self.assertAlmostEqual(
            ratio, self.share(*args, **kwargs), delta=margin
        )


class SharesTest(PipelineTestCase):
    def test_of_the_sampler(self):
        for name, ratio, expected in (
            ('parentbased_traceidratio', 0.0, 0.0),
            ('parentbased_traceidratio', 0.01, 0.01),
            ('parentbased_traceidratio', 0.5, 0.5),
            ('parentbased_traceidratio', 1.0, 1.0),
            ('traceidratio', 0.1, 0.1),
            ('always_on', 0.1, 1.0),
            ('always_off', 0.1, 0.0),
            ('parentbased_always_on', 0.1, 1.0),
            ('parentbased_always_off', 0.1, 0.0),
        ):
            self.build(sampler=name, sample_ratio=ratio)
            self.assert_share(expected)

    def test_of_each_rule(self):
        self.build(
            sample_ratio=0.7,
            sampling_rules=[
                'server "GET /a" 0.01',
                'server "GET /b" 0.25',
                'server "GET /c" 1',
                'server "GET /d" 0',
            ],
        )
        for path, expected in (
            ('a', 0.01),
            ('b', 0.25),
            ('c', 1.0),
            ('d', 0.0),
            ('e', 0.7),
        ):
            self.assert_share(expected, name=f'GET /{path}')

    def test_of_a_limit(self):
        self.build(max_traces_per_second=100.0)
        kept = 0
        for _number in range(DECISIONS):
            self.now += 1 / 1024
            kept += self.decide()
        # What was saved up before, and 100 in each of the seconds.
        self.assertEqual(100 + int((DECISIONS - 1) / 1024 * 100), kept)

    def test_of_what_is_asked_for(self):
        self.build(sample_ratio=0.0, max_forced_traces_per_second=4.0)
        current = context.force(EMPTY)
        kept = 0
        for _number in range(DECISIONS):
            self.now += 1 / 128
            kept += self.decide(current)
        self.assertEqual(4 + int((DECISIONS - 1) / 128 * 4), kept)

    def test_of_what_is_asked_for_beyond_the_limit(self):
        self.build(sample_ratio=0.3, max_forced_traces_per_second=1.0)
        current = context.force(EMPTY)
        self.assertTrue(self.decide(current))
        self.assert_share(0.3, current)


class OrderTest(PipelineTestCase):
    def test_a_believed_caller_is_stronger_than_rules_and_limits(self):
        self.build(
            sample_ratio=0.0,
            sampling_rules=['server "*" 0'],
            max_traces_per_second=0.001,
        )
        for _number in range(100):
            self.assertTrue(self.decide(_parent(True)))
        self.build(sample_ratio=1.0, sampling_rules=['server "*" 1'])
        self.assertFalse(self.decide(_parent(False)))

    def test_a_span_of_this_process_is_followed_whatever_the_sampler(self):
        for name in ('traceidratio', 'always_on', 'always_off'):
            self.build(
                sampler=name,
                sample_ratio=0.5,
                sampling_rules=['server "*" 0', 'client "*" 1'],
                max_traces_per_second=0.001,
            )
            for sampled in (True, False):
                for _number in range(20):
                    self.assertEqual(
                        sampled,
                        self.decide(_parent(sampled, remote=False)),
                    )

    def test_a_caller_decides_nothing_where_the_sampler_says_so(self):
        # Nor do rules: the trace does not start here.
        self.build(sampler='always_on', sampling_rules=['server "*" 0'])
        self.assertTrue(self.decide(_parent(False)))
        self.assertFalse(self.decide())
        self.build(sampler='always_off', sampling_rules=['server "*" 1'])
        self.assertFalse(self.decide(_parent(True)))
        self.assertTrue(self.decide())

    def test_whether_a_caller_has_decided_can_be_asked_before(self):
        callers = {
            'sampled': _parent(True),
            'not sampled': _parent(False),
            'of this process': _parent(True, remote=False),
            'asked for': context.force(_parent(True)),
            'nobody': EMPTY,
        }

        def followed(**settings):
            self.build(**settings)
            return {
                name
                for name, where in callers.items()
                if self.sampler.follows(
                    trace.get_current_span(where).get_span_context(), where
                )
            }

        self.assertEqual(
            {'sampled', 'not sampled'},
            followed(sampler='parentbased_always_off'),
        )
        self.assertEqual(set(), followed(sampler='always_on'))

    def test_options_are_looked_at_whoever_decides(self):
        looked = []
        self.sampler = sampling.build(
            self.settings, lambda: looked.append(True)
        )
        where = _parent(True)
        parent = trace.get_current_span(where).get_span_context()
        self.assertTrue(self.sampler.follows(parent, where))
        self.assertEqual([True], looked)
        self.assertFalse(self.sampler.follows(parent, context.force(where)))
        self.decide(context.force(where))
        self.assertEqual([True, True], looked)

    def test_rules_come_before_the_limit(self):
        self.build(
            sampling_rules=['server "GET /never" 0'],
            max_traces_per_second=5.0,
        )
        for _number in range(50):
            self.assertFalse(self.decide(name='GET /never'))
        kept = [self.decide() for _number in range(50)]
        self.assertEqual([True] * 5 + [False] * 45, kept)

    def test_what_is_asked_for_is_stronger_than_all_that_starts_here(self):
        self.build(
            sample_ratio=0.0,
            sampling_rules=['server "*" 0'],
            max_traces_per_second=0.001,
            max_forced_traces_per_second=3.0,
        )
        asked = [self.decide(context.force(EMPTY)) for _number in range(10)]
        self.assertEqual([True] * 3 + [False] * 7, asked)

    def test_nobody_can_ask_where_the_limit_is_zero(self):
        self.build(sample_ratio=0.0, max_forced_traces_per_second=0.0)
        self.assertFalse(self.decide(context.force(EMPTY)))

    def test_flags_that_only_ask_do_not_get_round_the_bound(self):
        self.build(sample_ratio=0.0, max_forced_traces_per_second=1.0)
        current = context.force(_parent(True))
        self.assertTrue(self.decide(current))
        self.assertFalse(self.decide(current))
        installed = self.around(sdk_sampling.Decision.DROP)
        self.settings.max_forced_traces_per_second = 0.0
        self.assertFalse(self.decide(current))
        ((asked_in, _name),) = installed.asked
        self.assertFalse(
            trace.get_current_span(asked_in).get_span_context().is_valid
        )

    def test_a_decision_that_is_deferred_is_one_on_what_starts_here(self):
        for parent in (_parent(True), _parent(False)):
            current = context.defer(parent)
            caller = trace.get_current_span(parent).get_span_context()
            self.build(sample_ratio=0.0, sampling_rules=[])
            self.assertFalse(self.sampler.follows(caller, current))
            self.assertFalse(self.decide(current))
            self.build(sampling_rules=['server "*" 1'])
            self.assertTrue(self.decide(current))
        self.build(max_traces_per_second=1.0)
        self.assertTrue(self.decide(current))
        self.assertFalse(self.decide(current))

    def test_what_is_deferred_takes_nothing_of_what_is_asked_for(self):
        self.build(sample_ratio=0.0, max_forced_traces_per_second=1.0)
        for _number in range(5):
            self.assertFalse(self.decide(context.defer(_parent(True))))
        self.assertTrue(self.decide(context.force(_parent(True))))

    def test_what_is_below_takes_nothing_of_the_bound(self):
        self.build(sample_ratio=0.0, max_forced_traces_per_second=1.0)
        current = context.force(EMPTY)
        self.assertTrue(self.decide(current))
        below = _parent(True, remote=False, current=current)
        for _number in range(10):
            self.assertTrue(self.decide(below, kind=CLIENT))

    def test_the_current_context_counts_where_none_is_given(self):
        self.build(sample_ratio=0.0)
        token = otel_context.attach(_parent(True))
        self.addCleanup(otel_context.detach, token)
        self.assertTrue(self.decide(None))
        token = otel_context.attach(context.force(EMPTY))
        self.addCleanup(otel_context.detach, token)
        self.assertTrue(self.decide(None))

    def test_tracestate_goes_on_with_the_trace(self):
        self.build(sampling_rules=['server "*" 1'])
        entries = [('ot', 'th:8'), ('vendor', 'x')]
        for current in (
            _parent(True, trace_state=entries),
            _parent(False, trace_state=entries),
            _parent(True, remote=False, trace_state=entries),
            context.force(_parent(True, trace_state=entries)),
        ):
            result = self.sampler.should_sample(current, 1, 'x', SERVER)
            self.assertEqual(entries, list(result.trace_state.items()))
        result = self.sampler.should_sample(EMPTY, 1, 'x', SERVER)
        self.assertFalse(result.trace_state)

    def test_attributes_of_the_start_arrive(self):
        given = {'http.request.method': 'GET'}
        self.build(sampling_rules=['server "*" 1'])
        for current in (
            EMPTY,
            _parent(True),
            _parent(True, remote=False),
            context.force(EMPTY),
        ):
            result = self.sampler.should_sample(current, 1, 'x', SERVER, given)
            self.assertEqual(given, dict(result.attributes))


class InstalledTest(PipelineTestCase):
    RECORD = sdk_sampling.Decision.RECORD_AND_SAMPLE
    DROP = sdk_sampling.Decision.DROP
    RECORD_ONLY = sdk_sampling.Decision.RECORD_ONLY

    def test_it_is_asked_wherever_it_may_have_something_to_say(self):
        self.settings.sampling_rules = ['server "GET /never" 0']
        installed = self.around(self.DROP)
        for current in (
            EMPTY,
            _parent(True),
            _parent(False),
            _parent(True, remote=False),
        ):
            self.assertFalse(self.decide(current))
        self.assertEqual(4, len(installed.asked))
        self.assertFalse(self.decide(name='GET /never'))
        self.assertEqual(4, len(installed.asked))

    def test_it_cannot_record_half_of_what_was_dropped(self):
        self.settings.sampling_rules = ['server "GET /never" 0']
        self.around(self.RECORD)
        self.assertFalse(self.decide(name='GET /never'))
        self.assertFalse(self.decide(_parent(False, remote=False)))

    def test_what_it_starts_is_limited(self):
        self.settings.max_traces_per_second = 2.0
        self.around(self.RECORD)
        self.assertEqual(
            [True, True, False], [self.decide() for _number in range(3)]
        )
        self.assertTrue(self.decide(_parent(True)))

    def test_what_is_not_sampled_takes_nothing_of_the_limit(self):
        self.settings.max_traces_per_second = 1.0
        installed = self.around(self.RECORD_ONLY)
        for _number in range(10):
            result = self.sampler.should_sample(EMPTY, 1, 'x', SERVER)
            self.assertIs(self.RECORD_ONLY, result.decision)
        installed.decision = self.RECORD
        self.assertTrue(self.decide())


class WhatRulesSeeTest(PipelineTestCase):
    """By what a span starts with; test_rules_in_use has the real ones."""

    def _matched(self, current=EMPTY, **start):
        """Return the kinds whose rules decide on a start."""
        found = []
        for kind in pipeline.rules.KINDS:
            self.build(sample_ratio=0.0, sampling_rules=[f'{kind} "*" 1'])
            if self.decide(current, **start):
                found.append(kind)
        return found

    def test_by_kind_and_attributes(self):
        for expected, start in (
            ('server', {'kind': SERVER}),
            (
                'client',
                {
                    'kind': CLIENT,
                    'attributes': {names.HTTP_REQUEST_METHOD: 'GET'},
                },
            ),
            (
                'notification',
                {
                    'kind': trace.SpanKind.PRODUCER,
                    'attributes': {
                        names.OPENSTACK_NOTIFICATION_EVENT_TYPE: 'e'
                    },
                },
            ),
            (
                'batch',
                {
                    'kind': trace.SpanKind.CONSUMER,
                    'attributes': {names.MESSAGING_BATCH_MESSAGE_COUNT: 2},
                },
            ),
            ('periodic', {'current': context.periodic(), 'kind': INTERNAL}),
        ):
            self.assertEqual([expected], self._matched(**start))
        for kind in trace.SpanKind:
            if kind is not INTERNAL:
                self.assertEqual(
                    ['rpc'],
                    self._matched(
                        kind=kind,
                        attributes={names.RPC_SYSTEM_NAME: 'oslo.messaging'},
                    ),
                )

    def test_for_what_has_no_kind_of_its_own_there_are_none(self):
        self.assertEqual([], self._matched(kind=INTERNAL))
        self.assertEqual([], self._matched(kind=None))
        self.assertEqual(
            [], self._matched(kind=CLIENT, attributes={'db.system.name': 'x'})
        )

    def test_a_name_that_is_none_is_left_to_the_sampler(self):
        self.build(sampling_rules=['server "*" 0'])
        for name in (None, 7, b'GET /'):
            self.assertTrue(self.decide(name=name))

    def test_a_name_is_read_only_where_it_decides(self):
        for options, kind, believed, expected in (
            ({}, 'server', False, False),
            ({'sampling_rules': ['rpc "*" 0']}, 'server', False, False),
            ({'sampling_rules': ['server "*" 0']}, 'server', False, True),
            ({'sampling_rules': ['server "*" 0']}, 'server', True, False),
            (
                {'sampler': 'always_on', 'sampling_rules': ['server "*" 0']},
                'server',
                True,
                False,
            ),
            ({'sampler': 'always_on'}, 'server', False, False),
        ):
            sampler = self.build(**{'sampling_rules': [], **options})
            self.assertEqual(expected, sampler.reads_name(kind, believed))
        self.around(self.ids)
        for believed in (True, False):
            self.assertTrue(self.sampler.reads_name('server', believed))


class ChangesTest(PipelineTestCase):
    def test_all_follows_the_settings(self):
        self.build()
        self.assertTrue(self.decide())
        self.settings.sampling_rules = ['server "GET /x" 0']
        self.assertFalse(self.decide())
        self.settings.sampling_rules = []
        self.settings.max_traces_per_second = 1.0
        self.assertEqual([True, False], [self.decide(), self.decide()])
        self.settings.max_traces_per_second = 0.0
        self.assertTrue(self.decide())
        self.settings.sample_ratio = 0.0
        self.assertFalse(self.decide())
        current = context.force(EMPTY)
        self.assertTrue(self.decide(current))
        self.settings.max_forced_traces_per_second = 0.0
        self.assertFalse(self.decide(current))

    def test_rules_are_compiled_when_they_change(self):
        self.build(sampling_rules=['server "*" 0.5'])
        tables = self.sampler._tables()
        self.decide()
        self.assertIs(tables, self.sampler._tables())
        self.settings.sampling_rules = ['server "*" 0']
        self.decide()
        self.assertIsNot(tables, self.sampler._tables())
        tables = self.sampler._tables()
        self.decide()
        self.assertIs(tables, self.sampler._tables())

    def test_a_wrong_rule_stops_the_start(self):
        error = self.assertRaises(
            exceptions.InvalidOption, self.build, sampling_rules=['server']
        )
        self.assertIn('rule 1 of 1', str(error))

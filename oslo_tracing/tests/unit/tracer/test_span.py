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

"""A span of ours is what a span of the SDK would be."""

import collections.abc
import gc
import itertools
import os
import random
import sys
import threading
import time

import fixtures
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export import in_memory_span_exporter
from opentelemetry.sdk.trace import id_generator
from opentelemetry.sdk.trace import sampling
from opentelemetry import trace

from oslo_tracing import _guard
from oslo_tracing import exceptions
from oslo_tracing.exporters import _clean
from oslo_tracing import fixture
from oslo_tracing.propagation import marking
from oslo_tracing.propagation import w3c
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support
from oslo_tracing.tracer import provider

_RESOURCE = resources.Resource({'service.name': 'nova-api'})
_FAR = trace.SpanContext(
    5, 6, True, trace.TraceFlags(1), trace.TraceState([('a', 'b')])
)

_NEAR = trace.SpanContext(7, 8, False, trace.TraceFlags(1))


class _Ids(id_generator.IdGenerator):
    """Ids that are the same for each provider."""

    def __init__(self):
        self._numbers = itertools.count(1)

    def generate_span_id(self):
        return next(self._numbers)

    def generate_trace_id(self):
        return next(self._numbers)


class _Keep(sdk_trace.SpanProcessor):
    def __init__(self):
        self.spans = []

    def on_end(self, span):
        self.spans.append(span)


class _Case(base.TestCase):
    def setUp(self):
        super().setUp()
        self.logged = self.useFixture(fixtures.FakeLogger())

    def made(self, kind=provider.Provider, **values):
        """Return a provider's tracer, and the spans that ended."""
        values.setdefault('resource', _RESOURCE)
        made = kind(shutdown_on_exit=False, **values)
        keep = _Keep()
        made.add_span_processor(keep)
        self.addCleanup(made.shutdown)
        return made.get_tracer('oslo_tracing.test', '1'), keep.spans

    def one(self, **values):
        """Start a span that others may change."""
        tracer, spans = self.made(**values)
        return tracer.start_span('a'), spans


class _Row(collections.abc.Mapping):
    """As a row of a database whose session is gone."""

    def __getitem__(self, key):
        raise RuntimeError

    def __iter__(self):
        return iter('ab')

    def __len__(self):
        raise RuntimeError


class BadAttributesTest(_Case):
    """A span that is recorded takes all that one that is not does."""

    def setUp(self):
        super().setUp()
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._guard._REPORTER', _guard._Reporter()
            )
        )

    def _assert_told(self):
        self.assertEqual(1, self.logged.output.count('Tracing failed while'))

    def test_set_attributes(self):
        for values in (
            {},
            {'span_limits': sdk_trace.SpanLimits(max_span_attributes=0)},
        ):
            span, spans = self.one(**values)
            for bad in (_Row(), None, 'bad'):
                span.set_attributes(bad)
            span.end()
            self.assertEqual({}, dict(spans[0].attributes))
            self.assertEqual(3, spans[0].dropped_attributes)
        self._assert_told()

    def test_events(self):
        span, spans = self.one()
        for bad in (_Row(), 'bad', 5):
            span.add_event('event', bad)
        span.add_event('event', None)
        span.end()
        events = spans[0].events
        self.assertEqual([{}] * 4, [dict(e.attributes) for e in events])
        self.assertEqual([1, 1, 1, 0], [e.dropped_attributes for e in events])
        self._assert_told()

    def test_exceptions(self):
        span, spans = self.one()
        for bad in (_Row(), 'bad', None):
            span.record_exception(ValueError(), bad)
        span.end()
        events = spans[0].events
        for event in events:
            self.assertEqual('ValueError', event.attributes['exception.type'])
        self.assertEqual([1, 1, 0], [e.dropped_attributes for e in events])
        self._assert_told()

    def test_links(self):
        span, spans = self.one()
        for bad in (_Row(), 'bad', None):
            span.add_link(_FAR, bad)
        span.end()
        links = spans[0].links
        self.assertEqual([_FAR] * 3, [link.context for link in links])
        self.assertEqual([1, 1, 0], [k.dropped_attributes for k in links])
        self._assert_told()

    def test_links_to_nothing(self):
        span, spans = self.one()
        span.add_link('bad')
        span.add_link('bad', {'a': 1})
        span.end()
        self.assertEqual((), spans[0].links)
        self.assertEqual(2, spans[0].dropped_links)
        self._assert_told()


class _Uses:
    """What a service does with a span, the same for one seed."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._now = 10**18

    def _time(self):
        self._now += 1
        return self._now

    def _value(self):
        return self._random.choice(
            (
                *('text', 'x' * 300, 'Zürich', '', True, False, 0, 1, -5),
                *(2**70, 1.5, b'bytes', b'\xff', None, (), [], ['a', 'b']),
                *([1, 2], [True], [1, 'a'], [None, 'a'], ('x' * 300, 'y')),
                *([], [1.5, 2.5], ['a', 'ü'], [2**63], ['z'] * 17, [1, 1.0]),
                *({'a': 1}, {1: 2}, {'': 1}, object, {1, 2}, 1 + 2j),
            )
        )

    def _key(self):
        return self._random.choice(('a', 'b', 'c', 'd', 'Ü', '', 'x' * 300))

    def _attributes(self):
        return self._random.choice((None, {})) or {
            self._key(): self._value()
            for _ in range(self._random.randrange(6))
        }

    def _context(self):
        return self._random.choice((_FAR, trace.INVALID_SPAN_CONTEXT, _NEAR))

    def _set_attribute(self, span):
        span.set_attribute(self._key(), self._value())

    def _set_attributes(self, span):
        span.set_attributes(self._attributes() or {})

    def _add_event(self, span):
        span.add_event(self._key(), self._attributes(), self._time())

    def _add_link(self, span):
        span.add_link(self._context(), self._attributes())

    def _update_name(self, span):
        span.update_name(self._key())

    def _set_status(self, span):
        code = self._random.choice(tuple(trace.StatusCode))
        said = self._random.choice((None, 'why', 'other'))
        if self._random.random() < 0.5:
            span.set_status(code, said)
        else:
            span.set_status(trace.Status(code, said))

    def _end(self, span):
        if self._random.random() < 0.1:
            span.end(self._time())

    def apply(self, tracer):
        parent = trace.set_span_in_context(
            trace.NonRecordingSpan(self._context())
        )
        span = tracer.start_span(
            self._key(),
            parent,
            self._random.choice(tuple(trace.SpanKind)),
            self._attributes(),
            [
                trace.Link(self._context(), self._attributes())
                for _ in range(self._random.randrange(3))
            ],
            self._time(),
        )
        for _ in range(self._random.randrange(12)):
            self._random.choice(
                (
                    self._set_attribute,
                    self._set_attributes,
                    self._add_event,
                    self._add_link,
                    self._update_name,
                    self._set_status,
                    self._end,
                )
            )(span)
        span.end(self._time())
        span.end(self._time())


def _everything(span):
    return {
        # Which tells what is equal but not the same.
        'attributes': repr(dict(span.attributes)),
        'order': list(span.attributes),
        'context': tuple(span.get_span_context()),
        'parent': span.parent,
        'kind': span.kind,
        'times': (span.start_time, span.end_time),
        'status': (span.status.status_code, span.status.description),
        'dropped': (
            span.dropped_attributes,
            span.dropped_events,
            span.dropped_links,
        ),
        'events': [
            (
                event.name,
                event.timestamp,
                repr(dict(event.attributes)),
                event.dropped_attributes,
            )
            for event in span.events
        ],
        'links': [
            (
                link.context,
                repr(dict(link.attributes)),
                link.dropped_attributes,
            )
            for link in span.links
        ],
        'scope': span.instrumentation_scope,
        'resource': span.resource,
    }


class AsTheSdkTest(_Case):
    def _check(self, **limits):
        found = []
        for kind in (sdk_trace.TracerProvider, provider.Provider):
            tracer, spans = self.made(
                kind,
                id_generator=_Ids(),
                span_limits=sdk_trace.SpanLimits(**limits),
            )
            for seed in range(150):
                _Uses(seed).apply(tracer)
            self.assertEqual(150, len(spans))
            found.append([_everything(span) for span in spans])
        for theirs, ours in zip(*found, strict=True):
            self.assertEqual(theirs, ours)

    def test_whatever_is_done_with_it(self):
        self._check()

    def test_within_narrow_limits(self):
        self._check(
            max_attributes=3,
            max_events=2,
            max_links=1,
            max_event_attributes=2,
            max_link_attributes=1,
            max_attribute_length=5,
            max_span_attribute_length=4,
        )

    def test_where_nothing_at_all_is_kept(self):
        self._check(
            max_span_attributes=0,
            max_events=0,
            max_links=0,
            max_event_attributes=0,
            max_link_attributes=0,
            max_attribute_length=0,
        )

    def test_limits_of_the_environment(self):
        for name, value in (
            ('OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', '2'),
            ('OTEL_SPAN_EVENT_COUNT_LIMIT', '1'),
            ('OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT', '3'),
        ):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        self._check()


class SpanTest(_Case):
    def test_what_it_is(self):
        span, _spans = self.one()
        for kind in (trace.Span, sdk_trace.ReadableSpan, sdk_trace.Span):
            self.assertIsInstance(span, kind)

    def test_nothing_changes_after_its_end(self):
        span, spans = self.one()
        span.add_event('before')
        span.end(5)
        before = _everything(span)

        span.set_attribute('k', 'v')
        span.set_attributes({'k': 'v'})
        span.add_event('after')
        span.add_link(_FAR)
        span.set_status(trace.StatusCode.ERROR, 'late')
        span.update_name('late')
        span.record_exception(ValueError('late'))
        span.end(6)

        self.assertEqual(before, _everything(span))
        self.assertEqual([span], spans)
        self.assertFalse(span.is_recording())

    def test_nothing_of_one_is_in_another(self):
        tracer, _spans = self.made()
        first = tracer.start_span('a')
        first.end()
        first.add_event('late')
        first.add_link(_FAR)
        second = tracer.start_span('b')
        second.end()
        self.assertEqual(((), ()), (second.events, second.links))
        self.assertEqual({}, dict(second.attributes))

    def test_values_are_copied_when_they_are_set(self):
        given = {'list': ['mine'], 'text': 'mine'}
        nested = ['mine']
        tracer, _spans = self.made()
        link = trace.Link(_FAR, {'a': nested})
        span = tracer.start_span('a', attributes=given, links=[link])
        span.set_attribute('set', nested)
        span.add_event('e', {'a': nested})
        span.end()

        given['list'].append('theirs')
        given['text'] = 'theirs'
        given['more'] = 'theirs'
        nested[0] = 'theirs'

        self.assertNotIn('theirs', span.to_json())
        self.assertEqual({'a': nested}, dict(link.attributes))

    def test_what_cannot_be_kept_does_not_raise(self):
        endless: list = []
        endless.append(endless)

        class Silent:
            def __str__(self):
                raise RuntimeError('no')

        span, _spans = self.one()
        span.set_attribute('endless', endless)
        span.set_attributes({'silent': Silent(), 'endless': endless, 'a': 1})
        span.add_event('e', {'endless': endless, 'b': 2})
        span.add_link(_FAR, {'endless': endless})
        span.end()

        self.assertEqual(1, span.attributes['a'])
        self.assertEqual(2, span.events[0].attributes['b'])
        self.assertEqual(1, len(span.links))

    def test_values_whose_class_cannot_be_compared(self):
        class Meta(type):
            def __eq__(cls, other):
                raise RuntimeError('no')

        odd = Meta('Odd', (), {})()
        span, _spans = self.one()
        span.set_attributes({'odd': ['a', odd], 'a': 1})
        span.end()

        self.assertEqual(1, span.attributes['a'])

    def test_what_is_ready_is_set_as_all_else_is(self):
        ready = {'b': 2, 'n': ('x' * 200, 'y'), 'd': (0.5, 1.5), 'c': (1, 2)}
        for limits in (
            {},
            {'max_span_attributes': 0},
            {'max_span_attributes': 3},
            {'max_span_attribute_length': 64},
        ):
            found = []
            for name in ('set_ready', 'set_attributes'):
                tracer, _spans = self.made(
                    span_limits=sdk_trace.SpanLimits(**limits)
                )
                span = tracer.start_span('a', attributes={'a': 1, 'b': 1})
                getattr(span, name)(dict(ready))
                span.end()
                getattr(span, name)({'late': 1})
                found.append((dict(span.attributes), span.dropped_attributes))
            self.assertEqual(found[1], found[0])

    def test_many_threads_on_one_span(self):
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1e-5)
        tracer, spans = self.made(
            span_limits=sdk_trace.SpanLimits(max_attributes=8192)
        )
        for _ in range(20):
            span = tracer.start_span('a')
            ready = threading.Barrier(4)

            def use(number, span=span, ready=ready):
                ready.wait(30)
                for n in range(50):
                    span.set_attribute(f'{number}.{n}', n)
                    if n < 20:
                        span.add_event(f'{number}.{n}')
                ready.wait(30)
                span.end()

            threads = [
                threading.Thread(target=use, args=(n,)) for n in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            self.assertEqual(200, len(span.attributes))
            self.assertEqual(80, len(span.events))
        self.assertEqual(20, len(spans))

    def test_it_is_small_while_it_waits(self):
        """Two objects for the garbage collector: itself and its context."""
        tracer, spans = self.made()
        parent = trace.set_span_in_context(trace.NonRecordingSpan(_FAR))
        for _ in range(100):
            tracer.start_span('a', parent, attributes={'a': 'b'}).end()
        gc.collect()
        for span in spans:
            held = [
                found
                for found in gc.get_referents(span)
                if gc.is_tracked(found)
                and sys.getrefcount(found) < 50
                and not isinstance(found, type)
            ]
            self.assertLessEqual(len(held), 2, held)


class ExceptionTest(_Case):
    def _recorded(self, **options):
        spans = self.useFixture(fixture.SpanRecorder('none', **options))
        tracer = spans.tracing.provider.get_tracer('theirs')
        try:
            raise exceptions.InvalidOption('n', 'S3CRET', 'why')
        except exceptions.InvalidOption as error:
            span = tracer.start_span('a')
            span.record_exception(error, {'more': 1})
            with self.assertRaisesRegex(ValueError, 'S3CRET'):
                with span:
                    raise ValueError('S3CRET')
        return span

    def test_what_an_exception_says_is_not_recorded(self):
        span = self._recorded()

        self.assertNotIn('S3CRET', span.to_json())
        first, second = span.events
        self.assertEqual(1, first.attributes['more'])
        self.assertTrue(
            first.attributes['exception.type'].endswith('InvalidOption')
        )
        self.assertIn(__file__, first.attributes['exception.stacktrace'])
        self.assertEqual('ValueError', second.attributes['exception.type'])
        self.assertEqual('ValueError', span.status.description)

    def test_unless_the_operator_wants_it(self):
        span = self._recorded(exception_messages=True)
        self.assertEqual(
            'S3CRET', span.events[1].attributes['exception.message']
        )

    def test_one_that_cannot_be_described(self):
        class Silent(Exception):
            def __str__(self):
                raise RuntimeError('no')

        span, _spans = self.one()
        span.record_exception(Silent())
        span.end()
        self.assertEqual(1, len(span.events))


class CleanTest(_Case):
    """Nobody cleans once more what was looked at when it was set."""

    def setUp(self):
        super().setUp()
        self.cleaner = _clean.Cleaner(support.settings(), lambda: _RESOURCE)

    def _tracer(self):
        tracer, _spans = self.made(
            span_limits=sdk_trace.SpanLimits(max_attribute_length=4096)
        )
        return tracer

    def _same(self, change=lambda span: None, **given):
        tracer = self._tracer()
        span = tracer.start_span(**{'name': 'a', **given})
        change(span)
        span.end()
        return self.cleaner.clean(span) is span and not span.rough

    def test_plain_ones(self):
        self.assertTrue(self._same())
        self.assertTrue(
            self._same(
                lambda span: span.set_attribute('more', 5),
                attributes={'a': 'b', 'c': 1, 'd': 1.5, 'e': False},
            )
        )

    def test_all_others_are_looked_at(self):
        for given in (
            {'name': 'Zürich'},
            {'name': 'x' * 257},
            {'attributes': {'a': '\ud800'}},
            {'attributes': {'a': 2**63}},
            {'attributes': {'\ud800': 1}},
            {'attributes': {'x' * 257: 1}},
            {'attributes': {'a': ['\ud800']}},
            {'links': [trace.Link(_FAR)]},
        ):
            self.assertFalse(self._same(**given), given)
        for change in (
            lambda span: span.set_attribute('a', '\ud800'),
            lambda span: span.set_attribute('\ud800', 1),
            lambda span: span.set_attribute('a', -(2**63) - 1),
            lambda span: span.set_attributes({'a': '\ud800'}),
            lambda span: span.set_attribute('a', ['\ud800']),
            lambda span: span.update_name('\ud800'),
            lambda span: span.add_event('a'),
            lambda span: span.add_link(_FAR),
            lambda span: span.set_status(trace.StatusCode.ERROR, 'why'),
        ):
            self.assertFalse(self._same(change))

    def test_limits_of_another_provider_may_be_wider(self):
        tracer, _spans = self.made()
        span = tracer.start_span('a', attributes={'a': 'x' * 5000})
        span.end()
        self.assertEqual(4096, len(self.cleaner.clean(span).attributes['a']))

    def test_times_and_states_too(self):
        tracer = self._tracer()
        wrong = [
            tracer.start_span('a', start_time=start)
            for start in (-1, 2**63, 'x', time.time_ns())
        ]
        for span in wrong:
            span.end(5)
            clean = self.cleaner.clean(span)
            self.assertIsNot(clean, None)
            self.assertTrue(0 <= clean.start_time < 2**63)
        long = trace.TraceState([(f'k{n}', 'v' * 250) for n in range(9)])
        parent = trace.SpanContext(1, 2, True, trace.TraceFlags(1), long)
        span = tracer.start_span(
            'a', trace.set_span_in_context(trace.NonRecordingSpan(parent))
        )
        span.end()
        state = self.cleaner.clean(span).context.trace_state
        self.assertLessEqual(len(state.to_header()), 512)

    def test_in_a_forked_child_they_belong_to_it(self):
        of_parent = resources.Resource({'process.pid': 1, 'whose': 'parent'})
        of_child = resources.Resource(
            {'process.pid': os.getpid(), 'whose': 'child'}
        )
        cleaner = _clean.Cleaner(support.settings(), lambda: of_child)
        tracer, spans = self.made(
            resource=of_parent,
            span_limits=sdk_trace.SpanLimits(max_attribute_length=4096),
        )
        for name in ('a', 'Zürich', 'b', 'c'):
            tracer.start_span(name).end()
        cleaned = [cleaner.clean(span) for span in spans]
        for span in cleaned:
            self.assertEqual('child', span.resource.attributes['whose'])
        for number in (0, 2, 3):
            self.assertIs(spans[number], cleaned[number])

    def test_what_is_excluded_is_looked_for(self):
        settings = support.settings(excluded_attributes=['secret*'])
        cleaner = _clean.Cleaner(settings, lambda: _RESOURCE)
        tracer = self._tracer()
        span = tracer.start_span('a', attributes={'secret.a': 'x', 'b': 1})
        span.end()
        self.assertEqual({'b': 1}, dict(cleaner.clean(span).attributes))


class _Recording(sampling.Sampler):
    def __init__(self, decision, attributes=None):
        self._result = sampling.SamplingResult(
            decision, attributes, trace.TraceState([('s', 't')])
        )

    def should_sample(self, *args, **kwargs):
        return self._result

    def get_description(self):
        return 'a test'


class TracerTest(_Case):
    def test_only_recorded_is_recorded_and_not_exported(self):
        exported = in_memory_span_exporter.InMemorySpanExporter()
        made = provider.Provider(
            sampler=_Recording(sampling.Decision.RECORD_ONLY),
            shutdown_on_exit=False,
        )
        made.add_span_processor(export.SimpleSpanProcessor(exported))
        keep = _Keep()
        made.add_span_processor(keep)
        span = made.get_tracer('t').start_span('a')
        self.assertTrue(span.is_recording())
        span.end()
        self.assertEqual([span], keep.spans)
        self.assertEqual((), exported.get_finished_spans())

    def test_what_a_sampler_adds(self):
        tracer, _spans = self.made(
            sampler=_Recording(
                sampling.Decision.RECORD_AND_SAMPLE, {'by': 'sampler'}
            )
        )
        span = tracer.start_span('a', attributes={'given': 1})
        self.assertEqual({'by': 'sampler'}, dict(span.attributes))
        self.assertEqual(
            's=t', span.get_span_context().trace_state.to_header()
        )

    def test_what_is_dropped_has_ids_and_no_span(self):
        tracer, spans = self.made(sampler=sampling.ALWAYS_OFF)
        span = tracer.start_span('a')
        self.assertFalse(span.is_recording())
        self.assertTrue(span.get_span_context().is_valid)
        span.end()
        self.assertEqual([], spans)

    def test_a_sampler_that_follows_is_not_asked_again(self):
        asked = []

        class Following(_Recording):
            follows_local = True

            def should_sample(self, *args, **kwargs):
                asked.append(args)
                return super().should_sample(*args, **kwargs)

        tracer, spans = self.made(
            sampler=Following(sampling.Decision.RECORD_AND_SAMPLE)
        )
        with tracer.start_as_current_span('root'):
            with tracer.start_as_current_span('child'):
                tracer.start_span('leaf', attributes={'a': 1}).end()
        self.assertEqual(1, len(asked))
        self.assertEqual(3, len(spans))
        for span in spans:
            self.assertEqual(
                's=t', span.get_span_context().trace_state.to_header()
            )
        dropped = trace.set_span_in_context(
            trace.NonRecordingSpan(trace.SpanContext(1, 2, False))
        )
        self.assertFalse(tracer.start_span('a', dropped).is_recording())
        self.assertEqual(1, len(asked))
        remote = trace.set_span_in_context(trace.NonRecordingSpan(_FAR))
        self.assertTrue(tracer.start_span('a', remote).is_recording())
        self.assertEqual(2, len(asked))

    def test_marks_of_our_traces_are_handed_down(self):
        asked = []

        class Following(_Recording):
            follows_local = True

            def should_sample(self, *args, **kwargs):
                asked.append(args)
                return sampling.SamplingResult(
                    sampling.Decision.RECORD_AND_SAMPLE
                )

        tracer, spans = self.made(
            sampler=marking.Marking(
                Following(sampling.Decision.RECORD_AND_SAMPLE)
            )
        )
        with tracer.start_as_current_span('root'):
            tracer.start_span('leaf').end()
        strangers = trace.set_span_in_context(trace.NonRecordingSpan(_NEAR))
        tracer.start_span('theirs', strangers).end()
        self.assertEqual(
            [True, True, False],
            [w3c.is_ours(span.get_span_context()) for span in spans],
        )
        self.assertEqual(1, len(asked))

    def test_processors_of_others(self):
        seen = []

        class Theirs(sdk_trace.SpanProcessor):
            def on_start(self, span, parent_context=None):
                seen.append('start')
                span.set_attribute('theirs', span.name)

            def on_end(self, span):
                seen.append(('end', span.attributes['theirs']))

            def force_flush(self, timeout_millis=30000):
                return True

        exported = in_memory_span_exporter.InMemorySpanExporter()
        made = provider.Provider(shutdown_on_exit=False, resource=_RESOURCE)
        tracer = made.get_tracer('t')
        made.add_span_processor(Theirs())
        made.add_span_processor(export.BatchSpanProcessor(exported))
        self.addCleanup(made.shutdown)
        with tracer.start_as_current_span('a'):
            pass
        made.force_flush()
        self.assertEqual(['start', ('end', 'a')], seen)
        (span,) = exported.get_finished_spans()
        self.assertEqual('a', span.name)

    def test_there_is_no_hook_after_a_fork_for_each(self):
        registered = []
        self.useFixture(
            fixtures.MonkeyPatch(
                'os.register_at_fork', lambda **hooks: registered.append(hooks)
            )
        )
        provider.Provider(shutdown_on_exit=False, resource=_RESOURCE)
        self.assertEqual([], registered)

    def test_the_tracer_of_a_scope_is_always_the_same(self):
        made = provider.Provider(shutdown_on_exit=False, resource=_RESOURCE)
        self.assertIs(made.get_tracer('a', '1'), made.get_tracer('a', '1'))
        self.assertIsNot(made.get_tracer('a', '1'), made.get_tracer('a', '2'))
        for number in range(3000):
            made.get_tracer(f'a{number}')
        self.assertLess(len(made._tracers), 2000)

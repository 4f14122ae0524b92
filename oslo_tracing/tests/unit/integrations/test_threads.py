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

from concurrent import futures
import functools
import threading

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace
from oslo_privsep import priv_context

import oslo_tracing
from oslo_tracing import context
from oslo_tracing import fixture
from oslo_tracing.integrations import threads
from oslo_tracing import leases
from oslo_tracing import service
from oslo_tracing.tests import base


def _active():
    return trace.get_current_span().get_span_context().span_id


class Noting(threading.Thread):
    """Overrides what ``threading.Thread`` would call."""

    def __init__(self):
        super().__init__()
        self.seen = None

    def run(self):
        self.seen = _active()


class Looping(Noting):
    """A loop of a library."""

    __module__ = 'kombu.transport'


class ThreadsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(
            fixture.SpanRecorder('threads', 'executors')
        )

    def _started_in_a_request(self, thread):
        with oslo_tracing.span('request', root=True) as request:
            thread.start()
        thread.join()
        return request.get_span_context().span_id

    def test_a_thread_runs_in_the_trace_of_who_started_it(self):
        seen = []

        def note():
            seen.append(_active())

        expected = [
            self._started_in_a_request(thread)
            for thread in (
                threading.Thread(target=note),
                threading.Thread(target=functools.partial(note)),
                threading.Timer(0.0, note),
            )
        ]
        self.assertEqual(expected, seen)

    def test_also_a_function_that_privsep_runs(self):
        def note(*args):
            seen.append(_active())

        seen = []
        privileged = priv_context.PrivContext(
            'oslo_tracing', cfg_section='privsep_of_threads', capabilities=[]
        )
        # As in the daemon: the function is called here.
        privileged.set_client_mode(False)
        entrypoint = privileged.entrypoint(note)
        expected = [
            self._started_in_a_request(thread)
            for thread in (
                threading.Thread(target=entrypoint),
                threading.Thread(target=functools.partial(entrypoint, 1)),
            )
        ]
        self.assertEqual(expected, seen)

    def test_also_where_its_class_overrides_run(self):
        thread = Noting()
        self.assertEqual(self._started_in_a_request(thread), thread.seen)

    def test_outside_of_a_trace_it_is_in_none(self):
        thread = Noting()
        thread.start()
        thread.join()
        self.assertEqual(0, thread.seen)
        self.assertEqual([], self.spans.finished)

    def test_nothing_is_left_on_the_thread(self):
        thread = Noting()
        self._started_in_a_request(thread)
        self.assertEqual(
            [], [name for name in vars(thread) if 'oslo_tracing' in name]
        )

    def test_the_loops_of_libraries_are_in_no_trace(self):
        thread = Looping()
        self._started_in_a_request(thread)
        self.assertEqual(0, thread.seen)

    def test_nor_are_those_whose_target_is_one(self):
        seen = []

        def loop():
            seen.append(_active())

        loop.__module__ = 'oslo_messaging._drivers.impl_rabbit'
        self._started_in_a_request(
            threading.Thread(target=functools.partial(loop))
        )
        self.assertEqual([0], seen)

    def test_nor_those_that_a_library_starts(self):
        thread = Noting()
        code = compile('thread.start()', 'heartbeat', 'exec')
        with oslo_tracing.span('request', root=True):
            exec(code, {'__name__': 'amqp.connection', 'thread': thread})
        thread.join()
        self.assertEqual(0, thread.seen)

    def test_the_workers_of_a_pool_are_not_lent_to(self):
        workers = []

        def note():
            workers.append(threading.current_thread())

        with oslo_tracing.span('request', root=True):
            with futures.ThreadPoolExecutor(1) as pool:
                pool.submit(note).result()
        (worker,) = workers
        self.assertNotIn('_oslo_tracing_carried', vars(worker))

    def test_an_exception_passes_to_the_hook(self):
        raised = []
        self.patch(threading, 'excepthook', raised.append)

        def fail():
            raise KeyError('of the service')

        self._started_in_a_request(threading.Thread(target=fail))
        self.assertIs(KeyError, raised[0].exc_type)

    def test_a_thread_that_cannot_be_started_raises_as_ever(self):
        thread = Noting()
        self._started_in_a_request(thread)
        with oslo_tracing.span('request', root=True):
            self.assertRaises(RuntimeError, thread.start)

    def test_where_we_fail_the_thread_runs(self):
        def broken():
            raise RuntimeError('ours')

        self.patch(otel_context, 'get_current', broken)
        ran = threading.Event()
        thread = threading.Thread(target=ran.set)
        thread.start()
        thread.join()
        self.assertTrue(ran.is_set())

    def test_it_comes_off(self):
        service.shutdown()
        for name in ('start', '_bootstrap_inner'):
            self.assertEqual(
                threading.__file__,
                vars(threading.Thread)[name].__code__.co_filename,
            )


class LeaseTest(base.TestCase):
    """What a thread that lives on after its request records."""

    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(
            fixture.SpanRecorder('threads', 'executors')
        )
        self.tracer = self.spans.tracing.tracer('test')

    def _live_on(self, work, request=None):
        """Run work in a thread of a request, some of it after its end.

        :param work: called with a function that waits for the end.
        """
        over = threading.Event()
        thread = threading.Thread(target=work, args=(over.wait,))
        if request is None:
            with oslo_tracing.span('request', root=True) as span:
                thread.start()
        else:
            span = request(thread.start)
        over.set()
        thread.join()
        return span.get_span_context()

    def _record(self, name):
        self.tracer.start_span(name).end()

    def test_it_lasts_after_the_end_of_the_request(self):
        def work(wait):
            wait()
            self._record('late')

        request = self._live_on(work)
        late = self.spans.named('late')
        self.assertEqual(request.span_id, late.parent.span_id)
        self.assertEqual((), late.links)

    def test_when_it_has_run_out_spans_are_roots_with_a_link(self):
        self.patch(leases, 'RUNS_OUT_AFTER', 0.0)

        def work(wait):
            self._record('early')
            wait()
            self._record('late')
            self._record('later')

        request = self._live_on(work)
        early = self.spans.named('early')
        self.assertEqual(request.span_id, early.parent.span_id)
        traces = {request.trace_id}
        for name in ('late', 'later'):
            span = self.spans.named(name)
            self.assertIsNone(span.parent)
            (link,) = span.links
            self.assertEqual(request.span_id, link.context.span_id)
            self.assertEqual(
                'expired', link.attributes['openstack.link.reason']
            )
            traces.add(span.context.trace_id)
        self.assertEqual(3, len(traces))

    def test_then_nothing_else_of_the_request_is_left(self):
        self.patch(leases, 'RUNS_OUT_AFTER', 0.0)
        seen = []

        def look():
            # What the context holds, and what is made of it.
            for current in (
                otel_context.get_current(),
                otel_context.set_value('other', 1),
            ):
                seen.append(baggage.get_all(current))
                seen.append(context.forced(current))
                seen.append('osprofiler' in current)

        def request(start):
            with oslo_tracing.span('request', root=True) as span:
                current = context.force(otel_context.get_current(), True)
                current = baggage.set_baggage('of', 'a tenant', current)
                current = otel_context.set_value('osprofiler', 0, current)
                token = context.enter(current)
                start()
                looked.wait()
                context.leave(token)
            return span

        def work(wait):
            look()
            looked.set()
            wait()
            look()

        looked = threading.Event()
        self._live_on(work, request)
        self.assertEqual([{'of': 'a tenant'}, True, True] * 2, seen[:6])
        self.assertEqual([{}, False, False] * 2, seen[6:])

    def test_then_the_sampler_decides_whoever_asked_for_the_request(self):
        self.patch(leases, 'RUNS_OUT_AFTER', 0.0)
        self.spans.tracing.settings.sample_ratio = 0.0

        def request(start):
            token = context.enter(
                context.force(otel_context.Context(), granted=True)
            )
            with self.tracer.start_as_current_span('request') as span:
                start()
            context.leave(token)
            return span

        def work(wait):
            wait()
            self._record('late')

        self._live_on(work, request)
        self.assertEqual(['request'], [s.name for s in self.spans.finished])

    def test_what_must_not_start_a_trace_does_not(self):
        self.patch(leases, 'RUNS_OUT_AFTER', 0.0)

        def work(wait):
            wait()
            with oslo_tracing.span('own'):
                pass

        self._live_on(work)
        self.assertEqual(['request'], [s.name for s in self.spans.finished])

    def test_the_end_of_the_local_root_counts(self):
        self.patch(leases, 'RUNS_OUT_AFTER', 0.0)
        in_no_trace = threading.Event()

        def request(start):
            root = self.tracer.start_span('request')
            current = context.root(trace.set_span_in_context(root))
            token = context.enter(current)
            with oslo_tracing.span('inner'):
                start()
            self._record('still in the request')
            root.end()
            context.leave(token)
            context.ended(current)
            return root

        def work(wait):
            # The inner span may have ended, the request has not.
            self.assertTrue(_active())
            wait()
            self.assertFalse(_active())
            in_no_trace.set()

        self._live_on(work, request)
        self.assertTrue(in_no_trace.is_set())

    def test_an_unsampled_trace_runs_out_too(self):
        self.spans.tracing.settings.sample_ratio = 0.0
        self.patch(leases, 'RUNS_OUT_AFTER', 0.0)
        seen = []

        def work(wait):
            wait()
            seen.append(_active())

        self._live_on(work)
        self.assertEqual([0], seen)

    def test_submitted_work_never_runs_out(self):
        seen = []
        submitted = threading.Event()

        def slow():
            ended.wait()
            self.patch(leases, 'RUNS_OUT_AFTER', 0.0)
            seen.append(_active())

        def work(wait):
            futures_made.append(pool.submit(slow))
            submitted.set()
            wait()
            ended.set()

        ended, futures_made = threading.Event(), []
        with futures.ThreadPoolExecutor(1) as pool:

            def request(start):
                with oslo_tracing.span('request', root=True) as span:
                    start()
                    submitted.wait()
                return span

            request_context = self._live_on(work, request)
            futures_made[0].result()
        self.assertEqual([request_context.span_id], seen)

    def test_a_thread_can_add_to_the_span_while_it_is_lent(self):
        def request(start):
            with oslo_tracing.span('request', root=True) as span:
                start()
                added.wait()
            return span

        def work(wait):
            span = trace.get_current_span()
            span.set_attribute('one', 1)
            span.set_attributes({'two': 2})
            span.add_event('done')
            span.update_name(f'{span.name} of mine')
            span.add_link(trace.SpanContext(5, 6, False))
            span.record_exception(ValueError())
            span.set_status(trace.StatusCode.ERROR)
            self.assertTrue(span.is_recording())
            span.end()
            added.set()

        added = threading.Event()
        self._live_on(work, request)
        span = self.spans.named('request of mine')
        self.assertEqual(1, span.attributes['one'])
        self.assertEqual(2, span.attributes['two'])
        self.assertEqual('done', span.events[0].name)
        self.assertEqual(6, span.links[0].context.span_id)
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)

    def test_the_table_is_of_modules_and_their_insides(self):
        for name, expected in (
            ('kombu', True),
            ('kombu.transport.pyamqp', True),
            ('kombucha', False),
            ('nova.compute.manager', False),
            (None, False),
        ):
            self.assertIs(expected, threads._is_long_lived(name), name)

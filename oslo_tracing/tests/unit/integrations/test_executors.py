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

import asyncio
from concurrent import futures
from concurrent.futures import thread as pools
import threading

import futurist
from futurist import _futures
from futurist import periodics
from opentelemetry import context as otel_context
from opentelemetry import trace

import oslo_tracing
from oslo_tracing import context
from oslo_tracing import fixture
from oslo_tracing import service
from oslo_tracing.tests import base

POOLS = {
    'standard': lambda: futures.ThreadPoolExecutor(1),
    'futurist': lambda: futurist.ThreadPoolExecutor(1),
    'green': lambda: futurist.GreenThreadPoolExecutor(1),
}
if hasattr(futurist, 'DynamicThreadPoolExecutor'):
    POOLS['dynamic'] = lambda: futurist.DynamicThreadPoolExecutor(2)


def _active():
    return trace.get_current_span().get_span_context().span_id


class Raises:
    """Periodic work of a class without functions."""

    _is_periodic = True
    _periodic_spacing = 1
    _periodic_run_immediately = True

    def __call__(self):
        raise ValueError('of the service')


class PoolsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(fixture.SpanRecorder('executors'))

    def _pools(self):
        for name, make in POOLS.items():
            pool = make()
            self.addCleanup(pool.shutdown, wait=False)
            yield name, pool

    def test_a_call_runs_in_the_trace_of_who_submitted_it(self):
        for name, pool in self._pools():
            with oslo_tracing.span('request', root=True) as request:
                future = pool.submit(_active)
            self.assertEqual(
                request.get_span_context().span_id, future.result(), name
            )

    def test_a_worker_keeps_no_trace(self):
        for name, pool in self._pools():
            with oslo_tracing.span('request', root=True):
                pool.submit(_active).result()
            self.assertEqual(0, pool.submit(_active).result(), name)

    def test_what_a_call_leaves_behind_is_not_for_the_next(self):
        def leave():
            span = trace.NonRecordingSpan(trace.SpanContext(7, 7, False))
            context.attach(span)

        for name, pool in self._pools():
            pool.submit(leave).result()
            self.assertEqual(0, pool.submit(_active).result(), name)

    def test_each_call_has_its_own(self):
        for name, pool in self._pools():
            expected, submitted = [], []
            for _n in range(3):
                with oslo_tracing.span('request', root=True) as request:
                    expected.append(request.get_span_context().span_id)
                    submitted.append(pool.submit(_active))
            self.assertEqual(expected, [f.result() for f in submitted], name)

    def test_results_errors_and_arguments_pass(self):
        def work(*args, **kwargs):
            return args, kwargs

        def fail():
            raise error

        error = KeyError('of the service')
        for name, pool in self._pools():
            future = pool.submit(work, 1, pool=2, function=3)
            self.assertEqual(
                ((1,), {'pool': 2, 'function': 3}), future.result(), name
            )
            self.assertIs(error, pool.submit(fail).exception(), name)

    def test_a_function_given_by_name(self):
        pool = futurist.ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown, wait=False)
        with oslo_tracing.span('request', root=True) as request:
            found = pool.submit(fn=_active).result()
        self.assertEqual(request.get_span_context().span_id, found)

    def test_map_and_run_in_executor(self):
        async def request(pool):
            loop = asyncio.get_running_loop()
            with oslo_tracing.span('request', root=True) as span:
                return span.get_span_context().span_id, [
                    await loop.run_in_executor(pool, _active),
                    await loop.run_in_executor(None, _active),
                    await asyncio.to_thread(_active),
                    *pool.map(lambda _n: _active(), range(2)),
                ]

        with futures.ThreadPoolExecutor(2) as pool:
            expected, found = asyncio.run(request(pool))
        self.assertEqual([expected] * 5, found)

    def test_tasks_keep_it_and_do_not_share_it(self):
        async def child():
            await asyncio.sleep(0)
            return _active()

        async def request():
            with oslo_tracing.span('request', root=True) as span:
                found = await asyncio.gather(
                    child(), asyncio.create_task(child())
                )
                return [span.get_span_context().span_id] * 2 == found

        async def main():
            return await asyncio.gather(*(request() for _n in range(20)))

        self.assertEqual([True] * 20, asyncio.run(main()))

    def test_suppression_travels_too(self):
        with futures.ThreadPoolExecutor(1) as pool:
            token = context.suppress()
            try:
                future = pool.submit(context.is_suppressed)
            finally:
                context.detach(token)
            self.assertTrue(future.result())
            self.assertFalse(pool.submit(context.is_suppressed).result())

    def test_where_the_context_cannot_be_read_the_call_is_made(self):
        def broken():
            raise RuntimeError('ours')

        pool = futures.ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown, wait=False)
        self.patch(otel_context, 'get_current', broken)
        self.assertEqual(3, pool.submit(max, 1, 3).result())

    def test_it_comes_off(self):
        service.shutdown()
        for module, names in (
            (pools, ('ThreadPoolExecutor',)),
            (_futures, ('ThreadPoolExecutor', 'GreenThreadPoolExecutor')),
        ):
            for name in names:
                submit = vars(getattr(module, name))['submit']
                self.assertEqual(module.__file__, submit.__code__.co_filename)
        call = vars(periodics.Work)['__call__']
        self.assertEqual(periodics.__file__, call.__code__.co_filename)


class PeriodicsTest(base.TestCase):
    def _run(self, *callbacks):
        """Run each callback once, in a worker as services have them."""
        worker = periodics.PeriodicWorker(
            [(callback, (), {}) for callback in callbacks],
            executor_factory=futurist.SynchronousExecutor,
        )
        done = threading.Event()

        @periodics.periodic(1, run_immediately=True)
        def last():
            worker.stop()
            done.set()
            raise periodics.NeverAgain('done')

        worker.add(last)
        worker.start()
        self.assertTrue(done.is_set())

    def test_each_run_is_a_trace(self):
        spans = self.useFixture(
            fixture.SpanRecorder('executors', sampling_rules=[])
        )
        seen = []

        @periodics.periodic(1, run_immediately=True)
        def sync_power_states():
            seen.append(trace.get_current_span().get_span_context())

        self._run(sync_power_states)
        span = spans.named('periodic sync_power_states')
        self.assertIsNone(span.parent)
        self.assertEqual(trace.SpanKind.INTERNAL, span.kind)
        self.assertEqual(
            'oslo_tracing.executors', span.instrumentation_scope.name
        )
        self.assertEqual([span.context.span_id], [one.span_id for one in seen])
        self.assertTrue(
            span.attributes['code.function.name'].endswith('sync_power_states')
        )
        # Nor is it an error to say that it need not run again.
        last = spans.named('periodic last')
        self.assertNotEqual(span.context.trace_id, last.context.trace_id)
        self.assertEqual(trace.StatusCode.UNSET, last.status.status_code)
        self.assertEqual(0, _active())

    def test_by_default_runs_are_not_recorded(self):
        spans = self.useFixture(fixture.SpanRecorder('executors'))
        seen = []

        @periodics.periodic(1, run_immediately=True)
        def sync_power_states():
            # What it asks of others is told that it is not.
            seen.append(trace.get_current_span().get_span_context())

        self._run(sync_power_states)
        self.assertEqual([], spans.finished)
        self.assertTrue(seen[0].is_valid)
        self.assertFalse(seen[0].trace_flags.sampled)

    def test_a_rule_names_the_function(self):
        spans = self.useFixture(
            fixture.SpanRecorder(
                'executors',
                sampling_rules=['periodic "sync_*" 1', 'periodic "*" 0'],
            )
        )

        @periodics.periodic(1, run_immediately=True)
        def sync_power_states():
            pass

        self._run(sync_power_states)
        self.assertEqual(
            ['periodic sync_power_states'],
            [span.name for span in spans.finished],
        )

    def test_a_run_that_fails_is_marked(self):
        spans = self.useFixture(
            fixture.SpanRecorder('executors', sampling_rules=[])
        )
        self._run(Raises())
        span = spans.finished[0]
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual('ValueError', span.attributes['error.type'])

    def test_in_a_request_it_is_part_of_it(self):
        spans = self.useFixture(
            fixture.SpanRecorder('executors', sampling_rules=[])
        )
        with oslo_tracing.span('request', root=True):
            self._run()
        self.assertEqual(['request'], [span.name for span in spans.finished])

    def test_off_by_option(self):
        spans = self.useFixture(
            fixture.SpanRecorder(
                'executors', sampling_rules=[], trace_periodic=False
            )
        )
        self._run()
        self.assertEqual([], spans.finished)

    def test_a_broken_tracer_does_not_reach_the_work(self):
        spans = self.useFixture(
            fixture.SpanRecorder('executors', sampling_rules=[])
        )

        def broken(*args, **kwargs):
            raise RuntimeError('ours')

        sampler = spans.tracing.provider.sampler
        self.patch(sampler, 'should_sample', broken)
        self._run()
        self.assertEqual([], spans.finished)

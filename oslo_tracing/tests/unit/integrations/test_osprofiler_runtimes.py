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

"""Points have the right parents in every runtime of a service."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading

import eventlet
import futurist
from opentelemetry import trace
from osprofiler import profiler

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing.tests import base

_ROUNDS = 20


@profiler.trace('inner')
def inner(pause):
    pause()


@profiler.trace('outer')
def outer(pause):
    pause()
    inner(pause)
    pause()


class RuntimesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        profiler.clean()
        self.spans = self.useFixture(fixture.SpanRecorder(sample_ratio=1.0))

    def check(self, count):
        """Each request has its two points, one below the other."""
        by_id = {s.context.span_id: s for s in self.spans.finished}
        self.assertEqual(3 * count, len(by_id))
        seen = set()
        for span in by_id.values():
            if span.name.startswith('inner'):
                middle = by_id[span.parent.span_id]
                self.assertTrue(middle.name.startswith('outer'))
                request = by_id[middle.parent.span_id]
                self.assertTrue(request.name.startswith('request'))
                self.assertIsNone(request.parent)
                seen.add(request.context.trace_id)
        self.assertEqual(count, len(seen))
        self.assertFalse(trace.get_current_span().get_span_context().is_valid)

    def test_green_threads(self):
        def pause():
            eventlet.sleep(0)

        def request():
            with oslo_tracing.span('request', root=True):
                eventlet.spawn(outer, pause).wait()

        pool = eventlet.GreenPool()
        for _n in range(_ROUNDS):
            pool.spawn(request)
        pool.waitall()
        self.check(_ROUNDS)

    def test_interleaved_points_of_green_threads(self):
        def request():
            with oslo_tracing.span('request', root=True):
                outer(lambda: eventlet.sleep(0))

        pool = eventlet.GreenPool()
        for _n in range(_ROUNDS):
            pool.spawn_n(request)
        pool.waitall()
        self.check(_ROUNDS)

    def test_each_green_thread_has_a_profiler_of_its_own(self):
        # The storage of osprofiler is that of the thread, where its module
        # was imported before eventlet has patched it.
        def request():
            with oslo_tracing.span('request', root=True):
                profiler.init('key')
                eventlet.sleep(0)
                trace_id = oslo_tracing.current_trace_id()
                base_id = profiler.get().get_base_id()
                eventlet.sleep(0)
                return base_id.replace('-', '') == trace_id

        found = [eventlet.spawn(request) for _n in range(15)]
        self.assertEqual([True] * 15, [one.wait() for one in found])
        self.assertIsNone(profiler.get())

    def test_bare_threads(self):
        together = threading.Barrier(4)

        def request():
            with oslo_tracing.span('request', root=True):
                thread = threading.Thread(
                    target=outer, args=(lambda: together.wait(60),)
                )
                thread.start()
                thread.join()

        threads = [threading.Thread(target=request) for _n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.check(4)

    def test_pools(self):
        for make in (
            concurrent.futures.ThreadPoolExecutor,
            futurist.ThreadPoolExecutor,
            futurist.GreenThreadPoolExecutor,
            futurist.SynchronousExecutor,
        ):
            self.spans.clear()
            pool = make()
            self.addCleanup(pool.shutdown)
            for _n in range(_ROUNDS):
                with oslo_tracing.span('request', root=True):
                    done = pool.submit(outer, lambda: None)
                    done.result()
            self.check(_ROUNDS)

    def test_tasks(self):
        @profiler.trace('inner')
        async def async_inner():
            await asyncio.sleep(0)

        @profiler.trace('outer')
        async def async_outer():
            await asyncio.sleep(0)
            await asyncio.create_task(async_inner())

        async def request():
            with oslo_tracing.span('request', root=True):
                await async_outer()

        async def serve():
            await asyncio.gather(*(request() for _n in range(_ROUNDS)))

        asyncio.run(serve())
        self.check(_ROUNDS)

    def test_threads_of_a_loop(self):
        async def request():
            with oslo_tracing.span('request', root=True):
                await asyncio.to_thread(outer, lambda: None)

        async def serve():
            await asyncio.gather(*(request() for _n in range(_ROUNDS)))

        asyncio.run(serve())
        self.check(_ROUNDS)

    def test_nobody_ends_what_another_has_begun(self):
        def stop():
            profiler.stop()
            profiler.stop()

        with concurrent.futures.ThreadPoolExecutor() as pool:
            with oslo_tracing.span('request', root=True):
                profiler.start('outer')
                pool.submit(stop).result()
                eventlet.spawn(stop).wait()
                contextvars.copy_context().run(stop)
                profiler.start('inner')
                profiler.stop()
                self.assertEqual(1, len(self.spans.finished))
                profiler.stop()
        self.check(1)

    def test_a_point_may_be_begun_here_and_ended_nowhere(self):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            with oslo_tracing.span('request', root=True):
                pool.submit(profiler.start, 'lost').result()
            self.spans.clear()
            with oslo_tracing.span('request', root=True):
                pool.submit(outer, lambda: None).result()
        self.check(1)

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

"""Requests of two tenants at once, in one runtime, over every hand-off.

A program: ``python -m oslo_tracing.tests.functional.runtimes RUNTIME STORE``
prints, as JSON, what became of the trace and of the request context.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

RUNTIME, STORE = sys.argv[1:3] if len(sys.argv) > 2 else ('', '')
if RUNTIME == 'eventlet':
    import eventlet

    eventlet.monkey_patch()

from concurrent import futures  # noqa: E402
import functools  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from opentelemetry import trace  # noqa: E402
from oslo_context import context as oslo_context  # noqa: E402

import oslo_tracing  # noqa: E402
from oslo_tracing import fixture  # noqa: E402
from oslo_tracing import middleware  # noqa: E402

REQUESTS = 1000
AT_ONCE = 20
TENANTS = ('red', 'blue')


class Noted:
    """What was seen where the work of the requests ran."""

    def __init__(self, recorder):
        self._recorder = recorder
        self.expected = {}
        self.users = {}
        #: Trace and user where nobody had handed over either.
        self.left = []

    def work(self, number):
        time.sleep(0)
        current = oslo_context.get_current()
        self.users[number] = None if current is None else current.user_id
        with oslo_tracing.span('work', {'number': number}):
            time.sleep(0)

    def outside(self):
        current = oslo_context.get_current()
        self.left.append(
            (
                trace.get_current_span().get_span_context().trace_id,
                None if current is None else current.user_id,
            )
        )

    def told(self):
        """Return how many spans are wrong, and whose contexts were seen."""
        parents = {
            span.attributes['number']: span.parent.span_id
            for span in self._recorder.finished
            if span.name == 'work' and span.parent is not None
        }
        wrong = [
            number
            for number, span_id in self.expected.items()
            if parents.get(number) != span_id
        ]
        users = set()
        for number in self.expected:
            seen = self.users.get(number)
            own = seen == tenant(number)
            users.add('own' if own else 'none' if seen is None else 'other')
        traces = {
            span.context.trace_id
            for span in self._recorder.finished
            if span.name == 'work'
        }
        answer = users.pop() if len(users) == 1 else 'other'
        return {
            'requests': len(self.expected),
            'wrong': len(wrong),
            'leaks': sum(left[0] in traces for left in self.left),
            'context': answer,
            'context_leaks': sum(left[1] is not None for left in self.left),
        }


def tenant(number):
    return TENANTS[number % 2]


def in_thread(kind):
    def hand(work):
        thread = kind(work)
        thread.start()
        thread.join()

    return hand


def in_pool(pool):
    return lambda work: pool.submit(work).result()


def looping(loops):
    def hand(work):
        def run():
            work()
            raise loops.LoopingCallDone()

        call = loops.FixedIntervalLoopingCall(run)
        call.start(interval=0)
        call.wait()

    return hand


def grouped(group):
    def hand(work):
        done = threading.Event()
        group.add_thread(lambda: (work(), done.set()))
        done.wait()

    return hand


def in_engine(pool):
    from taskflow import engines
    from taskflow.patterns import unordered_flow
    from taskflow import task

    def hand(work):
        flow = unordered_flow.Flow('flow').add(task.FunctorTask(work))
        engines.run(flow, engine='parallel', executor=pool)

    return hand


def common():
    import futurist

    yield 'threading.Thread', in_thread(lambda f: threading.Thread(target=f))
    yield 'threading.Timer', in_thread(lambda f: threading.Timer(0, f))
    pool = futures.ThreadPoolExecutor(4)
    yield 'concurrent.futures.ThreadPoolExecutor', in_pool(pool)
    yield (
        'futurist.ThreadPoolExecutor',
        in_pool(futurist.ThreadPoolExecutor(4)),
    )
    dynamic = futurist.DynamicThreadPoolExecutor(4)
    yield 'futurist.DynamicThreadPoolExecutor', in_pool(dynamic)
    yield 'taskflow, parallel engine', in_engine(pool)


def real():
    from oslo_service.backend._threading import loopingcall
    from oslo_service.backend._threading import threadgroup

    yield from common()
    yield 'oslo.service ThreadGroup', grouped(threadgroup.ThreadGroup())
    yield 'oslo.service looping call', looping(loopingcall)


def green():
    from eventlet import tpool
    import futurist
    from oslo_service.backend._eventlet import loopingcall
    from oslo_service.backend._eventlet import threadgroup

    class Library:
        def call(self, work):
            work()

    def spawned(spawn):
        def hand(work):
            done = eventlet.Event()
            spawn(lambda: (work(), done.send()))
            done.wait()

        return hand

    yield from common()
    pool = futurist.GreenThreadPoolExecutor(4)
    yield 'futurist.GreenThreadPoolExecutor', in_pool(pool)
    yield 'eventlet.spawn', spawned(eventlet.spawn)
    yield 'eventlet.spawn_n', spawned(eventlet.spawn_n)
    after = functools.partial(eventlet.spawn_after, 0)
    yield 'eventlet.spawn_after', spawned(after)
    yield 'GreenPool.spawn', spawned(eventlet.GreenPool(4).spawn)
    yield 'GreenPool.spawn_n', spawned(eventlet.GreenPool(4).spawn_n)
    yield 'GreenPile.spawn', spawned(eventlet.GreenPile(4).spawn)
    yield 'tpool.execute', tpool.execute
    yield 'tpool.Proxy', tpool.Proxy(Library()).call
    yield 'oslo.service ThreadGroup', grouped(threadgroup.ThreadGroup())
    yield 'oslo.service looping call', looping(loopingcall)


def tasks():
    async def in_task(work):
        async def task():
            await asyncio.sleep(0)
            work()

        await asyncio.create_task(task())

    async def soon(work):
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        loop.call_soon(lambda: (work(), done.set_result(None)))
        await done

    async def in_executor(work):
        await asyncio.get_running_loop().run_in_executor(None, work)

    async def in_thread(kind, work):
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def run():
            work()
            loop.call_soon_threadsafe(done.set_result, None)

        kind(run).start()
        await done

    async def submitted(work):
        await asyncio.wrap_future(pool.submit(work))

    pool = futures.ThreadPoolExecutor(4)
    yield 'asyncio.create_task', in_task
    yield 'loop.call_soon', soon
    yield 'asyncio.to_thread', asyncio.to_thread
    yield 'loop.run_in_executor', in_executor
    yield (
        'threading.Thread',
        functools.partial(
            in_thread, lambda function: threading.Thread(target=function)
        ),
    )
    yield (
        'threading.Timer',
        functools.partial(
            in_thread, lambda function: threading.Timer(0, function)
        ),
    )
    yield 'concurrent.futures.ThreadPoolExecutor', submitted


def serve(hand, noted):
    """Answer the requests on so many threads, over the WSGI middleware."""

    def application(environ, start_response):
        number = int(environ['QUERY_STRING'])
        current = trace.get_current_span().get_span_context()
        noted.expected[number] = current.span_id
        oslo_context.RequestContext(user_id=tenant(number))
        hand(functools.partial(noted.work, number))
        start_response('200 OK', [])
        return []

    served = middleware.TracingMiddleware(application, {})

    def serving(first):
        for number in range(first, REQUESTS, AT_ONCE):
            environ = {
                'REQUEST_METHOD': 'GET',
                'PATH_INFO': '/',
                'QUERY_STRING': str(number),
            }
            served(environ, lambda status, headers: None)

    servers = [
        threading.Thread(target=serving, args=(first,))
        for first in range(AT_ONCE)
    ]
    for server in servers:
        server.start()
    for server in servers:
        server.join()
    for _n in range(AT_ONCE):
        hand(noted.outside)


async def serve_tasks(hand, noted):
    """Answer the requests in so many tasks."""

    async def serving(first):
        for number in range(first, REQUESTS, AT_ONCE):
            await asyncio.create_task(request(number))

    async def request(number):
        with oslo_tracing.span('request', root=True) as span:
            noted.expected[number] = span.get_span_context().span_id
            oslo_context.RequestContext(user_id=tenant(number))
            await asyncio.sleep(0)
            await hand(functools.partial(noted.work, number))

    await asyncio.gather(*(serving(first) for first in range(AT_ONCE)))
    for _n in range(AT_ONCE):
        await hand(noted.outside)


def measure(primitives, serve):
    recorder = fixture.SpanRecorder(context_store=STORE)
    recorder.setUp()
    found = {}
    for name, hand in primitives:
        recorder.clear()
        noted = Noted(recorder)
        serve(hand, noted)
        found[name] = noted.told()
    return found


async def measure_tasks():
    recorder = fixture.SpanRecorder(context_store=STORE)
    recorder.setUp()
    found = {}
    for name, hand in tasks():
        recorder.clear()
        noted = Noted(recorder)
        await serve_tasks(hand, noted)
        found[name] = noted.told()
    return found


def main():
    if RUNTIME == 'asyncio':
        found = asyncio.run(measure_tasks())
    elif RUNTIME == 'eventlet':
        found = measure(green(), serve)
    else:
        found = measure(real(), serve)
    print(json.dumps(found))
    sys.stdout.flush()
    # Neither the hub nor a pool has anything more to say.
    os._exit(0)


if __name__ == '__main__':
    main()

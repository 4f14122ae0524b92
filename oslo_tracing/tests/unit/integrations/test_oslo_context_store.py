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

"""Where oslo.context keeps the request context, and what goes with it."""

from __future__ import annotations

import asyncio
from concurrent import futures
import threading

import eventlet
from opentelemetry import trace
from oslo_context import context as oslo_context

import oslo_tracing
from oslo_tracing import context
from oslo_tracing import fixture
from oslo_tracing import leases
from oslo_tracing import middleware
from oslo_tracing import service
from oslo_tracing.tests import base


def _active():
    return trace.get_current_span().get_span_context().span_id


def _user():
    current = oslo_context.get_current()
    return None if current is None else current.user_id


def _made_in_a_request():
    with oslo_tracing.span('request', root=True) as request:
        made = oslo_context.RequestContext(overwrite=False)
    return request.get_span_context().span_id, made


class RestoreTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(fixture.SpanRecorder())
        self.pool = futures.ThreadPoolExecutor(1)
        self.addCleanup(self.pool.shutdown)

    def test_work_that_has_lost_its_trace_gets_it_back(self):
        expected, made = _made_in_a_request()

        def work():
            before = _active()
            made.update_store()
            return before, _active()

        self.assertEqual((0, expected), self.pool.submit(work).result())
        self.assertEqual(0, self.pool.submit(_active).result())
        self.assertEqual((0, expected), eventlet.spawn(work).wait())
        self.assertEqual(0, _active())

    def test_not_outside_of_a_unit_of_work(self):
        _expected, made = _made_in_a_request()
        made.update_store()
        self.assertEqual(0, _active())
        seen = []

        def work():
            made.update_store()
            seen.append(_active())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual([0], seen)

    def test_not_where_a_span_is_active(self):
        _expected, made = _made_in_a_request()

        def work():
            made.update_store()
            return _active()

        with oslo_tracing.span('other', root=True) as other:
            work()
            self.assertEqual(other.get_span_context().span_id, _active())
            future = self.pool.submit(work)
        self.assertEqual(other.get_span_context().span_id, future.result())

    def test_a_loop_has_the_trace_of_its_latest_request(self):
        first, made_first = _made_in_a_request()
        second, made_second = _made_in_a_request()
        untraced = oslo_context.RequestContext(overwrite=False)

        def loop():
            for made in (made_first, made_second, untraced, made_first):
                made.update_store()
                yield _active()

        self.assertEqual(
            [first, second, 0, first],
            self.pool.submit(lambda: list(loop())).result(),
        )

    def test_not_where_nothing_is_to_be_recorded(self):
        _expected, made = _made_in_a_request()

        def work():
            made.update_store()
            return _active()

        token = context.suppress()
        try:
            future = self.pool.submit(work)
        finally:
            context.detach(token)
        self.assertEqual(0, future.result())

    def test_where_we_fail_it_is_stored_as_ever(self):
        made = oslo_context.RequestContext(overwrite=False)

        def broken():
            raise RuntimeError('ours')

        self.patch(context.otel_context, 'get_current', broken)
        made.update_store()
        self.assertIs(made, oslo_context.get_current())


class StoreTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.original = oslo_context._request_store
        self.useFixture(fixture.SpanRecorder(context_store='contextvars'))
        self.pool = futures.ThreadPoolExecutor(1)
        self.addCleanup(self.pool.shutdown)

    def test_each_task_has_its_own(self):
        async def request(user):
            oslo_context.RequestContext(user_id=user)
            await asyncio.sleep(0)
            children = await asyncio.gather(
                asyncio.create_task(self._user()),
                asyncio.to_thread(_user),
                asyncio.get_running_loop().run_in_executor(None, _user),
            )
            return [_user(), *children] == [user] * 4

        async def main():
            users = [f'user-{number}' for number in range(50)]
            found = await asyncio.gather(*(request(user) for user in users))
            return found, _user()

        self.assertEqual(([True] * 50, None), asyncio.run(main()))

    async def _user(self):
        await asyncio.sleep(0)
        return _user()

    def test_it_is_handed_on_with_the_work_and_gone_with_it(self):
        oslo_context.RequestContext(user_id='me')
        green = eventlet.spawn(_user)
        future = self.pool.submit(_user)

        def other():
            oslo_context.RequestContext(user_id='other')
            return _user()

        self.assertEqual('me', future.result())
        self.assertEqual('me', green.wait())
        self.assertEqual('other', self.pool.submit(other).result())
        oslo_context._request_store.context = None
        self.assertIsNone(self.pool.submit(_user).result())
        self.assertIsNone(eventlet.spawn(_user).wait())

    def test_a_thread_has_it_for_as_long_as_the_trace(self):
        self.patch(leases, 'RUNS_OUT_AFTER', 0.0)
        over = threading.Event()
        started = threading.Event()
        seen = []

        def work():
            seen.append(_user())
            started.set()
            over.wait()
            seen.append(_user())
            seen.append(self.pool.submit(_user).result())

        thread = threading.Thread(target=work)
        with oslo_tracing.span('request', root=True):
            oslo_context.RequestContext(user_id='me')
            thread.start()
            started.wait()
        over.set()
        thread.join()
        self.assertEqual(['me', None, None], seen)

    def test_a_request_leaves_none_behind_and_its_body_has_it(self):
        seen = []

        def application(environ, start_response):
            oslo_context.RequestContext(user_id='me')
            start_response('200 OK', [])

            def body():
                seen.append(_user())
                yield b''

            return body()

        wrapped = middleware.TracingMiddleware(application, {})
        body = wrapped(
            {'REQUEST_METHOD': 'GET', 'PATH_INFO': '/'}, lambda *args: None
        )
        self.assertIsNone(_user())
        list(body)
        body.close()
        self.assertEqual(['me'], seen)
        self.assertIsNone(_user())

    def test_it_comes_off(self):
        oslo_context.RequestContext(user_id='me')
        service.shutdown()
        self.assertIs(self.original, oslo_context._request_store)
        self.assertIsNone(oslo_context.get_current())

    def test_what_was_stored_before_is_there(self):
        service.shutdown()
        made = oslo_context.RequestContext(user_id='early')
        self.useFixture(fixture.SpanRecorder(context_store='contextvars'))
        self.assertIs(made, oslo_context.get_current())

    def test_who_replaced_the_store_since_keeps_theirs(self):
        theirs = threading.local()
        oslo_context._request_store = theirs
        self.addCleanup(setattr, oslo_context, '_request_store', self.original)
        service.shutdown()
        self.assertIs(theirs, oslo_context._request_store)


class ChoiceTest(base.TestCase):
    def _store(self, **options):
        recorder = self.useFixture(fixture.SpanRecorder(**options))
        return recorder.tracing.settings.context_store

    def test_a_thread_by_default(self):
        before = oslo_context._request_store
        self.assertEqual('thread', self._store())
        self.assertIs(before, oslo_context._request_store)

    def test_tasks_where_a_loop_runs(self):
        async def main():
            return self._store(), self._store(context_store='thread')

        self.assertEqual(('contextvars', 'thread'), asyncio.run(main()))

    def test_without_the_seam_the_rest_works(self):
        original = oslo_context._request_store
        del oslo_context._request_store
        self.addCleanup(setattr, oslo_context, '_request_store', original)
        self.useFixture(
            fixture.SpanRecorder('oslo_context', context_store='contextvars')
        )
        oslo_context._request_store = original
        made = oslo_context.RequestContext()
        self.assertIs(made, oslo_context.get_current())

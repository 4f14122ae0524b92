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

import subprocess
import sys
import textwrap

import eventlet
from eventlet import greenthread
from eventlet import tpool
from opentelemetry import context as otel_context
from opentelemetry import trace

import oslo_tracing
from oslo_tracing import context
from oslo_tracing import fixture
from oslo_tracing import service
from oslo_tracing.tests import base


def _active():
    return trace.get_current_span().get_span_context().span_id


class Library:
    def active(self):
        return _active()


class EventletTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(fixture.SpanRecorder('eventlet'))

    def _in_a_request(self, spawn):
        """Call ``spawn`` with what notes where it runs; wait for that."""
        noted = eventlet.Queue()
        with oslo_tracing.span('request', root=True) as request:
            spawn(lambda: noted.put(_active()))
            expected = request.get_span_context().span_id
        return expected, noted.get(timeout=10)

    def test_a_green_thread_runs_in_the_trace_of_who_spawned_it(self):
        pool = eventlet.GreenPool()
        pile = eventlet.GreenPile(pool)
        for spawn in (
            eventlet.spawn,
            eventlet.spawn_n,
            greenthread.spawn,
            lambda function: eventlet.spawn_after(0, function),
            lambda function: greenthread.spawn_after_local(0, function),
            pool.spawn,
            pool.spawn_n,
            pile.spawn,
        ):
            expected, found = self._in_a_request(spawn)
            self.assertEqual(expected, found, spawn)
            found = eventlet.Queue()
            spawn(lambda found=found: found.put(_active()))
            self.assertEqual(0, found.get(timeout=10), spawn)

    def test_a_full_pool_runs_it_in_place(self):
        pool = eventlet.GreenPool(1)

        def outer():
            with oslo_tracing.span('request', root=True) as request:
                inner = pool.spawn(_active)
                return request.get_span_context().span_id, inner.wait()

        expected, found = pool.spawn(outer).wait()
        self.assertEqual(expected, found)

    def test_imap_of_a_pool(self):
        pool = eventlet.GreenPool(2)
        with oslo_tracing.span('request', root=True) as request:
            found = list(pool.imap(lambda _n: _active(), range(4)))
        self.assertEqual([request.get_span_context().span_id] * 4, found)

    def test_interleaved_requests_keep_to_themselves(self):
        def request():
            with oslo_tracing.span('request', root=True) as span:
                eventlet.sleep(0)
                found = [eventlet.spawn(_active) for _n in range(2)]
                eventlet.sleep(0)
                expected = span.get_span_context().span_id
                return [expected] * 2 == [one.wait() for one in found]

        pool = eventlet.GreenPool()
        requests = [pool.spawn(request) for _n in range(50)]
        self.assertEqual([True] * 50, [one.wait() for one in requests])

    def test_the_thread_pool_of_eventlet(self):
        with oslo_tracing.span('request', root=True) as request:
            found = [
                tpool.execute(_active),
                tpool.Proxy(Library()).active(),
            ]
        self.assertEqual([request.get_span_context().span_id] * 2, found)
        self.assertEqual(
            [0] * 30, [tpool.execute(_active) for _n in range(30)]
        )

    def test_results_errors_and_links_pass(self):
        def fail(*args, **kwargs):
            raise KeyError(args, kwargs)

        linked = []
        thread = eventlet.spawn(max, 1, 3)
        thread.link(lambda done, *args: linked.append(args), 'with')
        self.assertEqual(3, thread.wait())
        self.assertEqual([('with',)], linked)
        thread = eventlet.spawn(fail, 1, thread=2, function=3)
        error = self.assertRaises(KeyError, thread.wait)
        self.assertEqual(((1,), {'thread': 2, 'function': 3}), error.args)
        error = self.assertRaises(KeyError, tpool.execute, fail, 1, args=2)
        self.assertEqual(((1,), {'args': 2}), error.args)

    def test_a_killed_green_thread_leaves_nothing(self):
        started = eventlet.Event()

        def wait():
            started.send()
            eventlet.sleep(60)

        with oslo_tracing.span('request', root=True):
            thread = eventlet.spawn(wait)
            started.wait()
            thread.kill()
        self.assertTrue(thread.dead)
        self.assertEqual(0, _active())

    def test_where_the_context_cannot_be_read_it_is_spawned(self):
        def broken():
            raise RuntimeError('ours')

        done = eventlet.Queue()
        get_current = otel_context.get_current
        otel_context.get_current = broken
        try:
            thread = eventlet.spawn(max, 1, 3)
            eventlet.spawn_n(done.put, 4)
        finally:
            otel_context.get_current = get_current
        self.assertEqual(3, thread.wait())
        self.assertEqual(4, done.get(timeout=10))

    def test_a_span_that_is_suppressed_stays_so(self):
        token = context.suppress()
        try:
            thread = eventlet.spawn(context.is_suppressed)
        finally:
            context.detach(token)
        self.assertTrue(thread.wait())
        self.assertFalse(eventlet.spawn(context.is_suppressed).wait())

    def test_it_comes_off(self):
        service.shutdown()
        for owner, name in (
            (greenthread.GreenThread, '__init__'),
            (greenthread.GreenThread, 'main'),
            (greenthread, '_spawn_n'),
        ):
            function = vars(owner)[name]
            self.assertEqual(
                greenthread.__file__, function.__code__.co_filename
            )
        self.assertEqual(tpool.__file__, tpool.execute.__code__.co_filename)

    def test_eventlet_is_attached_to_when_it_is_imported_and_not_before(self):
        script = """
            import sys

            class No:
                def find_spec(self, name, path=None, target=None):
                    if name == 'eventlet':
                        raise AssertionError('imported')

            no = No()
            sys.meta_path.insert(0, no)
            from oslo_config import cfg
            import oslo_tracing
            from oslo_tracing import fixture

            spans = fixture.SpanRecorder('eventlet', 'threads', 'executors')
            spans.setUp()
            assert 'eventlet' not in sys.modules
            sys.meta_path.remove(no)

            import eventlet
            from eventlet import spawn
            from opentelemetry import trace

            with oslo_tracing.span('request', root=True) as request:
                active = spawn(trace.get_current_span)
            assert active.wait() is request
            spans.cleanUp()
            """
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(script)],
            capture_output=True,
            timeout=60,
        )
        self.assertEqual((0, b''), (done.returncode, done.stderr))

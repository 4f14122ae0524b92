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

import collections
import gc
import importlib.abc
import importlib.machinery
import logging
import os
import socket
import sys
import threading
import time
import types
import uuid

import fixtures
from opentelemetry import context
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace import sampling
from opentelemetry import trace

from oslo_tracing import _ready
from oslo_tracing import _real
from oslo_tracing import counters
from oslo_tracing import exporters
from oslo_tracing.exporters import _pipeline
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support

_SUCCESS = export.SpanExportResult.SUCCESS
_FAILURE = export.SpanExportResult.FAILURE


def _threads():
    """Where eventlet is loaded, ours are known to its copy of threading."""
    return {
        thread
        for thread in _real.threading_module().enumerate()
        if thread.name == 'oslo.tracing-exporter'
    }


class _Exporter(export.SpanExporter):
    """Somebody's exporter; what it does can be changed while it lives."""

    def __init__(self):
        self.batches = []
        self.behave = lambda spans: _SUCCESS
        self.shut_down = 0

    def export(self, spans):
        result = self.behave(spans)
        self.batches.append([span.name for span in spans])
        return result

    def shutdown(self):
        self.shut_down += 1


class _Case(base.TestCase):
    def setUp(self):
        super().setUp()
        self.logged = self.useFixture(fixtures.FakeLogger('oslo_tracing'))
        self.one = _Exporter()

    def _pipeline(self, builders=None, sampler=None, **values):
        # Nothing is exported because of time unless a test wants it.
        values.setdefault('schedule_delay', 3600.0)
        values.setdefault('shutdown_timeout', 5.0)
        pipeline = _pipeline.Pipeline(
            support.settings(**values),
            {'one': lambda resource: self.one}
            if builders is None
            else builders,
            support.resource,
            counters.Counters(),
        )
        self.tracing = self.useFixture(
            support.Tracer(pipeline, sampler=sampler)
        )
        return pipeline

    def _block(self):
        """Let the exporter hang in its next batch.

        :returns: events that it hangs, and that let it go on.
        """
        hangs, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)

        def behave(spans):
            hangs.set()
            go_on.wait(30)
            return _SUCCESS

        self.one.behave = behave
        return hangs, go_on

    def _warnings(self):
        return [
            line
            for line in self.logged.output.splitlines()
            if 'Spans are being lost' in line
        ]


class PipelineTest(_Case):
    def test_what_ended_is_exported_in_order(self):
        pipeline = self._pipeline()
        for name in ('a', 'b', 'c'):
            self.tracing.end(name=name)

        self.assertIs(True, pipeline.force_flush(5000))

        self.assertEqual([['a', 'b', 'c']], self.one.batches)
        self.assertEqual(
            {'exported': {'one': 3}, 'dropped': {}},
            pipeline.stats.snapshot(),
        )

    def test_a_full_batch_wakes_the_thread(self):
        done = threading.Event()
        self.one.behave = lambda spans: done.set() or _SUCCESS
        self._pipeline(max_export_batch_size=3)

        self.tracing.end(3)

        self.assertTrue(done.wait(5))

    def test_time_wakes_the_thread(self):
        done = threading.Event()
        self.one.behave = lambda spans: done.set() or _SUCCESS
        self._pipeline(schedule_delay=0.02)

        self.tracing.end()

        self.assertTrue(done.wait(5))

    def test_a_batch_is_no_larger_than_wanted(self):
        pipeline = self._pipeline(max_export_batch_size=4)
        hangs, go_on = self._block()
        self.tracing.end(4)
        self.assertTrue(hangs.wait(5))
        self.tracing.end(10)

        go_on.set()
        self.assertTrue(pipeline.force_flush(5000))

        self.assertEqual([4, 4, 4, 2], list(map(len, self.one.batches)))

    def test_no_thread_before_the_first_span_and_one_after(self):
        before = _threads()
        self._pipeline()
        self.assertEqual(set(), _threads() - before)

        self.tracing.end(5)

        (thread,) = _threads() - before
        self.assertTrue(thread.daemon)

    def test_a_span_that_ends_while_the_thread_is_being_started(self):
        # The garbage collector can end one anywhere, and so can the handler
        # of a signal.
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        number = 0
        while self._ends_another(number):
            number += 1
        self.assertNotEqual(0, number)

    def _ends_another(self, number):
        """End the first span, and another in one of the collections then.

        :returns: whether there were so many before the thread ran.
        """
        before = _threads()
        pipeline = self._pipeline()
        seen = []

        def collected(phase, info):
            waiting, is_running = pipeline.state()
            if phase == 'start' and waiting and not is_running:
                seen.append(phase)
                if len(seen) == number + 1:
                    self.tracing.end()

        def end():
            gc.set_threshold(1)
            self.tracing.end()
            gc.set_threshold(0)

        gc.callbacks.append(collected)
        thread = threading.Thread(target=end, daemon=True)
        thread.start()
        thread.join(10)
        gc.callbacks.remove(collected)

        self.assertFalse(thread.is_alive(), number)
        (_exporter,) = _threads() - before
        self.assertTrue(pipeline.force_flush(5000))
        is_ended = len(seen) > number
        self.assertEqual(
            {'one': 1 + is_ended}, pipeline.stats.snapshot()['exported']
        )
        return is_ended

    def test_a_flush_while_the_thread_is_being_started(self):
        pipeline = self._pipeline()
        flushed = []
        flush = threading.Thread(
            target=lambda: flushed.append(pipeline.force_flush(5000))
        )
        threads = _real.threading_module()
        start = threads.Thread.start

        def slowly(thread):
            self.patch(threads.Thread, 'start', start)
            flush.start()
            # It is over by then where it does not wait.
            flush.join(0.2)
            thread.start()

        self.patch(threads.Thread, 'start', slowly)
        self.tracing.end()
        flush.join(10)
        self.assertEqual([True], flushed)

    def test_unsampled_spans_are_not_queued(self):
        pipeline = self._pipeline()
        pipeline.on_end(
            sdk_trace.ReadableSpan('a', context=trace.SpanContext(1, 2, False))
        )
        pipeline.on_end(sdk_trace.ReadableSpan('a'))

        self.assertTrue(pipeline.force_flush(5000))
        self.assertEqual({}, pipeline.stats.snapshot()['dropped'])
        self.assertEqual([], self.one.batches)

    def test_without_exporters_nothing_is_queued_nor_lost(self):
        before = _threads()
        pipeline = exporters.build(
            support.settings(exporters=['none']), support.resource
        )
        tracing = self.useFixture(support.Tracer(pipeline))

        tracing.end(3)

        self.assertEqual(set(), _threads() - before)
        self.assertEqual(
            {'exported': {}, 'dropped': {}}, pipeline.stats.snapshot()
        )

    def test_a_full_queue_drops_the_new_and_never_waits(self):
        pipeline = self._pipeline(max_queue_size=5, max_export_batch_size=5)
        hangs, go_on = self._block()
        self.tracing.end(5, name='first')
        self.assertTrue(hangs.wait(5))

        began = time.monotonic()
        self.tracing.end(5, name='queued')
        self.tracing.end(1000, name='dropped')
        self.assertLess(time.monotonic() - began, 5)

        self.assertEqual(
            {'queue full': 1000}, pipeline.stats.snapshot()['dropped']
        )
        go_on.set()
        self.assertTrue(pipeline.force_flush(5000))
        self.assertEqual([['first'] * 5, ['queued'] * 5], self.one.batches)

    def test_the_export_itself_is_not_traced(self):
        seen = {}

        def behave(spans):
            for key in (
                context._SUPPRESS_INSTRUMENTATION_KEY,
                context._SUPPRESS_HTTP_INSTRUMENTATION_KEY,
            ):
                seen[key] = context.get_value(key)
            seen['span'] = trace.get_current_span()
            return _SUCCESS

        self.one.behave = behave
        pipeline = self._pipeline()
        with self.tracing.tracer.start_as_current_span('around'):
            self.tracing.end()
            self.assertTrue(pipeline.force_flush(5000))
            self.assertIsNone(
                context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY)
            )

        self.assertIs(trace.INVALID_SPAN, seen.pop('span'))
        self.assertEqual([True, True], list(seen.values()))


class _Follows(sampling.StaticSampler):
    """What is below a span of this process is recorded with it."""

    follows_local = True

    def __init__(self):
        super().__init__(sampling.Decision.RECORD_AND_SAMPLE)


class AddedTest(_Case):
    """What had ended when it was made, as statements have."""

    def setUp(self):
        super().setUp()
        self.spans = []
        self.one.behave = lambda spans: self.spans.extend(spans) or _SUCCESS

    def _pipeline(self, **values):
        pipeline = super()._pipeline(sampler=_Follows(), **values)
        tracer = self.tracing.tracer
        self.parent = tracer.start_span('request', context.Context())
        where = trace.set_span_in_context(self.parent, context.Context())
        ready = _ready.Ready('SELECT', trace.SpanKind.CLIENT, {'a': 'b'})
        # The first tells whether others may share what is ready.
        tracer.start_ready(ready, where).end()
        self.add = lambda own=None: tracer.add_ready(ready, where, own, 5, 7)
        return pipeline

    def test_exporters_get_spans(self):
        pipeline = self._pipeline()
        shared = {'rows': 3}
        for own in (None, shared, shared):
            self.add(own)

        self.assertIs(True, pipeline.force_flush(5000))

        _first, *added = self.spans
        self.assertEqual(
            [{'a': 'b'}, {'a': 'b', 'rows': 3}, {'a': 'b', 'rows': 3}],
            [dict(span.attributes) for span in added],
        )
        for span in added:
            self.assertEqual('SELECT', span.name)
            self.assertEqual((5, 7), (span.start_time, span.end_time))
            self.assertEqual(self.parent.get_span_context(), span.parent)
            self.assertEqual(span.parent.trace_id, span.context.trace_id)
        self.assertEqual(4, len({s.context.span_id for s in self.spans}))
        self.assertNotIn(0, {s.context.span_id for s in self.spans})
        self.assertEqual({'rows': 3}, shared)
        self.assertEqual(4, pipeline.stats.snapshot()['exported']['one'])

    def test_what_finds_no_room_is_counted(self):
        pipeline = self._pipeline(max_queue_size=4, max_export_batch_size=4)
        hangs, go_on = self._block()
        for _ in range(4):
            self.add()
        self.assertTrue(hangs.wait(10))
        for _ in range(7):
            self.add()
        go_on.set()
        pipeline.force_flush(5000)

        self.assertEqual(
            {'exported': {'one': 8}, 'dropped': {counters.QUEUE_FULL: 4}},
            pipeline.stats.snapshot(),
        )

    def test_what_comes_too_late_is_counted(self):
        pipeline = self._pipeline()
        self.add()
        pipeline.shutdown()
        self.add()

        self.assertEqual(
            {'exported': {'one': 2}, 'dropped': {counters.SHUT_DOWN: 1}},
            pipeline.stats.snapshot(),
        )


class FailureTest(_Case):
    def test_a_flush_that_failed_says_so(self):
        self.one.behave = lambda spans: _FAILURE
        pipeline = self._pipeline()
        self.tracing.end(2)

        self.assertIs(False, pipeline.force_flush(5000))

        self.assertEqual(
            {'exported': {}, 'dropped': {'export failed': 2}},
            pipeline.stats.snapshot(),
        )
        self.one.behave = lambda spans: _SUCCESS
        self.tracing.end()
        self.assertIs(True, pipeline.force_flush(5000))

    def test_a_flush_waits_no_longer_than_it_may(self):
        pipeline = self._pipeline()
        hangs, _go_on = self._block()
        self.tracing.end()

        began = time.monotonic()
        self.assertIs(False, pipeline.force_flush(50))
        self.assertLess(time.monotonic() - began, 2)
        self.assertTrue(hangs.wait(5))

    def test_a_batch_under_way_counts_for_the_flush(self):
        pipeline = self._pipeline(max_export_batch_size=1)
        hangs, go_on = self._block()
        self.tracing.end()
        self.assertTrue(hangs.wait(5))
        self.assertIs(False, pipeline.force_flush(20))

        go_on.set()

        self.assertIs(True, pipeline.force_flush(5000))

    def test_one_exporter_failing_does_not_touch_the_others(self):
        other = _Exporter()

        def fail(spans):
            raise ConnectionError('nobody there')

        self.one.behave = fail
        pipeline = self._pipeline(
            {'one': lambda resource: self.one, 'other': lambda r: other}
        )
        self.tracing.end(3)

        self.assertIs(False, pipeline.force_flush(5000))

        self.assertEqual([['a'] * 3], other.batches)
        self.assertEqual(
            {'exported': {'other': 3}, 'dropped': {'export failed': 3}},
            pipeline.stats.snapshot(),
        )

    def test_a_span_that_an_exporter_cannot_take_costs_only_itself(self):
        def behave(spans):
            if any(span.name == 'bad' for span in spans):
                raise ValueError('cannot encode')
            return _SUCCESS

        self.one.behave = behave
        pipeline = self._pipeline()
        for name in ('a', 'bad', 'b'):
            self.tracing.end(name=name)

        self.assertIs(False, pipeline.force_flush(5000))

        self.assertEqual([['a'], ['b']], self.one.batches)
        self.assertEqual(
            {'exported': {'one': 2}, 'dropped': {'encoding': 1}},
            pipeline.stats.snapshot(),
        )

    def test_the_search_for_a_bad_span_ends(self):
        tries = []

        def behave(spans):
            tries.append(len(spans))
            threading.Event().wait(0.03)
            raise ValueError('always')

        self.one.behave = behave
        pipeline = self._pipeline(otlp_timeout=0.1)
        self.tracing.end(100)

        self.assertIs(False, pipeline.force_flush(5000))

        self.assertLess(len(tries), 10)
        dropped = pipeline.stats.snapshot()['dropped']
        self.assertEqual(100, sum(dropped.values()))
        self.assertEqual({'encoding', 'export failed'}, set(dropped))

    def test_a_span_that_cannot_be_cleaned_costs_only_itself(self):
        pipeline = self._pipeline()
        self.tracing.end(name='good')
        pipeline.on_end(
            sdk_trace.ReadableSpan(
                'bad',
                context=trace.SpanContext(
                    2**130, 1, False, trace.TraceFlags(1)
                ),
            )
        )

        self.assertIs(False, pipeline.force_flush(5000))

        self.assertEqual([['good']], self.one.batches)
        self.assertEqual({'encoding': 1}, pipeline.stats.snapshot()['dropped'])

    def test_what_an_exporter_of_ours_lost_is_counted_by_its_cause(self):
        def behave(spans):
            raise counters.SpansLost(counters.DISK, 2, 'no space left')

        self.one.behave = behave
        pipeline = self._pipeline()
        self.tracing.end(5)

        self.assertIs(False, pipeline.force_flush(5000))

        self.assertEqual(
            {'exported': {'one': 3}, 'dropped': {'disk': 2}},
            pipeline.stats.snapshot(),
        )

    def test_an_exporter_that_cannot_be_built_is_not_tried_each_time(self):
        tries = []

        def build(resource):
            tries.append(resource)
            raise ImportError('no module grpc')

        pipeline = self._pipeline({'one': build})
        for _ in range(3):
            self.tracing.end()
            self.assertIs(False, pipeline.force_flush(5000))
        self.tracing.end()

        self.assertEqual([self.tracing.provider.resource], tries)
        self.assertEqual(
            {'export failed': 3}, pipeline.stats.snapshot()['dropped']
        )
        (line,) = self._warnings()
        self.assertIn('one: cannot be set up: ImportError: no module', line)

    def test_nothing_ends_the_thread(self):
        class Wrong:
            shutdown = None

        pipeline = self._pipeline({'one': lambda resource: Wrong()})
        for _ in range(2):
            self.tracing.end()
            self.assertIs(False, pipeline.force_flush(5000))

        self.assertEqual(2, sum(pipeline.stats.snapshot()['dropped'].values()))

    def test_an_exporter_that_exits_ends_neither_the_thread(self):
        class Leaves(_Exporter):
            def export(self, spans):
                raise SystemExit(3)

            def shutdown(self):
                raise KeyboardInterrupt

        def gone(resource):
            raise SystemExit(3)

        pipeline = self._pipeline(
            {
                'gone': gone,
                'leaves': lambda resource: Leaves(),
                'one': lambda resource: self.one,
            }
        )
        for number in range(2):
            self.tracing.end(name=str(number))
            self.assertIs(False, pipeline.force_flush(5000))
        self.assertEqual([['0'], ['1']], self.one.batches)
        told = pipeline.stats.snapshot()
        self.assertEqual({'one': 2}, told['exported'])
        self.assertEqual(4, sum(told['dropped'].values()))
        pipeline.shutdown()
        self.assertFalse(pipeline.state()[1])

    def test_an_error_of_ours_does_not_reach_the_service(self):
        pipeline = self._pipeline()
        pipeline._settings = types.SimpleNamespace()

        self.tracing.end()

        self.assertIn('queueing a span', self.logged.output)


class ToldTest(_Case):
    def test_a_loss_is_told_by_the_service_once_a_minute(self):
        said_by = []
        handler = logging.Handler()
        handler.emit = lambda record: said_by.append(record.threadName)
        logger = logging.getLogger(_pipeline.__name__)
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.one.behave = lambda spans: _FAILURE
        pipeline = self._pipeline()

        for _ in range(20):
            self.tracing.end()
            pipeline.force_flush(5000)

        self.assertEqual([threading.current_thread().name], said_by)
        (line,) = self._warnings()
        self.assertIn('one failed', line)
        self.assertIn('1 (export failed)', line)
        # As a minute later.
        pipeline._next_line = 0.0
        self.tracing.end()
        self.assertEqual(2, len(self._warnings()))
        self.assertIn('20 (export failed)', self._warnings()[1])

    def test_what_was_lost_after_the_last_line_is_told_at_the_end(self):
        self.one.behave = lambda spans: _FAILURE
        pipeline = self._pipeline()
        self.tracing.end()
        pipeline.force_flush(5000)
        self.tracing.end(7)
        self.assertEqual(1, len(self._warnings()))

        pipeline.shutdown()

        # Still one warning a minute.
        self.assertEqual(1, len(self._warnings()))
        self.assertIn('until the end: dropped 8', self.logged.output)

    def test_without_another_span_it_is_told_at_the_end(self):
        self.one.behave = lambda spans: _FAILURE
        pipeline = self._pipeline()
        self.tracing.end(3)
        pipeline.force_flush(5000)
        self.assertEqual([], self._warnings())

        pipeline.shutdown()

        (line,) = self._warnings()
        self.assertIn('3 (export failed)', line)

    def test_what_the_world_said_cannot_forge_a_line(self):
        def behave(spans):
            raise ConnectionError('a\nERROR b\x1b[2J ' + 'x ' * 9999)

        self.one.behave = behave
        pipeline = self._pipeline()
        self.tracing.end()
        pipeline.force_flush(5000)
        self.tracing.end()

        (line,) = self._warnings()
        self.assertIn('a\\nERROR b\\x1b[2J', line)
        self.assertLess(len(line), 600)

    def test_what_the_world_said_tells_no_credentials(self):
        def behave(spans):
            raise ConnectionError(
                "in header value: ' S3CRET', S3CRET=1, Bearer TOK3N "
                'url: /tokens/HIDD3N?sig=HIDD3N'
            )

        self.one.behave = behave
        pipeline = self._pipeline(
            otlp_headers={'x-one': ' S3CRET', 'authorization': 'Bearer TOK3N'}
        )
        self.tracing.end()
        pipeline.force_flush(5000)
        self.tracing.end()

        (line,) = self._warnings()
        self.assertIn('one: ConnectionError: in header value: ', line)
        trouble = pipeline.stats.troubles()[counters.EXPORT_FAILED]
        self.assertIn('in header value: ', trouble['why'])
        for secret in ('S3CRET', 'TOK3N', 'HIDD3N'):
            self.assertNotIn(secret, line)
            self.assertNotIn(secret, trouble['why'])

    def test_a_full_queue_is_told(self):
        self._pipeline(max_queue_size=1, max_export_batch_size=1)
        hangs, _go_on = self._block()
        self.tracing.end()
        self.assertTrue(hangs.wait(5))
        self.tracing.end(50)

        (line,) = self._warnings()
        self.assertIn('queue full', line)


class ShutdownTest(_Case):
    def test_what_is_queued_is_flushed(self):
        pipeline = self._pipeline()
        self.tracing.end(3)

        pipeline.shutdown()
        pipeline.shutdown()

        self.assertEqual([['a'] * 3], self.one.batches)
        self.assertEqual(1, self.one.shut_down)
        self.assertIs(True, pipeline.force_flush(10))

    def test_spans_that_end_later_are_counted(self):
        pipeline = self._pipeline()
        pipeline.shutdown()
        self.tracing.end(2)

        self.assertEqual(
            {'exported': {}, 'dropped': {'shut down': 2}},
            pipeline.stats.snapshot(),
        )

    def test_a_span_that_ends_meanwhile_is_counted(self):
        pipeline = self._pipeline()
        self.tracing.end()

        class Queue(collections.deque):
            def append(self, span):
                # Whoever queues a span was overtaken on the way.
                pipeline.shutdown()
                super().append(span)

        (worker,) = pipeline._workers.values()
        worker.queue = Queue(worker.queue)
        self.tracing.end()

        self.assertEqual([['a']], self.one.batches)
        self.assertEqual(
            {'exported': {'one': 1}, 'dropped': {'shut down': 1}},
            pipeline.stats.snapshot(),
        )

    def test_the_thread_is_gone_and_the_loggers_are_as_before(self):
        names = (
            'opentelemetry.exporter.otlp.proto.grpc.exporter',
            'urllib3.connectionpool',
        )
        before = [list(logging.getLogger(name).filters) for name in names]
        # Those that earlier tests have left may end meanwhile.
        threads = _threads()
        pipeline = self._pipeline()
        self.tracing.end()

        pipeline.shutdown()

        self.assertEqual(set(), _threads() - threads)
        self.assertEqual(
            before, [logging.getLogger(name).filters for name in names]
        )

    def test_a_hanging_exporter_is_left_to_itself(self):
        pipeline = self._pipeline(
            shutdown_timeout=0.1, max_export_batch_size=2
        )
        hangs, go_on = self._block()
        before = _threads()
        self.tracing.end(2)
        self.assertTrue(hangs.wait(5))
        self.tracing.end(3)

        began = time.monotonic()
        pipeline.shutdown()

        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(
            {'exported': {}, 'dropped': {'shut down': 5}},
            pipeline.stats.snapshot(),
        )
        self.assertEqual(1, len(self._warnings()))
        (thread,) = _threads() - before
        go_on.set()
        thread.join(5)
        self.assertFalse(thread.is_alive())
        # What it still did is not counted a second time.
        self.assertEqual(
            {'exported': {}, 'dropped': {'shut down': 5}},
            pipeline.stats.snapshot(),
        )

    def test_a_dead_collector_does_not_hold_up_the_exit(self):
        # Accepts no connection: its queue is full.
        hole = socket.socket()
        self.addCleanup(hole.close)
        hole.bind(('127.0.0.1', 0))
        hole.listen(0)
        port = hole.getsockname()[1]
        filler = socket.create_connection(('127.0.0.1', port))
        self.addCleanup(filler.close)
        for protocol in ('http/protobuf', 'grpc'):
            pipeline = exporters.build(
                support.settings(
                    otlp_endpoint=f'http://127.0.0.1:{port}',
                    otlp_protocol=protocol,
                    shutdown_timeout=0.2,
                    otlp_timeout=1.0,
                ),
                support.resource,
            )
            tracing = self.useFixture(support.Tracer(pipeline))
            tracing.end(3)
            began = time.monotonic()
            self.assertIs(False, pipeline.force_flush(100))
            pipeline.shutdown()
            self.assertLess(time.monotonic() - began, 1.5)
            self.assertEqual(
                {'exported': {}, 'dropped': {'shut down': 3}},
                pipeline.stats.snapshot(),
            )


class ForkTest(_Case):
    def _in_child(self, work):
        self.assertEqual(0, support.status_of_child(work))

    def test_a_child_has_a_queue_a_thread_and_exporters_of_its_own(self):
        built = []

        def build(resource):
            built.append(resource.attributes['process.pid'])
            return _Exporter() if len(built) > 1 else self.one

        pipeline = self._pipeline({'one': build})
        self.tracing.end(name='flushed')
        self.assertTrue(pipeline.force_flush(5000))
        self.tracing.end(3, name='of the parent')

        def work():
            self.tracing.end(2, name='of the child')
            flushed = pipeline.force_flush(5000)
            mine = pipeline._workers[os.getpid()].delivery.exporters['one']
            return (
                flushed
                and built[1:] == [os.getpid()]
                and mine.batches == [['of the child'] * 2]
                and self.one.batches == [['flushed']]
                and pipeline.stats.snapshot()['exported'] == {'one': 2}
            )

        self._in_child(work)

        self.assertTrue(pipeline.force_flush(5000))
        self.assertEqual(
            [['flushed'], ['of the parent'] * 3], self.one.batches
        )
        self.assertEqual([os.getpid()], built)

    def test_a_child_of_a_process_that_hangs_in_an_export_goes_on(self):
        pipeline = self._pipeline(
            {'one': lambda resource: self.one}, max_export_batch_size=1
        )
        hangs, go_on = self._block()
        self.tracing.end()
        self.assertTrue(hangs.wait(5))

        def work():
            self.one = _Exporter()
            self.tracing.end()
            return pipeline.force_flush(5000) and self.one.batches == [['a']]

        self._in_child(work)
        go_on.set()

    def test_a_child_of_a_process_that_is_importing_an_exporter(self):
        # A module that is being imported when a process forks stays locked
        # in the child.
        begun = threading.Event()
        name = f'slow_{uuid.uuid4().hex}'
        self.addCleanup(sys.modules.pop, name, None)

        class Slow(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, wanted, *args):
                if wanted == name:
                    return importlib.machinery.ModuleSpec(name, self)

            def exec_module(self, module):
                begun.set()
                # For the fork to come first, if it can.
                threading.Event().wait(0.5)

        finder = Slow()
        sys.meta_path.insert(0, finder)
        self.addCleanup(sys.meta_path.remove, finder)

        def build(resource):
            importlib.import_module(name)
            return self.one

        pipeline = self._pipeline({'one': build}, max_export_batch_size=1)
        self.tracing.end()
        self.assertTrue(begun.wait(5))

        def work():
            importlib.import_module(name)
            self.tracing.end(name='of the child')
            return pipeline.force_flush(5000)

        self._in_child(work)

    def test_a_child_that_traces_nothing_shuts_down_at_once(self):
        pipeline = self._pipeline()
        self.tracing.end(3)

        def work():
            pipeline.shutdown()
            return self.one.batches == []

        self._in_child(work)

        self.assertTrue(pipeline.force_flush(5000))
        self.assertEqual([['a'] * 3], self.one.batches)


class OrderTest(base.TestCase):
    def test_our_own_come_first_since_they_never_wait(self):
        pipeline = exporters.build(
            support.settings(exporters=['console', 'otlp', 'file', 'log']),
            support.resource,
        )
        self.assertEqual(
            ['log', 'file', 'otlp', 'console'], list(pipeline._builders)
        )

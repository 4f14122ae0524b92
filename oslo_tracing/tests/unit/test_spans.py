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

"""Spans of a service's own."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import subprocess
import sys
import threading
import tracemalloc

import eventlet
import fixtures
import greenlet
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace
import testtools

import oslo_tracing
from oslo_tracing import _current
from oslo_tracing import context as tracing_context
from oslo_tracing import fixture
from oslo_tracing import service
from oslo_tracing.tests import base


def _log_in(user, password):
    pass


class Volumes:
    @oslo_tracing.traced
    def attach(self, host, fail=False):
        if fail:
            raise ValueError('S3CRET')
        return oslo_tracing.current_trace_id(), host

    @staticmethod
    @oslo_tracing.traced(name='static work', attributes={'a': 1})
    def static():
        return 'static'

    @classmethod
    @oslo_tracing.traced
    def of_class(cls):
        return cls

    @oslo_tracing.traced
    async def wait(self, fail=False):
        await asyncio.sleep(0)
        if fail:
            raise ValueError('S3CRET')
        return trace.get_current_span().name

    @oslo_tracing.traced
    def numbers(self):
        try:
            got = yield trace.get_current_span().name
            while True:
                try:
                    got = yield got
                except KeyError:
                    got = 'caught'
        finally:
            self.closed_in = trace.get_current_span().name

    @oslo_tracing.traced
    def counted(self, limit):
        yield from range(limit)
        return 'returned'

    @oslo_tracing.traced
    async def later(self, limit):
        for number in range(limit):
            await asyncio.sleep(0)
            got = yield number, trace.get_current_span().name
            if got == 'fail':
                raise ValueError('S3CRET')


class SpansTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(fixture.SpanRecorder('none'))

    def _names(self):
        return [span.name for span in self.spans.finished]

    def test_a_span_below_a_root(self):
        with oslo_tracing.span('outer', root=True) as outer:
            with oslo_tracing.span('inner', {'host': 'c1'}) as inner:
                inner.set_attribute('tries', 2)
                self.assertIs(inner, trace.get_current_span())
        self.assertEqual(['inner', 'outer'], self._names())
        recorded = self.spans.named('inner')
        self.assertEqual(
            outer.get_span_context().span_id, recorded.parent.span_id
        )
        self.assertEqual({'host': 'c1', 'tries': 2}, recorded.attributes)
        self.assertEqual(trace.SpanKind.INTERNAL, recorded.kind)
        self.assertEqual(
            'oslo_tracing.service', recorded.instrumentation_scope.name
        )

    def test_nothing_outside_of_a_trace(self):
        with oslo_tracing.span('lonely') as span:
            span.set_attribute('a', 1)
            span.record_exception(ValueError())
            self.assertFalse(span.is_recording())
            self.assertFalse(span.get_span_context().is_valid)
        Volumes().attach('c1')
        self.assertEqual([], self._names())

    def test_root_starts_a_trace_of_its_own(self):
        with oslo_tracing.span('first', root=True):
            with oslo_tracing.span('second', root=True):
                inner = oslo_tracing.current_trace_id()
            outer = oslo_tracing.current_trace_id()
        self.assertNotEqual(outer, inner)
        self.assertIsNone(self.spans.named('second').parent)
        self.assertIsNone(oslo_tracing.current_trace_id())

    def test_nothing_where_recording_is_suppressed(self):
        with oslo_tracing.span('work', root=True):
            for suppress in (
                tracing_context.suppress,
                lambda: otel_context.attach(
                    otel_context.set_value('suppress_instrumentation', True)
                ),
            ):
                token = suppress()
                with oslo_tracing.span('hidden'):
                    Volumes().attach('c1')
                tracing_context.detach(token)
        self.assertEqual(['work'], self._names())

    def test_kind(self):
        kind = trace.SpanKind.CLIENT
        with oslo_tracing.span('ask', kind=kind, root=True):
            pass
        self.assertEqual(kind, self.spans.named('ask').kind)

    def test_an_exception_marks_the_span_and_goes_on(self):
        error = ValueError('S3CRET')
        try:
            with oslo_tracing.span('work', root=True):
                raise error
        except ValueError as caught:
            self.assertIs(error, caught)
        span = self.spans.named('work')
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual('ValueError', span.status.description)
        self.assertEqual('ValueError', span.attributes['error.type'])
        (event,) = span.events
        self.assertEqual('exception', event.name)
        self.assertEqual('ValueError', event.attributes['exception.type'])
        self.assertIn(
            'test_an_exception_marks',
            event.attributes['exception.stacktrace'],
        )
        self.assertNotIn('S3CRET', span.to_json())

    def test_messages_only_where_asked_for(self):
        spans = self.useFixture(
            fixture.SpanRecorder('none', exception_messages=True)
        )
        try:
            with oslo_tracing.span('work', root=True):
                raise ValueError('no host')
        except ValueError:
            pass
        (event,) = spans.named('work').events
        self.assertEqual('no host', event.attributes['exception.message'])

    def _assert_timed_out(self, span):
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual(
            'eventlet.timeout.Timeout', span.attributes['error.type']
        )
        (event,) = span.events
        self.assertEqual('exception', event.name)

    def test_a_timeout_of_eventlet_marks_the_span(self):
        # It is no Exception.
        error = eventlet.Timeout()
        self.addCleanup(error.cancel)
        with testtools.ExpectedException(eventlet.Timeout):
            with oslo_tracing.span('work', root=True):
                raise error
        self._assert_timed_out(self.spans.named('work'))

    def test_a_timeout_of_eventlet_marks_a_generators_span(self):
        error = eventlet.Timeout()
        self.addCleanup(error.cancel)

        async def later():
            items = Volumes().later(2)
            await items.__anext__()
            await items.athrow(error)

        with oslo_tracing.span('root', root=True):
            numbers = Volumes().numbers()
            next(numbers)
            self.assertRaises(eventlet.Timeout, numbers.throw, error)
            self.assertRaises(eventlet.Timeout, asyncio.run, later())
        for name in ('Volumes.numbers', 'Volumes.later'):
            self._assert_timed_out(self.spans.named(name))

    def test_an_error_that_is_hard_to_ask_marks_the_span(self):
        class Odd(BaseException):
            __module__ = None

        with testtools.ExpectedException(Odd):
            with oslo_tracing.span('work', root=True):
                raise Odd
        self.assertEqual(
            trace.StatusCode.ERROR,
            self.spans.named('work').status.status_code,
        )

    def test_leaving_a_generator_is_no_error(self):
        async def later(leave):
            items = Volumes().later(2)
            await items.__anext__()
            await items.athrow(leave)

        for leave in (greenlet.GreenletExit, asyncio.CancelledError):
            self.spans.clear()
            with oslo_tracing.span('root', root=True):
                numbers = Volumes().numbers()
                next(numbers)
                self.assertRaises(leave, numbers.throw, leave())
                self.assertRaises(leave, asyncio.run, later(leave()))
            for name in ('Volumes.numbers', 'Volumes.later'):
                self.assertEqual(
                    trace.StatusCode.UNSET,
                    self.spans.named(name).status.status_code,
                )

    def test_leaving_is_no_error(self):
        class Killed(greenlet.GreenletExit):
            pass

        for leave in (
            KeyboardInterrupt,
            SystemExit,
            GeneratorExit,
            asyncio.CancelledError,
            greenlet.GreenletExit,
            Killed,
        ):
            try:
                with oslo_tracing.span(leave.__name__, root=True):
                    raise leave
            except BaseException as caught:
                self.assertIsInstance(caught, leave)
            self.assertEqual(
                trace.StatusCode.UNSET,
                self.spans.named(leave.__name__).status.status_code,
            )

    def test_traced_functions(self):
        volumes = Volumes()
        with oslo_tracing.span('root', root=True):
            trace_id, host = volumes.attach('c1')
            self.assertEqual(oslo_tracing.current_trace_id(), trace_id)
            self.assertEqual('c1', host)
            self.assertEqual('static', Volumes.static())
            self.assertIs(Volumes, Volumes.of_class())
        self.assertEqual(
            ['Volumes.attach', 'static work', 'Volumes.of_class', 'root'],
            self._names(),
        )
        self.assertEqual(
            f'{__name__}.Volumes.attach',
            self.spans.named('Volumes.attach').attributes[
                'code.function.name'
            ],
        )
        self.assertEqual(1, self.spans.named('static work').attributes['a'])
        self.assertEqual('attach', Volumes.attach.__name__)

    def test_what_has_no_name_goes_by_that_of_its_function_or_class(self):
        class Driver:
            def __repr__(self):
                raise ValueError('S3CRET')

            def __call__(self):
                pass

        login = functools.partial(
            functools.partial(_log_in, 'admin'), password='S3CRET'
        )
        with oslo_tracing.span('request', root=True):
            oslo_tracing.traced(login)()
            oslo_tracing.traced(Driver())()

        for name in (
            '_log_in',
            f'{type(self).__name__}.{self._testMethodName}.Driver',
        ):
            span = self.spans.named(name)
            self.assertEqual(
                f'{__name__}.{name}',
                span.attributes['code.function.name'].replace('<locals>.', ''),
            )

    def test_traced_failure(self):
        with oslo_tracing.span('root', root=True):
            self.assertRaises(ValueError, Volumes().attach, 'c1', fail=True)
        span = self.spans.named('Volumes.attach')
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual(1, len(span.events))

    def test_traced_coroutines_do_not_mix(self):
        async def both():
            with oslo_tracing.span('root', root=True):
                return await asyncio.gather(
                    Volumes().wait(),
                    Volumes().wait(fail=True),
                    return_exceptions=True,
                )

        named, failed = asyncio.run(both())
        self.assertEqual('Volumes.wait', named)
        self.assertIsInstance(failed, ValueError)
        root = self.spans.named('root').context.span_id
        waits = [s for s in self.spans.finished if s.name == 'Volumes.wait']
        self.assertEqual([root, root], [s.parent.span_id for s in waits])

    def test_a_generator_is_current_only_while_it_runs(self):
        volumes = Volumes()
        with oslo_tracing.span('root', root=True):
            numbers = volumes.numbers()
            self.assertEqual('Volumes.numbers', next(numbers))
            self.assertEqual('root', trace.get_current_span().name)
            self.assertEqual('sent', numbers.send('sent'))
            self.assertEqual('caught', numbers.throw(KeyError()))
            self.assertEqual([], self._names())
            numbers.close()
        self.assertEqual('Volumes.numbers', volumes.closed_in)
        self.assertEqual(['Volumes.numbers', 'root'], self._names())
        self.assertEqual(
            trace.StatusCode.UNSET,
            self.spans.named('Volumes.numbers').status.status_code,
        )

    def test_a_generators_own_value_is_returned(self):
        def delegate():
            result.append((yield from Volumes().counted(2)))

        result = []
        with oslo_tracing.span('root', root=True):
            self.assertEqual([0, 1], list(delegate()))
        self.assertEqual(['returned'], result)
        self.assertEqual(['Volumes.counted', 'root'], self._names())
        # And outside of a trace.
        self.assertEqual([0, 1], list(delegate()))

    def test_an_error_in_a_generator(self):
        @oslo_tracing.traced(name='broken')
        def broken():
            yield 1
            raise ValueError('S3CRET')

        with oslo_tracing.span('root', root=True):
            self.assertRaises(ValueError, list, broken())
        self.assertEqual(
            trace.StatusCode.ERROR,
            self.spans.named('broken').status.status_code,
        )

    def test_an_asynchronous_generator(self):
        async def consume():
            with oslo_tracing.span('root', root=True):
                seen = [item async for item in Volumes().later(2)]
                failing = Volumes().later(2)
                await failing.__anext__()
                try:
                    await failing.asend('fail')
                except ValueError:
                    seen.append('failed')
                closing = Volumes().later(2)
                await closing.__anext__()
                await closing.aclose()
                return seen

        self.assertEqual(
            [(0, 'Volumes.later'), (1, 'Volumes.later'), 'failed'],
            asyncio.run(consume()),
        )
        states = [
            span.status.status_code.name
            for span in self.spans.finished
            if span.name == 'Volumes.later'
        ]
        self.assertEqual(['UNSET', 'ERROR', 'UNSET'], states)

    def test_an_asynchronous_generator_outside_of_a_trace(self):
        async def consume():
            return [number async for number, _name in Volumes().later(2)]

        service.shutdown()
        self.assertRaises(AttributeError, asyncio.run, consume())


class YieldingWithinTest(base.TestCase):
    """Spans that are open in a generator when it yields."""

    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(fixture.SpanRecorder('none'))
        self.log = self.useFixture(fixtures.FakeLogger())

    @staticmethod
    @oslo_tracing.traced(name='pages')
    def _pages(after=()):
        with oslo_tracing.span('page'):
            yield 1
            with oslo_tracing.span('row'):
                yield 2
                with oslo_tracing.span('cell'):
                    pass
        for name in after:
            with oslo_tracing.span(name):
                yield 3

    @staticmethod
    @oslo_tracing.traced(name='pages')
    async def _pages_later():
        with oslo_tracing.span('page'):
            yield 1
            await asyncio.sleep(0)
            with oslo_tracing.span('row'):
                yield 2
                with oslo_tracing.span('cell'):
                    pass
        with oslo_tracing.span('last'):
            yield 3

    def _assert_parents(self, **expected):
        finished = self.spans.finished
        names = {span.context.span_id: span.name for span in finished}
        self.assertEqual(
            expected,
            {
                span.name: names.get(span.parent and span.parent.span_id)
                for span in finished
            },
        )
        self.assertNotIn('detach', self.log.output)

    def test_what_follows_is_below_them(self):
        with oslo_tracing.span('outer', root=True):
            for page in self._pages(after=['last']):
                with oslo_tracing.span(f'reader {page}'):
                    pass
        self._assert_parents(
            pages='outer',
            page='pages',
            row='page',
            cell='row',
            last='pages',
            outer=None,
            **{f'reader {number}': 'outer' for number in (1, 2, 3)},
        )

    def test_of_an_asynchronous_one(self):
        async def read():
            with oslo_tracing.span('outer', root=True):
                async for page in self._pages_later():
                    with oslo_tracing.span(f'reader {page}'):
                        pass

        asyncio.run(read())
        self._assert_parents(
            pages='outer',
            page='pages',
            row='page',
            cell='row',
            last='pages',
            outer=None,
            **{f'reader {number}': 'outer' for number in (1, 2, 3)},
        )

    def test_where_each_step_is_in_a_context_of_its_own(self):
        with oslo_tracing.span('outer', root=True):
            pages = self._pages(after=['one', 'two'])
            for _step in range(5):
                contextvars.copy_context().run(next, pages, None)
        pages.close()
        self._assert_parents(
            pages='outer',
            page='pages',
            row='page',
            cell='row',
            one='pages',
            two='pages',
            outer=None,
        )

    def test_where_it_is_closed(self):
        @oslo_tracing.traced(name='closing')
        def closing():
            with oslo_tracing.span('page'):
                try:
                    yield
                finally:
                    with oslo_tracing.span('cleanup'):
                        pass

        with oslo_tracing.span('outer', root=True):
            closed = closing()
            next(closed)
            closed.close()
            self.assertEqual('outer', trace.get_current_span().name)
        self._assert_parents(
            closing='outer', page='closing', cleanup='page', outer=None
        )


class LeftOpenTest(base.TestCase):
    """Spans whose generator ends where something else is going on."""

    def run(self, result=None):
        # Some of them stay current: not in the tests that come next.
        return contextvars.copy_context().run(super().run, result)

    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(fixture.SpanRecorder('none'))
        self.log = self.useFixture(fixtures.FakeLogger())

    @staticmethod
    def _rows(name='rows', root=False):
        with oslo_tracing.span(name, root=root):
            yield 1
            yield 2

    @staticmethod
    async def _later():
        with oslo_tracing.span('rows'):
            yield 1
            yield 2

    def _ended(self):
        return sorted(span.name for span in self.spans.finished)

    def _request(self, number):
        """Return the context of a request, as the middleware makes it."""
        span = trace.NonRecordingSpan(
            trace.SpanContext(number, number, True, trace.TraceFlags(1))
        )
        return tracing_context.root(
            baggage.set_baggage('tenant', number, otel_context.get_current()),
            span,
        )

    def _assert_in(self, number):
        self.assertEqual(f'{number:032x}', oslo_tracing.current_trace_id())
        self.assertEqual({'tenant': number}, baggage.get_all())

    def _assert_nothing_is_left(self):
        self.assertIsNone(oslo_tracing.current_trace_id())
        self.assertNotIn('detach', self.log.output)

    def test_it_is_not_put_into_another_request(self):
        token = tracing_context.enter(self._request(0xA))
        rows = self._rows()
        next(rows)
        tracing_context.leave(token)
        token = tracing_context.enter(self._request(0xB))
        with oslo_tracing.span('work'):
            rows.close()
            self._assert_in(0xB)
        self._assert_in(0xB)
        tracing_context.leave(token)
        self._assert_nothing_is_left()
        self.assertEqual(['rows', 'work'], self._ended())

    def test_a_request_on_top_of_it_stays_what_it_is(self):
        rows = self._rows(root=True)
        next(rows)
        token = tracing_context.enter(self._request(0xB))
        rows.close()
        self._assert_in(0xB)
        tracing_context.leave(token)
        self.assertNotIn('detach', self.log.output)

    def test_two_that_are_read_in_turns(self):
        for first, second in ((0, 1), (1, 0)):
            both = self._rows('a', True), self._rows('b', True)
            for _read in zip(*both):
                pass
            both[first].close()
            both[second].close()
            self._assert_nothing_is_left()
        self.assertEqual(['a', 'a', 'b', 'b'], self._ended())

    def test_what_was_left_above_it_goes_with_it(self):
        with oslo_tracing.span('outer', root=True):
            otel_context.attach(baggage.set_baggage('tenant', 5))
            rows = self._rows()
            next(rows)
        self._assert_nothing_is_left()
        rows.close()
        self._assert_nothing_is_left()
        self.assertEqual({}, baggage.get_all())

    def test_an_asynchronous_one_that_a_loop_breaks_off(self):
        async def work():
            with oslo_tracing.span('request', root=True):
                async for _row in self._later():
                    break
                gc.collect()
                await asyncio.sleep(0.01)

            self.assertIsNone(oslo_tracing.current_trace_id())

        asyncio.run(work())
        self._assert_nothing_is_left()
        self.assertEqual(['request', 'rows'], self._ended())

    def test_a_task_that_leaves_one_after_another_keeps_none(self):
        async def work():
            for _turn in range(20):
                async for _row in self._later():
                    break
                gc.collect()
                await asyncio.sleep(0.001)
            opened = otel_context.get_current()[_current.OPENED]
            outer = 0
            while opened.outer is not None:
                opened = opened.outer
                outer += 1
            return outer

        with oslo_tracing.span('request', root=True):
            # The request's own.
            self.assertEqual(1, asyncio.run(work()))
        self._assert_nothing_is_left()

    def test_one_that_another_thread_reads_to_its_end(self):
        rows = self._rows(root=True)
        next(rows)
        thread = threading.Thread(target=list, args=(rows,))
        thread.start()
        thread.join()
        self.assertNotIn('detach', self.log.output)
        self.assertEqual(['rows'], self._ended())

    def test_one_that_a_copy_of_the_context_closes(self):
        rows = self._rows(root=True)
        next(rows)
        contextvars.copy_context().run(rows.close)
        self.assertNotIn('detach', self.log.output)
        self.assertEqual(['rows'], self._ended())

    def test_there_is_no_baggage_in_what_it_opens(self):
        with oslo_tracing.span('outer', root=True):
            self.assertTrue(_current.is_plain(otel_context.get_current()))


class BrokenTest(base.TestCase):
    def test_a_broken_processor_does_not_reach_the_service(self):
        class Broken(sdk_trace.SpanProcessor):
            def on_end(self, span):
                raise RuntimeError('S3CRET')

        async def listed(generator):
            return [number async for number, _name in generator]

        log = self.useFixture(fixtures.FakeLogger())
        spans = self.useFixture(fixture.SpanRecorder('none'))
        spans.tracing.provider.add_span_processor(Broken())
        volumes = Volumes()
        with oslo_tracing.span('outer', root=True):
            self.assertEqual('c1', volumes.attach('c1')[1])
            self.assertRaises(ValueError, volumes.attach, 'c1', True)
            self.assertEqual([0, 1], list(volumes.counted(2)))
            self.assertEqual([0, 1], asyncio.run(listed(volumes.later(2))))
        self.assertEqual(5, len(spans.finished))
        self.assertEqual(1, log.output.count('Tracing failed'))
        self.assertNotIn('S3CRET', log.output)


class OffTest(base.TestCase):
    def test_a_span_allocates_nothing(self):
        def work():
            for _number in range(1000):
                with oslo_tracing.span('work', root=True):
                    pass

        work()
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before = tracemalloc.take_snapshot()
        work()
        after = tracemalloc.take_snapshot()
        kept = sum(
            stat.size_diff
            for stat in after.compare_to(before, 'filename')
            if 'oslo_tracing/spans' in stat.traceback[0].filename
        )
        # Of a thousand spans; what the interpreter keeps for itself is less.
        self.assertLess(kept, 512)
        self.assertIs(oslo_tracing.span('a'), oslo_tracing.span('b'))

    def test_everything_still_works(self):
        self.assertIsNone(oslo_tracing.current_trace_id())
        self.assertEqual((None, 'c1'), Volumes().attach('c1'))
        self.assertEqual([0, 1], list(Volumes().counted(2)))
        with oslo_tracing.span('work') as span:
            self.assertFalse(span.is_recording())
            self.assertIs(trace.INVALID_SPAN_CONTEXT, span.get_span_context())

    def test_decorating_loads_nothing_of_opentelemetry(self):
        code = (
            'import sys, oslo_tracing\n'
            '@oslo_tracing.traced\n'
            'def f():\n'
            '    with oslo_tracing.span("x"):\n'
            '        return oslo_tracing.current_trace_id()\n'
            'f()\n'
            'print([m for m in sys.modules if "opentelemetry" in m])\n'
        )
        printed = subprocess.run(
            [sys.executable, '-c', code],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        self.assertEqual('[]\n', printed)

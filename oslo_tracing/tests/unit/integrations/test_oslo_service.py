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

import copy
import functools
import logging
import pickle
import threading
from unittest import mock

import eventlet
import fixtures
import greenlet
from opentelemetry import trace
from oslo_config import cfg
from oslo_context import context as oslo_context
from oslo_service.backend._common import loopingcall as common
from oslo_service.backend._eventlet import loopingcall as green_loops
from oslo_service.backend._eventlet import threadgroup as green_groups
from oslo_service.backend._threading import loopingcall as real_loops
from oslo_service.backend._threading import threadgroup as real_groups
from oslo_service import periodic_task
from oslo_utils import reflection

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing.integrations import _periodic
from oslo_tracing.integrations import oslo_service as integration
from oslo_tracing import service
from oslo_tracing.tests import base

BACKENDS = {
    'eventlet': (green_loops, green_groups),
    'threading': (real_loops, real_groups),
}
INTEGRATIONS = ('oslo_service', 'executors', 'threads', 'eventlet')


def _current():
    return trace.get_current_span().get_span_context()


class Times:
    """Runs so many times, and notes in which span."""

    def __init__(self, times, done=common.LoopingCallDone):
        self.left = times
        self.seen = []
        self._done = done

    def sync(self, *args, **kwargs):
        self.args = args, kwargs
        self.seen.append(_current().span_id)
        self.left -= 1
        if self.left <= 0:
            raise self._done()

    def __call__(self):
        return self.sync()


class LoopsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(
            fixture.SpanRecorder(*INTEGRATIONS, sampling_rules=[])
        )

    def test_each_run_is_a_trace(self):
        for name, (loops, _groups) in BACKENDS.items():
            self.spans.clear()
            times = Times(3)
            call = loops.FixedIntervalLoopingCall(times.sync, 1, g=2)
            call.start(interval=0)
            call.wait()
            spans = self.spans.finished
            self.assertEqual(
                ['periodic sync'] * 3, [span.name for span in spans], name
            )
            self.assertEqual(
                times.seen, [span.context.span_id for span in spans]
            )
            self.assertEqual(3, len({span.context.trace_id for span in spans}))
            for span in spans:
                self.assertIsNone(span.parent)
                self.assertEqual(trace.SpanKind.INTERNAL, span.kind)
                self.assertEqual(
                    f'{__name__}.Times.sync',
                    span.attributes['code.function.name'],
                )
                # To be done is no error.
                self.assertEqual(
                    trace.StatusCode.UNSET, span.status.status_code
                )
            self.assertEqual(times.sync, call.f)
            self.assertEqual(0, _current().span_id)

    def test_all_kinds_of_looping_calls(self):
        for name, (loops, _groups) in BACKENDS.items():
            for kind, how in (
                ('FixedIntervalWithTimeoutLoopingCall', {'interval': 0}),
                ('DynamicLoopingCall', {'periodic_interval_max': 0}),
                ('BackOffLoopingCall', {'starting_interval': 0}),
            ):
                self.spans.clear()
                call = getattr(loops, kind)(Times(1))
                call.start(**how)
                call.wait()
                (span,) = self.spans.finished
                self.assertEqual('periodic Times', span.name, (name, kind))

    def test_in_a_request_it_is_part_of_it(self):
        for name, (loops, _groups) in BACKENDS.items():
            self.spans.clear()
            times = Times(2)
            with oslo_tracing.span('request', root=True) as request:
                call = loops.FixedIntervalLoopingCall(times)
                call.start(interval=0)
                call.wait()
            expected = request.get_span_context().span_id
            self.assertEqual([expected] * 2, times.seen, name)
            self.assertEqual(
                ['request'], [span.name for span in self.spans.finished]
            )

    def test_an_error_marks_the_run_and_ends_the_loop_as_ever(self):
        for name, (loops, _groups) in BACKENDS.items():
            self.spans.clear()
            call = loops.FixedIntervalLoopingCall(Times(1, KeyError))
            call.start(interval=0)
            self.assertRaises(KeyError, call.wait)
            (span,) = self.spans.finished
            self.assertEqual(
                trace.StatusCode.ERROR, span.status.status_code, name
            )
            self.assertEqual('KeyError', span.attributes['error.type'])

    def test_a_timeout_of_eventlet_marks_the_run(self):
        # It is no Exception, and so the loop does not see it.
        def run(done):
            self.spans.clear()
            roots = _periodic.Roots(
                mock.Mock(
                    settings=self.spans.tracing.settings,
                    tracer=lambda name: trace.get_tracer(name),
                ),
                'oslo_service',
            )
            times = Times(1, done)
            self.assertRaises(done, roots.run, times, None, times, (), {})
            (span,) = self.spans.finished
            return span

        span = run(eventlet.Timeout)
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual(
            'eventlet.timeout.Timeout', span.attributes['error.type']
        )
        self.assertEqual(1, len(span.events))
        span = run(greenlet.GreenletExit)
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)

    def test_timers_of_a_group(self):
        for name, (_loops, groups) in BACKENDS.items():
            self.spans.clear()
            group = groups.ThreadGroup()
            timer = group.add_timer_args(0, Times(1).sync)
            timer.wait()
            timer = group.add_dynamic_timer_args(
                Times(1).sync, periodic_interval_max=0
            )
            timer.wait()
            self.assertEqual(
                ['periodic sync'] * 2,
                [span.name for span in self.spans.finished],
                name,
            )

    def test_its_log_lines_name_the_function_as_ever(self):
        class Callable:
            def __call__(self):
                raise KeyError

        for function in (Times(1, KeyError).sync, Callable(), Callable):
            lines = []
            for wrapped in (True, False):
                if not wrapped:
                    service.shutdown()
                else:
                    self.useFixture(fixture.SpanRecorder(*INTEGRATIONS))
                call = real_loops.FixedIntervalLoopingCall(function)
                self.patch(
                    real_loops.LOG,
                    'error',
                    lambda text, values, exc_info=None: lines.append(
                        text % values
                    ),
                )
                if function is not Callable:
                    call.start(interval=0)
                    self.assertRaises(KeyError, call.wait)
            self.assertEqual(lines[:1], lines[1:])

    def test_threads_of_a_group_run_in_the_trace(self):
        for name, (_loops, groups) in BACKENDS.items():
            group = groups.ThreadGroup()
            seen = []
            with oslo_tracing.span('request', root=True) as request:
                group.add_thread(lambda seen=seen: seen.append(_current()))
            group.wait() if name == 'threading' else eventlet.sleep(0)
            self.assertEqual([request.get_span_context()], seen, name)
            group.add_thread(lambda seen=seen: seen.append(_current()))
            group.wait() if name == 'threading' else eventlet.sleep(0)
            self.assertEqual(0, seen[1].span_id, name)

    def test_also_where_the_function_is_given_by_name(self):
        for name, (_loops, groups) in BACKENDS.items():
            group = groups.ThreadGroup()
            seen = []

            def work(*args, seen=seen, **kwargs):
                seen.append((_current(), args, kwargs))

            with oslo_tracing.span('request', root=True) as request:
                group.add_thread(callback=work, left=1)
            group.wait() if name == 'threading' else eventlet.sleep(0)
            self.assertEqual(
                [(request.get_span_context(), (), {'left': 1})], seen, name
            )

    def test_a_looping_call_over_a_partial_is_named_as_its_function(self):
        times = Times(1)
        call = real_loops.FixedIntervalLoopingCall(
            functools.partial(functools.partial(times.sync, 1), g=2)
        )
        call.start(interval=0)
        call.wait()
        (span,) = self.spans.finished
        self.assertEqual('periodic sync', span.name)
        self.assertEqual(
            f'{__name__}.Times.sync', span.attributes['code.function.name']
        )
        self.assertEqual(((1,), {'g': 2}), times.args)

    def test_its_log_lines_name_a_partial_as_ever(self):
        def run(_argument):
            named.append(reflection.get_callable_name(call.f))
            raise common.LoopingCallDone()

        named = []
        function = functools.partial(run, 1)
        call = real_loops.FixedIntervalLoopingCall(function)
        call.start(interval=0)
        call.wait()
        self.assertEqual([reflection.get_callable_name(function)], named)

    def test_off_by_option(self):
        self.spans = self.useFixture(
            fixture.SpanRecorder(
                *INTEGRATIONS, sampling_rules=[], trace_periodic=False
            )
        )
        call = real_loops.FixedIntervalLoopingCall(Times(2))
        call.start(interval=0)
        call.wait()
        self.assertEqual([], self.spans.finished)

    def test_where_we_fail_the_loop_goes_on(self):
        def broken(*args, **kwargs):
            raise RuntimeError('ours')

        self.patch(
            self.spans.tracing.provider.sampler, 'should_sample', broken
        )
        times = Times(2)
        call = real_loops.FixedIntervalLoopingCall(times)
        call.start(interval=0)
        call.wait()
        self.assertEqual([0, 0], times.seen)

    def test_it_comes_off(self):
        service.shutdown()
        for module, owner, name in (
            (common, common.LoopingCallBase, '_run_loop'),
            (real_loops, real_loops.LoopingCallBase, '_run_loop'),
            (real_groups, real_groups.ThreadGroup, 'add_thread'),
            (
                periodic_task,
                periodic_task.PeriodicTasks,
                'run_periodic_tasks',
            ),
        ):
            function = vars(owner)[name]
            self.assertEqual(module.__file__, function.__code__.co_filename)


class Manager(periodic_task.PeriodicTasks):
    def __init__(self, conf):
        super().__init__(conf)
        self.seen = []

    @periodic_task.periodic_task(spacing=1, run_immediately=True)
    def update_resources(self, context):
        self.seen.append((self, context, _current()))

    @periodic_task.periodic_task(spacing=1, run_immediately=True)
    def fails(self, context):
        raise ValueError('of the service')


class Copied(periodic_task.PeriodicTasks):
    def __getstate__(self):
        return {k: v for k, v in vars(self).items() if k != 'conf'}

    @periodic_task.periodic_task(spacing=1, run_immediately=True)
    def copies(self, context):
        self.copies = [copy.copy(self), pickle.loads(pickle.dumps(self))]


class TasksTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(
            fixture.SpanRecorder(*INTEGRATIONS, sampling_rules=[])
        )
        conf = cfg.ConfigOpts()
        conf([], project='test', default_config_files=[])
        self.manager = Manager(conf)
        self.context = oslo_context.RequestContext(overwrite=False)

    def test_each_task_is_a_trace(self):
        self.manager.run_periodic_tasks(self.context)
        task = self.spans.named('periodic update_resources')
        ((manager, context, seen),) = self.manager.seen
        self.assertIs(self.manager, manager)
        self.assertIs(self.context, context)
        self.assertEqual(task.context.span_id, seen.span_id)
        self.assertIsNone(task.parent)
        self.assertEqual(
            f'{__name__}.Manager.update_resources',
            task.attributes['code.function.name'],
        )
        failed = self.spans.named('periodic fails')
        self.assertIsNone(failed.parent)
        self.assertNotEqual(task.context.trace_id, failed.context.trace_id)
        self.assertEqual(trace.StatusCode.ERROR, failed.status.status_code)

    def test_also_where_a_looping_call_runs_them(self):
        def periodic_tasks():
            self.manager.run_periodic_tasks(self.context)
            raise common.LoopingCallDone()

        call = real_loops.FixedIntervalLoopingCall(periodic_tasks)
        call.start(interval=0)
        call.wait()
        self.assertEqual(
            [None] * 3, [span.parent for span in self.spans.finished]
        )
        self.assertEqual(
            3, len({span.context.trace_id for span in self.spans.finished})
        )

    def test_in_a_request_they_are_part_of_it(self):
        with oslo_tracing.span('request', root=True):
            self.manager.run_periodic_tasks(self.context)
        self.assertEqual(['request'], [s.name for s in self.spans.finished])

    def test_the_manager_is_left_as_it_was(self):
        before = dict(vars(self.manager), _periodic_last_run=None)
        self.assertRaises(
            ValueError,
            self.manager.run_periodic_tasks,
            self.context,
            raise_on_error=True,
        )
        after = dict(vars(self.manager), _periodic_last_run=None)
        self.assertEqual(before, after)

    def test_two_threads_at_once(self):
        threads = [
            threading.Thread(
                target=self.manager.run_periodic_tasks, args=(self.context,)
            )
            for _n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertNotIn('_periodic_tasks', vars(self.manager))

    def test_a_task_may_copy_and_pickle_the_manager(self):
        manager = Copied(self.manager.conf)
        manager.run_periodic_tasks(self.context, raise_on_error=True)
        self.assertEqual(
            ['periodic copies'], [span.name for span in self.spans.finished]
        )
        for copied in manager.copies:
            self.assertNotIn('_periodic_tasks', vars(copied))

    def test_what_the_loop_sets_is_set_in_the_manager(self):
        seen = integration._as_seen(self.manager, [])
        seen.idle_for = 5
        self.assertEqual(5, self.manager.idle_for)
        self.assertEqual(5, seen.idle_for)
        self.assertEqual([], seen._periodic_tasks)

    def test_its_log_lines_name_the_manager_as_ever(self):
        log = self.useFixture(
            fixtures.FakeLogger('oslo_service', level=logging.DEBUG)
        )
        self.manager.run_periodic_tasks(self.context)
        self.assertIn(
            'Running periodic task Manager.update_resources\n', log.output
        )
        self.assertIn('Error during Manager.fails\n', log.output)

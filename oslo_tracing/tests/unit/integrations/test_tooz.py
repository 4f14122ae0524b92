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

"""Through the real tooz, with its file driver."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import fixtures
from opentelemetry import trace
from tooz import coordination
from tooz.drivers import file
from tooz.drivers import memcached

import oslo_tracing
from oslo_tracing import _guard
from oslo_tracing import fixture
from oslo_tracing.tests import base

_DEADLINE = 60
#: Seconds for which a lock is kept from who waits for it already.
_KEPT = 0.03
_ID = '3a1b7c0e-5a39-4f44-9d0a-6a2d5c1e7f00'
_NAME = f'cinder-{_ID}-delete_volume'.encode()

_LOADS_A_DRIVER_LATER = """
import sys
from oslo_tracing import fixture
recorder = fixture.SpanRecorder('tooz')
recorder.setUp()
assert 'tooz' not in sys.modules
from tooz.drivers import file
ours = file.FileLock.acquire
assert hasattr(ours, '__wrapped__')
recorder.cleanUp()
assert file.FileLock.acquire is ours.__wrapped__
print('as it was')
"""


class ToozTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(fixture.SpanRecorder('tooz'))
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.coordinator = self.started(b'one')

    def started(self, member):
        found = coordination.get_coordinator(
            f'file://{self.directory}', member
        )
        found.start()
        self.addCleanup(found.stop)
        return found

    def locks(self):
        return [s for s in self.spans.finished if s.name.startswith('lock ')]

    def wait_for_it(self, take):
        """Have a lock taken by somebody, who gives it back to ``take``."""
        held = self.coordinator.get_lock(_NAME)
        held.acquire()
        barrier = held._barrier
        failed = []

        def wait():
            try:
                take(self.coordinator.get_lock(_NAME))
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        deadline = time.monotonic() + _DEADLINE
        while not barrier.cond._waiters:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        time.sleep(_KEPT)
        held.release()
        thread.join(_DEADLINE)
        self.assertEqual([], failed)

    def assert_one_wait(self, span_id):
        span = max(self.locks(), key=lambda s: s.end_time - s.start_time)
        self.assertEqual('lock cinder-{id}-delete_volume', span.name)
        self.assertEqual(trace.SpanKind.INTERNAL, span.kind)
        self.assertEqual(span_id, span.parent.span_id)
        waited = span.attributes['openstack.lock.wait']
        self.assertGreaterEqual(waited, _KEPT * 0.9)
        self.assertGreaterEqual(span.attributes['openstack.lock.held'], 0)
        self.assertEqual('oslo_tracing.tooz', span.instrumentation_scope.name)

    def test_a_lock_that_is_waited_for_is_a_span(self):
        requests = []

        def entered(lock):
            with oslo_tracing.span('delete', root=True) as request:
                requests.append(request)
                with lock:
                    self.assertTrue(lock.acquired)

        self.wait_for_it(entered)
        self.assert_one_wait(requests[0].get_span_context().span_id)

    def test_a_lock_that_is_taken_by_hand(self):
        requests = []

        def taken(lock):
            with oslo_tracing.span('delete', root=True) as request:
                requests.append(request)
                self.assertTrue(lock.acquire(blocking=_DEADLINE))
                self.assertTrue(lock.release())

        self.wait_for_it(taken)
        self.assert_one_wait(requests[0].get_span_context().span_id)

    def test_a_lock_that_is_called(self):
        requests = []

        def called(lock):
            with oslo_tracing.span('delete', root=True) as request:
                requests.append(request)
                with lock(_DEADLINE):
                    pass

        self.wait_for_it(called)
        self.assert_one_wait(requests[0].get_span_context().span_id)

    def test_one_that_was_made_before_the_request(self):
        lock = self.coordinator.get_lock(_NAME)
        requests = []

        def made_before(_lock):
            with oslo_tracing.span('delete', root=True) as request:
                requests.append(request)
                with lock:
                    pass

        self.wait_for_it(made_before)
        self.assert_one_wait(requests[0].get_span_context().span_id)

    def test_outside_of_a_trace_nothing_is_recorded(self):
        def alone(lock):
            with lock:
                pass

        self.wait_for_it(alone)
        self.assertEqual([], self.spans.finished)

    def test_a_lock_that_is_not_got(self):
        held = self.coordinator.get_lock(_NAME)
        with held:
            with oslo_tracing.span('delete', root=True):
                lock = self.coordinator.get_lock(_NAME)
                self.assertFalse(lock.acquire(blocking=_KEPT))
                self.assertRaises(
                    coordination.LockAcquireFailed, lock(_KEPT).__enter__
                )
        waits = self.locks()
        self.assertEqual(2, len(waits))
        for span in waits:
            self.assertGreaterEqual(
                span.attributes['openstack.lock.wait'], _KEPT * 0.9
            )
            self.assertNotIn('openstack.lock.held', span.attributes)

    def test_only_the_directory_of_a_file_is_no_part_of_a_name(self):
        class Coordinator:
            _member_id = b'one'

            def __init__(self):
                self.client = self

            def add(self, *args, **kwargs):
                time.sleep(_KEPT)
                return False

        lock = memcached.MemcachedLock(Coordinator(), b'volumes/pool', 30)
        with oslo_tracing.span('delete', root=True):
            self.assertFalse(lock.acquire(blocking=False))
        [span] = self.locks()
        self.assertEqual('lock __TOOZ_LOCK_volumes/pool', span.name)

    def test_what_acquire_raises_is_recorded_and_raised(self):
        class Broken(Exception):
            pass

        def broken(*args, **kwargs):
            time.sleep(_KEPT)
            raise Broken('of cinder-secret')

        lock = self.coordinator.get_lock(_NAME)
        self.useFixture(
            fixtures.MonkeyPatch('fasteners.InterProcessLock.acquire', broken)
        )
        with oslo_tracing.span('delete', root=True):
            self.assertRaises(Broken, lock.acquire)
        [span] = self.locks()
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertIn('Broken', span.attributes['error.type'])

    def test_we_fail_and_the_lock_is_taken(self):
        def broken(*args):
            raise RuntimeError('ours')

        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing.integrations.tooz._name', broken
            )
        )
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._guard._REPORTER', _guard._Reporter()
            )
        )
        with oslo_tracing.span('delete', root=True):
            lock = self.coordinator.get_lock(_NAME)
            with lock:
                self.assertTrue(lock.acquired)
            self.assertFalse(lock.acquired)
        self.assertEqual([], self.locks())

    def test_nothing_is_kept_of_a_lock_that_is_gone(self):
        # A name of many: each volume has locks of its own.
        from oslo_tracing.integrations import tooz

        made = []
        original = tooz._Watched.__init__

        def noted(watched, locks):
            original(watched, locks)
            made.append(watched)

        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing.integrations.tooz._Watched.__init__', noted
            )
        )
        self.useFixture(fixture.SpanRecorder('tooz'))
        for number in range(10):
            with oslo_tracing.span('delete', root=True):
                with self.coordinator.get_lock(b'%d' % number):
                    pass
        self.assertEqual([0], [len(one._watches) for one in made])


class HeartbeatTest(base.TestCase):
    def setUp(self):
        super().setUp()
        directory = self.useFixture(fixtures.TempDir()).path
        self.coordinator = coordination.get_coordinator(
            f'file://{directory}', b'one'
        )
        self.coordinator.start()
        self.addCleanup(self.coordinator.stop)

    def _recorder(self, **options):
        return self.useFixture(fixture.SpanRecorder('tooz', **options))

    def test_each_is_periodic_work(self):
        spans = self._recorder(sampling_rules=[])
        before = file.FileDriver.heartbeat.__wrapped__(self.coordinator)
        for _ in range(2):
            self.assertEqual(before, self.coordinator.heartbeat())
        for span in spans.finished:
            self.assertEqual('periodic heartbeat', span.name)
            self.assertIsNone(span.parent)
            self.assertEqual(
                'tooz.drivers.file.FileDriver.heartbeat',
                span.attributes['code.function.name'],
            )
            self.assertEqual(
                'oslo_tracing.tooz', span.instrumentation_scope.name
            )
        traces = {span.context.trace_id for span in spans.finished}
        self.assertEqual(2, len(traces))

    def test_what_fails_says_so(self):
        spans = self._recorder(sampling_rules=[])
        groups = self.coordinator._joined_groups
        self.coordinator._joined_groups = None
        try:
            self.assertRaises(TypeError, self.coordinator.heartbeat)
        finally:
            self.coordinator._joined_groups = groups
        (span,) = spans.finished
        self.assertEqual('TypeError', span.attributes['error.type'])

    def test_by_default_nothing_of_it_is_recorded(self):
        spans = self._recorder()
        self.coordinator.heartbeat()
        self.assertEqual([], spans.finished)

    def test_whoever_has_a_trace_keeps_it(self):
        spans = self._recorder(sampling_rules=[])
        with oslo_tracing.span('beat', root=True):
            self.coordinator.heartbeat()
        self.assertEqual(['beat'], [span.name for span in spans.finished])

    def test_it_can_be_turned_off(self):
        original = file.FileDriver.heartbeat
        with fixture.SpanRecorder('tooz', trace_periodic=False):
            self.assertIs(original, file.FileDriver.heartbeat)
            self.assertTrue(hasattr(file.FileLock.acquire, '__wrapped__'))
        with fixture.SpanRecorder('tooz', trace_locks=False):
            self.assertIs(original, file.FileDriver.heartbeat.__wrapped__)
            self.assertFalse(hasattr(file.FileLock.acquire, '__wrapped__'))
        self.assertIs(original, file.FileDriver.heartbeat)


class OffTest(base.TestCase):
    def test_it_comes_off(self):
        names = ('acquire', 'release')
        before = [vars(file.FileLock)[name] for name in names]
        recorder = fixture.SpanRecorder('tooz')
        with recorder:
            for name, one in zip(names, before, strict=True):
                self.assertIsNot(one, vars(file.FileLock)[name])
        after = [vars(file.FileLock)[name] for name in names]
        for one, other in zip(before, after, strict=True):
            self.assertIs(one, other)

    def test_a_driver_that_is_loaded_later(self):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _LOADS_A_DRIVER_LATER],
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
        )
        self.assertEqual('as it was\n', done.stdout, done.stderr)

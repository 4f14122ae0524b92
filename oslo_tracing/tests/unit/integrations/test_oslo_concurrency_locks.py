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

"""Through the real lockutils of oslo.concurrency: who waits, who does not."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time

import fixtures
from opentelemetry import trace
from oslo_concurrency import lockutils

import oslo_tracing
from oslo_tracing import _guard
from oslo_tracing import fixture
from oslo_tracing.tests import base

_SEAMS = ('internal_lock', 'internal_fair_lock', 'external_lock')
_DEADLINE = 60
#: Seconds for which a lock is kept from who waits for it already.
_KEPT = 0.03
_ID = '3a1b7c0e-5a39-4f44-9d0a-6a2d5c1e7f00'

# The first one imports eventlet, which confuses a thread that ends later where
# it is not the main thread that does.
lockutils.ReaderWriterLock()

# Made by a service before tracing is set up.
synchronized_before = lockutils.synchronized_with_prefix('nova-')
lock_before = lockutils.lock_with_prefix('nova-')

_HOLDER = """
import fcntl, sys
held = open(sys.argv[1], 'a')
fcntl.lockf(held, fcntl.LOCK_EX)
print('held', flush=True)
sys.stdin.readline()
"""


def _waited_for(lock):
    """Say whether somebody waits for a lock."""
    if isinstance(lock, lockutils.ReaderWriterLock):
        return lock.has_pending_writers
    return bool(lock._cond._waiters)


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(fixture.SpanRecorder('oslo_concurrency'))

    @contextlib.contextmanager
    def held(self, name, fair=False):
        """Have a lock held until somebody has waited for it."""
        taken = threading.Event()
        enough = threading.Event()

        def hold():
            with lockutils.lock(name, fair=fair, do_log=False):
                if fair:
                    inner = lockutils._fair_locks.get(name)
                else:
                    inner = lockutils._semaphores.get(name)
                taken.set()
                deadline = time.monotonic() + _DEADLINE
                while not _waited_for(inner):
                    if enough.wait(0.005) or time.monotonic() > deadline:
                        return
                enough.wait(_KEPT)

        thread = threading.Thread(target=hold)
        thread.start()
        self.assertTrue(taken.wait(_DEADLINE))
        try:
            yield
        finally:
            enough.set()
            thread.join(_DEADLINE)

    def be_patient(self):
        """Take no stop of this busy machine for a wait."""
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing.integrations._locks.THRESHOLD', _DEADLINE
            )
        )

    def locks(self):
        return [s for s in self.spans.finished if s.name.startswith('lock ')]

    def assert_one_wait(self, name, request):
        # A busy machine may have stopped us also where the lock was free.
        span = max(self.locks(), key=lambda s: s.end_time - s.start_time)
        self.assertEqual(f'lock {name}', span.name)
        self.assertEqual(trace.SpanKind.INTERNAL, span.kind)
        self.assertEqual(
            request.get_span_context().span_id, span.parent.span_id
        )
        waited = span.attributes['openstack.lock.wait']
        self.assertGreaterEqual(waited, _KEPT * 0.9)
        self.assertGreaterEqual(span.attributes['openstack.lock.held'], 0)
        self.assertAlmostEqual(
            waited, (span.end_time - span.start_time) / 1e9, places=5
        )
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)
        return span


class LocksTest(TestCase):
    def test_a_lock_that_is_waited_for_is_a_span(self):
        with self.held('compute_resources'):
            with oslo_tracing.span('boot', root=True) as request:
                with lockutils.lock('compute_resources'):
                    with oslo_tracing.span('claim'):
                        pass
        self.assert_one_wait('compute_resources', request)
        claim = self.spans.named('claim')
        self.assertEqual(
            request.get_span_context().span_id, claim.parent.span_id
        )

    def test_a_function_that_was_decorated_before_is_covered(self):
        @synchronized_before(f'refresh_cache-{_ID}')
        def refresh():
            return 'done'

        with self.held(f'refresh_cache-{_ID}'):
            with oslo_tracing.span('boot', root=True) as request:
                self.assertEqual('done', refresh())
        self.assert_one_wait('refresh_cache-{id}', request)

    def test_a_lock_with_a_prefix_made_before_is_covered(self):
        with self.held('disk12'):
            with oslo_tracing.span('boot', root=True) as request:
                with lock_before('disk12'):
                    pass
        self.assert_one_wait('disk{n}', request)

    def test_a_fair_lock_is_covered(self):
        with self.held('fair', fair=True):
            with oslo_tracing.span('boot', root=True) as request:
                with lockutils.lock('fair', fair=True):
                    pass
        self.assert_one_wait('fair', request)

    def test_an_internal_lock_is_covered_however_it_is_taken(self):
        with self.held('inner'):
            with oslo_tracing.span('boot', root=True) as request:
                lock = lockutils.internal_lock('inner')
                self.assertIsInstance(lock, threading.Semaphore)
                self.assertTrue(lock.acquire())
                lock.release()
        self.assert_one_wait('inner', request)

    def test_a_lock_between_processes_is_covered(self):
        path = self.useFixture(fixtures.TempDir()).path
        child = subprocess.Popen(
            [sys.executable, '-c', _HOLDER, f'{path}/nova-shared'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(child.wait)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stdin.close)
        self.assertEqual(b'held\n', child.stdout.readline())

        class Lock(lockutils.InterProcessLock):
            """Has the other process let go once this one must wait."""

            def trylock(self):
                try:
                    super().trylock()
                except OSError:
                    if not child.stdin.closed:
                        child.stdin.close()
                    raise

        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_concurrency.lockutils.InterProcessLock', Lock
            )
        )
        with oslo_tracing.span('boot', root=True) as request:
            with lockutils.lock(
                'shared', 'nova-', external=True, lock_path=path, delay=_KEPT
            ) as lock:
                self.assertTrue(lock.exists())
        self.assert_one_wait('shared', request)

    def test_a_free_lock_has_no_span(self):
        self.be_patient()
        path = self.useFixture(fixtures.TempDir()).path
        with oslo_tracing.span('boot', root=True):
            for fair in (False, True):
                with lockutils.lock('free', fair=fair):
                    pass
            with lockutils.lock('free', external=True, lock_path=path):
                pass
        self.assertEqual(['boot'], [s.name for s in self.spans.finished])

    def test_outside_of_a_trace_the_lock_itself_is_given(self):
        with self.held('alone'):
            with lockutils.lock('alone') as lock:
                self.assertIs(lockutils._semaphores.get('alone'), lock)
        self.assertEqual([], self.spans.finished)

    def test_a_lock_that_is_not_got_raises_as_ever(self):
        self.be_patient()

        def take():
            with lockutils.lock('taken', blocking=False):
                pass

        with oslo_tracing.span('boot', root=True):
            with lockutils.lock('taken'):
                self.assertRaises(lockutils.AcquireLockFailedException, take)
            take()
        self.assertEqual([], self.locks())

    def test_a_wait_that_ends_in_an_error_is_told(self):
        class Killed(BaseException):
            pass

        class Broken(threading.Semaphore):
            def acquire(self, *args, **kwargs):
                threading.Event().wait(_KEPT)
                raise Killed()

            __enter__ = acquire

        semaphores = lockutils.Semaphores()
        broken = semaphores._semaphores['broken'] = Broken()
        self.assertIsNotNone(broken)

        def take():
            with lockutils.lock('broken', semaphores=semaphores):
                pass

        with oslo_tracing.span('boot', root=True):
            self.assertRaises(Killed, take)
        (span,) = self.locks()
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertIn('Killed', span.attributes['error.type'])
        self.assertNotIn('openstack.lock.held', span.attributes)

    def test_a_wait_that_times_out_is_told(self):
        with lockutils.internal_lock('full'):
            with oslo_tracing.span('boot', root=True):
                lock = lockutils.internal_lock('full')
                self.assertFalse(lock.acquire(timeout=_KEPT))
        (span,) = self.locks()
        self.assertNotIn('openstack.lock.held', span.attributes)

    def test_an_error_under_the_lock_passes_and_releases_it(self):
        def work():
            with lockutils.lock('work'):
                raise KeyError('x')

        with self.held('work'):
            with oslo_tracing.span('boot', root=True) as request:
                self.assertRaises(KeyError, work)
        self.assert_one_wait('work', request)
        with lockutils.lock('work', blocking=False):
            pass

    def test_our_own_errors_are_not_the_service_s(self):
        logged = self.useFixture(fixtures.FakeLogger())
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._guard._REPORTER', _guard._Reporter()
            )
        )

        def refuse(*args, **kwargs):
            raise ValueError('S3CRET')

        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing.tracer._tracer.Tracer.start_span', refuse
            )
        )
        span = trace.NonRecordingSpan(
            trace.SpanContext(1, 1, False, trace.TraceFlags(1))
        )
        with self.held('ours'), trace.use_span(span):
            with lockutils.lock('ours'):
                pass
        with lockutils.lock('ours', blocking=False):
            pass
        self.assertIn('Tracing failed while starting', logged.output)
        self.assertNotIn('S3CRET', logged.output)


class OffTest(base.TestCase):
    def test_the_very_same_functions_are_back(self):
        before = [vars(lockutils)[name] for name in _SEAMS]
        spans = self.useFixture(fixture.SpanRecorder('oslo_concurrency'))
        with oslo_tracing.span('boot', root=True):
            kept = lockutils.internal_lock('kept')
        for name, original in zip(_SEAMS, before, strict=True):
            self.assertIsNot(original, vars(lockutils)[name])
        spans.tracing.undo.close()
        for name, original in zip(_SEAMS, before, strict=True):
            self.assertIs(original, vars(lockutils)[name])
        with kept:
            pass

    def test_the_option_turns_it_off(self):
        before = [vars(lockutils)[name] for name in _SEAMS]
        self.useFixture(
            fixture.SpanRecorder('oslo_concurrency', trace_locks=False)
        )
        self.assertEqual(before, [vars(lockutils)[name] for name in _SEAMS])

    def test_a_missing_seam_costs_one_line_and_no_more(self):
        logged = self.useFixture(fixtures.FakeLogger())
        original = lockutils.internal_fair_lock
        self.addCleanup(setattr, lockutils, 'internal_fair_lock', original)
        del lockutils.internal_fair_lock
        self.useFixture(fixture.SpanRecorder('oslo_concurrency'))
        self.assertIn('waits for fair locks are not traced', logged.output)
        self.assertTrue(hasattr(lockutils.internal_lock, '__wrapped__'))

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

import logging
import os
import subprocess
import sys
import threading
import time

from oslo_tracing import _real
from oslo_tracing import counters
from oslo_tracing import exporters
from oslo_tracing.exporters import _lines
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support

# In a process of its own: monkey patching cannot be taken back.
_START = '''
import logging
import sys
import threading
import time
import oslo_tracing
from oslo_config import cfg
from oslo_tracing import _real
from oslo_tracing import opts

real = _real.threading_module()
written = []
idents = set()


class Yielding(logging.Handler):
    """Holds its lock while others run."""

    def emit(self, record):
        pause()
        idents.add(real.get_ident())
        written.append(record.name)


def wait_for(condition):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, (len(written), TRACING.stats)
        long_pause()


logging.getLogger().addHandler(Yielding())
logging.getLogger().setLevel(logging.INFO)
conf = cfg.ConfigOpts()
opts.register_opts(conf)
conf([], project='x', default_config_files=[])
for name, value in {
    'enabled': True,
    'exporters': ['log'],
    'schedule_delay': 0.01,
    'shutdown_timeout': 20.0,
}.items():
    conf.set_override(name, value, group='tracing')
TRACING = oslo_tracing.setup(conf, 'x')
log = logging.getLogger('service')
LINES = 'oslo_tracing.exporters.log'
done = []


def work(number):
    for _ in range(20):
        with oslo_tracing.span('a', root=True):
            log.info('x')
        pause()
    done.append(number)
'''
_GREEN = (
    '''
import eventlet
eventlet.monkey_patch()


def pause():
    eventlet.sleep(0)


def long_pause():
    eventlet.sleep(0.01)
'''
    + _START
)
_THREADS = (
    '''
import time


def pause():
    time.sleep(0)


def long_pause():
    time.sleep(0.01)
'''
    + _START
)
_ALL_FINISH = '''
threads = [threading.Thread(target=work, args=(n,)) for n in range(30)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
oslo_tracing.shutdown()
assert sorted(done) == list(range(30)), done
assert written.count('service') == 600, written.count('service')
assert written.count(LINES) == 600, written.count(LINES)
assert TRACING.stats.snapshot() == {'exported': {'log': 600}, 'dropped': {}}
print('all finished')
'''


class ServicesLogTest(base.TestCase):
    """Handlers that let others run while they hold their lock."""

    def _run(self, program):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', program],
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(0, done.returncode, done.stderr[-4000:])
        return done.stdout

    def test_green_threads_that_log_finish(self):
        self.assertIn('all finished', self._run(_GREEN + _ALL_FINISH))

    def test_threads_that_log_finish(self):
        self.assertIn('all finished', self._run(_THREADS + _ALL_FINISH))

    def test_under_eventlet_the_real_thread_of_the_service_writes(self):
        self._run(
            _GREEN
            + '''
me = real.get_ident()
with oslo_tracing.span('the only one', root=True):
    pass
wait_for(lambda: LINES in written)
assert idents == {me}, (idents, me)
'''
        )

    def test_where_the_first_span_ends_beside_the_hub_lines_arrive(self):
        self._run(
            _GREEN
            + '''
from eventlet import tpool


def elsewhere():
    with oslo_tracing.span('beside the hub', root=True):
        pass
    return real.get_ident()


other = tpool.execute(elsewhere)
assert other != real.get_ident()
with oslo_tracing.span('in it', root=True):
    pass
wait_for(lambda: written.count(LINES) == 2)
assert idents == {real.get_ident()}
'''
        )

    def test_a_forked_child_of_a_hub_writes_its_own_lines(self):
        self._run(
            _GREEN
            + '''
import os
with oslo_tracing.span('of the parent', root=True):
    pass
wait_for(lambda: LINES in written)
pid = os.fork()
if pid == 0:
    status = 1
    try:
        written.clear()
        with oslo_tracing.span('of the child', root=True):
            pass
        wait_for(lambda: LINES in written)
        status = 0 if written.count(LINES) == 1 else 2
    finally:
        os._exit(status)
assert os.waitpid(pid, 0)[1] == 0
assert written.count(LINES) == 1
'''
        )

    def test_a_forked_child_of_a_hub_writes_no_lines_of_its_parent(self):
        self._run(
            _GREEN
            + '''
import os
with oslo_tracing.span('first', root=True):
    pass
wait_for(lambda: LINES in written)
with oslo_tracing.span('of the parent', root=True):
    pass
# The line waits now: the hub does not run in between.
assert TRACING.processor._workers[os.getpid()].flush(20)
written.clear()
pid = os.fork()
if pid == 0:
    status = 1
    try:
        for _ in range(3):
            with oslo_tracing.span('of the child', root=True):
                pass
            count = len(written)
            wait_for(lambda: len(written) > count)
        status = 0 if written.count(LINES) == 3 else 2
    finally:
        os._exit(status)
assert os.waitpid(pid, 0)[1] == 0
wait_for(lambda: LINES in written)
'''
        )

    def test_a_flush_writes_in_the_hub(self):
        self._run(
            _GREEN
            + '''
with oslo_tracing.span('a', root=True):
    pass
assert TRACING.processor.force_flush(20000)
assert written.count(LINES) == 1
'''
        )

    def test_the_writer_is_in_nobodys_trace(self):
        self._run(
            _GREEN
            + '''
from opentelemetry import trace
seen = []


class Looking(logging.Handler):
    def emit(self, record):
        seen.append(trace.get_current_span())


logging.getLogger(LINES).addHandler(Looking())
with oslo_tracing.span('around', root=True):
    with oslo_tracing.span('first to end'):
        pass
    wait_for(lambda: LINES in written)
    assert TRACING.processor.force_flush(20000)
assert TRACING.processor.force_flush(20000)
assert seen == [trace.INVALID_SPAN] * 2, seen
'''
        )


class _Handler(logging.Handler):
    """Notes lines; ``behave`` is called with each."""

    def __init__(self):
        super().__init__()
        self.lines = []
        self.threads = set()
        self.behave = lambda: None

    def emit(self, record):
        self.threads.add(_real.threading_module().current_thread().name)
        self.behave()
        self.lines.append(record.getMessage())


class LinesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.handler = _Handler()
        logger = logging.getLogger(_lines.LOGGER)
        level = logger.level
        self.addCleanup(logger.setLevel, level)
        logger.setLevel(logging.INFO)
        logger.addHandler(self.handler)
        self.addCleanup(logger.removeHandler, self.handler)

    def _pipeline(self, **values):
        values.setdefault('shutdown_timeout', 20.0)
        pipeline = exporters.build(
            support.settings(
                exporters=['log'], schedule_delay=3600.0, **values
            ),
            support.resource,
        )
        self.tracing = self.useFixture(support.Tracer(pipeline))
        return pipeline

    def _blocked(self):
        """Let the handler hang.

        :returns: events that it does, and that let it go on.
        """
        hangs, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)

        def behave():
            hangs.set()
            go_on.wait(30)

        self.handler.behave = behave
        return hangs, go_on

    def test_lines_are_written_in_order_beside_the_exporters_thread(self):
        pipeline = self._pipeline()
        for number in range(50):
            self.tracing.end(name=f'n{number}')

        self.assertTrue(pipeline.force_flush(20000))

        self.assertEqual(
            [f'n{number}' for number in range(50)],
            [line.split()[0] for line in self.handler.lines],
        )
        self.assertEqual({'oslo.tracing-log'}, self.handler.threads)

    def test_what_waits_is_written_at_the_end(self):
        pipeline = self._pipeline()
        self.tracing.end(100)

        pipeline.shutdown()

        self.assertEqual(100, len(self.handler.lines))
        self.assertEqual(
            {'exported': {'log': 100}, 'dropped': {}},
            pipeline.stats.snapshot(),
        )

    def test_the_writer_ends(self):
        # Where eventlet is loaded, its copy of threading knows ours.
        threads = _real.threading_module()
        before = set(threads.enumerate())
        pipeline = self._pipeline()
        self.tracing.end()
        (writer,) = (
            thread
            for thread in set(threads.enumerate()) - before
            if thread.name == 'oslo.tracing-log'
        )

        pipeline.shutdown()

        writer.join(20)
        self.assertFalse(writer.is_alive())

    def test_a_handler_that_hangs_holds_up_nothing(self):
        pipeline = self._pipeline(
            shutdown_timeout=0.4, max_queue_size=10, max_export_batch_size=10
        )
        hangs, _go_on = self._blocked()
        self.tracing.end(10)
        self.assertTrue(hangs.wait(20))
        self.assertFalse(pipeline.force_flush(50))
        # One line is being written, nine wait: there is room for one.
        self.tracing.end(5)
        self.assertFalse(pipeline._workers[os.getpid()].flush(20))

        began = time.monotonic()
        pipeline.shutdown()

        self.assertLess(time.monotonic() - began, 10)
        counted = pipeline.stats.snapshot()
        self.assertEqual({'log': 1}, counted['exported'])
        self.assertEqual(
            {'queue full': 4, 'shut down': 10}, counted['dropped']
        )

    def test_a_handler_that_raises_costs_its_line(self):
        pipeline = self._pipeline()

        def behave():
            raise SystemError('S3CRET')

        self.handler.behave = behave
        self.tracing.end(3)

        self.assertTrue(pipeline.force_flush(20000))

        counted = pipeline.stats.snapshot()
        self.assertEqual({'export failed': 3}, counted['dropped'])
        self.assertEqual(0, counted['exported']['log'])
        trouble = pipeline.stats.troubles()[counters.EXPORT_FAILED]
        self.assertEqual('log: a handler raised SystemError', trouble['why'])

    def test_a_child_does_not_write_lines_of_its_parent(self):
        pipeline = self._pipeline()
        hangs, go_on = self._blocked()
        self.tracing.end(3, name='parent')
        flush = threading.Thread(target=pipeline.force_flush, args=(20000,))
        flush.start()
        self.assertTrue(hangs.wait(20))

        def work():
            self.handler.behave = lambda: None
            # The parent's writer holds it; logging's own hook after a fork
            # does this for handlers that it knows of.
            self.handler.createLock()
            self.tracing.end(name='child')
            flushed = pipeline.force_flush(20000)
            return flushed and [
                line.split()[0] for line in self.handler.lines
            ] == ['child']

        self.assertEqual(0, support.status_of_child(work))
        go_on.set()
        flush.join(20)
        self.assertEqual(3, len(self.handler.lines))

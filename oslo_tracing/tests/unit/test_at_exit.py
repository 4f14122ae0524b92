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

"""What a process has left when it ends, in whatever way."""

from __future__ import annotations

import glob
import json
import os
import signal
import subprocess
import sys
import textwrap
import types

import fixtures
from oslo_config import cfg

import oslo_tracing
from oslo_tracing import opts
from oslo_tracing.tests import base

#: A process that traces into files, and waits an hour before it writes.
TRACED = """
    import os, sys
    from oslo_config import cfg
    import oslo_tracing
    from oslo_tracing import opts
    conf = cfg.ConfigOpts()
    opts.set_defaults(conf, enabled=True, exporters=['file'],
                      file_directory=sys.argv[1], schedule_delay=60)
    conf([], project='x', default_config_files=[])
    tracing = oslo_tracing.setup(conf, 'service')

    def work(name):
        with oslo_tracing.span(name, root=True):
            pass

    def in_child(run):
        pid = os.fork()
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        run()
"""


class ProcessesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'traces'
        )

    def _run(self, code):
        done = subprocess.run(
            [
                sys.executable,
                '-W',
                'ignore',
                '-c',
                textwrap.dedent(TRACED) + textwrap.dedent(code),
                self.directory,
            ],
            capture_output=True,
            text=True,
            timeout=100,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual('', done.stderr)
        return done.stdout

    def _written(self):
        """Return the names of the spans of each process."""
        found = []
        for path in glob.glob(os.path.join(self.directory, '*.jsonl')):
            with open(path) as file:
                found.append(
                    [
                        span['name']
                        for line in file
                        for of_resource in json.loads(line)['resourceSpans']
                        for of_scope in of_resource['scopeSpans']
                        for span in of_scope['spans']
                    ]
                )
        return sorted(found)

    def test_a_child_that_ends_without_its_exit_handlers(self):
        said = self._run("""
            work('before')
            def run():
                work('of the child')
                os._exit(7)
            print(in_child(run))
            work('after')
            """)
        self.assertEqual('7\n', said)
        self.assertEqual(
            [['before', 'after'], ['of the child']], self._written()
        )

    def test_a_child_that_ends_with_them(self):
        said = self._run("""
            work('before')
            def run():
                work('of the child')
                sys.exit(7)
            print(in_child(run))
            """)
        self.assertEqual('7\n', said)
        self.assertEqual([['before'], ['of the child']], self._written())

    def test_a_process_of_multiprocessing(self):
        self._run("""
            import multiprocessing
            work('before')
            forking = multiprocessing.get_context('fork')
            for name in ('one', 'two'):
                child = forking.Process(target=work, args=(name,))
                child.start()
                child.join()
                assert child.exitcode == 0
            """)
        self.assertEqual([['before'], ['one'], ['two']], self._written())

    def test_a_handler_of_a_signal_that_ends_its_process(self):
        said = self._run("""
            import signal
            def end(*_args):
                os._exit(5)
            def run():
                signal.signal(signal.SIGTERM, end)
                work('of the child')
                os.kill(os.getpid(), signal.SIGTERM)
            print(in_child(run))
            """)
        self.assertEqual('5\n', said)
        self.assertEqual([['of the child']], self._written())

    def test_nothing_is_sent_twice(self):
        self._run("""
            work('one')
            oslo_tracing.shutdown()
            os._exit(0)
            """)
        self.assertEqual([['one']], self._written())

    def _nobody_answers(self, code, timeout):
        return self._run(f"""
            import logging, signal, socket
            logging.disable()
            oslo_tracing.shutdown()
            hole = socket.create_server(('127.0.0.1', 0))
            opts.set_defaults(
                conf, exporters=['otlp'], shutdown_timeout={timeout},
                otlp_endpoint='http://127.0.0.1:%d' % hole.getsockname()[1])
            oslo_tracing.setup(conf, 'service')
            def run():
                {code}
                work('lost')
                os._exit(4)
            print(in_child(run))
            """)

    def test_it_ends_where_nobody_answers(self):
        self.assertEqual('4\n', self._nobody_answers('pass', 0.2))

    def test_a_signal_does_not_keep_it_from_its_end(self):
        said = self._nobody_answers(
            """
                def raising(*_args):
                    raise RuntimeError
                signal.signal(signal.SIGALRM, raising)
                signal.setitimer(signal.ITIMER_REAL, 0.5)
            """,
            60,
        )
        self.assertEqual('4\n', said)


class InterruptedTest(base.TestCase):
    def test_the_exit_code_of_who_is_interrupted_is_its_own(self):
        # Its loop in a shell would not end with it otherwise.
        done = subprocess.run(
            [
                sys.executable,
                '-c',
                textwrap.dedent(TRACED).replace("['file']", "['otlp']")
                + "work('the first, so what sends is not imported yet')\n"
                'raise KeyboardInterrupt\n',
                '',
            ],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:1',
            },
        )
        self.assertEqual(-signal.SIGINT, done.returncode, done.stderr)
        self.assertIn('KeyboardInterrupt', done.stderr)


class AttachedTest(base.TestCase):
    def _setup(self):
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], project='x', default_config_files=[])
        conf.set_override('enabled', True, group='tracing')
        conf.set_override('exporters', ['none'], group='tracing')
        oslo_tracing.setup(conf, 'service')

    def _uwsgi(self, **values):
        module = types.ModuleType('uwsgi')
        vars(module).update({'worker_id': lambda: 0, **values})
        sys.modules['uwsgi'] = module
        self.addCleanup(sys.modules.pop, 'uwsgi', None)
        return module

    def _warnings(self):
        return [
            line for line in self.log.output.splitlines() if 'uWSGI' in line
        ]

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger('oslo_tracing'))

    def test_shutdown_puts_back_what_ends_a_process(self):
        before = os._exit
        self._setup()
        self.assertIsNot(before, os._exit)
        oslo_tracing.shutdown()
        self.assertIs(before, os._exit)

    def test_shutdown_leaves_uwsgi_as_it_was(self):
        uwsgi = self._uwsgi()
        self._setup()
        self.assertTrue(callable(uwsgi.atexit))
        oslo_tracing.shutdown()
        self.assertFalse(hasattr(uwsgi, 'atexit'))

    def test_the_end_of_a_worker_that_the_application_asked_for(self):
        said = []
        ended = self._uwsgi(atexit=lambda: said.append('theirs')).atexit
        uwsgi = sys.modules['uwsgi']
        self._setup()
        uwsgi.atexit()
        self.assertEqual(['theirs'], said)
        oslo_tracing.shutdown()
        self.assertIs(ended, uwsgi.atexit)

    def test_the_end_that_the_application_asked_for_since(self):
        uwsgi = self._uwsgi()
        self._setup()
        uwsgi.atexit = theirs = object()
        oslo_tracing.shutdown()
        self.assertIs(theirs, uwsgi.atexit)

    def test_the_end_of_a_worker_sends_what_is_left(self):
        uwsgi = self._uwsgi()
        directory = self.useFixture(fixtures.TempDir()).path
        conf = cfg.ConfigOpts()
        opts.set_defaults(
            conf,
            enabled=True,
            exporters=['file'],
            file_directory=directory,
            schedule_delay=60,
        )
        conf([], project='x', default_config_files=[])
        oslo_tracing.setup(conf, 'service')
        with oslo_tracing.span('work', root=True):
            pass
        uwsgi.atexit()
        (path,) = glob.glob(os.path.join(directory, '*.jsonl'))
        with open(path) as file:
            self.assertIn('"work"', file.read())

    def test_without_threads_it_is_said_once(self):
        for worker, lines in ((0, 1), (1, 1), (2, 0)):
            with fixtures.FakeLogger('oslo_tracing') as self.log:
                self._uwsgi(has_threads=0, worker_id=lambda w=worker: w)
                self._setup()
                oslo_tracing.shutdown()
                self.assertEqual(lines, len(self._warnings()), worker)

    def test_with_threads_nothing_is_said(self):
        self._uwsgi(has_threads=1)
        self._setup()
        self.assertEqual([], self._warnings())

    def test_a_uwsgi_that_is_another_stops_nothing(self):
        uwsgi = self._uwsgi(has_threads=0)
        del uwsgi.worker_id
        self._setup()
        with oslo_tracing.span('work', root=True) as span:
            self.assertTrue(span.is_recording())

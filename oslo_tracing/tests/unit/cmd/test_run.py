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

"""A program that knows nothing of us, run by ``oslo-tracing run``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import fixtures
from oslo_config import cfg
import testtools

from oslo_tracing import launch
from oslo_tracing.tests import base

DIRECTORY = os.path.dirname(launch.__file__)

SERVICE = """
import json, os, sys
EARLY = [name for name in ('socket', 'ssl', 'requests', 'eventlet', 'logging',
                           'oslo_config', 'oslo_log', 'opentelemetry')
         if name in sys.modules]
from oslo_config import cfg
def parse(conf=None, log=False):
    conf = conf or cfg.ConfigOpts()
    if log:
        from oslo_log import log as logging
        logging.register_options(conf)
    conf([], project='shelf', default_config_files=[])
    told = [is_on()]
    if log:
        logging.setup(conf, 'shelf')
        told.append(is_on())
    return told
def is_on():
    runtime = sys.modules.get('oslo_tracing._runtime')
    tracing = runtime and runtime.RUNTIME.tracing
    return tracing.settings.service_name if tracing else None
def tell(**told):
    print(json.dumps({'early': EARLY, 'path': os.environ.get('PYTHONPATH'),
                      **told}), flush=True)
"""


class RunTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.write('shelf.py', SERVICE)
        self.environment = {
            **os.environ,
            'PYTHONPATH': self.folder,
            'OS_TRACING__ENABLED': 'True',
            'OS_TRACING__EXPORTERS': 'log',
        }
        self.environment.pop('OSLO_TRACING_WSGI_APP', None)

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def command(self, *words):
        return [sys.executable, '-m', 'oslo_tracing.cmd.main', 'run', *words]

    def run_it(self, *words, code=0):
        done = subprocess.run(
            self.command(*words),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=100,
        )
        self.assertEqual(code, done.returncode, done.stderr)
        return done

    def told(self, text, code=0):
        path = self.write('shelf-api', text)
        done = self.run_it('--', sys.executable, path, code=code)
        return json.loads(done.stdout.splitlines()[-1])

    def test_a_service_with_oslo_log(self):
        told = self.told('import shelf\nshelf.tell(on=shelf.parse(log=True))')
        # Not before it can be told of in the log.
        self.assertEqual([None, 'shelf-api'], told['on'])

    def test_a_service_without_oslo_log(self):
        told = self.told(
            'import shelf, sys\n'
            'shelf.tell(on=shelf.parse(), green="eventlet" in sys.modules)'
        )
        self.assertEqual(['shelf-api'], told['on'])
        self.assertFalse(told['green'])

    def test_a_service_with_the_global_configuration(self):
        told = self.told(
            'import shelf\nshelf.tell(on=shelf.parse(shelf.cfg.CONF))'
        )
        self.assertEqual(['shelf-api'], told['on'])

    def test_nothing_is_loaded_before_the_service_loads_it(self):
        told = self.told('import shelf\nshelf.tell()')
        self.assertEqual([], told['early'])

    def test_off_is_off(self):
        self.environment['OS_TRACING__ENABLED'] = 'False'
        told = self.told(
            'import shelf, sys\non = shelf.parse(log=True)\n'
            'import threading\n'
            'shelf.tell(on=on, sdk="opentelemetry.sdk" in sys.modules,'
            ' threads=threading.active_count())'
        )
        self.assertEqual([None, None], told['on'])
        self.assertFalse(told['sdk'])
        self.assertEqual(1, told['threads'])

    def test_a_console_script(self):
        path = self.write(
            'bin/shelf-conductor',
            f'#!{sys.executable}\nimport shelf\n'
            'shelf.tell(on=shelf.parse())\n',
            0o755,
        )
        # Found as a shell would.
        self.environment['PATH'] = os.path.dirname(path)
        done = self.run_it('shelf-conductor')
        self.assertEqual(['shelf-conductor'], json.loads(done.stdout)['on'])

    def test_a_package(self):
        self.write('rack/__init__.py', '')
        self.write(
            'rack/__main__.py', 'import shelf\nshelf.tell(on=shelf.parse())'
        )
        done = self.run_it('--', sys.executable, '-m', 'rack')
        self.assertEqual(['rack'], json.loads(done.stdout)['on'])

    def test_arguments_are_those_of_the_program(self):
        words = ['--', '--debug', '-v', '--version', '', 'a b', '--help']
        text = 'import json, sys; print(json.dumps(sys.argv[1:]))'
        done = self.run_it('--', sys.executable, '-c', text, *words)
        self.assertEqual(words, json.loads(done.stdout))

    def test_exit_codes(self):
        self.told('import shelf, sys\nshelf.tell()\nsys.exit(7)', code=7)
        self.assertIn('name the program', self.run_it(code=1).stderr)
        self.assertIn(
            'no-such-program: No such file',
            self.run_it('no-such-program', code=127).stderr,
        )
        self.run_it('--', self.write('plain', ''), code=126)

    def test_a_program_without_a_name(self):
        # As `oslo-tracing run -- "$PROGRAM"` where that is not set.
        self.assertEqual(
            "oslo-tracing run: '': No such file or directory\n",
            self.run_it('--', '', code=127).stderr,
        )

    def test_signals(self):
        path = self.write(
            'waiting.py',
            'import os, shelf, signal\nshelf.parse()\n'
            # Not print(): it may come while that is still at work.
            'signal.signal(signal.SIGHUP, lambda *_: os.write(1,'
            ' b"again\\n"))\n'
            'shelf.tell(pipe=signal.getsignal(signal.SIGINT) is not None)\n'
            'while True:\n    signal.pause()\n',
        )
        with subprocess.Popen(
            self.command('--', sys.executable, path),
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            self.addCleanup(process.kill)
            self.assertIn('early', process.stdout.readline())
            process.send_signal(signal.SIGHUP)
            self.assertEqual('again\n', process.stdout.readline())
            process.terminate()
            self.assertEqual(-signal.SIGTERM, process.wait(100))

    def test_the_path_has_no_empty_element(self):
        for before, after in (
            (None, []),
            ('', []),
            (f':{self.folder}::', [self.folder]),
            (f'{DIRECTORY}:{self.folder}', [self.folder]),
        ):
            environ = {} if before is None else {'PYTHONPATH': before}
            found = launch.prepared(environ)['PYTHONPATH']
            self.assertEqual(':'.join([DIRECTORY, *after]), found)

    def test_the_sitecustomize_of_the_working_directory_is_not_run(self):
        self.write('sitecustomize.py', 'print("from where we are")')
        self.environment['PYTHONPATH'] = ''
        done = self.run_it('--', sys.executable, '-c', 'print("done")')
        self.assertEqual('done\n', done.stdout)

    def test_a_shadowed_sitecustomize_is_run_once(self):
        self.write('sitecustomize.py', 'print("theirs")\nname = "theirs"')
        done = self.run_it(
            *('--', sys.executable, '-c'),
            'import shelf, sitecustomize\nprint(sitecustomize.name)\n'
            'print(shelf.parse())',
        )
        # The first is the launcher's own.
        self.assertEqual(
            ['theirs', 'theirs', 'theirs', "['python']"],
            done.stdout.splitlines(),
        )

    def test_children_are_traced(self):
        told = self.told(
            'import shelf, subprocess, sys\nshelf.parse()\n'
            'done = subprocess.run([sys.executable, "-c",'
            ' "import shelf; print(shelf.parse())"],'
            ' capture_output=True, text=True, check=True)\n'
            'shelf.tell(child=done.stdout)\n'
        )
        self.assertEqual("['python']\n", told['child'])

    def test_spawned_workers_are_traced(self):
        path = self.write(
            'shelf-worker.py',
            'import multiprocessing, shelf\n'
            'def work(pipe):\n    pipe.send(shelf.parse())\n'
            'if __name__ == "__main__":\n'
            '    shelf.parse()\n'
            '    context = multiprocessing.get_context("spawn")\n'
            '    here, there = context.Pipe()\n'
            '    worker = context.Process(target=work, args=(there,))\n'
            '    worker.start()\n'
            '    there.close()\n'
            '    on = here.recv()\n'
            '    worker.join()\n'
            '    shelf.tell(on=on)\n',
        )
        done = self.run_it('--', sys.executable, path)
        self.assertEqual(['shelf-worker'], json.loads(done.stdout)['on'])

    def spawned(self, conf, head='', work='pass'):
        """Return who is on: a service, and a worker that gets its options."""
        path = self.write(
            'shelf-worker.py',
            'import multiprocessing, shelf\n'
            'from oslo_log import log as logging\n'
            f'{head}\n'
            'def work(pipe, conf):\n'
            f'    {work}\n'
            '    pipe.send(shelf.is_on())\n'
            'if __name__ == "__main__":\n'
            f'    conf = {conf}\n'
            '    logging.register_options(conf)\n'
            '    conf([], project="shelf", default_config_files=[])\n'
            '    logging.setup(conf, "shelf")\n'
            '    context = multiprocessing.get_context("spawn")\n'
            '    here, there = context.Pipe()\n'
            '    worker = context.Process(target=work, args=(there, conf))\n'
            '    worker.start()\n'
            '    there.close()\n'
            '    told = here.recv()\n'
            '    worker.join()\n'
            '    shelf.tell(told=[shelf.is_on(), told])\n',
        )
        done = self.run_it('--', sys.executable, path)
        return json.loads(done.stdout.splitlines()[-1])['told']

    @testtools.skipIf(
        not hasattr(cfg.ConfigOpts, 'export_state'),
        'this oslo.config cannot be pickled',
    )
    def test_spawned_workers_that_get_a_parsed_configuration(self):
        for conf in ('shelf.cfg.CONF', 'shelf.cfg.ConfigOpts()'):
            self.assertEqual(['shelf-worker'] * 2, self.spawned(conf))

    def test_spawned_workers_that_parse_one_in_place_of_theirs(self):
        # As ironic has it: what is pickled is a name, not its values.
        told = self.spawned(
            'shelf.cfg.CONF',
            'shelf.cfg.ConfigOpts.__reduce__ = lambda self: (theirs, ())\n'
            'def theirs():\n    return shelf.cfg.CONF\n',
            'logging.register_options(conf); conf([], project="shelf", '
            'default_config_files=[]); logging.setup(conf, "shelf")',
        )
        self.assertEqual(['shelf-worker'] * 2, told)

    def test_other_users_get_nothing_of_ours(self):
        shown = 'import json, os; print(json.dumps(dict(os.environ)))'
        for name in ('sudo', 'shelf-rootwrap', 'privsep-helper'):
            helper = self.write(
                name, f'#!{sys.executable} -S\n{shown}\n', 0o755
            )
            told = self.told(
                'import json, os, shelf, subprocess\n'
                'out = lambda *a, **k: json.loads('
                'subprocess.check_output(*a, **k))\n'
                f'a = out([{helper!r}, "ls"])\n'
                f'b = out({helper!r} + " ls", shell=True)\n'
                f'c = out([{helper!r}], env={{**os.environ, "X": "1"}})\n'
                'shelf.tell(envs=[a, b, c])\n'
            )
            for environ in told['envs']:
                self.assertEqual(self.folder, environ['PYTHONPATH'])
                self.assertNotIn(launch.USER, environ)
            self.assertEqual('1', told['envs'][2]['X'])
            self.assertIn(DIRECTORY, told['path'])

    def test_what_is_given_to_a_child_is_not_changed(self):
        helper = self.write(
            'sudo',
            f'#!{sys.executable} -S\nimport json, os, sys\n'
            'print(json.dumps([dict(os.environ), sys.argv[1:]]))\n',
            0o755,
        )
        told = self.told(
            'import json, os, shelf, subprocess\n'
            'os.environ["DB_PASSWORD"] = "S3CRET"\n'
            'out = lambda *a, **k: json.loads('
            'subprocess.check_output(*a, **k))\n'
            f'words = map(str, [{helper!r}, 1, 2])\n'
            f'shelf.tell(told=[out([{helper!r}], env={{}}), out(words)])\n'
        )
        (empty, _), (environ, words) = told['told']
        # Python puts one into its own environment.
        self.assertLessEqual(set(empty), {'LC_CTYPE'})
        self.assertEqual('S3CRET', environ['DB_PASSWORD'])
        self.assertEqual(['1', '2'], words)

    def test_an_argument_that_is_none_is_refused_as_ever(self):
        told = self.told(
            'import shelf, subprocess\n'
            'def words():\n    yield "sudo"\n    raise KeyError("mine")\n'
            'def refused(args):\n'
            '    try:\n        subprocess.run(args)\n'
            '    except Exception as error:\n        return repr(error)\n'
            'shelf.tell(told=[refused(words()), refused(5)])\n'
        )
        self.assertEqual(
            [
                "KeyError('mine')",
                "TypeError(\"'int' object is not iterable\")",
            ],
            told['told'],
        )

    def test_a_service_with_eventlet(self):
        told = self.told(
            'import eventlet\neventlet.monkey_patch()\n'
            'import os, shelf, socket, subprocess\n'
            'env = lambda *a: subprocess.check_output('
            'a, text=True).splitlines()\n'
            'shelf.tell(on=shelf.parse(log=True),'
            ' green=socket.socket.__module__,'
            ' child=env("env"), other=env("env", "-u", "sudo", "env"))'
        )
        self.assertEqual([None, 'shelf-api'], told['on'])
        self.assertEqual('eventlet.greenio.base', told['green'])
        of_user = f'{launch.USER}={os.getuid()}'
        self.assertIn(of_user, told['child'])
        self.assertNotIn(of_user, told['other'])
        self.assertIn(f'PYTHONPATH={self.folder}', told['other'])

    def test_a_process_that_has_become_another_user(self):
        environment = launch.prepared(self.environment)
        environment[launch.USER] = str(os.getuid() + 1)
        out = subprocess.check_output(
            [
                sys.executable,
                '-c',
                'import shelf; shelf.tell(on=shelf.parse())',
            ],
            env=environment,
            text=True,
        )
        told = json.loads(out)
        self.assertEqual([None], told['on'])
        self.assertEqual(self.folder, told['path'])

    def test_a_python_without_us(self):
        out = subprocess.check_output(
            # Without its site-packages.
            [
                sys.executable,
                '-S',
                '-c',
                'import sitecustomize, sys; print("done",'
                ' "oslo_tracing.launch" in sys.modules)',
            ],
            env=launch.prepared(self.environment),
            cwd=self.folder,
            text=True,
        )
        self.assertEqual('done False\n', out)

    def test_what_cannot_be_used_stops_the_service(self):
        self.environment['OS_TRACING__EXPORTERS'] = 'file'
        done = self.run_it(
            *('--', sys.executable, '-c', 'import shelf; shelf.parse()'),
            code=1,
        )
        self.assertIn('InvalidOption: [tracing]', done.stderr)

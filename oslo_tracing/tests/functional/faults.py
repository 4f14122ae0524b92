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

"""A small service on threads or on eventlet, told what to do by a test.

A program: ``python -m oslo_tracing.tests.functional.faults RUNTIME SOCKET
OPTIONS`` with the number of an open socket and the options of ``[tracing]``
as JSON. A line of JSON on the socket is a command, or an answer. ``Service``
starts it.
"""

from __future__ import annotations

import sys

RUNTIME = sys.argv[1] if len(sys.argv) == 4 else ''
if RUNTIME == 'eventlet':
    import eventlet

    eventlet.monkey_patch()

import atexit  # noqa: E402
import contextlib  # noqa: E402
import gc  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import socket  # noqa: E402
import subprocess  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

import fixtures  # noqa: E402
from oslo_config import cfg  # noqa: E402

import oslo_tracing  # noqa: E402
from oslo_tracing import middleware  # noqa: E402
from oslo_tracing import opts  # noqa: E402

#: Spans of one request.
SPANS = 4
_BEAT = 0.005


def _work():
    # About a millisecond, half of it without the interpreter's lock.
    hashlib.pbkdf2_hmac('sha256', b'secret', b'salt', 1000)
    sum(range(20000))


def _application(_environ, start_response):
    for name in ('authenticate', 'fetch', 'render'):
        with oslo_tracing.span(name):
            _work()
        # Where a request waits for a database, others run.
        time.sleep(0)
    start_response('200 OK', [('Content-Length', '2')])
    return [b'ok']


def _waits():
    """Return how long each thread of the process waited for a processor.

    :returns: seconds by thread.
    """
    waits = {}
    for thread in os.listdir('/proc/self/task'):
        with (
            contextlib.suppress(OSError),
            open(f'/proc/self/task/{thread}/schedstat', 'rb') as file,
        ):
            waits[thread] = int(file.read().split()[1]) / 1e9
    return waits


def _waited():
    """Return how long this thread waited for a processor, in seconds.

    Always none where the kernel does not tell.
    """
    try:
        with open('/proc/thread-self/schedstat', 'rb') as file:
            return int(file.read().split()[1]) / 1e9
    except OSError:
        return 0.0


class _Heart:
    """Notes when the hub did not come round."""

    def __init__(self):
        self.stalls = []

    def beat(self):
        before, waited = time.monotonic(), _waits()
        while True:
            time.sleep(_BEAT)
            now, waits = time.monotonic(), _waits()
            if now - before > 4 * _BEAT:
                for_others = sum(
                    seconds - waited.get(thread, 0.0)
                    for thread, seconds in waits.items()
                )
                self.stalls.append((before, now, now - before - for_others))
            before, waited = now, waits


def _run(work):
    """Run a request as the runtime does: on eventlet in a green thread.

    One that ``threading`` has made, which takes the locks that anybody
    takes who looks at the threads of the process.
    """
    if RUNTIME != 'eventlet':
        work()
        return
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


class _Commands:
    """What the service can be told to do."""

    def __init__(self, tracing, heart):
        self._tracing = tracing
        self._heart = heart
        self._made = 0
        self._application = middleware.TracingMiddleware(_application)
        self._environ = {
            'REQUEST_METHOD': 'GET',
            'SCRIPT_NAME': '',
            'PATH_INFO': '/v1/things',
            'QUERY_STRING': '',
            'SERVER_NAME': 'localhost',
            'SERVER_PORT': '80',
            'SERVER_PROTOCOL': 'HTTP/1.1',
            'wsgi.url_scheme': 'http',
        }

    def requests(self, count):
        """Return the seconds that each of some requests took.

        Without those that it waited for a processor.
        """
        taken = []
        for _ in range(count):
            waited, begun = _waited(), time.perf_counter()
            _run(self._request)
            taken.append(time.perf_counter() - begun - _waited() + waited)
            time.sleep(0)
        self._made += count * SPANS
        return taken

    def _request(self):
        answer = self._application(
            dict(self._environ), lambda status, headers: None
        )
        for _part in answer:
            pass
        getattr(answer, 'close', int)()

    def spans(self, count, name):
        for number in range(count):
            with oslo_tracing.span(name, root=True):
                pass
            if number % 20 == 0:
                time.sleep(0)
        self._made += count

    def stalls(self):
        """Return the stalls of the hub since this was asked last."""
        stalls, self._heart.stalls = self._heart.stalls, []
        return stalls

    def flush(self, timeout):
        return self._tracing.processor.force_flush(timeout * 1000)

    def state(self):
        gc.collect()
        with open('/proc/self/statm') as file:
            pages = int(file.read().split()[1])
        return {
            'pid': os.getpid(),
            'made': self._made,
            'rss': pages * os.sysconf('SC_PAGE_SIZE'),
            'threads': len(os.listdir('/proc/self/task')),
            'files': len(os.listdir('/proc/self/fd')),
            **self._tracing.stats.snapshot(),
        }


def main(number, options):
    control = socket.socket(fileno=number)
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([], project='faulted', default_config_files=[])
    conf.set_override('enabled', True, 'tracing')
    for name, value in options.items():
        conf.set_override(name, value, 'tracing')
    lines = control.makefile('rw')

    def say(answer):
        lines.write(json.dumps(answer) + '\n')
        lines.flush()

    ended = []

    def say_how_long():
        if ended:
            say(time.monotonic() - ended[0])

    # Registered before setup() registers its own, so called after that.
    atexit.register(say_how_long)
    heart = _Heart()
    if RUNTIME == 'eventlet':
        eventlet.spawn(heart.beat)
    commands = _Commands(oslo_tracing.setup(conf, 'faulted'), heart)
    say('ready')
    for line in lines:
        name, arguments = json.loads(line)
        if name == 'exit':
            break
        say(getattr(commands, name)(*arguments))
    ended.append(time.monotonic())


class Service(fixtures.Fixture):
    """The program above as a process; ``do()`` tells it what to do.

    :param runtime: ``threads`` or ``eventlet``.
    :param options: the options of ``[tracing]``.
    """

    def __init__(self, runtime, **options):
        self._runtime = runtime
        self._options = options

    def _setUp(self):
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    '-W',
                    'ignore',
                    '-m',
                    __name__,
                    self._runtime,
                    str(theirs.fileno()),
                    json.dumps(self._options),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self.addCleanup(self._end)
        ours.settimeout(120)
        self._lines = ours.makefile('rw')
        self.addCleanup(self._lines.close)
        assert self._answer() == 'ready'

    def do(self, name, *arguments):
        """Return the answer to a command of ``_Commands``."""
        self._tell(name, arguments)
        return self._answer()

    def exit(self):
        """Return how long ``shutdown()`` took, and all of the end."""
        begun = time.monotonic()
        self._tell('exit', ())
        of_tracing = self._answer()
        self._process.wait(60)
        return of_tracing, time.monotonic() - begun

    def _tell(self, name, arguments):
        self._lines.write(json.dumps([name, arguments]) + '\n')
        self._lines.flush()

    def _answer(self):
        line = self._lines.readline()
        if not line:
            raise AssertionError('the service has ended')
        return json.loads(line)

    def _end(self):
        self._process.kill()
        self._process.wait()


def settled(service, timeout=30.0):
    """Wait until each span of a service is delivered or counted as dropped.

    :returns: its state then.
    """
    until = time.monotonic() + timeout
    while True:
        # False where one was dropped meanwhile, or has to wait.
        service.do('flush', 10)
        state = service.do('state')
        accounted = sum(state['exported'].values()) + sum(
            state['dropped'].values()
        )
        if state['made'] == accounted:
            return state
        if time.monotonic() > until:
            raise AssertionError(f'not all is accounted for: {state}')
        time.sleep(0.05)


if __name__ == '__main__':
    main(int(sys.argv[2]), json.loads(sys.argv[3]))

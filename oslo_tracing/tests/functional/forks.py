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

"""Processes that fork, in every way that services do.

``python -m oslo_tracing.tests.functional.forks KIND`` forks as ``KIND`` says.
Each process traces as the ``OS_TRACING__*`` variables say, and notes in the
directory FORKS_DIRECTORY how many spans it has ended, in a file that has its
pid for a name.
"""

from __future__ import annotations

import os
import sys

KIND = sys.argv[1] if len(sys.argv) > 1 else ''
if KIND == 'oslo.service eventlet':
    import eventlet

    eventlet.monkey_patch()

import multiprocessing  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from oslo_config import cfg  # noqa: E402

import oslo_tracing  # noqa: E402

CHILDREN = 4
#: What the parent sends before it forks, and what it has not sent then.
SENT, PENDING = 1, 10


def set_up():
    """Set tracing up, as each process of a service does."""
    conf = cfg.ConfigOpts()
    conf([], project='forks', default_config_files=[])
    return oslo_tracing.setup(conf, 'forking')


def end_spans(count):
    """End some spans that tell of this process, and note how many."""
    name = f'of {os.getpid()}'
    for _ in range(count):
        with oslo_tracing.span(name, root=True):
            pass
    path = os.path.join(os.environ['FORKS_DIRECTORY'], str(os.getpid()))
    before = 0
    if os.path.exists(path):
        with open(path) as file:
            before = int(file.read())
    with open(f'{path}.new', 'w') as file:
        file.write(str(before + count))
    os.rename(f'{path}.new', path)


def parent():
    """Use the exporter, and leave it something to do."""
    tracing = set_up()
    end_spans(SENT)
    assert tracing.processor.force_flush(60000)
    end_spans(PENDING)


def child():
    """Do what each child does."""
    set_up()
    end_spans(int(os.environ['FORKS_SPANS']))
    if 'FORKS_EXIT' in os.environ and _is_one_of_the_first():
        sys.exit(0)


def _is_one_of_the_first():
    # One line for each, appended at once.
    path = os.path.join(os.environ['FORKS_DIRECTORY'], 'exits')
    with open(path, 'a+') as file:
        file.write('x')
        file.flush()
        file.seek(0)
        return len(file.read()) <= CHILDREN


def fork_only():
    pids = []
    for number in range(CHILDREN):
        pid = os.fork()
        if not pid:
            child()
            if number % 2:
                sys.exit(0)
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0


def with_multiprocessing(method):
    context = multiprocessing.get_context(method)
    children = [context.Process(target=child) for _ in range(CHILDREN)]
    for one in children:
        one.start()
    for one in children:
        one.join()
        assert one.exitcode == 0


if KIND.startswith('cotyledon'):
    import cotyledon

    class Service(cotyledon.Service):
        """To be found by a child that was not forked."""

        def __init__(self, worker_id):
            super().__init__(worker_id)
            set_up()

        def run(self):
            child()


def with_cotyledon(method):
    manager = cotyledon.ServiceManager(
        mp_context=multiprocessing.get_context(method)
    )
    manager.add(Service, workers=CHILDREN)
    manager.run()


def with_oslo_service(name):
    from oslo_service import backend

    backend.init_backend(backend.BackendType(name))
    from oslo_service import service

    class Service(service.Service):
        def start(self):
            child()

        def reset(self):
            if os.getpid() != of_parent:
                end_spans(1)

    of_parent = os.getpid()
    conf = cfg.ConfigOpts()
    conf([], project='forks', default_config_files=[])
    service.launch(
        conf,
        Service(),
        workers=CHILDREN,
        restart_method=os.environ.get('FORKS_RESTART', 'reload'),
    ).wait()


class Application:
    """Serves requests; the first of each worker is what it is there for."""

    def __init__(self):
        self._lock = threading.Lock()
        self._pid = None
        parent()

    def __call__(self, environ, start_response):
        with self._lock:
            first, self._pid = self._pid != os.getpid(), os.getpid()
        if first:
            child()
        else:
            # For others to get the next request.
            time.sleep(0.1)
        start_response('200 OK', [('Content-Length', '0')])
        return [b'']


def main():
    parent()
    how, _space, which = KIND.partition(' ')
    {
        'fork': lambda _which: fork_only(),
        'multiprocessing': with_multiprocessing,
        'cotyledon': with_cotyledon,
        'oslo.service': with_oslo_service,
    }[how](which)


if __name__ == '__main__':
    main()

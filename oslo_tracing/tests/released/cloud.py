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

"""A small cloud of released services, as an operator would set it up.

A home with the configuration of all, a database each, a proxy in front of
each API that records its requests. What is started ends with the fixture.
"""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import http.client
import pathlib
import sys
from typing import Any

import fixtures
import testtools

from oslo_tracing.report import model
from oslo_tracing.report import sources
from oslo_tracing.tests.functional import servers
from oslo_tracing.tests.released import programs
from oslo_tracing.tests.released import recorder

PASSWORD = 'a password of the tests'
REGION = 'RegionOne'

#: ``[tracing]`` of all services of a cloud that is traced into files.
TO_FILES = {'enabled': 'True', 'exporters': 'file', 'schedule_delay': '0.2'}

Sections = Mapping[str, Mapping[str, str]]


class Cloud(fixtures.Fixture):
    """Where services are set up and started; it starts with none.

    :param test: skipped where a server is missing.
    :param tracing: options of ``[tracing]`` for each service, None for
        services that know nothing of us.
    :ivar home: of all services.
    :ivar traces: where the exporter ``file`` writes.
    :ivar exchanges: the requests that the proxies have seen.
    """

    def __init__(
        self, test: Any, tracing: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self._test = test
        self.tracing = tracing
        self.exchanges: list[recorder.Exchange] = []
        self._programs: list[programs.Program] = []
        self._recorders: dict[str, recorder.Recorder] = {}

    def _setUp(self) -> None:
        # Databases first: without a server there is nothing to undo.
        self.home = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.traces = self.home / 'traces'

    def database(self) -> str:
        """Return the URL of a new, empty database."""
        return servers.mariadb_url(self._test)

    def url(self, service: str) -> str:
        """Return where a service is asked, before it is started, too."""
        if service not in self._recorders:
            made = recorder.Recorder(service, self.exchanges, self.turn)
            self._recorders[service] = self.useFixture(made)
        return self._recorders[service].url

    def turn(
        self,
    ) -> contextlib.AbstractContextManager[recorder.Headers | None]:
        """Return what each request waits in for its turn; here for none.

        It gives the headers that are to be added to it.
        """
        return contextlib.nullcontext()

    def configure(self, service: str, sections: Sections) -> pathlib.Path:
        """Write a configuration file, and return its path.

        ``[tracing]`` is added.

        :param service: names its directory and the file.
        :param sections: options by section.
        """
        written = {name: dict(options) for name, options in sections.items()}
        if self.tracing is not None:
            tracing = dict(self.tracing)
            if tracing.get('exporters') == 'file':
                tracing['file_directory'] = str(self.traces)
            written['tracing'] = {**tracing, **written.get('tracing', {})}
        path = self.home / service / f'{service}.conf'
        path.parent.mkdir(exist_ok=True)
        with open(path, 'w') as file:
            for name, options in written.items():
                file.write(f'[{name}]\n')
                for option, value in options.items():
                    file.write(f'{option} = {value}\n')
        return path

    def run(self, *command: str, **environment: str) -> str:
        """Run a program in the home to its end; it must not fail."""
        return programs.run(*command, home=self.home, **environment)

    def start(self, program: programs.Program) -> programs.Program:
        """Keep a program running as long as the cloud."""
        if isinstance(self._test, testtools.TestCase):
            program.show_in(self._test)
        self._programs.append(program)
        return self.useFixture(program)

    def stop(self) -> None:
        """End all programs, the last one first; their spans are written."""
        while self._programs:
            self._programs.pop().stop()

    def serve(
        self,
        service: str,
        application: str,
        environment: Mapping[str, str],
        *,
        by: str = 'uwsgi',
        processes: int = 1,
        threads: int = 1,
    ) -> programs.Program:
        """Serve a WSGI application, as the documentation of tracing has it.

        :param service: how it is called.
        :param application: what its own documentation names, as
            ``keystone.wsgi.api:application``.
        :param environment: tells it where its configuration is.
        :param by: ``uwsgi`` or ``gunicorn``.
        :returns: when it answers.
        """
        self.url(service)
        environment = dict(environment)
        if self.tracing is not None:
            environment['OSLO_TRACING_WSGI_APP'] = application
            application = 'oslo_tracing.wsgi:application'
        # It listens before the server is there: no port can be taken in
        # between.
        with programs.listener() as listener:
            port = listener.getsockname()[1]
            command = {'uwsgi': _uwsgi, 'gunicorn': _gunicorn}[by](
                f'fd://{listener.fileno()}', application, processes, threads
            )
            program = programs.Program(
                service,
                *command,
                home=self.home,
                ready=lambda: _answers(port),
                environment=environment,
                pass_fds=(listener.fileno(),),
            )
            self.start(program)
        self.answers_at(service, port)
        return program

    def answers_at(self, service: str, port: int) -> None:
        """Pass what a service is asked on to a port, from now on."""
        self._recorders[service].port = port

    def spans(self) -> list[model.Trace]:
        """Return the traces that have been written until now."""
        source = sources.open_source(str(self.traces))
        found: dict[str, list[model.Span]] = {}
        try:
            for span in source.spans():
                found.setdefault(span.trace_id, []).append(span)
        finally:
            source.close()
        return [model.Trace(*trace) for trace in found.items()]


def _uwsgi(
    listener: str, application: str, processes: int, threads: int
) -> list[str]:
    program = programs.path_of('uwsgi')
    if program is None:
        raise AssertionError('uWSGI is not installed')
    command = [program, '--master', '--need-app', '--die-on-term']
    command += ['--lazy-apps', '--enable-threads', '--virtualenv', sys.prefix]
    command += ['--hook-master-start']
    command += ['unix_signal:15 gracefully_kill_them_all']
    command += ['--processes', str(processes)]
    if threads > 1:
        command += ['--threads', str(threads)]
    # 32 KiB: a signed request has more headers than the default holds.
    command += ['--buffer-size', '32768', '--http-socket', listener]
    return [*command, '--module', application]


def _gunicorn(
    listener: str, application: str, processes: int, threads: int
) -> list[str]:
    command = [sys.executable, '-m', 'gunicorn', '--bind', listener]
    command += ['--workers', str(processes), '--threads', str(threads)]
    command += ['--timeout', str(programs.PATIENCE)]
    return [*command, application]


def _answers(port: int) -> bool:
    """Ask for what no service records.

    Not for long: where the server has ended, the port is still open.
    """
    asked = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
    try:
        asked.request('GET', '/healthcheck')
        asked.getresponse().read()
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()

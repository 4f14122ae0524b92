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

"""Run the demo: ``python -m oslo_tracing.demo``.

Starts the services as processes of their own, sends three requests through
them, and prints each as a tree. Fails loudly if one is not one tree.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa_exceptions
from keystoneauth1 import noauth
from keystoneauth1 import session
from oslo_config import cfg

import oslo_tracing
from oslo_tracing.demo import checks
from oslo_tracing.demo import db
from oslo_tracing.report.render import text
from oslo_tracing.report.render import tree
from oslo_tracing.report import sources

#: Seconds for a process to get ready, and to end.
_PATIENCE = 60


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m oslo_tracing.demo',
        description='Send three requests through small OpenStack services '
        'in processes of their own, and print their traces.',
    )
    parser.add_argument(
        '--transport-url',
        default='fake://',
        metavar='URL',
        help='message bus, as rabbit://guest:guest@localhost//; then the '
        'conductor is a process of its own (default: within the API)',
    )
    parser.add_argument(
        '--database',
        metavar='URL',
        help='database, as mysql+pymysql://user:password@localhost/demo; '
        'must be empty (default: SQLite in a temporary directory)',
    )
    parser.add_argument(
        '--otlp-endpoint',
        metavar='URL',
        help='send the spans to this collector as well',
    )
    parser.add_argument(
        '--directory',
        metavar='DIR',
        help='keep the trace files in this directory (default: a temporary '
        'one, removed at the end)',
    )
    return parser


def _configuration(
    arguments: argparse.Namespace, directory: pathlib.Path
) -> str:
    """Write the configuration file that all services read.

    The `[tracing]` section is all that tracing takes, beside one call in
    `process.main` and one line in `api-paste.ini`.
    """
    database = arguments.database or f'sqlite:///{directory}/demo.sqlite'
    traces = arguments.directory or directory / 'traces'
    lines = [
        '[DEFAULT]',
        f'transport_url = {arguments.transport_url}',
        f'conductor_within = {not _has_broker(arguments)}',
        f'log_file = {directory}/demo.log',
        'default_log_levels = ',
        'logging_default_format_string = '
        '%(levelname)s %(name)s [%(trace_id)s] %(message)s',
        'logging_context_format_string = '
        '%(levelname)s %(name)s [%(request_id)s %(trace_id)s] %(message)s',
        '[database]',
        f'connection = {database}',
        '[tracing]',
        'enabled = True',
        'exporters = file' + (',otlp' * bool(arguments.otlp_endpoint)),
        f'file_directory = {os.path.abspath(traces)}',
        'schedule_delay = 0.2',
    ]
    if arguments.otlp_endpoint:
        lines.append(f'otlp_endpoint = {arguments.otlp_endpoint}')
    path = directory / 'demo.conf'
    # Passwords of the bus and the database are in it.
    path.touch(mode=0o600)
    path.write_text('\n'.join(lines) + '\n')
    return str(path)


def _has_broker(arguments: argparse.Namespace) -> bool:
    return not arguments.transport_url.startswith(('fake:', 'kombu+memory:'))


@contextlib.contextmanager
def _process(name: str, config: str, *options: str) -> Iterator[int]:
    """Run one service; gives the port that it listens on, 0 for none."""
    with subprocess.Popen(  # noqa: S603 - no shell, our own module
        [
            sys.executable,
            '-W',
            'ignore',
            '-m',
            'oslo_tracing.demo.process',
            name,
            '--config-file',
            config,
            *options,
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            if not line.startswith('ready '):
                raise SystemExit(f'{name} did not start: see above')
            yield int(line.split()[1])
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                running.kill()
                raise SystemExit(f'{name} did not end') from None


def _send(url: str) -> dict[str, str]:
    """Send the requests; return the trace id of each by what it was."""
    compute = adapter.Adapter(
        session.Session(auth=noauth.NoAuth(endpoint=url)),
        service_type='compute',
    )
    sent = {}
    with oslo_tracing.span('boot a server', root=True):
        sent[checks.BOOT] = str(oslo_tracing.current_trace_id())
        answer = compute.post('/v2.1/servers', json={'name': 'demo'})
    with oslo_tracing.span('boot a server that finds no host', root=True):
        sent[checks.FAILING] = str(oslo_tracing.current_trace_id())
        with contextlib.suppress(ksa_exceptions.HttpError):
            compute.post('/v2.1/servers', json={'name': 'doomed'})
    with oslo_tracing.span('read the console', root=True):
        sent[checks.STREAMING] = str(oslo_tracing.current_trace_id())
        server = answer.json()['id']
        log = compute.get(f'/v2.1/servers/{server}/console', stream=True)
        for _piece in log.iter_content(64):
            pass
    return sent


def main(argv: list[str] | None = None) -> int:
    """Run the demo.

    :returns: 0 where each request became one tree with all that belongs to
        it, 1 otherwise.
    """
    arguments = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix='oslo-tracing-demo-') as temp:
        config = _configuration(arguments, pathlib.Path(temp))
        conf = cfg.CONF
        conf(['--config-file', config], project='oslo_tracing_demo')
        oslo_tracing.setup(conf, 'demo-client')
        db.configure(conf)
        db.create()
        with contextlib.ExitStack() as running:
            storage = running.enter_context(_process('block-storage', config))
            if _has_broker(arguments):
                running.enter_context(_process('conductor', config))
            compute = running.enter_context(
                _process(
                    'compute',
                    config,
                    '--block_storage_url',
                    f'http://127.0.0.1:{storage}',
                )
            )
            sent = _send(f'http://127.0.0.1:{compute}')
        directory = conf.tracing.file_directory
        oslo_tracing.shutdown()
        return _print(directory, sent, _has_broker(arguments))


def _print(directory: str, sent: dict[str, str], broker: bool) -> int:
    wrong = []
    style = text.Style(
        unicode='utf' in (sys.stdout.encoding or '').lower(),
        colour=False,
    )
    with contextlib.closing(sources.open_source(directory)) as source:
        for what, trace_id in sent.items():
            found = source.find(trace_id)
            for trace in found:
                for line in tree.render(trace, style):
                    print(line)
                print()
            wrong += checks.faults(what, found, broker)
    for fault in wrong:
        print(f'WRONG: {fault}', file=sys.stderr)
    if not wrong:
        print(f'Each of {len(sent)} requests is one trace, no span is lost.')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())

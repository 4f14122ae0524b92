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

"""A real Jaeger and a real Zipkin that keep traces in memory.

Jaeger and Tempo are built from their sources, Zipkin comes as one file
(``tools/zipkin/fetch``); all are found in the cache of this project, or
named by ``JAEGER``, ``TEMPO`` and ``ZIPKIN``. They are asked on 127.0.0.1
only.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import fixtures

from oslo_tracing.tests.functional import servers

# Here, since each test is given a home of its own.
_CACHE = os.environ.get('XDG_CACHE_HOME') or os.path.join(
    os.environ.get('HOME') or '/var/tmp', '.cache'
)
_SECONDS = 180


def post(url, content):
    """Send JSON."""
    request = urllib.request.Request(
        url,
        json.dumps(content).encode(),
        {'Content-Type': 'application/json'},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        response.read()


class _Store(fixtures.Fixture):
    def __init__(self, test):
        super().__init__()
        self._test = test

    def _setUp(self):
        self.directory = self.useFixture(fixtures.TempDir()).path
        for attempt in range(3):
            try:
                self._start()
                return
            except OSError:
                # Somebody else may have come to have one of the ports.
                if attempt == 2:
                    raise

    def _found(self, variable, pattern, what):
        found = sorted(
            glob.glob(f'{_CACHE}/oslo.tracing/{pattern}'),
            key=os.path.getmtime,
        )
        program = os.environ.get(variable) or (found[-1] if found else None)
        servers.must_be_there(self._test, program, what)
        return program

    def _run(self, command, ready, environment=None):
        """Run a server until the test ends; wait until it answers."""
        log = os.path.join(self.directory, 'log')
        with open(log, 'w') as stream:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(self._stop, process)
        deadline = time.monotonic() + _SECONDS
        while True:
            with contextlib.suppress(OSError, urllib.error.URLError):
                with urllib.request.urlopen(ready, timeout=10):
                    return
            if process.poll() is not None or time.monotonic() > deadline:
                with open(log) as stream:
                    raise OSError(f'it does not run: {stream.read()[-4000:]}')
            time.sleep(0.1)

    @staticmethod
    def _stop(process):
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Jaeger(_Store):
    """``url`` is of its query API, ``otlp`` takes spans."""

    def _start(self):
        program = self._found('JAEGER', 'jaeger-v*/jaeger', 'jaeger')
        query, grpc, otlp = (
            f'127.0.0.1:{servers.free_port()}' for _ in range(3)
        )
        self.url = f'http://{query}'
        self.otlp = f'http://{otlp}/v1/traces'
        path = os.path.join(self.directory, 'config.yaml')
        with open(path, 'w') as stream:
            # JSON is YAML, too.
            json.dump(_jaeger(query, grpc, otlp), stream)
        self._run([program, '--config', path], f'{self.url}/api/services')


def _jaeger(query, grpc, otlp):
    return {
        'service': {
            'extensions': ['jaeger_storage', 'jaeger_query'],
            'pipelines': {
                'traces': {
                    'receivers': ['otlp'],
                    'exporters': ['jaeger_storage_exporter'],
                }
            },
            'telemetry': {'metrics': {'level': 'none'}},
        },
        'extensions': {
            'jaeger_storage': {
                'backends': {'all': {'memory': {'max_traces': 10000}}}
            },
            'jaeger_query': {
                'storage': {'traces': 'all'},
                'http': {'endpoint': query},
                'grpc': {'endpoint': grpc},
            },
        },
        'receivers': {'otlp': {'protocols': {'http': {'endpoint': otlp}}}},
        'exporters': {'jaeger_storage_exporter': {'trace_storage': 'all'}},
    }


class Tempo(_Store):
    """``url`` is of its query API, ``otlp`` takes spans."""

    def _start(self):
        program = self._found(
            'TEMPO', 'tempo-v*/tempo', 'tempo (see tools/tempo/build)'
        )
        query, grpc, otlp = (servers.free_port() for _ in range(3))
        self.url = f'http://127.0.0.1:{query}'
        self.otlp = f'http://127.0.0.1:{otlp}/v1/traces'
        path = os.path.join(self.directory, 'config.yaml')
        with open(path, 'w') as stream:
            json.dump(_tempo(query, grpc, otlp, self.directory), stream)
        # It is ready for more than these tests need only after 15 seconds.
        self._run(
            [program, f'-config.file={path}'], f'{self.url}/api/search/tags'
        )


def _tempo(query, grpc, otlp, directory):
    loopback = '127.0.0.1'
    return {
        'server': {
            'http_listen_address': loopback,
            'http_listen_port': query,
            'grpc_listen_address': loopback,
            'grpc_listen_port': grpc,
            'log_level': 'warn',
        },
        'usage_report': {'reporting_enabled': False},
        'distributor': {
            'receivers': {
                'otlp': {
                    'protocols': {'http': {'endpoint': f'{loopback}:{otlp}'}}
                }
            }
        },
        'ingester': {
            # What it finds is what it has written down.
            'trace_idle_period': '100ms',
            'flush_check_period': '100ms',
            'lifecycler': {
                'address': loopback,
                'ring': {
                    'kvstore': {'store': 'inmemory'},
                    'replication_factor': 1,
                },
            },
        },
        'storage': {
            'trace': {
                'backend': 'local',
                'wal': {'path': f'{directory}/wal'},
                'local': {'path': f'{directory}/blocks'},
            }
        },
    }


class Zipkin(_Store):
    """``url`` is of its API."""

    def _start(self):
        java = shutil.which('java')
        servers.must_be_there(self._test, java, 'java')
        program = self._found(
            'ZIPKIN',
            'zipkin-*/zipkin.jar',
            'zipkin (see tools/zipkin/fetch, or set ZIPKIN)',
        )
        port = servers.free_port()
        self.url = f'http://127.0.0.1:{port}'
        self._run(
            [java, '-Xmx256m', '-jar', program],
            f'{self.url}/health',
            {
                'QUERY_PORT': str(port),
                'SELF_TRACING_ENABLED': 'false',
                'SERVER_ADDRESS': '127.0.0.1',
            },
        )

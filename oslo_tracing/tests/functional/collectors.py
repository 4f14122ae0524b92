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


"""A real Jaeger and a real OpenTelemetry Collector, with our configuration.

Both are built by ``tools/jaeger/build`` and ``tools/collector/build``, or
named by ``JAEGER`` and ``COLLECTOR``, or found on the PATH. They listen on
127.0.0.1 only.
"""

from __future__ import annotations

import glob
import json
import os
import random
import shutil
import socket
import subprocess
import time
from urllib import error
from urllib import parse
from urllib import request

import fixtures

from oslo_tracing.tests.functional import servers

# Here, since each test is given a home of its own.
CACHE = os.environ.get('XDG_CACHE_HOME') or os.path.join(
    os.environ.get('HOME') or '/var/tmp', '.cache'
)
_READY = 'Everything is ready'
_SECONDS = 120


def find(test, variable, built, *names):
    """Return the path of a program, or skip ``test``.

    :param variable: of the environment, names it where it is set.
    :param built: the name that its build script gives to it.
    :param names: how it is called where it was installed.
    """
    found = sorted(
        glob.glob(f'{CACHE}/oslo.tracing/{built}-v*/{built}'),
        key=os.path.getmtime,
    )
    program = (
        os.environ.get(variable)
        or next(filter(None, map(shutil.which, names)), None)
        or (found[-1] if found else None)
    )
    servers.must_be_there(
        test, program, f'{built} (see tools/{built}/build, or set {variable})'
    )
    return program


def free_port():
    """Return a port that nobody is given by chance.

    Servers of these tests are stopped and started again where they were.
    """
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as found:
            try:
                found.bind(('127.0.0.1', port))
            except OSError:
                continue
        return port


class _Program(fixtures.Fixture):
    """A program that reads one configuration file.

    :param program: its path.
    """

    def __init__(self, program):
        self._program = program
        self._process = None

    def _setUp(self):
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.addCleanup(self.stop)
        self._ports = {}
        for _attempt in range(5):
            self.configure()
            try:
                self.start()
            except OSError:
                # Somebody else may have come to have one of the ports.
                self._ports = {}
                continue
            return
        self.start()

    def port(self, name):
        """Return the port that has this name in the configuration."""
        return self._ports.setdefault(name, free_port())

    def address(self, name):
        return f'127.0.0.1:{self.port(name)}'

    def url(self, name, path=''):
        return f'http://{self.address(name)}{path}'

    def path(self, name):
        return os.path.join(self.directory, name)

    def configuration(self):
        raise NotImplementedError

    def configure(self):
        # JSON is YAML, too.
        with open(self.path('config.yaml'), 'w') as file:
            json.dump(self.configuration(), file)

    def start(self):
        """Start it, and wait until it takes requests."""
        log = self.path('log')
        with open(log, 'w') as file:
            self._process = subprocess.Popen(
                [self._program, '--config', self.path('config.yaml')],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _SECONDS
        while True:
            with open(log) as file:
                said = file.read()
            if _READY in said:
                return
            if self._process.poll() is not None:
                raise OSError(f'it ended: {said[-4000:]}')
            if time.monotonic() > deadline:
                self.stop()
                raise OSError(f'it does not begin: {said[-4000:]}')
            time.sleep(0.05)

    def stop(self):
        """Stop it, and wait until it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def write(self, name, content):
        """Replace a file in one step; it may be read at any moment."""
        with open(self.path(f'{name}.new'), 'w') as file:
            json.dump(content, file)
        os.replace(self.path(f'{name}.new'), self.path(name))


class _SamplingServer(_Program):
    """Serves the strategies of a file.

    :param strategies: what is in the file, as Jaeger documents it.
    """

    def __init__(self, program, strategies):
        super().__init__(program)
        self._strategies = strategies

    @property
    def sampling_url(self):
        return self.url('sampling', '/sampling')

    def configure(self):
        self.write('strategies.json', self._strategies)
        super().configure()

    def change(self, strategies):
        """Change the file, and wait until that is what is served."""
        before = self.served()
        self.write('strategies.json', strategies)
        deadline = time.monotonic() + _SECONDS
        while self.served() == before:
            if time.monotonic() > deadline:
                raise OSError('the file is not read again')
            time.sleep(0.01)

    def served(self, service='nova-api'):
        return get(
            f'{self.sampling_url}?{parse.urlencode({"service": service})}'
        )


class Jaeger(_SamplingServer):
    """Keeps traces in memory and answers questions about them."""

    def configuration(self):
        return {
            'service': {
                'extensions': [
                    'jaeger_storage',
                    'jaeger_query',
                    'remote_sampling',
                ],
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
                    'backends': {'all': {'memory': {'max_traces': 100000}}}
                },
                'jaeger_query': {
                    'storage': {'traces': 'all'},
                    'http': {'endpoint': self.address('query')},
                    'grpc': {'endpoint': self.address('query by grpc')},
                },
                'remote_sampling': {
                    'file': {
                        'path': self.path('strategies.json'),
                        'reload_interval': '100ms',
                        'default_sampling_probability': 1.0,
                    },
                    'http': {'endpoint': self.address('sampling')},
                },
            },
            'receivers': {
                'otlp': {
                    'protocols': {'http': {'endpoint': self.address('otlp')}}
                }
            },
            'exporters': {'jaeger_storage_exporter': {'trace_storage': 'all'}},
        }

    def spans(self, trace_id):
        """Return the spans of a trace by name, as far as they are there."""
        try:
            found = get(self.url('query', f'/api/traces/{trace_id}'))
        except error.HTTPError:
            # Not one of them has arrived yet.
            return {}
        return {
            span['operationName']: span
            for of_trace in found['data'] or ()
            for span in of_trace['spans']
        }


class Collector(_Program):
    """A collector with any pipeline.

    :param make: returns the configuration, and is given the collector, for
        ports and paths.
    """

    def __init__(self, program, make):
        super().__init__(program)
        self._make = make

    def configuration(self):
        made = self._make(self)
        made['service'].setdefault('telemetry', {})['metrics'] = {
            'level': 'none'
        }
        return made

    def written(self, name='out.jsonl'):
        """Return the spans in a file of its exporter, by id."""
        try:
            with open(self.path(name)) as file:
                # Not splitlines(): a value may have a line separator in it.
                lines = file.read().split('\n')
        except FileNotFoundError:
            return {}
        return spans(lines)


class SamplingCollector(_SamplingServer):
    """A collector that serves strategies."""

    def configuration(self):
        return {
            'service': {
                'extensions': ['jaegerremotesampling'],
                'pipelines': {
                    'traces': {'receivers': ['otlp'], 'exporters': ['file']}
                },
                'telemetry': {'metrics': {'level': 'none'}},
            },
            'extensions': {
                'jaegerremotesampling': {
                    'source': {
                        'file': self.path('strategies.json'),
                        'reload_interval': '100ms',
                    },
                    'http': {'endpoint': self.address('sampling')},
                    'grpc': {'endpoint': self.address('sampling by grpc')},
                }
            },
            'receivers': {
                'otlp': {
                    'protocols': {'http': {'endpoint': self.address('otlp')}}
                }
            },
            'exporters': {'file': {'path': self.path('out.jsonl')}},
        }


def get(url):
    """Return what a URL answers, from JSON."""
    with request.urlopen(url, timeout=60) as response:
        return json.load(response)


def spans(lines):
    """Return the spans of lines of OTLP JSON by id, with what is theirs."""
    found = {}
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            # It is being written.
            continue
        for of_resource in said['resourceSpans']:
            for of_scope in of_resource['scopeSpans']:
                for span in of_scope['spans']:
                    found[span['spanId']] = {
                        'name': span['name'],
                        'resource': _attributes(of_resource['resource']),
                        'scope': of_scope['scope']['name'],
                        'ids': (
                            span['traceId'],
                            span['spanId'],
                            span.get('parentSpanId') or '',
                        ),
                        'times': (
                            str(span['startTimeUnixNano']),
                            str(span['endTimeUnixNano']),
                        ),
                        'kind': span['kind'],
                        'status': span.get('status') or {},
                        'attributes': _attributes(span),
                        'events': [
                            (event['name'], _attributes(event))
                            for event in span.get('events', ())
                        ],
                    }
    return found


def _attributes(of):
    return {
        one['key']: {
            # 64-bit integers are text in this JSON, or numbers.
            kind: str(value) if kind == 'intValue' else value
            for kind, value in one['value'].items()
        }
        for one in of.get('attributes', ())
    }

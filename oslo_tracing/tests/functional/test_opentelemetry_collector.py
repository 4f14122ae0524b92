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


"""A real collector reads what we write, and gathers what we send."""

from __future__ import annotations

import glob
import os
import time

import fixtures
from oslo_config import cfg

import oslo_tracing
from oslo_tracing import middleware
from oslo_tracing import opts
from oslo_tracing import service
from oslo_tracing.tests import base
from oslo_tracing.tests.functional import collectors
from oslo_tracing.tests import wsgi

TRACES = 50


def _work(environ, start_response):
    """Do some work, and fail where the path says so."""
    with oslo_tracing.span(
        'work', {'number': 2**53 + 1, 'ratio': 0.5, 'name': 'é\u2028'}
    ):
        with oslo_tracing.span('part', {'is_last': True}) as span:
            span.add_event('half', {'names': ['a', 'b']})
    status = '200 OK'
    if environ['PATH_INFO'].startswith('/v3/fail'):
        status = '500 Internal Server Error'
    start_response(status, [('Content-Type', 'text/plain')])
    return [b'']


def _names(spans):
    return {span['name'] for span in spans.values()}


def _until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class CollectorTest(base.TestCase):
    def _collector(self, make):
        program = collectors.find(
            self, 'COLLECTOR', 'collector', 'otelcol-contrib'
        )
        return self.useFixture(collectors.Collector(program, make))

    def _set_up(self, **values):
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        values = {'enabled': True, 'shutdown_timeout': 60.0, **values}
        for name, value in values.items():
            conf.set_override(name, value, group='tracing')
        self.assertIsNotNone(oslo_tracing.setup(conf, 'keystone'))

    def test_it_reads_the_files_of_the_file_exporter(self):
        directory = self.useFixture(fixtures.TempDir()).path
        os.chmod(directory, 0o750)
        self._set_up(exporters=['file'], file_directory=directory)
        api = middleware.TracingMiddleware(_work)
        for path in ('/v3/users', '/v3/fail'):
            wsgi.ask(api, path)
        service.shutdown()
        lines = []
        for path in glob.glob(f'{directory}/*.jsonl'):
            with open(path) as file:
                lines += file.read().split('\n')
        ours = collectors.spans(lines)
        self.assertEqual(
            {'GET /v3/users', 'GET /v3/fail', 'work', 'part'}, _names(ours)
        )

        def make(collector):
            return {
                'receivers': {
                    'otlpjsonfile': {
                        'include': [f'{directory}/*.jsonl'],
                        'start_at': 'beginning',
                        # Else it says on each span where it has found it.
                        'include_file_name': False,
                        'poll_interval': '100ms',
                    }
                },
                'exporters': {'file': {'path': collector.path('out.jsonl')}},
                'service': {
                    'pipelines': {
                        'traces': {
                            'receivers': ['otlpjsonfile'],
                            'exporters': ['file'],
                        }
                    }
                },
            }

        collector = self._collector(make)
        self.assertTrue(_until(lambda: set(collector.written()) == set(ours)))
        self.assertEqual(ours, collector.written())

    def test_failed_requests_are_kept_and_few_of_the_others(self):
        def gather(collector):
            return {
                'receivers': {
                    'otlp': {
                        'protocols': {
                            'grpc': {'endpoint': collector.address('otlp')}
                        }
                    }
                },
                'processors': {
                    'tail_sampling': {
                        'decision_wait': '2s',
                        'policies': [
                            {
                                'name': 'failed',
                                'type': 'status_code',
                                'status_code': {'status_codes': ['ERROR']},
                            }
                        ],
                    }
                },
                'exporters': {'file': {'path': collector.path('out.jsonl')}},
                'service': {
                    'pipelines': {
                        'traces': {
                            'receivers': ['otlp'],
                            'processors': ['tail_sampling'],
                            'exporters': ['file'],
                        }
                    }
                },
            }

        behind = self._collector(gather)

        def spread(collector):
            return {
                'receivers': {
                    'otlp': {
                        'protocols': {
                            'http': {'endpoint': collector.address('otlp')}
                        }
                    }
                },
                'exporters': {
                    'loadbalancing': {
                        'routing_key': 'traceID',
                        'protocol': {'otlp': {'tls': {'insecure': True}}},
                        'resolver': {
                            'static': {'hostnames': [behind.address('otlp')]}
                        },
                    }
                },
                'service': {
                    'pipelines': {
                        'traces': {
                            'receivers': ['otlp'],
                            'exporters': ['loadbalancing'],
                        }
                    }
                },
            }

        front = self._collector(spread)
        # All at once, at the end: it does not wait long for what is missing.
        self._set_up(otlp_endpoint=front.url('otlp'), schedule_delay=600.0)
        api = middleware.TracingMiddleware(_work)
        for number in range(TRACES):
            path = '/v3/fail' if number % 10 == 0 else '/v3/users'
            wsgi.ask(api, path)
        wsgi.ask(api, '/v3/fail/last')
        service.shutdown()
        # All of each trace that failed, the last of which is decided last.
        count = 3 * (TRACES // 10 + 1)
        self.assertTrue(
            _until(
                lambda: (
                    'GET /v3/fail/last' in _names(behind.written())
                    and len(behind.written()) >= count
                )
            )
        )
        written = behind.written()
        self.assertEqual(count, len(written))
        self.assertEqual(
            {'GET /v3/fail', 'GET /v3/fail/last', 'work', 'part'},
            _names(written),
        )

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

"""Tomograph's backends: Zipkin, statsd and the log, all at once."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import time

import fixtures
from opentelemetry import trace
from oslo_config import cfg

import oslo_tracing
from oslo_tracing import opts
from oslo_tracing.report import sources
from oslo_tracing.tests import base
from oslo_tracing.tests.functional import trace_stores

_SECONDS = 60
# Zipkin keeps letters small, and has no second kind of attributes.
_RESOURCE = ('host.', 'process.', 'service.', 'telemetry.')


def _seen(spans):
    return {
        (
            span.span_id,
            span.parent_id,
            span.service,
            span.name.lower(),
            span.kind,
            (span.start + 500) // 1000,
            span.failed,
            json.dumps(
                {
                    key: str(value)
                    for key, value in sorted(span.attributes.items())
                    if not key.startswith((*_RESOURCE, 'otel.', 'error'))
                }
            ),
        )
        for span in spans
    }


class SeveralExportersTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.zipkin = self.useFixture(trace_stores.Zipkin(self))
        self.statsd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.statsd.close)
        self.statsd.bind(('127.0.0.1', 0))
        self.statsd.settimeout(_SECONDS)
        self.log = self.useFixture(
            fixtures.FakeLogger('oslo_tracing', level=logging.INFO)
        )
        self.directory = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'traces'
        )

    def _set_up(self):
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        for name, value in {
            'enabled': True,
            'exporters': ['zipkin', 'statsd', 'log', 'file'],
            'zipkin_endpoint': self.zipkin.url,
            'statsd_address': '{}:{}'.format(*self.statsd.getsockname()),
            'file_directory': self.directory,
        }.items():
            conf.set_override(name, value, 'tracing')
        oslo_tracing.setup(conf, 'nova-api')
        self.addCleanup(oslo_tracing.shutdown)

    def _work(self):
        with oslo_tracing.span('periodic work', root=True) as root:
            for number in range(10):
                with oslo_tracing.span(
                    f'step {number}', attributes={'step': number}
                ):
                    pass
            with contextlib.suppress(ValueError):
                with oslo_tracing.span('bad step'):
                    raise ValueError('no')
        return trace.format_trace_id(root.get_span_context().trace_id)

    def _read(self, name, trace_id, count):
        deadline = time.monotonic() + _SECONDS
        with contextlib.closing(sources.open_source(name)) as source:
            while True:
                found = source.find(trace_id)
                if found and len(found[0].spans) >= count:
                    return found[0].spans
                self.assertLess(time.monotonic(), deadline, 'not there yet')
                time.sleep(0.05)

    def test_every_span_is_at_each_of_them(self):
        self._set_up()
        trace_id = self._work()
        oslo_tracing.shutdown()

        in_files = self._read(self.directory, trace_id, 12)
        in_zipkin = self._read(f'zipkin+{self.zipkin.url}', trace_id, 12)
        lines = []
        while len(lines) < 13:
            lines += self.statsd.recv(65536).decode('ascii').splitlines()

        self.assertEqual(12, len(in_files))
        self.assertEqual(_seen(in_files), _seen(in_zipkin))
        self.assertEqual(12, self.log.output.count(f'trace={trace_id}'))
        self.assertEqual(
            ['oslo_tracing.nova-api.internal.bad_step.error:1|c'],
            [line for line in lines if line.endswith('|c')],
        )
        self.assertEqual(
            {'bad_step', 'periodic_work', *(f'step_{n}' for n in range(10))},
            {
                line.partition(':')[0].rpartition('.')[2]
                for line in lines
                if line.endswith('|ms')
            },
        )

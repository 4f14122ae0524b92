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


"""Real spans, settings and certificates for the tests of the exporters."""

from __future__ import annotations

from collections.abc import Callable
import os
import signal
import subprocess
import threading
from typing import Any

import fixtures
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace

from oslo_config import cfg

from oslo_tracing import opts
from oslo_tracing import provider
from oslo_tracing import settings as settings_module


def settings(**values: Any) -> settings_module.Settings:
    """Return the default settings with some values changed."""
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    found = settings_module.read(conf, 'nova-api')
    for name, value in values.items():
        assert hasattr(found, name), name
        setattr(found, name, value)
    return found


def resource(**attributes: Any) -> resources.Resource:
    """Return what this very process would say of itself."""
    return resources.Resource(
        {
            'service.name': 'nova-api',
            'host.name': 'host1',
            'service.instance.id': 'a1b2',
            'process.pid': os.getpid(),
            **attributes,
        }
    )


def status_of_child(work: Callable[[], bool]) -> int:
    """Fork, and tell how the child ended: 0 if ``work`` returned True."""
    pid = os.fork()
    if pid == 0:
        status = 2
        try:
            status = 0 if work() else 1
        finally:
            os._exit(status)
    timer = threading.Timer(20, os.kill, (pid, signal.SIGKILL))
    timer.start()
    try:
        return os.waitpid(pid, 0)[1]
    finally:
        timer.cancel()


class Tracer(fixtures.Fixture):
    """A provider of the SDK with one processor, or that keeps the spans."""

    def __init__(
        self,
        processor: sdk_trace.SpanProcessor | None = None,
        scope: str = 'oslo_tracing.test',
        **kwargs: Any,
    ) -> None:
        self.spans: list[sdk_trace.ReadableSpan] = []
        self._processor = processor or _Keep(self.spans)
        self._scope = scope
        self._kwargs = kwargs

    def _setUp(self) -> None:
        self._kwargs.setdefault('resource', resource())
        # Ours: what the SDK's does in a forked child can hang there.
        self.provider = provider._Provider(
            shutdown_on_exit=False, **self._kwargs
        )
        self.provider.add_span_processor(self._processor)
        self.tracer = self.provider.get_tracer(self._scope, '1.0')
        self.addCleanup(self.provider.shutdown)

    def end(self, count: int = 1, name: str = 'a', **kwargs: Any) -> None:
        """Start and end some spans."""
        for _ in range(count):
            self.tracer.start_span(name, **kwargs).end()


class _Keep(sdk_trace.SpanProcessor):
    def __init__(self, spans: list[sdk_trace.ReadableSpan]) -> None:
        self._spans = spans

    def on_end(self, span: sdk_trace.ReadableSpan) -> None:
        self._spans.append(span)


class Certificates(fixtures.Fixture):
    """An authority, a server's and a client's certificate, by openssl."""

    def _setUp(self) -> None:
        self.path = self.useFixture(fixtures.TempDir()).path
        self.ca = self._authority('ca')
        self.other_ca = self._authority('other')
        self.server = self._signed('server')
        self.client = self._signed('client')

    def _authority(self, name: str) -> str:
        self._openssl(
            'req', '-x509', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:P-256', '-nodes', '-keyout', f'{name}.key',
            '-out', f'{name}.pem', '-subj', f'/CN={name}', '-days', '2',
            '-addext', 'keyUsage=critical,keyCertSign,cRLSign',
        )  # fmt: skip
        return os.path.join(self.path, f'{name}.pem')

    def _signed(self, name: str) -> tuple[str, str]:
        extensions = os.path.join(self.path, 'extensions')
        with open(extensions, 'w') as file:
            file.write('subjectAltName=DNS:localhost,IP:127.0.0.1\n')
        self._openssl(
            'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
            '-nodes', '-keyout', f'{name}.key', '-out', f'{name}.csr',
            '-subj', f'/CN={name}',
        )  # fmt: skip
        self._openssl(
            'x509', '-req', '-in', f'{name}.csr', '-CA', 'ca.pem', '-CAkey',
            'ca.key', '-CAcreateserial', '-out', f'{name}.pem', '-days', '2',
            '-extfile', extensions,
        )  # fmt: skip
        return (
            os.path.join(self.path, f'{name}.pem'),
            os.path.join(self.path, f'{name}.key'),
        )

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ['openssl', *arguments],
            cwd=self.path,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )

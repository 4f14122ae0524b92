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

"""One command of the client, and its trace as it is being written."""

from __future__ import annotations

from collections.abc import Callable
import re
import time
from typing import Any

from oslo_tracing.report import model
from oslo_tracing.report import sources
from oslo_tracing.tests import base
from oslo_tracing.tests.released import cloud as cloud_module
from oslo_tracing.tests.released import programs
from oslo_tracing.tests.released import services

_AN_ID = re.compile('[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{32}')


def openstack(cloud: cloud_module.Cloud, *command: str) -> tuple[str, str]:
    """Run ``openstack --trace``; return what it said, and the trace's id."""
    environment = {
        f'OS_{name.upper()}': value
        for name, value in services.credentials(cloud).items()
        if name not in ('auth_type', 'www_authenticate_uri')
    }
    said = cloud.run(
        *('openstack', '--trace', *command),
        **environment,
        OTEL_TRACES_EXPORTER='file',
        OS_TRACING__FILE_DIRECTORY=str(cloud.traces),
        # However busy this host is, its spans are written.
        OS_TRACING__SHUTDOWN_TIMEOUT='60',
        PYTHONWARNINGS='ignore',
    )
    found = re.search('^Trace ID: ([0-9a-f]{32})$', said, re.MULTILINE)
    if found is None:
        raise AssertionError(f'not traced\n{said}')
    return said, found[1]


def upwards(
    trace: model.Trace, span: model.Span | None
) -> list[tuple[str, str, str]]:
    """Return service, name and kind of a span and of all above it."""
    found = []
    while span is not None:
        found.append((span.service, span.name, str(span.kind).upper()))
        span = trace.parent(span)
    return found


def _asking(trace: model.Trace, nobody: tuple[str, ...]) -> list[model.Span]:
    """Return the spans to which belong those of another service."""
    return [
        span
        for span in trace.spans
        if str(span.kind).upper() == 'PRODUCER'
        or (
            'http.request.method' in span.attributes
            and str(span.kind).upper() == 'CLIENT'
        )
        if not span.name.startswith(nobody)
    ]


class TestCase(base.TestCase):
    """What looks at traces of a cloud, which it starts."""

    cloud: cloud_module.Cloud

    def wait_for(self, true: Callable[[], Any], otherwise: str) -> Any:
        """Return what is true when it is.

        :param otherwise: said where it is not in time.
        """
        until = time.monotonic() + programs.PATIENCE
        while not (found := true()):
            self.assertLess(time.monotonic(), until, otherwise)
            time.sleep(0.2)
        return found

    def trace(self, trace_id: str) -> model.Trace | None:
        """Return what there is of a trace until now, None for nothing."""
        source = sources.open_source(str(self.cloud.traces))
        try:
            found = source.find(trace_id)
            return found[0] if found else None
        finally:
            source.close()

    def whole(self, trace_id: str, nobody: tuple[str, ...] = ()) -> Any:
        """Return a trace when all that was asked for is done.

        :param nobody: how names of messages begin that nobody takes.
        """

        def is_whole() -> model.Trace | None:
            trace = self.trace(trace_id)
            if trace is None or trace.orphans or not trace.roots:
                return None
            # What a service has done is sent before what it had been asked.
            asking = _asking(trace, nobody)
            return trace if all(map(trace.children, asking)) else None

        return self.wait_for(is_whole, f'{trace_id} is not whole')

    def assert_each_is_asked_once(
        self, trace: model.Trace
    ) -> list[model.Span]:
        """Who answers over a wire has one who asks; return who answers."""
        served = [
            span
            for span in trace.spans
            if str(span.kind).upper() in ('SERVER', 'CONSUMER')
        ]
        asking: list[Any] = [trace.parent(span) for span in served]
        self.assertEqual(len(asking), len({one.span_id for one in asking}))
        for one, other in zip(served, asking, strict=True):
            self.assertIn(str(other.kind).upper(), ('CLIENT', 'PRODUCER'))
            self.assertNotEqual(one.span_id, other.span_id)
        return served

    def assert_names_have_no_ids(self, trace: model.Trace) -> None:
        for span in trace.spans:
            self.assertIsNone(_AN_ID.search(span.name), span.name)

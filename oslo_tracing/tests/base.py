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

"""What every test of this package starts from."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import sys

import fixtures
from opentelemetry.sdk.trace import id_generator
from opentelemetry import trace
from oslo_context import fixture as oslo_context_fixture
from oslotest import base

from oslo_tracing import _runtime
from oslo_tracing import service

#: Seconds after OS_TEST_TIMEOUT.
_GRACE = 60
# Sampled and, since the SDK knows of level 2 of W3C Trace Context, random.
_FLAGS = 3 if hasattr(id_generator.IdGenerator, 'is_trace_id_random') else 1


class TestCase(base.BaseTestCase):
    """Takes tracing off after each test, and OTEL_* variables before."""

    def setUp(self) -> None:
        super().setUp()
        _end_if_stuck()
        for name in list(os.environ):
            if name.startswith(('OTEL_', 'OS_TRACING__')):
                self.useFixture(fixtures.EnvironmentVariable(name))
        self.useFixture(oslo_context_fixture.ClearRequestContext())
        # A filter that is given no configuration uses the last one.
        self.addCleanup(setattr, _runtime.RUNTIME, 'conf', None)
        self.addCleanup(service.shutdown)


def _end_if_stuck():
    """End this process where the test's timeout does not end the test.

    The timeout is an exception, which a loop that tries again for ever may
    swallow, and of which what waits in C hears nothing: all other tests would
    wait for that one. The stacks tell where it was. The next test, or the end
    of the process, calls it off.
    """
    seconds = int(os.environ.get('OS_TEST_TIMEOUT') or 0)
    if seconds and sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(
            seconds + _GRACE, exit=True, file=sys.__stderr__
        )


class LogOfACommand(fixtures.Fixture):
    """Undoes what cliff does to the log of the process."""

    def _setUp(self):
        self.useFixture(fixtures.FakeLogger())
        root = logging.getLogger()
        self.addCleanup(setattr, root, 'handlers', list(root.handlers))
        self.addCleanup(root.setLevel, root.level)


def instances_of(kind):
    """Return the living objects of a class."""
    gc.collect()
    # Not isinstance(), which asks the objects: those of other tests may be
    # made to raise then.
    return [one for one in gc.get_objects() if issubclass(type(one), kind)]


def traceparent(span):
    """Return the header that tells of a sampled span of ours."""
    return (
        f'00-{trace.format_trace_id(span.context.trace_id)}-'
        f'{trace.format_span_id(span.context.span_id)}-{_FLAGS:02x}'
    )

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

"""Spans that wait for their receiver."""

from __future__ import annotations

import threading
import time

import fixtures
from opentelemetry.sdk.trace import export

from oslo_tracing import counters
from oslo_tracing import exporters
from oslo_tracing.exporters import _owed
from oslo_tracing.exporters import _pipeline
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import sinks
from oslo_tracing.tests.unit.exporters import support


class _Receiver(export.SpanExporter):
    """An exporter whose receiver is not there, until it is."""

    def __init__(self, after=None):
        self.after = after
        self.tried = threading.Semaphore(0)
        self.back = False
        self.has = []
        self.all_there = threading.Event()
        self.expected = 0

    def deliver(self, spans, timeout):
        outcome = _owed.Outcome()
        if self.back:
            self.has += [span.name for span in spans]
            outcome.delivered = len(spans)
            if len(self.has) >= self.expected:
                self.all_there.set()
        else:
            outcome.leave(spans, 'nobody there', self.after)
        self.tried.release()
        return outcome

    def shutdown(self):
        pass


class _Other(export.SpanExporter):
    def __init__(self):
        self.has = threading.Semaphore(0)

    def export(self, spans):
        self.has.release(len(spans))
        return export.SpanExportResult.SUCCESS


class OwingTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.logged = self.useFixture(fixtures.FakeLogger('oslo_tracing'))

    def _pipeline(self, builders, **values):
        values.setdefault('schedule_delay', 0.01)
        values.setdefault('shutdown_timeout', 20.0)
        pipeline = _pipeline.Pipeline(
            support.settings(**values),
            {
                name: lambda resource, exporter=exporter: exporter
                for name, exporter in builders.items()
            },
            support.resource,
            counters.Counters(),
        )
        self.tracing = self.useFixture(support.Tracer(pipeline))
        return pipeline

    def _tried(self, receiver):
        self.assertTrue(receiver.tried.acquire(timeout=30))

    def test_what_waited_arrives_by_itself_in_order(self):
        receiver = _Receiver()
        pipeline = self._pipeline({'one': receiver}, max_export_batch_size=2)
        self.tracing.end(name='a')
        self._tried(receiver)
        for name in ('b', 'c', 'd', 'e'):
            self.tracing.end(name=name)
        self._tried(receiver)

        receiver.expected = 5
        receiver.back = True

        self.assertTrue(receiver.all_there.wait(30))
        self.assertEqual(['a', 'b', 'c', 'd', 'e'], receiver.has)
        self.assertTrue(pipeline.force_flush(30000))
        self.assertEqual(
            {'exported': {'one': 5}, 'dropped': {}}, pipeline.stats.snapshot()
        )

    def test_while_one_waits_the_queue_fills_and_no_more(self):
        receiver = _Receiver(after=60.0)
        pipeline = self._pipeline({'one': receiver}, max_queue_size=5)
        self.tracing.end(name='first')
        self._tried(receiver)

        self.tracing.end(1000)

        self.assertEqual(
            {'exported': {}, 'dropped': {'queue full': 995}},
            pipeline.stats.snapshot(),
        )
        receiver.back = True
        pipeline.shutdown()
        self.assertEqual(['first', *'aaaaa'], receiver.has)

    def test_who_waits_holds_up_no_other(self):
        receiver, other = _Receiver(after=60.0), _Other()
        pipeline = self._pipeline(
            {'one': receiver, 'other': other},
            max_queue_size=5,
            max_export_batch_size=5,
        )
        for _ in range(4):
            self.tracing.end(5)
            for _ in range(5):
                self.assertTrue(other.has.acquire(timeout=30))

        # What the one could not keep is lost to it alone.
        receiver.back = True
        pipeline.shutdown()
        self.assertEqual(
            {
                'exported': {'one': 5, 'other': 20},
                'dropped': {'queue full': 15},
            },
            pipeline.stats.snapshot(),
        )

    def test_a_flush_tries_at_once_and_tells(self):
        receiver = _Receiver(after=60.0)
        pipeline = self._pipeline({'one': receiver})
        self.tracing.end()
        self._tried(receiver)

        begun = time.monotonic()
        self.assertIs(False, pipeline.force_flush(60000))
        receiver.back = True
        self.assertIs(True, pipeline.force_flush(60000))
        self.assertLess(time.monotonic() - begun, 45)

        self.assertEqual(['a'], receiver.has)

    def test_the_end_waits_for_nobody(self):
        receiver = _Receiver(after=60.0)
        pipeline = self._pipeline({'one': receiver}, shutdown_timeout=60.0)
        self.tracing.end()
        self._tried(receiver)
        self.tracing.end(2)

        begun = time.monotonic()
        pipeline.shutdown()
        self.assertLess(time.monotonic() - begun, 45)

        # It was asked once more.
        self._tried(receiver)
        self.assertEqual(
            {'exported': {}, 'dropped': {'shut down': 3}},
            pipeline.stats.snapshot(),
        )

    def test_waiting_is_told_before_anything_is_lost(self):
        receiver = _Receiver(after=60.0)
        self._pipeline({'one': receiver})
        self.tracing.end()
        self._tried(receiver)
        # A second try: the first one's outcome is known by then.
        pipeline = self.tracing.provider
        pipeline.force_flush(30000)

        self.tracing.end()

        (line,) = self.logged.output.splitlines()
        self.assertIn('Spans wait for their receiver', line)
        self.assertIn('one: nobody there', line)

    def test_what_is_over_is_not_told(self):
        receiver = _Receiver(after=60.0)
        # Tried when flushed only, so nobody asks what is wrong meanwhile.
        pipeline = self._pipeline({'one': receiver}, schedule_delay=3600.0)
        self.tracing.end()
        self.assertFalse(pipeline.force_flush(30000))
        receiver.back = True
        self.assertTrue(pipeline.force_flush(30000))

        self.tracing.end()

        self.assertEqual('', self.logged.output)

    def test_a_warning_of_the_receiver_is_told(self):
        sink = self.useFixture(
            sinks.ScriptedSink(sinks.http(200, sinks.partial(0, 'too old')))
        )
        pipeline = exporters.build(
            support.settings(exporters=['otlp'], otlp_endpoint=sink.endpoint),
            support.resource,
        )
        tracing = self.useFixture(support.Tracer(pipeline))
        tracing.end()
        self.assertTrue(pipeline.force_flush(30000))

        tracing.end()

        (line,) = self.logged.output.splitlines()
        self.assertIn('none is lost: otlp: too old', line)

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

from __future__ import annotations

import inspect
import logging
import multiprocessing
import os
import random
import subprocess
import sys
import textwrap
import types

import fixtures
from opentelemetry import attributes as otel_attributes

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing import provider
from oslo_tracing import service
from oslo_tracing.tests import base


def _settings(**values):
    return types.SimpleNamespace(
        **{
            'service_name': 'oslo.config',
            'resource_attributes': {'cloud.region': 'One'},
            **values,
        }
    )


def _instance(describe, queue):
    attributes = describe().attributes
    queue.put((attributes['service.instance.id'], attributes['process.pid']))


def _run(code):
    return subprocess.run(
        [sys.executable, '-c', textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


class ResourceTest(base.TestCase):
    def test_what_describes_a_process(self):
        described = provider.ProcessResource(_settings())().attributes
        self.assertEqual('oslo.config', described['service.name'])
        self.assertEqual('openstack', described['service.namespace'])
        self.assertEqual('One', described['cloud.region'])
        self.assertEqual('oslo.tracing', described['telemetry.distro.name'])
        self.assertEqual('python', described['telemetry.sdk.language'])
        self.assertEqual('opentelemetry', described['telemetry.sdk.name'])
        self.assertEqual(os.getpid(), described['process.pid'])
        self.assertEqual(os.uname().nodename, described['host.name'])
        # The distribution of that name is installed.
        self.assertIn('service.version', described)
        self.assertEqual(36, len(described['service.instance.id']))

    def test_an_operators_attributes_win(self):
        described = provider.ProcessResource(
            _settings(
                resource_attributes={
                    'service.namespace': 'mine',
                    'host.name': 'cn1',
                }
            )
        )().attributes
        self.assertEqual('mine', described['service.namespace'])
        self.assertEqual('cn1', described['host.name'])

    def test_an_unknown_service_has_no_version(self):
        described = provider.ProcessResource(
            _settings(service_name='no such thing')
        )().attributes
        self.assertNotIn('service.version', described)

    def test_each_process_has_an_answer_of_its_own(self):
        describe = provider.ProcessResource(_settings())
        first = describe()
        self.assertIs(first, describe())
        forking = multiprocessing.get_context('fork')
        queue = forking.Queue()
        child = forking.Process(target=_instance, args=(describe, queue))
        child.start()
        instance, pid = queue.get()
        child.join()
        self.assertEqual(child.pid, pid)
        self.assertNotEqual(first.attributes['service.instance.id'], instance)


class QuietTest(base.TestCase):
    def test_a_value_that_is_cut_is_told_once(self):
        log = self.useFixture(fixtures.FakeLogger())
        spans = self.useFixture(
            fixture.SpanRecorder('none', attribute_length_limit=64)
        )
        for _number in range(50):
            with oslo_tracing.span('work', {'a': 'x' * 100}, root=True):
                pass
        # Older SDKs do not tell at all.
        told = 'exceeds max length' in inspect.getsource(otel_attributes)
        self.assertEqual(int(told), log.output.count('exceeds max length'))
        self.assertEqual('x' * 64, spans.finished[-1].attributes['a'])

    def test_a_stack_that_is_cut_is_not_told(self):
        log = self.useFixture(fixtures.FakeLogger())
        spans = self.useFixture(
            fixture.SpanRecorder('none', attribute_length_limit=1000)
        )

        def deep(levels):
            if levels:
                deep(levels - 1)
            raise ValueError

        try:
            with oslo_tracing.span('work', root=True):
                deep(90)
        except ValueError:
            pass
        self.assertNotIn('exceeds max length', log.output)
        (event,) = spans.named('work').events
        self.assertIn('deep', event.attributes['exception.stacktrace'])

    def test_it_is_undone(self):
        logger = logging.getLogger('opentelemetry.attributes')
        before = list(logger.filters)
        self.useFixture(fixture.SpanRecorder('none'))
        service.shutdown()
        self.assertEqual(before, logger.filters)


class IdsTest(base.TestCase):
    def test_they_do_not_come_from_random(self):
        ids = provider.UrandomIds()
        state = random.getstate()
        first = ids.generate_trace_id(), ids.generate_span_id()
        self.assertEqual(state, random.getstate())
        random.setstate(state)
        second = ids.generate_trace_id(), ids.generate_span_id()
        self.assertNotEqual(first, second)

    def test_every_bit_is_random(self):
        ids = provider.UrandomIds()
        seen_set, seen_clear = 0, 0
        for _number in range(200):
            trace_id = ids.generate_trace_id()
            seen_set |= trace_id
            seen_clear |= ~trace_id
        mask = (1 << 128) - 1
        self.assertEqual(mask, seen_set)
        self.assertEqual(mask, seen_clear & mask)
        self.assertTrue(ids.is_trace_id_random())


class GlobalProviderTest(base.TestCase):
    """In processes of their own: it can be set only once in each."""

    def test_a_tracer_taken_early_follows(self):
        names = _run("""
            from opentelemetry import trace
            from oslo_tracing import fixture, service
            early = trace.get_tracer('early')
            early.start_span('lost').end()
            spans = fixture.SpanRecorder('none')
            spans.setUp()
            with early.start_as_current_span('one'):
                trace.get_tracer('late').start_span('two').end()
            service.shutdown()
            early.start_span('after').end()
            again = fixture.SpanRecorder('none')
            again.setUp()
            early.start_span('three').end()
            print(*[s.name for s in spans.finished + again.finished])
            """)
        self.assertEqual(['two', 'one', 'three'], names)

    def test_somebody_elses_provider_is_used_and_told_of(self):
        printed = _run("""
            import logging, sys
            from opentelemetry import trace
            from opentelemetry.sdk import trace as sdk
            from opentelemetry.sdk.trace import export
            from opentelemetry.sdk.trace.export import (
                in_memory_span_exporter as m)
            from oslo_config import cfg
            import oslo_tracing
            from oslo_tracing import opts
            logging.basicConfig(level='INFO', stream=sys.stdout,
                                format='%(levelname)s')
            memory = m.InMemorySpanExporter()
            theirs = sdk.TracerProvider()
            theirs.add_span_processor(export.SimpleSpanProcessor(memory))
            trace.set_tracer_provider(theirs)
            conf = cfg.ConfigOpts()
            opts.set_defaults(conf, enabled=True)
            conf([], project='x', default_config_files=[])
            tracing = oslo_tracing.setup(conf, 'x')
            with oslo_tracing.span('ours', root=True):
                pass
            assert tracing.processor is None
            oslo_tracing.shutdown()
            theirs.get_tracer('x').start_span('theirs').end()
            print(*[s.name for s in memory.get_finished_spans()])
            """)
        self.assertEqual(['INFO', 'ours', 'theirs'], printed)

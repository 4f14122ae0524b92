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

"""Traces that real servers keep, read back."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import time
import uuid

import fixtures
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export import in_memory_span_exporter
from oslo_config import cfg

import oslo_tracing
from oslo_tracing.cmd import main
from oslo_tracing import opts
from oslo_tracing.report import model
from oslo_tracing.report.render import otlp
from oslo_tracing.report import sources
from oslo_tracing.report import sums
from oslo_tracing import service
from oslo_tracing.tests import base
from oslo_tracing.tests.functional import trace_stores
from oslo_tracing.tests.unit.report import maker

_SECONDS = 60


def _boot():
    """Return a trace of the last minute; times are whole microseconds."""
    made = maker.Maker()
    root = made.span(
        'post /servers',
        0,
        30,
        kind='SERVER',
        service='nova-api',
        attributes={
            'http.route': '/servers',
            'http.response.status_code': 202,
            'openstack.request_id': 'req-' + str(uuid.uuid4()),
        },
    )
    cast = made.span(
        'conductor/build', 5, 6, root, kind='PRODUCER', service='nova-api'
    )
    build = made.span(
        'conductor/build',
        40,
        90,
        cast,
        kind='CONSUMER',
        service='nova-conductor',
        host='two',
    )
    for number in range(20):
        made.span(
            'select instances',
            41 + number,
            41.5 + number,
            build,
            kind='CLIENT',
            service='nova-conductor',
            host='two',
            attributes={
                'db.system.name': 'mysql',
                'db.query.text': 'SELECT "ü", \'</b>\' -- \u2028',
                'number': number,
                'share': number / 8,
                'odd': number % 2 == 1,
            },
        )
    made.span(
        'insert instances',
        70,
        80,
        build,
        kind='CLIENT',
        service='nova-conductor',
        host='two',
        status='ERROR',
        description='DBDeadlock',
        attributes={'error.type': 'DBDeadlock'},
    )
    made.span('inner work', 81, 82, build, service='nova-conductor')
    trace_id = uuid.uuid4().hex
    start = (time.time_ns() // 10**6 - 60_000) * 10**6
    spans = [
        dataclasses.replace(
            span,
            trace_id=trace_id,
            start=start + span.start,
            end=start + span.end,
            events=(model.Event('woke up', start + span.start + 1000),),
        )
        for span in made.spans
    ]
    return model.Trace(trace_id, spans)


def _added_up():
    """Return a trace whose statements have no spans."""
    made = maker.Maker()
    made.span(
        'get /servers',
        0,
        30,
        kind='SERVER',
        service='nova-api',
        attributes={
            'openstack.db.count': 50,
            'openstack.db.duration': 0.02,
            'openstack.db.rows': 7,
            'openstack.db.top.statements': ['SELECT "a"', 'SELECT b'],
            'openstack.db.top.counts': [40, 10],
            'openstack.db.top.durations': [0.0175, 0.0025],
        },
    )
    start = (time.time_ns() // 10**6 - 60_000) * 10**6
    (span,) = made.spans
    span.trace_id = uuid.uuid4().hex
    span.start += start
    span.end += start
    return model.Trace(span.trace_id, [span])


def _tree(trace, shown=lambda value: value):
    return [
        (
            depth,
            span.span_id,
            span.parent_id,
            span.service,
            span.name,
            span.kind,
            span.start,
            span.end,
            span.status,
            span.description,
            {key: shown(value) for key, value in span.attributes.items()},
            [(event.name, event.time) for event in span.events],
        )
        for depth, span in trace.walk()
    ]


def _text(value):
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _zipkin(span):
    """Return a span as OpenTelemetry's exporters for Zipkin write it."""
    tags = {key: _text(value) for key, value in span.attributes.items()}
    if span.failed:
        tags |= {'otel.status_code': 'ERROR', 'error': span.description}
    made = {
        'traceId': span.trace_id,
        'id': span.span_id,
        'name': span.name,
        'timestamp': span.start // 1000,
        'duration': span.duration // 1000,
        'localEndpoint': {'serviceName': span.service},
        'annotations': [
            {'timestamp': event.time // 1000, 'value': event.name}
            for event in span.events
        ],
        'tags': tags,
    }
    if span.parent_id:
        made['parentId'] = span.parent_id
    if span.kind != 'INTERNAL':
        made['kind'] = span.kind
    return made


class _StoreTest(base.TestCase):
    def _read(self, name, trace, least=0):
        """Return the trace once the server has all of it."""
        least = least or len(trace.spans)
        deadline = time.monotonic() + _SECONDS
        with contextlib.closing(sources.open_source(name)) as source:
            while True:
                found = source.find(trace.trace_id)
                if found and len(found[0].spans) >= least:
                    break
                self.assertLess(time.monotonic(), deadline, 'not there yet')
                time.sleep(0.05)
            self.assertEqual([], [str(each) for each in source.problems])
        self.assertEqual(1, len(found))
        return found[0]

    def _command(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = main.main(list(arguments))
        return code, out.getvalue()

    def _shows_the_same(self, name, trace):
        directory = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(directory, 'trace.jsonl')
        with open(path, 'w') as stream:
            for line in otlp.render(trace.spans):
                stream.write(line + '\n')
        shown = [
            self._command('show', '--source', source, trace.trace_id)
            for source in (path, name)
        ]
        self.assertEqual(0, shown[0][0])
        self.assertEqual(shown[0], shown[1])
        request_id = trace.spans[0].attributes['openstack.request_id']
        self.assertEqual(
            shown[0], self._command('show', '--source', name, request_id)
        )

    def _lists(self, name, trace):
        deadline = time.monotonic() + _SECONDS
        while True:
            _code, told = self._command(
                'list', '--source', name, '-f', 'json', '--errors'
            )
            rows = {row['Trace ID']: row for row in json.loads(told)}
            if trace.trace_id in rows:
                break
            self.assertLess(time.monotonic(), deadline, 'not listed yet')
        self.assertEqual(len(trace.spans), rows[trace.trace_id]['Spans'])
        self.assertEqual(1, rows[trace.trace_id]['Errors'])
        code, _told = self._command(
            'list', '--source', name, '--until', '2020-01-01'
        )
        self.assertEqual(2, code)

    def _keeps_sums(self, name, trace):
        (sent,), (read,) = trace.spans, self._read(name, trace).spans
        self.assertIsNotNone(sums.of(sent))
        self.assertEqual(sums.of(sent), sums.of(read))

    def _knows_no_other(self, name):
        with contextlib.closing(sources.open_source(name)) as source:
            self.assertEqual([], source.find(uuid.uuid4().hex))
            self.assertEqual([], source.find(f'req-{uuid.uuid4()}'))


class JaegerTest(_StoreTest):
    def test_what_was_sent_is_read_back(self):
        jaeger = self.useFixture(trace_stores.Jaeger(self))
        name = f'jaeger+{jaeger.url}'
        trace = _boot()
        for line in otlp.render(trace.spans):
            trace_stores.post(jaeger.otlp, json.loads(line))

        read = self._read(name, trace)

        self.assertEqual(_tree(trace), _tree(read))
        self.assertEqual(
            {'one', 'two'},
            {span.resource.attributes['host.name'] for span in read.spans},
        )
        self._shows_the_same(name, trace)
        self._lists(name, trace)
        self._knows_no_other(name)
        trace = _added_up()
        for line in otlp.render(trace.spans):
            trace_stores.post(jaeger.otlp, json.loads(line))
        self._keeps_sums(name, trace)


class TempoTest(_StoreTest):
    def test_what_was_sent_is_read_back(self):
        tempo = self.useFixture(trace_stores.Tempo(self))
        name = f'tempo+{tempo.url}'
        trace = _boot()
        for line in otlp.render(trace.spans):
            trace_stores.post(tempo.otlp, json.loads(line))

        read = self._read(name, trace)

        self.assertEqual(_tree(trace), _tree(read))
        self.assertEqual(
            {'one', 'two'},
            {span.resource.attributes['host.name'] for span in read.spans},
        )
        self._lists(name, trace)
        self._shows_the_same(name, trace)
        self._knows_no_other(name)
        # More than one search can be about.
        code, told = self._command(
            'list', '--source', name, '--since', '30d', '-f', 'json'
        )
        self.assertEqual((0, 1), (code, len(json.loads(told))))
        self._what_a_service_sends(tempo, name)
        trace = _added_up()
        for line in otlp.render(trace.spans):
            trace_stores.post(tempo.otlp, json.loads(line))
        self._keeps_sums(name, trace)

    def _what_a_service_sends(self, tempo, name):
        recorded = in_memory_span_exporter.InMemorySpanExporter()
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], project='', default_config_files=[])
        for option, value in {
            'enabled': True,
            'otlp_endpoint': tempo.otlp.removesuffix('/v1/traces'),
        }.items():
            conf.set_override(option, value, group='tracing')
        tracing = service.set_up(conf, 'nova-api', only=('sqlalchemy',))
        self.addCleanup(service.shutdown)
        tracing.provider.add_span_processor(
            export.SimpleSpanProcessor(recorded)
        )
        with oslo_tracing.span('POST /servers', {'n': 2**53 + 1}, root=True):
            for number in range(3):
                with oslo_tracing.span('work', {'number': number}) as span:
                    span.add_event('woke up')
        sent = recorded.get_finished_spans()
        trace_id = f'{sent[0].context.trace_id:032x}'
        service.shutdown()

        read = self._read(name, model.Trace(trace_id, []), len(sent))

        self.assertEqual(
            {
                (
                    f'{span.context.span_id:016x}',
                    span.parent and f'{span.parent.span_id:016x}',
                    span.name,
                    span.start_time,
                    span.end_time,
                    span.attributes.get('number'),
                    len(span.events),
                )
                for span in sent
            },
            {
                (
                    span.span_id,
                    span.parent_id,
                    span.name,
                    span.start,
                    span.end,
                    span.attributes.get('number'),
                    len(span.events),
                )
                for span in read.spans
            },
        )
        self.assertTrue(read.is_one_tree())
        self.assertEqual('nova-api', read.roots[0].service)
        self.assertEqual(2**53 + 1, read.roots[0].attributes['n'])


class ZipkinTest(_StoreTest):
    def setUp(self):
        super().setUp()
        self.zipkin = self.useFixture(trace_stores.Zipkin(self))
        self.name = f'zipkin+{self.zipkin.url}'

    def test_what_was_sent_is_read_back(self):
        trace = _boot()
        trace_stores.post(
            f'{self.zipkin.url}/api/v2/spans',
            [_zipkin(s) for s in trace.spans],
        )

        read = self._read(self.name, trace)

        # It keeps values as text.
        self.assertEqual(_tree(trace, _text), _tree(read, _text))
        self._shows_the_same(self.name, trace)
        self._lists(self.name, trace)
        self._knows_no_other(self.name)
        trace = _added_up()
        trace_stores.post(
            f'{self.zipkin.url}/api/v2/spans',
            [_zipkin(s) for s in trace.spans],
        )
        self._keeps_sums(self.name, trace)

    def test_halves_that_share_an_id_are_two_spans(self):
        trace_id = uuid.uuid4().hex
        now = time.time_ns() // 1000 - 60 * 10**6
        common = {'traceId': trace_id, 'duration': 1000, 'name': 'get'}
        trace_stores.post(
            f'{self.zipkin.url}/api/v2/spans',
            [
                common
                | {'id': '1' * 16, 'timestamp': now, 'kind': 'CLIENT'}
                | {'localEndpoint': {'serviceName': 'nova'}},
                common
                | {'id': '1' * 16, 'timestamp': now + 10, 'kind': 'SERVER'}
                | {'localEndpoint': {'serviceName': 'keystone'}}
                | {'shared': True},
                common
                | {'id': '2' * 16, 'timestamp': now + 20, 'kind': 'CLIENT'}
                | {'localEndpoint': {'serviceName': 'keystone'}}
                | {'parentId': '1' * 16},
            ],
        )
        trace = model.Trace(trace_id, [])
        deadline = time.monotonic() + _SECONDS
        while len(trace.spans) < 3:
            trace = self._read(self.name, trace)
            self.assertLess(time.monotonic(), deadline)

        self.assertEqual(
            [(0, 'nova'), (1, 'keystone'), (2, 'keystone')],
            [(depth, span.service) for depth, span in trace.walk()],
        )
        self.assertEqual(0, trace.duplicates)

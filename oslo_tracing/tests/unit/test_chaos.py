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

import logging
import pathlib

import fixtures
from opentelemetry import baggage
from opentelemetry import context as otel_context
import requests

from oslo_tracing import chaos
from oslo_tracing import fixture
from oslo_tracing import service
from oslo_tracing import settings as settings_module
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.integrations import http_servers


class HeadersTest(base.TestCase):
    """What an HTTP activity is given, and for how long."""

    def setUp(self):
        super().setUp()
        self.addCleanup(chaos.cleanup_control)

    def _during(self, url, headers=None, **options):
        self.spans = self.useFixture(fixture.SpanRecorder(**options))
        provider = {'type': 'http', 'url': url}
        if headers is not None:
            provider['headers'] = headers
        activity = {'name': 'look', 'type': 'probe', 'provider': provider}
        before = {**provider}
        chaos.before_experiment_control({'title': 'x'})
        chaos.before_activity_control(activity)
        during = provider.get('headers')
        chaos.after_activity_control(activity, {'status': 'succeeded'})
        chaos.after_experiment_control({}, {'status': 'completed'})
        self.assertEqual(before, provider)
        return during

    def test_they_are_in_all_formats_beside_its_own(self):
        found = self._during(
            'http://api/', {'Accept': 'x'}, propagators=['tracecontext', 'b3']
        )

        self.assertEqual({'Accept', 'b3', 'traceparent'}, set(found))
        span = self.spans.named('look')
        self.assertIn(f'{span.context.span_id:016x}', found['b3'])

    def test_a_stranger_gets_none(self):
        found = self._during(
            'http://stranger.example/', propagate_to=['*.cloud.example']
        )

        self.assertIsNone(found)

    def test_nobody_gets_baggage(self):
        token = otel_context.attach(baggage.set_baggage('user', 'S3CRET'))
        self.addCleanup(otel_context.detach, token)

        self.assertEqual(['traceparent'], list(self._during('http://api/')))

    def test_what_is_no_url_is_left_to_the_toolkit(self):
        for url in (None, 'http://[bad/', '${url}'):
            self._during(url)

    def test_nor_is_it_told_of_as_a_fault_of_ours(self):
        log = self.useFixture(
            fixtures.FakeLogger('oslo_tracing', level=logging.WARNING)
        )
        self._during('http://[bad/')

        self.assertEqual('', log.output)


class RequestsTest(http_servers.TestCase):
    """What the server gets that an HTTP activity asks."""

    def _asked(self, path='/', **options):
        spans = self.record(**options)
        provider = {'type': 'http', 'url': self.server.url + path}
        activity = {'name': 'look', 'type': 'probe', 'provider': provider}
        token = otel_context.attach(baggage.set_baggage('user', 'S3CRET'))
        self.addCleanup(otel_context.detach, token)
        chaos.before_experiment_control({'title': 'x'})
        chaos.before_activity_control(activity)
        # As chaoslib does.
        requests.get(
            provider['url'], headers=provider.get('headers'), timeout=5
        )
        chaos.after_activity_control(activity, {'status': 'succeeded'})
        requests.get(self.server.url + '/', timeout=5)
        chaos.after_experiment_control({}, {'status': 'completed'})
        self.assertFalse(any(self._sent('baggage')))
        return [
            (base.traceparent(each), f'{each.context.span_id:016x}')
            for each in spans.finished
            if each.name == 'GET'
        ]

    def _sent(self, name):
        return [
            self.server.header(name, number)
            for number in range(len(self.server.seen))
        ]

    def test_all_formats_name_the_span_of_the_request(self):
        asked, after = self._asked(
            propagators=['tracecontext', 'b3', 'b3multi']
        )

        self.assertEqual([[asked[0]], [after[0]]], self._sent('traceparent'))
        (single,), nothing = self._sent('b3')
        self.assertIn(asked[1], single)
        self.assertEqual([], nothing)
        self.assertEqual([[asked[1]], []], self._sent('x-b3-spanid'))

    def test_without_w3c_too(self):
        asked, _ = self._asked(propagators=['b3'])

        (single,), nothing = self._sent('b3')
        self.assertIn(asked[1], single)
        self.assertEqual([], nothing)
        self.assertEqual([[], []], self._sent('traceparent'))

    def test_a_redirect_has_a_span_of_its_own(self):
        self.server.routes['/old'] = (302, {'Location': '/'}, b'')

        first, second, _ = self._asked('/old', propagators=['b3'])

        (one,), (other,), _nothing = self._sent('b3')
        self.assertIn(first[1], one)
        self.assertIn(second[1], other)

    def test_a_redirect_to_a_stranger_has_no_context(self):
        elsewhere = self.server.url.replace('127.0.0.1', 'localhost')
        self.server.routes['/old'] = (302, {'Location': f'{elsewhere}/'}, b'')

        self._asked(
            '/old',
            propagators=['tracecontext', 'b3'],
            propagate_to=['127.0.0.1'],
        )

        self.assertEqual([1, 0, 0], [len(each) for each in self._sent('b3')])


class SetUpTest(base.TestCase):
    """What an experiment says of tracing, and what of it cannot be used."""

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.WARNING))
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.addCleanup(service.shutdown)
        self.addCleanup(chaos.cleanup_control)

    def _file(self, text):
        path = self.directory / 'tracing.conf'
        path.write_text(text)
        return str(path)

    def test_a_wrong_option_is_named(self):
        for option, arguments in (
            ('sample_ratio = 7', {}),
            # An argument has a value for it too.
            ('otlp_protocol = http/json', {'exporter': 'otlp-grpc'}),
            ('propagators = telegraph', {}),
        ):
            path = self._file(f'[tracing]\n{option}\n')

            chaos.configure_control(config_file=path, **arguments)

            said = self.log.output
            name, _equals, value = option.partition(' = ')
            self.assertIn('The experiment is not traced: [tracing]', said)
            self.assertIn(name, said)
            self.assertIn(value, said)
            self.assertNotIn('Tracing failed', said)
            self.assertFalse(chaos._OPEN.is_ours)

    def test_a_file_that_cannot_be_used_is_named(self):
        missing = str(self.directory / 'missing.conf')
        wrong = self._file('[tracing]\nhmac_keys S3CRET\n')
        for path in (missing, wrong):
            chaos.configure_control(config_file=path)

            self.assertIn(
                f'The experiment is not traced: {path} cannot be used',
                self.log.output,
            )
        self.assertNotIn('S3CRET', self.log.output)
        self.assertNotIn('Tracing failed', self.log.output)

    def _settings(self, environment, **arguments):
        read = []
        self.patch(
            service,
            'setup',
            lambda conf, name: read.append(settings_module.read(conf, name)),
        )
        for variable, value in environment.items():
            self.useFixture(fixtures.EnvironmentVariable(variable, value))
        chaos.configure_control(**arguments)
        (settings,) = read
        return settings

    def test_an_exporter_wins_over_the_environment(self):
        for arguments, protocol in (
            ({'exporter': 'otlp-http'}, 'http/protobuf'),
            ({'exporter': 'oltp-http'}, 'http/protobuf'),
            ({'exporter': 'otlp-grpc'}, 'grpc'),
            ({'provider': 'jaeger'}, 'http/protobuf'),
        ):
            other = {'grpc': 'http/protobuf'}.get(protocol, 'grpc')
            settings = self._settings(
                {
                    'OTEL_TRACES_EXPORTER': 'none',
                    'OTEL_EXPORTER_OTLP_PROTOCOL': other,
                },
                **arguments,
            )

            self.assertEqual(['otlp'], settings.exporters, arguments)
            self.assertEqual(protocol, settings.otlp_protocol, arguments)

    def test_without_one_the_environment_says_it(self):
        settings = self._settings(
            {
                'OTEL_TRACES_EXPORTER': 'none',
                'OTEL_EXPORTER_OTLP_PROTOCOL': 'grpc',
            },
            provider='opentelemetry',
        )

        self.assertEqual(['none'], settings.exporters)
        self.assertEqual('grpc', settings.otlp_protocol)

    def test_the_file_wins_over_an_exporter(self):
        settings = self._settings(
            {'OTEL_TRACES_EXPORTER': 'none'},
            config_file=self._file(
                '[tracing]\nexporters = log\notlp_protocol = grpc\n'
            ),
            exporter='otlp-http',
        )

        self.assertEqual(['log'], settings.exporters)
        self.assertEqual('grpc', settings.otlp_protocol)

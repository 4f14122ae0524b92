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

import fixtures

from oslo_tracing import _chaos_options
from oslo_tracing.tests import base

_CONFIGURED_INSECURE = 'tracing_opentelemetry_collector_endpoint_insecure'


class ChaosOptionsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(
            fixtures.FakeLogger('oslo_tracing', level=logging.WARNING)
        )

    def test_nothing_said_is_tracing_as_configured(self):
        self.assertEqual({'enabled': True}, _chaos_options.read({}, {}))
        self.assertEqual('', self.log.output)

    def test_noop_is_off(self):
        for arguments, configuration in (
            ({'provider': 'noop'}, {}),
            ({}, {'tracing_provider': 'noop'}),
        ):
            self.assertEqual(
                {'enabled': False},
                _chaos_options.read(arguments, configuration),
            )

    def test_a_configuration_of_the_seed(self):
        said = {
            'tracing_provider': 'opentelemetry',
            'tracing_opentelemetry_exporter': 'oltp-grpc',
            'tracing_opentelemetry_collector_endpoint': 'http://host:4317',
            'tracing_opentelemetry_collector_endpoint_insecure': True,
        }

        self.assertEqual(
            {
                'enabled': True,
                'otlp_protocol': 'grpc',
                'otlp_endpoint': 'http://host:4317',
                'otlp_insecure': True,
            },
            _chaos_options.read({}, said),
        )
        self.assertEqual('', self.log.output)

    def test_arguments_win(self):
        found = _chaos_options.read(
            {'provider': 'opentelemetry', 'collector_endpoint': 'http://a'},
            {'tracing_opentelemetry_collector_endpoint': 'http://b'},
        )

        self.assertEqual('http://a', found['otlp_endpoint'])

    def test_what_jaeger_has_no_more_is_said(self):
        for arguments in (
            {'provider': 'jaeger', 'host': '::1', 'port': 6831},
            {'exporter': 'jaeger-thrift', 'host': '::1'},
            {'exporter': 'jaeger-grpc', 'host': '::1'},
        ):
            found = _chaos_options.read(arguments, {})

            self.assertEqual('http://[::1]:4318', found['otlp_endpoint'])
        self.assertEqual(3, self.log.output.count('over OTLP to'))

    def test_propagations(self):
        for said, last in (('b3', 'b3multi'), ('jaeger', 'jaeger')):
            self.assertEqual(
                ['tracecontext', 'baggage', last],
                _chaos_options.read({'propagation': said}, {})['propagators'],
            )

    def test_what_is_not_known_is_told_and_ignored(self):
        found = _chaos_options.read(
            {'provider': 'x', 'exporter': 'y', 'propagation': 'z'}, {}
        )

        self.assertEqual({'enabled': True}, found)
        for value in "'x'", "'y'", "'z'":
            self.assertIn('Ignored the', self.log.output)
            self.assertIn(value, self.log.output)

    def test_a_boolean_may_be_text(self):
        # Which it is where a configuration takes it from the environment.
        for text, expected in (('false', False), ('0', False), ('Yes', True)):
            self.assertIs(
                expected,
                _chaos_options.read({'collector_endpoint_insecure': text}, {})[
                    'otlp_insecure'
                ],
            )
        self.assertEqual('', self.log.output)

    def test_what_is_no_boolean_leaves_tls_on(self):
        for value in ('', 'flase', [0]):
            found = _chaos_options.read({}, {_CONFIGURED_INSECURE: value})

            self.assertNotIn('otlp_insecure', found)
            self.assertIn(
                f'Ignored the collector_endpoint_insecure {value!r} of the '
                'experiment',
                self.log.output,
            )

    def test_http_is_said_as_grpc_is(self):
        for exporter in ('otlp-http', 'oltp-http'):
            self.assertEqual(
                'http/protobuf',
                _chaos_options.read({'exporter': exporter}, {})[
                    'otlp_protocol'
                ],
            )

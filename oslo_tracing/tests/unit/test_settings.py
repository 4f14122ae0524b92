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

"""What wins over what, and what stops a start."""

from __future__ import annotations

import os
import sys

import fixtures
from oslo_config import cfg
from oslotest import createfile

from oslo_tracing import exceptions
from oslo_tracing import opts
from oslo_tracing import settings
from oslo_tracing.tests import base


class SettingsTest(base.TestCase):
    def _conf(self, text: str = '') -> cfg.ConfigOpts:
        path = self.useFixture(
            createfile.CreateFileWithContent('tracing', f'[tracing]\n{text}')
        ).path
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], project='x', default_config_files=[path])
        return conf

    def _env(self, name: str, value: str) -> None:
        self.useFixture(fixtures.EnvironmentVariable(name, value))

    def test_defaults_are_those_of_the_options(self):
        read = settings.read(self._conf())
        self.assertFalse(read.enabled)
        self.assertEqual(['otlp'], read.exporters)
        self.assertEqual('http://localhost:4318', read.otlp_endpoint)
        self.assertEqual(1.0, read.sample_ratio)
        self.assertEqual(['tracecontext', 'baggage'], read.propagators)
        self.assertEqual(2.0, read.shutdown_timeout)

    def test_file_wins_over_otel_environment(self):
        self._env('OTEL_TRACES_SAMPLER_ARG', '0.25')
        self.assertEqual(0.25, settings.read(self._conf()).sample_ratio)
        # Also where the file says what the default says.
        read = settings.read(self._conf('sample_ratio = 1.0'))
        self.assertEqual(1.0, read.sample_ratio)

    def test_oslo_config_environment_wins_over_otel_environment(self):
        self._env('OTEL_TRACES_SAMPLER_ARG', '0.25')
        self._env('OS_TRACING__SAMPLE_RATIO', '0.5')
        self.assertEqual(0.5, settings.read(self._conf()).sample_ratio)

    def test_rules_of_a_variable_are_its_lines(self):
        of_file = self._conf('sampling_rules = server "*" 1')
        self.assertEqual(
            ['server "*" 1'], settings.read(of_file).sampling_rules
        )
        self._env(
            'OS_TRACING__SAMPLING_RULES', 'server "*" 0.5\nperiodic "*" 0'
        )
        conf = self._conf('sampling_rules = server "*" 1')
        wanted = ['server "*" 0.5', 'periodic "*" 0']
        self.assertEqual(wanted, settings.read(conf).sampling_rules)
        again = settings.read_mutable(conf)
        self.assertEqual(wanted, again['sampling_rules'])

    def test_otel_environment_wins_over_defaults_of_the_service(self):
        conf = self._conf()
        opts.set_defaults(conf, sample_ratio=0.5)
        self.assertEqual(0.5, settings.read(conf).sample_ratio)
        self._env('OTEL_TRACES_SAMPLER_ARG', '0.25')
        self.assertEqual(0.25, settings.read(conf).sample_ratio)

    def test_set_defaults_refuses_unknown_options(self):
        self.assertRaises(
            cfg.NoSuchOptError, opts.set_defaults, self._conf(), colour='red'
        )

    def test_service_name_by_precedence(self):
        self.useFixture(
            fixtures.MonkeyPatch('sys.argv', ['/usr/bin/nova-api', '--x'])
        )
        self.assertEqual('nova-api', settings.read(self._conf()).service_name)
        read = settings.read(self._conf(), 'given')
        self.assertEqual('given', read.service_name)
        self._env('OTEL_RESOURCE_ATTRIBUTES', 'service.name=resource,a=b')
        read = settings.read(self._conf(), 'given')
        self.assertEqual('resource', read.service_name)
        self.assertEqual({'a': 'b'}, read.resource_attributes)
        self._env('OTEL_SERVICE_NAME', 'variable')
        read = settings.read(self._conf(), 'given')
        self.assertEqual('variable', read.service_name)
        read = settings.read(self._conf('service_name = file'), 'given')
        self.assertEqual('file', read.service_name)

    def test_program_without_a_name(self):
        self.useFixture(fixtures.MonkeyPatch('sys.argv', ['-c']))
        self.assertEqual('-c', sys.argv[0])
        self.assertEqual(
            'unknown_service', settings.read(self._conf()).service_name
        )

    def test_resource_attributes_add_up_and_the_file_wins(self):
        self._env('OTEL_RESOURCE_ATTRIBUTES', 'a=1,b=%C3%A9,')
        read = settings.read(self._conf('resource_attributes = a:2,c:3'))
        self.assertEqual(
            {'a': '2', 'b': 'é', 'c': '3'}, read.resource_attributes
        )

    def test_otel_variables_are_converted(self):
        for name, value in {
            'OTEL_EXPORTER_OTLP_ENDPOINT': 'https://collector:4318/base',
            'OTEL_EXPORTER_OTLP_HEADERS': 'a=b%20c,D=e',
            'OTEL_EXPORTER_OTLP_TIMEOUT': '2500',
            'OTEL_EXPORTER_OTLP_COMPRESSION': 'none',
            'OTEL_EXPORTER_OTLP_PROTOCOL': 'grpc',
            'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL': 'http/protobuf',
            'OTEL_BSP_SCHEDULE_DELAY': '750',
            'OTEL_BSP_MAX_QUEUE_SIZE': '7',
            'OTEL_BSP_MAX_EXPORT_BATCH_SIZE': '3',
            'OTEL_TRACES_EXPORTER': 'console, otlp',
            'OTEL_PROPAGATORS': 'b3,tracecontext',
            'OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT': '9',
            'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT': '100',
            'OTEL_TRACES_SAMPLER': 'always_off',
        }.items():
            self._env(name, value)
        read = settings.read(self._conf())
        self.assertEqual('https://collector:4318/base', read.otlp_endpoint)
        self.assertFalse(read.otlp_endpoint_is_whole)
        self.assertEqual({'a': 'b c', 'D': 'e'}, read.otlp_headers)
        self.assertEqual(2.5, read.otlp_timeout)
        self.assertEqual('none', read.otlp_compression)
        self.assertEqual('http/protobuf', read.otlp_protocol)
        self.assertEqual(0.75, read.schedule_delay)
        self.assertEqual(7, read.max_queue_size)
        self.assertEqual(3, read.max_export_batch_size)
        self.assertEqual(['console', 'otlp'], read.exporters)
        self.assertEqual(['b3', 'tracecontext'], read.propagators)
        self.assertEqual(9, read.attribute_count_limit)
        self.assertEqual(100, read.attribute_length_limit)
        self.assertEqual('always_off', read.sampler)

    def test_where_zipkin_is(self):
        self._env('OTEL_EXPORTER_ZIPKIN_ENDPOINT', 'http://zipkin:9411/x')
        conf = self._conf()
        self.assertEqual(
            'http://zipkin:9411/x', settings.read(conf).zipkin_endpoint
        )
        conf = self._conf('zipkin_endpoint = http://chosen:9411')
        self.assertEqual(
            'http://chosen:9411', settings.read(conf).zipkin_endpoint
        )

    def test_the_traces_variant_of_the_endpoint_is_the_whole_url(self):
        self._env('OTEL_EXPORTER_OTLP_ENDPOINT', 'http://general:4318')
        self._env('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'http://t:1/x')
        read = settings.read(self._conf())
        self.assertEqual('http://t:1/x', read.otlp_endpoint)
        self.assertTrue(read.otlp_endpoint_is_whole)
        read = settings.read(self._conf('otlp_endpoint = http://file:4318'))
        self.assertEqual('http://file:4318', read.otlp_endpoint)
        self.assertFalse(read.otlp_endpoint_is_whole)

    def test_grpc_has_a_default_port_of_its_own(self):
        read = settings.read(self._conf('otlp_protocol = grpc'))
        self.assertEqual('http://localhost:4317', read.otlp_endpoint)

    def test_argument_of_the_remote_sampler(self):
        log = self.useFixture(fixtures.FakeLogger())
        read = settings.read(self._conf())
        self.assertEqual(
            ('http://localhost:5778/sampling', 60.0),
            (read.sampling_server_url, read.sampling_refresh_interval),
        )
        self._env('OTEL_TRACES_SAMPLER', 'parentbased_jaeger_remote')
        self._env(
            'OTEL_TRACES_SAMPLER_ARG',
            'endpoint=http://jaeger:5778/sampling, pollingIntervalMs=5000,'
            'initialSamplingRate=0.25,',
        )
        read = settings.read(self._conf('sampling_refresh_interval = 30'))
        self.assertEqual('parentbased_jaeger_remote', read.sampler)
        self.assertEqual(
            ('http://jaeger:5778/sampling', 30.0, 0.25),
            (
                read.sampling_server_url,
                read.sampling_refresh_interval,
                read.sample_ratio,
            ),
        )
        self.assertEqual('', log.output)
        self._env('OTEL_TRACES_SAMPLER_ARG', 'initialSamplingRate=2,a=S3CRET')
        self.assertEqual(1.0, settings.read(self._conf()).sample_ratio)
        self.assertIn("Ignored 'initialSamplingRate' in", log.output)
        self.assertNotIn('S3CRET', log.output)

    def test_bad_and_empty_otel_variables_are_ignored_and_told(self):
        log = self.useFixture(fixtures.FakeLogger())
        bad = {
            'OTEL_TRACES_SAMPLER_ARG': '7',
            'OTEL_EXPORTER_OTLP_TIMEOUT': 'soon',
            'OTEL_EXPORTER_OTLP_HEADERS': 'S3CRET',
            'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://u:S3CRET@host',
            'OTEL_EXPORTER_OTLP_PROTOCOL': 'http/json',
            'OTEL_SDK_DISABLED': 'perhaps',
        }
        for name, value in bad.items():
            self._env(name, value)
        self._env('OTEL_SERVICE_NAME', '')
        read = settings.read(self._conf(), 'given')
        self.assertEqual(1.0, read.sample_ratio)
        self.assertEqual(10.0, read.otlp_timeout)
        self.assertEqual({}, read.otlp_headers)
        self.assertEqual('given', read.service_name)
        for name in bad:
            self.assertIn(name, log.output)
        self.assertNotIn('OTEL_SERVICE_NAME', log.output)
        self.assertNotIn('S3CRET', log.output)

    def test_sdk_disabled_is_weaker_than_the_file(self):
        self._env('OTEL_SDK_DISABLED', 'true')
        conf = self._conf()
        opts.set_defaults(conf, enabled=True)
        self.assertFalse(settings.read(conf).enabled)
        self.assertTrue(settings.read(self._conf('enabled = true')).enabled)

    def test_sdk_disabled_false_turns_nothing_on(self):
        self._env('OTEL_SDK_DISABLED', 'false')
        self.assertFalse(settings.read(self._conf()).enabled)

    def test_bad_options_are_named_with_their_value(self):
        for text, name, value in (
            ('sample_ratio = 1.5', 'sample_ratio', '1.5'),
            ('sample_ratio = often', 'sample_ratio', 'often'),
            ('max_queue_size = 0', 'max_queue_size', '0'),
            ('attribute_length_limit = 63', 'attribute_length_limit', '63'),
            ('otlp_protocol = tcp', 'otlp_protocol', 'tcp'),
            ('enabled = perhaps', 'enabled', 'perhaps'),
            ('incoming = signed', 'incoming', 'signed'),
            ('sample_ratio = nan', 'sample_ratio', 'nan'),
            ('shutdown_timeout = NaN', 'shutdown_timeout', 'NaN'),
            ('sample_ratio = $half', 'sample_ratio', '$half'),
            ('service_name = a${b.c}', 'service_name', '${b.c}'),
            ('max_queue_size = ' + 9999 * '1', 'max_queue_size', '111'),
            ('incoming = ' + 9999 * 'x', 'incoming', 'xxx'),
        ):
            error = self.assertRaises(
                exceptions.InvalidOption, settings.read, self._conf(text)
            )
            self.assertIn(f'[tracing] {name} = ', str(error))
            self.assertIn(value, str(error))
            self.assertNotIn('\n', str(error))
            self.assertLess(len(str(error)), 700)

    def test_bad_environment_of_an_option_is_named_with_its_value(self):
        self._env('OS_TRACING__SAMPLE_RATIO', 'many')
        error = self.assertRaises(
            exceptions.InvalidOption, settings.read, self._conf()
        )
        self.assertIn("[tracing] sample_ratio = 'many'", str(error))
        self.assertEqual('many', os.environ['OS_TRACING__SAMPLE_RATIO'])

    def test_credentials_are_not_printed(self):
        for text in (
            'otlp_headers = S3CRET',
            'otlp_headers = authorization:pa$S3CRET',
            'otlp_endpoint = http://user:pa$S3CRET@collector',
        ):
            error = self.assertRaises(
                exceptions.InvalidOption, settings.read, self._conf(text)
            )
            self.assertIn(text.partition(' ')[0], str(error))
            self.assertNotIn('S3CRET', str(error))
            self.assertTrue(error.__suppress_context__)

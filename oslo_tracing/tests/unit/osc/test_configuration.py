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
"""Where a client reads what it traces with."""

from __future__ import annotations

import os

import fixtures

from oslo_tracing import exceptions
from oslo_tracing.osc import configuration
from oslo_tracing import settings
from oslo_tracing.tests import base


class ConfigurationTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.EnvironmentVariable('OS_PROFILE'))
        self.home = self.useFixture(fixtures.TempDir()).path
        # What the host of the tests has is not what a test says.
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing.osc.configuration._SYSTEM', self.home
            )
        )

    def write(self, path, text):
        path = os.path.join(self.home, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(text)
        return path

    def read(self, key=None, **environ):
        environ.setdefault('XDG_CONFIG_HOME', self.home)
        for name, value in environ.items():
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        conf = configuration.load(environ, key)
        return settings.read(conf, 'openstackclient')

    def test_with_nothing(self):
        found = self.read()
        self.assertTrue(found.enabled)
        self.assertEqual(['none'], found.exporters)
        self.assertEqual('always_on', found.sampler)
        self.assertEqual('openstackclient', found.service_name)

    def check_endpoint(self, name):
        found = self.read(**{name: 'http://localhost:4319'})
        self.assertEqual(['otlp'], found.exporters)
        self.assertEqual('http://localhost:4319', found.otlp_endpoint)

    def test_an_endpoint_is_enough(self):
        self.check_endpoint('OTEL_EXPORTER_OTLP_ENDPOINT')

    def test_an_endpoint_for_traces_is_enough(self):
        self.check_endpoint('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')

    def test_an_endpoint_in_the_environment_of_oslo_config_is_enough(self):
        self.check_endpoint('OS_TRACING__OTLP_ENDPOINT')

    def test_an_endpoint_in_the_file_is_enough(self):
        self.write(
            'openstack/tracing.conf',
            '[tracing]\notlp_endpoint = https://collector.example\n',
        )
        self.assertEqual(['otlp'], self.read().exporters)

    def test_an_empty_variable_says_nothing(self):
        found = self.read(OTEL_EXPORTER_OTLP_ENDPOINT=' ')
        self.assertEqual(['none'], found.exporters)

    def test_what_is_chosen_wins(self):
        found = self.read(
            OTEL_EXPORTER_OTLP_ENDPOINT='http://localhost:4319',
            OTEL_TRACES_EXPORTER='log',
        )
        self.assertEqual(['log'], found.exporters)

    def test_a_ratio_is_for_services(self):
        found = self.read(
            OTEL_TRACES_SAMPLER='traceidratio', OTEL_TRACES_SAMPLER_ARG='0'
        )
        self.assertEqual('always_on', found.sampler)

    def test_the_file_can_turn_it_off(self):
        self.write('openstack/tracing.conf', '[tracing]\nenabled = False\n')
        self.assertFalse(self.read().enabled)

    def test_a_variable_can_turn_it_off(self):
        self.assertFalse(self.read(OTEL_SDK_DISABLED='true').enabled)

    def test_the_file_that_is_named_is_the_only_one(self):
        self.write('openstack/tracing.conf', '[tracing]\nenabled = False\n')
        path = self.write('other.conf', '[tracing]\nservice_name = me\n')
        found = self.read(OSLO_TRACING_CONFIG=path)
        self.assertTrue(found.enabled)
        self.assertEqual('me', found.service_name)

    def test_the_working_directory_is_a_strangers(self):
        path = self.write('here/tracing.conf', '[tracing]\nenabled = False\n')
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(os.path.dirname(path))
        self.assertTrue(self.read().enabled)

    def test_the_file_of_the_host_comes_last(self):
        path = self.write('tracing.conf', '')
        environ = {'XDG_CONFIG_HOME': self.home}
        self.assertEqual(path, configuration.find(environ))
        path = self.write('openstack/tracing.conf', '')
        self.assertEqual(path, configuration.find(environ))

    def test_the_home_directory(self):
        path = self.write('.config/openstack/tracing.conf', '')
        with fixtures.EnvironmentVariable('HOME', self.home):
            self.assertEqual(path, configuration.find({}))
            self.assertEqual(path, configuration.find({'XDG_CONFIG_HOME': ''}))

    def test_there_is_no_key_by_default(self):
        self.assertEqual([], self.read().hmac_keys)

    def test_the_key_in_the_file(self):
        self.write(
            'openstack/tracing.conf', '[tracing]\nhmac_keys = first,second\n'
        )
        self.assertEqual(['first', 'second'], self.read().hmac_keys)

    def test_the_key_in_the_environment(self):
        found = self.read(OS_PROFILE='$key,$$of ${mine}')
        self.assertEqual(['$key,$$of ${mine}'], found.hmac_keys)

    def test_the_key_in_the_environment_of_oslo_config(self):
        found = self.read(OS_TRACING__HMAC_KEYS='key')
        self.assertEqual(['key'], found.hmac_keys)

    def test_the_key_of_os_profile_comes_first(self):
        self.write('openstack/tracing.conf', '[tracing]\nhmac_keys = file\n')
        self.assertEqual(['env'], self.read(OS_PROFILE='env').hmac_keys)
        self.assertEqual(['arg'], self.read('arg').hmac_keys)

    def test_a_file_that_cannot_be_read(self):
        secret = 'hmac_keys SECRET'
        for path in (
            os.path.join(self.home, 'nowhere.conf'),
            self.write('words.conf', secret),
            self.home,
        ):
            error = self.assertRaises(
                exceptions.ConfigurationUnreadable,
                configuration.load,
                {'OSLO_TRACING_CONFIG': path},
                None,
            )
            self.assertIn(path, str(error))
            self.assertNotIn('SECRET', str(error))

    def test_bytes_that_are_no_text(self):
        path = os.path.join(self.home, 'bytes.conf')
        with open(path, 'wb') as file:
            file.write(b'[tracing]\nservice_name = \xff\xfe\n')
        self.assertRaises(
            exceptions.ConfigurationUnreadable,
            configuration.load,
            {'OSLO_TRACING_CONFIG': path},
            None,
        )

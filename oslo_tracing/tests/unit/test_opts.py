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

import io
import textwrap

import fixtures
from oslo_config import cfg
from oslo_config import generator

from oslo_tracing import opts
from oslo_tracing import settings
from oslo_tracing.tests import base


class OptsTest(base.TestCase):
    def test_every_option_says_what_it_does(self):
        for option in opts.list_opts()[0][1]:
            self.assertTrue(option.help.endswith('.'), option.name)

    def test_every_option_is_a_setting(self):
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], project='x', default_config_files=[])
        read = vars(settings.read(conf, 'x'))
        for option in opts.list_opts()[0][1]:
            self.assertIn(option.dest, read)

    def test_mutable_options_are_those_that_the_settings_follow(self):
        mutable = [o.dest for o in opts.list_opts()[0][1] if o.mutable]
        self.assertEqual(set(settings.MUTABLE), set(mutable))

    def test_what_is_listed_is_a_copy(self):
        opts.list_opts()[0][1][0].default = 'changed'
        self.assertFalse(opts.list_opts()[0][1][0].default)

    def test_only_the_given_configuration_is_touched(self):
        # A filter of another test may have registered them on the real one.
        self.useFixture(
            fixtures.MonkeyPatch('oslo_config.cfg.CONF', cfg.ConfigOpts())
        )
        opts.register_opts(cfg.ConfigOpts())
        self.assertNotIn('tracing', cfg.CONF)

    def test_secrets_are_secret(self):
        secret = [o.dest for o in opts.list_opts()[0][1] if o.secret]
        self.assertEqual(['otlp_headers', 'signing_keys', 'hmac_keys'], secret)

    def test_the_sample_file_is_a_valid_configuration(self):
        conf = cfg.ConfigOpts()
        generator.register_cli_opts(conf)
        conf(
            ['--namespace', 'oslo.tracing'],
            project='x',
            default_config_files=[],
        )
        written = io.StringIO()
        generator.generate(conf, written)
        text = written.getvalue()
        self.assertIn('[tracing]', text)
        for option in opts.list_opts()[0][1]:
            self.assertIn(
                f'#{option.name} =', text, textwrap.shorten(text, 80)
            )

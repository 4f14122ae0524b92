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

"""Keys: which are refused, which are found, and that nobody sees one."""

from __future__ import annotations

import logging

import fixtures
from oslo_config import cfg
from oslotest import createfile
from osprofiler import opts as osprofiler_opts

from oslo_tracing import exceptions
from oslo_tracing import fixture
from oslo_tracing import opts
from oslo_tracing import service
from oslo_tracing import settings
from oslo_tracing.tests import base

KEY = 'a key of the services that is long enough'
OTHER = 'another key of services that is as long'


class KeysTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))

    def _read(self, text, profiler='', enabled=True):
        path = self.useFixture(
            createfile.CreateFileWithContent(
                'tracing',
                f'[tracing]\nenabled = {enabled}\n{text}\n'
                f'[profiler]\n{profiler}\n',
            )
        ).path
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], project='x', default_config_files=[path])
        self.conf = conf
        return settings.read(conf)

    def _refused(self, text, option, *why, profiler=''):
        error = self.assertRaises(
            exceptions.InvalidOption, self._read, text, profiler
        )
        self.assertIn(f'[tracing] {option} = ', str(error))
        for words in why:
            self.assertIn(words, str(error))
        for secret in (KEY, OTHER, 'tiny-key', 'uvwxyz'):
            self.assertNotIn(secret, f'{error} {error!r} {error.args}')
        self.assertNotIn(KEY, self.log.output)

    def test_the_mode_follows_the_keys(self):
        for text, mode in (
            ('', 'trust'),
            (f'signing_keys = {KEY}', 'signed'),
            (f'signing_keys = {KEY}\nincoming = signed', 'signed'),
            (f'signing_keys = {KEY}\nincoming = link', 'link'),
            (f'signing_keys = {KEY}\nincoming = ignore', 'ignore'),
            ('incoming = trust', 'trust'),
            ('incoming = link', 'link'),
        ):
            self.assertEqual(mode, self._read(text).incoming, text)

    def test_a_service_that_trusts_everybody_says_so(self):
        for options, said in (
            ({}, 1),
            ({'incoming': 'trust'}, 1),
            ({'incoming': 'link'}, 0),
            ({'signing_keys': [KEY]}, 0),
            ({'trace_http_server': False}, 0),
        ):
            before = len(self.log.output)
            self.useFixture(fixture.SpanRecorder('none', **options))
            count = self.log.output[before:].count('incoming is trust')
            self.assertEqual(said, count, options)

    def test_trust_and_keys_do_not_go_together(self):
        self._refused(
            f'signing_keys = {KEY}\nincoming = trust', 'incoming', 'signed'
        )

    def test_signed_needs_keys(self):
        self._refused('incoming = signed', 'incoming', 'signing_keys')

    def test_short_keys_are_refused(self):
        self._refused(
            f'signing_keys = {KEY},tiny-key', 'signing_keys', '2', '32 bytes'
        )
        self._refused(f'signing_keys = {"k" * 31}', 'signing_keys', '32')
        read = self._read(f'signing_keys = {"k" * 32},{"é" * 16}')
        self.assertEqual(['k' * 32, 'é' * 16], read.signing_keys)

    def test_a_key_of_osprofiler_signs_nothing(self):
        self._refused(
            f'signing_keys = {OTHER},{KEY}\nhmac_keys = {KEY}',
            'signing_keys',
            '2',
            'OSProfiler',
        )
        self._refused(
            f'signing_keys = {KEY}',
            'signing_keys',
            '1',
            profiler=f'hmac_keys = {KEY}',
        )

    def test_a_sign_in_a_key_that_refers_to_nothing(self):
        self._refused(f'signing_keys = {KEY}$uvwxyz', 'signing_keys', '$$')
        self._refused('hmac_keys = $uvwxyz', 'hmac_keys', '$$')

    def test_age_has_bounds(self):
        for value in ('0', '0.5', '3601', 'nan', 'soon'):
            self._refused(f'signature_max_age = {value}', 'signature_max_age')
        self.assertEqual(60.0, self._read('').signature_max_age)

    def test_without_w3c_there_is_nothing_to_sign(self):
        self._read(f'signing_keys = {KEY}\npropagators = baggage')
        error = self.assertRaises(
            exceptions.InvalidOption, service.setup, self.conf
        )
        self.assertIn('[tracing] propagators = ', str(error))
        self.assertIn('signing_keys', str(error))

    def test_of_the_environment_that_stops_nothing(self):
        self.useFixture(
            fixtures.EnvironmentVariable('OTEL_PROPAGATORS', 'baggage')
        )
        spans = self.useFixture(
            fixture.SpanRecorder('none', signing_keys=[KEY])
        )
        self.assertEqual(
            ['tracecontext', 'baggage'], spans.tracing.settings.propagators
        )
        self.assertIn('OTEL_*', self.log.output)

    def test_keys_of_osprofiler_itself(self):
        for ours, theirs, found in (
            ('', '', []),
            ('', 'hmac_keys = one, two,', ['one', 'two']),
            ('hmac_keys = three', 'hmac_keys = one', ['three']),
            ('hmac_keys =', 'hmac_keys = one', []),
            ('', 'hmac_keys = SECRET_KEY', []),
            ('hmac_keys = SECRET_KEY,one', '', ['one']),
        ):
            self.assertEqual(found, self._read(ours, theirs).hmac_keys)

    def test_keys_of_osprofiler_itself_from_the_environment(self):
        self.useFixture(
            fixtures.EnvironmentVariable('OS_PROFILER__HMAC_KEYS', 'two')
        )
        for theirs in ('', 'hmac_keys = one'):
            self.assertEqual(['two'], self._read('', theirs).hmac_keys)

    def test_the_public_key_is_dropped_with_a_warning(self):
        self._read('', 'hmac_keys = one')
        self.assertNotIn('SECRET_KEY', self.log.output)
        for ours, theirs, where in (
            ('hmac_keys = SECRET_KEY', '', '[tracing]'),
            ('', 'hmac_keys = one,SECRET_KEY', '[profiler]'),
        ):
            before = len(self.log.output)
            self._read(ours, theirs)
            said = self.log.output[before:]
            self.assertEqual(1, said.count('SECRET_KEY'))
            self.assertIn(where, said)
            self.assertNotIn('one', said)

    def test_osprofiler_s_default_is_nobody_s_choice(self):
        conf = cfg.ConfigOpts()
        osprofiler_opts.set_defaults(conf, enabled=True)
        opts.register_opts(conf)
        conf([], project='x', default_config_files=[])
        conf.set_override('enabled', True, 'tracing')
        self.assertEqual([], settings.read(conf).hmac_keys)

    def test_osprofiler_can_register_its_option_afterwards(self):
        self.assertEqual(['one'], self._read('', 'hmac_keys=one').hmac_keys)
        osprofiler_opts.set_defaults(self.conf)
        self.assertEqual('one', self.conf.profiler.hmac_keys)
        self.assertEqual(['one'], settings.read(self.conf).hmac_keys)

    def test_nobody_is_shown_a_key(self):
        read = self._read(f'signing_keys = {KEY}\nhmac_keys = {OTHER}')
        self.conf.log_opt_values(logging.getLogger('x'), logging.DEBUG)
        service.setup(self.conf)
        tracing = service.setup(self.conf)
        shown = ' '.join(
            [
                repr(read),
                repr(tracing.settings),
                repr(vars(tracing)),
                repr(vars(tracing.propagation)),
                self.log.output,
            ]
        )
        self.assertNotIn(KEY, shown)
        self.assertNotIn(OTHER, shown)

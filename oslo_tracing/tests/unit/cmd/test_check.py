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

import os

from oslo_tracing.tests.unit.cmd import test_commands
from oslo_tracing.tests.unit.exporters import sinks

URL = 'https://nova/v2.1/servers/5f0a1f0e-3c3c-4b7e-8c1c-0d9a3b0f5d2e?x=1'


class CheckTest(test_commands.CommandTestCase):
    def _check(self, *lines, options=()):
        path = os.path.join(self.directory, 'service.conf')
        with open(path, 'w') as stream:
            stream.write('\n'.join(['[tracing]', *lines]))
        code, out, _ = self.run_main('check', '--config-file', path, *options)
        return code, out

    def test_a_span_arrives(self):
        sink = self.useFixture(sinks.HttpSink())

        code, out = self._check(
            'enabled = True',
            'sample_ratio = 0',
            f'otlp_endpoint = {sink.endpoint}',
            options=('--service-name', 'nova-api'),
        )

        self.assertEqual(0, code, out)
        self.assertIn('ok: spans of nova-api go to otlp', out)
        ((_path, _headers, request),) = sink.requests
        (span,) = request.resource_spans[0].scope_spans[0].spans
        self.assertIn(f'trace {span.trace_id.hex()}', out)

    def test_a_span_that_does_not_arrive_fails_it(self):
        code, out = self._check(
            'enabled = True', 'otlp_endpoint = http://127.0.0.1:9'
        )

        self.assertEqual(1, code)
        self.assertIn(
            'error: the test span did not arrive: otlp: Connection', out
        )

    def test_what_is_off_is_not_traced(self):
        self.assertEqual(
            (1, 'error: tracing is off: [tracing] enabled is False\n'),
            self._check(),
        )

    def test_a_wrong_option_is_named(self):
        code, out = self._check(
            'enabled = True', 'sampling_rules = server "*" 7'
        )

        self.assertEqual(1, code)
        self.assertIn('error: [tracing] sampling_rules', out)
        self.assertIn('rule 1 of 1', out)

    def test_whatever_stops_a_service_is_found_without_a_span_too(self):
        for line, why in (
            ('otlp_endpoint = http://u:S3CRET@h:4318', 'credentials'),
            ('otlp_ca_file = /dev/null', 'not a file'),
            ('sampling_rules = server "*', 'glob in double quotes'),
            ('sampler = sometimes', 'no such sampler'),
            ('propagators = nosuch', 'not installed'),
            ('exporters = nosuch', 'no such exporter'),
        ):
            code, out = self._check(
                'enabled = True', line, options=('--no-span',)
            )
            self.assertEqual(1, code, out)
            name = line.partition(' ')[0]
            self.assertTrue(out.startswith(f'error: [tracing] {name} = '), out)
            self.assertIn(why, out)
            self.assertEqual(1, len(out.splitlines()), out)
            self.assertNotIn('S3CRET', out)

    def test_what_is_no_text(self):
        path = os.path.join(self.directory, 'binary.conf')
        with open(path, 'wb') as stream:
            stream.write(b'\xff\xfe[tracing]')
        for odd, why in ((path, 'is not text'), (self.directory, 'directory')):
            code, out, _ = self.run_main('check', '--config-file', odd)
            self.assertEqual(1, code)
            self.assertTrue(out.startswith('error: '), out)
            self.assertIn(why, out)

    def test_no_such_file(self):
        code, out, _ = self.run_main('check', '--config-file', '/nowhere')

        self.assertEqual(1, code)
        self.assertIn('error: Failed to find some config files', out)

    def test_who_is_believed(self):
        for line, expected in (
            ('', 'warning: incoming = trust: whoever can send a request'),
            ('incoming = link', 'ok: incoming = link'),
            (f'signing_keys = {"k" * 32}', 'ok: incoming = signed'),
            ('trace_http_server = False', 'warning: requests are not traced'),
        ):
            code, out = self._check(
                'enabled = True', line, options=('--no-span',)
            )
            self.assertEqual(0, code, out)
            self.assertIn(expected, out)
            self.assertNotIn('k' * 32, out)

    def test_which_rule_decides_on_a_request(self):
        for rule, expected in (
            ('server "GET /v2.1/*" 0.5', 'recorded as the rule says: server'),
            ('server "POST *" 0.5', 'no rule is for it'),
            ('rpc "*" 0.5', 'no rule is for it'),
        ):
            _, out = self._check(
                'enabled = True',
                f'sampling_rules = {rule}',
                options=('--no-span', URL),
            )
            self.assertIn('know the request as "GET /v2.1/servers/{id}"', out)
            self.assertIn(expected, out)
        _, out = self._check(
            'enabled = True', options=('--no-span', '--method', 'POST', URL)
        )
        self.assertIn('"POST /v2.1/servers/{id}"', out)

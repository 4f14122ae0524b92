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

import os
import subprocess
import sys

import fixtures

from oslo_tracing import exceptions
from oslo_tracing import exporters
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support


class _Case(base.TestCase):
    def _refused(self, option, **values):
        error = self.assertRaises(
            exceptions.InvalidOption,
            exporters.validate,
            support.settings(**values),
        )
        self.assertEqual(option, error.option)
        message = str(error)
        self.assertTrue(message.startswith(f'[tracing] {option} = '))
        self.assertNotIn('\n', message)
        return message

    def _accepted(self, **values):
        exporters.validate(support.settings(**values))


class ValidateTest(_Case):
    def test_defaults_are_fine(self):
        self._accepted()
        self._accepted(exporters=['none'])
        self._accepted(exporters=['log', 'otlp', 'console'])

    def test_an_unknown_exporter_is_told_with_those_there_are(self):
        message = self._refused('exporters', exporters=['otlp', 'jaegerr'])

        self.assertIn("'jaegerr'", message)
        for name in ('file', 'log', 'none', 'otlp', 'console'):
            self.assertIn(name, message)

    def test_none_stands_alone(self):
        self.assertIn(
            'none,log', self._refused('exporters', exporters=['none', 'log'])
        )

    def test_malformed_endpoints(self):
        for endpoint in (
            '',
            'localhost:4318',
            'localhost',
            'ftp://collector',
            'http://',
            'http:///v1/traces',
            'http://collector:99999',
            'http://collector:0',
            'http://collector:',
            'http://[::1',
            'http://a b',
            'http://a\nb',
            'http://collector\u202e',
            'unix:///run/collector',
        ):
            message = self._refused('otlp_endpoint', otlp_endpoint=endpoint)
            self.assertIn(repr(endpoint), message)

    def test_good_endpoints(self):
        for endpoint in (
            'http://localhost:4318',
            'https://collector.example:443/otlp/',
            'http://[::1]:4318/v1/traces',
            'HTTP://127.0.0.1',
        ):
            self._accepted(otlp_endpoint=endpoint)

    def test_grpc_needs_no_scheme_and_takes_no_path(self):
        for endpoint in (
            'collector:4317',
            'collector',
            '[::1]:4317',
            'https://collector:4317/',
        ):
            self._accepted(otlp_endpoint=endpoint, otlp_protocol='grpc')
        for endpoint in (
            'http://collector/v1/traces',
            'collector/x',
            ':4317',
            'dns:///collector',
        ):
            self._refused(
                'otlp_endpoint', otlp_endpoint=endpoint, otlp_protocol='grpc'
            )

    def test_credentials_in_the_endpoint_are_refused_and_not_shown(self):
        for endpoint in (
            'http://user:S3CRET@collector:4318',
            'https://S3CRET@collector',
            'http://user:S3CRET/S3CRET@S3CRET@collector',
            'http://user:S3CRET?S3CRET#S3CRET@collector',
            'user:S3CRET@collector',
            'http://user:S3CRET%40collector:4318',
        ):
            message = self._refused('otlp_endpoint', otlp_endpoint=endpoint)
            self.assertNotIn('S3CRET', message)
            self.assertIn('***@collector', message)

    def test_what_is_no_port_may_be_a_password(self):
        for endpoint in (
            'http://user:S3CRET',
            'http://user:S3CRET/collector',
            'http://user:1234:S3CRET',
            'http://[::1]:S3CRET',
            'user:S3CRET',
        ):
            message = self._refused('otlp_endpoint', otlp_endpoint=endpoint)
            self.assertNotIn('S3CRET', message)
            self.assertIn(":***'", message)

    def test_a_query_is_refused_and_not_shown(self):
        for endpoint in (
            'http://collector/?token=S3CRET',
            'http://collector#S3CRET',
        ):
            message = self._refused('otlp_endpoint', otlp_endpoint=endpoint)
            self.assertNotIn('S3CRET', message)
            self.assertIn("'http://collector", message)

    def test_unknown_protocol_and_compression(self):
        self.assertIn(
            "'http/json'",
            self._refused('otlp_protocol', otlp_protocol='http/json'),
        )
        self.assertIn(
            "'zstd'",
            self._refused('otlp_compression', otlp_compression='zstd'),
        )

    def test_headers_are_refused_without_a_word_of_them(self):
        for headers in (
            {'S3CRET key': 'v'},
            {'': 'S3CRET'},
            {'x-token': 'S3CRET\r\nHost: evil'},
            {'x-token': 'S3CRET\u20ac'},
            {'x:S3CRET': 'v'},
            {'x-token': ' S3CRET'},
            {'x-token': 'S3CRET\t'},
        ):
            message = self._refused('otlp_headers', otlp_headers=headers)
            self.assertNotIn('S3CRET', message)
        self._refused(
            'otlp_headers',
            otlp_headers={'x-bin': 'v'},
            otlp_protocol='grpc',
        )
        self._refused(
            'otlp_headers',
            otlp_headers={'x': 'with\ttab'},
            otlp_protocol='grpc',
        )
        for value in ('Bearer a=b, c', '', 'x', 'with\ttab'):
            self._accepted(otlp_headers={'Authorization': value})

    def test_where_zipkin_is(self):
        for endpoint in ('http://zipkin:9411', 'https://[::1]/api/v2/spans'):
            self._accepted(exporters=['zipkin'], zipkin_endpoint=endpoint)
        for endpoint in (
            'zipkin:9411',
            'http://',
            'http://zipkin/?a=b',
            'http://zipkin:99999/',
        ):
            self._refused(
                'zipkin_endpoint',
                exporters=['zipkin'],
                zipkin_endpoint=endpoint,
            )

    def test_a_password_of_zipkin_is_not_shown(self):
        message = self._refused(
            'zipkin_endpoint',
            exporters=['zipkin'],
            zipkin_endpoint='http://user:S3CRET@zipkin:9411',
        )

        self.assertNotIn('S3CRET', message)

    def test_where_statsd_is(self):
        for address in ('statsd:8125', '127.0.0.1', '[::1]:9125', 'statsd'):
            self._accepted(exporters=['statsd'], statsd_address=address)
        for address in (
            '',
            ':8125',
            'statsd:0',
            'statsd:99999',
            'statsd:port',
            'udp://statsd:8125',
            'a b',
            'statsd/x',
        ):
            self._refused(
                'statsd_address', exporters=['statsd'], statsd_address=address
            )

    def test_what_is_not_chosen_is_not_looked_at(self):
        self._accepted(
            exporters=['log'],
            otlp_endpoint='nonsense',
            otlp_ca_file='/nowhere',
            file_directory=None,
        )


class CertificateOptionsTest(_Case):
    def setUp(self):
        super().setUp()
        self.files = self.useFixture(support.Certificates())

    def test_real_files_are_fine(self):
        cert, key = self.files.client
        self._accepted(
            otlp_ca_file=self.files.ca,
            otlp_cert_file=cert,
            otlp_key_file=key,
        )

    def test_files_that_cannot_be_used(self):
        cert, key = self.files.client
        empty = os.path.join(self.files.path, 'empty')
        broken = os.path.join(self.files.path, 'broken')
        open(empty, 'w').close()
        with open(broken, 'w') as file:
            file.write(
                '-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n'
            )
        missing = os.path.join(self.files.path, 'missing')
        for path in (empty, broken, missing, self.files.path, key, 'a\0b'):
            message = self._refused('otlp_ca_file', otlp_ca_file=path)
            self.assertIn(repr(path), message)
        self._refused('otlp_key_file', otlp_cert_file=cert, otlp_key_file=cert)
        self.assertNotIn(
            'PRIVATE KEY',
            self._refused('otlp_ca_file', otlp_ca_file=key),
        )

    def test_a_sampler_that_asks_a_server_needs_the_files_too(self):
        for sampler in ('jaeger_remote', 'Parentbased_Jaeger_Remote'):
            self._refused(
                'otlp_ca_file',
                exporters=['log'],
                sampler=sampler,
                otlp_ca_file='/nowhere',
            )

    def test_certificate_and_key_come_together(self):
        cert, key = self.files.client
        self._refused('otlp_cert_file', otlp_cert_file=cert)
        self._refused('otlp_key_file', otlp_key_file=key)


class FileOptionsTest(_Case):
    def setUp(self):
        super().setUp()
        self.path = self.useFixture(fixtures.TempDir()).path

    def _refused_directory(self, directory):
        message = self._refused(
            'file_directory', exporters=['file'], file_directory=directory
        )
        self.assertIn(repr(directory), message)
        return message

    def test_a_directory_is_needed(self):
        self._refused_directory(None)
        self._refused_directory('')
        self._refused_directory('relative/traces')

    def test_a_directory_that_is_there_or_can_be_made_is_fine(self):
        wanted = os.path.join(self.path, 'a', 'b')
        for directory in (self.path, wanted):
            self._accepted(exporters=['file'], file_directory=directory)
        self.assertFalse(os.path.exists(os.path.dirname(wanted)))

    def test_a_world_writable_directory_is_refused(self):
        os.chmod(self.path, 0o1777)
        self.assertIn('everybody', self._refused_directory(self.path))

    def _of_another_user(self, planted):
        real = os.lstat

        def lstat(path, **kwargs):
            found = real(path, **kwargs)
            if path != planted:
                return found
            return os.stat_result((*found[:4], os.geteuid() + 1, *found[5:]))

        self.useFixture(fixtures.MonkeyPatch('os.lstat', lstat))

    def test_what_another_user_made_where_everybody_may_is_refused(self):
        os.chmod(self.path, 0o1777)
        link = os.path.join(self.path, 'link')
        ours = os.path.join(self.useFixture(fixtures.TempDir()).path, 'to')
        theirs = os.path.join(self.path, 'theirs')
        os.symlink(self.useFixture(fixtures.TempDir()).path, link)
        os.mkdir(theirs, 0o750)
        os.symlink(theirs, ours)
        fine = os.path.join(self.path, 'fine')
        os.mkdir(fine, 0o750)

        for planted, directories in (
            (link, (link, f'{link}/', os.path.join(link, 'traces'))),
            (theirs, (theirs, ours, os.path.join(theirs, 'a', 'traces'))),
        ):
            for directory in directories:
                self._accepted(exporters=['file'], file_directory=directory)
            self._of_another_user(planted)
            for directory in directories:
                message = self._refused_directory(directory)
                self.assertIn('another user', message)
        self._accepted(exporters=['file'], file_directory=fine)

    def test_what_another_user_made_elsewhere_is_fine(self):
        traces = os.path.join(self.path, 'traces')
        os.mkdir(traces, 0o770)
        self._of_another_user(traces)

        self._accepted(exporters=['file'], file_directory=traces)

    def test_a_directory_that_cannot_be_read_is_refused(self):
        real = os.access

        def access(path, how):
            return not how & os.R_OK and real(path, how)

        self.useFixture(fixtures.MonkeyPatch('os.access', access))
        self.assertIn('read', self._refused_directory(self.path))

    def test_what_is_no_directory_is_refused(self):
        file = os.path.join(self.path, 'file')
        open(file, 'w').close()
        self._refused_directory(file)
        self._refused_directory(os.path.join(file, 'traces'))
        self._refused_directory(self.path + '\0')


class ImportsTest(base.TestCase):
    def test_neither_validation_nor_set_up_imports_an_exporter(self):
        """In a fresh process: this one has long imported them."""
        program = (
            'import sys\n'
            'from oslo_tracing import exporters\n'
            'from oslo_tracing.tests.unit.exporters import support\n'
            'before = set(sys.modules)\n'
            's = support.settings(\n'
            '    exporters=["otlp", "file", "log", "zipkin", "statsd",\n'
            '        "console"],\n'
            '    file_directory="/nowhere-yet/x")\n'
            'exporters.validate(s)\n'
            'exporters.build(s, support.resource)\n'
            'for name in ("requests", "grpc", "ssl", "urllib3", "eventlet",\n'
            '    "opentelemetry.exporter", "oslo_tracing.exporters.otlp",\n'
            '    "oslo_tracing.exporters.file", "statsd"):\n'
            '    assert name not in set(sys.modules) - before, name\n'
            'from oslo_tracing.exporters import otlp\n'
            'assert "requests" not in set(sys.modules) - before\n'
            'import threading\n'
            'assert threading.active_count() == 1\n'
        )
        done = subprocess.run(
            [sys.executable, '-c', program], capture_output=True, text=True
        )
        self.assertEqual((0, ''), (done.returncode, done.stderr))

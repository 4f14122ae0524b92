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

import argparse
import json
import os

from oslo_tracing.cmd import filters
from oslo_tracing.tests.unit.cmd import test_commands
from oslo_tracing.tests.unit.report import data

A, B, C = 'a' * 32, 'b' * 32, 'c' * 32
REQUEST = 'req-00000000-0000-4000-8000-000000000001'


class FiltersTest(test_commands.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.write(
            data.line(
                'nova-api',
                data.span(1, name='GET /a', took=5, trace_id=A),
                data.span(
                    2,
                    1,
                    name='SELECT',
                    trace_id=A,
                    took=1,
                    attributes={'db.namespace': 'nova', 'cached': True},
                ),
            ),
            data.line(
                'glance-api',
                data.span(
                    1,
                    name='GET /b',
                    start=60_000,
                    took=500,
                    trace_id=B,
                    **data.error('bad', **{'openstack.request_id': REQUEST}),
                ),
                data.span(2, 1, name='SELECT', start=60_001, trace_id=B),
            ),
            data.line(
                'nova-compute',
                data.span(
                    1,
                    name='build',
                    start=120_000,
                    took=50,
                    trace_id=C,
                    attributes={'openstack.global_request_id': REQUEST},
                ),
            ),
        )

    def _listed(self, *argv):
        code, out, err = self.run_main(
            'list', '--source', self.path, '-f', 'json', *argv
        )
        self.assertEqual('', err if code != 2 else '')
        return ''.join(row['Trace ID'][0] for row in json.loads(out or '[]'))

    def test_each_option(self):
        for options, expected in (
            ((), 'cba'),
            (('--since', '2026-11-20T16:41:00Z'), 'cb'),
            (('--until', '2026-11-20T17:41:00+01:00'), 'a'),
            (('--since', '1s'), ''),
            (('--min-duration', '50'), 'cb'),
            (('--min-duration', '50.001'), 'b'),
            (('--errors',), 'b'),
            (('--request-id', REQUEST), 'cb'),
            (('--service', 'nova-*'), 'ca'),
            (('--service', 'nova'), ''),
            (('--name', 'GET /?'), 'ba'),
            (('--attribute', 'db.namespace=nova'), 'a'),
            (('--attribute', 'db.namespace=n*', '--name', 'SELECT'), 'a'),
            (('--attribute', 'db.namespace=*', '--name', 'GET *'), ''),
            (('--attribute', 'cached=true'), 'a'),
            (('--attribute', 'a=1', '--attribute', 'b=2'), ''),
            (('--attribute', 'cached=f*', '--attribute', 'cached=t*'), ''),
            (('--attribute', 'cached=*e', '--attribute', 'cached=t*'), 'a'),
            (('--service', 'glance-api', '--errors', '--name', 'SEL*'), 'b'),
        ):
            self.assertEqual(expected, self._listed(*options), options)

    def test_nothing_found_is_told_by_the_code(self):
        code, _, err = self.run_main(
            'list', '--source', self.path, '--service', 'cinder'
        )

        self.assertEqual(2, code)
        self.assertIn('no traces in', err)

    def test_values_that_are_none(self):
        for option, value in (
            ('--since', 'yesterday'),
            ('--since', '99999999999999h'),
            ('--until', '9999-99-99'),
            ('--min-duration', 'nan'),
            ('--min-duration', '-1'),
            ('--attribute', 'novalue'),
            ('--attribute', '=x'),
        ):
            code, out, err = self.run_main(
                'list', '--source', self.path, option, value
            )
            self.assertEqual((1, ''), (code, out), (option, value))
            self.assertIn(option, err)

    def test_the_same_for_pages(self):
        code, out, _ = self.run_main(
            'report',
            '--source',
            self.path,
            '--output',
            f'{self.directory}/pages',
            '--all',
            '--errors',
        )

        self.assertEqual(0, code)
        with open(out.strip()) as stream:
            page = stream.read()
        self.assertIn(B, page)
        self.assertNotIn(A, page)

    def _reported(self, *argv):
        path = f'{self.directory}/page.html'
        code, out, err = self.run_main(
            'report', '--source', self.path, '--output', path, *argv
        )
        if code:
            return code, err
        with open(out.strip()) as stream:
            page = stream.read()
        return code, ''.join(each[0] for each in (A, B, C) if each in page)

    def test_the_same_for_one_page(self):
        for options, expected in (
            ((), C),
            (('--errors',), B),
            (('--name', 'SELECT', '--service', 'nova-*'), A),
        ):
            self.assertEqual((0, expected[0]), self._reported(*options))
        code, err = self._reported('--service', 'cinder')
        self.assertEqual(2, code)
        self.assertIn('no traces in', err)

    def test_an_id_and_what_would_not_hold_for_it(self):
        for options in (('--errors',), ('--all',), ('--tests', self.path)):
            code, err = self._reported(*options, A)
            self.assertEqual(1, code, options)
            self.assertIn('ids', err)
            self.assertFalse(os.path.exists(f'{self.directory}/page.html'))

    def test_how_long_ago(self):
        self.assertLess(filters.moment('2h'), filters.moment('1h'))
        self.assertRaises(
            argparse.ArgumentTypeError, filters.moment, '\u0661h'
        )


class BracketsTest(test_commands.CommandTestCase):
    def test_they_are_text(self):
        url = 'http://[fd00::1]:8774/v2.1'
        span = data.span(1, name='lock [1]', attributes={'url.full': url})
        self.write(data.line('nova[a-c]!', span))
        for options, code in (
            (('--attribute', f'url.full={url}'), 0),
            (('--attribute', 'url.full=http://[*]:8774/*'), 0),
            (('--attribute', 'url.full=http:[/]*'), 2),
            (('--name', 'lock [1]'), 0),
            (('--name', 'lock ?1]'), 0),
            (('--name', '[l]ock*'), 2),
            (('--service', 'nova[a-c]!'), 0),
            (('--service', 'nova[[]*'), 2),
        ):
            found, _out, _err = self.run_main(
                'list', '--source', self.path, *options
            )
            self.assertEqual(code, found, options)

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

import json

import fixtures
from oslo_config import cfg
from oslo_middleware import healthcheck
from oslo_middleware.healthcheck import opts as healthcheck_opts
import webob

import oslo_tracing
from oslo_tracing.tests.unit import test_health


class HealthcheckTest(test_health.Case):
    """Through the middleware that an API has in its pipeline."""

    def setUp(self):
        super().setUp()
        # It looks for green threads by asking all objects what they are,
        # and those of other tests may be made to raise then.
        self.useFixture(
            fixtures.MonkeyPatch('oslo_middleware.healthcheck.greenlet', None)
        )

    def _get(self, accept='text/plain', backends='oslo_tracing', **options):
        conf = cfg.ConfigOpts()
        conf.register_opts(healthcheck_opts.HEALTHCHECK_OPTS, 'healthcheck')
        conf.register_opts(
            healthcheck_opts.DISABLE_BY_FILE_OPTS, 'healthcheck'
        )
        conf([], project='x', default_config_files=[])
        options['backends'] = backends.split(',')
        for name, value in options.items():
            conf.set_override(name, value, 'healthcheck')
        app = healthcheck.Healthcheck(None, conf)
        request = webob.Request.blank('/healthcheck')
        request.accept = accept
        return request.get_response(app)

    def _lose(self):
        tracing = self.set_up(
            self.fail, otlp_headers={'authorization': 'Bearer S3CRET'}
        )
        self.end(5)
        self.assertFalse(tracing.processor.force_flush(20000))

    def test_off(self):
        response = self._get()
        self.assertEqual(200, response.status_int)
        self.assertEqual('OK (tracing is off)', response.text)

    def test_on(self):
        tracing = self.set_up()
        self.end(3)
        self.assertTrue(tracing.processor.force_flush(20000))

        response = self._get()

        self.assertEqual(200, response.status_int)
        self.assertEqual(
            'OK (tracing is on, exported: 3 (otlp); dropped: 0)',
            response.text,
        )

    def test_a_dead_collector_does_not_fail_the_check(self):
        self._lose()

        response = self._get()

        self.assertEqual(200, response.status_int)
        self.assertIn('dropped: 5 (export failed)', response.text)
        # Why is for those who may see details.
        self.assertNotIn('ConnectionError', response.text)

    def test_details_as_json(self):
        self._lose()

        response = self._get('application/json', detailed=True)

        self.assertEqual(200, response.status_int)
        (reason,) = json.loads(response.text)['reasons']
        self.assertIn('dropped: 5', reason['reason'])
        self.assertIn('Queue: 0 of 2048.', reason['details'])
        self.assertIn('otlp: ConnectionError', reason['details'])
        self.assertNotIn('S3CRET', str(reason))

    def test_details_as_html(self):
        self._lose()

        response = self._get('text/html', detailed=True)

        self.assertEqual(200, response.status_int)
        self.assertIn('Queue: 0 of 2048.', response.text)

    def test_without_details(self):
        self._lose()
        for accept in ('application/json', 'text/html'):
            response = self._get(accept)
            self.assertIn('dropped: 5 (export failed)', response.text)
            self.assertNotIn('ConnectionError', response.text)

    def test_beside_another_one(self):
        path = '/nowhere/at/all'
        response = self._get(
            backends='disable_by_file,oslo_tracing',
            disable_by_file_path=path,
        )
        self.assertEqual(200, response.status_int)
        self.assertIn('OK (tracing is off)', response.text)

    def test_an_error_of_ours_does_not_fail_the_check(self):
        tracing = self.set_up()
        self.break_it(tracing)
        self.assertEqual(200, self._get().status_int)
        oslo_tracing.shutdown()
        self.assertEqual(200, self._get().status_int)

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

"""The libraries that we attach to behave the same with us as without."""

from __future__ import annotations

import os

import testtools
from testtools import content

from oslo_tracing.tests.borrowed import compare
from oslo_tracing.tests.borrowed import results
from oslo_tracing.tests.borrowed import suites
from oslo_tracing.tests.functional import servers


class SuitesTest(testtools.TestCase):
    def _compare(self, library: str, **environment: str) -> results.Comparison:
        suite = suites.find(library)
        missing = suite.missing()
        if missing:
            why = f'{suite.package} needs {", ".join(missing)}'
            if os.environ.get('OSLO_TRACING_NO_SKIP'):
                self.fail(why)
            self.skipTest(why)
        found = compare.compare(suite, environment)
        self.addDetail('figures', content.text_content(found.report()))
        self.assertEqual('', '\n'.join(found.problems()))
        return found

    def test_oslo_messaging_behaves_the_same(self) -> None:
        self._compare('oslo_messaging')

    def test_oslo_middleware_behaves_the_same(self) -> None:
        self._compare('oslo_middleware')

    def test_oslo_db_behaves_the_same(self) -> None:
        self._compare('oslo_db')

    def test_oslo_db_behaves_the_same_on_real_servers(self) -> None:
        databases = (
            'sqlite://',
            servers.mariadb_url(self),
            servers.postgresql_url(self),
        )

        found = self._compare(
            'oslo_db', OS_TEST_DBAPI_ADMIN_CONNECTION=';'.join(databases)
        )

        skipped = [
            outcome
            for outcomes in found.traced.outcomes.values()
            for outcome in outcomes
            if 'unavailable' in outcome
        ]
        self.assertEqual([], skipped)

    def test_oslo_log_behaves_the_same(self) -> None:
        self._compare('oslo_log')

    def test_oslo_context_behaves_the_same(self) -> None:
        self._compare('oslo_context')

    def test_keystoneauth1_behaves_the_same(self) -> None:
        self._compare('keystoneauth1')

    def test_osprofiler_behaves_the_same(self) -> None:
        self._compare('osprofiler')

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

"""Tests for tempest to run; not our own: ``test_tempest_plugin`` runs them.

What each asks for says who asks.
"""

import os
from urllib import parse

from tempest.lib.common import rest_client
from tempest import test

from oslo_tracing.tempest_plugin import plugin

plugin.OsloTracing().load_tests()


class _Anybody:
    """What a client asks for the address, and for a token to send."""

    def auth_request(self, method, url, headers=None, body=None, filters=None):
        return os.environ['ASKED'] + url, headers, body


class _Case(test.BaseTestCase):
    credentials = ()

    @classmethod
    def setup_clients(cls):
        super().setup_clients()
        cls.client = rest_client.RestClient(_Anybody(), 'any', 'any')

    @classmethod
    def ask(cls, who):
        cls.client.get('/' + parse.quote(who))


class First(_Case):
    @classmethod
    def resource_setup(cls):
        super().resource_setup()
        cls.ask('setUpClass (First)')

    @classmethod
    def resource_cleanup(cls):
        cls.ask('setUpClass (First)')
        super().resource_cleanup()

    def setUp(self):
        super().setUp()
        self.ask(f'First.{self._testMethodName}')
        self.addCleanup(self.ask, f'First.{self._testMethodName}')

    def tearDown(self):
        self.ask(f'First.{self._testMethodName}')
        super().tearDown()

    def test_one(self):
        self.ask('First.test_one')
        self.ask('First.test_one')

    def test_that_fails(self):
        self.ask('First.test_that_fails')
        self.fail('as it should')

    def test_that_asks_nothing_more(self):
        pass


class Broken(_Case):
    @classmethod
    def resource_setup(cls):
        super().resource_setup()
        cls.ask('setUpClass (Broken)')
        raise ValueError('as it should')

    def test_never_run(self):
        self.ask('Broken.test_never_run')


class Heir(First):
    """Has a class of its own, and so a trace."""

    @classmethod
    def resource_setup(cls):
        super(First, cls).resource_setup()
        cls.ask('setUpClass (Heir)')

    @classmethod
    def resource_cleanup(cls):
        super(First, cls).resource_cleanup()

    def setUp(self):
        super(First, self).setUp()

    def tearDown(self):
        super(First, self).tearDown()

    test_one = test_that_fails = None  # type: ignore[assignment]
    test_that_asks_nothing_more = None  # type: ignore[assignment]

    def test_heir(self):
        self.ask('Heir.test_heir')

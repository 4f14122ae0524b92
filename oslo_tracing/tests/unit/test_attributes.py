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

"""The names are those of the installed conventions."""

from __future__ import annotations

import importlib
import pkgutil

from opentelemetry import semconv
from opentelemetry.semconv import schemas

from oslo_tracing import attributes
from oslo_tracing.tests import base

# exception.* events, and what is ours.
_OWN = ('chaos.', 'openstack.', 'db.pool.wait', 'oslo.db.retry', 'exception')


def _conventions():
    known = set()
    for package in ('attributes', '_incubating.attributes'):
        base_name = f'{semconv.__name__}.{package}'
        module = importlib.import_module(base_name)
        for info in pkgutil.iter_modules(module.__path__):
            one = importlib.import_module(f'{base_name}.{info.name}')
            known.update(
                value for value in vars(one).values() if isinstance(value, str)
            )
    return known


class AttributesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        urls = {schema.value for schema in schemas.Schemas}
        if attributes.SCHEMA_URL not in urls:
            self.skipTest('the installed conventions are older than ours')

    def test_each_name_is_ours_or_of_the_conventions(self):
        known = _conventions()
        for constant, name in vars(attributes).items():
            if constant.isupper() and constant != 'SCHEMA_URL':
                self.assertTrue(name in known or name.startswith(_OWN), name)

    def test_constants_are_named_after_their_values(self):
        for constant, name in vars(attributes).items():
            if constant.isupper() and not constant.startswith(
                ('EVENT_', 'SCHEMA_')
            ):
                self.assertEqual(name.upper().replace('.', '_'), constant)

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

"""What a test of a service is told that asks for what there is not."""

from __future__ import annotations

from oslo_tracing import fixture
from oslo_tracing.tests import base


class SpanRecorderTest(base.TestCase):
    def test_an_integration_that_does_not_exist_is_named(self):
        with self.assertRaisesRegex(ValueError, r"integrations: \['sqlalch'"):
            fixture.SpanRecorder('sqlalch')

    def test_so_is_an_option(self):
        with self.assertRaisesRegex(ValueError, r"\[tracing\]: \['db_span'"):
            fixture.SpanRecorder(db_span='slow', sample_ratio=0.5)

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

import subprocess
import sys

from oslo_tracing.tests import base

_LOADED = """
import sys
import oslo_tracing.report
from oslo_tracing.report import model, sources, summary
from oslo_tracing.report.render import tree
import oslo_tracing.report.sources.files
wrong = [
    name for name in sys.modules
    if name.split('.')[0].startswith(
        ('oslo_', 'sqlalchemy', 'opentelemetry', 'cliff', 'eventlet')
    ) and name.split('.')[0] != 'oslo_tracing'
]
recording = [
    name for name in sys.modules
    if name.startswith('oslo_tracing.')
    and not name.startswith('oslo_tracing.report')
]
print(sorted(wrong), sorted(recording))
"""


class IndependenceTest(base.TestCase):
    def test_reading_loads_nothing_of_recording_nor_of_openstack(self):
        loaded = subprocess.run(
            [sys.executable, '-c', _LOADED],
            capture_output=True,
            text=True,
            check=True,
        )

        self.assertEqual(
            "[] ['oslo_tracing._printable', 'oslo_tracing.attributes', "
            "'oslo_tracing.exceptions']\n",
            loaded.stdout,
        )

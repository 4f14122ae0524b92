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

"""What is open when a process forks is not for its children to keep."""

import fcntl
import os
import socket

import fixtures

from oslo_tracing import counters
from oslo_tracing import exporters
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import sinks
from oslo_tracing.tests.unit.exporters import support


class ForksTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _exporting(self, **options):
        """Return a pipeline that has exported, and what ends spans."""
        pipeline = exporters.build(
            support.settings(**options), support.resource, counters.Counters()
        )
        tracing = self.useFixture(support.Tracer(pipeline))
        tracing.end()
        self.assertTrue(pipeline.force_flush(5000))
        return pipeline, tracing

    def test_what_a_child_opens_by_the_same_number_is_its_own(self):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind(('127.0.0.1', 0))
        os.mkdir(self._path('traces'))
        for options in (
            {'otlp_endpoint': self.useFixture(sinks.HttpSink()).endpoint},
            {'exporters': ['file'], 'file_directory': self._path('traces')},
            {
                'exporters': ['statsd'],
                'statsd_address': f'127.0.0.1:{receiver.getsockname()[1]}',
            },
        ):
            pipeline, tracing = self._exporting(**options)

            def work(pipeline=pipeline, tracing=tracing):
                # As a daemon does with all that it has inherited.
                os.closerange(3, 1024)
                own = [open(self._path(str(n)), 'w') for n in range(8)]
                tracing.end()
                flushed = pipeline.force_flush(5000)
                for file in own:
                    file.write("the service's")
                    file.close()
                    if os.stat(file.name).st_size != 13:
                        return False
                return flushed

            self.assertEqual(0, support.status_of_child(work), options)

    def test_a_child_without_spans_keeps_no_trace_file_locked(self):
        pipeline, _tracing = self._exporting(
            exporters=['file'], file_directory=self.directory
        )
        [name] = os.listdir(self.directory)
        (ended, ends), (begun, begins) = os.pipe(), os.pipe()
        pid = os.fork()
        if not pid:
            os.close(ends)
            os.write(begins, b'x')
            os.read(ended, 1)
            os._exit(0)
        self.addCleanup(os.waitpid, pid, 0)
        for end in (ended, ends, begun, begins):
            self.addCleanup(os.close, end)
        os.read(begun, 1)

        pipeline.shutdown()

        # Else it would not be removed when its turn comes.
        with open(self._path(name)) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

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

"""Forks while a thread makes what records."""

from oslo_tracing.tests import base
from oslo_tracing.tests.unit import test_tracing


class ForkTest(base.TestCase):
    def test_a_fork_while_it_is_made_records_in_both(self):
        printed = test_tracing.run(
            f"""{test_tracing.START}
    import os
    make, pids = tracing._make, []
    def fork_and_make():
        # As the handler of a signal may.
        pids.append(os.fork())
        return make()
    tracing.later(fork_and_make)
    said = []
    for name in ('first', 'second'):
        with oslo_tracing.span(name, root=True):
            said.append(oslo_tracing.current_trace_id() is not None)
    if pids == [0]:
        os._exit(0 if said == [True, True] else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]), *said)
            """
        )
        self.assertEqual(['0', 'True', 'True'], printed)

    def test_a_fork_that_could_not_wait_is_told_of(self):
        printed = test_tracing.run(
            f"""{test_tracing.START}
    import logging, os, threading
    from oslo_tracing import _at_fork
    _at_fork._PATIENCE = 0.01
    make, making, go_on = tracing._make, threading.Event(), threading.Event()
    def slowly():
        making.set()
        go_on.wait(60)
        return make()
    tracing.later(slowly)
    def record():
        with oslo_tracing.span('x', root=True):
            return oslo_tracing.current_trace_id() is not None
    said = []
    thread = threading.Thread(target=lambda: said.append(record()))
    thread.start()
    making.wait(60)
    pid = os.fork()
    if not pid:
        # What the thread was importing nobody can import here.
        logging.basicConfig(stream=sys.stdout, format='%(message)s')
        print(record(), record())
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)
    go_on.set()
    thread.join(60)
    print(*said)
            """
        )
        self.assertEqual(['False', 'False', 'True'], printed[-3:])
        self.assertEqual(1, printed.count('forked'))

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

"""Integrations whose library comes after set-up, each of its modules first."""

import subprocess
import sys
import textwrap

from oslo_tracing import integrations
from oslo_tracing.tests import base

# Each in a child of its own, in which nothing else was imported.
IMPORTED = """
    import importlib, logging, os, sys
    from oslo_config import cfg
    import oslo_tracing
    from oslo_tracing import opts
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING)
    conf = cfg.ConfigOpts()
    conf([], project='x', default_config_files=[])
    opts.register_opts(conf)
    for name, value in (
        ('enabled', True), ('exporters', ['none']), ('trace_locks', True),
        ('trace_commands', True), ('trace_cache', True),
    ):
        conf.set_override(name, value, 'tracing')
    oslo_tracing.setup(conf, 'x')
    tried = 0
    for name in sys.argv[1:]:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                importlib.import_module(name)
                code = 0
            except ImportError:
                code = 2
            finally:
                sys.stdout.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 1:
            print('failed:', name)
        tried += not code
    print(tried)
"""


class ArrivingTest(base.TestCase):
    def test_whichever_module_comes_first_nothing_is_missed(self):
        names = sorted(
            name for each in integrations._WAITS_FOR.values() for name in each
        )
        found = subprocess.run(
            [
                sys.executable,
                '-W',
                'ignore',
                '-c',
                textwrap.dedent(IMPORTED),
                *names,
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual('', found.stderr)
        *said, tried = found.stdout.splitlines()
        self.assertEqual([], said)
        self.assertGreater(int(tried), 10)

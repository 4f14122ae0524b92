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

"""A job of Zuul on this machine: what its executor gives to playbooks."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import re
import stat
import subprocess
import sys

import fixtures
import yaml

ROOT = pathlib.Path(__file__).parents[3]
BIN = pathlib.Path(sys.executable).parent
PLAYBOOK = ROOT / 'playbooks/traces/post.yaml'
_RECAP = re.compile(
    r'^(\w+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=0\s+failed=(\d+)',
    re.MULTILINE,
)


class Job(fixtures.Fixture):
    """What an executor gives to a playbook: inventory, variables, plugins.

    :param nodes: names; each is this machine, with directories of its own.
    :ivar root: of these directories and of everything else.
    :ivar hosts: the variables of each node, which a test may change.
    """

    def __init__(self, *nodes):
        super().__init__()
        self.nodes = nodes

    def _setUp(self):
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        work = self.root / 'job/work'
        work.mkdir(parents=True)
        self.returned = work / 'results.json'
        self.returned.touch()
        plugins = self.root / 'action'
        plugins.mkdir()
        import zuul.ansible.base.action as actions

        source = pathlib.Path(actions.__file__).parent / 'zuul_return.py'
        (plugins / 'zuul_return.py').symlink_to(source)
        self.hosts = {}
        for node in self.nodes:
            (self.root / node / 'traces').mkdir(parents=True, mode=0o750)
            (self.root / node / 'logs').mkdir()
            self.hosts[node] = {
                'ansible_connection': 'local',
                'ansible_python_interpreter': sys.executable,
                'zuul_output_dir': str(self.root / node),
                'collect_traces_source': str(self.root / node / 'traces'),
                'collect_traces_command': str(BIN / 'oslo-tracing'),
                'collect_traces_become': False,
                'report_traces_command': str(BIN / 'oslo-tracing'),
                'report_traces_subunit': str(self.root / 'run.subunit'),
                'report_traces_stestr_become': False,
            }
        self.variables = {
            'zuul': {
                'job': 'a-tempest-job',
                'executor': {
                    'work_root': str(work),
                    'log_root': str(work / 'logs'),
                },
            }
        }

    def run(self, playbook=PLAYBOOK, *words, fails=False):
        """Run a playbook; how many tasks changed something on each node."""
        inventory = {
            'all': {'hosts': self.hosts, 'vars': self.variables},
            'tempest': {'hosts': {self.nodes[0]: None}},
        }
        path = self.root / 'inventory.yaml'
        path.write_text(yaml.safe_dump(inventory))
        done = subprocess.run(
            [
                BIN / 'ansible-playbook',
                '-i',
                path,
                *words,
                playbook,
            ],
            capture_output=True,
            text=True,
            timeout=280,
            env={
                'PATH': f'{BIN}:{os.environ["PATH"]}',
                'HOME': str(self.root),
                'LANG': 'C.UTF-8',
                'ANSIBLE_NOCOLOR': '1',
                'ANSIBLE_LOCAL_TEMP': str(self.root / 'tmp'),
                'ANSIBLE_REMOTE_TEMP': str(self.root / 'tmp'),
                'ANSIBLE_ROLES_PATH': str(ROOT / 'roles'),
                'ANSIBLE_ACTION_PLUGINS': str(self.root / 'action'),
                'ZUUL_JOBDIR': str(self.root / 'job'),
            },
        )
        if bool(done.returncode) != fails:
            raise AssertionError(done.stdout + done.stderr)
        recap = _RECAP.findall(done.stdout)
        return {name: int(changed) for name, _ok, changed, _failed in recap}

    def traces(self, node):
        return self.root / node / 'traces'

    def raw(self, node):
        return self.root / node / 'logs/traces/raw'

    def report(self, node):
        return self.root / node / 'logs/traces/report'

    def artifacts(self):
        told = json.loads(self.returned.read_text() or '{"data": {}}')
        found = told['data'].get('zuul', {}).get('artifacts', [])
        return {each['name']: each['url'] for each in found}


def kept(directory):
    """Return the content of collected files, by name, and all their modes."""
    content = {}
    modes = set()
    for path in directory.iterdir():
        content[path.name] = gzip.decompress(path.read_bytes())
        modes.add(stat.S_IMODE(path.stat().st_mode))
    return content, modes


def listed(report):
    """Return the rows of an index, by test."""
    text = (report / 'index.html').read_text()
    found = re.search('id="data">(.*?)</script>', text, re.DOTALL)
    return {each['test']: each for each in json.loads(found[1])['tests']}

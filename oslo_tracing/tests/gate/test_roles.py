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

"""The roles and playbooks, run by Ansible on files of the demo."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import textwrap

import fixtures
import yaml

from oslo_tracing.report import sources
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import data
from oslo_tracing.tests.unit.report import test_results

_ROOT = pathlib.Path(__file__).parents[3]
_PLAYBOOK = _ROOT / 'playbooks/traces/post.yaml'
_BIN = pathlib.Path(sys.executable).parent
_RECAP = re.compile(
    r'^(\w+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=0\s+failed=(\d+)',
    re.MULTILINE,
)


class _Job(fixtures.Fixture):
    """What an executor gives to a playbook: inventory, variables, plugins.

    :param nodes: names; each is this machine, with directories of its own.
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
                'collect_traces_command': str(_BIN / 'oslo-tracing'),
                'collect_traces_become': False,
                'report_traces_command': str(_BIN / 'oslo-tracing'),
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

    def run(self, playbook=_PLAYBOOK, *words, fails=False):
        """Run a playbook; how many tasks changed something on each node."""
        inventory = {
            'all': {'hosts': self.hosts, 'vars': self.variables},
            'tempest': {'hosts': {self.nodes[0]: None}},
        }
        path = self.root / 'inventory.yaml'
        path.write_text(yaml.safe_dump(inventory))
        done = subprocess.run(
            [
                _BIN / 'ansible-playbook',
                '-i',
                path,
                *words,
                playbook,
            ],
            capture_output=True,
            text=True,
            timeout=280,
            env={
                'PATH': f'{_BIN}:{os.environ["PATH"]}',
                'HOME': str(self.root),
                'LANG': 'C.UTF-8',
                'ANSIBLE_NOCOLOR': '1',
                'ANSIBLE_LOCAL_TEMP': str(self.root / 'tmp'),
                'ANSIBLE_REMOTE_TEMP': str(self.root / 'tmp'),
                'ANSIBLE_ROLES_PATH': str(_ROOT / 'roles'),
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


class RolesTestCase(base.TestCase):
    def demo(self, job, node):
        """Run the demo; the ids of its traces."""
        subprocess.run(
            [
                sys.executable,
                '-W',
                'ignore',
                '-m',
                'oslo_tracing.demo',
                '--directory',
                str(job.traces(node)),
            ],
            capture_output=True,
            check=True,
            timeout=280,
        )
        found = sources.open_source(str(job.traces(node))).summaries()
        return [each.trace_id for each in found]

    def results(self, job, **tests):
        run = self.useFixture(test_results.Run())
        for name, (status, trace_id) in tests.items():
            run.test(name, status, oslo_tracing=trace_id)
        os.rename(run.path, job.root / 'run.subunit')

    def listed(self, path):
        text = (path / 'index.html').read_text()
        found = re.search('id="data">(.*?)</script>', text, re.DOTALL)
        return {each['test']: each for each in json.loads(found[1])['tests']}


class OneNodeTest(RolesTestCase):
    def setUp(self):
        super().setUp()
        self.job = self.useFixture(_Job('controller'))

    def test_the_demo_becomes_a_report_among_the_logs(self):
        traces = self.demo(self.job, 'controller')
        tests = {
            f'test_{number}': ('fail' if number else 'success', each)
            for number, each in enumerate(traces)
        }
        self.results(self.job, **tests)
        self.assertGreater(self.job.run()['controller'], 0)
        kept = list(self.job.raw('controller').iterdir())
        self.assertEqual(3, len(kept))
        for path in kept:
            self.assertEqual(0o640, stat.S_IMODE(path.stat().st_mode))
            with gzip.open(path) as stream:
                stream.read()
        before = sources.open_source(str(self.job.traces('controller')))
        after = sources.open_source(str(self.job.raw('controller')))
        self.assertEqual(
            {(span.trace_id, span.span_id) for span in before.spans()},
            {(span.trace_id, span.span_id) for span in after.spans()},
        )
        report = self.job.report('controller')
        listed = self.listed(report)
        self.assertEqual(set(tests), set(listed))
        for each in listed.values():
            self.assertTrue((report / each['page']).is_file())
            self.assertTrue((report / each['raw']).is_file())
        self.assertEqual(
            {
                'Traces by test': 'traces/report/index.html',
                'Traces as OTLP': 'traces/raw/',
            },
            self.job.artifacts(),
        )

    def test_a_second_run_changes_nothing(self):
        traces = self.demo(self.job, 'controller')
        self.results(self.job, test_a=('success', traces[0]))
        self.job.run()
        names = [*self.job.raw('controller').iterdir()]
        names += self.job.report('controller').iterdir()
        before = {path: path.stat().st_mtime_ns for path in names}
        self.assertEqual({'controller': 0}, self.job.run())
        self.assertEqual(
            before, {path: path.stat().st_mtime_ns for path in before}
        )

    def test_secrets_do_not_reach_the_logs(self):
        token = 'gAAAAABnT0k3nLongEnoughToBeAToken0123456789abcdefABCDEF'
        line = data.line(
            'legacy',
            data.span(
                1,
                attributes={
                    'http.url': f'http://x/?token={token}',
                    'db.statement': "SELECT * FROM user WHERE p = 'hunter2'",
                },
            ),
        )
        (self.job.traces('controller') / 'a.jsonl').write_text(line)
        self.results(self.job, test_a=('fail', data.TRACE))
        self.job.run()
        logs = self.job.root / 'controller/logs'
        for path in logs.rglob('*'):
            if path.is_file():
                text = path.read_bytes()
                if path.suffix == '.gz':
                    text = gzip.decompress(text)
                self.assertNotIn(b'hunter2', text)
                self.assertNotIn(token.encode(), text)

    def test_no_more_is_kept_than_asked_for(self):
        for number in range(4):
            lines = [
                data.line(
                    f'service-{number}',
                    *(
                        data.span(n, attributes={'n': n * 7919 % 104729})
                        for n in range(first, first + 200)
                    ),
                )
                for first in range(1, 4000, 200)
            ]
            path = self.job.traces('controller') / f'{number}.jsonl'
            path.write_text(''.join(lines))
        self.results(self.job, test_a=('success', data.TRACE))
        self.job.hosts['controller']['collect_traces_max_bytes'] = 100_000
        self.job.run()
        kept = [
            path.stat().st_size
            for path in self.job.raw('controller').iterdir()
        ]
        self.assertLessEqual(sum(kept), 100_000)
        self.assertGreater(sum(kept), 50_000)

    def test_a_node_without_traces_is_no_failure(self):
        self.job.traces('controller').rmdir()
        self.results(self.job, test_a=('success', ''))
        self.assertEqual({'controller': 0}, self.job.run())
        self.assertEqual({}, self.job.artifacts())

    def test_results_are_asked_of_stestr(self):
        traces = self.demo(self.job, 'controller')
        self.results(self.job, test_a=('success', traces[0]))
        os.rename(self.job.root / 'run.subunit', self.job.root / 'last')
        stestr = self.job.root / 'stestr'
        stestr.write_text('#!/bin/sh\ncat last\nexit 1\n')
        stestr.chmod(0o755)
        self.job.hosts['controller'].update(
            report_traces_stestr=str(self.job.root),
            report_traces_stestr_command=str(stestr),
        )
        self.job.run()
        self.assertIn('test_a', self.listed(self.job.report('controller')))
        self.assertEqual({'controller': 0}, self.job.run())

    def test_any_job_may_use_the_roles(self):
        self.demo(self.job, 'controller')
        playbook = self.job.root / 'other.yaml'
        output = self.job.root / 'elsewhere'
        playbook.write_text(
            textwrap.dedent(
                f"""
                - hosts: all
                  roles:
                    - role: collect-traces
                      collect_traces_output: {output}
                """
            )
        )
        self.job.run(playbook)
        self.assertEqual(3, len(list(output.iterdir())))


class TwoNodesTest(RolesTestCase):
    def test_the_traces_of_all_nodes_are_in_one_report(self):
        job = self.useFixture(_Job('controller', 'compute1'))
        here, *_more = self.demo(job, 'controller')
        there, *_more = self.demo(job, 'compute1')
        self.results(
            job, test_here=('success', here), test_there=('success', there)
        )
        job.run()
        listed = self.listed(job.report('controller'))
        self.assertEqual(here, listed['test_here']['trace'])
        self.assertEqual(there, listed['test_there']['trace'])
        self.assertEqual(
            {
                'Traces by test': 'controller/traces/report/index.html',
                'Traces as OTLP': 'controller/traces/raw/',
            },
            job.artifacts(),
        )
        self.assertEqual({'controller': 0, 'compute1': 0}, job.run())


class StyleTest(base.TestCase):
    def test_ansible_lint_has_nothing_to_say(self):
        done = subprocess.run(
            [
                _BIN / 'ansible-lint',
                '--offline',
                '--nocolor',
                '-c',
                _ROOT / '.ansible-lint',
                _ROOT / 'roles',
                _ROOT / 'playbooks',
            ],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            timeout=280,
            env={
                **os.environ,
                'PATH': f'{_BIN}:{os.environ["PATH"]}',
                'ANSIBLE_HOME': self.useFixture(fixtures.TempDir()).path,
            },
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_every_playbook_can_be_read(self):
        job = self.useFixture(_Job('controller'))
        playbooks = list((_ROOT / 'playbooks').rglob('*.yaml'))
        self.assertNotEqual([], playbooks)
        for playbook in playbooks:
            job.run(playbook, '--syntax-check')

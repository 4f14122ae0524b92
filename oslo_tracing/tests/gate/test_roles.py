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
import os
import subprocess
import sys
import textwrap

import fixtures

from oslo_tracing.report import sources
from oslo_tracing.tests import base
from oslo_tracing.tests.gate import executor
from oslo_tracing.tests.unit.report import data
from oslo_tracing.tests.unit.report import test_results


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


class OneNodeTest(RolesTestCase):
    def setUp(self):
        super().setUp()
        self.job = self.useFixture(executor.Job('controller'))

    def test_the_demo_becomes_a_report_among_the_logs(self):
        traces = self.demo(self.job, 'controller')
        tests = {
            f'test_{number}': ('fail' if number else 'success', each)
            for number, each in enumerate(traces)
        }
        self.results(self.job, **tests)
        self.assertGreater(self.job.run()['controller'], 0)
        kept, modes = executor.kept(self.job.raw('controller'))
        self.assertEqual(3, len(kept))
        self.assertEqual({0o640}, modes)
        before = sources.open_source(str(self.job.traces('controller')))
        after = sources.open_source(str(self.job.raw('controller')))
        self.assertEqual(
            {(span.trace_id, span.span_id) for span in before.spans()},
            {(span.trace_id, span.span_id) for span in after.spans()},
        )
        report = self.job.report('controller')
        listed = executor.listed(report)
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

    def test_a_program_that_is_not_there_fails_the_job(self):
        traces = self.demo(self.job, 'controller')
        self.results(self.job, test_a=('success', traces[0]))
        told = self.job.hosts['controller']
        for name in ('collect_traces_command', 'report_traces_command'):
            known, told[name] = told[name], '/nowhere/oslo-tracing'
            self.job.run(fails=True)
            told[name] = known
        self.job.run()

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
        self.assertIn('test_a', executor.listed(self.job.report('controller')))
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
        job = self.useFixture(executor.Job('controller', 'compute1'))
        here, *_more = self.demo(job, 'controller')
        there, *_more = self.demo(job, 'compute1')
        self.results(
            job, test_here=('success', here), test_there=('success', there)
        )
        job.run()
        listed = executor.listed(job.report('controller'))
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

    def test_nodes_without_traces_have_no_part_in_it(self):
        job = self.useFixture(executor.Job('controller', 'none', 'compute1'))
        self.demo(job, 'controller')
        there, *_more = self.demo(job, 'compute1')
        job.traces('none').rmdir()
        self.results(job, test_there=('success', there))
        job.run()
        listed = executor.listed(job.report('controller'))
        self.assertTrue(listed['test_there']['page'])
        self.assertEqual(
            dict.fromkeys(('controller', 'none', 'compute1'), 0), job.run()
        )


class DifferentNodesTest(RolesTestCase):
    def setUp(self):
        super().setUp()
        self.job = self.useFixture(executor.Job('controller'))

    def traced(self, line):
        path = self.job.traces('controller') / 'a.jsonl'
        path.write_text(line)

    def test_the_traces_may_lie_elsewhere(self):
        elsewhere = self.job.root / 'disk'
        self.job.traces('controller').rename(elsewhere)
        self.job.traces('controller').symlink_to(elsewhere)
        self.traced(data.line('nova', data.span(1)))
        self.results(self.job, test_a=('success', data.TRACE))
        self.job.run()
        kept, _modes = executor.kept(self.job.raw('controller'))
        self.assertEqual({'a.jsonl.gz'}, set(kept))

    def test_a_stestr_that_came_later_is_asked_again(self):
        self.traced(data.line('nova', data.span(1)))
        self.results(self.job, test_a=('success', data.TRACE))
        os.rename(self.job.root / 'run.subunit', self.job.root / 'last')
        stestr = self.job.root / 'stestr'
        self.job.hosts['controller'].update(
            report_traces_stestr=str(self.job.root),
            report_traces_stestr_command=str(stestr),
        )
        self.job.run()
        self.assertEqual({}, self.job.artifacts())
        stestr.write_text('#!/bin/sh\ncat last\n')
        stestr.chmod(0o755)
        self.job.run()
        self.assertIn('test_a', executor.listed(self.job.report('controller')))
        self.assertEqual({'controller': 0}, self.job.run())


class ToolsTest(base.TestCase):
    def test_what_the_tests_talk_to_is_built_before(self):
        job = self.useFixture(executor.Job('controller'))
        project = job.root / 'src/oslo.tracing'
        for tool in ('collector/build', 'kafka/fetch', 'zipkin/fetch'):
            path = project / 'tools' / tool
            path.parent.mkdir(parents=True)
            path.write_text('#!/bin/sh\necho "$0" $GOTOOLCHAIN >> built\n')
            path.chmod(0o755)
        job.variables['zuul']['project'] = {'src_dir': str(project)}
        job.variables['tracing_tools'] = ['collector/build', 'kafka/fetch']
        job.run(executor.ROOT / 'playbooks/tools/pre.yaml')
        self.assertEqual(
            ['tools/collector/build auto', 'tools/kafka/fetch auto'],
            (project / 'built').read_text().splitlines(),
        )

    def test_one_that_fails_stops_the_job(self):
        job = self.useFixture(executor.Job('controller'))
        job.variables['zuul']['project'] = {'src_dir': str(job.root)}
        job.variables['tracing_tools'] = ['none/build']
        job.run(executor.ROOT / 'playbooks/tools/pre.yaml', fails=True)


class StyleTest(base.TestCase):
    def test_ansible_lint_has_nothing_to_say(self):
        done = subprocess.run(
            [
                executor.BIN / 'ansible-lint',
                '--offline',
                '--nocolor',
                '-c',
                executor.ROOT / '.ansible-lint',
                executor.ROOT / 'roles',
                executor.ROOT / 'playbooks',
            ],
            cwd=executor.ROOT,
            capture_output=True,
            text=True,
            timeout=280,
            env={
                **os.environ,
                'PATH': f'{executor.BIN}:{os.environ["PATH"]}',
                'ANSIBLE_HOME': self.useFixture(fixtures.TempDir()).path,
            },
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_every_playbook_can_be_read(self):
        job = self.useFixture(executor.Job('controller'))
        playbooks = list((executor.ROOT / 'playbooks').rglob('*.yaml'))
        self.assertNotEqual([], playbooks)
        for playbook in playbooks:
            job.run(playbook, '--syntax-check')

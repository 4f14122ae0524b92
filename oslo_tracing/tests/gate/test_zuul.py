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

"""zuul.d, read by the configuration loader of Zuul itself."""

from __future__ import annotations

import configparser
import pathlib
import types

import yaml
from zuul import configloader
from zuul import model

from oslo_tracing.tests import base
from oslo_tracing.tests.gate import opendev

_ROOT = pathlib.Path(__file__).parents[3]
_NAME = 'opendev.org/openstack/oslo.tracing'


class _Reader:
    """Reads stanzas as a scheduler does, without its connections."""

    def __init__(self):
        self._parsers = configloader.ParseContext(
            types.SimpleNamespace(connections={}), None, None, None
        )
        self.jobs = {}
        self.projects = []

    def read(self, text, path='zuul.d/jobs.yaml'):
        where = model.SourceContext(
            _NAME, 'openstack/oslo.tracing', 'opendev', 'master', path
        )
        for stanza in configloader.safe_load_yaml(text, where):
            ((kind, content),) = stanza.items()
            if kind == 'job':
                job = self._parsers.job_parser.fromYaml(content)
                self.jobs[job.name] = job
            else:
                assert kind == 'project', kind
                self.projects.append(
                    self._parsers.project_parser.fromYaml(content)
                )


class ZuulTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.reader = _Reader()
        for path in sorted((_ROOT / 'zuul.d').glob('*.yaml')):
            self.reader.read(path.read_text(), f'zuul.d/{path.name}')
        self.jobs = self.reader.jobs

    def test_the_project_is_that_of_an_oslo_library(self):
        (project,) = self.reader.projects
        self.assertEqual(set(opendev.TEMPLATES), set(project.templates))

    def test_every_job_is_there_and_gates_what_it_checks(self):
        (project,) = self.reader.projects
        run = {
            name: set(pipeline.job_list.jobs)
            for name, pipeline in project.pipelines.items()
        }
        self.assertEqual(set(), run['check'] - set(self.jobs))
        self.assertEqual(run['check'], run['gate'])
        self.assertIn('oslo.tracing-tempest', run['check'])

    def test_the_parent_for_other_projects_is_abstract(self):
        parent = self.jobs['oslo.tracing-tempest-base']
        self.assertTrue(parent.abstract)
        self.assertEqual('devstack-tempest', parent.parent)
        self.assertIn(_NAME, parent.required_projects)
        self.assertEqual(
            {'oslo.tracing': f'https://{_NAME}'},
            parent.variables['devstack_plugins'],
        )

    def test_two_lines_inherit_it(self):
        self.reader.read(
            '- job:\n'
            '    name: nova-traced\n'
            '    parent: oslo.tracing-tempest-base\n'
        )
        job = self.jobs['nova-traced']
        self.assertFalse(job.abstract)
        self.assertTrue(job.voting)

    def test_the_job_of_consumers_does_not_vote(self):
        job = self.jobs['oslo.tracing-tempest-consumer']
        self.assertEqual('oslo.tracing-tempest-base', job.parent)
        self.assertFalse(job.voting)
        self.assertTrue(self.jobs['oslo.tracing-tempest'].voting)

    def test_playbooks_and_roles_are_where_the_jobs_say(self):
        found = {
            playbook.path
            for job in self.jobs.values()
            for playbook in (*job.pre_run, *job.post_run)
        }
        self.assertEqual(
            {'playbooks/tools/pre.yaml', 'playbooks/traces/post.yaml'}, found
        )
        for path in found:
            plays = yaml.safe_load((_ROOT / path).read_text())
            for play in plays:
                for role in play.get('roles', ()):
                    tasks = _ROOT / 'roles' / role['role'] / 'tasks/main.yaml'
                    self.assertTrue(tasks.is_file(), tasks)

    def test_the_tools_that_the_jobs_build_are_all_that_there_are(self):
        found = [
            tool
            for job in self.jobs.values()
            for tool in job.variables.get('tracing_tools', ())
        ]
        there = {
            f'{path.parent.name}/{path.name}'
            for path in (_ROOT / 'tools').glob('*/*')
            if path.name in ('build', 'fetch')
        }
        self.assertEqual(sorted(there), sorted(found))

    def test_tox_has_what_the_jobs_run(self):
        tox = configparser.ConfigParser(interpolation=None)
        tox.read(_ROOT / 'tox.ini')
        for job in self.jobs.values():
            name = job.variables.get('tox_envlist')
            if name:
                self.assertTrue(
                    any(
                        section.startswith(f'testenv:{name}')
                        for section in tox
                    ),
                    name,
                )

    def test_the_loader_refuses_what_is_wrong(self):
        for text in (
            '- job:\n    name: a\n    no-such-attribute: 1\n',
            '- job:\n    name: a\n    voting: perhaps\n',
            '- project:\n    templates: one\n',
        ):
            self.assertRaises(Exception, _Reader().read, text)  # noqa: H202

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

"""zuul.d, roles and playbooks in a tenant of a real scheduler."""

from __future__ import annotations

import pathlib

import yaml

from oslo_tracing.tests import base
from oslo_tracing.tests.gate import opendev
from oslo_tracing.tests.gate import scheduler

_ROOT = pathlib.Path(__file__).parents[3]
_NAME = 'openstack/oslo.tracing'


class SchedulerTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.zuul = self.useFixture(scheduler.Zuul(self, opendev.CONFIG))
        for name, content in opendev.REPOSITORIES.items():
            self.zuul.add(name, {'zuul.yaml': content})
        directories = ('playbooks', 'roles', 'zuul.d')
        self.zuul.add(_NAME, {name: _ROOT / name for name in directories})

    def _errors(self):
        return [
            (each['source_context']['project'], each['short_error'])
            for each in self.zuul.ask('tenant/openstack/config-errors')
        ]

    def _frozen(self, project, pipeline='check', job=None):
        """Ask what would be run for a change of a project."""
        return self.zuul.ask(
            f'tenant/openstack/pipeline/{pipeline}/project/{project}/branch/'
            f'master/freeze-job' + (f'/{job}' if job else 's')
        )

    def _parents(self):
        return {
            job['name']: job['variants'][0]['parent']
            for job in self.zuul.ask('tenant/openstack/jobs')
            if job['name'].startswith('oslo.tracing-')
        }

    def test_a_tenant_loads_all_of_it(self):
        # In one test, since it takes four programs and a database.
        self.zuul.run()
        # Of the project that has one; so it would say what is wrong of ours.
        self.assertEqual(
            [
                (
                    'openstack/glance',
                    'Job oslo.tracing-tempest-bass not defined',
                )
            ],
            self._errors(),
        )
        text = (_ROOT / 'zuul.d/jobs.yaml').read_text()
        jobs = [each['job'] for each in yaml.safe_load(text)]
        self.assertEqual(
            {job['name']: job['parent'] for job in jobs}, self._parents()
        )
        runs = {
            job['name']
            for job in jobs
            if not job.get('abstract') and job.get('voting', True)
        }
        for pipeline in ('check', 'gate'):
            frozen = {each['name'] for each in self._frozen(_NAME, pipeline)}
            # What the templates of an Oslo library bring, too.
            self.assertEqual({*runs, 'noop'}, frozen)
        for name in runs:
            job = self._frozen(_NAME, job=name)
            self.assertTrue(job['zuul']['voting'], name)
            self.assertEqual(1, len(job['nodeset']['nodes']), name)
        self._assert_traced('openstack/nova', 'nova-traced')
        self._assert_traced('openstack/nova', 'oslo.tracing-tempest-consumer')
        for name in ('nova-traced', 'oslo.tracing-tempest-consumer'):
            job = self._frozen('openstack/nova', job=name)
            self.assertFalse(job['zuul']['voting'], name)

    def _assert_traced(self, project, name):
        """Assert that a job has all of the abstract parent."""
        job = self._frozen(project, job=name)
        self.assertEqual(
            {'oslo.tracing': f'https://opendev.org/{_NAME}'},
            job['vars']['devstack_plugins'],
        )
        self.assertIn(f'opendev.org/{_NAME}', job['zuul']['projects'].keys())
        self.assertEqual(
            ['playbooks/devstack-tempest.yaml'],
            [each['path'] for each in job['playbooks']][:1],
        )
        # Ours comes first: the others take the logs away.
        ours, *others = job['post_playbooks']
        self.assertEqual(
            (_NAME, 'playbooks/traces/post.yaml'),
            (ours['project'], ours['path']),
        )
        self.assertIn(_NAME, [each['project'] for each in ours['roles']])
        self.assertEqual(
            ['playbooks/post-tempest.yaml', 'playbooks/post.yaml'],
            [each['path'] for each in others],
        )

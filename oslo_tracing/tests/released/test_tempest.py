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

"""tempest, as it is released, against released services that are traced."""

from __future__ import annotations

import base64
import configparser
import json
import os
import re
import subprocess
import time
import uuid

from testtools import content

from oslo_tracing import attributes as names
from oslo_tracing.report import results
from oslo_tracing.report import sources
from oslo_tracing.tests import base
from oslo_tracing.tests.gate import executor
from oslo_tracing.tests.released import cloud as cloud_module
from oslo_tracing.tests.released import programs
from oslo_tracing.tests.released import services

_KEY = 'the-key-of-tempest'
#: Tests of identity and images that need nothing beside them.
_TESTS = (
    r'tempest\.api\.identity\.v3\.test_(api_discovery|application_credentials'
    r'|catalog|domains|projects|tokens|users)\.|'
    r'tempest\.api\.identity\.admin\.v3\.test_(groups|regions)\.|'
    r'tempest\.api\.image\.v2\.test_images_(tags|member|metadefs_namespaces'
    r'|metadefs_schema)\.'
)
#: Sees what a test asks, as one of its own or for it.
_SEEN = ('keystone', 'glance')
#: What keystone answers once, of an application credential.
_SECRET = re.compile('"secret": ?"([^"]+)"')


class TempestTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.cloud = self.useFixture(
            cloud_module.Cloud(
                self,
                {
                    **cloud_module.TO_FILES,
                    'hmac_keys': _KEY,
                    # As the plugin of devstack has it.
                    'max_forced_traces_per_second': '1000000',
                },
            )
        )
        services.keystone(self.cloud)
        services.glance(self.cloud)
        services.register(
            services.connect(self.cloud),
            'image',
            'glance',
            self.cloud.url('glance'),
        )

    def _workspace(self):
        """Set tempest up, as its own documentation has it."""
        workspace = self.cloud.home / 'tempest'
        self.cloud.run('tempest', 'init', str(workspace))
        given = services.credentials(self.cloud)
        conf = configparser.ConfigParser(interpolation=None)
        conf.read_dict(
            {
                'auth': {
                    'admin_username': given['username'],
                    'admin_password': given['password'],
                    'admin_project_name': given['project_name'],
                    'admin_domain_name': 'Default',
                    'tempest_roles': 'member',
                },
                'identity': {
                    'auth_version': 'v3',
                    'uri_v3': given['auth_url'],
                    'v3_endpoint_type': 'public',
                    'region': cloud_module.REGION,
                },
                'image': {
                    'endpoint_type': 'public',
                    'region': cloud_module.REGION,
                },
                'oslo_concurrency': {'lock_path': str(workspace / 'lock')},
                'profiler': {'key': _KEY},
                'service_available': {
                    'cinder': 'False',
                    'glance': 'True',
                    'horizon': 'False',
                    'neutron': 'False',
                    'nova': 'False',
                    'swift': 'False',
                },
            }
        )
        with open(workspace / 'etc/tempest.conf', 'w') as stream:
            conf.write(stream)
        return workspace

    def _run(self):
        """Run the tests; their results, and where tempest ran."""
        workspace = self._workspace()
        environment = programs.environment(self.cloud.home)
        done = subprocess.run(
            ['tempest', 'run', '--regex', _TESTS, '--concurrency', '2'],
            cwd=workspace,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1500,
        )
        self.addDetail('tempest', content.text_content(done.stdout[-20000:]))
        stream = self.cloud.home / 'run.subunit'
        with open(stream, 'wb') as out:
            subprocess.run(
                [programs.path_of('stestr'), 'last', '--subunit'],
                cwd=workspace,
                env=environment,
                stdout=out,
                timeout=120,
            )
        return results.read(str(stream)), workspace

    def _asked(self):
        """What tempest has asked for each trace, by the pair it sent."""
        found = {}
        for exchange in self.cloud.exchanges:
            info = exchange.request_header('X-Trace-Info')
            if info is not None:
                told = json.loads(base64.urlsafe_b64decode(info))
                if told['parent_id'] != told['base_id']:
                    # A service that passes the pair on, not tempest.
                    continue
                trace_id = uuid.UUID(told['base_id']).hex
                found.setdefault(trace_id, []).append(exchange)
        return found

    def _wait_for(self, asked):
        """Wait until every request has been written, but not for ever."""
        until = time.monotonic() + 120
        wanted = sum(map(len, asked.values()))
        while True:
            source = sources.open_source(str(self.cloud.traces))
            roots = orphans = 0
            for trace in source.traces(lambda each: each.trace_id in asked):
                roots += len(trace.roots)
                orphans += len(trace.orphans)
            if roots >= wanted and not orphans:
                return
            if time.monotonic() > until:
                # Which is wrong, the test says of each.
                return
            time.sleep(0.5)

    def test_every_test_has_its_trace_and_none_has_anothers(self):
        tests, workspace = self._run()
        ran = [each for each in tests if each.status != 'skip']
        failed = [each.test_id for each in ran if each.failed]
        self.assertEqual([], failed)
        self.assertGreater(len(ran), 15)
        asked = self._asked()
        self._wait_for(asked)
        # Nothing is written any more when the logs are gathered.
        self.cloud.stop()
        job = self._gathered(workspace)
        kept = job.raw('controller')
        traces = {
            trace.trace_id: trace
            for trace in sources.open_source(str(kept)).traces(
                lambda each: each.trace_id in asked
            )
        }
        # Nothing was asked for that no test has told us of.
        told = [each.trace_id for each in ran if each.trace_id]
        self.assertEqual(len(told), len(set(told)))
        self.assertEqual(set(), set(asked) - set(told))
        # Each that asked has a trace, of its own requests and of no other.
        seen = 0
        for each in ran:
            exchanges = asked.get(each.trace_id)
            if exchanges is None:
                continue
            self.assertIn(each.trace_id, traces, each.test_id)
            trace = traces[each.trace_id]
            self.assertEqual(
                sorted(map(_request_id, exchanges)),
                sorted(
                    str(span.attributes.get(names.OPENSTACK_REQUEST_ID))
                    for span in trace.roots
                ),
                each.test_id,
            )
            # All else is below these, as glance's questions to keystone.
            self.assertEqual([], trace.orphans, each.test_id)
            self.assertLessEqual(set(trace.services), set(_SEEN))
            seen += 1
        self.assertGreater(seen, 15)
        print(
            f'tempest: {len(ran)} tests, {seen} with a trace, '
            f'{sum(len(t.spans) for t in traces.values())} spans'
        )
        self._assert_index(
            job,
            {
                each.test_id: each.trace_id
                for each in ran
                if each.trace_id in asked
            },
        )
        self._assert_no_secret(job)
        self._assert_unchanged(job)
        wanted = os.environ.get('OSLO_TRACING_KEEP_PAGES')
        if wanted:
            os.rename(job.report('controller'), wanted)

    def _gathered(self, workspace):
        """Have Ansible run the playbook of the job, as an executor would."""
        job = self.useFixture(executor.Job('controller'))
        job.hosts['controller'].update(
            collect_traces_source=str(self.cloud.traces),
            # There is no stream yet: stestr is asked in tempest's directory.
            report_traces_stestr=str(workspace),
            report_traces_stestr_command=programs.path_of('stestr'),
            report_traces_title='Traces of tempest',
        )
        self.assertGreater(job.run()['controller'], 0)
        return job

    def _assert_index(self, job, wanted):
        report = job.report('controller')
        rows = {
            test: row
            for test, row in executor.listed(report).items()
            if row['trace']
        }
        self.assertEqual(
            wanted, {test: row['trace'] for test, row in rows.items()}
        )
        pages = [row['page'] for row in rows.values()]
        self.assertEqual(len(pages), len(set(pages)))
        for row in rows.values():
            text = (report / row['page']).read_text()
            self.assertIn(row['trace'], text)
            others = set(wanted.values()) - {row['trace']}
            self.assertEqual([], [each for each in others if each in text])
            self.assertTrue((report / row['raw']).is_file())
        self.assertEqual(
            {
                'Traces by test': 'traces/report/index.html',
                'Traces as OTLP': 'traces/raw/',
            },
            job.artifacts(),
        )

    def _assert_no_secret(self, job):
        secrets = {cloud_module.PASSWORD, _KEY}
        for exchange in self.cloud.exchanges:
            for value in (
                exchange.request_header('X-Auth-Token'),
                exchange.request_header('X-Subject-Token'),
                exchange.header('X-Subject-Token'),
            ):
                # Tests ask with tokens that are none, too.
                if value and len(value) > 20:
                    secrets.add(value)
            secrets.update(_SECRET.findall(exchange.body.decode('latin-1')))
        self.assertGreater(len(secrets), 20)
        files, modes = executor.kept(job.raw('controller'))
        self.assertEqual({0o640}, modes)
        # Two services wrote files.
        self.assertGreaterEqual(len(files), 2)
        for name, text in files.items():
            for secret in secrets:
                self.assertNotIn(secret.encode(), text, name)

    def _assert_unchanged(self, job):
        logs = job.root / 'controller/logs'
        before = _times(logs)
        self.assertEqual({'controller': 0}, job.run())
        self.assertEqual(before, _times(logs))


def _times(directory):
    return {
        path: path.stat().st_mtime_ns
        for path in directory.rglob('*')
        if path.is_file()
    }


def _request_id(exchange):
    # Of keystone and glance alike; None would be in no span.
    return str(exchange.header('X-OpenStack-Request-ID'))

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

"""Real experiments by ``chaos run``, against the services of the demo."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys

import fixtures

from oslo_tracing.demo import __main__ as demo
from oslo_tracing.report import sources
from oslo_tracing.tests import base

_OURS = 'oslo_tracing.chaos'
_THEIRS = 'chaostracing.control'
# Beside the spans of the experiment itself: what one boot of the demo is.
_SERVICES = {'demo-compute', 'demo-block-storage'}
_CREATE_TABLES = """
import sys
from oslo_config import cfg
from oslo_tracing.demo import db
cfg.CONF(['--config-file', sys.argv[1]], project='oslo_tracing_demo')
db.configure(cfg.CONF)
db.create()
"""


class ExperimentTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.traces = str(self.directory / 'traces')
        arguments = demo._parser().parse_args(['--directory', self.traces])
        self.config = demo._configuration(arguments, self.directory)
        # Not here: a process has one configuration for the demo.
        subprocess.run(
            [
                sys.executable,
                '-W',
                'ignore',
                '-c',
                _CREATE_TABLES,
                self.config,
            ],
            check=True,
        )
        self.services = contextlib.ExitStack()
        self.addCleanup(self.services.close)

    def _start(self, **environment):
        for name, value in environment.items():
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        storage = self.services.enter_context(
            demo._process('block-storage', self.config)
        )
        compute = self.services.enter_context(
            demo._process(
                'compute',
                self.config,
                '--block_storage_url',
                f'http://127.0.0.1:{storage}',
            )
        )
        self.url = f'http://127.0.0.1:{compute}/v2.1/servers'

    def _boot(self, name, kind='action', server='demo', **more):
        return {
            'type': kind,
            'name': name,
            'provider': {
                'type': 'http',
                'url': self.url,
                'method': 'POST',
                'headers': {'Content-Type': 'application/json'},
                'arguments': {'name': server},
            },
            **more,
        }

    def _experiment(self, **more):
        return {
            'title': 'Servers boot while we look',
            'description': 'As it says.',
            'steady-state-hypothesis': {
                'title': 'The API answers',
                'probes': [self._boot('is-up', 'probe', tolerance=200)],
            },
            'method': [self._boot('boot-one')],
            'rollbacks': [
                {
                    'type': 'action',
                    'name': 'tidy-up',
                    'provider': {
                        'type': 'python',
                        'module': 'os',
                        'func': 'getpid',
                    },
                }
            ],
            **more,
        }

    @staticmethod
    def _control(module, **arguments):
        return {
            'provider': {
                'type': 'python',
                'module': module,
                'arguments': arguments,
            }
        }

    def _run(self, experiment, control=None, environment=None):
        """Run it, end the services, and return its journal and output."""
        path = self.directory / 'experiment.json'
        path.write_text(json.dumps(experiment))
        settings = self.directory / 'settings.yaml'
        # JSON is YAML, too.
        settings.write_text(
            json.dumps({'controls': {'tracing': control}} if control else {})
        )
        done = subprocess.run(
            [
                os.path.join(os.path.dirname(sys.executable), 'chaos'),
                '--no-version-check',
                '--settings',
                str(settings),
                'run',
                '--journal-path',
                str(self.directory / 'journal.json'),
                str(path),
            ],
            cwd=self.directory,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.services.close()
        journal = json.loads((self.directory / 'journal.json').read_text())
        return journal, done.stdout

    def _found(self):
        with contextlib.closing(sources.open_source(self.traces)) as source:
            return list(source.traces())

    def _one_trace(self):
        (trace,) = self._found()
        self.assertEqual(0, len(trace.orphans))
        return trace

    def _tree(self, trace):
        """Return the experiment's own spans, each with its depth."""
        return [
            (depth, span.name)
            for depth, span in trace.walk()
            if span.service == 'chaostoolkit' and span.kind == 'INTERNAL'
        ]

    def test_an_experiment_and_what_it_caused_are_one_trace(self):
        self._start()
        journal, told = self._run(
            self._experiment(),
            self._control(_OURS, config_file=self.config),
        )

        self.assertEqual('completed', journal['status'], told)
        trace = self._one_trace()
        self.assertEqual(
            [
                (0, 'Servers boot while we look'),
                (1, 'The API answers'),
                (2, 'is-up'),
                (1, 'Method'),
                (2, 'boot-one'),
                (1, 'The API answers'),
                (2, 'is-up'),
                (1, 'Rollbacks'),
                (2, 'tidy-up'),
            ],
            self._tree(trace),
        )
        by_id = {span.span_id: span for span in trace.spans}
        servers = [
            span
            for span in trace.spans
            if span.kind == 'SERVER' and span.name == 'POST /v2.1/servers'
        ]
        self.assertEqual(3, len(servers))
        for span in servers:
            client = by_id[span.parent_id]
            self.assertEqual('CLIENT', client.kind)
            self.assertIn(by_id[client.parent_id].name, ('is-up', 'boot-one'))
        self.assertLess(_SERVICES, {span.service for span in trace.spans})
        self.assertEqual(
            [], [span.name for span in trace.spans if span.failed]
        )
        self.assertIn(trace.trace_id, told)

    def test_an_experiment_may_name_the_control_itself(self):
        self._start()
        control = self._control(_OURS, config_file=self.config)
        journal, told = self._run(
            self._experiment(controls=[{'name': 'tracing', **control}])
        )

        self.assertEqual('completed', journal['status'], told)
        self.assertEqual(9, len(self._tree(self._one_trace())))

    def test_a_deviation_is_an_error(self):
        self._start()
        experiment = self._experiment()
        probe = self._boot('is-up', 'probe', tolerance=418)
        experiment['steady-state-hypothesis']['probes'] = [probe]

        self._run(experiment, self._control(_OURS, config_file=self.config))

        trace = self._one_trace()
        failed = {
            span.name: span.attributes.get('error.type')
            for span in trace.spans
            if span.failed
        }
        self.assertEqual(
            {'is-up'},
            {
                span.attributes['chaos.deviated.probe']
                for span in trace.spans
                if span.name == 'The API answers'
            },
        )
        self.assertEqual('deviated', failed['The API answers'])
        self.assertEqual('deviated', failed['Servers boot while we look'])
        self.assertNotIn('tidy-up', failed)

    def test_a_failed_action_is_one_without_its_words(self):
        self._start()
        action = {
            'type': 'action',
            'name': 'break',
            'provider': {
                'type': 'python',
                'module': 'os',
                'func': 'rmdir',
                'arguments': {'path': '/S3CRET/there-is-none'},
            },
        }

        journal, told = self._run(
            self._experiment(method=[action]),
            self._control(_OURS, config_file=self.config),
        )

        self.assertEqual('failed', journal['run'][0]['status'], told)
        trace = self._one_trace()
        (span,) = [span for span in trace.spans if span.name == 'break']
        self.assertTrue(span.failed)
        self.assertEqual('failed', span.attributes['chaos.status'])
        for path in pathlib.Path(self.traces).iterdir():
            self.assertNotIn('S3CRET', path.read_text())

    def test_services_that_know_b3_only(self):
        self._start(OS_TRACING__PROPAGATORS='b3multi')
        journal, told = self._run(
            self._experiment(),
            self._control(_OURS, config_file=self.config, propagation='b3'),
        )

        self.assertEqual('completed', journal['status'], told)
        trace = self._one_trace()
        self.assertLess(_SERVICES, {span.service for span in trace.spans})

    def test_the_control_of_the_seed_with_b3(self):
        """Its own spans go elsewhere; ours belong to its trace."""
        self._start(OS_TRACING__PROPAGATORS='tracecontext,b3')
        journal, told = self._run(
            self._experiment(),
            self._control(
                _THEIRS,
                provider='opentelemetry',
                exporter='oltp-http',
                collector_endpoint='http://127.0.0.1:9/v1/traces',
            ),
            {'OTEL_PROPAGATORS': 'b3'},
        )

        self.assertEqual('completed', journal['status'], told)
        (trace,) = self._found()
        self.assertEqual(
            _SERVICES, {span.service for span in trace.spans}, told
        )
        servers = [
            span for span in trace.spans if span.name == 'POST /v2.1/servers'
        ]
        self.assertEqual(3, len(servers))
        self.assertNotIn('', {span.parent_id or '' for span in servers})

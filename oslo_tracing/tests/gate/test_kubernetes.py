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

"""What we hand out for Kubernetes, by its own models and the operator's.

Of the page on containers, too.
"""

from __future__ import annotations

import glob
import pathlib
import re
import textwrap

import jsonschema
from kubernetes import client
import yaml

from oslo_tracing.tests import base
from oslo_tracing.tests.functional import collectors
from oslo_tracing.tests.functional import servers

_ROOT = pathlib.Path(__file__).parents[3]
_FILES = _ROOT / 'etc/oslo.tracing/collector'
_PAGE = _ROOT / 'doc/source/admin/containers.rst'
_BLOCK = re.compile(r'^\.\. code-block:: yaml\n\n((?:   .*\n|\n)+)', re.M)
#: A variable without a default, in the configuration of a collector.
_VARIABLE = re.compile(r'\$\{env:(\w+)\}')


def _taken(value, model):
    """Return what a cluster would make of a value, by Kubernetes' models.

    That is the value. The models take names of Python as well, which a
    cluster does not: they come back as others.

    :raises ValueError: where a field is unknown, wrong or missing.
    """
    return model.model_validate(value).model_dump(
        by_alias=True, exclude_none=True
    )


def _strict(schema):
    """Return a schema that takes no field that it does not know."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(each) for key, each in schema.items()}
    if isinstance(made.get('properties'), dict):
        made.setdefault('additionalProperties', False)
    if made.pop('x-kubernetes-int-or-string', False):
        made.pop('type', None)
    return made


def _collectors():
    text = (_FILES / 'kubernetes-collectors.yaml').read_text()
    return {each['kind']: each for each in yaml.safe_load_all(text)}


def _changed(path, value):
    """Return the agent's resource with something else in its ``spec``."""
    made = _collectors()['DaemonSet']
    inner = made['spec']
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return made


def _instrumentation():
    return yaml.safe_load((_FILES / 'kubernetes.yaml').read_text())


def _of_the_page():
    return [
        yaml.safe_load(textwrap.dedent(block))
        for block in _BLOCK.findall(_PAGE.read_text())
    ]


class ClusterTest(base.TestCase):
    def test_a_cluster_would_take_the_collectors(self):
        found = _collectors()
        self.assertEqual({'DaemonSet', 'Deployment', 'Service'}, set(found))
        for kind, each in found.items():
            version = {'Service': 'v1'}.get(kind, 'apps/v1')
            self.assertEqual(version, each['apiVersion'])
            self.assertEqual(each, _taken(each, getattr(client, f'V1{kind}')))

    def test_what_is_wrong_would_be_found(self):
        for path, value in (
            (('hostNetwork',), True),
            (('minReadySeconds',), '5'),
            (('template', 'metadata', 'labels'), {'a': 1}),
            (('template', 'spec', 'containers'), [{}]),
        ):
            self.assertRaises(
                ValueError, _taken, _changed(path, value), client.V1DaemonSet
            )
        taken = _changed(('min_ready_seconds',), 5)
        self.assertNotEqual(taken, _taken(taken, client.V1DaemonSet))

    def test_they_belong_together(self):
        found = _collectors()
        service = found.pop('Service')
        for each in found.values():
            spec = each['spec']
            labels = spec['template']['metadata']['labels']
            self.assertEqual(labels, spec['selector']['matchLabels'])
            (container,) = spec['template']['spec']['containers']
            # What it is told to read is ours, and finds its variables.
            name = pathlib.Path(container['args'][-1]).name
            text = (_FILES / name).read_text()
            given = {each['name'] for each in container['env']}
            self.assertEqual(set(), set(_VARIABLE.findall(text)) - given)
            ports = {port['containerPort'] for port in container['ports']}
            for port in ports:
                # The agent's is in its variable.
                self.assertIn(f':{port}', text + str(container['env']))
        pods = found['Deployment']['spec']['template']['metadata']['labels']
        self.assertEqual(pods, service['spec']['selector'])
        (agent,) = found['DaemonSet']['spec']['template']['spec']['containers']
        self.assertIn(
            {
                'name': 'TRACING_GATEWAYS',
                'value': service['metadata']['name'],
            },
            agent['env'],
        )

    def test_a_cluster_would_take_what_the_page_has(self):
        blocks = _of_the_page()
        self.assertGreater(len(blocks), 3)
        for block in blocks:
            if 'metadata' in block:
                taken = _taken(block, client.V1PodTemplateSpec)
            else:
                block['name'] = 'nova'
                taken = _taken(block, client.V1Container)
            self.assertEqual(block, taken)


class OperatorTest(base.TestCase):
    def setUp(self):
        super().setUp()
        found = sorted(
            glob.glob(f'{collectors.CACHE}/oslo.tracing/operator-v*')
        )
        servers.must_be_there(
            self, found, 'operator (see tools/operator/fetch)'
        )
        self.operator = pathlib.Path(found[-1])
        crd = yaml.safe_load(
            (
                self.operator / 'opentelemetry.io_instrumentations.yaml'
            ).read_text()
        )
        self.group = crd['spec']['group']
        (self.version,) = crd['spec']['versions']
        self.schema = _strict(self.version['schema']['openAPIV3Schema'])
        # Any object has more of these.
        self.schema['properties']['metadata'] = {'type': 'object'}

    def test_it_takes_the_instrumentation(self):
        ours = _instrumentation()
        self.assertEqual(
            f'{self.group}/{self.version["name"]}', ours['apiVersion']
        )
        jsonschema.validate(ours, self.schema)

    def test_it_would_refuse_what_is_wrong(self):
        for change in (
            {'propagators': ['tracecontext', 'none-such']},
            {'python': {'environment': []}},
            {'exporter': 'http://127.0.0.1:4318'},
        ):
            wrong = _instrumentation()
            wrong['spec'].update(change)
            self.assertRaises(
                jsonschema.ValidationError,
                jsonschema.validate,
                wrong,
                self.schema,
            )

    def test_it_knows_the_annotations_and_the_variable(self):
        (pod,) = (each for each in _of_the_page() if 'metadata' in each)
        annotations = pod['metadata']['annotations']
        known = (self.operator / 'annotation.go').read_text()
        for name in annotations:
            self.assertIn(f'"{name}"', known)
        ours = _instrumentation()
        self.assertEqual(
            ours['metadata']['name'],
            annotations['instrumentation.opentelemetry.io/inject-python'],
        )
        variables = (self.operator / 'env.go').read_text()
        (used,) = re.findall(
            r'\$\((\w+)\)', ours['spec']['exporter']['endpoint']
        )
        self.assertIn(f'"{used}"', variables)

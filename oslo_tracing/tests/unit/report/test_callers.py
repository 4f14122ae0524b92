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

from oslo_tracing.report import callers
from oslo_tracing.report.render import dot
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import maker


class CallersTest(base.TestCase):
    def setUp(self):
        super().setUp()
        make = maker.Maker()
        root = make.span('POST', 0, 100, kind='SERVER', service='nova-api')
        for number in range(3):
            ask = make.span(
                'GET',
                number,
                10,
                root,
                kind='CLIENT',
                service='nova-api',
                attributes={'openstack.service_type': 'image'},
                status='ERROR' if number else 'UNSET',
            )
            make.span('GET', number, 9, ask, kind='SERVER', service='glance')
        cast = make.span(
            'build',
            20,
            21,
            root,
            kind='PRODUCER',
            service='nova-api',
            attributes={'rpc.method': 'build'},
        )
        build = make.span(
            'build', 22, 90, cast, kind='CONSUMER', service='nova-compute'
        )
        make.span(
            'GET',
            30,
            40,
            build,
            kind='CLIENT',
            service='nova-compute',
            attributes={'server.address': 'agent.example.com'},
        )
        make.span(
            'SELECT',
            50,
            51,
            build,
            kind='CLIENT',
            service='nova-compute',
            attributes={'db.system.name': 'mariadb', 'db.namespace': 'nova'},
        )
        make.span('odd', 60, 61, build, kind='CLIENT', service='nova-compute')
        self.calls = callers.calls([make.trace()])

    def test_who_asks_whom(self):
        self.assertEqual(
            [
                ('nova-api', 'glance', 'http', True, 3, 2),
                ('nova-api', 'nova-compute', 'rpc', True, 1, 0),
                ('nova-compute', 'agent.example.com', 'http', False, 1, 0),
                ('nova-compute', 'mariadb nova', 'sql', False, 1, 0),
            ],
            [
                (
                    c.caller,
                    c.callee,
                    c.how,
                    c.recorded,
                    c.durations.count,
                    c.errors,
                )
                for c in self.calls
            ],
        )

    def test_as_a_graph(self):
        self.assertEqual(
            [
                'digraph services {',
                '  rankdir=LR;',
                '  "nova-api" [shape=box];',
                '  "glance" [shape=box];',
                '  "nova-compute" [shape=box];',
                '  "agent.example.com" [shape=ellipse];',
                '  "mariadb nova" [shape=ellipse];',
                '  "nova-api" -> "glance" [label="http 3, 2 failed"'
                ' color=red];',
                '  "nova-api" -> "nova-compute" [label="rpc 1"];',
                '  "nova-compute" -> "agent.example.com" [label="http 1"];',
                '  "nova-compute" -> "mariadb nova" [label="sql 1"];',
                '}',
            ],
            list(dot.render(self.calls)),
        )

    def test_labels_end_no_string(self):
        self.calls[0].callee = '"]; evil [label="\\'

        graph = '\n'.join(dot.render(self.calls))

        # What printable() escapes is escaped for Graphviz once more.
        self.assertIn('\\"]; evil [label=\\"', graph)
        self.assertNotIn(' "]; evil', graph)

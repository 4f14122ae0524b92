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

from oslo_tracing.report import top
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import maker


class TopTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.make = maker.Maker()

    def test_what_spans_are_counted_as(self):
        for number, (kind, about, expected) in enumerate(
            (
                ('SERVER', {'http.route': '/'}, 'route'),
                ('SERVER', {'rpc.method': 'build'}, 'rpc'),
                ('PRODUCER', {'rpc.system.name': 'oslo.messaging'}, 'rpc'),
                ('PRODUCER', {}, 'message'),
                ('CONSUMER', {}, 'message'),
                ('CLIENT', {'db.system.name': 'mariadb'}, 'statement'),
                ('CLIENT', {'db.query.text': 'SELECT 1'}, 'statement'),
                ('CLIENT', {'url.full': 'http://a/'}, 'call'),
                ('INTERNAL', {}, 'work'),
                ('UNSPECIFIED', {}, 'work'),
            )
        ):
            span = self.make.span(str(number), 0, 1, kind=kind)
            span.attributes = about
            self.assertEqual(expected, top.kind(span), about)

    def test_the_largest_total_comes_first(self):
        for number in range(10):
            self.make.span('often', 0, 2 + number % 2, kind='SERVER')
        self.make.span('long', 0, 30, kind='SERVER', status='ERROR')
        self.make.span('often', 0, 1, kind='SERVER', service='glance')

        found = top.count(self.make.spans)

        self.assertEqual(
            [
                ('nova', 'long', 1, 30, 1),
                ('nova', 'often', 10, 25, 0),
                ('glance', 'often', 1, 1, 0),
            ],
            [
                (
                    each.service,
                    each.name,
                    each.durations.count,
                    each.durations.total // maker.MS,
                    each.errors,
                )
                for each in found
            ],
        )

    def test_names_without_end_cost_no_memory_without_end(self):
        span = self.make.span('x', 0, 1)

        def spans():
            for number in range(50_000):
                span.name = f'made up {number}'
                yield span

        found = top.count(spans())

        self.assertEqual(50_000, sum(each.durations.count for each in found))
        self.assertEqual(20_001, len(found))
        self.assertEqual(
            ('(others)', 30_000), (found[0].name, found[0].durations.count)
        )

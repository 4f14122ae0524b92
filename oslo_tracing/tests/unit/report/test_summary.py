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

from oslo_tracing.report import model
from oslo_tracing.report import summary
from oslo_tracing.tests import base


def _span(trace_id, parent_id, name, start, end, service='nova', **more):
    return model.Span(
        trace_id,
        f'{start:016x}',
        parent_id,
        name,
        'SERVER',
        start,
        end,
        model.Resource(service),
        model.Scope(),
        **more,
    )


class SummarizeTest(base.TestCase):
    def test_each_trace_is_summed_up_whatever_the_order(self):
        found = summary.summarize(
            [
                _span('a', 'x', 'child', 5, 30, 'glance', status='ERROR'),
                _span('b', None, 'other', 7, 8),
                _span(
                    'a',
                    None,
                    'root',
                    6,
                    20,
                    attributes={'openstack.request_id': 'req-2'},
                ),
                _span(
                    'a',
                    'x',
                    'child',
                    1,
                    2,
                    attributes={
                        'openstack.request_id': 'req-1',
                        'openstack.global_request_id': 'req-0',
                    },
                ),
            ]
        )

        self.assertEqual(['a', 'b'], list(found))
        one = found['a']
        self.assertEqual((1, 30, 29), (one.start, one.end, one.duration))
        self.assertEqual((3, 1), (one.spans, one.errors))
        self.assertEqual({'nova', 'glance'}, one.services)
        self.assertEqual(('root', True), (one.name, one.has_root))
        self.assertEqual('req-1', one.request_id)
        self.assertEqual({'req-1', 'req-2'}, one.request_ids)
        self.assertEqual({'req-0'}, one.global_request_ids)

    def test_without_a_root_the_first_span_gives_the_name(self):
        found = summary.summarize(
            [
                _span('a', 'x', 'second', 5, 6),
                _span('a', 'x', 'first', 4, 6),
                _span('a', 'x', 'third', 6, 7),
            ]
        )

        self.assertEqual('first', found['a'].name)
        self.assertFalse(found['a'].has_root)
        self.assertIsNone(found['a'].request_id)

    def test_a_span_without_a_start_is_counted_at_its_end(self):
        (found,) = summary.summarize(
            [
                _unstarted('no time', 0),
                _span('a', 'x', 'child', 1000, 1030),
                _unstarted('no start', 1040),
            ]
        ).values()

        self.assertEqual((1000, 40), (found.start, found.duration))
        self.assertEqual((3, 2), (found.spans, found.without_start))
        self.assertEqual('child', found.name)


def _unstarted(name, end):
    return model.Unstarted(
        'a',
        f'{end:016x}',
        'x',
        name,
        'SERVER',
        0,
        end,
        model.Resource('nova'),
        model.Scope(),
    )

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

"""A day of keystone, placement and glance: all of it is recorded, unseen."""

from __future__ import annotations

import collections
from concurrent import futures
import dataclasses
import re
from typing import Any

from oslo_tracing import attributes
from oslo_tracing.report import model
from oslo_tracing.tests import base
from oslo_tracing.tests.functional import servers
from oslo_tracing.tests.released import cloud as cloud_module
from oslo_tracing.tests.released import day
from oslo_tracing.tests.released import masks
from oslo_tracing.tests.released import recorder

_ID = re.compile('[0-9a-f]{8}')

#: Requests that are answered without a look at the database.
_WITHOUT_SQL = ('GET /', 'GET /v3', 'GET /v3/', 'GET /v2/schemas/images')


@dataclasses.dataclass
class Day:
    """What was asked and answered, and what was recorded of it."""

    exchanges: list[recorder.Exchange]
    hosts: list[tuple[str, str]]
    traces: list[model.Trace]

    def served(self):
        """Return each SERVER span, with its trace."""
        return [
            (trace, span)
            for trace in self.traces
            for span in trace.spans
            if span.kind == 'SERVER'
        ]


class DayTest(base.TestCase):
    _days: tuple[Day, Day] | None = None
    _failed = False

    def setUp(self):
        super().setUp()
        # One for all tests: it takes a minute.
        kind = type(self)
        if kind._failed:
            self.fail('The day did not come to its end: see the first test.')
        if kind._days is None:
            kind._failed = True
            # Started here: it outlives the test.
            servers.mariadb_url(self)
            with futures.ThreadPoolExecutor(2) as pool:
                plain, traced = pool.map(
                    self._spend, (None, cloud_module.TO_FILES)
                )
            kind._days = (plain, traced)
            kind._failed = False
        self.plain, self.traced = kind._days

    def _spend(self, tracing: dict[str, str] | None) -> Day:
        cloud = cloud_module.Cloud(self, tracing)
        with cloud:
            day.begin(cloud)
            day.spend(cloud)
            cloud.stop()
            return Day(
                list(cloud.exchanges),
                [
                    (cloud.url(name), name)
                    for name in ('keystone', 'placement', 'glance')
                ],
                [] if tracing is None else cloud.spans(),
            )

    def test_the_answers_are_the_same(self):
        plain, traced = (
            [masks.exchange(one, one_day.hosts) for one in one_day.exchanges]
            for one_day in (self.plain, self.traced)
        )
        for without, with_us in zip(plain, traced, strict=False):
            self.assertEqual(without, with_us)
        self.assertEqual(len(plain), len(traced))

    def test_what_is_not_masked_is_said_by_nobody_else(self):
        for one in self.plain.exchanges:
            self.assertIsNone(one.header('traceresponse'))
            self.assertIsNone(one.request_header('traceparent'))

    def test_each_request_has_one_server_span(self):
        asked = collections.Counter(
            (one.service, one.method, one.path.partition('?')[0], one.status)
            for one in self.traced.exchanges
        )
        recorded = collections.Counter(
            (
                span.service,
                span.attributes[attributes.HTTP_REQUEST_METHOD],
                span.attributes[attributes.URL_PATH],
                span.attributes[attributes.HTTP_RESPONSE_STATUS_CODE],
            )
            for _trace, span in self.traced.served()
        )
        self.assertEqual(asked, recorded)
        # All of what the day is to hold was asked.
        self.assertGreater(asked.total(), 100)
        statuses = {status for _service, _method, _path, status in asked}
        self.assertLessEqual(
            {200, 201, 204, 300, 400, 401, 403, 404, 405, 409}, statuses
        )

    def test_each_request_has_both_ids(self):
        told = collections.Counter(
            one.header('X-Openstack-Request-Id')
            for one in self.traced.exchanges
        )
        del told[None]
        recorded = collections.Counter()
        for trace, span in self.traced.served():
            request_id = span.attributes.get(attributes.OPENSTACK_REQUEST_ID)
            self.assertIsNotNone(request_id, span)
            recorded[request_id] += 1
            if span.parent_id is None:
                own = model.own_request_id(trace.trace_id)
                self.assertEqual(own, request_id, span)
        self.assertEqual({1}, set(recorded.values()))
        self.assertLessEqual(set(told), set(recorded))

    def test_names_are_few_and_without_ids(self):
        names = {
            (span.service, span.name) for _trace, span in self.traced.served()
        }
        for _service, name in names:
            self.assertNotRegex(name, _ID)
            for given in day.NAMES:
                self.assertNotIn(given, name)
        shapes = {
            (one.service, one.method, masks.text(one.path.partition('?')[0]))
            for one in self.traced.exchanges
        }
        self.assertLessEqual(len(names), len(shapes))

    def test_keystone_and_glance_tell_their_routes(self):
        # placement tells those that have variables.
        without = {
            (span.service, span.name)
            for _trace, span in self.traced.served()
            if span.service != 'placement'
            and span.attributes[attributes.HTTP_RESPONSE_STATUS_CODE] < 300
            and attributes.HTTP_ROUTE not in span.attributes
        }
        self.assertEqual(set(), without)

    def test_there_are_no_orphans(self):
        for trace in self.traced.traces:
            self.assertEqual([], trace.orphans)
            self.assertEqual(0, trace.duplicates)
            self.assertEqual(1, len(trace.roots))

    def test_what_a_service_asks_another_is_in_its_trace(self):
        for trace in self.traced.traces:
            for span in trace.spans:
                parent = trace.parent(span)
                if span.kind == 'SERVER' and parent is not None:
                    self.assertEqual('CLIENT', parent.kind)
                    self.assertNotEqual(span.service, parent.service)

    def test_sql_is_below_what_has_asked_for_it(self):
        without = collections.Counter()
        for trace, span in self.traced.served():
            status = span.attributes[attributes.HTTP_RESPONSE_STATUS_CODE]
            if status < 300 and span.name not in _WITHOUT_SQL:
                if not self._sql(trace, span):
                    without[span.service, span.name] += 1
        self.assertEqual({}, dict(without))

    def _sql(self, trace: model.Trace, head: model.Span) -> list[Any]:
        return [
            span
            for _depth, span in trace.walk([head])
            if span.service == head.service
            and span.attributes.get(attributes.DB_SYSTEM_NAME)
            in ('mariadb', 'mysql')
        ]

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

"""Rules, through the libraries whose work they are about."""

from __future__ import annotations

import os
import sys

import fixtures
from oslo_config import cfg
import oslo_messaging
import requests

from oslo_tracing import exceptions
from oslo_tracing import middleware
from oslo_tracing import service
from oslo_tracing.tests import base
from oslo_tracing.tests import bus
from oslo_tracing.tests.unit.integrations import http_servers
from oslo_tracing.tests.unit.integrations import notification_cases
from oslo_tracing.tests import wsgi

SERVER_ID = '8a1b7a3c-94f0-4f0a-8f7b-3f8f8d2c7d11'
SAMPLED = f'00-{"a" * 32}-{"b" * 16}-01'


class RequestsToUsTest(bus.TestCase):
    def setUp(self):
        super().setUp()
        self.app = middleware.TracingMiddleware(wsgi.hello)

    def _recorded(self, *args, **more):
        self.spans.clear()
        wsgi.ask(self.app, *args, **more)
        return [span.name for span in self.spans.finished]

    def test_method_and_cleaned_path_decide(self):
        self.record(
            sampling_rules=[
                'server "GET /v2.1/servers/{id}" 0',
                'server "GET *" 1',
            ],
            sample_ratio=0.0,
        )
        path = f'/v2.1/servers/{SERVER_ID}'
        self.assertEqual([], self._recorded(path))
        self.assertEqual([], self._recorded(path, SCRIPT_NAME=''))
        self.assertEqual(
            ['GET /v2.1/servers'], self._recorded('/v2.1/servers')
        )
        self.assertEqual([], self._recorded('/v2.1/servers', 'POST'))

    def test_the_name_that_decides_stays_on_the_span(self):
        for rules in ([], ['server "*" 1']):
            self.record(sampling_rules=rules)
            self._recorded(
                f'/v2.1/servers/{SERVER_ID}', SCRIPT_NAME='/compute'
            )
            (span,) = self.spans.finished
            self.assertEqual(
                'GET /compute/v2.1/servers/{id}',
                span.attributes['openstack.sampling.name'],
            )
            self.assertEqual('GET', span.attributes['http.request.method'])
            self.assertEqual(
                f'/compute/v2.1/servers/{SERVER_ID}',
                span.attributes['url.path'],
            )

    def test_of_a_trace_that_goes_on_nothing_is_decided(self):
        self.record(sampling_rules=['server "*" 0'])
        recorded = self._recorded('/servers', HTTP_TRACEPARENT=SAMPLED)
        self.assertEqual(['GET /servers'], recorded)
        (span,) = self.spans.finished
        self.assertNotIn('openstack.sampling.name', span.attributes)

    def test_a_stranger_s_trace_starts_here(self):
        self.record(sampling_rules=['server "*" 0'], incoming='link')
        self.assertEqual(
            [], self._recorded('/servers', HTTP_TRACEPARENT=SAMPLED)
        )

    def test_without_rules_no_name_is_made_of_what_is_not_recorded(self):
        made = []

        def note(frame, event, _argument):
            path = frame.f_code.co_filename
            if event == 'call' and f'{os.sep}scrub{os.sep}' in path:
                made.append(frame.f_code.co_name)

        for options, expected in (
            ({'sampling_rules': ['rpc "*" 0']}, False),
            ({'sampling_rules': ['server "*" 0']}, True),
        ):
            self.record(sample_ratio=0.0, **options)
            # The first one sets up what all share.
            self._recorded('/servers')
            made.clear()
            sys.setprofile(note)
            try:
                # Another one, whose name is not known yet.
                recorded = self._recorded('/volumes')
            finally:
                sys.setprofile(None)
            self.assertEqual([], recorded)
            self.assertEqual(expected, bool(made), made)

    def test_a_limit_is_for_requests_too(self):
        self.record(max_traces_per_second=0.001)
        recorded = [len(self._recorded('/servers')) for _number in range(5)]
        self.assertEqual([1, 0, 0, 0, 0], recorded)


class RpcTest(bus.TestCase):
    def _ask(self, **options):
        self.record(**options)
        transport = self.transport()
        self.serve(transport, bus.Endpoint())
        self.client(transport).call({}, 'note')
        self.finish()
        return len(self.spans.finished)

    def test_topic_and_method_decide_for_both_sides(self):
        self.assertEqual(0, self._ask(sampling_rules=['rpc "compute/note" 0']))

    def test_another_method_is_another_matter(self):
        self.assertEqual(2, self._ask(sampling_rules=['rpc "compute/not" 0']))

    def test_a_message_in_no_trace_is_decided_on_by_who_gets_it(self):
        for rule, expected in (
            ('rpc "compute/note" 0', 0),
            ('rpc "compute/n*" 1', 1),
        ):
            service.shutdown()
            transport = self.transport()
            endpoint = bus.Endpoint()
            self.client(transport).cast({}, 'note')
            self.record(sampling_rules=[rule], sample_ratio=0.0)
            self.serve(transport, endpoint)
            endpoint.seen.get(timeout=bus.PATIENCE)
            self.finish()
            self.assertEqual(expected, len(self.spans.finished), rule)


class NotificationsTest(notification_cases.NotificationTestCase):
    def test_the_event_type_decides(self):
        self.record(sampling_rules=['notification "compute.*.update" 0'])
        self.notifier().info({}, 'compute.instance.update', {})
        self.notifier().info({}, 'compute.instance.create', {})
        self.assertEqual(
            ['send compute.instance.create'],
            [span.name for span in self.spans.finished],
        )

    def test_the_topic_decides_on_a_batch(self):
        for rule, expected in (
            ('batch "notifications" 0', 0),
            ('batch "versioned" 0', 1),
        ):
            self.record(sampling_rules=[rule])
            listener = notification_cases.BatchListener()
            self.notifier().info({}, 'e', {})
            self.start(
                oslo_messaging.get_batch_notification_listener(
                    self.bus, [self.target], [listener], batch_size=1
                )
            )
            listener.get()
            self.finish()
            self.assertEqual(expected, len(self.of_kind(bus.CONSUMER)), rule)


class RequestsOfOursTest(http_servers.TestCase):
    def test_method_and_service_type_decide(self):
        spans = self.record(sampling_rules=['client "GET image" 0'])
        self.to_server().get('/')
        requests.get(self.server.url + '/', timeout=5)
        self.assertEqual(['GET'], [span.name for span in spans.finished])


class StartTest(base.TestCase):
    def test_a_wrong_rule_is_named_when_the_service_starts(self):
        path = self.useFixture(fixtures.TempDir()).join('service.conf')
        with open(path, 'w') as stream:
            stream.write(
                '[tracing]\n'
                'enabled = true\n'
                'sampling_rules = rpc "*" 0\n'
                'sampling_rules = server GET 0.5\n'
            )
        conf = cfg.ConfigOpts()
        conf([], project='x', default_config_files=[path])
        error = self.assertRaises(
            exceptions.InvalidOption, service.setup, conf
        )
        self.assertEqual(
            "[tracing] sampling_rules = 'server GET 0.5': rule 2 of 2: "
            'server must be followed by a glob in double quotes, as "*"',
            str(error),
        )

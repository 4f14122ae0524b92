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

"""What a request does in several released services is one trace."""

from __future__ import annotations

import time

from oslo_tracing import attributes
from oslo_tracing.tests import base
from oslo_tracing.tests.released import cloud as cloud_module
from oslo_tracing.tests.released import services


class CloudTest(base.TestCase):
    def test_a_request_and_what_it_asks_of_others_are_one_trace(self):
        cloud = self.useFixture(
            cloud_module.Cloud(self, cloud_module.TO_FILES)
        )
        services.keystone(cloud)
        services.placement(cloud)
        services.register(
            services.connect(cloud),
            'placement',
            'placement',
            cloud.url('placement'),
        )
        services.connect(cloud).placement.create_resource_provider(name='one')

        [asked] = [
            one
            for one in cloud.exchanges
            if one.service == 'placement' and one.method == 'POST'
        ]
        trace = self.wait_for_trace(
            cloud, asked.header('x-openstack-request-id')
        )
        [root] = trace.roots
        self.assertEqual('POST /resource_providers', root.name)
        self.assertEqual([], trace.orphans)
        self.assertEqual({'keystone', 'placement'}, set(trace.services))

    def wait_for_trace(self, cloud, request_id):
        until = time.monotonic() + 60
        while True:
            for trace in cloud.spans():
                for root in trace.roots:
                    told = root.attributes.get(attributes.OPENSTACK_REQUEST_ID)
                    # What a span is below may come with a later batch, and
                    # all that another service has to say of it.
                    whole = len(trace.services) > 1 and not trace.orphans
                    if told == request_id and whole:
                        return trace
            self.assertLess(time.monotonic(), until, 'no such whole trace')
            time.sleep(0.1)

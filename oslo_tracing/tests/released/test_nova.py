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

"""``openstack server create`` is one trace, through all that it asks."""

from __future__ import annotations

import importlib.util

from oslo_tracing.tests.released import cloud as cloud_module
from oslo_tracing.tests.released import following
from oslo_tracing.tests.released import services

_BUILD = 'compute/build_and_run_instance'
_SCHEDULE = 'compute_task/schedule_and_build_instances'
_SELECT = 'scheduler/select_destinations'
_REFUSED = 'nova.exception.NoValidHost'
#: There is no agent that takes what neutron tells all of them.
_NOBODY = ('q-agent-notifier', 'neutron-vo-')
_USER_DATA = 'what only the server may read'


class BootTest(following.TestCase):
    def setUp(self):
        super().setUp()
        for name in ('nova', 'neutron'):
            if importlib.util.find_spec(name) is None:
                self.skipTest(f'{name} is not installed')
        # It imports what is not there otherwise.
        from oslo_tracing.tests.released import nova

        self.cloud = self.useFixture(
            cloud_module.Cloud(self, cloud_module.TO_FILES)
        )
        services.keystone(self.cloud)
        connection = services.connect(self.cloud)
        services.may_speak_for_users(connection)
        for kind, name, path in (
            ('placement', 'placement', ''),
            ('image', 'glance', ''),
            ('network', 'neutron', ''),
            ('compute', 'nova', '/v2.1'),
        ):
            url = self.cloud.url(name) + path
            services.register(connection, kind, name, url)
        services.placement(self.cloud)
        services.glance(self.cloud)
        nova.neutron(self, self.cloud)
        self.nova = nova.Nova(self, self.cloud)
        self.ways = (False, True) if nova.does_without_eventlet() else (True,)

    def prepare(self):
        """Make what a server is made of."""
        connection = services.connect(self.cloud)
        connection.create_image(
            'image',
            data=b'of a disk',
            disk_format='raw',
            container_format='bare',
            wait=True,
        )
        connection.compute.create_flavor(name='small', ram=64, vcpus=1, disk=0)
        # More than the host has, and less than the quota.
        connection.compute.create_flavor(
            name='large', ram=1 << 14, vcpus=1, disk=0
        )
        network = connection.network.create_network(name='network')
        connection.network.create_subnet(
            network_id=network.id, ip_version=4, cidr='192.0.2.0/24'
        )
        self.user_data = self.cloud.home / 'user-data'
        self.user_data.write_text(_USER_DATA)

    def create(self, name, *options):
        _said, trace_id = following.openstack(
            self.cloud,
            *('server', 'create', '--image', 'image', '--network', 'network'),
            *('--user-data', str(self.user_data), *options, name),
        )
        return self.whole(trace_id, _NOBODY)

    def assert_create_is_one_trace(self, name):
        trace = self.create(name, '--flavor', 'small', '--wait')
        self.assertEqual(
            {
                'openstackclient',
                'keystone',
                'placement',
                'glance',
                'neutron-api',
                'nova-api',
                'nova-conductor',
                'nova-scheduler',
                'nova-compute',
            },
            set(trace.services),
        )
        # Each statement is below one request, and so is what writes the port.
        [insert] = [
            span
            for span in trace.spans
            if span.name == 'INSERT ports' and span.service == 'neutron-api'
        ]
        self.assertEqual(
            [
                ('neutron-api', 'INSERT ports', 'CLIENT'),
                ('neutron-api', 'POST /v2.0/ports', 'SERVER'),
                ('nova-compute', 'POST network', 'CLIENT'),
                ('nova-compute', _BUILD, 'CONSUMER'),
                ('nova-conductor', _BUILD, 'PRODUCER'),
                ('nova-conductor', _SCHEDULE, 'CONSUMER'),
                ('nova-api', _SCHEDULE, 'PRODUCER'),
                ('nova-api', 'POST /v2.1/servers', 'SERVER'),
                ('openstackclient', 'POST compute', 'CLIENT'),
                ('openstackclient', 'openstack server create', 'INTERNAL'),
            ],
            following.upwards(trace, insert),
        )
        self.assert_each_is_asked_once(trace)
        self.assert_names_have_no_ids(trace)
        # Nova keeps its hosts away from the database.
        self.assertEqual(
            set(trace.services) - {'openstackclient', 'nova-compute'},
            {
                span.service
                for span in trace.spans
                if 'db.system.name' in span.attributes
            },
        )
        return trace.trace_id

    def assert_both_sides_tell_that_no_host_is_valid(self, name):
        trace = self.create(name, '--flavor', 'large')
        self.assertEqual(
            [
                ('nova-conductor', _SELECT, 'CLIENT', _REFUSED),
                ('nova-scheduler', _SELECT, 'SERVER', _REFUSED),
            ],
            sorted(
                (
                    span.service,
                    span.name,
                    str(span.kind).upper(),
                    span.attributes['error.type'],
                )
                for span in trace.spans
                if 'error.type' in span.attributes
                and span.service != 'openstackclient'
            ),
        )
        return trace.trace_id

    def assert_whole_to_the_end(self, trace_id):
        """Look at it when those who worked have ended."""
        trace = self.trace(trace_id)
        self.assertEqual([], trace.orphans)
        self.assertEqual(0, trace.duplicates)
        self.assertEqual(1, len(trace.roots))
        self.assert_each_is_asked_once(trace)

    def assert_nothing_is_told_or_logged(self):
        for path in self.cloud.traces.iterdir():
            self.assertNotIn(_USER_DATA, path.read_text(), path.name)
        for path in self.cloud.home.glob('*.log'):
            self.assertNotIn(
                'Tracing failed', path.read_text(errors='replace'), path.name
            )

    def test_create_by_eventlet_and_by_threads_where_it_can(self):
        for eventlet in self.ways:
            self.nova.start(eventlet=eventlet)
            if eventlet == self.ways[0]:
                self.prepare()
            made = [
                self.assert_create_is_one_trace(f'one-{eventlet}'),
                self.assert_both_sides_tell_that_no_host_is_valid(
                    f'two-{eventlet}'
                ),
            ]
            self.nova.stop()
            for trace_id in made:
                self.assert_whole_to_the_end(trace_id)
        self.assert_nothing_is_told_or_logged()

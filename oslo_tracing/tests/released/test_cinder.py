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

"""``openstack volume create`` is one trace, from the client to the driver."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import time

from oslo_tracing.tests.released import cinder
from oslo_tracing.tests.released import cloud as cloud_module
from oslo_tracing.tests.released import following
from oslo_tracing.tests.released import services

_TO_SCHEDULER = 'cinder-scheduler/create_volume'
_TO_VOLUME = f'cinder-volume.{cinder.HOST}@{cinder.BACKEND}/create_volume'
#: By which it is seen that a service goes on living.
_REPORT = 'periodic report_state'


def _document(line):
    try:
        return json.loads(line)['resourceSpans']
    except ValueError:
        # It is being written.
        return []


def _service(resource):
    return next(
        one['value']['stringValue']
        for one in resource['attributes']
        if one['key'] == 'service.name'
    )


def _is_open_elsewhere(path):
    """Tell whether another process has a file open, as who waits for it."""
    for entry in pathlib.Path('/proc').glob('[0-9]*/fd/*'):
        try:
            found = os.readlink(entry)
        except OSError:
            # Closed meanwhile, or not ours.
            continue
        if found == str(path) and entry.parts[2] != str(os.getpid()):
            return True
    return False


class CinderTest(following.TestCase):
    def start(self, **options):
        self.cloud = self.useFixture(
            cloud_module.Cloud(
                self,
                # Each periodic task is recorded: none may be in another's
                # trace.
                {**cloud_module.TO_FILES, 'sampling_rules': ''},
            )
        )
        services.keystone(self.cloud)
        self.cinder = cinder.Cinder(self, self.cloud, **options)
        self.wait_for(
            lambda: any(
                service == 'cinder-scheduler'
                for service, _start in self.spans_named(
                    'cinder-scheduler/update_service_capabilities'
                )
            ),
            'no backend is known to the scheduler',
        )

    def spans_named(self, name):
        """Return service and start of each span of a name, of any trace."""
        return [
            (_service(of_service['resource']), int(span['startTimeUnixNano']))
            for path in self.cloud.traces.glob('*.jsonl')
            for line in path.read_text().splitlines()
            if name in line
            for of_service in _document(line)
            for of_scope in of_service['scopeSpans']
            for span in of_scope['spans']
            if span['name'] == name
        ]

    def reported(self, service, since):
        """Return how often a service told that it lives, since then."""
        return sum(
            name == service and start > since
            for name, start in self.spans_named(_REPORT)
        )

    def assert_it_does_not_grow(self, before):
        """Wait until each service has sent what it did afterwards."""
        last = before.end
        _said, trace_id = following.openstack(self.cloud, 'volume', 'list')
        for service in ('cinder-scheduler', 'cinder-volume'):
            self.wait_for(
                lambda service=service: self.reported(service, last) > 2,
                f'{service} does not report',
            )
        self.wait_for(
            lambda: (
                'cinder-api' in getattr(self.trace(trace_id), 'services', ())
            ),
            'cinder-api did not list volumes',
        )
        self.assert_it_is_still(before)

    def assert_it_is_still(self, before):
        known = {one.span_id for one in before.spans}
        self.assertEqual(
            [],
            [
                (span.service, span.name)
                for span in self.trace(before.trace_id).spans
                if span.span_id not in known
            ],
        )

    def assert_it_is_one_trace(self, trace):
        """Look at it from the command that the driver runs, upwards."""
        self.assertEqual([], trace.orphans)
        self.assertEqual(0, trace.duplicates)
        self.assertEqual(1, len(trace.roots))
        self.assertEqual(
            {
                'openstackclient',
                'keystone',
                'cinder-api',
                'cinder-scheduler',
                'cinder-volume',
            },
            set(trace.services) - {'glance'},
        )
        [command] = [one for one in trace.spans if one.name == 'exec truncate']
        self.assertEqual(0, command.attributes['process.exit.code'])
        above = following.upwards(trace, command)
        between = [
            # As older clients call it.
            (service, name.replace('volumev3', 'block-storage'), kind)
            for service, name, kind in above
            if kind != 'INTERNAL' or service == 'openstackclient'
        ]
        self.assertEqual(
            [
                ('cinder-volume', _TO_VOLUME, 'CONSUMER'),
                ('cinder-scheduler', _TO_VOLUME, 'PRODUCER'),
                ('cinder-scheduler', _TO_SCHEDULER, 'CONSUMER'),
                ('cinder-api', _TO_SCHEDULER, 'PRODUCER'),
                ('cinder-api', 'POST /v3/volumes', 'SERVER'),
                ('openstackclient', 'POST block-storage', 'CLIENT'),
                ('openstackclient', 'openstack volume create', 'INTERNAL'),
            ],
            between,
        )
        return above

    def assert_all_is_told_once(self, trace):
        """Who asks over a wire has one who answers, with SQL below."""
        served = self.assert_each_is_asked_once(trace)
        self.assertLessEqual(
            {
                ('keystone', 'POST /v3/auth/tokens'),
                ('keystone', 'GET /v3/auth/tokens'),
            },
            {(span.service, span.name) for span in served},
        )
        with_sql = {
            span.service
            for span in trace.spans
            if 'db.system.name' in span.attributes
        }
        self.assertEqual(
            set(trace.services) - {'openstackclient', 'glance'},
            with_sql - {'glance'},
        )
        self.assert_names_have_no_ids(trace)

    def assert_create_is_one_trace(self):
        _said, trace_id = following.openstack(
            self.cloud, 'volume', 'create', '--size', '1', 'one'
        )
        trace = self.whole(trace_id)
        above = self.assert_it_is_one_trace(trace)
        self.assert_all_is_told_once(trace)
        self.assert_it_does_not_grow(trace)
        return trace, above

    def assert_points(self, above):
        """Points of cinder are between what is above the command."""
        self.assertEqual(
            [
                ('cinder-volume', 'driver Driver.create_volume'),
                ('cinder-volume', 'rpc VolumeManager.create_volume'),
                ('cinder-scheduler', 'rpc SchedulerManager.create_volume'),
            ],
            [one[:2] for one in above[1:-1] if one[2] == 'INTERNAL'],
        )

    def assert_a_lock_is_waited_for(self):
        """Make a volume of a snapshot that somebody is about to delete."""
        said, _trace_id = following.openstack(
            self.cloud,
            *('volume', 'snapshot', 'create', '--volume', 'one', 'of-one'),
            *('--format', 'value', '--column', 'id'),
        )
        snapshot = said.split()[0]
        self.wait_for(
            lambda: (
                'available'
                in following.openstack(
                    self.cloud,
                    *('volume', 'snapshot', 'show', snapshot),
                    *('--format', 'value', '--column', 'status'),
                )[0]
            ),
            'no snapshot',
        )
        path = self.cinder.locks / f'cinder-{snapshot}-delete_snapshot'
        with open(path, 'a') as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            _said, trace_id = following.openstack(
                self.cloud,
                *('volume', 'create', '--snapshot', snapshot, 'two'),
            )
            self.wait_for(
                lambda: _is_open_elsewhere(path), 'nobody wants the lock'
            )
            began = time.time_ns()
            # Two of them are a second apart.
            self.wait_for(
                lambda: self.reported('cinder-volume', began) > 1,
                'cinder-volume does not report',
            )
            fcntl.lockf(file, fcntl.LOCK_UN)
        trace = self.whole(trace_id)
        [wait] = [
            one
            for one in trace.spans
            if one.name == 'lock cinder-{id}-delete_snapshot'
        ]
        self.assertEqual('cinder-volume', wait.service)
        self.assertIn(
            ('cinder-volume', _TO_VOLUME, 'CONSUMER'),
            following.upwards(trace, wait),
        )
        self.assertGreater(wait.attributes['openstack.lock.wait'], 0.01)
        self.assertGreater(wait.attributes['openstack.lock.held'], 0)
        [command] = [one for one in trace.spans if one.name == 'exec truncate']
        self.assertGreater(command.start, wait.end)


class EventletTest(CinderTest):
    def test_create(self):
        self.start(api_by='command')
        trace, _above = self.assert_create_is_one_trace()
        self.assert_a_lock_is_waited_for()
        self.cinder.stop()
        self.assert_it_is_still(trace)

    def test_create_with_points_of_osprofiler(self):
        self.start(profiler=True)
        _trace, above = self.assert_create_is_one_trace()
        self.assert_points(above)


class NativeThreadsTest(CinderTest):
    def test_create_with_points_of_osprofiler(self):
        if not cinder.knows_native_threads():
            self.skipTest('this cinder runs by eventlet only')
        self.start(native_threads=True, profiler=True)
        self.assertIn('native threading', self.cinder.volume.said())
        trace, above = self.assert_create_is_one_trace()
        self.assert_points(above)
        self.assert_a_lock_is_waited_for()
        self.cinder.stop()
        self.assert_it_is_still(trace)

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

"""Nova and neutron, as :doc:`/services/nova` of the documentation has it."""

from __future__ import annotations

import importlib.metadata
import pathlib
import shutil
import sys
import time
import uuid

import sqlalchemy

from oslo_tracing.tests.functional import servers
from oslo_tracing.tests.released import programs
from oslo_tracing.tests.released import services

#: Of each start, since a driver of nothing cannot be had twice on a host.
_HOSTS = ('by-threads', 'by-eventlet')

#: What tells neutron that ports can be bound on a host.
_AGENT = sqlalchemy.text(
    'INSERT INTO agents (id, agent_type, `binary`, topic, host, created_at,'
    ' started_at, heartbeat_timestamp, configurations, `load`)'
    " VALUES (:id, 'Open vSwitch agent', 'an agent', 'N/A', :host,"
    " '2026-01-01', '2026-01-01', '2099-01-01', '{}', 0)"
)


def does_without_eventlet() -> bool:
    """Return whether all of the nova that is installed can do so."""
    # To import it is to have it patch.
    installed = importlib.metadata.distribution('nova')
    patching = pathlib.Path(str(installed.locate_file('nova/monkey_patch.py')))
    return 'concurrency_backend' in patching.read_text()


def neutron(test, cloud):
    """Start neutron's API, with an agent that there is not."""
    directory = cloud.home / 'neutron'
    database = cloud.database()
    conf = cloud.configure(
        'neutron',
        {
            'DEFAULT': {
                'transport_url': servers.rabbitmq_url(test),
                'core_plugin': 'ml2',
                'auth_strategy': 'keystone',
                'state_path': directory,
                'api_paste_config': pathlib.Path(
                    sys.prefix, 'etc', 'neutron', 'api-paste.ini'
                ),
                'notify_nova_on_port_status_changes': True,
                'notify_nova_on_port_data_changes': True,
            },
            'ml2': {
                'type_drivers': 'local',
                'tenant_network_types': 'local',
                'mechanism_drivers': 'openvswitch',
                'extension_drivers': 'port_security',
            },
            'database': {'connection': database},
            'oslo_concurrency': {'lock_path': directory / 'locks'},
            'keystone_authtoken': services.authtoken(cloud),
            'nova': services.credentials(cloud),
            'placement': services.credentials(cloud),
        },
    )
    cloud.run(
        'neutron-db-manage', '--config-file', str(conf), 'upgrade', 'head'
    )
    engine = sqlalchemy.create_engine(database)
    with engine.begin() as connected:
        connected.execute(
            _AGENT,
            [{'id': str(uuid.uuid4()), 'host': host} for host in _HOSTS],
        )
    engine.dispose()
    cloud.serve(
        'neutron',
        'neutron.wsgi.api:application',
        {
            'OS_NEUTRON_CONFIG_DIR': str(directory),
            'OS_NEUTRON_CONFIG_FILES': 'neutron.conf',
            'OTEL_SERVICE_NAME': 'neutron-api',
        },
        threads=2,
    )


class Nova:
    """A compute service with one host that makes servers of nothing.

    Keystone, placement, glance and neutron must be there.

    :param test: skipped where RabbitMQ is missing.
    :param cloud: which it is part of.
    """

    def __init__(self, test, cloud):
        self._cloud = cloud
        self.directory = cloud.home / 'nova'
        self.directory.mkdir()
        # The API looks for it beside its configuration.
        shutil.copy(
            pathlib.Path(sys.prefix, 'etc', 'nova', 'api-paste.ini'),
            self.directory,
        )
        self._running = []
        conf = cloud.configure('nova', self._sections(test))
        self._conf = f'--config-file={conf}'
        self._manage('api_db', 'sync')
        self._manage(
            *('cell_v2', 'map_cell0', '--database_connection'),
            cloud.database(),
        )
        self._manage('db', 'sync')
        self._manage('cell_v2', 'create_cell', '--name', 'one')

    def start(self, *, eventlet=False):
        """Start all of it.

        :param eventlet: whether it runs by eventlet, or by threads.
        """
        host = _HOSTS[eventlet]
        environment = {
            'OS_DEFAULT__HOST': host,
            'OS_NOVA_DISABLE_EVENTLET_PATCHING': str(not eventlet).lower(),
        }
        for name in ('nova-conductor', 'nova-scheduler', 'nova-compute'):
            self._running.append(self._start(name, environment))
        self._wait_for(host)
        self._running.append(
            self._cloud.serve(
                'nova',
                'nova.wsgi.osapi_compute:application',
                {
                    **environment,
                    'OS_NOVA_CONFIG_DIR': str(self.directory),
                    'OTEL_SERVICE_NAME': 'nova-api',
                },
                threads=4,
            )
        )

    def stop(self):
        """End all of it; what there is to be sent is sent."""
        # Else servers are made on it for a minute more.
        compute = services.connect(self._cloud).compute
        for service in compute.services(binary='nova-compute'):
            compute.disable_service(service)
        while self._running:
            self._running.pop().stop()

    def _manage(self, *command):
        return self._cloud.run('nova-manage', self._conf, *command)

    def _sections(self, test):
        credentials = services.credentials(self._cloud)
        return {
            'DEFAULT': {
                'transport_url': servers.rabbitmq_url(test),
                'state_path': self.directory,
                'my_ip': '127.0.0.1',
                'compute_driver': 'fake.MediumFakeDriver',
                # Nova 33 waits as long, whatever there is to wait for.
                'manager_shutdown_timeout': 1,
            },
            'api_database': {'connection': self._cloud.database()},
            'database': {'connection': self._cloud.database()},
            'oslo_concurrency': {'lock_path': self.directory / 'locks'},
            'conductor': {'workers': 1},
            'scheduler': {'workers': 1},
            'keystone_authtoken': services.authtoken(self._cloud),
            'placement': credentials,
            'glance': credentials,
            'neutron': credentials,
        }

    def _start(self, name, environment):
        log = self._cloud.home / f'{name}.log'
        log.touch()
        # It may have been started before.
        before = len(log.read_bytes())
        return self._cloud.start(
            programs.Program(
                name,
                *('oslo-tracing', 'run', '--', name, self._conf),
                home=self._cloud.home,
                ready=lambda: b'Starting ' in log.read_bytes()[before:],
                environment=environment,
            )
        )

    def _wait_for(self, host):
        """Wait until servers can be made on a host."""
        until = time.monotonic() + programs.PATIENCE
        while host not in self._manage('cell_v2', 'list_hosts'):
            if time.monotonic() > until:
                raise AssertionError('nova-compute has not told of itself')
            self._manage('cell_v2', 'discover_hosts')
            time.sleep(0.5)

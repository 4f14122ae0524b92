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

"""Cinder, as :doc:`/services/cinder` of the documentation has it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import pathlib
import socket
import sys

from oslo_tracing.tests.functional import servers
from oslo_tracing.tests.released import programs
from oslo_tracing.tests.released import services

HOST = 'here'
BACKEND = 'fake'
#: Seconds between two reports of a service that it is alive.
INTERVAL = 1

_PIPELINE = """
[filter:tracing]
use = egg:oslo.tracing#tracing

[pipeline:osapi_volume]
pipeline = tracing osapi_volume_untraced
"""


def knows_native_threads():
    """Tell whether this cinder can do without eventlet."""
    # Not by importing it, which loads eventlet into the tests.
    found = importlib.util.find_spec('cinder')
    return pathlib.Path(found.origin).with_name('monkey_patch.py').exists()


def _client_wants_images():
    """Tell whether no volume is made where there is no image service."""
    version = importlib.metadata.version('python-openstackclient')
    return int(version.partition('.')[0]) < 10


class Cinder:
    """A block storage service with one backend; keystone must be there.

    :param test: skipped where RabbitMQ is missing.
    :param cloud: which it is part of.
    :param native_threads: whether it does without eventlet.
    :param api_by: ``uwsgi``, or ``command`` for ``cinder-api``.
    :param profiler: whether its OSProfiler points are turned on.
    :ivar api: the program, and so ``scheduler`` and ``volume``.
    :ivar directory: of its files; that of its locks is ``locks``.
    """

    def __init__(
        self,
        test,
        cloud,
        *,
        native_threads=False,
        api_by='uwsgi',
        profiler=False,
    ):
        self._cloud = cloud
        self.directory = cloud.home / 'cinder'
        self.locks = self.directory / 'locks'
        self.locks.mkdir(parents=True)
        # Where cinder looks for its configuration under uWSGI, too.
        (cloud.home / '.cinder').symlink_to(self.directory)
        self._port = servers.free_port()
        self._environment = {}
        if native_threads:
            name = 'OS_CINDER_DISABLE_EVENTLET_PATCHING'
            self._environment[name] = 'true'
        paste = pathlib.Path(sys.prefix, 'etc', 'cinder', 'api-paste.ini')
        if api_by == 'command':
            paste = self._with_our_filter(paste)
        conf = cloud.configure('cinder', self._sections(test, paste, profiler))
        self._conf = f'--config-file={conf}'
        cloud.run('cinder-manage', self._conf, 'db', 'sync')
        connection = services.connect(cloud)
        services.register(
            connection,
            'block-storage',
            'cinder',
            f'{cloud.url("cinder")}/v3',
        )
        if _client_wants_images():
            services.register(
                connection, 'image', 'glance', cloud.url('glance')
            )
            services.glance(cloud)
        if api_by == 'command':
            self.api = self._start('cinder-api', self._listens)
            cloud.answers_at('cinder', self._port)
        else:
            self.api = cloud.serve(
                'cinder',
                'cinder.wsgi.api:application',
                {**self._environment, 'OTEL_SERVICE_NAME': 'cinder-api'},
                threads=2,
            )
        self.scheduler = self._start(
            'cinder-scheduler',
            self._says('cinder-scheduler', 'Starting cinder-scheduler node'),
        )
        # It tells the scheduler what it has after this, and every minute.
        self.volume = self._start(
            'cinder-volume',
            self._says(
                'cinder-volume', 'Driver post RPC initialization completed'
            ),
        )

    def stop(self):
        """End all of it; what there is to be sent is sent."""
        for program in (self.api, self.scheduler, self.volume):
            program.stop()

    def _sections(self, test, paste, profiler):
        sections = {
            'DEFAULT': {
                'transport_url': servers.rabbitmq_url(test),
                'state_path': self.directory,
                'host': HOST,
                'my_ip': '127.0.0.1',
                'osapi_volume_listen': '127.0.0.1',
                'osapi_volume_listen_port': self._port,
                'osapi_volume_workers': 1,
                'api_paste_config': paste,
                'resource_query_filters_file': pathlib.Path(
                    sys.prefix, 'etc', 'cinder', 'resource_filters.json'
                ),
                'enabled_backends': BACKEND,
                'report_interval': INTERVAL,
                'periodic_interval': INTERVAL,
                'periodic_fuzzy_delay': 0,
                # However busy this host is, none is taken for dead.
                'service_down_time': 600,
            },
            BACKEND: {
                'volume_driver': 'oslo_tracing.tests.released.volume_driver'
                '.Driver',
                'volume_backend_name': BACKEND,
            },
            'database': {'connection': self._cloud.database()},
            'oslo_concurrency': {'lock_path': self.locks},
            'coordination': {'backend_url': f'file://{self.locks}'},
            'keystone_authtoken': services.authtoken(self._cloud),
        }
        if profiler:
            sections['profiler'] = {'enabled': True}
        return sections

    def _with_our_filter(self, paste):
        text = paste.read_text().replace(
            '[composite:osapi_volume]', '[composite:osapi_volume_untraced]'
        )
        path = self.directory / 'api-paste.ini'
        path.write_text(text + _PIPELINE)
        return path

    def _start(self, name, ready):
        return self._cloud.start(
            programs.Program(
                name,
                *('oslo-tracing', 'run', '--', name, self._conf),
                home=self._cloud.home,
                ready=ready,
                environment=self._environment,
            )
        )

    def _says(self, name, text):
        log = self._cloud.home / f'{name}.log'
        return lambda: text in log.read_text(errors='replace')

    def _listens(self):
        try:
            socket.create_connection(('127.0.0.1', self._port)).close()
            return True
        except ConnectionRefusedError:
            return False

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

"""A real Kafka: one node that is broker and controller, on 127.0.0.1.

``tools/kafka/fetch`` fetches it; ``KAFKA`` names the ``libs`` of another.
"""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
import time
import uuid

import fixtures

from oslo_tracing.tests.functional import collectors
from oslo_tracing.tests.functional import servers

#: Of a topic that nobody has made before.
PARTITIONS = 4
_SECONDS = 180
# Of a test that sends a few hundred spans.
_JAVA = ('java', '-Xms64m', '-Xmx256m', '-XX:+UseSerialGC')


def find(test):
    """Return the directory of its classes, or skip ``test``."""
    servers.must_be_there(test, shutil.which('java'), 'java')
    found = sorted(
        glob.glob(f'{collectors.CACHE}/oslo.tracing/kafka-[0-9]*'),
        key=os.path.getmtime,
    )
    directory = os.environ.get('KAFKA') or (found[-1] if found else None)
    servers.must_be_there(
        test, directory, 'Kafka (see tools/kafka/fetch, or set KAFKA)'
    )
    return directory


class Kafka(fixtures.Fixture):
    """Runs until the fixture is taken off.

    :param classes: the directory of its classes.
    :ivar address: of the broker.
    """

    def __init__(self, classes):
        super().__init__()
        self._classes = os.path.join(classes, '*')

    def _setUp(self):
        self._directory = self.useFixture(fixtures.TempDir()).path
        self._log = os.path.join(self._directory, 'log')
        for _attempt in range(5):
            port = collectors.free_port()
            controller = collectors.free_port()
            if port != controller and self._start(port, controller):
                self.address = f'127.0.0.1:{port}'
                return
        with open(self._log) as log:
            raise OSError(f'Kafka does not begin: {log.read()[-4000:]}')

    def _configure(self, port, controller):
        data = os.path.join(self._directory, f'data-{port}')
        options = {
            'process.roles': 'broker,controller',
            'node.id': 1,
            'controller.quorum.bootstrap.servers': f'127.0.0.1:{controller}',
            'controller.listener.names': 'CONTROLLER',
            'listeners': f'PLAINTEXT://127.0.0.1:{port},'
            f'CONTROLLER://127.0.0.1:{controller}',
            'advertised.listeners': f'PLAINTEXT://127.0.0.1:{port},'
            f'CONTROLLER://127.0.0.1:{controller}',
            'log.dirs': data,
            'num.partitions': PARTITIONS,
            # There is no other node to copy to.
            'offsets.topic.replication.factor': 1,
            'offsets.topic.num.partitions': 1,
            'transaction.state.log.replication.factor': 1,
            'transaction.state.log.min.isr': 1,
            'share.coordinator.state.topic.replication.factor': 1,
            'share.coordinator.state.topic.min.isr': 1,
            'group.initial.rebalance.delay.ms': 0,
            # A busy machine is not a broken one.
            'broker.session.timeout.ms': 120000,
        }
        path = os.path.join(self._directory, f'{port}.properties')
        with open(path, 'w') as file:
            for name, value in options.items():
                file.write(f'{name}={value}\n')
        return path

    def _java(self, *words):
        return (*_JAVA, '-cp', self._classes, *words)

    def _start(self, port, controller):
        """Start it; whether it takes requests, or has ended."""
        path = self._configure(port, controller)
        with open(self._log, 'a') as log:
            subprocess.run(
                self._java(
                    'kafka.tools.StorageTool',
                    'format',
                    '--standalone',
                    '--cluster-id',
                    str(uuid.uuid4()),
                    '--config',
                    path,
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
                timeout=_SECONDS,
            )
            process = subprocess.Popen(
                self._java('kafka.Kafka', path),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.addCleanup(_stop, process)
        deadline = time.monotonic() + _SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(('127.0.0.1', port)).close()
            except ConnectionRefusedError:
                time.sleep(0.1)
            else:
                return True
        _stop(process)
        return False


def _stop(process):
    # What it holds is of no use to anybody.
    process.kill()
    process.wait()

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

"""A real Zuul: scheduler, merger and web, with a ZooKeeper and a database.

They listen on 127.0.0.1. The repositories are directories of this machine.
"""

from __future__ import annotations

import configparser
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
from urllib import error
from urllib import request

import fixtures
import yaml

from oslo_tracing.tests.functional import collectors
from oslo_tracing.tests.functional import servers

_BIN = pathlib.Path(sys.executable).parent
_SECONDS = 500
_JARS = pathlib.Path('/usr/share/java')
#: Debian's does not name all that TLS takes.
_CLASSES = (
    'zookeeper',
    *(
        f'netty-{part}'
        for part in (
            'buffer',
            'codec',
            'common',
            'handler',
            'resolver',
            'transport',
        )
    ),
    'slf4j-simple',
)


class _Programs(fixtures.Fixture):
    """Programs that run until the fixture is taken off."""

    def _setUp(self):
        self.home = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def start(self, name, *command):
        log = self.home / f'{name}.log'
        with open(log, 'w') as stream:
            process = subprocess.Popen(
                command,
                cwd=self.home,
                env={
                    'PATH': f'{_BIN}:{os.environ["PATH"]}',
                    'HOME': str(self.home),
                    'LANG': 'C.UTF-8',
                    'PYTHONWARNINGS': 'ignore',
                },
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(_stop, process)
        return process

    def wait(self, processes, true, what):
        """Wait until something is true while all programs run."""
        deadline = time.monotonic() + _SECONDS
        while not true():
            ended = [each for each in processes if each.poll() is not None]
            if ended or time.monotonic() > deadline:
                said = ''.join(
                    f'\n{path.name}\n{path.read_text()[-4000:]}'
                    for path in sorted(self.home.glob('*.log'))
                )
                raise AssertionError(f'no {what}: {said}')
            time.sleep(0.1)


class ZooKeeper(_Programs):
    """One server, asked by TLS alone.

    :ivar options: of ``[zookeeper]`` of Zuul.
    """

    def __init__(self, test):
        super().__init__()
        servers.must_be_there(
            test, (_JARS / 'zookeeper.jar').exists(), 'zookeeper'
        )
        # Part of what an executor is; no program of Zuul starts without.
        servers.must_be_there(test, shutil.which('bwrap'), 'bubblewrap')

    def _setUp(self):
        super()._setUp()
        key, cert = self.home / 'key.pem', self.home / 'cert.pem'
        subprocess.run(
            [
                *('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes'),
                *('-subj', '/CN=localhost', '-keyout', key, '-out', cert),
                *('-addext', 'subjectAltName=IP:127.0.0.1'),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
        both = self.home / 'both.pem'
        both.write_text(key.read_text() + cert.read_text())
        port = collectors.free_port()
        netty = 'org.apache.zookeeper.server.NettyServerCnxnFactory'
        options = {
            'admin.enableServer': 'false',
            'dataDir': self.home / 'data',
            'maxClientCnxns': 0,
            'secureClientPort': port,
            'secureClientPortAddress': '127.0.0.1',
            'serverCnxnFactory': netty,
            'ssl.keyStore.location': both,
            'ssl.keyStore.type': 'PEM',
            'ssl.trustStore.location': cert,
            'ssl.trustStore.type': 'PEM',
            'tickTime': 2000,
        }
        path = self.home / 'zoo.cfg'
        path.write_text(
            ''.join(f'{name}={value}\n' for name, value in options.items())
        )
        process = self.start(
            'zookeeper',
            *('java', '-Xmx128m', '-cp'),
            ':'.join(str(_JARS / f'{name}.jar') for name in _CLASSES),
            'org.apache.zookeeper.server.ZooKeeperServerMain',
            str(path),
        )
        self.wait([process], lambda: _listens(port), 'ZooKeeper')
        self.options = {
            'hosts': f'127.0.0.1:{port}',
            'tls_ca': cert,
            'tls_cert': cert,
            'tls_key': key,
        }


class Zuul(_Programs):
    """A scheduler of one tenant, whose repositories a test hands in.

    :param test: skipped where a server is missing.
    :param config_project: the one that may define pipelines.
    """

    def __init__(self, test, config_project):
        super().__init__()
        # Here, and not when it is set up, where a test cannot be skipped.
        self._zookeeper = ZooKeeper(test)
        self._database = servers.mariadb_url(test)
        self._config_project = config_project
        self._projects = [config_project]

    def _setUp(self):
        zookeeper = self.useFixture(self._zookeeper)
        super()._setUp()
        self._port = collectors.free_port()
        (self.home / 'state').mkdir()
        conf = configparser.ConfigParser(interpolation=None)
        conf.read_dict(
            {
                'connection opendev': {
                    'driver': 'git',
                    'baseurl': self.home / 'git',
                    'canonical_hostname': 'opendev.org',
                },
                'database': {'dburi': self._database},
                'keystore': {'password': 'of the tests'},
                'merger': {
                    'command_socket': self.home / 'merger.socket',
                    'git_dir': self.home / 'merger',
                    'git_user_email': 'zuul@example.com',
                    'git_user_name': 'zuul',
                    'pidfile': self.home / 'merger.pid',
                },
                'scheduler': {
                    'command_socket': self.home / 'scheduler.socket',
                    'pidfile': self.home / 'scheduler.pid',
                    'state_dir': self.home / 'state',
                    'tenant_config': self.home / 'main.yaml',
                },
                'web': {
                    'command_socket': self.home / 'web.socket',
                    'listen_address': '127.0.0.1',
                    'pidfile': self.home / 'web.pid',
                    'port': self._port,
                },
                'zookeeper': zookeeper.options,
            }
        )
        with open(self.home / 'zuul.conf', 'w') as stream:
            conf.write(stream)

    def add(self, name, files):
        """Add a repository to the tenant.

        :param files: content by path, or a directory for a path.
        """
        repository = self.home / 'git' / name
        repository.mkdir(parents=True)
        for path, content in files.items():
            if isinstance(content, pathlib.Path):
                shutil.copytree(content, repository / path)
            else:
                (repository / path).write_text(content)
        for words in (
            ('init', '-q', '-b', 'master'),
            ('add', '.'),
            ('commit', '-q', '-m', 'All'),
        ):
            subprocess.run(
                [
                    *('git', '-c', 'user.name=x', '-c', 'user.email=x@y'),
                    *words,
                ],
                cwd=repository,
                check=True,
                timeout=60,
            )
        if name != self._config_project:
            self._projects.append(name)

    def run(self):
        """Start it, and wait until the tenant is loaded."""
        config, *others = self._projects
        tenant = {
            'name': 'openstack',
            'source': {
                'opendev': {
                    'config-projects': [config],
                    'untrusted-projects': others,
                }
            },
        }
        (self.home / 'main.yaml').write_text(
            yaml.safe_dump([{'tenant': tenant}])
        )
        programs = [
            self.start(
                name,
                str(_BIN / f'zuul-{name}'),
                *('-c', str(self.home / 'zuul.conf'), '-f'),
            )
            for name in ('scheduler', 'merger', 'web')
        ]
        self.wait(programs, self._loaded, 'tenant')

    def _loaded(self):
        try:
            return 'openstack' in [one['name'] for one in self.ask('tenants')]
        except (error.URLError, OSError, ValueError):
            return False

    def ask(self, path):
        """Return what its web says, of the tenant or of all."""
        url = f'http://127.0.0.1:{self._port}/api/{path}'
        with request.urlopen(url, timeout=60) as answer:
            return json.load(answer)


def _listens(port):
    try:
        socket.create_connection(('127.0.0.1', port)).close()
    except ConnectionRefusedError:
        return False
    return True


def _stop(process):
    process.kill()
    process.wait()

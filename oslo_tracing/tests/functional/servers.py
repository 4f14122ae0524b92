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

"""Real servers for tests: started when first asked for, one each a process.

They stop when the process that runs the tests ends. Where a server is not
installed the test is skipped with the reason, unless OSLO_TRACING_NO_SKIP
says that all of them must be there.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid

from pifpaf.drivers import etcd
from pifpaf.drivers import mysql
from pifpaf.drivers import postgresql
from pifpaf.drivers import rabbitmq


def must_be_there(test, installed, what):
    """Skip a test where a server is missing and may be."""
    if installed:
        return
    reason = f'{what} is not installed'
    if os.environ.get('OSLO_TRACING_NO_SKIP'):
        test.fail(reason)
    test.skipTest(reason)


def rabbitmq_url(test):
    """Return the transport URL of a RabbitMQ, or skip ``test``."""
    must_be_there(
        test,
        shutil.which('rabbitmq-server')
        or os.path.exists('/usr/lib/rabbitmq/bin/rabbitmq-server'),
        'rabbitmq-server',
    )
    return _rabbitmq()


def mariadb_url(test):
    """Return the URL of an empty database of a MariaDB, or skip ``test``."""
    must_be_there(
        test,
        shutil.which('mysqld') or os.path.exists('/usr/sbin/mariadbd'),
        'mariadb-server',
    )
    name = f't{uuid.uuid4().hex}'
    path = _mariadb()
    subprocess.run(
        [
            'mysql',
            '--no-defaults',
            '-S',
            path,
            '-e',
            f'CREATE DATABASE {name};',
        ],
        check=True,
    )
    return f'mysql+pymysql://root@localhost/{name}?unix_socket={path}'


def postgresql_url(test):
    """Return the URL of an empty database of a PostgreSQL, or skip."""
    must_be_there(test, _postgresql_programs(), 'postgresql')
    name = f't{uuid.uuid4().hex}'
    directory, port = _postgresql()
    where = f'host={directory} port={port} user=postgres dbname=postgres'
    subprocess.run(
        ['psql', where, '-c', f'CREATE DATABASE {name}'],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return (
        f'postgresql+psycopg2://postgres@/{name}?host={directory}&port={port}'
    )


def memcached_port(test):
    """Return the port of a memcached, or skip ``test``."""
    must_be_there(test, shutil.which('memcached'), 'memcached')
    return _memcached()


def etcd_address(test):
    """Return the host and the port of an etcd, or skip ``test``."""
    must_be_there(test, shutil.which('etcd'), 'etcd-server')
    return f'localhost:{_etcd()}'


def free_port(highest=65535):
    """Return a port that nobody listens on."""
    while True:
        with socket.socket() as found:
            found.bind(('127.0.0.1', 0))
            port = found.getsockname()[1]
        if port <= highest:
            return port


@contextlib.contextmanager
def _outlives_the_test():
    """Make temporary directories outside of the one of the running test."""
    of_test, tempfile.tempdir = tempfile.tempdir, None
    try:
        yield
    finally:
        tempfile.tempdir = of_test


def _start(driver):
    with _outlives_the_test():
        driver.setUp()
    atexit.register(driver.cleanUp)
    return driver


@functools.cache
def _rabbitmq():
    # Nodes talk to each other on a second port, 20000 above.
    port = free_port(highest=45535)
    driver = rabbitmq.RabbitMQDriver(
        port=port, nodename=f'oslo-tracing-{port}'
    )
    _start(driver)
    return f'rabbit://{driver.username}:{driver.password}@127.0.0.1:{port}//'


@functools.cache
def _mariadb():
    return _start(mysql.MySQLDriver()).socket


@functools.cache
def _etcd():
    driver = etcd.EtcdDriver(port=free_port(), peer_port=free_port())
    return _start(driver).port


@functools.cache
def _memcached():
    # Not pifpaf's: that one cannot be started by root, and listens on all
    # addresses.
    port = free_port()
    arguments = ['-l', '127.0.0.1', '-p', str(port)]
    if os.geteuid() == 0:
        arguments += ['-u', 'nobody']
    process = subprocess.Popen(
        ['memcached', *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def stop():
        process.terminate()
        process.wait()

    atexit.register(stop)
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(('127.0.0.1', port)).close()
            return port
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _postgresql_programs():
    """Return the directory of Debian's newest, or of the PATH's."""
    found = sorted(glob.glob('/usr/lib/postgresql/*/bin'))
    if found:
        return found[-1]
    initdb = shutil.which('initdb')
    return os.path.dirname(initdb) if initdb else None


@functools.cache
def _postgresql():
    port = free_port()
    if os.geteuid() != 0:
        driver = postgresql.PostgreSQLDriver(port=port)
        _start(driver)
        return driver.tempdir, port
    # initdb refuses root, and another user can neither read root's virtual
    # environments nor run pifpaf from them.
    with _outlives_the_test():
        directory = tempfile.mkdtemp(prefix='oslo-tracing-postgresql-')
    user = pwd.getpwnam('postgres')
    os.chown(directory, user.pw_uid, user.pw_gid)
    programs = _postgresql_programs()

    def run(program, *arguments):
        subprocess.run(
            [
                'runuser',
                '-u',
                'postgres',
                '--',
                os.path.join(programs, program),
                '-D',
                f'{directory}/data',
                *arguments,
            ],
            check=True,
            cwd=directory,
            stdout=subprocess.DEVNULL,
        )

    def stop():
        run('pg_ctl', '-w', '-m', 'immediate', 'stop')
        shutil.rmtree(directory, ignore_errors=True)

    run('initdb', '-A', 'trust', '-U', 'postgres', '--no-sync')
    run(
        'pg_ctl',
        '-w',
        '-l',
        f'{directory}/log',
        '-o',
        f'-F -k {directory} -p {port} -h ""',
        'start',
    )
    atexit.register(stop)
    return directory, port

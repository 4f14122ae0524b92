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
"""Who can reach a service, and what the file of its uWSGI says."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from importlib import machinery
from importlib import util
import ipaddress
import os
import sys
from typing import Final
from urllib import parse

from oslo_config import cfg

from oslo_tracing.checks import results
from oslo_tracing import settings as settings_module

#: Where services say which address they listen on.
_LISTEN: Final = (
    ('DEFAULT', 'bind_host'),
    ('DEFAULT', 'osapi_compute_listen'),
    ('DEFAULT', 'metadata_listen'),
    ('DEFAULT', 'osapi_volume_listen'),
    ('api', 'host'),
    ('api', 'host_ip'),
)
_SOCKETS: Final = ('http-socket', 'http', 'https', 'socket', 'uwsgi-socket')
# What it means to name none; nobody is bound to it here.
_ANY: Final = '0.0.0.0'  # noqa: S104  # nosec B104
_OURS: Final = 'oslo_tracing.wsgi'
_GRACEFULLY: Final = 'gracefully_kill_them_all'
_VARIABLE: Final = 'OSLO_TRACING_WSGI_APP'
_MAX_BYTES: Final = 1 << 20


@dataclasses.dataclass(frozen=True)
class Uwsgi:
    """The file of a uWSGI.

    :param path: where it is.
    :param values: what its section ``[uwsgi]`` says, in order, since names
        may come again.
    """

    path: str
    values: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """Return all values of an option."""
        return [value for key, value in self.values if key == name]

    def is_on(self, name: str) -> bool:
        """Say whether an option is given, and not as false."""
        return any(
            value.lower() not in ('false', '0', 'no', 'off')
            for value in self.all(name)
        )

    @property
    def application(self) -> str:
        """What is served, as module and attribute, if that is said."""
        for name in ('module', 'wsgi'):
            for value in self.all(name):
                return value
        return ''

    @property
    def wrapped(self) -> str:
        """What our application is told to wrap."""
        for value in self.all('env'):
            name, _equals, found = value.partition('=')
            if name.strip() == _VARIABLE:
                return found.strip()
        return os.environ.get(_VARIABLE, '')


def read(path: str) -> Uwsgi:
    """Read an ini file of uWSGI's.

    :raises OSError: where it cannot be read.
    :raises UnicodeError: where it is not text.
    """
    with open(path, encoding='utf-8') as file:
        text = file.read(_MAX_BYTES)
    values, section = [], ''
    for line in text.splitlines():
        line = line.strip()
        if line.startswith('[') and line.endswith(']'):
            section = line[1:-1].strip()
        elif section == 'uwsgi' and line and line[0] not in '#;':
            name, _equals, value = line.partition('=')
            values.append((name.strip(), value.strip()))
    return Uwsgi(path, tuple(values))


def look(
    conf: cfg.ConfigOpts,
    settings: settings_module.Settings,
    url: str | None,
    uwsgi: Uwsgi | None,
) -> Iterator[results.Result]:
    """Look at who is believed, and at the server."""
    if not settings.trace_http_server:
        yield results.Result(
            results.WARNING, 'requests are not traced: trace_http_server'
        )
    elif settings.incoming == 'trust':
        yield _trust(conf, url, uwsgi)
    else:
        yield results.Result(results.OK, f'incoming = {settings.incoming}')
    if uwsgi is not None:
        yield from _server(uwsgi)


def _trust(
    conf: cfg.ConfigOpts, url: str | None, uwsgi: Uwsgi | None
) -> results.Result:
    found = list(_addresses(conf, url, uwsgi))
    public = [where for where, host in found if not _is_local(host)]
    if found and not public:
        where = ', '.join(each for each, _host in found)
        return results.Result(
            results.OK,
            f'incoming = trust: only this host can send requests ({where}), '
            'unless a proxy passes those of others on',
        )
    listens = f' ({", ".join(public)})' if public else ''
    return results.Result(
        results.WARNING,
        'incoming = trust: whoever can send a request to this '
        f'service{listens} can join a trace, and have it recorded or not; set '
        'signing_keys, or incoming = link, where strangers can reach it',
    )


def _addresses(
    conf: cfg.ConfigOpts, url: str | None, uwsgi: Uwsgi | None
) -> Iterator[tuple[str, str]]:
    """Tell where requests come in: where that is said, and the host."""
    host = None
    if url is not None:
        try:
            host = parse.urlsplit(url).hostname
        except ValueError:
            host = None
    if host:
        # This is how clients reach it, whatever is in between.
        yield host, host
        return
    if uwsgi is not None:
        for name in _SOCKETS:
            for value in uwsgi.all(name):
                if '/' in value or value.startswith('@'):
                    yield f'{name} = {value}', 'localhost'
                else:
                    host = value.rpartition(':')[0].strip('[]')
                    yield f'{name} = {value}', host or _ANY
        return
    for group, name in _LISTEN:
        value = results.said(conf, group, name)
        if value:
            yield f'{name} = {value}', str(value)


def _is_local(host: str) -> bool:
    if host == 'localhost' or host.endswith('.localhost'):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _server(uwsgi: Uwsgi) -> Iterator[results.Result]:
    if not uwsgi.values:
        yield results.Result(
            results.WARNING,
            f'uWSGI: {uwsgi.path} says nothing in a section [uwsgi]; an ini '
            'file is looked at, and no other form',
        )
        return
    if uwsgi.is_on('enable-threads') or uwsgi.is_on('threads'):
        yield results.Result(results.OK, 'uWSGI: Python\'s threads run')
    else:
        yield results.Result(
            results.WARNING,
            'uWSGI: without enable-threads, in a uWSGI before 2.0.27, spans '
            'are only sent while a request is served',
        )
    if not uwsgi.is_on('master') or not any(
        _GRACEFULLY in value for value in uwsgi.all('hook-master-start')
    ):
        yield results.Result(
            results.WARNING,
            'uWSGI: without master = true and hook-master-start = '
            f'unix_signal:15 {_GRACEFULLY} a worker that is stopped while it '
            'is busy loses what it has not sent',
        )
    if uwsgi.is_on('skip-atexit'):
        yield results.Result(
            results.WARNING,
            'uWSGI: with skip-atexit a worker that is stopped loses what it '
            'has not sent',
        )
    application = uwsgi.application
    served = application
    if application.partition(':')[0] == _OURS:
        served = wrapped = uwsgi.wrapped
        if wrapped:
            yield results.Result(
                results.OK, f'uWSGI: requests to {wrapped} are traced'
            )
        else:
            yield results.Result(
                results.ERROR,
                f'uWSGI: module = {application}, and no env = '
                f'{_VARIABLE}=... names the application of the service',
            )
    elif application:
        yield results.Result(
            results.OK,
            f'uWSGI: requests to {application} are traced where its pipeline '
            f'has our filter; module = {_OURS}:application needs none',
        )
    if served and not _is_found(served.partition(':')[0]):
        yield results.Result(
            results.WARNING,
            f'uWSGI: {served} is not found by this Python, {sys.executable}; '
            'where uWSGI does not find it either, nothing is served',
        )


def _is_found(name: str) -> bool:
    """Say whether a module can be imported, without any code of it.

    A service that is imported may patch its process.
    """
    try:
        package, *others = name.split('.')
        spec = util.find_spec(package)
        for other in others:
            if spec is None:
                return False
            package = f'{package}.{other}'
            where = spec.submodule_search_locations
            spec = machinery.PathFinder.find_spec(package, where or [])
    except (ImportError, ValueError):
        return False
    return spec is not None

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


"""Wrong export options stop the start, with one sentence that says why.

Works on names, text and files only: it imports no exporter, no requests, no
grpc and no ssl.
"""

from __future__ import annotations

import base64
import binascii
from importlib import metadata
import os
import re
import stat
from typing import Final
from typing import TYPE_CHECKING
from urllib import parse

from oslo_tracing import _regex
from oslo_tracing import exceptions

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

#: Entry point group of OpenTelemetry's and other people's exporters.
GROUP: Final = 'opentelemetry_traces_exporter'
NONE: Final = 'none'

#: Characters of an endpoint that an error shows.
_MAX_SHOWN: Final = 256

_PLANTED: Final = 'another user has made it, or the way to it'

_OWN: Final = ('file', 'log', 'otlp', 'statsd', 'zipkin')
# Packages that not every service has.
_NEEDS: Final = {
    'statsd': 'statsd',
    'zipkin': 'opentelemetry-exporter-zipkin-json',
}
_PROTOCOLS: Final = ('http/protobuf', 'grpc')
_COMPRESSIONS: Final = ('none', 'gzip')

# "token" of RFC 9110.
_HEADER_NAME: Final = _regex.late(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# White space around it is no part of a value; requests refuses it, and says
# the value. gRPC does the same with a tab anywhere.
_HEADER_VALUE: Final = _regex.late(
    r'(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?'
)
# What stands where a port should, such as a password whose @ was forgotten.
_NO_PORT: Final = _regex.late(
    r'\A((?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:\[[^\]]*\]|[^:/\[\]]*)):'
    r'(?!//|[0-9]{0,5}(?:/|\Z)).*',
    re.DOTALL,
)
_PEM: Final = _regex.late(
    rb'-----BEGIN ([A-Z0-9 ]+)-----\s(.*?)-----END \1-----', re.DOTALL
)


def validate(settings: settings_module.Settings) -> None:
    """Refuse export settings that cannot work.

    :raises InvalidOption: names the option and its value, or what may be
        shown of it.
    """
    _exporters(settings)
    if 'otlp' in settings.exporters:
        _endpoint(settings)
        _headers(settings)
    if 'otlp' in settings.exporters or _asks_a_server(settings):
        _files(settings)
    if 'zipkin' in settings.exporters:
        _zipkin(settings.zipkin_endpoint)
    if 'statsd' in settings.exporters:
        _statsd(settings.statsd_address)
    if 'file' in settings.exporters:
        _directory(settings.file_directory)


def _asks_a_server(settings: settings_module.Settings) -> bool:
    """Whether the sampler speaks TLS too, with the same files."""
    return settings.sampler.strip().lower().endswith('jaeger_remote')


def _exporters(settings: settings_module.Settings) -> None:
    chosen = settings.exporters
    if not chosen:
        raise exceptions.InvalidOption(
            'exporters', 'an empty list', 'say none to export nowhere'
        )
    if NONE in chosen and len(chosen) > 1:
        raise exceptions.InvalidOption(
            'exporters', ','.join(chosen), 'none excludes all others'
        )
    for name in chosen:
        _needed(name)
    others = [name for name in chosen if name not in (*_OWN, NONE)]
    if not others:
        return
    installed = {point.name for point in metadata.entry_points(group=GROUP)}
    for name in others:
        if name not in installed:
            known = ', '.join(sorted({*_OWN, NONE, *installed}))
            raise exceptions.InvalidOption(
                'exporters', repr(name), f'no such exporter, there are {known}'
            )


def _needed(name: str) -> None:
    package = _NEEDS.get(name)
    if package is None:
        return
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        raise exceptions.InvalidOption(
            'exporters', repr(name), f'it needs the package {package}'
        ) from None


def _zipkin(endpoint: str) -> None:
    why = _wrong_with(endpoint, grpc=False)
    if why:
        raise exceptions.InvalidOption(
            'zipkin_endpoint', repr(_shown(endpoint)), why
        )


def _statsd(address: str) -> None:
    try:
        parts = parse.urlsplit(f'//{address}')
        good = parts.hostname and parts.port != 0 and parts.netloc == address
    except ValueError:
        good = False
    if not good or not re.fullmatch(r'[!-?A-~]+', address):
        raise exceptions.InvalidOption(
            'statsd_address', repr(_shown(address)), 'not a host and a port'
        )


def _endpoint(settings: settings_module.Settings) -> None:
    if settings.otlp_protocol not in _PROTOCOLS:
        raise exceptions.InvalidOption(
            'otlp_protocol',
            repr(settings.otlp_protocol),
            f'not one of {", ".join(_PROTOCOLS)}',
        )
    if settings.otlp_compression not in _COMPRESSIONS:
        raise exceptions.InvalidOption(
            'otlp_compression',
            repr(settings.otlp_compression),
            f'not one of {", ".join(_COMPRESSIONS)}',
        )
    grpc = settings.otlp_protocol == 'grpc'
    why = _wrong_with(settings.otlp_endpoint, grpc)
    if why:
        raise exceptions.InvalidOption(
            'otlp_endpoint', repr(_shown(settings.otlp_endpoint)), why
        )


def _wrong_with(endpoint: str, grpc: bool) -> str | None:
    if (
        not endpoint.isascii()
        or not endpoint.isprintable()
        or (' ' in endpoint)
    ):
        return 'not a URL'
    if '@' in parse.unquote(endpoint):
        return 'credentials do not belong in it, use otlp_headers'
    if '?' in endpoint or '#' in endpoint:
        return 'a query or a fragment has no meaning there'
    if '://' not in endpoint:
        if not grpc:
            return 'it must start with http:// or https://'
        # host:port would be taken for a scheme and a path.
        endpoint = f'//{endpoint}'
    try:
        parts = parse.urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        return 'not a URL'
    if parts.scheme not in ('http', 'https') and not (
        grpc and not parts.scheme
    ):
        return 'it must start with http:// or https://'
    if not host:
        return 'it has no host'
    if parts.netloc.endswith(':') or port == 0:
        return 'it has no port after the colon'
    if grpc and parts.path not in ('', '/'):
        return 'a path has no meaning with grpc'
    return None


def _shown(endpoint: str) -> str:
    """Return the endpoint without what could be a secret."""
    if '@' not in endpoint and '@' in parse.unquote(endpoint):
        endpoint = parse.unquote(endpoint)
    if '@' in endpoint:
        # From the last one: a password may hold any character.
        scheme, found, _rest = endpoint.partition('://')
        host = endpoint.rpartition('@')[2]
        endpoint = f'{scheme}://***@{host}' if found else f'***@{host}'
    bare = re.split(r'[?#]', endpoint, maxsplit=1)[0]
    if bare != endpoint:
        bare = f'{bare}?***'
    return _NO_PORT.sub(r'\1:***', bare)[:_MAX_SHOWN]


def _headers(settings: settings_module.Settings) -> None:
    for name, value in settings.otlp_headers.items():
        why = None
        if not _HEADER_NAME.fullmatch(name):
            why = 'a name in it is not that of a header'
        elif not _HEADER_VALUE.fullmatch(value) or (
            settings.otlp_protocol == 'grpc' and '\t' in value
        ):
            why = 'a value in it has characters that no header may have'
        elif settings.otlp_protocol == 'grpc' and (
            name.lower().startswith('grpc-') or name.lower().endswith('-bin')
        ):
            why = 'names of grpc itself are in it'
        if why:
            # Whoever mixes up the two puts the token into the name.
            raise exceptions.InvalidOption('otlp_headers', '(secret)', why)


def _files(settings: settings_module.Settings) -> None:
    if settings.otlp_ca_file:
        _pem('otlp_ca_file', settings.otlp_ca_file, b'CERTIFICATE')
    if settings.otlp_cert_file:
        _pem('otlp_cert_file', settings.otlp_cert_file, b'CERTIFICATE')
        if settings.otlp_key_file:
            _pem('otlp_key_file', settings.otlp_key_file, b'PRIVATE KEY')
        else:
            raise exceptions.InvalidOption(
                'otlp_cert_file',
                repr(settings.otlp_cert_file),
                'its private key is missing, set otlp_key_file',
            )
    elif settings.otlp_key_file:
        raise exceptions.InvalidOption(
            'otlp_key_file',
            repr(settings.otlp_key_file),
            'its certificate is missing, set otlp_cert_file',
        )


def _pem(option: str, path: str, kind: bytes) -> None:
    try:
        # A device or a pipe would let the start wait for ever.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise exceptions.InvalidOption(option, repr(path), 'not a file')
        with open(path, 'rb') as file:
            content = file.read()
    except (OSError, ValueError) as error:
        raise exceptions.InvalidOption(
            option, repr(path), f'cannot be read, {_reason(error)}'
        ) from None
    for label, body in _PEM.findall(content):
        if label.endswith(kind) and _is_base64(body):
            return
    raise exceptions.InvalidOption(
        option, repr(path), f'no {kind.decode().lower()} in PEM form in it'
    )


def _is_base64(body: bytes) -> bool:
    # Old encrypted keys have headers and an empty line first.
    body = re.split(rb'\r?\n\r?\n', body)[-1]
    try:
        return bool(base64.b64decode(b''.join(body.split()), validate=True))
    except binascii.Error:
        return False


def _directory(path: str | None) -> None:
    if not path:
        raise exceptions.InvalidOption(
            'file_directory', repr(path), 'the file exporter needs it'
        )
    why = wrong_with_directory(path)
    if why:
        raise exceptions.InvalidOption('file_directory', repr(path), why)


def wrong_with_directory(path: str) -> str | None:
    """Return why traces cannot be written there, None if they can.

    Makes nothing: that is left to the process that writes.
    """
    if not os.path.isabs(path):
        return 'it must be an absolute path'
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return _wrong_with_parent(path)
    except (OSError, ValueError) as error:
        return _reason(error)
    if not stat.S_ISDIR(mode):
        return 'not a directory'
    if mode & stat.S_IWOTH:
        return 'everybody may write to it'
    if _is_planted(path):
        return _PLANTED
    if not os.access(path, os.W_OK | os.X_OK):
        return 'it cannot be written to'
    if not os.access(path, os.R_OK):
        # How much is in it has to be known before there is more.
        return 'it cannot be read'
    return None


def _is_planted(path: str) -> bool:
    """Say whether another user may have chosen where traces go.

    In ``/tmp`` and its like: by a link, or by a directory whose group or
    access list lets that user read what is written.
    """
    for each in (path.rstrip('/'), os.path.realpath(path)):
        while each not in ('', '/'):
            parent = os.path.dirname(each)
            for_all = os.stat(parent or '/').st_mode & stat.S_IWOTH
            if for_all and os.lstat(each).st_uid not in (0, os.geteuid()):
                return True
            each = parent
    return False


def _wrong_with_parent(path: str) -> str | None:
    parent = os.path.dirname(path.rstrip('/')) or '/'
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent):
        return f'it cannot be made, {parent} is not a directory'
    if _is_planted(parent):
        return _PLANTED
    if not os.access(parent, os.W_OK | os.X_OK):
        return f'it cannot be made, {parent} cannot be written to'
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)

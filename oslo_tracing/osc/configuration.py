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

"""What a client traces with: a file of its own, and the environment.

The options are those of every service. A client differs in its defaults:
the option on its command line is what turns tracing on, all that is asked
for is traced, and spans are sent only where somebody said where to.
"""

from __future__ import annotations

from collections.abc import Mapping
import os

from oslo_config import cfg

from oslo_tracing import opts
from oslo_tracing import service

#: Names the configuration file.
FILE_VARIABLE = 'OSLO_TRACING_CONFIG'
#: Where OpenStackClient itself takes the key of OSProfiler from.
KEY_VARIABLE = 'OS_PROFILE'

_NAME = 'tracing.conf'
_SYSTEM = '/etc/openstack'
_OTLP = 'OTEL_EXPORTER_OTLP_'
#: Seconds. A command is over before its first batch is due: all of its spans
#: are sent at the end, and what sends them is only loaded then.
_SHUTDOWN_TIMEOUT = 5.0
_GROUP = opts.GROUP.name


def load(environ: Mapping[str, str], key: str | None) -> cfg.ConfigOpts:
    """Return the configuration of this client.

    :param environ: of the process.
    :param key: of OSProfiler, None to look for it in the environment, and
        in the file.
    :raises ConfigurationUnreadable: when the file cannot be used.
    """
    conf = service.read_configuration('openstack', find(environ))
    exports = _says_where(conf, environ)
    opts.set_defaults(
        conf,
        enabled=True,
        exporters=['otlp' if exports else 'none'],
        shutdown_timeout=_SHUTDOWN_TIMEOUT,
    )
    # Who asks for this trace means this one, not a tenth of it.
    conf.set_override('sampler', 'always_on', group=_GROUP)
    key = key or environ.get(KEY_VARIABLE)
    if key:
        # oslo.config reads a dollar sign as the begin of a reference.
        key = key.replace('$', '$$')
        conf.set_override('hmac_keys', [key], group=_GROUP)
    return conf


def find(environ: Mapping[str, str]) -> str | None:
    """Return the path of the configuration file, None where there is none.

    The directories are those of ``clouds.yaml``, save for the working
    directory: that may be a stranger's, and the file can hold a key.

    :param environ: of the process.
    """
    named = environ.get(FILE_VARIABLE)
    if named:
        return named
    user = environ.get('XDG_CONFIG_HOME') or os.path.expanduser('~/.config')
    for path in (
        os.path.join(user, 'openstack', _NAME),
        os.path.join(_SYSTEM, _NAME),
    ):
        if os.path.isfile(path):
            return path
    return None


def _says_where(conf: cfg.ConfigOpts, environ: Mapping[str, str]) -> bool:
    """Tell whether somebody said where an OTLP endpoint is."""
    if any(
        value.strip()
        for name, value in environ.items()
        if name.startswith(_OTLP) and name.endswith('ENDPOINT')
    ):
        return True
    where = conf.get_location('otlp_endpoint', _GROUP)
    return where is not None and where.location.is_user_controlled

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

"""The plugin that gives ``openstack`` the option ``--trace``.

OpenStackClient imports the plugins of all its users at every start. So
nothing is imported here that is not needed to add the option; what traces
is loaded by the option itself.
"""

from __future__ import annotations

import argparse
from typing import Any

#: What OpenStackClient asks of every plugin. There is no API behind this
#: one, hence only one version of it.
API_NAME = 'oslo_tracing'
API_VERSION_OPTION = 'os_oslo_tracing_api_version'
API_VERSIONS = ('1',)
DEFAULT_API_VERSION = '1'


def make_client(instance: Any) -> None:
    """Return the client of the API that this plugin does not have."""
    return None


def build_option_parser(
    parser: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """Add our option to the global ones.

    :param parser: of all global options.
    :returns: the same one.
    """
    parser.add_argument(
        '--trace',
        action=_Trace,
        # Global options end up in the configuration of the cloud: only
        # where it was given, this one too.
        default=argparse.SUPPRESS,
        nargs=0,
        help='Trace this command and all that it causes in the cloud, and '
        'print the id of the trace on standard error. OTEL_* variables or '
        'the file tracing.conf beside clouds.yaml tell where the own part '
        'of the trace is sent to, and the key that makes the cloud trace '
        'it whatever its ratio is (Env: OS_PROFILE).',
    )
    return parser


class _Trace(argparse.Action):
    """Makes the command that follows a traced one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        from oslo_tracing.osc import commands

        setattr(namespace, self.dest, True)
        commands.trace_all()

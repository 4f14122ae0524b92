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

"""A span for each command that a daemon of oslo.rootwrap runs.

Why here: ``Client.execute`` is what whoever has such a daemon calls, as
Neutron's agents do. The daemon runs as root and is left alone: it says itself
how a command ended.
"""

from __future__ import annotations

import contextlib
import functools
import types

from oslo_tracing import _wrap
from oslo_tracing import integrations


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Attach to oslo.rootwrap's client, now or when it is imported.

    :param toolbox: settings and tracer.
    :param undo: closing it takes everything off.
    """
    _wrap.on_import(
        'oslo_rootwrap.client',
        functools.partial(_attach, toolbox, undo),
        undo,
    )


def _attach(
    toolbox: integrations.Toolbox,
    undo: contextlib.ExitStack,
    module: types.ModuleType,
) -> None:
    # Not needed where nobody runs any.
    from oslo_tracing.integrations import _commands

    commands = _commands.Commands(
        toolbox.tracer('oslo_rootwrap'), toolbox.settings
    )
    undo.callback(commands.stop)
    _wrap.wrap(
        module.Client,
        'execute',
        commands.around_client,
        undo,
        distribution='oslo.rootwrap',
        untraced='commands over the daemon of rootwrap are',
    )

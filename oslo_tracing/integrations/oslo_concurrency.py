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

"""Waiting for the locks of oslo.concurrency, and the commands it runs.

They are two modules there, and two files here; each has its option.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import types

from opentelemetry import trace

from oslo_tracing import _real
from oslo_tracing import _wrap
from oslo_tracing import integrations
from oslo_tracing.integrations import _locks as locks_module
from oslo_tracing import settings as settings_module

LOG = logging.getLogger(__name__)

# Of gRPC's core, which takes these for "no".
_FORK_SUPPORT = 'GRPC_ENABLE_FORK_SUPPORT'
_OFF = ('0', 'false', 'f', 'no', 'n')
_LOCKS = (
    ('internal_lock', 'waits for locks are'),
    ('internal_fair_lock', 'waits for fair locks are'),
    ('external_lock', 'waits for locks between processes are'),
)


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Attach to what the options ask for, now or when it is imported.

    :param toolbox: settings and tracer.
    :param undo: closing it takes everything off.
    """
    tracer = toolbox.tracer('oslo_concurrency')
    if toolbox.settings.trace_locks:
        locks = locks_module.Locks(tracer, toolbox.settings)
        undo.callback(locks.stop)
        for name, untraced in _LOCKS:
            # Each by itself: one that is missing costs that one.
            _wrap.on_import(
                'oslo_concurrency.lockutils',
                functools.partial(
                    _attach_lock, locks, undo, name=name, untraced=untraced
                ),
                undo,
            )
    if _endangers_commands(toolbox.settings):
        _wrap.on_import('oslo_concurrency.processutils', _warn, undo)
    if toolbox.settings.trace_commands:
        _wrap.on_import(
            'oslo_concurrency.processutils',
            functools.partial(_attach_commands, tracer, toolbox, undo),
            undo,
        )


def _endangers_commands(settings: settings_module.Settings) -> bool:
    """Whether gRPC is at work in the children that are to run commands.

    Its own handling of forks ends some of them before they do, and a forked
    worker needs it.
    """
    return (
        'otlp' in settings.exporters
        and settings.otlp_protocol == 'grpc'
        and not _real.is_green()
        and os.environ.get(_FORK_SUPPORT, '').lower() not in _OFF
    )


def _warn(_module: types.ModuleType) -> None:
    LOG.warning(
        'OTLP over gRPC can make commands that this process runs fail with '
        'exit code -6: choose [tracing] otlp_protocol = http/protobuf, or '
        'set %s=0 where no process is forked that is traced.',
        _FORK_SUPPORT,
    )


def _attach_lock(
    locks: locks_module.Locks,
    undo: contextlib.ExitStack,
    module: types.ModuleType,
    *,
    name: str,
    untraced: str,
) -> None:
    _wrap.wrap(
        module,
        name,
        getattr(locks, f'around_{name}'),
        undo,
        distribution='oslo.concurrency',
        untraced=untraced,
    )


def _attach_commands(
    tracer: trace.Tracer,
    toolbox: integrations.Toolbox,
    undo: contextlib.ExitStack,
    module: types.ModuleType,
) -> None:
    # Not needed where nobody runs any.
    from oslo_tracing.integrations import _commands

    commands = _commands.Commands(tracer, toolbox.settings)
    undo.callback(commands.stop)
    _wrap.wrap(
        module,
        'execute',
        commands.around_execute,
        undo,
        distribution='oslo.concurrency',
        untraced='external commands are',
    )

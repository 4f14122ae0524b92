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

"""What we attach to, in which order.

An integration is a module here with ``install(toolbox, undo)``. It never
imports the library it attaches to: it attaches at once where the service
has imported it, else when it does. What is attached is pushed on ``undo``.
It is itself not imported before there may be something to attach to.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import importlib
import types
from typing import Any
from typing import TYPE_CHECKING

from oslo_tracing import _guard
from oslo_tracing import _wrap

if TYPE_CHECKING:
    # oslo_log is loaded from here also while tracing is off.
    from opentelemetry import trace

    from oslo_tracing import _ready
    from oslo_tracing import propagation as propagation_module
    from oslo_tracing import settings as settings_module

#: Each integration and the options any of which asks for it; without
#: options it is always installed. The order is that of set-up: what others
#: rely on comes first.
INTEGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ('oslo_context', ()),
    ('flask', ('trace_http_server',)),
    ('oslo_messaging', ('trace_rpc', 'trace_notifications')),
    ('sqlalchemy', ('trace_db',)),
    ('oslo_db', ('trace_db',)),
    ('http_client', ('trace_http_client',)),
    ('oslo_concurrency', ('trace_locks', 'trace_commands')),
    ('oslo_privsep', ()),
    ('oslo_rootwrap', ('trace_commands',)),
    ('tooz', ('trace_locks', 'trace_periodic')),
    ('oslo_cache', ('trace_cache',)),
    ('osprofiler', ('osprofiler',)),
    ('executors', ()),
    ('threads', ()),
    ('eventlet', ()),
    ('oslo_service', ()),
    ('oslo_reports', ()),
    ('opentracing', ()),
)

#: Of which module of others the first must be imported before there is
#: anything to attach to; integrations that are not here do not wait.
_WAITS_FOR: dict[str, tuple[str, ...]] = {
    'flask': ('flask.app',),
    'oslo_messaging': ('oslo_messaging',),
    'sqlalchemy': ('sqlalchemy',),
    'oslo_db': ('oslo_db.api',),
    'http_client': ('requests.sessions', 'keystoneauth1.session'),
    'oslo_concurrency': (
        'oslo_concurrency.lockutils',
        'oslo_concurrency.processutils',
    ),
    'oslo_privsep': ('oslo_privsep.daemon', 'oslo_privsep.comm'),
    'oslo_rootwrap': ('oslo_rootwrap.client',),
    'tooz': ('tooz.drivers', 'tooz.locking'),
    'oslo_cache': ('dogpile.cache.backends.memcached',),
    'osprofiler': ('osprofiler',),
    'oslo_reports': ('oslo_reports.guru_meditation_report',),
    'opentracing': ('opentracing',),
}


def _nobody_knows(parent: trace.SpanContext) -> bool:
    """Stand in for a sampler that only its own decision tells of."""
    return False


class Toolbox:
    """What an integration gets to work with.

    :ivar settings: the options' values.
    :ivar propagation: reads and writes trace context.
    :ivar make_tracer: gives the tracer of an integration by its name.
    :ivar foreign_option: value of another library's option by group and
        name, None where it is not registered.
    :ivar drops: says of a parent whether nothing below it is recorded, so
        that no span is needed to hand its trace on.
    """

    def __init__(
        self,
        settings: settings_module.Settings,
        propagation: propagation_module.Propagation,
        make_tracer: Callable[[str], _ready.Tracer],
        foreign_option: Callable[[str, str], Any],
        drops: Callable[[trace.SpanContext], bool] = _nobody_knows,
    ) -> None:
        self.settings = settings
        self.propagation = propagation
        self.make_tracer = make_tracer
        self.foreign_option = foreign_option
        self.drops = drops

    def tracer(self, integration: str) -> _ready.Tracer:
        """Return the tracer with the scope ``oslo_tracing.<integration>``."""
        return self.make_tracer(integration)


def install(
    toolbox: Toolbox,
    undo: contextlib.ExitStack,
    only: tuple[str, ...] | None = None,
) -> None:
    """Install every integration that the settings ask for.

    :param toolbox: what each gets.
    :param undo: closing it takes all of them off, in reverse order.
    :param only: names of integrations, to install no others; for tests.
    """
    for name, options in INTEGRATIONS:
        wanted = not options or any(
            getattr(toolbox.settings, option) for option in options
        )
        if not wanted or (only is not None and name not in only):
            continue
        make = functools.partial(_install, name, toolbox, undo)
        waits_for = _WAITS_FOR.get(name)
        if waits_for is None:
            make()
            continue
        arrived = functools.partial(_arrived, [make])
        for module_name in waits_for:
            _wrap.on_import(module_name, arrived, undo)


def _install(name: str, toolbox: Toolbox, undo: contextlib.ExitStack) -> None:
    with _guard.never_break_the_service(f'installing {name}'):
        module = importlib.import_module(f'{__name__}.{name}')
        module.install(toolbox, undo)


def _arrived(
    waiting: list[Callable[[], None]], _module: types.ModuleType
) -> None:
    """Do what waits, once; threads may import its modules together."""
    try:
        install_it = waiting.pop()
    except IndexError:
        return
    install_it()

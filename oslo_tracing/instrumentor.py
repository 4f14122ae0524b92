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

"""The way in for users of ``opentelemetry-instrument``.

What the entry point ``opentelemetry_instrumentor`` leads to. It is what their
``BaseInstrumentor`` is, without needing their package. The programs that load
it do so before the service has begun: like ``oslo-tracing run`` it waits for
the configuration, and loads nothing before.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from oslo_tracing import _runtime
from oslo_tracing import autoload

_ENABLED = 'enabled'


class OsloTracingInstrumentor:
    """Turns tracing on in a service that parses a configuration.

    To be instrumented means to be enabled where ``[tracing] enabled`` is not
    set at all; where it is set, it decides.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what has to be installed for this: nothing."""
        return ()

    @property
    def is_instrumented_by_opentelemetry(self) -> bool:
        """Whether :meth:`instrument` was called."""
        return bool(_runtime.RUNTIME.is_instrumented)

    def instrument(self, **_kwargs: Any) -> None:
        """Call ``setup()`` when the service has parsed its configuration.

        :param _kwargs: as others get them; the tracer provider that is used
            is the global one.
        """
        runtime = _runtime.RUNTIME
        waits = runtime.is_instrumented is not None
        runtime.is_instrumented = True
        if not waits:
            autoload.wait(autoload.program_name, _may)

    def uninstrument(self, **_kwargs: Any) -> None:
        """Take tracing off, and wait for no configuration any more."""
        runtime = _runtime.RUNTIME
        if not runtime.is_instrumented:
            return
        runtime.is_instrumented = False
        if runtime.conf is not None:
            # Else nothing was ever set up.
            from oslo_tracing import opts
            from oslo_tracing import service

            runtime.conf.clear_default(_ENABLED, group=opts.GROUP.name)
            service.shutdown()


def _may(conf: Any) -> bool:
    if not _runtime.RUNTIME.is_instrumented:
        return False
    try:
        from oslo_tracing import opts

        opts.set_defaults(conf, enabled=True)
    except Exception:
        from oslo_tracing import _guard

        _guard.report('turning tracing on for opentelemetry-instrument')
        return False
    return True

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

"""Code that speaks the OpenTracing API gets our tracer.

``opentracing.global_tracer()`` is one that does nothing until somebody sets
another. OpenTelemetry's shim makes one of ours; where it is not installed,
or somebody has set a tracer, everything stays as it is.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from typing import Any

from oslo_tracing import _wrap
from oslo_tracing import integrations

LOG = logging.getLogger(__name__)


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Offer a tracer until ``undo`` closes."""

    def attach(module: Any) -> None:
        if module.is_global_tracer_registered():
            LOG.info(
                'OpenTracing has a tracer already: what uses it is not part '
                'of our traces.'
            )
            return
        try:
            ours = importlib.import_module(
                'oslo_tracing.integrations._opentracing_tracer'
            )
        except ImportError:
            LOG.info(
                'Spans of OpenTracing are not recorded: '
                'opentelemetry-opentracing-shim is not installed.'
            )
            return
        before = module.tracer
        tracer = ours.Tracer(toolbox)

        def restore() -> None:
            if module.tracer is tracer:
                module.tracer = before
                module.is_tracer_registered = False

        undo.callback(restore)
        module.set_global_tracer(tracer)

    _wrap.on_import('opentracing', attach, undo)

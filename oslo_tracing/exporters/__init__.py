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


"""Where ended spans go, and how they get there.

``validate`` is asked when the service starts and imports no exporter;
``build`` gives the one span processor of our provider. The exporters
themselves are imported by the thread that uses them, when the first span has
ended: neither grpc nor ssl may be loaded before a service has patched what it
patches. Where eventlet has patched already they are imported by ``build``: a
module that is imported asks for a logger, and the lock for that is green.
Those of others are imported by ``build``, too, when the first span starts.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import importlib
from importlib import metadata
import logging
from typing import Any
from typing import Final
from typing import TYPE_CHECKING

from oslo_tracing import _real
from oslo_tracing import counters
from oslo_tracing.exporters import _validate

if TYPE_CHECKING:
    from opentelemetry.sdk import resources

    from oslo_tracing.exporters import _lines
    from oslo_tracing.exporters import _pipeline
    from oslo_tracing import settings as settings_module

LOG = logging.getLogger(__name__)

__all__ = ['build', 'validate']

validate = _validate.validate

# Handed a batch in this order: who waits for nobody comes before who may
# wait for a collector.
_OWN: Final = ('log', 'file', 'statsd', 'otlp', 'zipkin')


def build(
    settings: settings_module.Settings,
    resource: Callable[[], resources.Resource],
    stats: counters.Counters | None = None,
) -> _pipeline.Pipeline:
    """Return the processor that exports as the settings say.

    Starts no thread, and imports no exporter of ours unless eventlet has
    patched.

    :param settings: validated settings; ``excluded_attributes`` may change
        later, by assignment.
    :param resource: tells what the spans of the calling process belong to.
        Asked only in a forked child, once: there it takes the place of the
        resource, with the ``process.pid`` of its parent, that spans have.
    :param stats: where exported and dropped spans are counted; new ones if
        None, to be found at the pipeline.
    """
    # Not above: whoever only validates needs neither them nor the SDK.
    from oslo_tracing.exporters import _green
    from oslo_tracing.exporters import _lines
    from oslo_tracing.exporters import _pipeline

    chosen = [name for name in settings.exporters if name != _validate.NONE]
    ordered: list[str] = [name for name in _OWN if name in chosen]
    ordered += [name for name in chosen if name not in _OWN]
    if _real.is_green():
        if 'otlp' in ordered and settings.otlp_protocol == 'grpc':
            LOG.warning(
                '[tracing] otlp_protocol = grpc is not used, since it can '
                'hang a service on eventlet: spans are sent over HTTP to %s.',
                _green.without_grpc(settings).otlp_endpoint,
            )
    for name in ordered:
        if name not in _OWN:
            # They may load what starts threads, which an interpreter refuses
            # that ends: where the first batch is the last that is too late.
            # What goes wrong is found again, and told, by who builds it.
            with contextlib.suppress(Exception):
                _of_others(name)
        elif _real.is_green():
            _load(name, settings)
    stats = counters.Counters() if stats is None else stats
    builders: dict[str, Callable[[resources.Resource], Any]] = {
        name: functools.partial(_build_one, name, settings) for name in ordered
    }
    lines = None
    if _lines.EXPORTER in builders:
        lines = _lines.Lines(settings, stats)
        builders[_lines.EXPORTER] = functools.partial(_build_log, lines)
    return _pipeline.Pipeline(settings, builders, resource, stats, lines)


def _build_log(lines: _lines.Lines, resource: resources.Resource) -> Any:
    module = importlib.import_module(f'{__name__}.log')
    return module.build(lines.put)


def _load(name: str, settings: settings_module.Settings) -> None:
    try:
        module = importlib.import_module(f'{__name__}.{name}')
        if hasattr(module, 'load'):
            module.load(settings)
    except ImportError:
        # Found again, and told, by the thread that builds it.
        return


def _build_one(
    name: str,
    settings: settings_module.Settings,
    resource: resources.Resource,
) -> Any:
    if name in _OWN:
        module = importlib.import_module(f'{__name__}.{name}')
        return module.build(settings, resource)
    return _of_others(name)()


def _of_others(name: str) -> Any:
    points = list(metadata.entry_points(group=_validate.GROUP, name=name))
    # Two packages may offer one name; which came first in the path wins.
    return points[0].load()

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

"""Distributed tracing for OpenStack services.

What a service uses is here, whole. The names are resolved when they are
first used, so that reading traces loads nothing of recording them, and a
service that has tracing off loads next to nothing.
"""

from __future__ import annotations

import importlib
from typing import Any
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oslo_tracing.health import stats
    from oslo_tracing.service import setup
    from oslo_tracing.service import shutdown
    from oslo_tracing.spans import current_trace_id
    from oslo_tracing.spans import span
    from oslo_tracing.spans import traced

__all__ = [
    'current_trace_id',
    'setup',
    'shutdown',
    'span',
    'stats',
    'traced',
]

_HOMES = {
    'current_trace_id': 'oslo_tracing.spans',
    'setup': 'oslo_tracing.service',
    'shutdown': 'oslo_tracing.service',
    'span': 'oslo_tracing.spans',
    'stats': 'oslo_tracing.health',
    'traced': 'oslo_tracing.spans',
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(
            f'module {__name__!r} has no attribute {name!r}'
        ) from None
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

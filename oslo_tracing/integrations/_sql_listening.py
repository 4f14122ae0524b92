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

"""Who listens to SQLAlchemy, and whether there is anything to tell them."""

from __future__ import annotations

from typing import Any

from oslo_tracing import _current
from oslo_tracing import _guard


def needs_nothing(context: Any) -> bool:
    """Whether a statement is neither recorded nor does it write."""
    where = _current.context()
    found: Any = where.get(_current.UNRECORDED)
    if found is None or where.get(_current.SPAN_KEY) is not found.span:
        return False
    compiled = context.compiled
    return (
        compiled is not None
        and getattr(compiled.statement, '__visit_name__', '') == 'select'
    )


def put_flags_back(before: list[tuple[Any, bool]]) -> None:
    """Let SQLAlchemy skip its events again where nobody else listens."""
    for kind, flag in before:
        if not flag and not _is_listened_to(kind):
            kind._has_events = flag


def _is_listened_to(kind: Any) -> bool:
    try:
        return any(
            descriptor._clslevel.get(kind)
            for descriptor in kind.dispatch._event_descriptors
        )
    except Exception:
        _guard.report('looking for other listeners of SQLAlchemy')
        return True

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
"""A section about tracing in Guru Meditation Reports.

Why here: the sections of ``TextGuruMeditation`` are a public extension
point, but without a way to take one off again. They are in a list of the
class, made by the first who registers one.
"""

from __future__ import annotations

import contextlib
import types

from oslo_tracing import _wrap
from oslo_tracing import health
from oslo_tracing import integrations

TITLE = 'Tracing'

_LIST = 'persistent_sections'


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Add the section until ``undo`` closes."""

    def attach(module: types.ModuleType) -> None:
        report = module.TextGuruMeditation
        had_none = not hasattr(report, _LIST)

        def section() -> str:
            return health.text()

        def remove() -> None:
            for owner in report.__mro__:
                sections = vars(owner).get(_LIST)
                if sections is None:
                    continue
                # A pair is a list or a tuple, by release.
                sections[:] = [
                    one for one in sections if one[1] is not section
                ]
                if had_none and owner is report and not sections:
                    delattr(owner, _LIST)

        undo.callback(remove)
        report.register_section(TITLE, section)

    _wrap.on_import('oslo_reports.guru_meditation_report', attach, undo)

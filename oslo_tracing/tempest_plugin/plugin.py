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

"""What tempest loads: the entry point ``tempest.test_plugins``."""

from __future__ import annotations

import os
from typing import Any

from tempest.test_discover import plugins

from oslo_tracing.tempest_plugin import traces


class OsloTracing(plugins.TempestPlugin):
    """Has no tests of its own; hooks those of all others."""

    def load_tests(self) -> tuple[str, str]:
        """Return where our tests are: nowhere.

        Each process that runs tests asks this before it loads one.
        """
        traces.install()
        here = os.path.dirname(os.path.abspath(__file__))
        return os.path.join(here, 'tests'), os.path.dirname(
            os.path.dirname(here)
        )

    def register_opts(self, conf: Any) -> None:
        """Register nothing: tempest's ``[profiler] key`` is all we need."""

    def get_opt_lists(self) -> list[tuple[str, list[Any]]]:
        """Return no options."""
        return []

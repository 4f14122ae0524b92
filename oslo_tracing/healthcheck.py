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
"""A plugin of oslo.middleware's healthcheck that says how tracing is.

It is chosen by its name::

    [healthcheck]
    backends = disable_by_file, oslo_tracing
"""

from __future__ import annotations

from oslo_middleware.healthcheck import pluginbase

from oslo_tracing import health


class TracingHealthcheck(pluginbase.HealthcheckBaseExtension):
    """Reports, and never fails the check: a service does without tracing."""

    def healthcheck(self, server_port: int) -> pluginbase.HealthcheckResult:
        """Return the numbers of the process that answers.

        :param server_port: does not matter.
        :returns: always available; with ``detailed`` also why spans were
            lost.
        """
        return pluginbase.HealthcheckResult(
            available=True, reason=health.summary(), details=health.text()
        )

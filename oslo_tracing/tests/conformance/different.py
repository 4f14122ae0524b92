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

"""The SDK's tests that do not apply to spans of ours, each with the reason."""

from __future__ import annotations

from typing import Final

_METRICS: Final = (
    'The SDK counts its spans for metrics about itself; we count what was '
    'exported and dropped, in oslo_tracing.counters.'
)
_CONFIGURATOR: Final = (
    'An experimental, private argument of the newest SDKs, that switches '
    'single tracers off.'
)

#: By what a test's id ends with, or is in.
REASONS: Final = {
    'tests/trace/test_sdk_metrics.py': _METRICS,
    'TestTracer::test_get_tracer_sdk_sets_default_tracer_config_if_'
    'configurator_raises': _CONFIGURATOR,
    'TestTracer::test_start_span_returns_invalid_span_if_not_enabled': (
        _CONFIGURATOR
    ),
}


def reason(test: str) -> str | None:
    """Return why a test does not apply, None if it does.

    :param test: its id, as pytest says it.
    """
    for wanted, why in REASONS.items():
        if test.endswith(wanted) or test.startswith(f'{wanted}::'):
            return why
    return None

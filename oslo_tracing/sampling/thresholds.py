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

"""Which traces a share of them all is, by their ids.

Apart from the samplers, which need the SDK.
"""

from __future__ import annotations

# W3C Trace Context level 2 promises randomness for these bits only, and an
# id from elsewhere may hold a UUID's version in higher ones.
_BITS = 56
_MASK = (1 << _BITS) - 1


def threshold(ratio: float) -> int:
    """Return what the random bits of an id must reach, for :func:`keeps`.

    :param ratio: the share of all traces, from 0 to 1.
    """
    return round((1.0 - ratio) * (1 << _BITS))


def keeps(trace_id: int, least: int) -> bool:
    """Say whether a trace is of those that a threshold keeps.

    Everybody who asks of one trace with one threshold gets one answer.
    """
    return (trace_id & _MASK) >= least

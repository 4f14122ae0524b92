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


"""To whom a trace may be told at all."""

from __future__ import annotations

from collections.abc import Sequence
import fnmatch
import re

#: Characters of a name in the DNS, and of what an address can be.
_LONGEST = 255


class Hosts:
    """Hosts by globs, of which only ``*`` and ``?`` are special.

    Brackets are not, as they stand around IPv6 addresses here. A URL may be
    a user's, so whatever its host is, it takes no time to look at.

    :param globs: the option ``propagate_to``.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self._all = '*' in globs
        self._matches = re.compile(
            '|'.join(_expression(glob) for glob in globs) or '(?!)'
        ).match

    def __contains__(self, host: object) -> bool:
        return self._all or (
            isinstance(host, str)
            and len(host) <= _LONGEST
            and host.isprintable()
            and self._matches(_bare(host)) is not None
        )


def _expression(glob: str) -> str:
    # What it makes of several stars never goes back to an earlier one.
    return fnmatch.translate(_bare(glob.strip()).replace('[', '[[]'))


def _bare(host: str) -> str:
    """Return a host as it is compared: no case, no brackets, no last dot."""
    return host.strip('[]').rstrip('.').lower()

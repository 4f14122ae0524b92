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

"""Regular expressions that are compiled when they are first used.

To compile all that are here takes more time than the rest of set-up, and a
process uses some of them, most only where something fails.
"""

from __future__ import annotations

import re
from typing import Any
from typing import AnyStr
from typing import cast
from typing import Final

_METHODS: Final = (
    'findall',
    'finditer',
    'fullmatch',
    'match',
    'search',
    'split',
    'sub',
    'subn',
)


class _Late:
    __slots__ = ('_flags', '_text', *_METHODS)

    def __init__(self, text: Any, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        # Only for a slot in which nothing is yet.
        compiled = re.compile(self._text, self._flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)


def late(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return a regular expression that is compiled at its first use.

    :param text: one that is right: nobody would notice before.
    :param flags: as ``re.compile`` takes them.
    """
    return cast('re.Pattern[AnyStr]', _Late(text, flags))

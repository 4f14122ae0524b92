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

"""The statements that SQLAlchemy writes for a service, told at a glance.

They consist of names and of places for parameters, and begin with a long list
of columns. To read such a one token by token takes the time of sixty spans,
and a service has hundreds of them, all new in each of its processes.
"""

from __future__ import annotations

import re

from oslo_tracing import _regex

# Anything else starts a literal or a comment, in some grammar or other.
_CHARACTERS = _regex.late(r'[A-Za-z0-9_\s.,()=<>!*+|%?:]*', re.ASCII)
# One that no name has before it.
_NUMBER = _regex.late(r'[0-9](?<![A-Za-z0-9_][0-9])')
_NO_PLACE = _regex.late(r'%(?!(?:\(\w{1,128}\))?s(?!\w))', re.ASCII)
_NO_CAST = _regex.late(r'(?<!:):(?!:)|:::')
# Lists, of which only the first value stays, and a function of passwords. To
# look for the last letter first takes a tenth of the time.
_BEFORE_LIST = _regex.late(r'[NSD]\s*\(')
_LIST = _regex.late(r'(?:\bIN|\bVALUES|PASSWORD)\s*\(')
# All else that sql.py takes for setting a password, or more; each starts with
# letters, as what does is found at once.
_SETS = tuple(
    map(
        _regex.late,
        (
            r'CREATE\b',
            r'ALTER\b',
            r'IDENTIFIED\b',
            r'GRANT\b',
            r'SET\s+(?:(?:GLOBAL|SESSION|LOCAL)\s+)?(?:PASSWORD|ROLE)\b',
        ),
    )
)
_NAME = r'(?:[A-Za-z_]\w*|`\w+`|"\w+")'
_COLUMN = rf'{_NAME}(?:\.{_NAME})+ AS {_NAME}'
_SELECT = 'SELECT'
_COLUMNS = _regex.late(
    rf' (?:DISTINCT )?{_COLUMN}(?:, {_COLUMN})*(?=\s+FROM )', re.ASCII
)


def is_plain(text: str) -> bool:
    """Whether there is nothing in a statement that would not be said of it.

    :returns: False also for what has to be read to know it.
    """
    if (
        _CHARACTERS.fullmatch(text) is None
        or _NUMBER.search(text) is not None
        or ('%' in text and _NO_PLACE.search(text) is not None)
        or (':' in text and _NO_CAST.search(text) is not None)
    ):
        return False
    upper = text.upper()
    if _BEFORE_LIST.search(upper) and _LIST.search(upper):
        return False
    return not any(each.search(upper) for each in _SETS)


def without_columns(text: str) -> str:
    """Return a query that selects named columns, without their list."""
    if not text.startswith(_SELECT):
        return text
    found = _COLUMNS.match(text, len(_SELECT))
    return text if found is None else f'{_SELECT}{text[found.end() :]}'

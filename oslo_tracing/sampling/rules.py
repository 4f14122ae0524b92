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

"""The operator's rules: what is recorded, by what starts a trace."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import fnmatch
import re
from typing import Any

from oslo_tracing import _regex
from oslo_tracing import exceptions
from oslo_tracing.sampling import thresholds

_OPTION = 'sampling_rules'

SERVER = 'server'
CLIENT = 'client'
RPC = 'rpc'
NOTIFICATION = 'notification'
PERIODIC = 'periodic'
BATCH = 'batch'
KINDS = (SERVER, CLIENT, RPC, NOTIFICATION, PERIODIC, BATCH)

MAX_RULES = 256
#: Characters of a rule.
MAX_RULE = 1024
#: Names of one kind whose rule is remembered, each of so many characters
#: at the most.
MAX_KEPT = 1024
MAX_NAME = 512

_NUMBER = frozenset('0123456789.eE-')
_SHOWN = 256
_UNKNOWN = object()


class Table:
    """The rules for one kind of start.

    :param rules: in the operator's order, what matches and the threshold.
    """

    __slots__ = ('_kept', '_rules')

    def __init__(self, rules: Sequence[tuple[re.Pattern[str], int]]) -> None:
        self._rules = tuple(rules)
        self._kept: dict[str, int | None] = {}

    def threshold(self, name: str) -> int | None:
        """Return the threshold of the first rule that matches a name.

        :returns: for ``ratio.keeps()``, or None where no rule does.
        """
        found: Any = self._kept.get(name, _UNKNOWN)
        if found is _UNKNOWN:
            found = None
            for pattern, least in self._rules:
                if pattern.match(name):
                    found = least
                    break
            if len(self._kept) < MAX_KEPT and len(name) <= MAX_NAME:
                self._kept[name] = found
        return found  # type: ignore[no-any-return]


#: The rules by what they are for; what none is for is not in it.
Tables = Mapping[str, Table]


def compiled(texts: Sequence[str]) -> Tables:
    """Compile rules.

    :param texts: each as ``rpc "*/report_state" 0``, empty ones are none.
    :raises InvalidOption: naming the first that is wrong, and what is.
    """
    if len(texts) > MAX_RULES:
        raise exceptions.InvalidOption(
            _OPTION,
            f'({len(texts)} rules)',
            f'{MAX_RULES} rules are the most that are looked through',
        )
    tables: dict[str, list[tuple[re.Pattern[str], int]]] = {}
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            kind, glob, least = _parsed(text)
        except ValueError as error:
            raise exceptions.InvalidOption(
                _OPTION,
                repr(text[:_SHOWN]),
                f'rule {number} of {len(texts)}: {error}',
            ) from None
        pattern = _regex.late(fnmatch.translate(glob))
        tables.setdefault(kind, []).append((pattern, least))
    return {kind: Table(rules) for kind, rules in tables.items()}


def check(values: Mapping[str, Any]) -> None:
    """Refuse changed options whose rules are wrong.

    :param values: of all mutable options.
    :raises InvalidOption: naming the first rule that is wrong.
    """
    compiled(values[_OPTION])


def _parsed(text: str) -> tuple[str, str, int]:
    """Take a rule apart.

    :raises ValueError: saying what is wrong.
    """
    if len(text) > MAX_RULE:
        raise ValueError(f'longer than {MAX_RULE} characters')
    text = text.strip()
    # By hand: expressions would be compiled, for defaults, at each start.
    words = text.partition('"')[0].split(None, 1)
    kind = words[0] if words else ''
    if kind not in KINDS:
        raise ValueError(f'must begin with one of {", ".join(KINDS)}')
    before, _, quoted = text[len(kind) :].partition('"')
    glob, closed, share = quoted.partition('"')
    if before.strip() or not closed:
        raise ValueError(
            f'{kind} must be followed by a glob in double quotes, as "*"'
        )
    if not glob:
        raise ValueError('an empty glob matches nothing; "*" is everything')
    share = share.strip()
    if not share:
        raise ValueError('the share is missing, a number from 0 to 1')
    try:
        # Neither nan nor 1_0, which are numbers for Python.
        ratio = float(share) if _NUMBER.issuperset(share) else -1.0
    except ValueError:
        ratio = -1.0
    if share.startswith('-') or not 0.0 <= ratio <= 1.0:
        raise ValueError(
            'what follows the glob must be the share alone, a number from 0 '
            'to 1'
        )
    return kind, glob, thresholds.threshold(ratio)

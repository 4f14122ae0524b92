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

"""What may be said of a failed export."""

from __future__ import annotations

import base64
import re
from typing import Final
from typing import TYPE_CHECKING

from oslo_tracing import _printable
from oslo_tracing.scrub import errors

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

_WORDS_LIMIT: Final = 300
# Anything shorter stands in many a word.
_SHORTEST_SECRET: Final = 4
_HIDDEN: Final = '***'


def may_be_told(words: str, settings: settings_module.Settings) -> str:
    """Return what others said of a failure, without our credentials.

    A receiver may quote the token that it refuses, and a library the header
    that it cannot send.

    :param words: of any length and kind.
    :param settings: for the credentials.
    :returns: one bounded line of visible text.
    """
    if not words:
        return ''
    for value in settings.otlp_headers.values():
        for secret in _secrets(value):
            if len(secret) >= _SHORTEST_SECRET:
                words = re.sub(
                    re.escape(secret), _HIDDEN, words, flags=re.IGNORECASE
                )
    shown = _printable.printable(words, _WORDS_LIMIT)
    return errors.text(shown, 4 * _WORDS_LIMIT)


def _secrets(value: str) -> list[str]:
    """Return what may not be told of a header, all of it first."""
    found = [value, *value.split()]
    scheme, _space, rest = value.partition(' ')
    if scheme.lower() == 'basic':
        # A receiver may well name whom it does not know.
        try:
            pair = base64.b64decode(rest).decode()
        except ValueError:
            return found
        found += [pair, pair.partition(':')[2]]
    return found

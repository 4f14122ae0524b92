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

"""Text of others, made safe to print.

What a span holds came from clients. Shown as it is, it could move the
cursor, recolour the terminal, forge log lines or, with bidirectional
controls, read other than it is.
"""

from __future__ import annotations

import unicodedata


def printable(text: str, limit: int | None = None) -> str:
    """Return the text with everything escaped that is not plainly visible.

    Escaped, as Python would write them: C0 and C1 controls (newlines and
    ESC among them), bidirectional and other format characters, line and
    paragraph separators, lone surrogates, private use and unassigned ones.

    :param text: any string.
    :param limit: characters of the text to look at and keep; what was cut
        is told by an ellipsis. None keeps all.
    """
    cut = limit is not None and len(text) > limit
    if cut:
        text = text[:limit]
    if not text.isprintable():
        text = ''.join(map(_escaped, text))
    return text + '\u2026' if cut else text


def _escaped(char: str) -> str:
    # Wide and no-break spaces are text like any other.
    if char.isprintable() or unicodedata.category(char) == 'Zs':
        return char
    return char.encode('unicode_escape').decode('ascii')

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

"""What every text rendering shares: units, widths, colours."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Final
import unicodedata

_RESET: Final = '\x1b[0m'
#: Told apart by most people on dark and on light terminals; red is for
#: errors alone.
_SERVICES: Final = ('36', '33', '35', '34', '32', '96', '95', '94')

ERROR: Final = '1;31'
FAINT: Final = '2'
STRONG: Final = '1'


@dataclasses.dataclass(frozen=True)
class Style:
    """What the place that is printed to can show.

    :param width: columns of the terminal; ``None`` cuts nothing.
    :param unicode: whether lines can be drawn; else ASCII.
    :param colour: whether colours can be used.
    """

    width: int | None = None
    unicode: bool = True
    colour: bool = False


@dataclasses.dataclass(frozen=True)
class Marks:
    """The characters that a tree is drawn with."""

    fork: str
    last: str
    line: str
    times: str
    error: str
    dash: str


UNICODE: Final = Marks('├─ ', '└─ ', '│  ', '×', '✗', '–')  # noqa: RUF001
ASCII: Final = Marks('|- ', '`- ', '|  ', 'x', '!', '-')
BLANK: Final = '   '


def drawable(encoding: str | None) -> bool:
    """Whether an encoding has the characters of ``UNICODE``."""
    marks = ''.join(dataclasses.astuple(UNICODE))
    try:
        marks.encode(encoding or 'ascii')
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def service_colours(services: list[str]) -> dict[str, str]:
    """Give each service a colour; after the eighth they come again."""
    return {
        service: _SERVICES[number % len(_SERVICES)]
        for number, service in enumerate(services)
    }


def line(pieces: list[tuple[str, str]], style: Style) -> str:
    """Put one line together.

    :param pieces: texts and their colours (``''`` for none).
    :param style: what can be shown; what is wider is cut.
    """
    left = style.width
    parts = []
    for text, colour in pieces:
        if left is not None:
            text = _fitting(text, left)
            left -= columns(text)
        if colour and style.colour and text.strip():
            text = f'\x1b[{colour}m{text}{_RESET}'
        parts.append(text)
    return ''.join(parts).rstrip()


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def _columns_of(each: str) -> int:
    if unicodedata.combining(each):
        return 0
    return 2 if unicodedata.east_asian_width(each) in 'WF' else 1


def _fitting(text: str, width: int) -> str:
    if columns(text) <= width:
        return text
    taken = 0
    for index, each in enumerate(text):
        taken += _columns_of(each)
        if taken > width:
            return text[:index]
    return text


def milliseconds(duration: int) -> str:
    """Return nanoseconds as milliseconds, with two decimals."""
    return f'{duration / 1e6:.2f}'


def length(duration: int) -> str:
    """Return nanoseconds as people say it: ``2.83 s``, ``3 min 20 s``."""
    seconds = duration / 1e9
    if seconds < 1:
        return f'{duration / 1e6:.2f} ms'
    if seconds < 120:
        return f'{seconds:.2f} s'
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 120:
        return f'{minutes} min {rest} s'
    hours, minutes = divmod(minutes, 60)
    return f'{hours} h {minutes} min'


def moment(time: int) -> str:
    """Return nanoseconds since 1970 as ISO 8601, in UTC; 0 is unknown."""
    if not time:
        return 'unknown'
    whole, rest = divmod(time, 10**9)
    since = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=whole)
    return f'{since.isoformat()}.{rest // 10**6:03d}Z'

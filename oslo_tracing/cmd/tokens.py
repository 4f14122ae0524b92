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

"""The bearer token that a trace server may ask for.

It comes from the environment or from a file, never from a command line,
which everybody on the host can read.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Final

from oslo_tracing.report import sources

VARIABLE: Final = 'OSLO_TRACING_SOURCE_TOKEN'
FILE_VARIABLE: Final = 'OSLO_TRACING_SOURCE_TOKEN_FILE'

_LONGEST: Final = 16384
#: What may stand in a header, and no space.
_TOKEN: Final = re.compile('[!-~]+', re.ASCII)


def of(source: str, named: str | None) -> str:
    """Return the token that a source is to be given; empty for none.

    :param source: what the user wants to read.
    :param named: the source that the environment names, if it does: the
        token is for that server, and for no other.
    :raises SourceError: when there is one that cannot be used.
    """
    server = sources.server_of(source)
    if server is None or (named and sources.server_of(named) != server):
        return ''
    token, where = os.environ.get(VARIABLE, ''), VARIABLE
    path = os.environ.get(FILE_VARIABLE)
    if not token.strip():
        if not path:
            return ''
        token, where = _read(path), FILE_VARIABLE
    token = token.strip()
    if len(token) > _LONGEST or not _TOKEN.fullmatch(token):
        raise sources.SourceError(f'what {where} gives is no token')
    return token


def _read(path: str) -> str:
    try:
        # A pipe would be waited for.
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(opened, 'rb') as stream:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise OSError(0, 'not a regular file')
            return stream.read(_LONGEST + 1).decode('ascii', 'replace')
    except OSError as exc:
        raise sources.SourceError(
            f'cannot read the file that {FILE_VARIABLE} names: '
            f'{exc.strerror or type(exc).__name__}'
        ) from None

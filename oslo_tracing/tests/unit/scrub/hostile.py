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

"""Texts that nobody in good faith would send."""

from __future__ import annotations

MIB = 1024 * 1024

_PIECES = (
    '%', '%25', '%2F', '%3D', '%zz', '%C3', '&', '=', ';', '?', '#', '/', '//',
    ':', '@', '\\', '[', ']', '{', '}', '{secret}', 'REDACTED', '...', ' ',
    '\t', '\n', '\x00', '\x7f', '\ud800', '\udfff', '\u202e', 'ä',
    '\U0001f600',
    'http://', 'a:b@', 'token', 'tokens/', 'password=', 'code=', 'webhooks',
    'gAAAA', 'eyJ', 'eyJhbGciOiJI.', 'a' * 33, 'aB3' * 12, '-', '_', '+', '.',
    '0123456789abcdef0123456789abcdef', 'f' * 40, "'", '"', '`', "''", "\\'",
    '/*', '*/', '--', '$$', '$a$', '(', ')', ',', ' IN ', 'VALUES', 'SELECT ',
    ' FROM ', 'WITH ', ' AS ', '1', '0x1f', '1e5', 'E\'', ':a', '%s', '%(a)s',
    '__[POSTCOMPILE_a]', 'INSERT INTO ', 'UPDATE ', 'x', '::',
    'authorization:',
    'Bearer ', '9f3c1e52-2d0b-4b0e-8d9a-1c2d3e4f5a6b', '<', '>', ':regex}',
)  # fmt: skip


class Unspeakable:
    """Cannot be made a text."""

    def __str__(self):
        raise RuntimeError('no')


def texts(rng, count):
    """Yield random texts, of pieces that mean something and of noise."""
    for _ in range(count):
        yield ''.join(rng.choices(_PIECES, k=rng.randrange(40)))
        yield bytes(rng.randrange(256) for _ in range(rng.randrange(80)))
        yield ''.join(
            chr(rng.randrange(0x11000)) for _ in range(rng.randrange(60))
        )
    for _ in range(30):
        yield ''.join(rng.choices(_PIECES, k=3000))


def huge():
    """Yield a mebibyte of each piece, and of some pairs."""
    for piece in (
        *_PIECES,
        "''\\",
        'a=?',
        '?a=',
        'ab1c-',
        'Ab-',
        '=:',
        '(?,',
        '?,',
        '), (',
        "E'\\'",
        '-A1',
        'http://a',
        'token: ',
    ):
        yield piece * (MIB // len(piece))
        yield 'SELECT ' + piece * (MIB // len(piece))

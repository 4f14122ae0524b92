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

"""What a secret looks like, wherever it stands."""

from __future__ import annotations

import re
from urllib import parse

from oslo_tracing import _regex

#: Stands where a part of a path, or a run of characters, was a secret.
HIDDEN = '{secret}'
#: Stands where a value was a secret; the word of the HTTP conventions.
REDACTED = 'REDACTED'
#: So many characters of a text are looked at, and so many are kept.
MAX_LENGTH = 4096

#: What these digits look like is public: a UUID, or the same without its
#: dashes, as keystone writes projects and users.
ID = _regex.late(
    r'(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}'
    r'|[0-9A-Fa-f]{32})(?![0-9A-Za-z])'
)

_RUN = _regex.late(r'[A-Za-z0-9+_=-]{32,}')
_RUN_IN_TEXT = _regex.late(r'[A-Za-z0-9+/_=-]{32,}')
_FERNET = _regex.late(r'gAAAA[A-Za-z0-9+_=-]*')
_JWT = _regex.late(
    r'(?<![0-9A-Za-z])eyJ(?:[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*'
    r'|[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.)[A-Za-z0-9_.-]*'
)

# What a person or a program would put between dashes. A token of 32 random
# characters has next to no chance of consisting of such parts alone, while a
# name like ubuntu-server-cloudimg-amd64-20240101 has no other.
_WORD = (
    r'(?:[A-Z]?[a-z]{1,24}\d{0,8}'
    r'|[A-Z]{1,24}\d{0,8}'
    r'|(?:[A-Z][a-z]{2,14}){2,10}\d{0,4}'
    r'|[a-z]{1,4}\d{1,2}[a-z]{1,12}'
    r'|\d{1,16}(?:[a-z]{1,3}\d{0,3})?'
    r'|\d{8}T\d{4,6}Z?)?'
)
_WORDS = _regex.late(rf'{_WORD}(?:[-+_=/]{_WORD})*')
# Two letters of different case, or a digit beside a capital.
_MIXED = _regex.late(r'[a-z][A-Z]|[A-Z][0-9]|[0-9][A-Z]')
_ALPHABET = _regex.late(r'[A-Za-z0-9+_=-]{6,}')

_NOT_LETTERS = _regex.late(r'[^a-z0-9]+')
_NOT_IN_KEY = _regex.late(r'[^a-z0-9_-]+')
_BEFORE_KEY = _regex.late(r'[&;?#,|\s{}()<>\'"/:=]+')
_SENSITIVE_ENDINGS = (
    'accesskey',
    'accesskeyid',
    'adminpass',
    'apikey',
    'authkey',
    'authorization',
    'cookie',
    'credential',
    'encryptedkey',
    'encryptionkey',
    'hmackey',
    'passcode',
    'passphrase',
    'passwd',
    'password',
    'privatekey',
    'pswd',
    'pwd',
    'samlresponse',
    'secret',
    'secretkey',
    'sessionid',
    'signature',
    'signingkey',
    'tempurlkey',
    'tempurlsig',
    'token',
    'tokenid',
    'trustid',
    'userdata',
    # What else oslo.utils masks in texts of OpenStack.
    'barbicansimplecryptokek',
    'cephadminkey',
    'cephclientkey',
    'cephclusterfsid',
    'cephmanilaclientkey',
    'cephmdskey',
    'cephmonkey',
    'cephrgwkey',
    'configdrive',
    'designaterndckey',
    'fernetkey',
    'migrationsshkey',
    'octaviaheartbeatkey',
    'sslkey',
    'swifthashsuffix',
)
#: Words after such a name, and numbers, that leave it one of a secret.
_STILL_SENSITIVE = (
    'b64',
    'base64',
    'encoded',
    'hash',
    'hex',
    'new',
    'old',
    'pem',
    'plain',
    'raw',
    'string',
    'text',
    'uuid',
    'value',
)
#: Characters at the end of a name; all that can matter.
_MOST_OF_KEY = 64
_PASS = _regex.late(r'[^a-z0-9]pass[^a-z]*\Z')
# Secrets where they are the whole key of a query; in other places words.
_SENSITIVE_WORDS = frozenset(('code', 'pass', 'sig', 'state'))


def text_of(value: object, limit: int = MAX_LENGTH) -> str:
    """Return the value as text, whatever it is; a text is not copied.

    :param limit: so many bytes of something that is not yet text are read.
    """
    if type(value) is str:
        return value
    try:
        if isinstance(value, (bytes, bytearray)):
            return bytes(value[: limit + 1]).decode('latin-1')
        if isinstance(value, str):
            return str.__str__(value)
        return '' if value is None else str(value)
    except Exception:
        return ''


def cut(text: str, limit: int, delimiters: str) -> str:
    """Shorten a text so that no secret is left half, and so unrecognised.

    :param limit: characters that may stay.
    :param delimiters: what ends a value; what follows the last of them
        within the limit is dropped.
    :returns: the text itself where it is short enough.
    """
    if len(text) <= limit:
        return text
    kept = text[: limit - 3]
    end = max(kept.rfind(delimiter) for delimiter in delimiters)
    return kept[: end + 1] + '...'


def decoded(text: str) -> str | None:
    """Undo percent-encoding until nothing is left to undo.

    :returns: None where it was encoded more often than anybody does in
        good faith.
    """
    for _ in range(6):
        if '%' not in text:
            return text
        plain = parse.unquote(text)
        if plain == text:
            return text
        text = plain
    return None


def is_sensitive(key: str, alone: bool = True) -> bool:
    """Whether what a name says stands beside it must not be said.

    :param key: of a query, a matrix parameter, a header or a dictionary;
        in any case, with any punctuation, percent-encoded or not.
    :param alone: whether words such as ``code`` count, which are secret
        in a query and nothing special elsewhere.
    """
    plain = decoded(key)
    if plain is None:
        return True
    plain = plain.lower().strip('[]"\' \t')
    letters = _NOT_LETTERS.sub('', plain)
    if _ends_so(letters) or _ends_so(_stem(letters[-_MOST_OF_KEY:])):
        return True
    if letters.startswith(('xauth', 'httpxauth')) or 'headerxauth' in letters:
        return True
    if _PASS.search(plain[-_MOST_OF_KEY:]):
        return True
    return alone and _NOT_IN_KEY.split(plain)[-1] in _SENSITIVE_WORDS


def _ends_so(letters: str) -> bool:
    return letters.endswith(_SENSITIVE_ENDINGS) or (
        letters.endswith('s') and letters[:-1].endswith(_SENSITIVE_ENDINGS)
    )


def _stem(letters: str) -> str:
    """Return a name without what leaves it one of a secret."""
    while True:
        rest = letters.rstrip('0123456789')
        for word in _STILL_SENSITIVE:
            rest = rest.removesuffix(word)
        if rest == letters:
            return rest
        letters = rest


def holds_pair(text: str) -> bool:
    """Whether a sensitive name with its value stands anywhere in a text."""
    for separator in '=:':
        parts = text.split(separator)
        for index in range(len(parts) - 1):
            value = parts[index + 1]
            if not value or value.startswith(REDACTED):
                continue
            before = parts[index].rstrip('"\']) \t')
            key = _BEFORE_KEY.split(before)[-1]
            if key and is_sensitive(key, alone=separator == '='):
                return True
    return False


def is_gibberish(text: str) -> bool:
    """Whether a short text could be a piece of a random one."""
    if not _ALPHABET.fullmatch(text):
        return False
    rest = ID.sub('', text)
    return bool(_MIXED.search(rest)) and not _WORDS.fullmatch(rest)


def _judged(run: re.Match[str]) -> str:
    text = run.group()
    rest = ID.sub('', text)
    if _WORDS.fullmatch(rest):
        return text
    return HIDDEN if len(rest) >= 32 else text


def mask(text: str, in_path: bool = True) -> str:
    """Put ``{secret}`` where tokens and long random runs stand.

    :param in_path: whether a slash ends a run; elsewhere it is a character
        of base64.
    """
    if 'gAAAA' in text:
        text = _FERNET.sub(HIDDEN, text)
    if 'eyJ' in text:
        text = _JWT.sub(HIDDEN, text)
    if len(text) < 32:
        return text
    return (_RUN if in_path else _RUN_IN_TEXT).sub(_judged, text)

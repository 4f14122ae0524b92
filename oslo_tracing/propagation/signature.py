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

"""The signature by which one service believes another.

::

    X-OpenStack-Trace-Signature: v1;t=<unix seconds>;s=<hexadecimal digits>

HMAC-SHA256 (RFC 2104) over ``oslo.tracing/v1``, the time, ``traceparent``,
``tracestate`` and ``baggage``, one a line, each exactly as it is in its
header, empty where that is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import MutableMapping
from collections.abc import Sequence
import hashlib
import hmac
import logging
import time
from typing import Any

from oslo_tracing import _regex
from oslo_tracing.propagation import messages

LOG = logging.getLogger(__name__)

#: Seconds between two lines about clocks.
_QUIET = 60.0

HEADER = 'x-openstack-trace-signature'
#: The same in an environment of WSGI.
KEY = 'HTTP_X_OPENSTACK_TRACE_SIGNATURE'

# Where eventlet's server has all headers once more, as they came.
_RAW = 'headers_raw'

#: What is signed, in this order, as WSGI has it; and how long it may be, in
#: characters. A longer header counts as unsigned.
_SIGNED = (
    ('HTTP_TRACEPARENT', 512),
    ('HTTP_TRACESTATE', 32 * 516),
    ('HTTP_BAGGAGE', 8192),
)
_SIGNATURE = _regex.late('v1;t=([0-9]{1,12});s=([0-9a-f]{64})')
_PREFIX = b'oslo.tracing/v1\n'


def take(environ: MutableMapping[str, Any]) -> Any:
    """Take the signature out of a request, so that no application sees it.

    :param environ: of WSGI.
    :returns: what was there, or None.
    """
    claimed = environ.pop(KEY, None)
    if claimed is not None:
        raw = environ.get(_RAW)
        if isinstance(raw, tuple | list):
            environ[_RAW] = tuple(pair for pair in raw if not _is_ours(pair))
    return claimed


def _is_ours(pair: Any) -> bool:
    name = str(pair[0]) if isinstance(pair, tuple | list) and pair else ''
    return name.lower().replace('_', '-') == HEADER


def stale(written: Mapping[str, str]) -> tuple[str, ...]:
    """Return which headers of somebody else may not be beside ours.

    A tracestate beside a traceparent that it does not belong to is worse
    than none, and so is whatever a signature does not cover.

    :param written: headers of ours, by names in lower case.
    """
    if not written:
        return ()
    if HEADER in written:
        return (messages.TRACESTATE, messages.BAGGAGE)
    return (messages.TRACESTATE,)


class Signer:
    """Signs and verifies; shows its keys to nobody.

    :param keys: the first signs, all verify.
    :param max_age: how far a signature's time may be from now, in seconds.
    """

    __slots__ = ('_keyed', '_max_age', '_told')

    def __init__(self, keys: Sequence[str], max_age: float) -> None:
        # Keyed once: a copy of the hash is cheaper, and no text with a key
        # in it is kept.
        self._keyed = tuple(
            hmac.new(
                key.encode('utf-8', 'surrogateescape'), _PREFIX, hashlib.sha256
            )
            for key in keys
        )
        self._max_age = max_age
        self._told: float | None = None

    def sign(self, headers: Mapping[str, str]) -> str:
        """Return the signature of headers that are about to be sent.

        :param headers: by names in lower case, in ASCII.
        """
        now = int(time.time())
        signed = _digest(
            self._keyed[0],
            now,
            headers.get(messages.TRACEPARENT, '').encode(),
            headers.get(messages.TRACESTATE, '').encode(),
            headers.get(messages.BAGGAGE, '').encode(),
        )
        return f'v1;t={now};s={signed}'

    def verifies(self, signature: Any, environ: Mapping[str, Any]) -> bool:
        """Tell whether a service has signed what is in a request. No raise.

        :param signature: what :func:`take` has found.
        :param environ: of WSGI, whose texts are bytes in disguise. Where a
            header came twice it has both, which nobody has signed.
        """
        if not isinstance(signature, str):
            return False
        match = _SIGNATURE.fullmatch(signature)
        if match is None:
            return False
        found: list[bytes] = []
        for key, limit in _SIGNED:
            value = environ.get(key, '')
            if not isinstance(value, str) or len(value) > limit:
                return False
            try:
                found.append(value.encode('latin-1'))
            except UnicodeError:
                return False
        claimed = match[2].encode()
        verified = False
        for keyed in self._keyed:
            expected = _digest(keyed, match[1], *found).encode()
            verified |= hmac.compare_digest(expected, claimed)
        if verified and abs(time.time() - int(match[1])) > self._max_age:
            self._tell_of_clocks()
            return False
        return verified

    def _tell_of_clocks(self) -> None:
        now = time.monotonic()
        if self._told is not None and now - self._told < _QUIET:
            return
        self._told = now
        # Neither whose nor when: that is what a header says.
        LOG.warning(
            'A signature of a service was not believed, since its time is '
            'more than signature_max_age away from the clock here: the '
            'clocks of two hosts differ, or somebody sends again what was '
            'signed long ago. Such requests start traces of their own.'
        )


def _digest(keyed: hmac.HMAC, stamp: object, *values: bytes) -> str:
    made = keyed.copy()
    made.update(b'%b\n%b\n%b\n%b' % (str(stamp).encode(), *values))
    return made.hexdigest()

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

"""An error of ours is never an error of the service."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import logging
import sys
import time
import traceback
import types

LOG = logging.getLogger(__name__)

#: Seconds between two log lines about the same thing.
QUIET = 60.0

_MAX_DOINGS = 256


class OurError(Exception):
    """What is logged in place of an error of ours: its class, no more."""


class _Reporter:
    """Remembers when what was last said, so that no fault floods a log."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def report(self, doing: str) -> None:
        now = time.monotonic()
        if now - self._said.get(doing, -QUIET) < QUIET:
            return
        if len(self._said) >= _MAX_DOINGS:
            self._said.clear()
        self._said[doing] = now
        kind, _error, trace = sys.exc_info()
        name = kind.__name__ if kind else 'no error'
        # Neither the message nor the source lines: both can hold what a
        # request carried.
        frames = ', '.join(
            f'{frame.name} ({frame.filename}:{frame.lineno})'
            for frame in traceback.extract_tb(trace, limit=-5)
        )
        # Some error has to be given: else oslo.log takes the one being
        # handled, and appends its message.
        given = OurError(name)
        LOG.warning(
            'Tracing failed while %s, the service is not affected: %s in %s',
            doing,
            name,
            frames,
            exc_info=(OurError, given, None),
        )


_REPORTER = _Reporter()


def report(doing: str) -> None:
    """Log the error being handled, at most once a minute for each ``doing``.

    For hot paths: call it in the ``except Exception`` around our own lines,
    never around the traced call.

    :param doing: what we were doing, in words; from a fixed set, since it
        is remembered.
    :raises Exception: the error, where the service's handler of a signal has
        raised it while our lines ran: it is meant for the service.
    """
    _pass_on(sys.exc_info()[1])
    try:
        _REPORTER.report(doing)
    except Exception as error:
        # A broken log handler is no reason, either.
        _pass_on(error)


def _pass_on(error: BaseException | None) -> None:
    """Raise an error again that came out of a handler of a signal."""
    # Who has a handler has loaded it; nobody else shall have to.
    signal = sys.modules.get('signal')
    if signal is None or error is None or error.__traceback__ is None:
        return
    handlers = set()
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        code = getattr(getattr(handler, '__func__', handler), '__code__', None)
        if isinstance(code, types.CodeType):
            handlers.add(code)
    if not handlers:
        return
    for frame, _line in traceback.walk_tb(error.__traceback__):
        if frame.f_code in handlers:
            raise error


@contextlib.contextmanager
def never_break_the_service(doing: str) -> Iterator[None]:
    """Log an error of ours and carry on as if tracing were off.

    For set-up only; wrap this library's own lines in it, never the call
    being traced: the service's exceptions belong to the service.

    :param doing: what we are doing, in words.
    """
    try:
        yield
    except Exception:
        report(doing)

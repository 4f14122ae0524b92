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

"""When the body of a streamed response is read, or nobody wants it."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import logging
import sys
from typing import Any
from typing import TypeAlias

from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import exceptions

LOG = logging.getLogger(__name__)

_Ended: TypeAlias = Callable[[BaseException | None], None]

# In the instance's own dict, so that it lives as long as the response.
_WATCHED = '_oslo_tracing_ended'
# What of urllib3 reads how long the next chunk is.
_CHUNK = '_update_chunk_length'


class Bodies:
    """Learns it from urllib3, which every way to read a body leads to.

    urllib3 releases the connection when the last byte was read or reading
    failed, and closes the response when its user does, or, since it is a
    file, when the garbage collector takes it.
    """

    def __init__(self) -> None:
        self._response: Any = ()
        self._error: Any = ()
        self._broken: Any = OSError

    def attach(self, module: Any, undo: contextlib.ExitStack) -> None:
        """Attach to ``urllib3.response``; without it spans end earlier.

        :param module: None where it is not there.
        """
        response = getattr(module, 'HTTPResponse', None)
        if response is None:
            LOG.debug('There is no urllib3.response.HTTPResponse.')
            return
        try:
            for name in ('release_conn', 'close'):
                _wrap.wrap(
                    response,
                    name,
                    self._around,
                    undo,
                    distribution='urllib3',
                    untraced='the time to read streamed bodies is',
                )
        except exceptions.SeamMissing as missing:
            LOG.debug('urllib3 %s lacks %s.', missing.version, name)
            return
        self._response = response
        self._error = getattr(module, 'HTTPError', ())
        self._broken = getattr(module, 'ProtocolError', OSError)
        undo.callback(self._detach)

    def watch(self, raw: Any, ended: _Ended) -> bool:
        """Call ``ended`` once there is nothing more to read.

        :param raw: the body, as requests has it.
        :param ended: called with what broke off the reading, or None.
        :returns: False where that cannot be known or is so already.
        """
        if not isinstance(raw, self._response) or raw.closed:
            return False
        vars(raw)[_WATCHED] = ended
        return True

    def _detach(self) -> None:
        self._response = ()

    def _what_broke(self, error: BaseException | None) -> BaseException | None:
        found: BaseException | None = None
        if isinstance(error, self._error):
            found = error
        elif (
            type(error) is ValueError
            and error.__traceback__ is not None
            and error.__traceback__.tb_frame.f_code.co_name == _CHUNK
        ):
            # Of a body in chunks urllib3 closes first, and raises then.
            found = self._broken('no length of a chunk')
        return found

    def _around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def end(raw: Any, *args: Any, **kwargs: Any) -> Any:
            ended = raw.__dict__.pop(_WATCHED, None)
            if ended is None:
                return original(raw, *args, **kwargs)
            # Here the reader's own exception has yet to leave urllib3; any
            # other that is being handled is none of ours.
            error = sys.exc_info()[1]
            try:
                return original(raw, *args, **kwargs)
            finally:
                try:
                    ended(self._what_broke(error))
                except Exception:
                    _guard.report('ending the span of a streamed response')

        return end

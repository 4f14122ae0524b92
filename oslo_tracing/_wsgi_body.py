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

"""The body of a response, which may take longer than all before it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import types
from typing import Any
from typing import Protocol
import weakref

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import context


class Request(Protocol):
    """The request that a body belongs to."""

    def enter(self) -> Any:
        """Run what follows as the request's, until ``context.leave()``."""

    def fail(self, error: BaseException, answered: bool) -> None:
        """End with an error."""

    def finish(self) -> None:
        """End, for the first time."""


def is_file(body: Any, environ: Mapping[str, Any]) -> bool:
    """Say whether a body was made by the server's ``wsgi.file_wrapper``."""
    wrapper = environ.get('wsgi.file_wrapper')
    if wrapper is None:
        return False
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    # uWSGI's is a function that gives back the file that it was given.
    return hasattr(body, 'read')


def when_gone(body: Any, finish: Callable[[], None]) -> None:
    """Call a function when the server lets go of a body.

    Servers do right after they have sent it. Nothing of the object is
    changed for it.
    """
    try:
        weakref.finalize(body, finish).atexit = False
    except TypeError:
        finish()


def wrapped(body: Iterable[bytes], request: Request) -> Body:
    """Return what ends the request when the body has been sent."""
    if hasattr(type(body), '__len__'):
        return SizedBody(body, request)
    return Body(body, request)


class Body:
    """A body whose own work runs in the trace of its request.

    The request ends when the server closes it, as WSGI asks servers to, or
    when it is exhausted and there is nothing to close, with an error in it,
    or when a forgetful server drops it.
    """

    __slots__ = (
        '__weakref__',
        '_body',
        '_close',
        '_inside',
        '_next',
        '_request',
    )

    def __init__(self, body: Iterable[bytes], request: Request) -> None:
        self._body = body
        self._request = request
        self._next: Callable[[], bytes] | None = None
        self._inside: otel_context.Context | None = None
        self._close: Callable[[], object] | None
        self._close = getattr(body, 'close', None)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = self._request.enter()
        own = self._go_on()
        try:
            if self._next is None:
                self._next = iter(self._body).__next__
            return self._next()
        except StopIteration:
            if self._close is None or type(self._body) is types.GeneratorType:
                self._request.finish()
            raise
        except BaseException as error:
            self._request.fail(error, answered=True)
            raise
        finally:
            self._inside = _current.left_open(own)
            context.leave(token)

    def _go_on(self) -> trace.Span:
        """Make current what was when it gave its last piece.

        :returns: the span of the request.
        """
        own = _current.span()
        if self._inside is not None:
            _current.attach(self._inside)
        return own

    def close(self) -> None:
        """Close the body, and end the request."""
        try:
            if self._close is not None:
                token = self._request.enter()
                self._go_on()
                try:
                    self._close()
                finally:
                    context.leave(token)
        except BaseException as error:
            self._request.fail(error, answered=True)
            raise
        self._request.finish()

    def __del__(self) -> None:
        self._request.finish()


class SizedBody(Body):
    """A body that knows of how many pieces it is.

    Servers take the length of the only piece of one for Content-Length.
    """

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]

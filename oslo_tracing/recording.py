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

"""Spans while tracing is on, and the one place that writes exceptions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Mapping
import functools
import os
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from oslo_tracing import _current
from oslo_tracing import _guard
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import settings as settings_module

#: What :meth:`Recorder.open` takes, for a decorated function.
How = tuple[
    str, Mapping[str, Any] | None, trace.SpanKind | None, bool, str | None
]

_ERROR = trace.StatusCode.ERROR

_SPAN_KEY = _current.SPAN_KEY
_OPENED = _current.OPENED
_UNIT = _current.UNIT

#: What ends work from outside, or by its own wish, and is no Exception. By
#: name: neither asyncio nor greenlet is imported for it.
_LEAVING = frozenset(
    (
        ('builtins', 'GeneratorExit'),
        ('builtins', 'KeyboardInterrupt'),
        ('builtins', 'SystemExit'),
        ('asyncio.exceptions', 'CancelledError'),
        ('greenlet', 'GreenletExit'),
    )
)


def is_failure(error: BaseException) -> bool:
    """Whether work that ended by an exception has failed.

    So it has also where that is no Exception, as a Timeout of eventlet.

    :param error: what was raised.
    """
    try:
        # Not isinstance(): that asks the error what its class is.
        if issubclass(type(error), Exception):
            return True
        for kind in type(error).__mro__:
            # A class may say anything is its module, also what has no hash.
            if (str(kind.__module__), kind.__name__) in _LEAVING:
                return False
    except Exception:
        _guard.report('recording an exception')
    return True


def record_error(
    span: trace.Span,
    error: BaseException,
    settings: settings_module.Settings,
    *,
    status: bool = True,
    kind: str | None = None,
) -> None:
    """Write an exception into a span, without what must not be said.

    Its class and the frames of its stack, and its message only where
    ``exception_messages`` asks for it and it is not a database's. Where
    OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN is ``logs`` the event is not
    written to the span, as the conventions for exceptions in logs ask.

    :param span: the span; nothing is done unless it records.
    :param error: what was raised.
    :param settings: for ``exception_messages``.
    :param status: False where the error is expected: it then is told by
        ``error.type`` alone, without an event.
    :param kind: its class where that is not the error's own, as for what
        was raised in another process.
    """
    try:
        if not span.is_recording():
            return
        # Not needed before there is an error.
        from oslo_tracing.scrub import errors

        kind = errors.class_name(error) if kind is None else kind[:256]
        span.set_attribute(names.ERROR_TYPE, kind)
        if not status:
            return
        span.set_status(_ERROR, kind)
        if os.environ.get('OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN') == 'logs':
            return
        written = described(error, settings, kind)
        span.add_event(names.EVENT_EXCEPTION, written)
    except Exception:
        _guard.report('recording an exception')


def record_class(span: trace.Span, kind: str) -> None:
    """Mark a span as failed where only the error's class is known.

    :param span: the span; nothing is done unless it records.
    :param kind: the class; cut at 256 characters.
    """
    try:
        if span.is_recording():
            span.set_attribute(names.ERROR_TYPE, kind[:256])
            span.set_status(_ERROR, kind[:256])
    except Exception:
        _guard.report('recording an exception')


def described(
    error: BaseException,
    settings: settings_module.Settings,
    kind: str | None = None,
) -> dict[str, Any]:
    """Return what the event of an exception may say.

    :param error: what was raised.
    :param settings: for ``exception_messages``.
    :param kind: its class where that is not the error's own.
    """
    from oslo_tracing.scrub import errors

    written = {
        names.EXCEPTION_TYPE: errors.class_name(error)
        if kind is None
        else kind,
        names.EXCEPTION_STACKTRACE: errors.frames(
            error, settings.attribute_length_limit
        ),
    }
    if settings.exception_messages:
        message = errors.message(error)
        if message is not None:
            written[names.EXCEPTION_MESSAGE] = message
    return written


def _finish(span: trace.Span) -> None:
    """End a span; whoever processes it cannot break the service."""
    try:
        span.end()
    except Exception:
        _guard.report('ending a span of the service')


class _Opened:
    """Marks the contexts in and below an open span as such.

    It knows nothing of the span: contexts that are handed over keep it.

    :param outer: the mark of the span around it, None for the outermost.
    """

    __slots__ = ('ended', 'outer')

    ended: bool
    outer: _Opened | None

    def __init__(self, outer: _Opened | None) -> None:
        # What has ended is not asked for again: a task that leaves one
        # generator after another unfinished would keep all of them.
        while outer is not None and outer.ended:
            outer = outer.outer
        self.outer = outer
        self.ended = False


class OpenSpan:
    """A span of a service's own, as a context manager.

    A generator may leave it open and end anywhere: where a cycle is
    collected, in another task or thread. What is current there stays so,
    unless it is below this span.
    """

    __slots__ = (
        '_before',
        '_opened',
        '_settings',
        '_span',
        '_token',
        '_where',
    )

    _before: otel_context.Context
    _opened: _Opened
    _where: otel_context.Context

    def __init__(
        self, span: trace.Span, settings: settings_module.Settings
    ) -> None:
        self._span = span
        self._settings = settings
        self._token: Any = None

    def __enter__(self) -> trace.Span:
        before = self._before = _current.context()
        values = before.copy()
        outer: Any = values.get(_OPENED)
        opened = self._opened = _Opened(outer)
        values[_SPAN_KEY] = self._span
        values[_OPENED] = opened
        where = self._where = otel_context.Context(values)
        self._token = _current.attach(where)
        return self._span

    def __exit__(
        self, kind: Any, error: BaseException | None, trace_back: Any
    ) -> None:
        current = _current.context()
        if current is self._where or self._is_around(current):
            try:
                _current.reset(self._token)
            except (RuntimeError, ValueError):
                # Opened in another task or thread, whose own is not this.
                _current.attach(self._before)
        self._opened.ended = True
        if error is not None and is_failure(error):
            record_error(self._span, error, self._settings)
        _finish(self._span)

    def _is_around(self, current: otel_context.Context) -> bool:
        """Say whether a context is below this span, in its unit of work."""
        # A request that starts where a span was left open is below it, too.
        if current.get(_UNIT) is not self._where.get(_UNIT):
            return False
        opened: Any = current.get(_OPENED)
        while opened is not None and opened is not self._opened:
            opened = opened.outer
        return opened is not None


class _Passed(OpenSpan):
    """Stands for a span that would not be recorded: nothing is made of it."""

    __slots__ = ()

    def __enter__(self) -> trace.Span:
        return self._span

    def __exit__(self, *error: Any) -> None:
        return None


class _Inside:
    """What is current inside of a generator, and nowhere else.

    It is the generator's span, or what it had left open when it yielded.
    """

    __slots__ = ('_left_open', '_span', '_token')

    _token: Any

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._left_open: otel_context.Context | None = None

    def __enter__(self) -> None:
        if self._left_open is None:
            self._token = context.attach(self._span)
        else:
            self._token = _current.attach(self._left_open)

    def __exit__(self, *error: Any) -> None:
        self._left_open = _current.left_open(self._span)
        context.detach(self._token)


class Recorder:
    """Opens spans of a service's own.

    :param tracer: makes them.
    :param settings: what to record of exceptions.
    """

    def __init__(
        self, tracer: trace.Tracer, settings: settings_module.Settings
    ) -> None:
        self._tracer = tracer
        self._settings = settings

    def open(
        self,
        name: str,
        attributes: Mapping[str, Any] | None,
        kind: trace.SpanKind | None,
        root: bool,
        code: str | None = None,
    ) -> OpenSpan | None:
        """Start a span, or None where none is to be recorded.

        :param code: the function that it is about, fully qualified.
        """
        if not root:
            unrecorded = _current.unrecorded(_current.context())
            if unrecorded is not None:
                return _Passed(unrecorded, self._settings)
        span = self._start_guarded((name, attributes, kind, root, code))
        return None if span is None else OpenSpan(span, self._settings)

    def current_trace_id(self) -> str | None:
        """Return the current trace's id in hexadecimal, or None."""
        current = _current.span().get_span_context()
        if not current.is_valid:
            return None
        return trace.format_trace_id(current.trace_id)

    def drive(
        self, generator: Generator[Any, Any, Any], how: How
    ) -> Generator[Any, Any, Any]:
        """Run a generator under a span that is current only inside of it."""
        span = self._start_guarded(how)
        if span is None:
            return (yield from generator)
        inside = _Inside(span)
        resume: Callable[[], Any] = functools.partial(next, generator)
        try:
            while True:
                try:
                    with inside:
                        value = resume()
                except StopIteration as end:
                    return end.value
                try:
                    sent = yield value
                except GeneratorExit:
                    with inside:
                        generator.close()
                    raise
                except BaseException as thrown:
                    resume = functools.partial(generator.throw, thrown)
                else:
                    resume = functools.partial(generator.send, sent)
        except BaseException as error:
            if is_failure(error):
                record_error(span, error, self._settings)
            raise
        finally:
            _finish(span)

    async def drive_async(
        self, generator: AsyncGenerator[Any, Any], how: How
    ) -> AsyncGenerator[Any, Any]:
        """Do the same for an asynchronous generator."""
        span = self._start_guarded(how)
        if span is None:
            # There is no ``yield from`` for these; not to be in a trace is
            # to run under a span that is not recorded.
            span = trace.INVALID_SPAN
        inside = _Inside(span)
        resume: Callable[[], Any] = generator.__anext__
        try:
            while True:
                try:
                    with inside:
                        value = await resume()
                except StopAsyncIteration:
                    return
                try:
                    sent = yield value
                except GeneratorExit:
                    with inside:
                        await generator.aclose()
                    raise
                except BaseException as thrown:
                    resume = functools.partial(generator.athrow, thrown)
                else:
                    resume = functools.partial(generator.asend, sent)
        except BaseException as error:
            if is_failure(error):
                record_error(span, error, self._settings)
            raise
        finally:
            _finish(span)

    def _start_guarded(self, how: How) -> trace.Span | None:
        try:
            return self._start(how)
        except Exception:
            _guard.report('starting a span of the service')
            return None

    def _start(self, how: How) -> trace.Span | None:
        name, attributes, kind, root, code = how
        if context.is_suppressed():
            return None
        where = None
        if root:
            where = otel_context.Context()
        elif not context.has_parent():
            return None
        given = dict(attributes) if attributes else {}
        if code is not None:
            given[names.CODE_FUNCTION_NAME] = code
        return self._tracer.start_span(
            name, where, kind or trace.SpanKind.INTERNAL, given
        )

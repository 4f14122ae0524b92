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

"""What is set up in a process, and what of it is made later.

What records is made when the first span starts: OpenTelemetry's SDK takes
longer to import than all that ``setup()`` does, and a process that only
forks others, or runs a command, never needs it.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import logging
import os
from typing import Any
from typing import TYPE_CHECKING

from opentelemetry import trace

from oslo_tracing import _at_fork
from oslo_tracing import _guard
from oslo_tracing import _ready
from oslo_tracing import attributes
from oslo_tracing import context
from oslo_tracing import counters

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module


LOG = logging.getLogger(__name__)

_CLIENT = trace.SpanKind.CLIENT
#: Calls in a row with a provider of others, before one of which is looked.
_CALLS_TO_A_LOOK = 100

#: Seconds that a thread waits for another that makes what records. That may
#: log, and wait for a lock of the log that who asks here holds.
_PATIENCE = 30.0


class Parts:
    """What records.

    :param provider: makes the spans.
    :param processor: the pipeline to the exporters, None where somebody
        else's provider records.
    :param sampling: decides what is recorded, None where they do.
    :param may_force: asked whether one more request may be recorded since
        somebody asks for it.
    """

    def __init__(
        self,
        provider: trace.TracerProvider,
        processor: Any,
        sampling: Any,
        may_force: Callable[[], bool],
    ) -> None:
        self.provider = provider
        self.processor = processor
        self.sampling = sampling
        self.may_force = may_force


def _never() -> bool:
    return False


def _nothing() -> None:
    pass


#: Of who is taken off before its first span, or could not be made.
_NOTHING = Parts(trace.NoOpTracerProvider(), None, None, _never)


class Tracing:
    """Tracing as it is set up in this process.

    Made by :func:`oslo_tracing.setup`; a service needs nothing of it.

    :param settings: the options' values.
    :ivar propagation: reads and writes trace context.
    :ivar stats: what was exported, and what was dropped and why.
    :ivar http_server: what all filters share, made with the first request.
    :ivar recorder: records what a service says itself.
    :ivar look: called now and then, to notice changed options.
    :ivar undo: closing it takes everything off.
    :ivar exports: spans go to our exporters.
    :ivar provider: see :class:`Parts`, and so the next three; who asks for
        one of them has all made.
    """

    provider: trace.TracerProvider
    processor: Any
    sampling: Any
    may_force: Callable[[], bool]

    def __init__(self, settings: settings_module.Settings) -> None:
        self.settings = settings
        self.propagation: Any = None
        self.stats = counters.Counters()
        self.http_server: Any = None
        self.recorder: Any = None
        self.look: Callable[[], None] = _nothing
        self.undo = contextlib.ExitStack()
        self.exports = False
        self._make: Callable[[], Parts] | None = None
        #: The process in which a thread is at it, 0 where none is.
        self._making_in = 0

    def __getattr__(self, name: str) -> Any:
        # Only for what is not there yet.
        if name not in vars(_NOTHING):
            raise AttributeError(name)
        # Its parts are imported here: a fork waits, and so do other threads.
        if not _at_fork.HELD_OFF.enter(_PATIENCE):
            return getattr(_NOTHING, name)
        try:
            pid = os.getpid()
            if self._making_in == pid:
                # As when a line that is logged meanwhile goes out over HTTP.
                return getattr(_NOTHING, name)
            if name not in vars(self) and self._making_in:
                # What that thread was importing is locked here for ever.
                vars(self).update(vars(_NOTHING))
                LOG.warning(
                    'Process %d records no spans: it was forked while its '
                    'parent began to, and could not wait.',
                    pid,
                )
            if name not in vars(self):
                self._making_in = pid
                try:
                    vars(self).update(vars(self._made()))
                finally:
                    self._making_in = 0
            return vars(self)[name]
        finally:
            _at_fork.HELD_OFF.__exit__()

    def is_made(self) -> bool:
        """Say whether the parts are there, for good.

        If not, who asks for one gets nothing that is to be kept.
        """
        return 'provider' in vars(self)

    def later(self, make: Callable[[], Parts]) -> None:
        """Have the parts made by ``make``, when the first is needed."""
        self._make = make

    def make(self) -> None:
        """Make the parts, unless they are there."""
        self.__getattr__('provider')

    def tracer(self, integration: str) -> _ready.Tracer:
        """Return the tracer with the scope ``oslo_tracing.<integration>``."""
        return _Tracer(self, integration)

    def get_tracer(self, *scope: Any) -> trace.Tracer:
        """Return a tracer as the provider does, for the global one."""
        return self.provider.get_tracer(*scope)

    def drops(self, parent: trace.SpanContext) -> bool:
        """Say what ``sampling.drops`` does."""
        sampling = self.sampling
        return sampling is not None and sampling.drops(parent)

    def state(self) -> tuple[int, bool] | None:
        """Say how many spans wait, and whether the exporter thread runs.

        :returns: None where it is not known, as what exports is not ours.
        """
        if 'processor' not in vars(self):
            return (0, False) if self.exports else None
        # That of a test keeps spans, and has neither queue nor thread.
        state = getattr(self.processor, 'state', None)
        return None if state is None else state()

    def finish(self) -> None:
        """Export what is left, if anything was ever recorded."""
        processor = vars(self).get('processor')
        if processor is not None:
            processor.shutdown()

    def close(self) -> None:
        """Do the same, and make nothing any more."""
        if not self.is_made():
            # What another thread is making has to be finished, too.
            entered = _at_fork.HELD_OFF.enter(_PATIENCE)
            self._make = None
            if entered:
                _at_fork.HELD_OFF.__exit__()
        self.finish()

    def _made(self) -> Parts:
        if self._make is None:
            return _NOTHING
        token = context.suppress()
        try:
            made = self._make()
            if self._make is not None:
                return made
            # Closed meanwhile, as by the handler of a signal.
            if made.processor is not None:
                made.processor.shutdown()
        except Exception:
            _guard.report('starting to record')
        finally:
            context.detach(token)
        return _NOTHING


class _Tracer(_ready.Tracer):
    """Has the provider made when the first span starts."""

    def __init__(self, tracing: Tracing, integration: str) -> None:
        self._tracing = tracing
        self._integration = integration

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        return self._tracer().start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        return self._tracer().start_as_current_span(*args, **kwargs)

    def start_ready(self, *args: Any, **kwargs: Any) -> trace.Span:
        return _ready.starter(self._tracer())(*args, **kwargs)

    def _tracer(self) -> trace.Tracer:
        made = self._tracing.provider
        name = f'oslo_tracing.{self._integration}'
        if made is _NOTHING.provider:
            return made.get_tracer(name)
        # Here, since it brings the SDK; and not before it is there whole.
        from oslo_tracing import provider

        tracer = made.get_tracer(
            name, provider.own_version(), attributes.SCHEMA_URL
        )
        if self._tracing.sampling is None:
            # No sampler of ours is asked, which would look.
            tracer = _Looking(tracer, self._tracing.look)
        # From the second span on there is no way round over here.
        self.start_span = tracer.start_span  # type: ignore[method-assign]
        self.start_ready = (  # type: ignore[method-assign]
            _ready.starter(tracer)
        )
        if isinstance(tracer, _ready.Tracer):
            self.add_ready = tracer.add_ready  # type: ignore[method-assign]
            self.start_drawn = (  # type: ignore[method-assign]
                tracer.start_drawn
            )
        return tracer


class _Looking(trace.Tracer):
    """Looks for changed options where somebody else's tracer starts a span.

    :param tracer: theirs.
    :param look: called before each span, but before one of many of those of
        calls, as statements: there are many to a request, and a process may
        have nothing else.
    """

    def __init__(self, tracer: trace.Tracer, look: Callable[[], None]) -> None:
        self._theirs = tracer
        self._look = look
        self._calls = 0

    def start_span(
        self,
        name: str,
        context: Any = None,
        kind: trace.SpanKind = trace.SpanKind.INTERNAL,
        *args: Any,
        **kwargs: Any,
    ) -> trace.Span:
        self._calls += 1
        if kind is not _CLIENT or self._calls >= _CALLS_TO_A_LOOK:
            self._calls = 0
            self._look()
        return self._theirs.start_span(name, context, kind, *args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        return self._theirs.start_as_current_span(*args, **kwargs)

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

"""Who is told that a span starts or has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.sdk import trace as sdk_trace

from oslo_tracing.tracer import _recorded


class Processors(sdk_trace.SynchronousMultiSpanProcessor):
    """The processors of a provider, in order.

    Only those are called at a start or end who have something to do then;
    one with a true ``for_roots`` only where what starts has no parent. One
    with a true ``only_exports`` takes what had ended when it was made.

    :ivar starting: those to be told of a start below a parent.
    :ivar starting_roots: those to be told of any other.
    :ivar finish: called with a span that has ended.
    :ivar add: called with one of ours that is not ``rough``, or, where they
        ``only_export``, with the fields of one that is to be made.
    :ivar only_export: nobody sees a span before it has ended, or looks at
        more of it than what can be read.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.starting: tuple[Any, ...] = ()
        self.starting_roots: tuple[Any, ...] = ()
        self.finish: Callable[[Any], None] = self._finish_all
        self.add: Callable[[_recorded.Queued], None] = self._add
        self.only_export = False
        self._ending: tuple[Any, ...] = ()
        self._at_end: tuple[Any, ...] = ()

    def add_span_processor(
        self, span_processor: sdk_trace.SpanProcessor
    ) -> None:
        super().add_span_processor(span_processor)
        self.starting_roots = self._who('on_start')
        self.starting = tuple(
            one
            for one in self.starting_roots
            if not getattr(one, 'for_roots', False)
        )
        self._ending = self._who('_on_ending')
        self._at_end = self._who('on_end')
        self.finish = self._finish_all
        if len(self._at_end) == 1 and not self._ending:
            # Mostly ours is the only one.
            self.finish = self._at_end[0].on_end
        self.only_export = not (self.starting or self._ending) and all(
            getattr(one, 'only_exports', False) for one in self._at_end
        )
        self.add = self._add
        if self.only_export and len(self._at_end) == 1:
            self.add = getattr(self._at_end[0], 'add', self._add)

    def _finish_all(self, span: Any) -> None:
        for processor in self._ending:
            processor._on_ending(span)
        for processor in self._at_end:
            processor.on_end(span)

    def _add(self, whole: _recorded.Queued) -> None:
        self.finish(
            _recorded.Ended(*whole) if isinstance(whole, tuple) else whole
        )

    def _who(self, name: str) -> tuple[Any, ...]:
        nothing = getattr(sdk_trace.SpanProcessor, name, None)
        return tuple(
            one
            for one in self._span_processors
            if nothing is not None
            and getattr(type(one), name, None) is not nothing
        )

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


"""What exceptions say in spans that are not ours.

A driver's sentence holds the values of the statement that failed, and
``requests`` repeats the signature in a URL. The SDK and the instrumentors
of others record both.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Set
from typing import Any
from typing import Final

from opentelemetry.sdk import trace as sdk_trace

from oslo_tracing import _regex
from oslo_tracing import attributes as names
from oslo_tracing.scrub import errors
from oslo_tracing.tracer import _parts

_STATEMENT: Final = _regex.late(r'\[(?:SQL|parameters):')


def attributes(found: Mapping[str, Any], told: bool) -> Mapping[str, Any]:
    """Return what an exception event may keep.

    :param found: its attributes.
    :param told: whether messages may be said; without, the type stays alone.
    :returns: the same object where nothing is to be taken out. Where
        something is, no stack trace either: others repeat the message there.
    """
    kind = str(found.get(names.EXCEPTION_TYPE))
    message = found.get(names.EXCEPTION_MESSAGE)
    if not told or (isinstance(message, str) and errors.is_silent(kind)):
        return _without(found, found.keys() - {names.EXCEPTION_TYPE})
    if not isinstance(message, str):
        return found
    said = errors.text(errors.sentence(message))
    if said == message:
        return found
    kept = {**found, names.EXCEPTION_MESSAGE: said}
    return _without(kept, {names.EXCEPTION_STACKTRACE})


def _without(
    found: Mapping[str, Any], taken_out: Set[str]
) -> Mapping[str, Any]:
    if taken_out.isdisjoint(found):
        return found
    return {k: v for k, v in found.items() if k not in taken_out}


def description(
    said: str, events: Sequence[sdk_trace.Event], told: bool
) -> str:
    """Return what a status may say.

    :param said: its description, of a status that is an error.
    :param events: the span's, as they were recorded.
    :param told: whether messages of exceptions may be said; those of
        databases and of commands, of which events have none, never are.
    """
    # What the SDK writes for any exception.
    kind_of_error = errors.leading_class(said)
    has_error = bool(kind_of_error)
    for event in events:
        found = event.attributes
        if event.name != names.EVENT_EXCEPTION or not found:
            continue
        has_error = True
        message = found.get(names.EXCEPTION_MESSAGE)
        kind = str(found.get(names.EXCEPTION_TYPE) or 'Exception')
        if told and message is not None and not errors.is_silent(kind):
            continue
        short = kind.rpartition('.')[2]
        for prefix in (kind, short):
            if said.startswith(prefix):
                return prefix
        if not isinstance(message, str):
            message = getattr(event, 'said', '')
        if message and message[: _parts.BEGINNING] in said:
            return short
    if kind_of_error and not told:
        return kind_of_error
    statement = _STATEMENT.search(said)
    if statement:
        said = said[: statement.start()].rstrip()
    said = errors.sentence(said)
    return errors.text(said) if has_error else said

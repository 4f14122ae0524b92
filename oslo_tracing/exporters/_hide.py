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
from typing import Any
from typing import Final

from opentelemetry.sdk import trace as sdk_trace

from oslo_tracing import attributes as names

from oslo_tracing import _regex
from oslo_tracing.scrub import errors

_STATEMENT: Final = _regex.late(r'\[(?:SQL|parameters):')
# Of a message, to find it again in a description that was cut.
_ENOUGH: Final = 64


def type_only(
    attributes: Mapping[str, Any] | None,
) -> Mapping[str, Any] | None:
    """Return what an exception event may keep: the exception's type.

    :returns: the same object where there is nothing else.
    """
    if not attributes or list(attributes) == [names.EXCEPTION_TYPE]:
        return attributes
    return {
        key: value
        for key, value in attributes.items()
        if key == names.EXCEPTION_TYPE
    }


def without_message(
    description: str, events: Sequence[sdk_trace.Event]
) -> str:
    """Return a status description without what an exception said.

    :param description: of a status that is an error.
    :param events: the span's, as they were recorded.
    """
    for event in events:
        found = event.attributes
        if event.name != names.EVENT_EXCEPTION or not found:
            continue
        kind = str(found.get(names.EXCEPTION_TYPE) or 'Exception')
        short = kind.rpartition('.')[2]
        for prefix in (kind, short):
            if description.startswith(prefix):
                return prefix
        message = found.get(names.EXCEPTION_MESSAGE)
        if (
            isinstance(message, str)
            and message
            and message[:_ENOUGH] in description
        ):
            return short
    # What the SDK writes for any exception.
    kind_of_error = errors.leading_class(description)
    if kind_of_error:
        return kind_of_error
    statement = _STATEMENT.search(description)
    if statement:
        return description[: statement.start()].rstrip()
    return description

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

"""The comment that leads from a database's own logs to the trace."""

from __future__ import annotations

from opentelemetry import trace


def comment(span: trace.Span) -> str:
    """Return the comment that names a span, empty for an invalid one.

    As sqlcommenter has it, with the traceparent of W3C Trace Context.
    """
    named = span.get_span_context()
    if not named.is_valid:
        return ''
    return (
        f"/*traceparent='00-{named.trace_id:032x}-{named.span_id:016x}"
        f"-{named.trace_flags & 1:02x}'*/"
    )


def append(statement: str, said: str) -> str:
    """Append a comment, unless that might change what the statement says.

    Not after another comment: one to the end of the line would swallow it,
    and one of somebody's sqlcommenter may not be the last any more.
    """
    if not said or '\x00' in statement:
        return statement
    text = statement.rstrip()
    ends = ''
    if text.endswith(';'):
        text, ends = text[:-1].rstrip(), ';'
    last_line = text[text.rfind('\n') + 1 :]
    if text.endswith('*/') or '--' in last_line or '#' in last_line:
        return statement
    return f'{text} {said}{ends}'


def remove(statement: str, said: str) -> str:
    """Take away what :func:`append` put in."""
    return statement.replace(f' {said}', '') if said else statement

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

"""Who asks whom, as a graph for Graphviz."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator

from oslo_tracing import _printable
from oslo_tracing.report import callers

_MAX_LABEL = 64


def render(calls: Iterable[callers.Calls]) -> Iterator[str]:
    """Draw services as boxes, and what recorded nothing as ellipses.

    :param calls: who asks whom.
    :returns: lines of DOT without newlines; labels are escaped.
    """
    calls = list(calls)
    yield 'digraph services {'
    yield '  rankdir=LR;'
    nodes: dict[str, bool] = {}
    for each in calls:
        nodes[each.caller] = True
        nodes[each.callee] = nodes.get(each.callee, False) or each.recorded
    for name, recorded in nodes.items():
        shape = 'box' if recorded else 'ellipse'
        yield f'  {_quoted(name)} [shape={shape}];'
    for each in calls:
        label = f'{each.how} {each.durations.count}'
        if each.errors:
            label += f', {each.errors} failed'
        colour = ' color=red' if each.errors else ''
        yield (
            f'  {_quoted(each.caller)} -> {_quoted(each.callee)} '
            f'[label={_quoted(label)}{colour}];'
        )
    yield '}'


def _quoted(text: str) -> str:
    shown = _printable.printable(text, _MAX_LABEL)
    # A backslash in a label is an escape of Graphviz's own.
    return '"' + shown.replace('\\', '\\\\').replace('"', '\\"') + '"'

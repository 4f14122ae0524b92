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

"""Has the driver execute a statement, as SQLAlchemy would have it done.

Who is told of an execution by one of these events may have done it, and then
nobody after him is told. So it is here that those after us are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: What a dialect does, and what its events are called. The execution context
#: is the last of the arguments of each.
ONE = 'do_execute'
MANY = 'do_executemany'
PLAIN = 'do_execute_no_params'


def execute(what: str, ours: Callable[..., Any], *arguments: Any) -> None:
    """Do what comes after a listener that leaves it to others.

    :param what: the event.
    :param ours: the listener that is asked now, as it was registered.
    :param arguments: of the event.
    """
    dialect = arguments[-1].dialect
    listeners = tuple(getattr(dialect.dispatch, what))
    # Those before us have had their say. Where we have just been taken off
    # nobody knows who they were.
    after = listeners.index(ours) + 1 if ours in listeners else 0
    for listener in listeners[after:]:
        if listener(*arguments):
            return
    getattr(dialect, what)(*arguments)

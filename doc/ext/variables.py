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

"""Sees to it that each public variable is documented, once.

Variables are those of the devstack plugin, which ``devstack/settings`` sets,
and those of the roles, which their ``defaults`` set. The first are documented
by ``.. envvar::`` on some page, the others by ``.. zuul:rolevar::`` in the
README of the role, which a page includes. A variable that is missing there, or
documented and not there, is a warning.
"""

from collections import Counter
import pathlib
import re
from typing import Any

import yaml

_SET = re.compile(r'^ *(TRACING_[A-Z_]+)=', re.MULTILINE)
_DOCUMENTED = re.compile(
    r'^ *\.\. (?:envvar|zuul:rolevar):: (\w+) *$', re.MULTILINE
)


def public(root: pathlib.Path) -> set[str]:
    """Return the variables that there are below the top of the tree."""
    found = set(_SET.findall((root / 'devstack/settings').read_text()))
    for path in root.glob('roles/*/defaults/main.yaml'):
        found.update(yaml.safe_load(path.read_text()))
    return found


def documented(root: pathlib.Path) -> 'Counter[str]':
    """Return how often each is documented."""
    pages = [
        *root.glob('doc/source/**/*.rst'),
        *root.glob('roles/*/README.rst'),
    ]
    return Counter(
        name
        for path in pages
        # What is made of the code documents no variable.
        if 'reference/api' not in str(path)
        for name in _DOCUMENTED.findall(path.read_text())
    )


def complaints(root: pathlib.Path) -> list[str]:
    """Return what is wrong, a sentence each."""
    there = public(root)
    told = documented(root)
    return [
        *(f'{name} is not documented' for name in sorted(there - set(told))),
        *(f'{name} does not exist' for name in sorted(set(told) - there)),
        *(
            f'{name} is documented {count} times'
            for name, count in sorted(told.items())
            if count > 1
        ),
    ]


def _check(app: Any) -> None:
    # The unit tests, which read the rest, have no Sphinx.
    from sphinx.util import logging

    log = logging.getLogger(__name__)
    for complaint in complaints(pathlib.Path(app.confdir).parents[1]):
        log.warning(complaint)


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect('builder-inited', _check)
    return {'parallel_read_safe': True}

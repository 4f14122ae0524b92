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

"""What ``oslo-tracing run`` puts into the environment, and takes out again.

The directory of this file is put on ``PYTHONPATH`` for its
``sitecustomize.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import functools
import os
from typing import Any

#: The user whose processes are to be traced.
USER = 'OSLO_TRACING_RUN_USER'

_PATH = 'PYTHONPATH'
_DIRECTORY = os.path.dirname(os.path.abspath(__file__))
_CHANGE_USER = {'doas', 'pkexec', 'runuser', 'setpriv', 'su', 'sudo'}
_HELPERS = ('rootwrap', 'privsep-helper')
#: Where `env` is among the arguments of Popen that follow the first.
_ENV = 9


def prepared(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose Python processes are traced.

    Without empty elements in the path: they stand for the working directory.

    :param environ: the one to begin with.
    """
    found = dict(environ)
    found[_PATH] = os.pathsep.join([_DIRECTORY, *_others(environ)])
    found[USER] = str(os.getuid())
    return found


def cleaned(environ: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return an environment without what :func:`prepared` has added.

    :param environ: the one to begin with.
    """
    found = dict(environ)
    found.pop(USER, None)
    if found.pop(_PATH, None) is not None:
        others = _others(environ)
        if others:
            found[_PATH] = os.pathsep.join(others)
    return found


def clean_popen(module: Any) -> None:
    """Have children that change the user run without our variables.

    :param module: ``subprocess``.
    """
    original = module.Popen.__init__

    @functools.wraps(original)
    def popen(self: Any, args: Any, *rest: Any, **kwargs: Any) -> None:
        if isinstance(args, Iterator):
            # It can be read once, and Popen makes the same of it.
            args = list(args)
        try:
            if kwargs.get('user') is not None or _changes_user(args):
                if len(rest) > _ENV:
                    env = _without(rest[_ENV])
                    rest = (*rest[:_ENV], env, *rest[_ENV + 1 :])
                else:
                    kwargs['env'] = _without(kwargs.get('env'))
        except Exception:
            from oslo_tracing import _guard

            _guard.report('starting a process of another user')
        original(self, args, *rest, **kwargs)

    module.Popen.__init__ = popen


def _without(given: Any) -> dict[Any, Any]:
    # An empty one is for a child that is to know nothing.
    return cleaned(os.environ if given is None else given)


def _others(environ: Mapping[Any, Any]) -> list[str]:
    return [
        one
        for one in environ.get(_PATH, '').split(os.pathsep)
        if one and one != _DIRECTORY
    ]


def _changes_user(args: Any) -> bool:
    if isinstance(args, str | bytes | os.PathLike):
        words = os.fsdecode(args).split()
    else:
        words = [os.fsdecode(one) for one in args]
    # A helper may have options, or `env` in front of it, and never many.
    for word in words[:8]:
        name = os.path.basename(word)
        if name in _CHANGE_USER or any(one in name for one in _HELPERS):
            return True
    return False

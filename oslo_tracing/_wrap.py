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

"""Putting a function of ours in the place of another's, and back."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import importlib.metadata
import logging
import sys
import types
from typing import Any

from oslo_tracing import _guard
from oslo_tracing import exceptions

LOG = logging.getLogger(__name__)

_Attach = Callable[[types.ModuleType], None]


def version_of(distribution: str) -> str:
    """Return the installed version of a distribution, or ``'unknown'``.

    :param distribution: its name, as ``oslo.messaging``.
    """
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return 'unknown'


def wrap(
    owner: Any,
    name: str,
    make: Callable[[Callable[..., Any]], Callable[..., Any]],
    undo: contextlib.ExitStack,
    *,
    distribution: str,
    untraced: str,
) -> None:
    """Replace the function ``owner.name`` until ``undo`` is closed.

    The class, not an instance, so that what exists already is covered. Only
    what is still ours is put back: somebody may have wrapped us since.

    :param owner: the class or module that defines the function itself.
    :param name: the attribute's name.
    :param make: called with the original, returns what stands in for it.
    :param undo: takes the way back.
    :param distribution: what the owner belongs to, for the message.
    :param untraced: what stays untraced without this seam, as in "calls are".
    :raises SeamMissing: when ``owner`` defines no such function.
    """
    original = vars(owner).get(name)
    if isinstance(original, staticmethod | classmethod) or not callable(
        original
    ):
        raise exceptions.SeamMissing(
            distribution, version_of(distribution), untraced
        )
    # Through its owner: what wrapt made tells the instance from the other
    # arguments only then.
    ours = functools.wraps(original)(make(getattr(owner, name)))
    setattr(owner, name, ours)

    def restore() -> None:
        if vars(owner).get(name) is ours:
            setattr(owner, name, original)

    undo.callback(restore)


def on_import(
    module_name: str,
    attach: _Attach,
    undo: contextlib.ExitStack,
) -> None:
    """Attach to a module now, or when the service imports it.

    Importing it ourselves would decide for the service: oslo.messaging
    drags in eventlet, which a service in threading mode must not see.

    :param module_name: full name of the module.
    :param attach: called with the module, at most once, not after ``undo``
        was closed. Its errors are logged.
    :param undo: what is attached is pushed here by ``attach``.
    """
    module = _imported(module_name)
    if module is None or (
        # This thread is at it, and what it has imported first brought us
        # here: half of a module has no seams. Its end is known of only to
        # who asked for it at its beginning.
        _is_begun(module) and _AWAITED.is_asked_for(module_name)
    ):
        _AWAITED.add(module_name, attach, undo)
    else:
        _attach(attach, module)


def _imported(name: str) -> types.ModuleType | None:
    """Return a module that is imported, to its end."""
    module = sys.modules.get(name)
    if _is_begun(module):
        # Another thread is at it: half of a module has no seams. Not
        # import_module(): should that import fail, ours would be the next.
        wait = getattr(importlib._bootstrap, '_lock_unlock_module', None)
        if wait is not None:
            wait(name)
        module = sys.modules.get(name)
    return module


def _is_begun(module: types.ModuleType | None) -> bool:
    spec = getattr(module, '__spec__', None)
    return bool(getattr(spec, '_initializing', False))


def awaited() -> list[str]:
    """Return the modules that would be attached to if they were imported."""
    return _AWAITED.names()


class _Awaited:
    """What waits for modules that nobody has imported yet.

    wrapt cannot take a hook back: so it gets one for each module, however
    often tracing is set up.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[_Attach]] = {}

    def add(
        self, name: str, attach: _Attach, undo: contextlib.ExitStack
    ) -> None:
        """Call ``attach`` when the module is there, unless undone before."""
        known = name in self._waiting
        self._waiting.setdefault(name, []).append(attach)
        undo.callback(self._remove, name, attach)
        if not known:
            # Imported only where a hook is needed: nothing of it is loaded
            # when tracing is off.
            import wrapt

            wrapt.register_post_import_hook(
                functools.partial(self._arrived, name), name
            )

    def is_asked_for(self, name: str) -> bool:
        """Say whether the end of a module's import will be noticed."""
        return name in self._waiting

    def names(self) -> list[str]:
        """Return the modules that somebody waits for."""
        return [name for name, attach in self._waiting.items() if attach]

    def _arrived(self, name: str, module: types.ModuleType) -> None:
        for attach in self._waiting.pop(name, ()):
            _attach(attach, module)

    def _remove(self, name: str, attach: _Attach) -> None:
        waiting = self._waiting.get(name, [])
        if attach in waiting:
            waiting.remove(attach)


_AWAITED = _Awaited()


def _attach(attach: _Attach, module: types.ModuleType) -> None:
    """Attach, and say once what is not traced where that is impossible."""
    try:
        attach(module)
    except exceptions.SeamMissing as missing:
        LOG.warning(
            '%s %s lacks a place to attach to: %s not traced.',
            missing.library,
            missing.version,
            missing.what,
        )
    except Exception:
        _guard.report(f'attaching to {module.__name__}')

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

"""Setting tracing up in a service that does not know of it.

Loads nothing that a service may want to patch first: neither ``socket`` nor
``logging``, and no library of the service. What we wait for is what the
service imports itself.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import importlib.util
import os
import sys
import types
from typing import Any

from oslo_tracing import _runtime

#: An option that is registered on a configuration by oslo.log, which has to
#: happen before the command line is parsed.
_OF_OSLO_LOG = 'log_config_append'

_SetUp = Callable[[Any], None]


def wait(
    name: Callable[[], str], may: Callable[[Any], bool] | None = None
) -> None:
    """Call ``setup()`` once the service has parsed its configuration.

    That is when it has set its logging up with it, or, where oslo.log has no
    options in it, when it is parsed, or, in a worker that was spawned, when
    it is taken out of a pickle. A later configuration is looked at only
    where no earlier one has turned tracing on.

    What is parsed without those options while a module is being imported is
    left for later: so nova learns, before all else, whether it is to patch.
    Such a configuration is the one of a filter that is given none.

    :param name: returns what the service is called, unless its operator says.
    :param may: asked first, with the configuration.
    """
    # A filter of the service's own may come first.
    _runtime.RUNTIME.name = name

    def set_up(conf: Any) -> None:
        if _runtime.RUNTIME.tracing is None and (may is None or may(conf)):
            # Only now: by now the service has patched what it wants to patch.
            from oslo_tracing import service

            service.setup(conf, name())

    for module, attach in (
        ('oslo_log.log', _attach_to_oslo_log),
        ('oslo_config.cfg', _attach_to_oslo_config),
    ):
        on_import(module, functools.partial(_guarded, attach, set_up))


class _Finder:
    """Lets others find a module, and is told when it is loaded.

    wrapt has the same, and imports asyncio, with it socket and ssl.
    """

    def __init__(
        self,
        awaited: str,
        attach: Callable[[types.ModuleType], None],
        once: bool,
    ) -> None:
        self._awaited = awaited
        self._once = once
        self._attach = attach
        self._is_asking = False

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> Any:
        if name != self._awaited or self._is_asking:
            return None
        self._is_asking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._is_asking = False
        loader: Any = getattr(spec, 'loader', None)
        if loader is None:
            return spec
        load = loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            del loader.exec_module
            load(module)
            # Not before: many only ask where a module is.
            if self._once and self in sys.meta_path:
                finder: Any = self
                sys.meta_path.remove(finder)
            self._attach(module)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            # Compiled into something that takes no attribute: no hook.
            pass
        return spec


def on_import(
    name: str,
    attach: Callable[[types.ModuleType], None],
    *,
    once: bool = True,
) -> None:
    """Attach to a module now, or when the service imports it.

    :param name: full name of the module.
    :param attach: called with the module.
    :param once: False where others load it again, as eventlet does.
    """
    module = sys.modules.get(name)
    if module is not None:
        attach(module)
    if module is None or not once:
        finder: Any = _Finder(name, attach, once)
        sys.meta_path.insert(0, finder)


def program_name() -> str:
    """Return what the program of this process is called."""
    target = os.environ.get('OSLO_TRACING_WSGI_APP')
    if target:
        # The program is a server that serves many.
        return target.partition(':')[0].partition('.')[0]
    path = sys.argv[0] if getattr(sys, 'argv', None) else ''
    folder, name = os.path.split(path)
    if name == '__main__.py':
        name = os.path.basename(folder)
    if not name or name.startswith('-'):
        # As of `python -c`.
        return 'python'
    return name.removesuffix('.py')


def _guarded(
    attach: Callable[[_SetUp, Any], None],
    set_up: _SetUp,
    module: types.ModuleType,
) -> None:
    try:
        attach(set_up, module)
    except Exception:
        from oslo_tracing import _guard

        _guard.report(f'attaching to {module.__name__}')


def _attach_to_oslo_log(set_up: _SetUp, module: Any) -> None:
    original = module.setup

    @functools.wraps(original)
    def setup(conf: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(conf, *args, **kwargs)
        set_up(conf)
        return result

    module.setup = setup


def _attach_to_oslo_config(set_up: _SetUp, module: Any) -> None:
    original = module.ConfigOpts.__call__

    @functools.wraps(original)
    def parse(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        if _OF_OSLO_LOG in self:
            return result
        if not _is_importing():
            set_up(self)
        elif _runtime.RUNTIME.conf is None:
            _runtime.RUNTIME.conf = self
        return result

    module.ConfigOpts.__call__ = parse
    original_restore = vars(module.ConfigOpts).get('__setstate__')
    if original_restore is None:
        # An older one cannot be pickled.
        return

    @functools.wraps(original_restore)
    def restore(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original_restore(self, *args, **kwargs)
        # In a worker that was spawned nobody parses it again, and nobody
        # may set up logging.
        set_up(self)
        return result

    module.ConfigOpts.__setstate__ = restore


def _is_importing() -> bool:
    """Say whether a module is being imported by this thread."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith('<frozen importlib._boot'):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False

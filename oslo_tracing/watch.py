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

"""Options that change while the service runs.

A service that handles SIGHUP calls ``mutate_config_files()``, which tells
us. API workers under uWSGI, gunicorn or mod_wsgi never do: there the files
are looked at, at most every ten seconds, when a trace is decided on. A look
is a ``stat`` of each file; it needs no thread, which such a server may not
let run.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import logging
import os
import time
from typing import Any

from oslo_config import cfg

from oslo_tracing import _guard
from oslo_tracing import _sources
from oslo_tracing import exceptions
from oslo_tracing import opts
from oslo_tracing import settings as settings_module

LOG = logging.getLogger(__name__)

#: Seconds between two looks at the files.
INTERVAL = 10.0


class Watch:
    """Keeps the mutable settings in step with their sources.

    :param conf: the service's configuration.
    :param settings: what is changed.
    :param check: called with the new values, by the names of the options,
        before any of them is taken over; raises ``InvalidOption``.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        settings: settings_module.Settings,
        check: Callable[[dict[str, Any]], None],
    ) -> None:
        self._conf = conf
        self._settings = settings
        self._check = check
        self._files = _absolute(_sources.files(conf))
        self._dirs = _absolute(_sources.directories(conf))
        # Those that `set_default()` was called with, by the service.
        self._defaults = self._told('default')
        self._seen = self._stamps()
        self._next = time.monotonic() + INTERVAL
        self._pid = os.getpid()

    def install(self, undo: contextlib.ExitStack) -> None:
        """Be told of every ``mutate_config_files()`` until ``undo``."""
        self._conf.register_mutate_hook(self._mutated)
        hooks = getattr(self._conf, '_mutate_hooks', None)
        if isinstance(hooks, set):
            undo.callback(hooks.discard, self._mutated)

    def look(self) -> None:
        """Look at the files if it is time to; cheap otherwise."""
        # oslo.service's way to reload is to fork new workers, and tells
        # nobody: these do not wait.
        if time.monotonic() < self._next and os.getpid() == self._pid:
            return
        self._next, self._pid = time.monotonic() + INTERVAL, os.getpid()
        try:
            stamps = self._stamps()
            if stamps != self._seen:
                self._seen = stamps
                self._reread()
        except Exception:
            _guard.report('looking for changed options')

    def _reread(self) -> None:
        wrong = None
        try:
            fresh = self._fresh()
        except cfg.ConfigFileParseError as error:
            # Its text quotes the line, which may hold a password.
            wrong = f'{error.config_file} cannot be parsed'
        except UnicodeError:
            wrong = f'{self._undecodable()} is not text'
        except (cfg.Error, OSError) as error:
            wrong = str(error)
        if wrong is None:
            self._apply(fresh)
        else:
            LOG.error('Kept the previous values: %s.', wrong)

    def _mutated(self, conf: cfg.ConfigOpts, fresh: Any) -> None:
        try:
            self._seen = self._stamps()
            self._apply(conf)
        except Exception:
            _guard.report('taking over changed options')

    def _apply(self, conf: cfg.ConfigOpts) -> None:
        wrong = None
        try:
            values = settings_module.read_mutable(conf)
            self._check(values)
        except exceptions.InvalidOption as error:
            wrong = str(error)
        if wrong is not None:
            # Not within the handler: oslo.log would append the same again.
            LOG.error('Kept the previous value: %s.', wrong)
            return
        for name, value in values.items():
            if getattr(self._settings, name) != value:
                LOG.info('[tracing] %s is now %s.', name, value)
                setattr(self._settings, name, value)

    def _fresh(self) -> cfg.ConfigOpts:
        """Parse the files anew, without touching the service's options."""
        fresh = _Fresh()
        opts.register_opts(fresh)
        for name, value in self._defaults.items():
            fresh.set_default(name, value, group=opts.GROUP.name)
        fresh(
            [],
            project='',
            # One that is gone is an error, too: what it said must not
            # become the default.
            default_config_files=self._files,
            default_config_dirs=self._dirs,
        )
        for name, value in self._told('override').items():
            fresh.set_override(name, value, group=opts.GROUP.name)
        # Not before: parsing asks for options that both have.
        fresh.of_service = self._conf
        return fresh

    def _told(self, how: str) -> dict[str, Any]:
        """Return values that are in no file.

        :param how: ``default`` or ``override``, as ``set_default()`` or
            ``set_override()`` was called.
        """
        found = {}
        for name in settings_module.MUTABLE:
            info: Any = self._conf._get_opt_info(name, opts.GROUP.name)
            if how in info:
                found[name] = info[how]
        return found

    def _undecodable(self) -> str:
        """Name the file that is not text, which no error does."""
        for path in self._paths():
            try:
                with open(path) as stream:
                    stream.read()
            except UnicodeError:
                return path
            except OSError:
                continue
        return 'a file'

    def _paths(self) -> list[str]:
        paths = list(self._files)
        for directory in self._dirs:
            paths.extend(_sources.inside(directory))
        return paths

    def _stamps(self) -> list[tuple[str, int, int, int]]:
        stamps = []
        for path in self._paths():
            try:
                found = os.stat(path)
            except OSError:
                continue
            stamps.append(
                (path, found.st_mtime_ns, found.st_size, found.st_ino)
            )
        return stamps


class _Fresh(cfg.ConfigOpts):
    """Has our options alone, which may refer to others of the service.

    :ivar of_service: answers for these, with what it has now: they do not
        change while it runs unless it re-reads them.
    """

    of_service: cfg.ConfigOpts | None = None

    def _get(
        self, name: str, group: Any = None, *more: Any, **named: Any
    ) -> Any:
        if self.of_service is None or opts.GROUP.name in (
            name,
            getattr(group, 'name', group),
        ):
            return super()._get(name, group, *more, **named)
        return self.of_service._get(name, group)


def _absolute(paths: list[str]) -> list[str]:
    return [os.path.abspath(path) for path in paths]

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

"""Which files and directories a configuration was read from."""

from __future__ import annotations

import glob
import os
from typing import Any

from oslo_config import cfg


def files(conf: cfg.ConfigOpts) -> list[str]:
    """Return the files, none where nothing was parsed."""
    return _given(conf, 'config_file')


def directories(conf: cfg.ConfigOpts) -> list[str]:
    """Return the directories: of several, the option names the last one."""
    return _found(list(conf.config_dirs)) or _given(conf, 'config_dir')


def inside(directory: str) -> list[str]:
    """Return the files of a directory that oslo.config reads, in order."""
    return sorted(glob.glob(os.path.join(directory, '*.conf')))


def _given(conf: cfg.ConfigOpts, option: str) -> list[str]:
    try:
        found: Any = getattr(conf, option, None) or []
    except cfg.Error:
        return []
    return _found([found] if isinstance(found, str) else list(found))


def _found(paths: list[str]) -> list[str]:
    # `--config-file=~/x` has a tilde that no shell has replaced.
    return [os.path.expanduser(path) for path in paths]

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
"""What a check says."""

from __future__ import annotations

import dataclasses
from typing import Any
from typing import Final

from oslo_config import cfg

OK: Final = 'ok'
WARNING: Final = 'warning'
ERROR: Final = 'error'


@dataclasses.dataclass(frozen=True)
class Result:
    """One thing that was looked at.

    :param level: ``OK``, ``WARNING`` or ``ERROR``.
    :param text: one sentence.
    """

    level: str
    text: str


def said(
    conf: cfg.ConfigOpts, group: str, name: str, kind: Any = cfg.StrOpt
) -> Any:
    """Return what a configuration says of an option that is not ours.

    :param conf: the configuration; the option is registered on it.
    :param group: its group, ``DEFAULT`` or another.
    :param name: of the option.
    :param kind: the class of the option.
    :returns: None where nothing is said, or nothing that can be read.
    """
    where = None if group == 'DEFAULT' else group
    try:
        conf.register_opt(kind(name), group=where)
    except cfg.DuplicateOptError:
        # It is there already, as the service knows it.
        pass
    try:
        return conf[name] if where is None else conf[where][name]
    except (cfg.Error, ValueError):
        return None

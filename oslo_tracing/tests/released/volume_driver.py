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

"""A volume driver that makes an empty file of each volume.

cinder's own fake driver logs its commands and runs none. As in the drivers
that do, this one is run by ``execute`` of cinder.
"""

from __future__ import annotations

import os
from typing import Any

from cinder.tests import fake_driver
from cinder import utils


class Driver(fake_driver.FakeLoggingVolumeDriver):
    """The fake driver of cinder, and a command for each volume."""

    def create_volume(self, volume: Any) -> Any:
        """Create a volume."""
        self._make(volume)
        return super().create_volume(volume)

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any) -> Any:
        """Create a volume of what a snapshot holds."""
        self._make(volume)
        return super().create_volume_from_snapshot(volume, snapshot)

    def _make(self, volume: Any) -> None:
        path = os.path.join(os.environ['HOME'], f'volume-{volume.id}')
        utils.execute('truncate', '-s', f'{volume.size}G', path)

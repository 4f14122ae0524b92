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

"""Where traces are read from: one interface, a module for each kind."""

from __future__ import annotations

from oslo_tracing.report.sources import base
from oslo_tracing.report.sources import files

Source = base.Source
SourceError = base.SourceError


def open_source(text: str) -> base.Source:
    """Open what a user named.

    :param text: a file or directory of OTLP JSON, also gzipped, or ``-``
        for standard input.
    :returns: the source; nothing of it has been read yet.
    :raises SourceError: when there is no such thing.
    """
    return files.FileSource(text)

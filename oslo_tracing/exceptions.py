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

"""The errors that this library raises of its own."""

from __future__ import annotations

from typing import Any


class TracingError(Exception):
    """Root of every error of this library."""


class InvalidOption(TracingError):
    """An option has a value that tracing cannot work with.

    The only error that may stop a service's start: an operator who wrote
    the value wants to know before the first request.

    :param option: name of the option in the ``[tracing]`` group.
    :param value: the value, or what may be shown of it.
    :param why: what is wrong with it, without a full stop.
    """

    def __init__(self, option: str, value: Any, why: str) -> None:
        super().__init__(f'[tracing] {option} = {value}: {why}')
        self.option = option


class SeamMissing(TracingError):
    """A library lacks the place where an integration attaches.

    :param library: name of the library.
    :param version: its installed version, or ``'unknown'``.
    :param what: what is not traced because of it.
    """

    def __init__(self, library: str, version: str, what: str) -> None:
        super().__init__(f'{library} {version} has no seam: {what}')
        self.library = library
        self.version = version
        self.what = what


class ConfigurationUnreadable(TracingError):
    """A client's configuration file cannot be used.

    :param path: of the file.
    :param why: what oslo.config calls the reason, never what the file says.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f'{path} cannot be used ({why})')
        self.path = path


class NoApplication(TracingError):
    """``OSLO_TRACING_WSGI_APP`` names nothing that could be served."""

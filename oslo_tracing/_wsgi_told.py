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

"""What is known of a request on its way in."""

from __future__ import annotations

from typing import Any
from typing import TypeAlias

from oslo_tracing import attributes as attribute_names
from oslo_tracing.scrub import names
from oslo_tracing.scrub import urls

#: Requests that are remembered, and the characters of their paths.
_MAX_KNOWN = 512
_MAX_KNOWN_PATH = 256

_Key: TypeAlias = tuple[Any, str, bool]


class Told:
    """What is known of a request on its way in; never changed.

    :param method: as it came.
    :param path: decoded.
    :param continued: its caller has a trace, which goes on.
    :ivar method: as names have it.
    :ivar path: what is said of its path.
    :ivar cleaned: what names have of it.
    :ivar name: what samplers decide on; the route is known later.
    :ivar constant: what all requests with this name have.
    :ivar is_usual: it is as many others are, but for its path, and that is
        short enough for every limit, and nothing but ASCII.
    """

    __slots__ = ('cleaned', 'constant', 'is_usual', 'method', 'name', 'path')

    def __init__(self, method: Any, path: str, continued: bool) -> None:
        self.method, known, original = names.method(method)
        self.path = urls.path(path)
        self.cleaned = names.cleaned_path(self.path)
        self.name = f'{self.method} {self.cleaned}'
        self.constant = {attribute_names.HTTP_REQUEST_METHOD: known}
        if original is not None:
            self.constant[attribute_names.HTTP_REQUEST_METHOD_ORIGINAL] = (
                original
            )
        if not continued:
            # For who writes a rule: the span gets another name at its end.
            self.constant[attribute_names.OPENSTACK_SAMPLING_NAME] = self.name
        self.is_usual = (
            original is None
            and len(self.path) <= _MAX_KNOWN_PATH
            and self.path.isascii()
        )

    @property
    def attributes(self) -> dict[str, str]:
        """All that its span begins with.

        In this order, since of too many the first ones are lost.
        """
        return {
            attribute_names.HTTP_REQUEST_METHOD: '',
            attribute_names.URL_PATH: self.path,
            **self.constant,
        }


class Paths:
    """What is told of requests; of some whose path may be said whole kept.

    Many requests are for the same: a list, a token, a health check.
    """

    def __init__(self) -> None:
        self._known: dict[_Key, Told] = {}

    def told(self, method: Any, path: str, continued: bool) -> Told:
        """Return what is told of a request, see there."""
        key = method, path, continued
        told = self._known.get(key) if type(method) is str else None
        if told is None:
            told = Told(method, path, continued)
            # Nothing is kept that must not be said.
            if told.is_usual and told.path == path:
                if len(self._known) >= _MAX_KNOWN:
                    self._known.clear()
                self._known[key] = told
        return told

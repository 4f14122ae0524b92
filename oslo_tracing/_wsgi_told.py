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

from typing import TYPE_CHECKING

from oslo_tracing import attributes as attribute_names
from oslo_tracing.scrub import names
from oslo_tracing.scrub import urls

if TYPE_CHECKING:
    from _typeshed import wsgi

#: Paths that are remembered, and their characters.
_MAX_KNOWN = 512
_MAX_KNOWN_PATH = 256
#: What methods are called of which one has to be told more.
_STRANGE = 'HTTP'


class Paths:
    """What may be said of paths; of some that may be said whole it is known.

    Many requests are for the same: a list, a token, a health check.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def get(self, path: str) -> tuple[str, str]:
        """Return a path without secrets, and what names have of it.

        :param path: decoded.
        """
        cleaned = self._known.get(path)
        if cleaned is not None:
            return path, cleaned
        scrubbed = urls.path(path)
        cleaned = names.cleaned_path(scrubbed)
        # Nothing is kept that must not be said.
        if scrubbed == path and len(path) <= _MAX_KNOWN_PATH:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[path] = cleaned
        return scrubbed, cleaned


class Told:
    """What is known of a request on its way in.

    :param said: what is said of its path, and what names have of it.
    :param continued: its caller has a trace, which goes on.
    :ivar name: what samplers decide on; the route is known later.
    :ivar constant: what all requests with this name have.
    :ivar path: what is said of its path.
    """

    __slots__ = ('cleaned', 'constant', 'method', 'name', 'path')

    def __init__(
        self,
        environ: wsgi.WSGIEnvironment,
        said: tuple[str, str],
        continued: bool,
    ) -> None:
        self.method, known, original = names.method(
            environ.get('REQUEST_METHOD')
        )
        self.path, self.cleaned = said
        self.name = name = f'{self.method} {self.cleaned}'
        self.constant = {attribute_names.HTTP_REQUEST_METHOD: known}
        if original is not None:
            self.constant[attribute_names.HTTP_REQUEST_METHOD_ORIGINAL] = (
                original
            )
        if not continued:
            # For who writes a rule: the span gets another name at its end.
            self.constant[attribute_names.OPENSTACK_SAMPLING_NAME] = name

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

    def is_usual(self) -> bool:
        """Say whether it is as many others are, but for its path.

        That is short enough for every limit, and nothing but ASCII.
        """
        return (
            self.method != _STRANGE
            and len(self.path) <= _MAX_KNOWN_PATH
            and self.path.isascii()
        )

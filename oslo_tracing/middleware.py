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

"""The paste filter that records the requests of a WSGI API.

Put it first in the pipeline: what is refused before it is reached, by
authentication or a size limit outside of it, is not recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import logging
from typing import Any
from typing import TYPE_CHECKING

from oslo_config import cfg
from oslo_middleware import base

import oslo_tracing
from oslo_tracing import _runtime
from oslo_tracing import exceptions

if TYPE_CHECKING:
    from _typeshed import wsgi

    from oslo_tracing import _wsgi

LOG = logging.getLogger(__name__)

_RUNTIME = _runtime.RUNTIME
_UNDECIDED = object()


class TracingMiddleware(base.ConfigurableMiddleware):
    """Records each request as a SERVER span.

    ::

        [filter:tracing]
        use = egg:oslo.tracing#tracing
        oslo_config_project = glance
        service_name = glance-api

    It is enough by itself: where the service has not called
    ``oslo_tracing.setup()``, the filter does, with the configuration that
    it is given, else the one of ``oslo_config_project``, else ``cfg.CONF``.
    That is done when the pipeline is built if the configuration has been
    parsed by then, else at the first request.

    :param application: what is traced.
    :param conf: the options of the paste section, or a configuration.
    :raises InvalidOption: for a value of ``[tracing]`` that cannot be used.
    """

    @classmethod
    def factory(
        cls, global_conf: dict[str, Any] | None, **local_conf: Any
    ) -> Callable[[wsgi.WSGIApplication], Any]:
        """Return the filter for paste.deploy.

        :param global_conf: options of all filters.
        :param local_conf: options of the filter's own section.
        :returns: called with the application, what stands in its place: the
            application itself where it is not to be traced.
        """
        conf = {**(global_conf or {}), **local_conf}

        def make(application: wsgi.WSGIApplication) -> Any:
            made = cls(application, conf)
            return application if made._is_off() else made

        return make

    def __init__(
        self,
        application: wsgi.WSGIApplication | None,
        conf: dict[str, Any] | cfg.ConfigOpts | None = None,
    ) -> None:
        super().__init__(application, conf)
        self._given_conf = conf if isinstance(conf, cfg.ConfigOpts) else None
        self._server: _wsgi.Server | None = None
        #: What ``_server`` was chosen for: tracing may come, go and change
        #: after the pipeline was built.
        self._chosen_for: Any = _UNDECIDED
        if _RUNTIME.tracing is not None or _is_parsed(self._conf_to_use()):
            self._set_up()
            self._choose(_RUNTIME.tracing)

    def __call__(
        self,
        environ: wsgi.WSGIEnvironment,
        start_response: wsgi.StartResponse,
    ) -> Iterable[bytes]:
        """Answer a request."""
        if _RUNTIME.tracing is not self._chosen_for:
            self._choose_late()
        application: Any = self.application
        server = self._server
        if server is None:
            answer: Iterable[bytes] = application(environ, start_response)
            return answer
        return server.serve(application, environ, start_response)

    def _is_off(self) -> bool:
        return self._chosen_for is not _UNDECIDED and self._server is None

    def _conf_to_use(self) -> cfg.ConfigOpts:
        """Return what to set tracing up with, if nobody has."""
        if self._given_conf is not None:
            return self._given_conf
        conf = _RUNTIME.conf
        return self.oslo_conf if conf is None else conf

    def _set_up(self) -> None:
        if _RUNTIME.tracing is None:
            oslo_tracing.setup(
                self._conf_to_use(), self.conf.get('service_name')
            )

    def _choose_late(self) -> None:
        """Decide at a request what could not be when the app was built."""
        if self._chosen_for is _UNDECIDED and _RUNTIME.tracing is None:
            wrong = None
            try:
                self._set_up()
            except exceptions.InvalidOption as error:
                wrong = str(error)
            if wrong is not None:
                # It is too late to stop the service. Not within the handler:
                # oslo.log would append the same again.
                LOG.error('Requests are not traced: %s.', wrong)
            if _RUNTIME.tracing is None and not _is_parsed(
                self._conf_to_use()
            ):
                LOG.warning(
                    'Requests are not traced: nobody has parsed the '
                    'configuration that the tracing filter looks at. Call '
                    'oslo_tracing.setup() with that of the service, or set '
                    'oslo_config_project in the section of the filter.'
                )
        self._choose(_RUNTIME.tracing)

    def _choose(self, tracing: Any) -> None:
        server = None
        if tracing is not None and tracing.settings.trace_http_server:
            # Loaded only now: with tracing off nothing of OpenTelemetry is.
            from oslo_tracing import _wsgi

            server = _wsgi.shared(tracing)
            if server.gives_way(self._conf_to_use(), self.oslo_conf, cfg.CONF):
                server = None
        self._server = server
        if server is None or tracing.is_made():
            # Else what records is under way, and it is asked for again.
            self._chosen_for = tracing


def _is_parsed(conf: cfg.ConfigOpts) -> bool:
    """Say whether somebody has called the configuration object."""
    try:
        # Of all that needs a parsed configuration this has no effect.
        conf.find_file('')
    except cfg.NotInitializedError:
        return False
    return True

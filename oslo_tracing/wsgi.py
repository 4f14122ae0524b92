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

"""``oslo_tracing.wsgi:application``: a WSGI application, with tracing around.

Which one is said by ``OSLO_TRACING_WSGI_APP``, as ``keystone.wsgi.api`` or
``nova.wsgi.osapi_compute:application``. It is loaded when this module is, as
uWSGI and gunicorn would have done, and its errors are its own.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from oslo_tracing import autoload
from oslo_tracing import exceptions

VARIABLE = 'OSLO_TRACING_WSGI_APP'
_DEFAULT = 'application'


def _load(target: str | None) -> Any:
    """Load what the variable names, and put our filter in front of it.

    :raises NoApplication: when it names nothing that could be served.
    """
    if not target:
        raise exceptions.NoApplication(
            f'{VARIABLE} is not set; it names the application, as '
            'keystone.wsgi.api:application'
        )
    module_name, _colon, attribute = target.partition(':')
    project = module_name.partition('.')[0]
    # Before the service is loaded, which may parse its configuration then.
    autoload.wait(lambda: project)
    application: Any = _module(target, module_name)
    try:
        for part in (attribute or _DEFAULT).split('.'):
            application = getattr(application, part)
    except AttributeError as error:
        raise exceptions.NoApplication(
            f'{VARIABLE} = {target}: {error}'
        ) from None
    if not callable(application):
        raise exceptions.NoApplication(
            f'{VARIABLE} = {target}: it cannot be called'
        )
    # After the service is loaded: it may have to patch first what this loads.
    from oslo_tracing import middleware

    make = middleware.TracingMiddleware.factory(None, service_name=project)
    return make(application)


def _module(target: str, name: str) -> Any:
    wrong = 'not the name of a module'
    if name and not name.startswith('.'):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name or ''
            if name != missing and not name.startswith(f'{missing}.'):
                # The service lacks something, and says so.
                raise
            wrong = str(error)
    raise exceptions.NoApplication(f'{VARIABLE} = {target}: {wrong}')


application = _load(os.environ.get(VARIABLE))

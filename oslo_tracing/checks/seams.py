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
"""Which libraries are there to be traced, and what they lack."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import importlib
import importlib.util
import logging
from typing import Final
import warnings

from opentelemetry.sdk import trace as sdk_trace
from oslo_config import cfg

from oslo_tracing import _wrap
from oslo_tracing.checks import neighbours
from oslo_tracing.checks import results
from oslo_tracing import service
from oslo_tracing import settings as settings_module

#: What each option needs to trace anything: module and distribution.
_LIBRARIES: Final = (
    ('trace_http_client', 'requests', 'requests', 'outgoing HTTP'),
    ('trace_rpc', 'oslo_messaging', 'oslo.messaging', 'RPC'),
    (
        'trace_notifications',
        'oslo_messaging',
        'oslo.messaging',
        'notifications',
    ),
    ('trace_db', 'sqlalchemy', 'SQLAlchemy', 'SQL'),
    (
        'trace_locks',
        'oslo_concurrency',
        'oslo.concurrency',
        'waiting for locks',
    ),
    ('trace_locks', 'tooz', 'tooz', 'waiting for those of tooz'),
    (
        'trace_commands',
        'oslo_concurrency',
        'oslo.concurrency',
        'external commands',
    ),
    ('trace_commands', 'oslo_privsep', 'oslo.privsep', 'those over privsep'),
    (
        'trace_commands',
        'oslo_rootwrap',
        'oslo.rootwrap',
        "those over rootwrap's daemon",
    ),
    ('trace_cache', 'oslo_cache', 'oslo.cache', 'memcached'),
)


class _Warnings(logging.Handler):
    """Keeps what would be warned of when a service starts."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self.said:
            self.said.append(text)


def look(
    conf: cfg.ConfigOpts,
    settings: settings_module.Settings,
    service_name: str | None,
) -> Iterator[results.Result]:
    """Attach to all that is installed here, as in a service, and take it off.

    :raises InvalidOption: as ``setup()`` does.
    """
    missing = _missing(conf, service_name)
    for option, module, distribution, what in _LIBRARIES:
        if not getattr(settings, option):
            text = f'{what}: not traced, {option} is False'
        elif importlib.util.find_spec(module) is None:
            text = f'{what}: nothing to trace, {module} is not installed here'
        elif any(distribution in each for each in missing) or (
            option == 'trace_rpc' and neighbours.rpc_is_theirs(conf)
        ):
            # Said elsewhere.
            continue
        else:
            version = _wrap.version_of(distribution)
            text = f'{what}: traced, {distribution} {version}'
        yield results.Result(results.OK, text)
    for text in missing:
        yield results.Result(results.WARNING, text.rstrip('.'))


def _missing(conf: cfg.ConfigOpts, service_name: str | None) -> list[str]:
    heard = _Warnings()
    with _listening(heard), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        service.set_up(conf, service_name, processor=sdk_trace.SpanProcessor())
        try:
            asked: list[str] = []
            # Some wait for others to come.
            while names := [
                name for name in _wrap.awaited() if name not in asked
            ]:
                asked += names
                for name in names:
                    # It says that it is old, and a service may be without.
                    if 'eventlet' not in name:
                        with contextlib.suppress(Exception):
                            importlib.import_module(name)
        finally:
            service.shutdown()
    return heard.said


@contextlib.contextmanager
def _listening(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger('oslo_tracing')
    level, logger.propagate = logger.level, False
    below = logging.root.manager.disable
    logger.setLevel(logging.WARNING)
    logger.addHandler(handler)
    # Libraries have something to say when they are imported.
    logging.disable(max(below, logging.INFO))
    try:
        yield
    finally:
        logging.disable(below)
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = True
